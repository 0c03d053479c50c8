import type { Observed, Tell } from "./observed.ts";

/** No delivery is acknowledged before an independent reader finds its verdict. */
export function acknowledgement({ history }: Observed, tell: Tell): void {
  for (const { at, source, id, durable } of history.acknowledged)
    if (!durable) tell("early_ack", `${id} of ${source} was acknowledged before it was durable.`, at);
}
