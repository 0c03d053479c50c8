import type { Entry } from "../audit/entry.ts";
import type { Finding } from "./finding.ts";

/** The numbers that batches give to their entries, as the entries' first lines tell them: 1, 2, 3, … for each batch, whatever was signed. */
export class BatchNumbers {
  private readonly site: string;
  private readonly last = new Map<string, number>();
  private readonly counts: (batch: string) => "all" | "from the first" | "none";

  /** `counts`: of which batches all entries are there, of which all from the first that is, and of which only some. */
  constructor(site: string, counts: (batch: string) => "all" | "from the first" | "none" = () => "all") {
    this.site = site;
    this.counts = counts;
  }

  /** The last number of a batch; 0: none. */
  of(batch: string): number {
    return this.last.get(batch) ?? 0;
  }

  next({ head: { position, batches } }: Entry): readonly Finding[] {
    return Object.entries(batches).flatMap(([batch, number]) => {
      const counts = this.counts(batch);
      const before = this.last.get(batch) ?? (counts === "from the first" ? number - 1 : 0);
      this.last.set(batch, Math.max(before, number));
      if (number === before + 1 || counts === "none") return [];
      const again = number <= before;
      const lacks = number === before + 2 ? `number ${before + 1}` : `numbers ${before + 1} to ${number - 1}`;
      return [
        {
          severity: again ? "altered" : "incomplete",
          position,
          table: "audit_entries",
          key: { site: this.site, position, batch },
          column: "entry",
          stored: String(number),
          expected: String(before + 1),
          detail: again
            ? `At position ${position} batch ${batch} has number ${number} a second time.`
            : `Batch ${batch} lacks ${lacks} before position ${position}.`,
        },
      ];
    });
  }
}
