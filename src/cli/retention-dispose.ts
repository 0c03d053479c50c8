import { join } from "node:path";
import { disk } from "../audit/disk.file.ts";
import { disposalsPath, type ToldDisposal, tellDisposal } from "../audit/disposals.file.ts";
import { loadConfig } from "../ops/config.file.ts";
import { type Archive, firstUncovered, readArchives } from "../retention/archives.store.ts";
import { type Disposed, disposeOf } from "../retention/dispose.store.ts";
import { readPart } from "../retention/parts.store.ts";
import { anchorsFrom } from "../verify/handed-over.file.ts";
import { bundlesIn, checkBundle } from "./check-bundle.ts";
import type { Command } from "./command.ts";
import { withOwner } from "./own-database.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { BY, byOf, KEY, keysFor, nameOfPart, OWNER_NOTE, PART, partAsked, saying } from "./retention.ts";
import { sumsOf } from "./retention-archive.ts";
import { Said } from "./said.ts";
import { reportOf, tellReport } from "./verify-report.ts";

export const retentionDispose: Command = {
  name: "retention dispose",
  summary: "Drop a partition whose archives are at hand and prove what they hold.",
  positionals: [],
  options: {
    partition: PART,
    archive: { type: "string", value: "DIR", many: true, help: "The folder of an archive, or one that has several. May be given several times." },
    key: KEY,
    anchors: { type: "string", value: "PATH", help: "Checkpoints that were kept elsewhere, to verify the archives against too." },
    ...BY,
  },
  notes: [
    "Every archive is verified once more, and must be the one that is on record. Then the database drops the partition, or refuses: what is not due, held, open, not signed, not published or not archived stays.",
    "Tells the signers in AUDIT_DIR that this is meant; where they are elsewhere, says what to put there, before they sign on. The service may run; it waits for a moment.",
    "What is gone is gone from this database. Leaf hashes, numbers, identities and the rows of batches, steps and evidence stay; `signalbox verify --archive DIR` reads the archives in front of it.",
    OWNER_NOTE,
  ],
  examples: [
    'DATABASE_OWNER_URL=… AUDIT_DIR=/srv/signer AUDIT_MIRROR_DIR=/mnt/mirror signalbox retention dispose --partition positions/p0 --archive /archive/p0 --reason "SOP-12"',
  ],
  exits: { done: "It is disposed of, and on record.", found: "Nothing was disposed of; the message says what stands in the way." },
  run: saying(async (call, terminal) => {
    const config = loadConfig(withOwnerAlone(call.environment));
    const [part, by] = [partAsked(call), byOf(call, "retention dispose")];
    const given = call.text("anchors");
    const anchors = given === undefined ? null : anchorsFrom(given);
    if (typeof anchors === "string") throw new Said(anchors);
    const byDigest = foldersByDigest(call.texts("archive"));
    const disposed = await withOwner(config, async (db) => {
      const { sites } = await readPart(db, part);
      const inTheWay = sites.flatMap(({ site, obstacles }) => obstacles.map(({ detail }) => `  site ${site}: ${detail}`));
      if (inTheWay.length > 0) throw new Said([`${part.class}/${part.part} is not to be disposed of:`, ...inTheWay].join("\n"));
      const ready = [];
      for (const own of sites) {
        const archives: Archive[] = [];
        for (const archive of await readArchives(db, own)) {
          const path = byDigest.get(archive.sha256);
          if (path === undefined) continue;
          const verified = await checkBundle(path, {
            keys: keysFor(call, config, own.site),
            anchors,
            replay: false,
            topicPrefix: config.topicPrefix,
            terminal,
          });
          if (verified.findings.exit() !== 0) {
            for (const line of tellReport(reportOf(verified), terminal.paint)) terminal.err(line);
            throw new Said(`${path} is not what was archived; nothing was disposed of.`);
          }
          archives.push(archive);
        }
        const uncovered = await firstUncovered(db, part, own, archives);
        if (uncovered !== null)
          throw new Said(`${nameOfPart(part, own)}: none of the folders that --archive names is the archive on record that has position ${uncovered}.`);
        ready.push({ ...own, archives });
      }
      return disposeOf(db, part, ready, by, async (one) => {
        const told = toldOf(one, by);
        if (told !== null && config.audit !== null) await tellDisposal(disk, join(config.audit.directory, one.site), told);
      });
    });
    const found = disposed.map((one) => ({ ...one, told: toldOf(one, by) }));
    if (call.flag("json")) terminal.out(JSON.stringify({ disposed: found }));
    else
      for (const { told, ...one } of found) {
        terminal.out(`${nameOfPart(part, one)}: disposed of, on record at position ${one.disposal}.`);
        if (told !== null && config.audit === null)
          terminal.out(
            `  Its signer is not here (AUDIT_DIR is not set). Add to the list in ${disposalsPath(`AUDIT_DIR/${one.site}`)}: ${JSON.stringify(told)}`,
          );
      }
    return 0;
  }),
};

/** What a signer is told; null: nothing, since it has no part in what batches have beside their entries. */
const toldOf = ({ class: name, to, disposal }: Disposed, { actor, reason }: { readonly actor: string; readonly reason: string }): ToldDisposal | null =>
  name === "positions" ? { through: to, disposal, by: actor, reason } : null;

/** The bundles in the folders given, and in those in them, by the digest under which an archive is on record. */
function foldersByDigest(given: readonly string[]): ReadonlyMap<string, string> {
  if (given.length === 0) throw new Said("Say where the archives are: --archive DIR.", 2);
  return new Map(given.flatMap(bundlesIn).map((path) => [sumsOf(path), path]));
}
