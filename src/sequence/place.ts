import type { Cursor } from "./source-state.ts";

/** Where an event stands against its source's cursor. What each place leads to is the table in the design's section 3. */
export type Place =
  | { readonly kind: "next" }
  | { readonly kind: "early"; readonly missing: readonly [first: bigint, last: bigint] }
  | { readonly kind: "passed" }
  | { readonly kind: "stale" };

export function place(at: Cursor, event: { readonly epoch: bigint; readonly sequence: bigint }): Place {
  const newer = at.epoch === null || event.epoch > at.epoch;
  if (!newer && event.epoch !== at.epoch) return { kind: "stale" };
  const expected = newer ? 1n : at.through + 1n;
  if (event.sequence < expected) return { kind: "passed" };
  if (event.sequence > expected) return { kind: "early", missing: [expected, event.sequence - 1n] };
  return { kind: "next" };
}
