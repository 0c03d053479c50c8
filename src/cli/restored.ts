import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { breaksPath, tellBreak } from "../audit/breaks.file.ts";
import { disk } from "../audit/disk.file.ts";
import { signerFiles } from "../audit/signer-state.file.ts";
import { migrate } from "../db/migrate.store.ts";
import { claimDataDir } from "../embedded/data-dir.file.ts";
import { startPostgres } from "../embedded/postgres.process.ts";
import { loadConfig } from "../ops/config.file.ts";
import type { Command } from "./command.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { type RestoreAsked, recordRestore, type SignersSide } from "./restored.store.ts";
import { Said } from "./said.ts";

const WHOLE = /^[1-9]\d{0,8}$/;

export const restored: Command = {
  name: "restored",
  summary: "Record that the database was restored from a backup, before the service starts on it.",
  positionals: [],
  options: {
    site: { type: "string", value: "SITE", help: "The site whose record was restored." },
    all: { type: "boolean", help: "Every site of the database." },
    reason: { type: "string", help: "Why it was restored; it stays on record." },
    by: { type: "string", value: "NAME", help: "Who restored it. Default: the account that runs this." },
    generation: {
      type: "string",
      value: "N",
      help: "The new generation. Say it when the backup is older than an earlier restore: one more than the highest that consumers have seen. Default: the next one.",
    },
  },
  notes: [
    "Connects with DATABASE_OWNER_URL; without DATABASE_URL, to the embedded database in DATA_DIR. Refuses while a service runs on it.",
    "Begins a new audit log, whose first entry is the restore, and tells the signers in AUDIT_DIR that this break is meant; where they are elsewhere, says what to put there.",
    "Raises the generation, which is in every outcome, verdict id, cursor and mirror, since positions and numbers behind the restored head are given a second time.",
    "docs/operations.md has the whole drill.",
  ],
  examples: [
    'DATABASE_OWNER_URL=postgres://signalbox_owner@db/signalbox signalbox restored --all --reason "disk failure, backup of 02:00"',
    'signalbox restored --site rtm1 --by "J. Smit" --reason "drill"',
  ],
  exits: { done: "The restore is on record; start the service.", found: "It was refused, and nothing was changed; the message says what to do." },
  async run(call, terminal) {
    const asked = askedIn(call);
    const config = loadConfig(withOwnerAlone(call.environment));
    const signers = config.audit === null ? null : signersIn(config.audit.directory);
    const results =
      config.databaseUrl === null ? await inEmbedded(config.dataDir, asked, signers) : await recordRestore(ownerOf(config.databaseOwnerUrl), asked, signers);
    if (results.length === 0) throw new Said("The database has no site: there was nothing to restore.");
    if (call.flag("json")) terminal.out(JSON.stringify({ restored: results }));
    else {
      for (const { site, previous, generation, position, published, told } of results) {
        terminal.out(`${site}: generation ${generation} begins behind position ${position}; up to there the record of generation ${previous} stands.`);
        terminal.out(
          `  ${position === published ? "Everything up to there was published." : `Positions ${published + 1} to ${position} are published again.`}`,
        );
        terminal.out(`  Audit log ${told.log} begins at position ${told.first}, with the restore as its first entry.`);
        if (signers === null)
          terminal.out(`  Its signer is not here (AUDIT_DIR is not set). Add to the list in ${breaksPath(`AUDIT_DIR/${site}`)}: ${JSON.stringify(told)}`);
      }
      terminal.out("Start the service now. Devices resend what their cursor has not passed; consumers see the generation and compare.");
    }
    return 0;
  },
};

function askedIn(call: Parameters<Command["run"]>[0]): RestoreAsked {
  const site = call.text("site") ?? null;
  const reason = call.text("reason")?.trim() ?? "";
  const generation = call.text("generation") ?? null;
  if ((site === null) === !call.flag("all")) throw new Said("Say which site was restored: --site SITE, or --all.", 2);
  if (reason === "") throw new Said("Say why it was restored: --reason TEXT.", 2);
  if (generation !== null && !WHOLE.test(generation)) throw new Said("--generation is a whole number.", 2);
  return { site, reason, by: call.text("by")?.trim() || userInfo().username, generation: generation === null ? null : Number(generation) };
}

function ownerOf(url: string | null): string {
  if (url === null) throw new Said("DATABASE_OWNER_URL is not set: a restore is recorded by the database's owner.", 2);
  return url;
}

/** The embedded database is nobody else's: it is started for this alone, and brought to this version, as a start of the service would. */
async function inEmbedded(dataDir: string, asked: RestoreAsked, signers: SignersSide | null): Promise<Awaited<ReturnType<typeof recordRestore>>> {
  if (!existsSync(join(dataDir, "postgres", "data", "PG_VERSION")))
    throw new Said(`There is no embedded database in ${dataDir}. Set DATA_DIR to where it was restored, or DATABASE_OWNER_URL.`, 2);
  const claim = claimDataDir(dataDir);
  try {
    const postgres = await startPostgres({ dataDir });
    try {
      await migrate(postgres.ownerUrl);
      return await recordRestore(postgres.ownerUrl, asked, signers);
    } finally {
      await postgres.stop();
    }
  } finally {
    claim.release();
  }
}

/** The signers by their files, which no process may use meanwhile: the service is stopped. */
function signersIn(directory: string): SignersSide {
  return {
    async headOf(site) {
      const files = signerFiles({ disk, state: join(directory, site), mirror: "" });
      const log = (await files.logs()).at(-1);
      if (log === undefined) return null;
      const state = await files.load(log);
      if (state === null)
        throw new Said(`What the signer of site ${site} keeps of log ${log} in ${directory} cannot be read. Bring it back from your backup of it first.`);
      return { log, size: state.size, root: state.root.toString("hex") };
    },
    tell: (site, told) => tellBreak(disk, join(directory, site), told),
  };
}
