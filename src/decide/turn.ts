// Judges events in their turn: one that has come next, and then what waited behind it.
import type { DeviceEvent } from "../decode/event.ts";
import { advance, type Given } from "../sequence/cursor.ts";
import { olderThanLast } from "../sequence/monotonic.ts";
import { type Ref, type SourceState, WAITING, type WaitingEvent } from "../sequence/source-state.ts";
import { deferBehind, deferUntil, patienceMs, waitsBehind } from "./deferral.ts";
import { type Round, rejectForm } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { judgeEvent } from "./judge.ts";
import { giveUpNumbers, markTaken, takeInTurn } from "./move-cursor.ts";
import { overtaken } from "./out-of-turn.ts";
import { poison } from "./poison.ts";
import { accept, observe, refuse } from "./settle-judgement.ts";
import type { EventInHand } from "./signal.ts";
import { roomToWait, standsStill } from "./waiting.ts";

/** Settles an event whose turn it is: accepted, observed, deferred, rejected or quarantined. */
export function judgeInTurn(group: Group, source: SourceState, inHand: EventInHand, at: Round): void {
  if (inHand.said.kind === "refused") {
    rejectForm(group, inHand, at, inHand.said.refusal);
    return;
  }
  const { event } = inHand.said;
  if (olderThanLast(source, event) || overtaken(group.world, source, event)) {
    observe(group, inHand, at);
    return;
  }
  const first = waitsBehind(group.world, source, event, at.event);
  if (first !== undefined) {
    deferBehind(group, source, inHand, event, at, first);
    return;
  }
  const judgement = judgeEvent(group.world, group.machines, source, event, inHand.receivedAt, at.ref);
  if (judgement.kind === "accepted") {
    accept(group, source, inHand, event, at, judgement);
  } else if (judgement.notYet && patienceMs(group.world, event, judgement.context) > 0 && roomToWait(group, source, inHand.bytes)) {
    deferUntil(group, source, inHand, event, at, judgement);
  } else {
    refuse(group, source, inHand, event, at, judgement);
  }
}

/** A declared loss acts ahead: the numbers are given up at once, and the source goes on behind them. In its turn it finds all numbers before its own settled. */
export function declareLost(group: Group, before: SourceState, event: DeviceEvent, given: Given): void {
  const source = group.sourceNow(before);
  const data: Readonly<Record<string, unknown>> = { ...event.data };
  const first = BigInt(String(data["from"]));
  const to = BigInt(String(data["to"]));
  const last = to < given.sequence ? to : given.sequence - 1n;
  giveUpNumbers(group, source, given.epoch, { first, last }, "lost", given.ref);
  drain(group, source.source, given.ref);
}

/** Judges what has come next, a slice at a time. `beginsNewer`: a newer epoch that waits may begin. */
export function drain(group: Group, name: string, cause: Ref, beginsNewer = false): void {
  for (let n = 0; n < WAITING.slice; n += 1) {
    const source = group.world.source(name);
    if (source === undefined || standsStill(source)) return;
    const { epoch } = source;
    if (epoch !== null && group.world.numbers.beyondWindow(source, epoch, source.through + 1n)) break;
    const step = epoch === null ? STILL : advance(source, (sequence) => nextWaiting(group, source, epoch, sequence));
    if (step.kind === "still") {
      if (!beginsNewer || !beginNewer(group, source, cause)) return;
    } else if (step.kind === "skipped") {
      group.putSource(step.source, cause);
    } else {
      const { event: inHand, ...waiting } = step.waiting;
      group.world.numbers.endWaiting(waiting);
      markTaken(group, source, numberOf(waiting));
      group.putSource(step.source, cause);
      judgeWaiting(group, step.source, waiting, inHand, cause);
    }
  }
  group.followUps.push({ tick: "drain", source: name });
}

const STILL = { kind: "still" } as const;

const nextWaiting = ({ world }: Group, source: SourceState, epoch: bigint, sequence: bigint) =>
  source.waitingCount === 0 ? undefined : world.numbers.waitingNext(source, epoch, sequence);

/** The number that is taken is settled where the event that has it was first settled. */
const numberOf = ({ epoch, sequence, position }: WaitingEvent): Given => ({ epoch, sequence, ref: position });

/** While a source stood still, a newer epoch may have begun to wait: with its number 1, or with a birth. It begins now. */
function beginNewer(group: Group, source: SourceState, cause: Ref): boolean {
  if (source.waitingCount === 0) return false;
  const newer = group.world.numbers.allWaiting(source).filter((w) => source.epoch === null || w.epoch > source.epoch);
  for (const epoch of [...new Set(newer.map((w) => w.epoch))].sort((a, b) => (a < b ? -1 : 1))) {
    const first = group.world.numbers
      .waitingAfter(source, epoch, 0n)
      .find(({ sequence, event }) => sequence === 1n || (event?.said.kind === "event" && event.said.event.type === "source.birth"));
    if (first?.event == null) continue;
    const { event: inHand, ...waiting } = first;
    group.world.numbers.endWaiting(waiting);
    const began = takeInTurn(group, source, numberOf(waiting), cause);
    judgeWaiting(group, began, waiting, inHand, cause);
    return true;
  }
  return false;
}

/** What acted ahead has its verdict, and its number now. Where the judge throws, that event alone is quarantined. */
function judgeWaiting(group: Group, source: SourceState, waiting: WaitingEvent, inHand: EventInHand | null, cause: Ref): void {
  if (waiting.ahead || inHand === null) return;
  const at: Round = { ref: group.next(), event: waiting.position, round: 2, cause };
  const judged = group.attempt(() => judgeInTurn(group, source, inHand, at));
  if (!judged.ok) poison(group, source, inHand, at, judged.error);
}
