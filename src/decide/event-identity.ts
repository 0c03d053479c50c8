// What an event says of itself, as far as it could be read; nothing of it is believed yet.
import { idHash } from "../sequence/identity.ts";
import type { EventInHand, Identity } from "./signal.ts";
import { traceContext } from "./trace-context.ts";
import { fullType } from "./type-names.ts";

export function identityIn(said: EventInHand["said"]): Identity {
  if (said.kind === "event") {
    const { event } = said;
    return {
      source: event.source,
      line: event.address.line,
      equipment: event.address.equipment,
      id: event.id,
      type: fullType(event.type),
      time: event.time,
      epoch: event.epoch,
      sequence: event.sequence,
      batch: event.batch,
      step: event.step,
      attempt: event.attempt,
      correlation: event.correlationId,
      traceparent: traceContext(event),
      hash: idHash(event),
    };
  }
  const { partial } = said;
  return {
    source: partial.source,
    line: partial.address?.line ?? null,
    equipment: partial.address?.equipment ?? null,
    id: partial.id,
    type: partial.type,
    time: partial.time,
    epoch: partial.epoch,
    sequence: partial.sequence,
    batch: partial.batch,
    step: partial.step,
    attempt: null,
    correlation: partial.correlationId,
    traceparent: partial.traceparent,
    hash: idHash(partial),
  };
}

/** An event of which something else is held to be said. */
export const saying = (inHand: EventInHand, said: EventInHand["said"]): EventInHand => ({ ...inHand, said, claimed: identityIn(said) });

export const digestOf = ({ said }: EventInHand): string => (said.kind === "event" ? said.event.digest : said.partial.digest);

/** The same event under the number that it had before. */
export function underNumber(inHand: EventInHand, { epoch, sequence }: { readonly epoch: bigint; readonly sequence: bigint }): EventInHand {
  const { said } = inHand;
  if (said.kind === "event") return saying(inHand, { ...said, event: { ...said.event, epoch, sequence } });
  return saying(inHand, { ...said, partial: { ...said.partial, epoch, sequence } });
}
