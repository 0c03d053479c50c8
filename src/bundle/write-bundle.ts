import { createHash, type Hash as Hashing } from "node:crypto";
import { parseEntry } from "../audit/entry.ts";
import { leafHash, sha256 } from "../audit/hash.ts";
import type { ChosenRecord } from "./chosen.store.ts";
import type { Exported } from "./export.store.ts";
import { type Chosen, FILES, FORMAT, type Manifest, writeManifest } from "./manifest.ts";
import { itemAt, NotAnEntry } from "./reading-copy.ts";
import { readmeOf } from "./readme.ts";
import { CSV_HEAD, csvRow } from "./record-csv.ts";
import { HTML_END, htmlHead, htmlRow } from "./record-html.ts";
import { between, writeTreeLine } from "./tree-line.ts";

/** Where a bundle goes. */
export interface Folder {
  /** Appends to a file, which is made when it is not there. */
  append(name: string, bytes: Uint8Array | string): Promise<void>;
}

/** Writes everything that was chosen, entry by entry: of a long range little is held at a time. */
export async function writeBundle(folder: Folder, site: string, of: Chosen, made: Exported, record: ChosenRecord): Promise<Manifest> {
  const files = new Summed(folder);
  const batch = "batch" in of ? of.batch : null;
  const { beside } = record;
  const definitions = beside?.definitions ?? (await record.definitions(batch === null ? await batchesIn(record, made) : [batch]));
  const manifest: Manifest = {
    format: FORMAT,
    site,
    of,
    export: { position: made.position, entries: made.entries },
    logs: record.logs.map(({ log, origin, first, size }) => ({ log, origin, first, size })),
    definitions: definitions.map(({ content: _, ...definition }) => definition),
    ...(beside === null ? {} : { sources: beside.sources }),
  };
  await files.append(FILES.readme, readmeOf(manifest));
  await files.append(FILES.manifest, writeManifest(manifest));
  for (const { sha256: hash, content } of definitions) if (!files.has(FILES.definition(hash))) await files.append(FILES.definition(hash), content);
  await files.append(FILES.html, htmlHead(manifest));
  await files.append(FILES.csv, CSV_HEAD);
  for (const log of record.logs) {
    await files.append(FILES.checkpoint(log.log), log.note);
    for (const note of log.keys) await files.append(FILES.keys(log.log), `${note}\n`);
    let covered = 0;
    for await (const { position, bytes, raw } of record.entries(log.positions)) {
      const index = position - log.first;
      await cover(files, record, log, covered, index);
      await files.append(FILES.tree(log.log), writeTreeLine({ subtree: { level: 0, index }, hash: leafHash(bytes), position }));
      covered = index + 1;
      if (bytes.filter((byte) => byte === 0x0a).length !== 1) throw new NotAnEntry(`The entry at position ${position} is none. Verify the record.`);
      await files.append(FILES.entries(log.log), Buffer.concat([bytes, Buffer.from("\n")]));
      const item = itemAt(position, bytes);
      await files.append(FILES.html, htmlRow(item, batch));
      await files.append(FILES.csv, csvRow(item, batch));
      const name = raw === null ? null : FILES.delivery(sha256(raw).toString("hex"));
      if (raw !== null && name !== null && !files.has(name)) await files.append(name, raw);
    }
    await cover(files, record, log, covered, log.size);
  }
  await files.append(FILES.html, HTML_END);
  await folder.append(FILES.sums, files.sums());
  return manifest;
}

async function cover(files: Summed, record: ChosenRecord, log: ChosenRecord["logs"][number], begin: number, end: number): Promise<void> {
  const roots = await record.roots(log, { begin, end });
  const lines = between(begin, end).map((subtree, i) => writeTreeLine({ subtree, hash: roots[i] ?? Buffer.alloc(0), position: null }));
  if (lines.length > 0) await files.append(FILES.tree(log.log), lines.join(""));
}

/** The batches whose record the entries of a range change. */
async function batchesIn(record: ChosenRecord, made: Exported): Promise<readonly string[]> {
  const named = new Set<string>();
  for (const { positions } of record.logs)
    for await (const { position, bytes } of record.entries(positions))
      if (position !== made.position) for (const batch of Object.keys(parseEntry(bytes).head.batches)) named.add(batch);
  return [...named];
}

/** A folder that keeps the sums of what is written into it. */
class Summed implements Folder {
  private readonly folder: Folder;
  private readonly hashes = new Map<string, Hashing>();

  constructor(folder: Folder) {
    this.folder = folder;
  }

  has(name: string): boolean {
    return this.hashes.has(name);
  }

  async append(name: string, bytes: Uint8Array | string): Promise<void> {
    const hash = this.hashes.get(name) ?? createHash("sha256");
    this.hashes.set(name, hash.update(bytes));
    await this.folder.append(name, bytes);
  }

  /** As `sha256sum -c` reads them. */
  sums(): string {
    return [...this.hashes].map(([name, hash]) => `${hash.digest("hex")}  ${name}\n`).join("");
  }
}
