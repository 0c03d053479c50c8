import { HASH_BYTES, leafHash } from "../audit/hash.ts";
import { TILE_WIDTH } from "../audit/tiles.ts";
import type { Finding, Findings } from "./finding.ts";
import type { LogRow, SiteRecord } from "./record.ts";

/** The leaf hashes that a disposal has kept of an ended log's last tile, which is not full, beside the archived entries. Where no archive is at hand the signed roots tell. */
export class EndLeaves {
  private readonly site: string;
  private readonly log: number;
  private readonly rows: SiteRecord["ends"];
  /** The leaves that must be kept: [begin, end). */
  private readonly begin: number;
  private readonly end: number;
  private wrong: number | null = null;

  constructor({ site, ends, disposed }: Pick<SiteRecord, "site" | "ends" | "disposed">, log: LogRow, next: LogRow | null) {
    this.site = site;
    this.log = log.log;
    this.rows = ends.filter((row) => row.log === log.log);
    const size = next === null ? 0 : next.first - log.first;
    this.begin = size - (size % TILE_WIDTH);
    this.end = Math.max(this.begin, Math.min(size, disposed.positions + 1 - log.first));
  }

  next(index: number, bytes: Uint8Array): void {
    if (index < this.begin || index >= this.end || this.wrong !== null) return;
    const row = this.rows.find(({ firstIndex, hashes }) => index >= firstIndex && index < firstIndex + hashes.length / HASH_BYTES);
    const at = (index - (row?.firstIndex ?? 0)) * HASH_BYTES;
    if (row !== undefined && !row.hashes.subarray(at, at + HASH_BYTES).equals(leafHash(bytes))) this.wrong = row.firstIndex;
  }

  finish(findings: Findings): void {
    if (this.wrong !== null) this.found(findings, "altered", this.wrong, "hashes", "A leaf hash that was kept is not that of the entry.");
    let at = this.begin;
    for (const { firstIndex, hashes } of this.rows) {
      if (firstIndex !== at) break;
      at += hashes.length / HASH_BYTES;
    }
    if (at === this.end && this.rows.length === this.count()) return;
    if (at < this.end) this.found(findings, "incomplete", at, null, "Leaf hashes of an ended log's last tile are gone.");
    else this.found(findings, "altered", this.rows.at(-1)?.firstIndex ?? at, null, "There are leaf hashes that no disposal has kept.");
  }

  /** The rows that follow on each other up to the last leaf. */
  private count(): number {
    let at = this.begin;
    return this.rows.filter(({ firstIndex, hashes }) => {
      const follows = firstIndex === at && at < this.end;
      at += follows ? hashes.length / HASH_BYTES : 0;
      return follows;
    }).length;
  }

  private found(findings: Findings, severity: Finding["severity"], first_index: number, column: string | null, detail: string): void {
    const key = { site: this.site, log: this.log, first_index };
    findings.add({ severity, position: null, table: "disposed_leaves", key, column, stored: null, expected: null, detail });
  }
}
