import { createHash, hash } from "node:crypto";
import { Cover } from "../audit/cover.ts";
import { type Entry, parseEntry, trailItem } from "../audit/entry.ts";
import { leafHash } from "../audit/hash.ts";
import { readMirror } from "../audit/mirror.ts";
import { type Deliveries, deliveriesOf } from "../bundle/deliveries.ts";
import type { BundleFolder } from "../bundle/folder.file.ts";
import { type BundledLog, EXPORTED, FILES, type Manifest, nameOf, readManifest } from "../bundle/manifest.ts";
import { CSV_HEAD, csvRow } from "../bundle/record-csv.ts";
import { HTML_END, htmlHead, htmlRow } from "../bundle/record-html.ts";
import { readTreeLine } from "../bundle/tree-line.ts";
import { BatchNumbers } from "./batch-numbers.ts";
import { type Decisions, decidedOtherwise } from "./decided-again.ts";
import { type Finding, Findings, type Severity } from "./finding.ts";
import { type AnchorNote, anchorMarks } from "./signed-roots.ts";
import { claimOf, type Given, Trust, WHICH_KEY } from "./trust.ts";
import { type Verified, withoutKey } from "./verify-site.ts";

export interface BundleOptions {
  readonly keys: Given | null;
  readonly anchors: readonly AnchorNote[] | null;
  /** Decides again what the bundle holds, as far as its commits are whole, and may do it beside what is verified; null: nobody decides anything. */
  readonly replay: ((manifest: Manifest) => Deciding) | null;
  progress(position: number, of: number): void;
}

export interface Deciding {
  /** Null: the bundle holds too little. */
  result(): Promise<(Decisions & { readonly position: number }) | null>;
  /** It is of no account any more. */
  discard(): void;
}

/** What lies there cannot be read as a bundle. */
export class NoBundle extends Error {}

/** Verifies a bundle by what is in it, the keys and the anchors: no database, no network. */
export async function verifyBundle(folder: BundleFolder, options: BundleOptions): Promise<Verified> {
  if (!folder.has(FILES.manifest)) throw new NoBundle(`There is no ${FILES.manifest} there.`);
  const manifest = readManifest(folder.text(FILES.manifest));
  if (manifest === null) throw new NoBundle(`${FILES.manifest} is not one that this version can read.`);
  const verification = new BundleVerification(folder, manifest, options);
  await verification.run();
  return verification.result();
}

class BundleVerification {
  private readonly folder: BundleFolder;
  private readonly manifest: Manifest;
  private readonly options: BundleOptions;
  private readonly findings = new Findings();
  private readonly numbers: BatchNumbers;
  private readonly batch: string | null;
  private readonly trust: Trust | null;
  private readonly html = createHash("sha256");
  private readonly csv = createHash("sha256");
  private first: number | null = null;
  private last = 0;
  private count = 0;
  /** Of a range: the position up to which all are there. */
  private through = 0;
  /** Whether every log's files are there: only then it is known what was to be read. */
  private whole = true;
  private exportEntry: Entry | null = null;
  private readonly compared = { checkpoint: 0, anchor: 0 };
  private made = "";
  /** Of which decisions nothing is said, and why; null: of none. */
  private undecided: string | null = null;
  /** The deliveries of the entry that was looked at last. */
  private delivered: readonly string[] = [];
  /** Files of deliveries that have the bytes by whose hash they are named. */
  private readonly sound = new Set<string>();
  /** Files of which something was said. */
  private readonly said = new Set<string>();

  constructor(folder: BundleFolder, manifest: Manifest, options: BundleOptions) {
    this.folder = folder;
    this.manifest = manifest;
    this.options = options;
    const { of } = manifest;
    this.batch = "batch" in of ? of.batch : null;
    this.numbers = new BatchNumbers(manifest.site, (batch) => ("batch" in of ? (of.batch === batch ? "all" : "none") : "from the first"));
    this.through = "from" in of ? of.from - 1 : 0;
    this.trust = options.keys === null ? null : new Trust(options.keys);
  }

  async run(): Promise<void> {
    const { manifest, findings, options } = this;
    const deciding = options.replay?.(manifest) ?? null;
    if (options.keys === null) findings.add(withoutKey(manifest.site));
    this.html.update(htmlHead(manifest));
    this.csv.update(CSV_HEAD);
    for (const log of manifest.logs) await this.log(log);
    this.html.update(HTML_END);
    if (this.whole) {
      this.sameBytes(FILES.html, this.html.digest("hex"), SAYS_OTHER);
      this.sameBytes(FILES.csv, this.csv.digest("hex"), SAYS_OTHER);
    }
    for (const { name, sha256 } of manifest.definitions) this.sameBytes(FILES.definition(sha256), sha256, `It is not ${name} as it was registered.`);
    this.complete();
    this.sums();
    await this.decidedAgain(deciding);
  }

  private async decidedAgain(deciding: Deciding | null): Promise<void> {
    const { findings, manifest } = this;
    const sound = findings.count("altered") + findings.count("incomplete") === 0;
    if (!sound) deciding?.discard();
    const again = sound ? ((await deciding?.result()) ?? null) : null;
    if (again === null) {
      const why = deciding === null ? "" : sound ? ": that takes the whole record, from position 1 on" : ", since what they rest on is not as it was signed";
      this.undecided = `the decisions: they were not replayed${why}`;
      return;
    }
    for (const finding of decidedOtherwise(manifest.site, again)) findings.add(finding);
    this.undecided =
      again.stopped === null && "to" in manifest.of && again.position < manifest.of.to
        ? `the decisions behind position ${again.position}: the range may end within their commit`
        : null;
  }

  result(): Verified {
    const { manifest, findings, options, compared } = this;
    return {
      site: manifest.site,
      of: nameOf(manifest.of),
      from: this.first ?? 0,
      to: this.last,
      entries: this.count,
      checkpoints: compared.checkpoint,
      anchors: compared.anchor,
      unsigned: null,
      unanchored: null,
      at: this.made,
      notCovered: [
        `what was recorded behind position ${manifest.export.position}, where the export is on record`,
        ...(options.anchors === null ? ["anchors: none were given, so who has the signer's key could have made all of it"] : []),
        ...(options.anchors !== null && compared.anchor === 0 ? ["anchors: none that were given is of a size that this bundle can be compared at"] : []),
        ...(this.undecided === null ? [] : [this.undecided]),
      ],
      findings,
    };
  }

  private found(
    severity: Severity,
    file: string,
    detail: string,
    stored: string | null = null,
    expected: string | null = null,
    position: number | null = null,
  ): void {
    this.said.add(file);
    const key: Finding["key"] = position === null ? { file } : { file, position };
    this.findings.add({ severity, position, table: "bundle", key, column: null, stored, expected, detail });
  }

  /** Damage on the way: every file has the bytes with which it was written. */
  private sums(): void {
    if (!this.folder.has(FILES.sums)) this.found("incomplete", FILES.sums, "The sums of the files are gone.", null, "a file");
    else this.sumsHold();
  }

  private sumsHold(): void {
    for (const line of this.folder
      .text(FILES.sums)
      .split("\n")
      .filter((one) => one !== "")) {
      const [, hash, name] = /^([0-9a-f]{64}) {2}([A-Za-z0-9./-]+)$/.exec(line) ?? [];
      if (hash === undefined || name === undefined || name.includes(".."))
        this.found("altered", FILES.sums, "It holds a line that is none.", line, "a sum and a name");
      else if (!this.sound.has(name) || name !== FILES.delivery(hash)) this.sameBytes(name, hash, "It is not the file that was written.");
    }
  }

  private sameBytes(name: string, expected: string, detail: string, position: number | null = null): void {
    if (this.said.has(name)) return;
    if (!this.folder.has(name)) {
      this.found("incomplete", name, "A file is gone.", null, "a file", position);
      return;
    }
    const sum = createHash("sha256");
    for (const piece of this.folder.pieces(name)) sum.update(piece);
    const stored = sum.digest("hex");
    if (stored !== expected) this.found("altered", name, detail, stored, expected, position);
  }

  private async log(log: BundledLog): Promise<void> {
    const gone = [FILES.checkpoint(log.log), FILES.tree(log.log), FILES.entries(log.log)].filter((name) => !this.folder.has(name));
    for (const name of gone) this.found("incomplete", name, "A file is gone.", null, "a file");
    this.whole &&= gone.length === 0;
    if (gone.length > 0) return;
    const signed = this.checkpoint(log);
    const cover = new Cover();
    const anchors = this.options.keys === null ? [] : anchorMarks(this.options.keys, this.options.anchors ?? [], log.origin, this.findings);
    const entries = this.folder.pairs(FILES.entries(log.log))[Symbol.iterator]();
    const deliveries = deliveriesOf(this.folder, this.manifest, log);
    for (const text of this.folder.lines(FILES.tree(log.log))) {
      const line = readTreeLine(text.toString());
      if (line === null || !cover.fits(line.subtree))
        return this.found("altered", FILES.tree(log.log), "The tree has a line that does not follow on the one before.", text.toString().slice(0, 100));
      cover.put(line.subtree, line.hash);
      if (line.position !== null) {
        const next = entries.next();
        // an entry has two lines
        if (next.done === true || !next.value.includes(0x0a))
          return this.found("incomplete", FILES.entries(log.log), `There is no entry for position ${line.position}.`, null, "an entry", line.position);
        this.entry(log, line.position, line.subtree.index, line.hash, next.value);
        this.deliveries(deliveries, line.position);
      }
      const anchor = anchors.find(({ size }) => size === cover.size);
      if (anchor !== undefined) this.root(FILES.tree(log.log), cover, anchor.root, "anchor");
    }
    if (entries.next().done !== true) this.found("altered", FILES.entries(log.log), "There are more entries than leaves of them in the tree.");
    const rest = deliveries.rest();
    if (rest !== null) this.found("altered", FILES.deliveryLines(log.log), `There is more than the deliveries that entries tell of: ${rest}.`);
    if (signed === null) return;
    if (cover.size !== signed.size)
      return this.found("incomplete", FILES.tree(log.log), "The tree is not as large as the one that was signed.", String(cover.size), String(signed.size));
    this.root(FILES.tree(log.log), cover, signed.root, "checkpoint");
  }

  private root(file: string, cover: Cover, expected: Buffer, kind: "checkpoint" | "anchor"): void {
    this.compared[kind] += 1;
    if (cover.root().equals(expected)) return;
    this.found(
      "altered",
      file,
      `The tree does not have the root that was signed: the ${kind} of size ${cover.size} holds another.`,
      cover.root().toString("base64"),
      expected.toString("base64"),
    );
  }

  /** The checkpoint, when it is signed by somebody who is known. */
  private checkpoint({ log, origin }: BundledLog): { readonly size: number; readonly root: Buffer } | null {
    const file = FILES.checkpoint(log);
    const note = this.folder.text(file);
    if (this.trust === null) return unsigned(note);
    if (this.folder.has(FILES.keys(log))) for (const introduction of readMirror(this.folder.text(FILES.keys(log))).notes) this.trust.read(introduction);
    const read = this.trust.read(note);
    if (read.kind === "signed") {
      if (read.checkpoint.origin === origin && origin === `signalbox/${this.manifest.site}/${log}`) return read.checkpoint;
      this.found("altered", file, "The checkpoint is another log's.", read.checkpoint.origin, `signalbox/${this.manifest.site}/${log}`);
      return null;
    }
    if (read.kind === "refused") this.found("altered", file, `The checkpoint is refused (${read.because}).`, note, "a note that its signer made");
    else if (read.impostor)
      this.found("altered", file, "The checkpoint was made by a key that no note here has introduced.", note, "a note that its signer made");
    else this.found("unclear", file, `The checkpoint is signed by none of the keys that you gave. ${WHICH_KEY}`, note, "a note by a key that you gave");
    return null;
  }

  private entry(log: BundledLog, position: number, index: number, leaf: Buffer, bytes: Buffer): void {
    const file = FILES.entries(log.log);
    this.count += 1;
    this.delivered = [];
    const own = leafHash(bytes);
    if (!own.equals(leaf))
      this.found("altered", file, `The entry at position ${position} is not the one that was signed.`, own.toString("hex"), leaf.toString("hex"), position);
    const entry = readEntry(bytes);
    if (entry === null) {
      this.found("altered", file, `The entry at position ${position} is none.`, null, null, position);
      return;
    }
    const { head, body } = entry;
    if (head.site !== this.manifest.site || head.position !== position || index !== position - log.first)
      this.found(
        "altered",
        file,
        "An entry is of another place than it stands at.",
        `${head.site} ${head.position}`,
        `${this.manifest.site} ${position}`,
        position,
      );
    for (const finding of this.numbers.next(entry)) this.findings.add(finding);
    const item = trailItem(entry);
    this.html.update(htmlRow(item, this.batch));
    this.csv.update(csvRow(item, this.batch));
    this.first ??= position;
    this.last = position;
    this.made = head.time;
    if (position === this.through + 1) this.through = position;
    if (position === this.manifest.export.position) this.exportEntry = entry;
    this.delivered = (body["signals"] ?? []).flatMap(({ raw_sha256 }) => (typeof raw_sha256 === "string" ? [raw_sha256] : []));
    if (this.count % 1_000 === 0) this.options.progress(position, this.manifest.export.position);
  }

  private deliveries(deliveries: Deliveries, position: number): void {
    for (const sha256 of this.delivered) {
      const bytes = deliveries.at(position, sha256);
      const own = bytes === null ? null : hash("sha256", bytes, "hex");
      const file = deliveries.fileOf(sha256);
      if (own === sha256) this.sound.add(file);
      else if (own === null) this.found("incomplete", file, "A delivery is gone.", null, sha256, position);
      else this.found("altered", file, "A delivery is not the one that its entry tells of.", own, sha256, position);
    }
  }

  /** The export's own entry says how much there was. */
  private complete(): void {
    const { of, export: made, site } = this.manifest;
    const file = FILES.manifest;
    const act = this.exportEntry?.body["signals"]?.[0];
    const { object, new: said } = Object(act?.["body"]);
    if (act === undefined || act["type"] !== EXPORTED) {
      const detail = `The entry of the export, at position ${made.position}, is not there: nobody says how much there was.`;
      this.found("incomplete", file, detail, null, EXPORTED, made.position);
      return;
    }
    if (object !== nameOf(of)) this.found("altered", file, "The entry of the export tells of another export.", nameOf(of), String(object), made.position);
    const was = Number(Object(said).entries);
    const there = "batch" in of ? this.numbers.of(of.batch) : this.through - of.from + 1;
    const whole = "batch" in of ? there === was : this.through >= of.to;
    if (!whole)
      this.found(
        "incomplete",
        file,
        `When it was exported, ${nameOf(of)} of site ${site} had ${was} entries; the bundle has them up to the ${there}th.`,
        String(there),
        String(was),
        made.position,
      );
  }
}

const SAYS_OTHER = "It does not say what the entries say.";

function readEntry(bytes: Buffer): Entry | null {
  try {
    return parseEntry(bytes);
  } catch {
    return null;
  }
}

/** What a checkpoint says, unsigned: it still shows what was changed without it. */
function unsigned(note: string): { readonly size: number; readonly root: Buffer } | null {
  const claim = claimOf(note);
  return claim === null ? null : { size: claim.size, root: Buffer.from(note.split("\n")[2] ?? "", "base64") };
}
