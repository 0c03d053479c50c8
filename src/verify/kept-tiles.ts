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

  constructor(record: SiteRecord, log: LogRow) {
    this.site = record.site;
    this.log = log;
    this.kept = new Ahead(record.tiles(log.log));
  }

  async compare(own: Tile, check: LogCheck): Promise<void> {
    for await (const kept of this.kept.while((next) => filledAt(next) < filledAt(own) || (filledAt(next) === filledAt(own) && next.level <= own.level))) {
      if (kept.level !== own.level || kept.n !== own.n) continue;
      check.tile(own, kept.hashes);
      return;
    }
    this.missing ??= own;
  }

  /** Tiles are handed over with the checkpoint that covers them: behind the last one none is missing. */
  end(checkpointed: number, findings: Findings): void {
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
}

/** The size of the tree that fills a tile. */
const filledAt = ({ level, n }: Pick<Tile, "level" | "n">): number => (n + 1) * TILE_WIDTH ** (level + 1);
