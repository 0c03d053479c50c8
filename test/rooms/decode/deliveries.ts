import { decode } from "../../../src/decode/decode.ts";
import type { Decoded, DeviceEvent, PartialEvent, Refusal } from "../../../src/decode/event.ts";
import type { Delivery } from "../../../src/receive/delivery.ts";

export const SOURCE = "/site/rtm1/line/4/eq/scale-1";
export const TOPIC = "site/rtm1/line/4/eq/scale-1/event";
export const OPTIONS = { prefix: "", maxBytes: 262_144 };

export function delivery(payload: string | Uint8Array, more: Partial<Delivery> = {}): Delivery {
  return {
    topic: TOPIC,
    payload: typeof payload === "string" ? new TextEncoder().encode(payload) : payload,
    qos: 1,
    retained: false,
    dup: false,
    protocol: "5",
    contentType: null,
    responseTopic: null,
    correlationData: null,
    userProperties: [],
    ...more,
  };
}

export const weight = {
  specversion: "1.0",
  id: "s1-7-42",
  source: SOURCE,
  type: "signalbox.step.evidence.v1",
  time: "2026-11-22T08:00:08.700Z",
  epoch: "7",
  sequence: "42",
  batchid: "B-1042",
  stepid: "weigh",
  data: { evidence: "net-weight", value: "12.503", unit: "kg" },
};

/** The delivery of an event in structured mode. */
export const structured = (event: Readonly<Record<string, unknown>>, more: Partial<Delivery> = {}): Delivery => delivery(JSON.stringify(event), more);

/** The same event in binary mode: one user property per attribute, the data as payload. */
export function binary(event: Readonly<Record<string, unknown>>, more: Partial<Delivery> = {}): Delivery {
  const { data, ...attributes } = event;
  const userProperties = Object.entries(attributes).map(([name, value]) => [name, String(value)] as const);
  return delivery(data === undefined ? "" : JSON.stringify(data), { contentType: "application/json", userProperties, ...more });
}

export function eventIn(decoded: Decoded): DeviceEvent {
  if (decoded.kind !== "event") throw new Error(`no event: ${JSON.stringify(decoded, (_, value) => (typeof value === "bigint" ? String(value) : value))}`);
  return decoded.event;
}

export function refusedIn(decoded: Decoded): { readonly refusal: Refusal; readonly partial: PartialEvent } {
  if (decoded.kind !== "refused") throw new Error(`not refused, but ${decoded.kind}`);
  return decoded;
}

export const decoded = (of: Delivery): Decoded => decode(of, OPTIONS);
export const event = (of: Delivery): DeviceEvent => eventIn(decoded(of));
export const refused = (of: Delivery): { readonly refusal: Refusal; readonly partial: PartialEvent } => refusedIn(decoded(of));
export const digest = (of: Delivery): string => event(of).digest;
