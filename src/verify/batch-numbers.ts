import type { Entry } from "../audit/entry.ts";
import type { Finding } from "./finding.ts";

/** The numbers that batches give to their entries, as the entries' first lines tell them: 1, 2, 3, … for each batch, whatever was signed. */
export class BatchNumbers {
  private readonly site: string;
  private readonly last = new Map<string, number>();

  constructor(site: string) {
    this.site = site;
  }

  next({ head: { position, batches } }: Entry): readonly Finding[] {
    return Object.entries(batches).flatMap(([batch, number]) => {
      const before = this.last.get(batch) ?? 0;
      this.last.set(batch, Math.max(before, number));
      if (number === before + 1) return [];
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
