import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Attribution } from "../audit/act.store.ts";
import { readChosen, TreeTorn } from "../bundle/chosen.store.ts";
import { NothingToExport, recordExport, untilSigned } from "../bundle/export.store.ts";
import { FolderTaken, newFolder } from "../bundle/folder.file.ts";
import { FILES } from "../bundle/manifest.ts";
import { NotAnEntry } from "../bundle/reading-copy.ts";
import { writeBundle } from "../bundle/write-bundle.ts";
import type { Db } from "../db/database.ts";
import { loadConfig } from "../ops/config.file.ts";
import { firstUncovered, readArchives, recordArchive } from "../retention/archives.store.ts";
import type { SitePart } from "../retention/part.ts";
import { readPart } from "../retention/parts.store.ts";
import { checkBundle } from "./check-bundle.ts";
import type { Command } from "./command.ts";
import { withOwner } from "./own-database.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { BY, byOf, KEY, keysFor, nameOfPart, OWNER_NOTE, PART, partAsked, saying } from "./retention.ts";
import { Said } from "./said.ts";
import { reportOf, tellReport } from "./verify-report.ts";

export const retentionArchive: Command = {
  name: "retention archive",
  summary: "Write a partition's part of each site into bundles, verify them, and put that on record.",
  positionals: [],
  options: {
    partition: PART,
    out: { type: "string", value: "DIR", help: "Where the bundles go, a folder a site; each must be new or empty." },
    key: KEY,
    wait: { type: "string", value: "SECONDS", default: "30", help: "How long to wait until an export's own entry is signed." },
    ...BY,
  },
  notes: [
    "A bundle holds everything that was recorded at its positions, for reading and as it is proven; README.txt in it says how, also without Signalbox. Put the folders away as they are.",
    "A site of which everything is in archives on record already gets no further one.",
    "Waits for the signer, which runs with the service.",
    OWNER_NOTE,
  ],
  examples: ['DATABASE_OWNER_URL=… signalbox retention archive --partition positions/p0 --out /archive/p0 --key signer.vkey --reason "yearly archive"'],
  exits: { done: "The bundles are written, verified, and on record.", found: "They are not all; the message says why." },
  run: saying(async (call, terminal) => {
    const config = loadConfig(withOwnerAlone(call.environment));
    const [part, by, out, wait] = [partAsked(call), byOf(call, "retention archive"), call.text("out"), Number(call.text("wait"))];
    if (out === undefined) throw new Said("Say where to: --out DIR.", 2);
    if (!(wait >= 0)) throw new Said("--wait is a number of seconds.", 2);
    const made = await withOwner(config, async (db) => {
      const found = [];
      for (const own of (await readPart(db, part)).sites) {
        const before = await readArchives(db, own);
        const from = await firstUncovered(db, part, own, before);
        if (from === null) {
          terminal.err(`${nameOfPart(part, own)}: archived before (${before.map(({ archive }) => archive).join(", ")}).`);
          continue;
        }
        // what is in archives already may be disposed of by now
        const wanted = { site: own.site, from, to: own.to };
        const path = join(out, `${own.site}-${part.class}-${part.part}`);
        const keys = keysFor(call, config, own.site);
        await exported(db, wanted, path, by, wait * 1000);
        const verified = await checkBundle(path, { keys, anchors: null, replay: true, topicPrefix: config.topicPrefix, terminal });
        if (verified.findings.exit() !== 0) {
          for (const line of tellReport(reportOf(verified), terminal.paint)) terminal.err(line);
          throw new Said(`${path} does not prove what it holds, and is not put on record.`);
        }
        const sha256 = sumsOf(path);
        const archive = await recordArchive(db, { ...part, ...wanted, sha256 }, by);
        found.push({ ...part, ...wanted, path, sha256, archive });
      }
      return found;
    });
    if (call.flag("json")) terminal.out(JSON.stringify({ archived: made }));
    else
      for (const one of made) terminal.out(`${one.path}: ${nameOfPart(part, one)}; verified, on record as archive ${one.archive} (SHA256SUMS ${one.sha256}).`);
    return 0;
  }),
};

async function exported(db: Db, { site, from, to }: Pick<SitePart, "site" | "from" | "to">, path: string, by: Attribution, waitMs: number): Promise<void> {
  const of = { from, to };
  try {
    const folder = await newFolder(path);
    const made = await recordExport(db, site, of, { form: "bundle" }, by);
    if (!(await untilSigned(db, site, made.position, waitMs)))
      throw new Said(`The entry of the export, at position ${made.position}, was not signed within ${waitMs / 1000} s. Does a service with AUDIT_DIR run?`);
    await readChosen(db, site, of, made, (record) => writeBundle(folder, site, of, made, record));
  } catch (error) {
    if (error instanceof NothingToExport || error instanceof FolderTaken || error instanceof NotAnEntry || error instanceof TreeTorn)
      throw new Said(error.message);
    throw error;
  }
}

/** What an archive is known by: the digest of the file that has every other file's. */
export const sumsOf = (path: string): string =>
  createHash("sha256")
    .update(readFileSync(join(path, FILES.sums)))
    .digest("hex");
