// Settles what a judgement says of an event: facts, or a refusal for good.
import type { DeviceEvent } from "../decode/event.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import { withLast } from "../sequence/monotonic.ts";
import type { SourceState } from "../sequence/source-state.ts";
import { bringAbout } from "./bring-about.ts";
import { giveVerdict, type Round } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import type { Accepted, Refused } from "./judgement.ts";
import { quarantine } from "./quarantine.ts";
import type { EventInHand } from "./signal.ts";

export function accept(group: Group, source: SourceState, inHand: EventInHand, event: DeviceEvent, at: Round, judgement: Accepted): void {
  const { context, explanation, exceptions } = judgement;
  const [exception] = exceptions;
  const flags = [...judgement.flags, ...exceptions.map(({ code }) => code)];
  const facts = bringAbout(group, judgement.facts, at.ref, { flags, event });
  const { batch, step, attempt } = context;
  for (const { code, reason } of exceptions) group.openException(at.ref, { code, reason, event: at.event, source: source.source, batch, step, attempt });
  const last = withLast(group.sourceNow(source), event);
  if (last !== null) group.putSource(last, at.ref);
  giveVerdict(group, inHand, at, {
    status: exception === undefined ? "accepted" : "accepted_with_exception",
    code: exception?.code ?? null,
    by: null,
    reason: exception?.reason ?? "Accepted.",
    flags,
    facts,
    context,
    explanation,
  });
}

/** Something newer of its source was accepted already. */
export function observe(group: Group, inHand: EventInHand, at: Round): void {
  giveVerdict(group, inHand, at, {
    status: "observed",
    code: "TIM_STALE",
    by: "order",
    reason: "A newer report of the same type was already accepted; this one was only looked at.",
  });
}

/** For good: a request is rejected, since the sender has not acted; a report is quarantined, since something was done. */
export function refuse(group: Group, source: SourceState, inHand: EventInHand, event: DeviceEvent, at: Round, refused: Refused): void {
  if (EVENT_TYPES[event.type].mood === "request" && !event.occurred) {
    const { code, by, reason, context, explanation } = refused;
    giveVerdict(group, inHand, at, { status: "rejected", code, by, reason, context, explanation });
  } else {
    quarantine(group, source, inHand, at, refused);
  }
}
