import { z } from "zod";
import type { Db } from "../db/database.ts";
import { GUARDS } from "../decide/guards.ts";
import { checkStateMachine } from "../decide/state-machine-check.ts";
import { loadConfig } from "../ops/config.file.ts";
import { MAX_EVENT_BYTES } from "../receive/delivery.ts";
import { recipeSchema } from "../registry/recipe.ts";
import { checkRecipe } from "../registry/recipe-check.ts";
import type { Candidates } from "../replay/candidate.ts";
import { asJsonb } from "../replay/jsonb.ts";
import { disposedIn, inSnapshot, recordedSite, sitesIn } from "../replay/recorded.store.ts";
import { type Replayed, replaySite } from "../replay/run.ts";
import type { Reading } from "../replay/site-record.ts";
import { ARCHIVE, archivesIn } from "./check-bundle.ts";
import type { Call, Command } from "./command.ts";
import { cannotTell } from "./failure.ts";
import { withDatabase } from "./own-database.ts";
import { tellReplay } from "./replay-report.ts";
import { Said } from "./said.ts";
import { readJsonFile } from "./state-machine-check.ts";
import type { Terminal } from "./terminal.ts";

export const replay: Command = {
  name: "replay",
  summary: "Decide the record again, and say where it comes out otherwise.",
  positionals: [],
  options: {
    site: { type: "string", value: "SITE", help: "The site. Default: every site of the database, one after the other." },
    recipe: {
      type: "string",
      value: "FILE",
      many: true,
      help: "A candidate: what would be decided if it stood in the place of every revision of its name. Several may be given.",
    },
    archive: ARCHIVE,
    "state-machine": { type: "string", value: "FILE", many: true, help: "A candidate state machine, likewise." },
  },
  notes: [
    "Reads the record as of one moment and decides every signal again, in the order and at the times of its commits, under the recipes and state machines that its batch is bound to.",
    "What comes out must be the bytes of the audit entries. It says what is otherwise, not who changed it: that is what verify proves.",
    "With a candidate, every decision that would be another is listed. Each is made in the world of the record: what would have followed from it is not followed.",
    "Connects with DATABASE_URL; without it, to the embedded database in DATA_DIR. Locks nothing; a service may run on it.",
  ],
  examples: [
    "signalbox replay --site rtm1",
    "signalbox replay --site rtm1 --recipe blend.4.json",
    "DATABASE_URL=postgres://signalbox_runtime@db/signalbox signalbox replay --json",
  ],
  exits: {
    done: "Everything comes out as it is recorded, and no decision would be another.",
    found: "Something comes out otherwise, or would under a candidate; each is named by its position.",
    unclear: "Cannot tell: the database is away or cannot be read, or what was disposed of is not given with --archive.",
  },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const candidates = candidatesIn(call);
    try {
      const reading = { prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES };
      const replayed = await withDatabase(config, (db) =>
        inSnapshot(db, (trx) => replayAll(trx, { asked: call.text("site"), archives: call.texts("archive"), candidates, reading }, terminal)),
      );
      if (call.flag("json")) terminal.out(JSON.stringify({ sites: replayed }, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
      else for (const line of replayed.flatMap((one) => tellReplay(one, terminal.paint))) terminal.out(line);
      return replayed.every(({ different, changed }) => different === 0 && (changed ?? []).length === 0) ? 0 : 1;
    } catch (error) {
      return cannotTell(error, terminal);
    }
  },
};

interface Asked {
  readonly asked: string | undefined;
  readonly archives: readonly string[];
  readonly candidates: Candidates | null;
  readonly reading: Reading;
}

async function replayAll(trx: Db, { asked, archives, candidates, reading }: Asked, terminal: Terminal): Promise<readonly Replayed[]> {
  const known = await sitesIn(trx);
  if (asked !== undefined && !known.includes(asked)) throw new Said(`The database has no site ${asked}; it has ${known.join(", ") || "none"}.`, 2);
  const replayed: Replayed[] = [];
  for (const name of asked === undefined ? known : [asked]) {
    const site = await recordedSite(trx, name, archivesIn(archives, name, 1, await disposedIn(trx, name)));
    const part = (at: { readonly record: { readonly position: number } }): void =>
      terminal.progress(`${name}: position ${at.record.position} of ${site.position} …`);
    replayed.push((await replaySite(site, reading, candidates, { part })).replayed);
  }
  return replayed;
}

function candidatesIn(call: Call): Candidates | null {
  const recipes = call.texts("recipe").map((file) => {
    const parsed = recipeSchema.safeParse(asJsonb(readJsonFile(file)));
    if (!parsed.success)
      throw new Said(`${file} is no recipe: ${parsed.error.issues.map(({ path, message }) => `/${path.join("/")} ${message}`).join("; ")}.`, 2);
    const names = new Set(Object.values(parsed.data.stateMachines));
    refuse(
      file,
      checkRecipe(parsed.data, names).filter(({ severity }) => severity === "error"),
    );
    return parsed.data;
  });
  const machines = call.texts("state-machine").map((file) => {
    const content = asJsonb(readJsonFile(file));
    refuse(file, checkStateMachine(content, new Set(GUARDS.keys())));
    return named.parse(content);
  });
  return recipes.length + machines.length === 0 ? null : { recipes, machines };
}

const named = z.looseObject({ name: z.string() });

function refuse(file: string, problems: readonly { readonly pointer: string; readonly problem: string }[]): void {
  if (problems.length > 0) throw new Said(`${file} could not be in force: ${problems.map(({ pointer, problem }) => `${pointer} ${problem}`).join(" ")}`, 2);
}
