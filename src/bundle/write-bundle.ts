import { createHash, type Hash as Hashing } from "node:crypto";
import { parseEntry } from "../audit/entry.ts";
import { type Hash, leafHash } from "../audit/hash.ts";
import type { ChosenRecord, Gap } from "./chosen.store.ts";
import { writeDeliveryLine } from "./delivery-line.ts";
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
  /** Writes a file that is no longer than what is held anyway. */
  put(name: string, bytes: Uint8Array | string): Promise<void>;
  /** Nothing more comes: what was appended is written. */
  end(): Promise<void>;
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
  for (const { sha256: hash, content } of definitions) await files.put(FILES.definition(hash), content);
  await files.append(FILES.html, htmlHead(manifest));
  await files.append(FILES.csv, CSV_HEAD);
  for (const log of record.logs) {
    await files.append(FILES.checkpoint(log.log), log.note);
    for (const note of log.keys) await files.append(FILES.keys(log.log), `${note}\n`);
    let covered = 0;
    let delivered = 0;
    for await (const page of record.pages(log.positions)) {
      const gaps = page.map(
        ({ position }, i): Gap => ({ begin: (page[i - 1]?.position ?? log.first + covered - 1) + 1 - log.first, end: position - log.first }),
      );
      const roots = [...(await record.roots(log, gaps))];
      for (const [i, { position, bytes, raw }] of page.entries()) {
        const { begin, end } = gaps[i] ?? { begin: 0, end: 0 };
        const leaf = writeTreeLine({ subtree: { level: 0, index: end }, hash: leafHash(bytes), position });
        await files.append(FILES.tree(log.log), `${treeLines({ begin, end }, roots)}${leaf}`);
        if (bytes.indexOf(0x0a) === -1 || bytes.indexOf(0x0a) !== bytes.lastIndexOf(0x0a))
          throw new NotAnEntry(`The entry at position ${position} is none. Verify the record.`);
        await files.append(FILES.entries(log.log), bytes);
        await files.append(FILES.entries(log.log), "\n");
        if (raw !== null) {
          await files.append(FILES.deliveryLines(log.log), writeDeliveryLine({ position, offset: delivered, length: raw.length }));
          await files.append(FILES.deliveries(log.log), raw);
          delivered += raw.length;
        }
        const item = itemAt(position, bytes);
        await files.append(FILES.html, htmlRow(item, batch));
        await files.append(FILES.csv, csvRow(item, batch));
        covered = end + 1;
      }
    }
    const rest = { begin: covered, end: log.size };
    await files.append(FILES.tree(log.log), treeLines(rest, [...(await record.roots(log, [rest]))]));
  }
  await files.append(FILES.html, HTML_END);
  await folder.append(FILES.sums, files.sums());
  await folder.end();
  return manifest;
}

/** What lies between two leaves; takes the roots from the front. */
const treeLines = ({ begin, end }: Gap, roots: Hash[]): string =>
  between(begin, end)
    .map((subtree) => writeTreeLine({ subtree, hash: roots.shift() ?? Buffer.alloc(0), position: null }))
    .join("");

/** The batches whose record the entries of a range change. */
async function batchesIn(record: ChosenRecord, made: Exported): Promise<readonly string[]> {
  const named = new Set<string>();
  for (const { positions } of record.logs)
    for await (const page of record.pages(positions))
      for (const { position, bytes } of page) if (position !== made.position) for (const batch of Object.keys(parseEntry(bytes).head.batches)) named.add(batch);
  return [...named];
}

/** A folder that keeps the sums of what is written into it. */
class Summed {
  private readonly folder: Folder;
  private readonly hashes = new Map<string, Hashing>();

  constructor(folder: Folder) {
    this.folder = folder;
  }

  async append(name: string, bytes: Uint8Array | string): Promise<void> {
    const hash = this.hashes.get(name) ?? createHash("sha256");
    this.hashes.set(name, hash.update(bytes));
    await this.folder.append(name, bytes);
  }

  /** What is there already is the same: such files are named by their bytes. */
  async put(name: string, bytes: Uint8Array | string): Promise<void> {
    if (this.hashes.has(name)) return;
    this.hashes.set(name, createHash("sha256").update(bytes));
    await this.folder.put(name, bytes);
  }

  /** As `sha256sum -c` reads them. */
  sums(): string {
    return [...this.hashes].map(([name, hash]) => `${hash.digest("hex")}  ${name}\n`).join("");
  }
}
