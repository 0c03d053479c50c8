// What an event says of itself, as far as it could be read; nothing of it is believed yet.
import type { EventInHand } from "./signal.ts";
import { traceContext } from "./trace-context.ts";
import { fullType } from "./type-names.ts";

interface Identity {
  readonly source: string | null;
  readonly line: string | null;
  readonly equipment: string | null;
  readonly id: string | null;
  readonly type: string | null;
  readonly time: string | null;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
}

export function identityOf(inHand: EventInHand): Identity {
  if (inHand.said.kind === "event") {
    const { event } = inHand.said;
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
    };
  }
  const { partial } = inHand.said;
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
  };
}

export function digestOf({ said }: EventInHand): string {
  return Buffer.from(said.kind === "event" ? said.event.digest : said.partial.digest).toString("hex");
}

/** The same event under the number that it had before. */
export function underNumber(inHand: EventInHand, { epoch, sequence }: { readonly epoch: bigint; readonly sequence: bigint }): EventInHand {
  const { said } = inHand;
  if (said.kind === "event") return { ...inHand, said: { ...said, event: { ...said.event, epoch, sequence } } };
  return { ...inHand, said: { ...said, partial: { ...said.partial, epoch, sequence } } };
}
