import type { Hash } from "../audit/hash.ts";
import { HASH_BYTES, leafHash } from "../audit/hash.ts";
import type { Log } from "../audit/signer.ts";
import { type Tile, TiledTree } from "../audit/tiles.ts";
import type { Finding, Findings } from "./finding.ts";

/** A root that somebody signed for a size: as the database shows it, or as an anchor holds it, which the database's administrator does not. */
export interface Mark {
  readonly kind: "checkpoint" | "anchor";
  readonly size: number;
  readonly root: Hash;
  /** Up to which position entries were disposed of, as it says. */
  readonly disposed?: number;
}

/**
 * One log, folded entry by entry: its tree is made anew and held against every signed root on the way and every tile that is filled. Its memory is the tree's right edge. A root
 * says of all entries behind the last good one that one is wrong; which one, a tile tells, or a row that says something else than its entry.
 */
export class LogCheck {
  private readonly site: string;
  private readonly log: Log;
  /** Null behind a hole: without one leaf no root is known any more. */
  private tree: TiledTree | null = new TiledTree();
  private count = 0;
  private readonly good = { checkpoint: 0, anchor: 0 };
  private failed: { readonly mark: Mark; readonly after: number; readonly root: string } | null = null;
  private differing: { readonly position: number; readonly leaf: string; readonly kept: string } | null = null;
  private readonly wrongTiles: Tile[] = [];
  private readonly disagreeing: Finding[] = [];
  /** Signed roots that could not be compared, or that came behind the first wrong one. */
  skipped = 0;

  constructor(site: string, log: Log) {
    this.site = site;
    this.log = log;
  }

  get size(): number {
    return this.count;
  }

  /** The last position up to which every signed root agrees; below the log's first: none. */
  get proven(): number {
    return this.log.first - 1 + Math.max(this.good.checkpoint, this.good.anchor);
  }

  get anchored(): number {
    return this.log.first - 1 + this.good.anchor;
  }

  /** Whether nothing wrong was found in the tree so far. */
  get whole(): boolean {
    return this.tree !== null && this.failed === null;
  }

  /** The next entry's bytes; gives the tiles that they fill. */
  append(bytes: Uint8Array): readonly Tile[] {
    return this.appendLeaf(leafHash(bytes));
  }

  /** The next entry by its hash alone. */
  appendLeaf(leaf: Hash): readonly Tile[] {
    this.count += 1;
    return this.tree?.append(leaf) ?? [];
  }

  /** So many entries are not there. */
  hole(entries: number): void {
    this.count += entries;
    this.tree = null;
  }

  /** A signed root for the size that was just reached. */
  mark(mark: Mark): void {
    if (this.tree === null || this.failed !== null) {
      this.skipped += 1;
      return;
    }
    const root = this.tree.root();
    if (root.equals(mark.root)) this.good[mark.kind] = mark.size;
    // who has stolen the key can sign checkpoints that agree; of an anchor that does not, only the anchors before it tell from where on
    else
      this.failed = {
        mark,
        after: mark.kind === "anchor" ? this.good.anchor : Math.max(this.good.checkpoint, this.good.anchor),
        root: root.toString("base64"),
      };
  }

  /** A tile as it is kept, beside the one that the entries give. */
  tile(own: Tile, kept: Buffer): void {
    if (own.hashes.equals(kept)) return;
    this.wrongTiles.push(own);
    if (own.level > 0 || this.differing !== null) return;
    for (let i = 0; i < own.hashes.length / HASH_BYTES; i += 1) {
      const [leaf, other] = [own.hashes, kept].map((hashes) => hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES).toString("base64"));
      if (leaf === undefined || other === undefined || leaf === other) continue;
      this.differing = { position: this.log.first + own.n * (own.hashes.length / HASH_BYTES) + i, leaf, kept: other };
      return;
    }
  }

  /** A row that says something else than its entry: which of the two is wrong, the tree tells at the end. */
  disagrees(finding: Finding): void {
    if (this.disagreeing.filter(({ severity }) => severity === finding.severity).length < KEPT) this.disagreeing.push(finding);
  }

  /** Says what was found, when all entries were seen. */
  end(findings: Findings): void {
    const wrong = this.failed === null ? null : this.wrongEntry(this.failed);
    if (wrong !== null) findings.add(wrong);
    for (const finding of this.disagreeing) if (wrong === null || wrong.position === null || finding.position !== wrong.position) findings.add(finding);
    if (this.failed === null && this.tree !== null) for (const { level, n } of this.wrongTiles) findings.add(this.wrongTile(level, n));
  }

  private wrongEntry({ mark, after, root }: NonNullable<LogCheck["failed"]>): Finding {
    const from = this.log.first + after;
    const to = this.log.first + mark.size - 1;
    const within = (position: number | null): boolean => position !== null && position >= from && position <= to;
    const who = mark.kind === "anchor" ? `an anchor of size ${mark.size}` : `the checkpoint of size ${mark.size}`;
    const signed = `From position ${from} to ${to} the entries do not give the root that was signed: ${who} of ${this.log.origin} holds another.`;
    const base = { severity: "altered", table: "audit_entries", column: "entry" } as const;
    if (this.differing !== null && within(this.differing.position)) {
      const { position, leaf, kept } = this.differing;
      return {
        ...base,
        position,
        key: { site: this.site, position },
        stored: leaf,
        expected: kept,
        detail: `${signed} At ${position} the entry has another leaf hash than its tile.`,
      };
    }
    const row = this.disagreeing.find(({ position }) => within(position));
    if (row?.table === base.table) return { ...row, severity: base.severity, detail: `${row.detail} ${signed}` };
    if (row !== undefined && row.position !== null) {
      const { position, table, column, stored, expected } = row;
      const said = column === null ? table : `${table}.${column}`;
      const detail = `${signed} At ${position} entry and ${said} contradict each other: the entry says ${expected ?? "nothing"}, the row ${stored ?? "nothing"}.`;
      return { ...base, position, key: { site: this.site, position }, stored: expected, expected: stored, detail };
    }
    const position = from === to ? from : null;
    const key = position === null ? { site: this.site, from, to } : { site: this.site, position };
    return { ...base, position: from, key, stored: root, expected: mark.root.toString("base64"), detail: signed };
  }

  private wrongTile(level: number, n: number): Finding {
    const key = { site: this.site, log: this.log.log, level, n };
    return {
      severity: "altered",
      position: null,
      table: "audit_tiles",
      key,
      column: "hashes",
      stored: null,
      expected: null,
      detail: "A tile holds other hashes than the entries give.",
    };
  }
}

/** Of each severity so many rows that contradict their entries are kept; the first is what matters. */
const KEPT = 100;
