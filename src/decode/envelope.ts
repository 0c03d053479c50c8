import type { Delivery } from "../receive/delivery.ts";
import type { Refusal } from "./event.ts";
import { cut, type Json, type JsonObject, pointerOf, readJson } from "./json.ts";

// A CloudEvent taken out of its message, structured or binary: the same attributes and data from both.

/** Attributes and data of an event, however they travelled, with what was found wrong on the way. */
export interface Envelope {
  readonly attributes: JsonObject;
  /** undefined: there is none, or it could not be read. */
  readonly data: Json | undefined;
  readonly faults: readonly Fault[];
}

export interface Fault {
  readonly code: string;
  readonly reason: string;
  readonly pointer: string;
}

const STRUCTURED = /^application\/(cloudevents\+json|json)\s*(;.*)?$/i;
export const JSON_TYPE = /^(application\/json|application\/[a-z0-9.-]+\+json|text\/json)\s*(;.*)?$/i;

export const isBinary = (delivery: Delivery): boolean =>
  delivery.userProperties.some(([name]) => name === "specversion") && !/^application\/cloudevents/i.test(delivery.contentType ?? "");

/**
 * Nothing can be claimed of what is no JSON object. A content type that is not read refuses the event, but an envelope beneath it still yields its number. Attributes
 * that are null are not set (CloudEvents JSON format, 2.2).
 */
export function structuredEnvelope(delivery: Delivery): Envelope | { readonly refusal: Refusal } {
  const { contentType } = delivery;
  const unread =
    contentType === null || contentType === "" || STRUCTURED.test(contentType)
      ? null
      : { code: "ENV_UNKNOWN_CONTENT_TYPE", reason: `Content type ${cut(contentType, 80)} is not read; send application/cloudevents+json.`, pointer: "" };
  const read = readJson(delivery.payload);
  if (unread !== null && !(read.ok && read.value instanceof Map)) return { refusal: refusal(unread.code, unread.reason) };
  if (!read.ok) {
    if (read.fault === "ENV_NOT_JSON" && looksBare(delivery.payload))
      return { refusal: refusal("ENV_BARE_VALUE", "A bare value is no event; send an envelope.") };
    return { refusal: refusal(read.fault, `${capital(read.detail)}.`) };
  }
  const { value } = read;
  if (Array.isArray(value)) return { refusal: refusal("ENV_MISSING_FIELD", "An event is a JSON object, not a list.") };
  if (!(value instanceof Map)) return { refusal: refusal("ENV_BARE_VALUE", "A bare value is no event; send an envelope.") };
  // what has just been read is nobody else's
  const attributes: Map<string, Json> = value;
  const data = value.get("data");
  attributes.delete("data");
  for (const [name, content] of attributes) if (content === null) attributes.delete(name);
  const faults = read.faults.map(({ fault, pointer, detail }): Fault => ({ code: fault, reason: `${capital(detail)}.`, pointer }));
  return { attributes, data, faults: unread === null ? faults : [unread, ...faults] };
}

/** The payload is the data; one user property is one attribute. The attributes are readable whatever the payload is. */
export function binaryEnvelope(delivery: Delivery, maxBytes: number): Envelope {
  const attributes = new Map<string, Json>();
  const faults: Fault[] = [];
  const repeated = new Set<string>();
  for (const [name, value] of delivery.userProperties) {
    if (attributes.has(name)) {
      repeated.add(name);
      faults.push({ code: "ENV_DUPLICATE_KEY", reason: `The attribute ${cut(name, 40)} occurs more than once.`, pointer: pointerOf([name]) });
    }
    attributes.set(name, value);
    if (name === "data" || /\p{Surrogate}/u.test(name + value))
      faults.push({ code: "ENV_INVALID_FIELD", reason: `${cut(JSON.stringify(name), 60)} is no attribute.`, pointer: pointerOf([name]) });
  }
  for (const name of repeated) attributes.delete(name);
  let data: Json | undefined;
  const length = delivery.fullLength ?? delivery.payload.byteLength;
  if (length > maxBytes) {
    faults.push({ code: "ENV_TOO_LARGE", reason: `The payload has ${length} bytes; at most ${maxBytes} are taken.`, pointer: "/data" });
  } else if (delivery.contentType !== null && delivery.contentType !== "" && !JSON_TYPE.test(delivery.contentType)) {
    faults.push({ code: "ENV_UNKNOWN_CONTENT_TYPE", reason: `Content type ${cut(delivery.contentType, 80)} is not read; send application/json.`, pointer: "" });
  } else if (delivery.payload.byteLength > 0) {
    const read = readJson(delivery.payload);
    if (!read.ok) faults.push({ code: read.fault, reason: `${capital(read.detail)}.`, pointer: "/data" });
    else {
      data = read.value;
      faults.push(...read.faults.map(({ fault, pointer, detail }): Fault => ({ code: fault, reason: `${capital(detail)}.`, pointer: `/data${pointer}` })));
    }
  }
  return { attributes, data, faults };
}

// a number, perhaps named and perhaps with a unit, as devices without an envelope send it
const BARE = /^(?:[A-Za-z_][\w./-]{0,63}\s*[=:]\s*)?-?(?:0|[1-9]\d*)(?:[.,]\d+)?\s?(?:[A-Za-z%°µ][\w%°µ/.^-]*)?$/;

function looksBare(payload: Uint8Array): boolean {
  return payload.byteLength <= 128 && BARE.test(new TextDecoder().decode(payload).trim());
}

const refusal = (code: string, reason: string): Refusal => ({ code, reason, errors: [] });
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
