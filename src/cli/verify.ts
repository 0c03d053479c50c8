import type { Db } from "../db/database.ts";
import { loadConfig } from "../ops/config.file.ts";
import { MAX_EVENT_BYTES } from "../receive/delivery.ts";
import { shippedStateMachines } from "../registry/state-machines.file.ts";
import { type Archived, withArchived } from "../replay/archived.ts";
import { recordedSite, sitesIn } from "../replay/recorded.store.ts";
import { replaySite } from "../replay/run.ts";
import type { Reading } from "../replay/site-record.ts";
import { untoldOf } from "../replay/standing.ts";
import { hashesOf } from "../verify/definitions.ts";
import { anchorsFrom } from "../verify/handed-over.file.ts";
import { readRecord } from "../verify/record.store.ts";
import type { AnchorNote } from "../verify/signed-roots.ts";
import { type DecidedAgain, type Verified, verifySite } from "../verify/verify-site.ts";
import { ARCHIVE, archivesIn, checkBundle, keysOf, progressOn } from "./check-bundle.ts";
import type { Call, Command } from "./command.ts";
import { cannotTell } from "./failure.ts";
import { withDatabase } from "./own-database.ts";
import { Said } from "./said.ts";
import type { Terminal } from "./terminal.ts";
import { reportOf, tellReport } from "./verify-report.ts";

export const verify: Command = {
  name: "verify",
  summary: "Prove that the record was not altered, and name the first row that was.",
  positionals: [],
  options: {
    bundle: { type: "string", value: "PATH", help: "Verify a bundle that was exported, by what is in its folder: no database, no network." },
    site: { type: "string", value: "SITE", help: "The site. Default: the only one of the database." },
    key: {
      type: "string",
      value: "FILE",
      help: "The signer's public key, signer.vkey or what stands in it; of several keys one a line, in the order in which they signed.",
    },
    anchors: { type: "string", value: "PATH", help: "Checkpoints that were kept elsewhere: the mirror's folder, or a file of notes." },
    archive: ARCHIVE,
    "no-replay": { type: "boolean", help: "Leave out deciding everything again, and with it the present rows; it takes most of the time." },
  },
  notes: [
    "Reads all entries of the audit log as of one moment, makes its tree anew, and holds checkpoints, anchors, numbers, deliveries and every column of the record against them; then decides every signal again, and holds the present rows against what comes of it.",
    "The key must come from whoever runs the signer, and never from the database. Without --anchors, who has stolen the signer's key can alter everything unnoticed.",
    "Of what was disposed of the database has leaf hashes, which are held against the checkpoints; with --archive its archives are read in front, and everything is decided again.",
    "Of a bundle everything is decided again where it holds the record from position 1 on.",
    "Connects with DATABASE_URL; without it, to the embedded database in DATA_DIR. Locks nothing; a service may run on it.",
  ],
  examples: [
    "DATABASE_URL=postgres://signalbox_runtime@db/signalbox signalbox verify --site rtm1 --key signer.vkey --anchors /mnt/mirror",
    "signalbox verify --key .signalbox/audit/rtm1/signer.vkey --json",
  ],
  exits: {
    done: "Sound, as far as it is covered; what is not covered is said.",
    found: "Altered: something is not what was signed, not what its entry says, or not what comes of the entries.",
    incomplete: "Incomplete: something that was there is gone.",
    unclear: "Cannot tell: no key, or the database is away or cannot be read.",
  },
  async run(call, terminal) {
    try {
      const verified = call.text("bundle") === undefined ? await online(call, terminal) : await offline(call, terminal);
      const report = reportOf(verified);
      if (call.flag("json")) terminal.out(JSON.stringify(report));
      else for (const line of tellReport(report, terminal.paint)) terminal.out(line);
      return report.exit;
    } catch (error) {
      return cannotTell(error, terminal);
    }
  },
};

async function online(call: Call, terminal: Terminal): Promise<Verified> {
  const keys = keysOf(call.text("key"));
  const config = loadConfig(call.environment);
  const reading = { prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES };
  const shipped = hashesOf(await shippedStateMachines());
  return withDatabase(config, async (db) => {
    const site = call.text("site") ?? only(await sitesIn(db));
    const anchors = anchorsOf(call);
    const verified = await readRecord(db, site, (record, trx) => {
      const archived = archivesIn(call.texts("archive"), site, record.logs[0]?.first ?? 1, record.disposed.positions);
      const again = (): Promise<DecidedAgain> => decideAgain(trx, site, reading, archived);
      return verifySite(archived === null ? record : withArchived(record, archived), {
        keys,
        anchors,
        shipped,
        replay: call.flag("no-replay") ? null : again,
        progress: progressOn(terminal),
      });
    });
    return verified ?? noSite(site);
  });
}

async function decideAgain(trx: Db, site: string, reading: Reading, archived: Archived | null): Promise<DecidedAgain> {
  const recorded = await recordedSite(trx, site, archived);
  const { replayed, replay } = await replaySite(recorded, reading);
  return { ...replayed, standing: replay.standing(), untold: untoldOf(recorded) };
}

async function offline(call: Call, terminal: Terminal): Promise<Verified> {
  const { topicPrefix } = loadConfig(call.environment);
  const checking = { keys: keysOf(call.text("key")), anchors: anchorsOf(call), replay: !call.flag("no-replay"), topicPrefix, terminal };
  return checkBundle(call.text("bundle") ?? "", checking);
}

function anchorsOf(call: Call): readonly AnchorNote[] | null {
  const path = call.text("anchors");
  const anchors = path === undefined ? null : anchorsFrom(path);
  if (typeof anchors === "string") throw new Said(anchors);
  return anchors;
}

function only(sites: readonly string[]): string {
  const [site, another] = sites;
  if (site === undefined) throw new Said("The database has no site: there is nothing to verify.", 4);
  if (another !== undefined) throw new Said(`The database has ${sites.length} sites, each with a key of its own: say --site, one of ${sites.join(", ")}.`, 2);
  return site;
}

function noSite(site: string): Verified {
  throw new Said(`The database has no site ${site}.`, 2);
}
