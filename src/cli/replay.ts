import type { Db } from "../db/database.ts";
import { loadConfig } from "../ops/config.file.ts";
import { MAX_EVENT_BYTES } from "../receive/delivery.ts";
import { inSnapshot, recordedSite, sitesIn } from "../replay/recorded.store.ts";
import { type Replayed, replaySite } from "../replay/run.ts";
import type { Call, Command } from "./command.ts";
import { cannotTell, Said } from "./failure.ts";
import { withDatabase } from "./own-database.ts";
import { tellReplay } from "./replay-report.ts";
import type { Terminal } from "./terminal.ts";

export const replay: Command = {
  name: "replay",
  summary: "Decide the record again, and say where it comes out otherwise.",
  positionals: [],
  options: {
    site: { type: "string", value: "SITE", help: "The site. Default: every site of the database, one after the other." },
  },
  notes: [
    "Reads the record as of one moment and decides every signal again, in the order and at the times of its commits, under the recipes and state machines that its batch is bound to.",
    "What comes out must be the bytes of the audit entries. It says what is otherwise, not who changed it: that is what verify proves.",
    "Connects with DATABASE_URL; without it, to the embedded database in DATA_DIR. Locks nothing; a service may run on it.",
  ],
  examples: ["signalbox replay --site rtm1", "DATABASE_URL=postgres://signalbox_runtime@db/signalbox signalbox replay --json"],
  exits: {
    done: "Everything comes out as it is recorded.",
    found: "Something comes out otherwise; each difference is named by its position.",
    unclear: "Cannot tell: the database is away or cannot be read.",
  },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    try {
      const reading = { prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES };
      const replayed = await withDatabase(config, (db) => inSnapshot(db, (trx) => replayAll(trx, call, reading, terminal)));
      if (call.flag("json")) terminal.out(JSON.stringify({ sites: replayed }, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
      else for (const line of replayed.flatMap((one) => tellReplay(one, terminal.paint))) terminal.out(line);
      return replayed.every(({ different }) => different === 0) ? 0 : 1;
    } catch (error) {
      return cannotTell(error, terminal);
    }
  },
};

async function replayAll(trx: Db, call: Call, reading: Parameters<typeof replaySite>[1], terminal: Terminal): Promise<readonly Replayed[]> {
  const known = await sitesIn(trx);
  const asked = call.text("site");
  if (asked !== undefined && !known.includes(asked)) throw new Said(`The database has no site ${asked}; it has ${known.join(", ") || "none"}.`, 2);
  const replayed: Replayed[] = [];
  for (const name of asked === undefined ? known : [asked]) {
    const site = await recordedSite(trx, name);
    const part = (at: { readonly record: { readonly position: number } }): void =>
      terminal.progress(`${name}: position ${at.record.position} of ${site.position} …`);
    replayed.push((await replaySite(site, reading, { part })).replayed);
  }
  return replayed;
}
