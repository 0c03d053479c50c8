// Which of two positions is the older.
import type { Ref } from "./source-state.ts";

/** Oldest first: positions already given by their number, then those of this group in their order. */
export function byAge(a: Ref, b: Ref): number {
  return a > 0 && b > 0 ? a - b : b - a;
}
