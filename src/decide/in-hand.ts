import type { PerformedBy } from "../authorise/performer.ts";
import { type Decoded, insideOf } from "../decode/event.ts";
import type { Provenance } from "../decode/provenance.ts";
import { branchOf, parseTopic, sourceText } from "../decode/topic.ts";
import type { Delivery } from "../receive/delivery.ts";
import type { LeftOut } from "../receive/left-out.ts";
import { identityIn } from "./event-identity.ts";
import type { EventInHand, EventSignal } from "./signal.ts";

/** A decoded delivery as the judge holds it. Only events and refusals are held; a diagnosis goes its own way. */
export function inHandOf(delivery: Delivery, decoded: Decoded, receivedAt: string, prefix: string, performedBy: PerformedBy | null = null): EventInHand {
  const branch = branchOf(delivery.topic, prefix) ?? { line: null, equipment: null };
  if (decoded.kind !== "event" && decoded.kind !== "refused") throw new Error(`a delivery on ${delivery.topic} is no event`);
  return { said: decoded, claimed: identityIn(decoded), branch, receivedAt, bytes: delivery.payload.byteLength, performedBy };
}

/** An event that is open, out of its stored delivery. Of what is signed only that was kept which was believed: without a source of its own nothing waits. */
export const keptOf = (delivery: Delivery, decoded: Decoded, receivedAt: string, prefix: string, performedBy: PerformedBy | null): EventInHand =>
  inHandOf(delivery, insideOf(decoded), receivedAt, prefix, performedBy);

/** A delivery that has just come, as a signal. */
export function eventSignal(
  delivery: Delivery,
  decoded: Extract<Decoded, { readonly kind: "event" | "refused" }>,
  receivedAt: string,
  prefix: string,
  { provenance, leftOut }: { readonly provenance?: Provenance | undefined; readonly leftOut?: LeftOut | undefined } = {},
): EventSignal {
  const signed = decoded.kind === "refused" ? decoded.signed : undefined;
  const inHand = inHandOf(delivery, decoded, receivedAt, prefix);
  const topic = leftOut === undefined && (signed !== undefined || inHand.claimed.source === null) ? parseTopic(delivery.topic, prefix) : null;
  return {
    kind: "event",
    delivery,
    inHand,
    ...(topic === null ? {} : { branchSource: sourceText(topic) }),
    ...(provenance === undefined ? {} : { provenance }),
    ...(leftOut === undefined ? {} : { leftOut }),
    ...(signed === undefined ? {} : { wrapped: { jws: signed.jws, inHand: inHandOf(delivery, signed.said, receivedAt, prefix) } }),
  };
}
