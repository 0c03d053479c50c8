// Settles time that has passed, and work that goes on from the commit before.
import type { Ref } from "../sequence/source-state.ts";
import type { Round } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { judgeDeferral } from "./judge-again.ts";
import { markTaken } from "./move-cursor.ts";
import { settleLate } from "./quarantine.ts";
import { recordTick } from "./record.ts";
import type { Tick, TickSignal } from "./signal.ts";
import { drain } from "./turn.ts";

/** A tick that finds nothing to do any more leaves no trace. */
export function settleTick(group: Group, signal: TickSignal): void {
  const ref = group.next();
  if (isDue(group, signal, ref)) recordTick(group, ref, signal);
  else group.giveBack(ref);
}

/** Whether the tick still has something to do; if so, does it. */
function isDue(group: Group, { tick, receivedAt }: TickSignal, ref: Ref): boolean {
  switch (tick.tick) {
    case "patience":
      return endPatience(group, tick, ref);
    case "gap":
      return timeOut(group, tick, receivedAt, ref);
    case "expiry":
      return expire(group, tick, ref);
    case "drain":
      return drainOn(group, tick, ref);
    case "again":
      for (const key of tick.waitsFor) group.change(key, tick.after ?? 0);
      return true;
    case "interruption":
      group.rows.interruptionMs += tick.ms;
      return true;
  }
}

type Of<K extends Tick["tick"]> = Extract<Tick, { tick: K }>;

/** A deferred event is judged for the last time, against the world of this moment. */
function endPatience(group: Group, tick: Of<"patience">, ref: Ref): boolean {
  const open = group.world.deferral(tick.event);
  if (open === undefined) return false;
  judgeDeferral(group, open, ref, true);
  return true;
}

/** A gap that made no progress for its limit parks its source. */
function timeOut(group: Group, tick: Of<"gap">, now: string, ref: Ref): boolean {
  const source = group.world.source(tick.source);
  // a gap that this group has moved has its time anew, though the due time that was read is over
  if (source?.gap?.timer !== "kept" || source.gapDueAt === null || source.parked !== null || Date.parse(source.gapDueAt) > Date.parse(now)) return false;
  const reason = `Numbers of ${source.source} stayed missing; the source is parked.`;
  group.openException(ref, { code: "SEQ_GAP_TIMEOUT", reason, source: source.source });
  group.putSource({ ...source, parked: { why: "gap", position: ref } }, ref);
  return true;
}

/** A waiting event whose epoch ended and that no copy replaced: a person decides. */
function expire(group: Group, tick: Of<"expiry">, ref: Ref): boolean {
  const source = group.world.source(tick.source);
  if (source === undefined) return false;
  const then = { ...source, incarnation: tick.incarnation };
  const waiting = group.world.numbers.waitingNext(then, BigInt(tick.epoch), BigInt(tick.sequence));
  if (waiting === undefined) return false;
  const { epoch, sequence, position, event } = waiting;
  group.world.numbers.endWaiting(waiting);
  markTaken(group, then, { epoch, sequence, ref: position });
  group.putSource(source, ref);
  if (waiting.ahead || event === null) return true;
  const code = source.epoch !== null && epoch === source.epoch ? "SEQ_SKIPPED" : "SEQ_EPOCH_OLD";
  const at: Round = { ref: group.next(), event: position, round: 2, cause: ref };
  settleLate(group, source, event, at, code, { epoch, sequence, ref });
  return true;
}

/** The next slice of what waits and has come next; whatever comes of it, the source has moved. */
function drainOn(group: Group, tick: Of<"drain">, ref: Ref): boolean {
  const before = group.world.source(tick.source);
  drain(group, tick.source, ref, true);
  return group.world.source(tick.source) !== before;
}
