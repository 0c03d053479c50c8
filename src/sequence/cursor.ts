import { missing, type Range } from "./ranges.ts";
import type { Ref, SourceState, WaitingEvent } from "./source-state.ts";

/** A number that is being taken, and by the settlement at which position. */
export interface Given {
  readonly epoch: bigint;
  readonly sequence: bigint;
  readonly ref: Ref;
}

/** The source after it took a number in its turn: the number that was missing ends a parking that waited for it. */
export function takeNumber(source: SourceState, given: Given): SourceState {
  const same = source.epoch === given.epoch;
  const highest = same && source.highest > given.sequence ? source.highest : given.sequence;
  return { ...source, epoch: given.epoch, through: given.sequence, highest, reused: 0, parked: movedOn(source, !same) };
}

function movedOn(source: SourceState, newEpoch: boolean): SourceState["parked"] {
  const why = source.parked?.why;
  return why === "poison" || (why === "counter_back" && !newEpoch) ? source.parked : null;
}

export type Advance<W extends WaitingEvent> =
  | { readonly kind: "still" }
  | { readonly kind: "skipped"; readonly source: SourceState }
  | { readonly kind: "waiting"; readonly waiting: W; readonly source: SourceState };

/** One step of the cursor over what already waits, or over a whole range that was given up: nothing waits within one. */
export function advance<W extends WaitingEvent>(source: SourceState, waitingAt: (sequence: bigint) => W | undefined): Advance<W> {
  const next = source.through + 1n;
  const waiting = waitingAt(next);
  if (waiting !== undefined) {
    const highest = source.highest > next ? source.highest : next;
    return {
      kind: "waiting",
      waiting,
      source: {
        ...source,
        through: next,
        highest,
        reused: 0,
        parked: movedOn(source, false),
        waitingCount: source.waitingCount - 1,
        waitingBytes: source.waitingBytes - waiting.bytes,
      },
    };
  }
  const skip = source.skippedAhead.find((range) => range.first <= next && next <= range.last);
  if (skip === undefined) return { kind: "still" };
  const { last } = skip;
  return {
    kind: "skipped",
    source: {
      ...source,
      through: last,
      highest: source.highest > last ? source.highest : last,
      parked: movedOn(source, false),
      skippedAhead: source.skippedAhead.filter((range) => range.last > last),
    },
  };
}

/**
 * The source when a newer epoch begins at `given`: what the old one lacks is given up; what waits under numbers that are now passed stays open until it expires;
 * what waits in the newer epoch goes on waiting.
 */
export function endEpoch(
  source: SourceState,
  waiting: readonly WaitingEvent[],
  given: Given,
): { readonly source: SourceState; readonly givenUp: readonly Range[]; readonly expire: { readonly epoch: bigint; readonly through: bigint } | null } {
  const inOld = waiting.filter((w) => w.epoch === source.epoch).map((w) => w.sequence);
  const live = waiting.filter((w) => w.epoch > given.epoch || (w.epoch === given.epoch && w.sequence > given.sequence));
  const highestOld = inOld.reduce((a, b) => (a > b ? a : b), source.highest);
  return {
    givenUp: source.epoch === null ? [] : missing(source.through, highestOld, inOld, source.skippedAhead),
    expire: live.length < waiting.length ? { epoch: given.epoch, through: given.sequence } : null,
    source: {
      ...source,
      epoch: given.epoch,
      through: 0n,
      highest: live.filter((w) => w.epoch === given.epoch).reduce((highest, w) => (w.sequence > highest ? w.sequence : highest), 0n),
      skippedAhead: [],
      waitingCount: live.length,
      waitingBytes: live.reduce((bytes, w) => bytes + w.bytes, 0),
      parked: movedOn(source, true),
    },
  };
}

/** Gives up what is missing from `first` to `last` in the current epoch; what has arrived is never given up. */
export function giveUp(
  source: SourceState,
  waiting: readonly WaitingEvent[],
  epoch: bigint,
  first: bigint,
  last: bigint,
): { readonly source: SourceState; readonly ranges: readonly Range[] } {
  if (epoch !== source.epoch) return { source, ranges: [] };
  const present = waiting.filter((w) => w.epoch === epoch).map((w) => w.sequence);
  const from = first > source.through ? first - 1n : source.through;
  const ranges = missing(from, last, present, source.skippedAhead);
  return { ranges, source: { ...source, skippedAhead: [...source.skippedAhead, ...ranges], highest: source.highest > last ? source.highest : last } };
}

/** The number up to which a source is now known to have counted, by a message that takes none itself; null: it tells nothing new. */
export function revealedBy(source: SourceState, epoch: bigint | null, sequence: bigint | null): bigint | null {
  return epoch !== null && epoch === source.epoch && sequence !== null && sequence > source.highest ? sequence : null;
}

/**
 * Keeps the gap and its timer in step with the cursor. A gap is open while something waits or is known of, and the next number is not there; progress begins its
 * time anew; a source parked by it waits without a timer.
 */
export function noteGap(before: SourceState, next: SourceState, ref: Ref, isWaiting: (sequence: bigint) => boolean): SourceState {
  const ahead = next.waitingCount > 0 || next.highest > next.through;
  const open = ahead && !(next.waitingCount > 0 && isWaiting(next.through + 1n));
  if (!open) return next.gap === null ? next : { ...next, gap: null };
  if (before.gap === null) return { ...next, gap: { position: ref, timer: "restarted" } };
  const progress = next.epoch !== before.epoch || next.through !== before.through;
  if (next.parked?.why === "gap") return { ...next, gap: { ...before.gap, timer: "halted" } };
  const timer = progress || before.gap.timer === "halted" ? "restarted" : before.gap.timer;
  return { ...next, gap: { ...before.gap, timer } };
}
