import type { Entry } from "../audit/entry.ts";
import { Ahead } from "./ahead.ts";
import type { Finding, Findings } from "./finding.ts";
import type { SiteRecord } from "./record.ts";
import { type Columns, shown } from "./told-rows.ts";

/** The columns of `commits` that entries tell of: those of one base are one commit. What the group was called while it was in flight is on record nowhere. */
export const COMMIT_COLUMNS = ["site", "shard", "term", "first_position", "last_position", "committed_at"] as const;

/** The rows of commits beside the entries that they brought. Acts come alone and without such a row. */
export class CommitRows {
  private readonly site: string;
  private readonly rows: Ahead<Columns>;
  private readonly findings: Findings;
  private open: { readonly head: Entry["head"]; readonly isAct: boolean; last: number } | null = null;
  /** Behind an entry that is missing or cannot be read nobody knows which commit is which. */
  private blind = false;
  /** Up to this position entries were disposed of, and commits are not compared. */
  private skipped = 0;

  constructor(record: SiteRecord, findings: Findings) {
    this.site = record.site;
    this.rows = new Ahead(record.commits());
    this.findings = findings;
  }

  async next(position: number, entry: Entry | null): Promise<void> {
    if (entry === null || (this.open !== null && position !== this.open.last + 1)) this.blind = true;
    if (this.blind || entry === null) return;
    const { head, body } = entry;
    if (this.open !== null && this.open.head.base === head.base) {
      this.open.last = position;
      return;
    }
    await this.close();
    const begins = head.base + 1 === position;
    // its first entry is not there
    if (!begins && head.base >= this.skipped) this.blind = true;
    this.open = { head, isAct: !begins || body["signals"]?.[0]?.["kind"] === "act", last: position };
  }

  /** The entries up to a position were disposed of: what they told of commits is not known. */
  async skip(to: number): Promise<void> {
    await this.close();
    for await (const _ of this.rows.while((next) => Number(next["first_position"]) <= to));
    this.skipped = to;
  }

  async end(): Promise<void> {
    if (this.blind) return;
    await this.close();
    for await (const row of this.rows.while(() => true)) this.extra(row);
  }

  private async close(): Promise<void> {
    if (this.open === null) return;
    const { head, isAct, last } = this.open;
    this.open = null;
    const { site } = this;
    const { shard, term, base, time } = head;
    const wanted: Columns = { site, shard, term, first_position: base + 1, last_position: last, committed_at: time };
    let found = isAct;
    for await (const row of this.rows.while((next) => Number(next["first_position"]) <= last)) {
      if (found || Number(row["first_position"]) !== base + 1) this.extra(row);
      else {
        found = true;
        this.compare(row, wanted);
      }
    }
    if (!found)
      this.findings.add({
        ...this.at(wanted),
        severity: "incomplete",
        column: null,
        stored: null,
        expected: "a row",
        detail: "The row of a commit that the entries tell of is gone.",
      });
  }

  private compare(row: Columns, wanted: Columns): void {
    const column = COMMIT_COLUMNS.find((name) => shown(name, row[name]) !== shown(name, wanted[name]));
    if (column === undefined) return;
    const [stored, expected] = [shown(column, row[column]), shown(column, wanted[column])];
    this.findings.add({ ...this.at(row), severity: "altered", column, stored, expected, detail: `commits.${column} is not what the entries say.` });
  }

  private extra(row: Columns): void {
    this.findings.add({
      ...this.at(row),
      severity: "altered",
      column: null,
      stored: "a row",
      expected: null,
      detail: "There is a row of commits of which no entry tells.",
    });
  }

  private at(row: Columns): Pick<Finding, "position" | "table" | "key"> {
    const first = Number(row["first_position"]);
    return { position: first, table: "commits", key: { site: this.site, first_position: first } };
  }
}
