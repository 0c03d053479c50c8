import { userInfo } from "node:os";
import { readChosen, TreeTorn } from "../bundle/chosen.store.ts";
import { NothingToExport, recordExport, untilSigned } from "../bundle/export.store.ts";
import { FolderTaken, newFolder } from "../bundle/folder.file.ts";
import { type Chosen, nameOf } from "../bundle/manifest.ts";
import { NotAnEntry } from "../bundle/reading-copy.ts";
import { writeBundle } from "../bundle/write-bundle.ts";
import { loadConfig } from "../ops/config.file.ts";
import type { Call, Command } from "./command.ts";
import { withDatabase } from "./own-database.ts";
import { Said } from "./said.ts";

const POSITIONS = /^([1-9]\d{0,14})-([1-9]\d{0,14})$/;

export const exportBundle: Command = {
  name: "export",
  summary: "Write the record of a batch, or of a range, with what proves it, into a folder.",
  positionals: [],
  options: {
    site: { type: "string", value: "SITE", help: "The site." },
    batch: { type: "string", value: "BATCH", help: "Everything that changed the record of this batch." },
    positions: { type: "string", value: "A-B", help: "Or all entries from position A to B." },
    out: { type: "string", value: "DIR", help: "The folder; it must be new or empty." },
    reason: { type: "string", help: "Why; it stays on record." },
    by: { type: "string", value: "NAME", help: "Who exports. Default: the account that runs this." },
    wait: { type: "string", value: "SECONDS", default: "30", help: "How long to wait until the export's own entry is signed." },
  },
  notes: [
    "An export is itself on record, with how many entries there were, and is complete only with that entry; so it waits for the signer, which runs with the service.",
    "README.txt in the folder says how to read and check it, also without Signalbox. Archive it as it is: tar, zip or a disk.",
    "Connects with DATABASE_URL; without it, to the embedded database in DATA_DIR.",
  ],
  examples: ["signalbox export --site rtm1 --batch B-1042 --out B-1042 --reason 'release'", "signalbox export --site rtm1 --positions 1-5000 --out january"],
  exits: { done: "The bundle is written.", found: "It was not; the message says why." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const { site, of, out, waitMs } = askedIn(call);
    const by = { actor: call.text("by")?.trim() || userInfo().username, from: "signalbox export", reason: call.text("reason")?.trim() || null };
    try {
      const folder = await newFolder(out);
      const manifest = await withDatabase(config, async (db) => {
        const made = await recordExport(db, site, of, { form: "bundle" }, by);
        if (!(await untilSigned(db, site, made.position, waitMs)))
          throw new Said(
            `The entry of this export, at position ${made.position}, was not signed within ${waitMs / 1000} s, so nothing was written. Does a service with AUDIT_DIR run?`,
          );
        return readChosen(db, site, of, made, (record) => writeBundle(folder, site, of, made, record));
      });
      if (call.flag("json")) terminal.out(JSON.stringify({ out, ...manifest }));
      else
        terminal.out(
          `${out}: ${nameOf(of)} of site ${site}, ${manifest.export.entries} entries; the export is on record at position ${manifest.export.position}.`,
        );
      return 0;
    } catch (error) {
      if (error instanceof NothingToExport || error instanceof FolderTaken || error instanceof NotAnEntry || error instanceof TreeTorn)
        throw new Said(error.message);
      throw error;
    }
  },
};

function askedIn(call: Call): { readonly site: string; readonly of: Chosen; readonly out: string; readonly waitMs: number } {
  const [site, batch, positions, out] = ["site", "batch", "positions", "out"].map((name) => call.text(name));
  if (site === undefined || out === undefined) throw new Said("Say --site SITE and --out DIR.", 2);
  if ((batch === undefined) === (positions === undefined)) throw new Said("Say what to export: --batch BATCH, or --positions A-B.", 2);
  const wait = Number(call.text("wait"));
  if (!(wait >= 0)) throw new Said("--wait is a number of seconds.", 2);
  const [, from, to] = POSITIONS.exec(positions ?? "") ?? [];
  if (batch !== undefined) return { site, of: { batch }, out, waitMs: wait * 1000 };
  if (from === undefined || to === undefined) throw new Said("--positions is two positions with a hyphen between: 1-5000.", 2);
  return { site, of: { from: Number(from), to: Number(to) }, out, waitMs: wait * 1000 };
}
