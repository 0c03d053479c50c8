// Moves the cursor of a source: numbers are taken, given up or counted anew, and what is missing by that goes on record.
import { endEpoch, type Given, giveUp, takeNumber } from "../sequence/cursor.ts";
import type { Range } from "../sequence/ranges.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import type { Group } from "./group.ts";
import type { Rows } from "./rows.ts";

/**
 * The number goes with this settlement; a newer epoch begins with number 1, or with a birth, and what lies below that was never promised. Returns the source as it
 * stands then.
 */
export function takeInTurn(group: Group, source: SourceState, given: Given, cause: Ref = given.ref): SourceState {
  const { epoch, sequence } = given;
  const newer = source.epoch === null || epoch > source.epoch;
  if (newer) endEpochAt(group, source, { epoch, sequence, ref: cause });
  const before = group.sourceNow(source);
  if (newer && sequence > 1n) skip(group, source, epoch, { first: 1n, last: sequence - 1n }, "baseline", cause);
  const next = takeNumber(before, given);
  markTaken(group, source, given);
  group.putSource(next, cause);
  return next;
}

/** Nothing else ever takes the number. */
export function markTaken({ world, rows }: Group, { key, incarnation }: Pick<SourceState, "key" | "incarnation">, { epoch, sequence, ref }: Given): void {
  world.numbers.take({ key, incarnation }, epoch, sequence, ref);
  rows.numbers.push({ sourceKey: key, incarnation, epoch, sequence, ref });
}

/** The older epoch is over: what is missing of it is given up, with an exception; what waits stays open for the gap limit. */
function endEpochAt(group: Group, source: SourceState, given: Given): void {
  const ended = endEpoch(source, group.world.numbers.allWaiting(source), given);
  for (const range of ended.givenUp) skip(group, source, source.epoch ?? 0n, range, "epoch_ended", given.ref);
  if (ended.givenUp.length > 0) {
    const reason = `Epoch ${source.epoch} of ${source.source} ended with ${inWords(ended.givenUp)} missing.`;
    group.openException(given.ref, { code: "SEQ_SKIPPED", reason, source: source.source });
  }
  if (ended.expire)
    group.rows.waitingExpires.push({ sourceKey: source.key, incarnation: source.incarnation, epoch: ended.expire.epoch, through: ended.expire.through });
  group.world.putSource(ended.source);
}

/** What is missing of a run of numbers is given up, and the source goes on behind it. */
export function giveUpNumbers(group: Group, source: SourceState, epoch: bigint, run: Range, why: "lost" | "resolved", ref: Ref): void {
  const given = giveUp(source, group.world.numbers.allWaiting(source), epoch, run.first, run.last);
  for (const range of given.ranges) skip(group, source, epoch, range, why, ref);
  if (given.ranges.length > 0) {
    const reason = `Numbers ${inWords(given.ranges)} of epoch ${epoch} of ${source.source} were given up.`;
    group.openException(ref, { code: "SEQ_SKIPPED", reason, source: source.source });
  }
  group.putSource(given.source, ref);
}

/** A replaced device counts anew: what its predecessor left missing is given up, what waits stays open for the gap limit. */
export function countAnew(group: Group, source: SourceState, ref: Ref): void {
  if (source.epoch !== null) {
    const ended = endEpoch(source, group.world.numbers.allWaiting(source), { epoch: source.epoch + 1n, sequence: 1n, ref });
    for (const range of ended.givenUp) skip(group, source, source.epoch, range, "succession", ref);
  }
  const incarnation = source.incarnation + 1;
  if (source.waitingCount > 0) group.rows.waitingExpires.push({ sourceKey: source.key, incarnation, epoch: 0n, through: 0n });
  group.putSource(
    {
      ...source,
      incarnation,
      epoch: null,
      through: 0n,
      highest: 0n,
      gap: null,
      parked: null,
      reused: 0,
      waitingCount: 0,
      waitingBytes: 0,
      skippedAhead: [],
      monotonic: {},
    },
    ref,
  );
}

/** The source goes on at `sequence` of `epoch`, as a person says; what it skips by that is given up. */
export function rebase(group: Group, source: SourceState, epoch: bigint, sequence: bigint, ref: Ref): void {
  const through = sequence - 1n;
  if (epoch === source.epoch) {
    group.putSource(source, ref);
    giveUpNumbers(group, source, epoch, { first: source.through + 1n, last: through }, "resolved", ref);
    return;
  }
  endEpochAt(group, source, { epoch, sequence: through, ref });
  const begun = group.sourceNow(source);
  if (sequence > 1n) skip(group, source, epoch, { first: 1n, last: through }, "baseline", ref);
  group.putSource({ ...begun, through, highest: begun.highest > through ? begun.highest : through }, ref);
}

function skip({ rows }: Group, { key, incarnation }: SourceState, epoch: bigint, range: Range, reason: Rows["skipped"][number]["reason"], ref: Ref): void {
  rows.skipped.push({ sourceKey: key, incarnation, epoch, first: range.first, last: range.last, reason, ref });
}

const inWords = (ranges: readonly Range[]): string => ranges.map(({ first, last }) => (first === last ? `${first}` : `${first} to ${last}`)).join(", ");
