import { type Entry, parseEntry } from "../audit/entry.ts";
import { Ahead } from "./ahead.ts";
import { BatchNumbers } from "./batch-numbers.ts";
import { ByActs, type ToldDisposed } from "./by-acts.ts";
import { CommitRows } from "./commit-rows.ts";
import { compareRows } from "./compare-rows.ts";
import { type Decisions, decidedOtherwise } from "./decided-again.ts";
import { compareApprovals, compareDefinitions } from "./definitions.ts";
import { EndLeaves } from "./end-leaves.ts";
import { Findings } from "./finding.ts";
import { KeptTiles } from "./kept-tiles.ts";
import { LogCheck } from "./log-check.ts";
import type { EntryRow, LogRow, RowAt, SiteRecord } from "./record.ts";
import { missingEntries, refuseDisposal, refuseHead, refuseLogs, refusePlace, refuseRestore, stray, unreadable } from "./refusals.ts";
import { type AnchorNote, SignedRoots } from "./signed-roots.ts";
import { compareStanding, type Standing, tableOf } from "./standing.ts";
import { type Columns, isDropped, KEPT_VERDICTS, monthOf, TOLD, type Told } from "./told-rows.ts";
import type { Given } from "./trust.ts";

/** What deciding a record again came to, and where it has led. */
export interface DecidedAgain extends Decisions {
  /** How the rows must stand that what was decided brings about. */
  readonly standing: Iterable<Standing>;
  /** What of them cannot be told, in words. */
  readonly untold: readonly string[];
}

export interface VerifyOptions {
  /** Null: none was handed over, so nobody vouches for anything. */
  readonly keys: Given | null;
  /** Notes that were kept where the database's administrator cannot write; null: none were handed over. */
  readonly anchors: readonly AnchorNote[] | null;
  /** The state machines that are shipped: by name and revision, the hash under which they are published. */
  readonly shipped: ReadonlyMap<string, string>;
  /** Decides everything again; null: nobody does. */
  readonly replay: (() => Promise<DecidedAgain>) | null;
  progress(position: number, of: number): void;
}

/** From a position on nothing was signed, or anchored; and since when that is so. */
export interface Tail {
  readonly from: number;
  readonly to: number;
  readonly since: string;
}

export interface Verified {
  readonly site: string;
  /** Null: everything; otherwise what was exported. */
  readonly of: string | null;
  /** The first position that has an entry, and the last. */
  readonly from: number;
  readonly to: number;
  readonly entries: number;
  /** Signed roots that were compared: checkpoints of the database, and anchors. */
  readonly checkpoints: number;
  readonly anchors: number;
  /** Behind the last root that was signed; null: all is signed, or something is wrong with the roots. */
  readonly unsigned: Tail | null;
  /** Behind the last anchor, likewise; null also where no anchors were handed over. */
  readonly unanchored: Tail | null;
  /** What was not looked at, or could not be. */
  readonly notCovered: readonly string[];
  /** When the record was read, by the database's clock. */
  readonly at: string;
  readonly findings: Findings;
}

/** Verifies the record of a site: folds its entries in order, and holds everything else against them. */
export async function verifySite(record: SiteRecord, options: VerifyOptions): Promise<Verified> {
  const verification = new Verification(record, options);
  await verification.run();
  return verification.result();
}

class Verification {
  private readonly record: SiteRecord;
  private readonly options: VerifyOptions;
  private readonly findings = new Findings();
  private readonly numbers: BatchNumbers;
  private readonly roots: SignedRoots;
  private readonly entries: Ahead<EntryRow>;
  private readonly lists: readonly { readonly told: Told; readonly rows: Ahead<RowAt> }[];
  private readonly acts: ByActs;
  private readonly commits: CommitRows;
  private count = 0;
  /** Not looked at, or not to be told, beside what the roots say. */
  private readonly untold: string[] = [];
  /** The last position that was looked at, whether or not there was an entry. */
  private last: number;
  /** Up to this position only leaf hashes were there. */
  private skipped = 0;
  private readonly months: ReadonlySet<string>;
  private unsigned: Tail | null = null;
  private unanchored: Tail | null = null;

  constructor(record: SiteRecord, options: VerifyOptions) {
    this.record = record;
    this.options = options;
    // a batch's numbers that begin within what was disposed of begin where they go on
    this.numbers = new BatchNumbers(record.site, () => (this.skipped > 0 ? "from the first" : "all"));
    this.months = new Set(record.disposed.batches);
    this.roots = new SignedRoots(record, options.keys, options.anchors, this.findings);
    this.entries = new Ahead(record.entries());
    this.acts = new ByActs(record.site, record.logs[0] ?? null);
    this.commits = new CommitRows(record, this.findings);
    this.lists = [...TOLD, KEPT_VERDICTS].map((told) => ({ told, rows: new Ahead(record.rows(told)) }));
    this.last = (record.logs[0]?.first ?? 1) - 1;
  }

  async run(): Promise<void> {
    const { record, findings, options } = this;
    const { site, logs } = record;
    if (options.keys === null) findings.add(withoutKey(site));
    for (const finding of refuseLogs(record)) findings.add(finding);
    await this.strays(logs[0] ?? null);
    for (const [i, log] of logs.entries()) await this.follow(log, logs[i + 1] ?? null);
    for (const finding of refuseDisposal(record, this.acts.disposed, options.keys === null ? null : this.roots.disposed)) findings.add(finding);
    for (const { told, rows } of this.lists)
      for await (const { position, row } of rows.while(() => true)) for (const finding of compareRows(site, position, told, [row], null)) findings.add(finding);
    await this.commits.end();
    for (const finding of refuseHead(record, this.last)) findings.add(finding);
    this.roots.end();
    const { definitions, approvals } = await record.definitions();
    const { findings: wrong, untold } = compareDefinitions(site, definitions, this.acts, options.shipped);
    const approved = compareApprovals(site, approvals, this.acts);
    for (const finding of [...wrong, ...approved.findings]) findings.add(finding);
    for (const object of [...untold, ...approved.untold]) this.untold.push(`${object}: it was registered before the log began, and is taken as it stands`);
    // what the entries bring about is known only where all of them are there, and are what was signed
    const whole = !findings.names("audit_entries");
    await this.decideAgain();
    if (whole) for (const must of this.acts.standing()) await this.compare(must);
  }

  private async strays(first: LogRow | null): Promise<void> {
    const before = this.last;
    const found: number[] = [];
    for await (const { position } of this.entries.while((next) => next.position <= before)) found.push(position);
    if (first !== null && found[0] !== undefined) this.findings.add(stray(this.record.site, first, found[0], found.length));
  }

  private async decideAgain(): Promise<void> {
    const { findings, options, untold, skipped } = this;
    if (skipped > 0) {
      untold.push(disposedInWords(skipped, this.acts.disposed), "the decisions: they were not replayed, since that takes the whole record", WITHOUT_DECISIONS);
      return;
    }
    // on what is not as it was signed nothing can be decided again
    const sound = findings.count("altered") + findings.count("incomplete") === 0;
    if (options.replay === null || !sound) {
      untold.push(`the decisions: they were not replayed${options.replay === null ? "" : NOT_AS_SIGNED}`, WITHOUT_DECISIONS);
      return;
    }
    const again = await options.replay();
    for (const finding of decidedOtherwise(this.record.site, again)) findings.add(finding);
    // and where something is decided otherwise, what rests on it stands otherwise too
    if (again.stopped !== null || again.differences.length > 0) untold.push(WITHOUT_DECISIONS);
    else {
      for (const must of again.standing) await this.compare(must);
      untold.push(...again.untold);
    }
  }

  private compare(must: Standing): Promise<void> {
    const { record, findings } = this;
    return compareStanding(
      record.site,
      must,
      () => record.standing(tableOf(must.table)),
      (finding) => findings.add(finding),
    );
  }

  result(): Verified {
    const { record, findings, count, last, roots, options } = this;
    const before = (record.logs[0]?.first ?? 1) - 1;
    const tail = (open: Tail | null): Tail | null => (open === null ? null : { ...open, to: last });
    return {
      site: record.site,
      of: null,
      from: before + 1,
      to: last,
      entries: count,
      checkpoints: roots.compared.checkpoint,
      anchors: roots.compared.anchor,
      unsigned: tail(this.unsigned),
      unanchored: options.anchors === null ? null : tail(this.unanchored),
      notCovered: [
        ...(before > 0 ? [`positions 1 to ${before}, from before the log began`] : []),
        ...roots.lost,
        ...(record.disposed.batches.length === 0 ? [] : [monthsInWords(record.disposed.batches, this.acts.disposed)]),
        ...(options.anchors === null ? [WITHOUT_ANCHORS] : []),
        ...this.untold,
      ],
      at: record.now,
      findings,
    };
  }

  /** One log, up to where the next begins. */
  private async follow(log: LogRow, next: LogRow | null): Promise<void> {
    const { record, findings, entries, roots } = this;
    const end = next === null ? Number.POSITIVE_INFINITY : next.first - 1;
    const check = new LogCheck(record.site, log);
    const tiles = new KeptTiles(record, log);
    const ends = new EndLeaves(record, log, next);
    roots.open(log);
    for await (const { position, bytes } of entries.while((one) => one.position <= end)) {
      if (position > this.last + 1) await this.without(log, check, tiles, position - 1);
      this.last = position;
      this.count += 1;
      ends.next(position - log.first, bytes);
      for (const tile of check.append(bytes)) await tiles.compare(tile, check);
      await roots.bring(log, check);
      await this.entry(log, check, position, bytes);
      if (this.count % 1_000 === 0) this.options.progress(position, record.head.position);
    }
    if (next !== null && this.last < end) await this.without(log, check, tiles, end);
    if (this.skipped < log.first) ends.finish(findings);
    await roots.close(log, next, check);
    await tiles.end(roots.checkpointed, check, findings);
    check.end(findings);
  }

  private async entry(log: LogRow, check: LogCheck, position: number, bytes: Buffer): Promise<void> {
    const { record } = this;
    const entry = readEntry(bytes);
    this.measure(check, position, entry);
    if (entry === null) check.disagrees(unreadable(record.site, position));
    else {
      const refused = [
        ...refusePlace(record.site, position, this.acts.generation, entry),
        ...refuseRestore(record.site, log, entry),
        ...this.numbers.next(entry),
      ];
      for (const finding of refused) check.disagrees(finding);
      if (position === log.first) this.roots.restored(position, entry);
      this.acts.next(entry);
    }
    await this.commits.next(position, entry);
    const wasDisposed = position <= record.disposed.positions;
    for (const { told, rows } of this.lists) {
      const stored = [];
      for await (const { row } of rows.while((one) => one.position <= position)) stored.push(row);
      // of an entry that cannot be read nobody knows what it told
      if (entry === null || (wasDisposed && isDropped(told.table))) continue;
      const here = told === KEPT_VERDICTS && !wasDisposed ? NONE_HERE : told;
      for (const finding of compareRows(record.site, position, here, stored, entry, this.gone)) check.disagrees(finding);
    }
  }

  /** Rows of batches that were opened in a month which was disposed of. */
  private readonly gone = (row: Columns): boolean => this.months.size > 0 && this.months.has(monthOf(row));

  /** Positions without entries: of those that are said to be disposed of the leaf hashes are taken, and held against the signed roots; all others are a hole. */
  private async without(log: LogRow, check: LogCheck, tiles: KeptTiles, to: number): Promise<void> {
    const { record, roots } = this;
    const from = this.last + 1;
    const kept = Math.min(to, record.disposed.positions);
    if (from <= kept) {
      for await (const leaf of record.leaves(log, from, kept)) {
        this.last += 1;
        for (const tile of check.appendLeaf(leaf)) await tiles.compare(tile, check);
        await roots.bring(log, check);
      }
      this.skipped = this.last;
      this.acts.skip(this.last);
      await this.commits.skip(this.last);
      for (const { rows } of this.lists) for await (const _ of rows.while((one) => one.position <= this.last));
    }
    if (this.last < to) await this.hole(check, to);
  }

  /** Since when nothing is signed any more. */
  private measure(check: LogCheck, position: number, entry: Entry | null): void {
    const here: Tail = { from: position, to: position, since: entry?.head.time ?? this.record.now };
    this.unsigned = check.proven >= position ? null : (this.unsigned ?? here);
    this.unanchored = check.anchored >= position ? null : (this.unanchored ?? here);
  }

  private async hole(check: LogCheck, to: number): Promise<void> {
    const from = this.last + 1;
    const detail = from === to ? `There is no entry at position ${from}.` : `There are no entries from position ${from} to ${to}.`;
    check.disagrees(missingEntries(this.record.site, from, to, detail));
    check.hole(to - from + 1);
    this.last = to;
    // what stands there without its entry is said by the hole itself
    for (const { rows } of this.lists) for await (const _ of rows.while((one) => one.position <= to));
  }
}

function readEntry(bytes: Buffer): Entry | null {
  try {
    return parseEntry(bytes);
  } catch {
    return null;
  }
}

const WITHOUT_ANCHORS = "anchors: none were given, so whoever can write to the database can cut off its end, and with the signer's key alter everything";

const NONE_HERE: Told = { ...KEPT_VERDICTS, rows: () => [] };

const monthsInWords = (months: readonly string[], told: ToldDisposed | null): string =>
  `the rows of facts and outcomes of batches that were opened in ${months.join(", ")}, beside what their entries say: they were disposed of${told === null ? "" : `, as entry ${told.position} tells last`}`;

const disposedInWords = (skipped: number, told: ToldDisposed | null): string =>
  told === null
    ? `positions up to ${skipped}: there are only leaf hashes`
    : `what was recorded up to position ${skipped}, except by its leaf hashes, which were signed: ${told.by} disposed of it (entry ${told.position}: ${told.reason}). Archives: ${told.archives
        .map(({ archive, sha256 }) => `${archive} (SHA256SUMS ${sha256})`)
        .join(", ")}, and those of disposals before it; with --archive they are read`;

const NOT_AS_SIGNED = ", since what they rest on is not as it was signed";
const WITHOUT_DECISIONS =
  "the present rows of what was decided (batches, steps, sources, locks …): they are compared when all comes out again as it is recorded";

export const withoutKey = (site: string) =>
  ({
    severity: "unclear",
    position: null,
    table: "audit_checkpoints",
    key: { site },
    column: "note",
    stored: null,
    expected: "a signature by a key that you gave",
    detail: "No key was given, so nobody vouches for the checkpoints: whoever can write to the database can write them too.",
  }) as const;
