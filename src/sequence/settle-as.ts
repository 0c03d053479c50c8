import type { Place } from "./place.ts";
import type { KnownId, Ref, SourceState, WaitingEvent } from "./source-state.ts";

/** When a settled delivery's number is taken: with its own settlement, when its turn comes, or not by this delivery. */
export type TakesNumber = "now" | "in turn" | "no";

/** What a numbered delivery is settled as: one row of the table in the design's section 3. */
export type SettledAs =
  /** Its turn: judged. `copy` waits under a number of an older epoch and becomes its duplicate. */
  | { readonly as: "judged"; readonly copy: WaitingEvent | null }
  /** Early, but of a type that does not wait: judged now if permitted now, otherwise it waits. */
  | { readonly as: "judged ahead" }
  | { readonly as: "waiting" }
  | { readonly as: "duplicate"; readonly of: KnownId; readonly takes: TakesNumber }
  | { readonly as: "conflict"; readonly code: "DUP_ID_REUSED"; readonly takes: TakesNumber }
  /** The same conflict again. */
  | { readonly as: "conflict again"; readonly of: Ref; readonly takes: TakesNumber }
  | { readonly as: "conflict"; readonly code: "SEQ_REUSED"; readonly takes: "no" }
  | { readonly as: "late"; readonly code: "SEQ_SKIPPED" | "SEQ_EPOCH_OLD" };

/** What the table looks at. */
export interface Circumstances {
  readonly source: SourceState;
  readonly place: Place;
  readonly epoch: bigint;
  /** Whether events of its type wait behind a gap. */
  readonly typeWaits: boolean;
  readonly digest: string;
  readonly known: KnownId | undefined;
  /** Where the same id with this very digest was already found in conflict. */
  readonly knownConflict: Ref | undefined;
  readonly numberTaken: boolean;
  readonly waitingThere: WaitingEvent | undefined;
  /** The event itself, waiting under its first number. */
  readonly waitingCopy: WaitingEvent | undefined;
}

export function settleAs(c: Circumstances): SettledAs {
  if (c.known !== undefined) return c.known.digest === c.digest ? settleKnown(c, c.known) : settleReusedId(c);
  switch (c.place.kind) {
    case "stale":
      return { as: "late", code: "SEQ_EPOCH_OLD" };
    case "passed":
      return c.numberTaken ? { as: "conflict", code: "SEQ_REUSED", takes: "no" } : { as: "late", code: "SEQ_SKIPPED" };
    case "next":
      if (c.waitingThere !== undefined) return { as: "conflict", code: "SEQ_REUSED", takes: "no" };
      return standsStill(c) ? { as: "waiting" } : { as: "judged", copy: null };
    case "early":
      if (c.waitingThere !== undefined) return { as: "conflict", code: "SEQ_REUSED", takes: "no" };
      return c.typeWaits ? { as: "waiting" } : { as: "judged ahead" };
  }
}

function settleKnown(c: Circumstances, known: KnownId): SettledAs {
  const copy = c.waitingCopy;
  if (copy !== undefined && !copy.ahead && c.place.kind === "next" && c.epoch > copy.epoch && c.waitingThere === undefined && !standsStill(c)) {
    return { as: "judged", copy };
  }
  return { as: "duplicate", of: known, takes: takesNumber(c) };
}

function settleReusedId(c: Circumstances): SettledAs {
  const takes = takesNumber(c);
  if (c.knownConflict !== undefined) return { as: "conflict again", of: c.knownConflict, takes };
  return { as: "conflict", code: "DUP_ID_REUSED", takes };
}

function takesNumber(c: Circumstances): TakesNumber {
  if (c.waitingThere !== undefined) return "no";
  if (c.place.kind === "next") return standsStill(c) ? "in turn" : "now";
  return c.place.kind === "early" ? "in turn" : "no";
}

/**
 * A source whose counter went back, or at whose event the judge threw, stands still: what is next waits too, until a person resolves it or, for the counter, a
 * newer epoch begins.
 */
function standsStill(c: Circumstances): boolean {
  const why = c.source.parked?.why;
  if (why === "poison") return true;
  return why === "counter_back" && (c.source.epoch === null || c.epoch === c.source.epoch);
}
