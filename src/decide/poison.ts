// Settles an event at which the judge threw: that event alone is quarantined, and its source stands still until a person resolves it.
import type { PartialEvent } from "../decode/event.ts";
import type { Given } from "../sequence/cursor.ts";
import { place } from "../sequence/place.ts";
import { cursorOf, type Ref, type SourceState } from "../sequence/source-state.ts";
import { endDeferral } from "./deferral.ts";
import { digestOf, saying } from "./event-identity.ts";
import { firstRound, type Round } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { becomesDuplicate, judgedInsteadOf, settleDuplicate, takeId } from "./known-ids.ts";
import { takeInTurn } from "./move-cursor.ts";
import { withPerformer } from "./performing.ts";
import { quarantine } from "./quarantine.ts";
import { recordEvent } from "./record.ts";
import type { EventInHand, EventSignal } from "./signal.ts";
import { keep } from "./waiting.ts";
import type { Deferral } from "./world-data.ts";

/** The event has just come: it takes its id and, at once or in its turn, its number. */
export function poisonArrival(group: Group, signal: EventSignal, error: unknown): void {
  const { claimed } = signal.inHand;
  const source = claimed.source === null ? undefined : group.world.source(claimed.source);
  const hash = claimed.hash;
  if (source === undefined || hash === null) throw error;
  const ref = group.next();
  const inHand = withPerformer(group, source, signal.inHand, ref);
  recordEvent(group, ref, signal, source);
  const known = group.world.id(source, hash);
  const arrived = { inHand, hash, digest: digestOf(inHand), ref };
  const waits = known?.digest === arrived.digest ? known.waitsAt : null;
  const copy = waits === null ? undefined : group.world.numbers.waitingAt(source, waits.epoch, waits.sequence);
  if (known !== undefined && copy === undefined) {
    settleDuplicate(group, inHand, ref, known);
    return;
  }
  if (copy === undefined) takeId(group, source, arrived);
  else judgedInsteadOf(group, source, copy, arrived);
  const { epoch, sequence } = claimed;
  let stands = source;
  if (source.numbering && epoch !== null && sequence !== null) {
    const given: Given = { epoch, sequence, ref };
    const at = place(cursorOf(source), given);
    if (at.kind === "next") stands = takeInTurn(group, source, given);
    else if (at.kind === "early" && group.world.numbers.waitingAt(source, epoch, sequence) === undefined) {
      keep(group, source, { ...arrived, ...given }, true);
      stands = group.sourceNow(source);
    }
  }
  poison(group, stands, inHand, firstRound(ref), error);
  if (copy !== undefined) becomesDuplicate(group, source, copy, arrived);
}

/** The event has its number. */
export function poison(group: Group, source: SourceState, inHand: EventInHand, at: Round, error: unknown): void {
  quarantine(group, source, inHand, at, { code: "SYS_POISON", by: "service", reason: reasonOf(error) });
  const now = group.sourceNow(source);
  if (now.numbering) group.putSource({ ...now, parked: { why: "poison", position: at.ref } }, at.ref);
}

/** The event was deferred: its source had its number long ago and goes on. */
export function poisonDeferral(group: Group, open: Deferral, cause: Ref, error: unknown): void {
  const source = group.sourceOf(open.event);
  const ref = group.next();
  endDeferral(group, open);
  const at: Round = { ref, event: open.position, round: open.round + 1, cause };
  quarantine(group, source, open.event, at, { code: "SYS_POISON", by: "service", reason: reasonOf(error) });
}

const reasonOf = (error: unknown): string => `The service failed on this event alone: ${inWords(error)}.`;

/** What was thrown, short and without its full stop. */
export const inWords = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replace(/\.$/, "").slice(0, 200);

/** An event that the database cannot hold is settled as unreadable, without what may have been the reason. */
export function unstorable(signal: EventSignal): EventSignal {
  const refusal = { code: "SYS_POISON", reason: "The event cannot be stored as it is.", errors: [] };
  const { provenance: _, branchSource: __, wrapped, ...rest } = signal;
  const bare = (inHand: EventInHand): EventInHand => saying(inHand, { kind: "refused", refusal, partial: partialOf(inHand) });
  return {
    ...rest,
    delivery: { ...signal.delivery, userProperties: [], contentType: null, responseTopic: null, correlationData: null },
    inHand: bare(signal.inHand),
    ...(wrapped === undefined ? {} : { wrapped: { ...wrapped, inHand: bare(wrapped.inHand) } }),
  };
}

/** What remains of an event that cannot be stored: who said it, and under which number. */
function partialOf(inHand: EventInHand): PartialEvent {
  if (inHand.said.kind === "refused") return inHand.said.partial;
  const { event } = inHand.said;
  return {
    source: event.source,
    address: event.address,
    id: event.id,
    type: `signalbox.${event.type}.v1`,
    time: event.time,
    epoch: event.epoch,
    sequence: event.sequence,
    batch: event.batch,
    step: event.step,
    correlationId: event.correlationId,
    traceparent: null,
    digest: event.digest,
  };
}
