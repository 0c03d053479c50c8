import type { DeviceEvent } from "../decode/event.ts";

/**
 * The trace context of an event (W3C Trace Context) as it stands on record, in one text: the `traceparent` and, behind a line break, the `tracestate` if there is one.
 * Neither holds control characters, so it can be told apart again.
 */
export function traceContext({ traceparent, tracestate }: Pick<DeviceEvent, "traceparent" | "tracestate">): string | null {
  return tracestate === null ? traceparent : `${traceparent ?? ""}\n${tracestate}`;
}
