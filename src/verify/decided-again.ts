import type { Finding } from "./finding.ts";
import { shown } from "./told-rows.ts";

/** What deciding a record again came to; whoever verifies does not know how that is done. */
export interface Decisions {
  readonly differences: readonly {
    readonly position: number | null;
    readonly what: string;
    readonly path?: string;
    readonly stored: unknown;
    readonly again: unknown;
  }[];
  /** Why it ended before the record did; null: it did not. */
  readonly stopped: string | null;
}

/** What of them is wrong, in words. */
export function decidedOtherwise(site: string, { differences, stopped }: Decisions): readonly Finding[] {
  const found = differences.map(({ position, what, path, stored, again }): Finding => {
    const [was, comes] = [stored, again].map((value) => shown("", value));
    return {
      severity: "altered",
      position,
      table: "decisions",
      key: position === null ? { site } : { site, position },
      column: path ?? null,
      stored: was ?? null,
      expected: comes ?? null,
      detail: `Decided again, it comes out otherwise: ${what}.`,
    };
  });
  if (stopped === null) return found;
  const detail = `It could not be decided again to its end: ${stopped}`;
  return [...found, { severity: "unclear", position: null, table: "decisions", key: { site }, column: null, stored: null, expected: null, detail }];
}
