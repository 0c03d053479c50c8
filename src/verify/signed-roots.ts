import { disposedIn } from "../audit/disposed-line.ts";
import type { Entry } from "../audit/entry.ts";
import { Ahead } from "./ahead.ts";
import type { Finding, Findings } from "./finding.ts";
import type { LogCheck, Mark } from "./log-check.ts";
import type { CheckpointRow, LogRow, SiteRecord } from "./record.ts";
import { missingEntries, restoreIn } from "./refusals.ts";
import { claimOf, type Given, Trust, WHICH_KEY } from "./trust.ts";

/** A note that was kept somewhere else, and where it was found: a file's name, a topic. */
export interface AnchorNote {
  readonly note: string;
  readonly found: string;
}

/** The roots that somebody signed for the sizes of a site's logs, each read and verified, brought to the log when it has reached the size. */
export class SignedRoots {
  /** How many were compared. */
  readonly compared = { checkpoint: 0, anchor: 0 };
  /** The size of the log's last checkpoint in the database. */
  checkpointed = 0;
  /** Up to which position entries were disposed of, by the word of a signer who is believed; 0: of none. */
  disposed = 0;
  /** What was signed and lost with a restore that is on record, in words. */
  readonly lost: string[] = [];
  /** The logs that the next one breaks off, with the size of their last anchor. */
  private readonly brokenOff = new Map<number, number>();
  private readonly record: SiteRecord;
  private readonly findings: Findings;
  private readonly given: Given | null;
  private readonly notes: readonly AnchorNote[];
  private readonly byDatabase: Trust | null;
  private anchors: readonly Mark[] = [];
  /** How many of them were brought. */
  private brought = 0;
  private rows: Ahead<CheckpointRow> = new Ahead(none());
  /** The first that nobody known has signed, until one is signed by somebody who is. */
  private stranger: Finding | null = null;

  constructor(record: SiteRecord, given: Given | null, notes: readonly AnchorNote[] | null, findings: Findings) {
    this.record = record;
    this.findings = findings;
    this.given = given;
    this.notes = notes ?? [];
    this.byDatabase = given === null ? null : new Trust(given);
  }

  /** The roots of this log come next. */
  open(log: LogRow): void {
    this.anchors = this.given === null ? [] : anchorMarks(this.given, this.notes, log.origin, this.findings);
    for (const { disposed = 0 } of this.anchors) this.disposed = Math.max(this.disposed, disposed);
    this.brought = 0;
    this.rows = new Ahead(this.record.checkpoints(log.log));
    this.checkpointed = 0;
  }

  /** Brings the roots of the size that the log has. */
  async bring(log: LogRow, check: LogCheck): Promise<void> {
    for (let next = this.anchors[this.brought]; next !== undefined && next.size <= check.size; next = this.anchors[this.brought]) {
      this.brought += 1;
      if (next.size === check.size) this.mark(check, next);
    }
    for await (const row of this.rows.while(({ size }) => size <= check.size)) {
      const mark = this.markOf(log, row);
      if (mark !== null && mark.size === check.size) this.mark(check, mark);
    }
  }

  /** What was signed beyond the last entry of the log. `next`: the one that begins where this one ends. */
  async close(log: LogRow, next: LogRow | null, check: LogCheck): Promise<void> {
    const [site, from] = [this.record.site, log.first + check.size];
    const anchor = this.anchors.slice(this.brought).at(-1);
    if (anchor !== undefined && next?.why === "restore") {
      this.brokenOff.set(log.log, anchor.size);
      this.lost.push(
        `positions ${from} to ${log.first + anchor.size - 1} of ${log.origin}, which were signed, and lost with the restore that is on record at position ${next.first}`,
      );
    } else if (anchor !== undefined)
      this.findings.add(
        missingEntries(site, from, log.first + anchor.size - 1, `An anchor of ${log.origin} has ${anchor.size} entries; ${check.size} are there.`),
      );
    let last: Mark | null = null;
    for await (const row of this.rows.while(() => true)) last = this.markOf(log, row) ?? last;
    if (last !== null && anchor === undefined)
      this.findings.add(
        missingEntries(site, from, log.first + last.size - 1, `The last checkpoint of ${log.origin} has ${last.size} entries; ${check.size} are there.`),
      );
  }

  /** A restore is on record, with what was signed of the log that it breaks off: an anchor of that log may not say more. */
  restored(position: number, entry: Entry): void {
    const { log, size } = restoreIn(entry).signed;
    for (const [broken, anchored] of this.brokenOff) {
      if (broken === log && anchored <= Number(size)) continue;
      const said = broken === log ? `${size} entries of it were signed` : "nothing of it";
      const detail = `An anchor of log ${broken} has ${anchored} entries; the entry of the restore at position ${position} says that ${said}.`;
      const key = { site: this.record.site, position };
      this.findings.add({
        severity: "incomplete",
        position,
        table: "audit_entries",
        key,
        column: "entry",
        stored: String(size),
        expected: String(anchored),
        detail,
      });
    }
    this.brokenOff.clear();
  }

  /** Anchors of logs that the database does not know, and whom nobody could believe. */
  end(): void {
    const { site, logs } = this.record;
    if (this.stranger !== null) this.findings.add(this.stranger);
    const unknown = new Map(this.notes.map(({ note, found }) => [claimOf(note)?.origin ?? "", found]));
    for (const [origin, found] of unknown) {
      const log = Number(origin.split("/")[2]);
      if (origin !== `signalbox/${site}/${log}` || logs.some((one) => one.origin === origin)) continue;
      const instead = logs.find((one) => one.log > log && one.why === "restore");
      const detail = `${found} holds a checkpoint of ${origin}, and there is no such log.`;
      if (instead !== undefined) this.lost.push(`all of ${origin}, which was signed, and lost with the restore that is on record at position ${instead.first}`);
      else
        this.findings.add({
          severity: "incomplete",
          position: null,
          table: "audit_logs",
          key: { site, log },
          column: null,
          stored: null,
          expected: "a row",
          detail,
        });
    }
  }

  private mark(check: LogCheck, mark: Mark): void {
    this.compared[mark.kind] += 1;
    check.mark(mark);
  }

  private markOf({ log, origin }: LogRow, { size, root, note }: CheckpointRow): Mark | null {
    this.checkpointed = size;
    const base = { position: null, table: "audit_checkpoints", key: { site: this.record.site, log, size } };
    const altered = (column: string, stored: string, expected: string, detail: string): null => {
      this.findings.add({ ...base, severity: "altered", column, stored, expected, detail });
      return null;
    };
    // unsigned, a root still shows an entry that was changed without it
    if (this.byDatabase === null) return { kind: "checkpoint", size, root };
    const read = this.byDatabase.read(note);
    if (read.kind === "refused") return altered("note", note, "a note that its signer made", `The checkpoint of size ${size} is refused (${read.because}).`);
    if (read.kind === "stranger") {
      // whom an anchor shows to have signed before did not give way to a stranger
      const instead = read.impostor || this.anchors.some((anchor) => anchor.size <= size);
      const finding = this.byStranger(base, size, instead);
      if (instead) this.findings.add(finding);
      else this.stranger ??= finding;
      return null;
    }
    this.stranger = null;
    const { checkpoint } = read;
    if (checkpoint.origin !== origin) return altered("note", checkpoint.origin, origin, `The checkpoint of size ${size} is another log's.`);
    if (checkpoint.size !== size) return altered("size", String(size), String(checkpoint.size), "A checkpoint stands at another size than it was signed for.");
    if (!checkpoint.root.equals(root))
      return altered("root", root.toString("base64"), checkpoint.root.toString("base64"), "A checkpoint's root is not the one that was signed.");
    this.disposed = Math.max(this.disposed, disposedIn(checkpoint));
    return { kind: "checkpoint", size, root };
  }

  private byStranger(base: Pick<Finding, "position" | "table" | "key">, size: number, impostor: boolean): Finding {
    const detail = impostor
      ? `The checkpoint of size ${size} was made by a key that no note before it has introduced. If the signer had more keys than you gave, give all of them.`
      : `The checkpoint of size ${size} is signed by none of the keys that you gave. ${WHICH_KEY}`;
    return {
      ...base,
      severity: impostor ? "altered" : "unclear",
      column: "note",
      stored: "a stranger's signature",
      expected: "a signature by a key that you gave",
      detail,
    };
  }
}

/** The roots that the anchors of one log hold, in the order of their sizes, each size once; what cannot be believed is found. */
export function anchorMarks(given: Given, notes: readonly AnchorNote[], origin: string, findings: Findings): readonly Mark[] {
  const trust = new Trust(given);
  for (const note of introducedBefore(origin, notes)) trust.read(note);
  const marks = new Map<number, Mark>();
  const claimed = notes.map((one) => ({ ...one, claim: claimOf(one.note) })).filter(({ claim }) => claim?.origin === origin);
  for (const { note, found } of claimed.sort((one, other) => (one.claim?.size ?? 0) - (other.claim?.size ?? 0))) {
    const refused = (severity: Finding["severity"], expected: string, detail: string): void =>
      findings.add({ severity, position: null, table: "anchors", key: { file: found }, column: null, stored: note, expected, detail });
    const read = trust.read(note);
    if (read.kind !== "signed") {
      // who keeps anchors need not have kept them from the first key on
      if (read.kind === "refused" || read.impostor)
        refused(
          "altered",
          "a note that its signer made",
          `A note in ${found} was not made by a key that you gave (${read.kind === "refused" ? read.because : "unknown-key"}).`,
        );
      else refused("unclear", "a note by a key that you gave", `A note in ${found} is signed by none of the keys that you gave. ${WHICH_KEY}`);
      continue;
    }
    const { size, root } = read.checkpoint;
    if (marks.get(size)?.root.equals(root) === false) refused("altered", "one root for a size", `Two roots are signed for size ${size} of ${origin}.`);
    else if (size > 0) marks.set(size, { kind: "anchor", size, root, disposed: disposedIn(read.checkpoint) });
  }
  return [...marks.values()];
}

/** Notes of earlier logs that introduce a key, in order: whoever has the first key finds through them the one that signs this log. */
function introducedBefore(origin: string, notes: readonly AnchorNote[]): readonly string[] {
  const numberOf = (name: string): number => Number(name.split("/")[2]);
  return notes
    .flatMap(({ note }) => {
      const claim = note.includes("\nkey ") ? claimOf(note) : null;
      return claim === null || !(numberOf(claim.origin) < numberOf(origin)) ? [] : [{ note, log: numberOf(claim.origin), size: claim.size }];
    })
    .sort((one, other) => one.log - other.log || one.size - other.size)
    .map(({ note }) => note);
}

async function* none(): AsyncGenerator<never> {}
