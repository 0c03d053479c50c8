// Keeps early events until their turn, as far as there is room.
import type { Given } from "../sequence/cursor.ts";
import { type SourceState, WAITING } from "../sequence/source-state.ts";
import { firstRound, giveVerdict } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { type Arrived, takeId } from "./known-ids.ts";

/** An event that has come, with its number. */
export interface Numbered extends Arrived, Given {}

/** Whether not even what is next goes on: only a person, or for the counter a newer epoch, ends that. */
export const standsStill = ({ parked }: SourceState): boolean => parked?.why === "poison" || parked?.why === "counter_back";

/** An early event is kept until its turn; where there is no room for it, it may come again. */
export function wait(group: Group, source: SourceState, arrived: Numbered): void {
  const { inHand, ref, epoch, sequence } = arrived;
  if (!roomToWait(group, source, inHand.bytes)) {
    giveVerdict(group, inHand, firstRound(ref), {
      status: "rejected",
      code: "SEQ_WAITING_FULL",
      by: "order",
      reason: `${source.source} has too many early events waiting; this one was not kept.`,
    });
    if (source.parked === null) group.putSource({ ...source, parked: { why: "waiting_full", position: ref } }, ref);
    return;
  }
  takeId(group, source, arrived, { epoch, sequence });
  keep(group, source, arrived, false);
  giveVerdict(group, inHand, firstRound(ref), { status: "deferred", by: "order", ...whatItWaitsFor(source, sequence) });
}

function whatItWaitsFor(source: SourceState, sequence: bigint): { readonly code: string; readonly reason: string } {
  if (!standsStill(source)) return { code: "SEQ_GAP", reason: `Number ${sequence} of ${source.source} is early; it waits for what is missing before it.` };
  const code = source.parked?.why === "poison" ? "SYS_POISON" : "SEQ_REUSED";
  return { code, reason: `${source.source} is parked; a person decides how it goes on.` };
}

/** `ahead`: it has its verdict; only its number is still to be taken. */
export function keep(group: Group, source: SourceState, arrived: Numbered, ahead: boolean): void {
  const { inHand, hash, digest, epoch, sequence, ref } = arrived;
  const now = group.sourceNow(source);
  group.world.numbers.putWaiting({
    sourceKey: source.key,
    incarnation: source.incarnation,
    epoch,
    sequence,
    position: ref,
    idHash: hash,
    digest,
    bytes: inHand.bytes,
    ahead,
    event: inHand,
  });
  const highest = now.epoch === epoch && sequence > now.highest ? sequence : now.highest;
  group.putSource({ ...now, highest, waitingCount: now.waitingCount + 1, waitingBytes: now.waitingBytes + inHand.bytes }, ref);
}

/** Only the number is kept, to be taken in its turn: it weighs nothing. */
export function keepNumber(group: Group, source: SourceState, arrived: Numbered): void {
  keep(group, source, { ...arrived, inHand: { ...arrived.inHand, bytes: 0 } }, true);
}

export function roomToWait(group: Group, source: SourceState, bytes: number): boolean {
  const now = group.sourceNow(source);
  const deferred = group.world.deferred(now);
  return (
    now.waitingCount + deferred.count < WAITING.perSource &&
    now.waitingBytes + deferred.bytes + bytes <= WAITING.bytesPerSource &&
    group.world.waitingBytesOfShard + bytes <= WAITING.bytesPerShard
  );
}

/** What has acted needs room for its number alone, and has it also when the room for waiting is used up: what restricts, and a declared loss, must get through. */
export function roomAhead(group: Group, source: SourceState): boolean {
  const now = group.sourceNow(source);
  return now.waitingCount + group.world.deferred(now).count < WAITING.perSource + WAITING.aheadPerSource;
}
