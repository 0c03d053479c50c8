import type { PerformedBy } from "../authorise/performer.ts";
import type { Decoded } from "../decode/event.ts";
import { branchOf } from "../decode/topic.ts";
import type { Delivery } from "../receive/delivery.ts";
import { identityIn } from "./event-identity.ts";
import type { EventInHand } from "./signal.ts";

/** A decoded delivery as the judge holds it. Only events and refusals are held; a diagnosis goes its own way. */
export function inHandOf(delivery: Delivery, decoded: Decoded, receivedAt: string, prefix: string, performedBy: PerformedBy | null = null): EventInHand {
  const branch = branchOf(delivery.topic, prefix) ?? { line: null, equipment: null };
  if (decoded.kind !== "event" && decoded.kind !== "refused") throw new Error(`a delivery on ${delivery.topic} is no event`);
  return { said: decoded, claimed: identityIn(decoded), branch, receivedAt, bytes: delivery.payload.byteLength, performedBy };
}
