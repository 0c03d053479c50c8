import { TILE_WIDTH, type Tile } from "../audit/tiles.ts";
import { Ahead } from "./ahead.ts";
import type { Findings } from "./finding.ts";
import type { LogCheck } from "./log-check.ts";
import type { LogRow, SiteRecord, TileRow } from "./record.ts";

/** The tiles that are kept for whoever wants proofs, beside those that the entries fill. */
export class KeptTiles {
  private readonly site: string;
  private readonly log: LogRow;
  private readonly kept: Ahead<TileRow>;
  private missing: Tile | null = null;
  private readonly extra: Pick<TileRow, "level" | "n">[] = [];

  constructor(record: SiteRecord, log: LogRow) {
    this.site = record.site;
    this.log = log;
    this.kept = new Ahead(record.tiles(log.log));
  }

  async compare(own: Tile, check: LogCheck): Promise<void> {
    for await (const kept of this.kept.while((next) => filledAt(next) < filledAt(own) || (filledAt(next) === filledAt(own) && next.level <= own.level))) {
      if (kept.level !== own.level || kept.n !== own.n) {
        this.notOurs(kept);
        continue;
      }
      check.tile(own, kept.hashes);
      return;
    }
    this.missing ??= own;
  }

  /** Tiles are handed over with the checkpoint that covers them: behind the last one none is missing, and none is there before it is filled. */
  async end(checkpointed: number, check: LogCheck, findings: Findings): Promise<void> {
    for await (const kept of this.kept.while(() => true)) this.notOurs(kept);
    // behind a hole nobody knows which tiles there would be
    for (const { level, n } of check.whole ? this.extra : [])
      findings.add({
        severity: "altered",
        position: null,
        table: "audit_tiles",
        key: { site: this.site, log: this.log.log, level, n },
        column: null,
        stored: "a row",
        expected: null,
        detail: "There is a tile that the entries do not fill.",
      });
    if (this.missing === null || filledAt(this.missing) > checkpointed) return;
    const { level, n } = this.missing;
    const key = { site: this.site, log: this.log.log, level, n };
    findings.add({
      severity: "incomplete",
      position: null,
      table: "audit_tiles",
      key,
      column: null,
      stored: null,
      expected: "a row",
      detail: "A tile is gone: proofs that need it cannot be given.",
    });
  }

  private notOurs({ level, n }: TileRow): void {
    this.extra.push({ level, n });
  }
}

/** The size of the tree that fills a tile. */
const filledAt = ({ level, n }: Pick<Tile, "level" | "n">): number => (n + 1) * TILE_WIDTH ** (level + 1);
