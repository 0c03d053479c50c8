import type { Delivery } from "../receive/delivery.ts";
import { decodeDiag } from "./diagnosis.ts";
import { digestOf, digestOfBytes } from "./digest.ts";
import { binaryEnvelope, type Envelope, type Fault, isBinary, JSON_TYPE, structuredEnvelope } from "./envelope.ts";
import type { Decoded, DeviceEvent, PartialEvent, PlantId, Refusal, SignedEvent, SourceAddress, TimeSource, Unread } from "./event.ts";
import { EVENT_TYPES, type EventData, type EventTypeName, isEventTypeName } from "./event-types.ts";
import { isInstant } from "./instant.ts";
import { cut, type Json, JsonNumber, type JsonObject, pointerOf, unsafeNumber } from "./json.ts";
import { numberIn, type Report } from "./numbering.ts";
import { JOSE_TYPE, type Jws, jwsIn } from "./signed.ts";
import { type BranchTopic, isPlantId, levelsOf, parseSource, parseTopic } from "./topic.ts";

export interface DecodeOptions {
  /** TOPIC_PREFIX: empty, or ending in "/". */
  readonly prefix: string;
  /** Larger payloads are refused. */
  readonly maxBytes: number;
}

/**
 * A delivery to an event or to a named refusal. Nothing is believed here, and nothing is thrown. An envelope that yields an agreeing source, epoch and sequence yields
 * them however bad the rest is: it takes its number.
 */
export function decode(delivery: Delivery, options: DecodeOptions): Decoded {
  const read = digested(delivery, options);
  const signed = read.kind === "refused" ? signedIn(delivery, options) : null;
  return signed === null ? read : { ...read, ...signed };
}

/** What a delivery says that is signed, where it has that form and may be read. Whether its branch has keys is not known here: without any it is what it was before, no event. */
function signedIn(delivery: Delivery, options: DecodeOptions): { readonly signed: SignedEvent } | null {
  const inner = unwrapped(delivery, options);
  if (inner === null || parseTopic(delivery.topic, options.prefix)?.domain !== "event") return null;
  const said = digested(inner.delivery, options);
  return said.kind === "event" || said.kind === "refused" ? { signed: { jws: inner.jws, said } } : null;
}

/** The event inside of a signed one, as if it had come without its signature. */
function unwrapped(delivery: Delivery, { maxBytes }: DecodeOptions): { readonly jws: Jws; readonly delivery: Delivery } | null {
  if ((delivery.fullLength ?? delivery.payload.byteLength) > maxBytes || isBinary(delivery)) return null;
  const jws = jwsIn(delivery);
  if (jws === null) return null;
  const { fullLength: _, ...rest } = delivery;
  return { jws, delivery: { ...rest, payload: jws.payload, contentType: JOSE_TYPE.test(delivery.contentType ?? "") ? null : delivery.contentType } };
}

function digested(delivery: Delivery, options: DecodeOptions): Exclude<Decoded, { readonly kind: "refused" }> | Unread {
  const read = undigested(delivery, options);
  // what cannot be read as an event is told from other deliveries by all its bytes
  return read.kind === "refused" ? { ...read, partial: { ...read.partial, digest: digestOfBytes(delivery.payload) } } : read;
}

type Undigested = Omit<PartialEvent, "digest">;
type Read = Exclude<Decoded, { readonly kind: "refused" }> | { readonly kind: "refused"; readonly refusal: Refusal; readonly partial: Undigested };

function undigested(delivery: Delivery, options: DecodeOptions): Read {
  // no topic name [MQTT-4.7.3-2], and nothing that could be kept or answered; a broker that hands it on should not have
  if (delivery.topic.includes("\u0000")) return { kind: "ignored", why: "topic" };
  const topic = parseTopic(delivery.topic, options.prefix);
  if (topic === null) {
    return levelsOf(delivery.topic, options.prefix)?.domain === "event"
      ? refused("TOP_WRONG_DOMAIN", "A level of the topic is no plant id: letters, digits and _ . : -, at most 64.")
      : { kind: "ignored", why: "topic" };
  }
  if (topic.domain === "diag") return decodeDiag(delivery, topic);
  if (topic.domain !== "event") return refused("TOP_WRONG_DOMAIN", `Nothing is read from ${cut(topic.domain, 40)} topics.`);
  const length = delivery.fullLength ?? delivery.payload.byteLength;
  if (length > options.maxBytes && !isBinary(delivery)) {
    return refused("ENV_TOO_LARGE", `The payload has ${length} bytes; at most ${options.maxBytes} are taken.`);
  }
  const envelope = envelopeIn(delivery, options);
  if ("refusal" in envelope) return { kind: "refused", refusal: envelope.refusal, partial: NOTHING };
  return decodeEnvelope(envelope, topic);
}

const envelopeIn = (delivery: Delivery, { maxBytes }: DecodeOptions): Envelope | { readonly refusal: Refusal } =>
  isBinary(delivery) ? binaryEnvelope(delivery, maxBytes) : structuredEnvelope(delivery);

/**
 * An event as readable JSON text, attributes and data, numbers as written, for people who ask later; null: the delivery is no event. `signed`: it was read as a signed one.
 */
export function eventText(delivery: Delivery, options: DecodeOptions, signed = false): string | null {
  const read = signed ? (unwrapped(delivery, options)?.delivery ?? delivery) : delivery;
  const envelope = digested(read, options).kind === "event" ? envelopeIn(read, options) : null;
  if (envelope === null || "refusal" in envelope) return null;
  const { attributes, data } = envelope;
  return write(new Map<string, Json>([...attributes, ...(data === undefined ? [] : ([["data", data]] as const))]));
}

const CONTEXT_ATTRIBUTES = [
  "specversion",
  "id",
  "source",
  "type",
  "time",
  "epoch",
  "sequence",
  "batchid",
  "stepid",
  "attempt",
  "occurred",
  "reciperevision",
  "evidenceref",
  "timesource",
] as const;
const KNOWN: ReadonlySet<string> = new Set<string>([
  ...CONTEXT_ATTRIBUTES,
  "correlationid",
  "causationid",
  "traceparent",
  "tracestate",
  "datacontenttype",
  "dataschema",
  "subject",
]);
const REQUIRED = ["specversion", "id", "source", "type"];
const TIME_SOURCES: ReadonlySet<string> = new Set(["ntp", "ptp", "gps", "rtc", "none"]);
const CLAIMS = /(^|[.\-_])(approv\w*|verif(y|ied|ies|ier|ication)|e?sign(ed|er|atures?|off|-off)?|releas(e|ed|er)|disposition(ed)?)(by|at|on)?($|[.\-_])/i;
const MIXED: ReadonlySet<string> = new Set(["telemetry", "metrics", "values", "tags", "samples"]);

function decodeEnvelope(envelope: Envelope, topic: BranchTopic): Read {
  const { attributes } = envelope;
  const faults: Fault[] = [...envelope.faults];
  const fault = (code: string, name: string, reason: string): null => {
    const pointer = pointerOf([name]);
    // what is there but cannot be read is not missing
    if (code !== "ENV_MISSING_FIELD" || !faults.some((known) => known.pointer === pointer)) faults.push({ code, reason, pointer });
    return null;
  };
  const text = (name: string, max = 256): string | null => {
    const value = attributes.get(name);
    if (value === undefined) return null;
    if (typeof value !== "string" || !isText(value, max))
      return fault("ENV_INVALID_FIELD", name, `${name} is a text of 1 to ${max} characters, none of them a control character.`);
    return value;
  };

  const address = addressIn(attributes, topic, fault);
  const numbered = numberIn(attributes, fault);
  const id = text("id");
  const typeText = text("type");
  const partial: Undigested = {
    source: address === null ? null : String(attributes.get("source")),
    address,
    id,
    type: typeText,
    time: instantOrNull(attributes.get("time")),
    epoch: numbered?.epoch ?? null,
    sequence: numbered?.sequence ?? null,
    batch: plantIdOrNull(attributes.get("batchid")),
    step: plantIdOrNull(attributes.get("stepid")),
    correlationId: textOrNull(attributes.get("correlationid")),
    traceparent: textOrNull(attributes.get("traceparent")),
  };

  for (const [name, value] of attributes) {
    if (KNOWN.has(name)) continue;
    if (CLAIMS.test(name)) fault("APR_OVER_MQTT", name, `A message cannot approve, verify, sign or release: ${cut(name, 40)}.`);
    else if (MIXED.has(name) && (Array.isArray(value) || value instanceof Map))
      fault("ENV_MIXED_CLASS", name, "Telemetry and an execution event do not travel in one payload.");
    else if (!/^[a-z0-9]+$/.test(name))
      fault("ENV_INVALID_FIELD", name, `${cut(JSON.stringify(name), 60)} is no attribute name: lower-case letters and digits.`);
    else if (Array.isArray(value) || value instanceof Map) fault("ENV_INVALID_FIELD", name, `Attribute ${name} is a text, a number or a boolean.`);
    else if (unsafeNumber(value) !== null) fault("ENV_UNSAFE_NUMBER", name, `The number in ${name} is not exact in every reader.`);
  }
  for (const name of REQUIRED) if (!attributes.has(name)) fault("ENV_MISSING_FIELD", name, `The attribute ${name} is missing.`);
  if (attributes.has("specversion") && attributes.get("specversion") !== "1.0") fault("ENV_INVALID_FIELD", "specversion", 'specversion is "1.0".');
  if (attributes.has("datacontenttype") && !isJsonType(attributes.get("datacontenttype")))
    fault("ENV_UNKNOWN_CONTENT_TYPE", "datacontenttype", "data is JSON.");

  const type = typeText === null ? null : typeIn(typeText, fault);
  const timesource = text("timesource", 8);
  if (timesource !== null && !TIME_SOURCES.has(timesource)) fault("ENV_INVALID_FIELD", "timesource", "timesource is one of ntp, ptp, gps, rtc, none.");
  const time = text("time", 40);
  if (time === null && !attributes.has("time") && timesource !== "none") fault("ENV_MISSING_FIELD", "time", "time may be missing only with timesource none.");
  if (time !== null && partial.time === null) fault("ENV_INVALID_FIELD", "time", "time is an RFC 3339 timestamp with its offset, of a day that exists.");
  const batch = plantIdIn(attributes, "batchid", fault);
  const step = plantIdIn(attributes, "stepid", fault);
  const attempt = attemptIn(attributes, fault);
  const occurred = booleanIn(attributes, "occurred", fault);
  const reciperevision = text("reciperevision", 80);
  if (reciperevision !== null && !/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}@[1-9]\d{0,8}$/.test(reciperevision))
    fault("ENV_INVALID_FIELD", "reciperevision", "reciperevision looks like blend@3.");
  text("dataschema", 512);
  text("subject");
  const rest = {
    evidenceRef: text("evidenceref"),
    correlationId: text("correlationid"),
    causationId: text("causationid"),
    traceparent: text("traceparent"),
    tracestate: text("tracestate", 512),
  };
  const data = type === null ? null : dataIn(type, envelope.data, faults);

  const [first] = faults.sort(byWeight);
  if (first !== undefined || address === null || id === null || type === null || data === null) {
    const because = first ?? { code: "ENV_MISSING_FIELD", reason: "The envelope is incomplete.", pointer: "" };
    const errors = faults.slice(0, 16).map(({ pointer, reason }) => ({ pointer, detail: reason }));
    return { kind: "refused", refusal: { code: because.code, reason: because.reason, errors }, partial };
  }
  const event: DeviceEvent = {
    source: partial.source ?? "",
    address,
    id,
    type,
    time,
    timesource: timesourceOf(timesource),
    epoch: partial.epoch,
    sequence: partial.sequence,
    batch,
    step,
    attempt,
    occurred,
    recipeRevision: reciperevision,
    ...rest,
    data,
    digest: digestOf(attributes, { occurred, data: envelope.data ?? NO_DATA }),
  };
  return { kind: "event", event };
}

function write(json: Json): string {
  if (json instanceof JsonNumber) return json.text;
  if (Array.isArray(json)) return `[${json.map(write).join(",")}]`;
  if (json instanceof Map) return `{${[...json].map(([key, value]) => `${JSON.stringify(key)}:${write(value)}`).join(",")}}`;
  return JSON.stringify(json);
}

function addressIn(attributes: JsonObject, topic: BranchTopic, fault: Report): SourceAddress | null {
  const source = attributes.get("source");
  if (source === undefined) return null;
  const address = typeof source === "string" && source.length <= 512 ? parseSource(source) : null;
  if (address === null) return fault("ENV_INVALID_FIELD", "source", "source looks like /site/{s}/line/{l}/eq/{e}[/device/{d}].");
  if (address.site !== topic.site || address.line !== topic.line || address.equipment !== topic.equipment) {
    return fault("TOP_PAYLOAD_MISMATCH", "source", "The source is not the equipment on whose topic the message came.");
  }
  return address;
}

function attemptIn(attributes: JsonObject, fault: Report): number | null {
  const value = attributes.get("attempt");
  if (value === undefined) return null;
  const digits = value instanceof JsonNumber ? value.text : value;
  if (typeof digits !== "string" || !/^[1-9]\d{0,8}$/.test(digits)) return fault("ENV_INVALID_FIELD", "attempt", "attempt is a whole number from 1.");
  return Number(digits);
}

function booleanIn(attributes: JsonObject, name: string, fault: Report): boolean {
  const value = attributes.get(name);
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  // a user property has no other form
  if (value === "true" || value === "false") return value === "true";
  fault("ENV_INVALID_FIELD", name, `${name} is true or false.`);
  return false;
}

function plantIdIn(attributes: JsonObject, name: string, fault: Report): PlantId | null {
  const value = attributes.get(name);
  if (value === undefined) return null;
  return typeof value === "string" && isPlantId(value)
    ? value
    : fault("ENV_INVALID_FIELD", name, `${name} is a plant id: letters, digits and _ . : -, at most 64.`);
}

function typeIn(text: string, fault: Report): EventTypeName | null {
  const [, name = "", version = ""] = /^signalbox\.(.+)\.v(\d{1,9})$/.exec(text) ?? [];
  if (isEventTypeName(name)) return version === "1" ? name : fault("SCH_UNKNOWN_VERSION", "type", `Version ${version} of ${name} is not known; version 1 is.`);
  if (CLAIMS.test(text)) return fault("APR_OVER_MQTT", "type", `A message cannot approve, verify, sign or release: ${cut(text, 80)}.`);
  return fault("SCH_UNKNOWN_TYPE", "type", `No type ${cut(text, 80)} is known.`);
}

function dataIn(type: EventTypeName, data: Json | undefined, faults: Fault[]): EventData | null {
  const given = data ?? NO_DATA;
  if (data === null || !(given instanceof Map)) {
    faults.push({ code: "SCH_INVALID", reason: "data is a JSON object.", pointer: "/data" });
    return null;
  }
  const parsed = EVENT_TYPES[type].schema.safeParse(forSchema(given));
  // A number that the schema takes is exact: it is kept as the text that was sent.
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues.slice(0, 16)) {
    const keys = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    for (const path of keys) faults.push(dataFault(given, path, issue));
  }
  return null;
}

function dataFault(data: Json, path: readonly PropertyKey[], issue: { readonly code?: string; readonly message: string }): Fault {
  const found = path.reduce<Json | undefined>(
    (at, part) => (at instanceof Map ? at.get(String(part)) : Array.isArray(at) ? at[Number(part)] : undefined),
    data,
  );
  const unsafe = found === undefined ? null : unsafeNumber(found);
  const pointer = cut(`/data${pointerOf(path)}`, 256);
  if (unsafe !== null)
    return { code: "ENV_UNSAFE_NUMBER", reason: `The number ${unsafe.text} is not exact in every reader.`, pointer: cut(`${pointer}${unsafe.pointer}`, 256) };
  const name = String(path.at(-1) ?? "data");
  if (issue.code === "unrecognized_keys") {
    const code = CLAIMS.test(name) && path.length === 1 ? "APR_OVER_MQTT" : "SCH_INVALID";
    return {
      code,
      reason: `${path.length === 1 ? "data" : cut(`/data${pointerOf(path.slice(0, -1))}`, 120)} has no field ${cut(JSON.stringify(name), 60)}.`,
      pointer,
    };
  }
  return {
    code: "SCH_INVALID",
    reason: found === undefined && path.length > 0 ? `${cut(pointer, 120)} is missing.` : `${cut(pointer, 120)}: ${cut(issue.message, 160)}.`,
    pointer,
  };
}

function forSchema(json: Json): unknown {
  if (Array.isArray(json)) return json.map(forSchema);
  if (json instanceof Map) {
    const object: Record<string, unknown> = {};
    for (const [key, value] of json) {
      // no other name is more than a name when it is assigned
      if (key === "__proto__") Object.defineProperty(object, key, { value: forSchema(value), enumerable: true });
      else object[key] = forSchema(value);
    }
    return object;
  }
  return json;
}

// the gravest fault names the refusal: what cannot be read, who speaks, what it claims, then the fields
const WEIGHT = [
  "ENV_NOT_UTF8",
  "ENV_NOT_JSON",
  "ENV_TOO_LARGE",
  "ENV_DUPLICATE_KEY",
  "ENV_TOO_DEEP",
  "TOP_PAYLOAD_MISMATCH",
  "APR_OVER_MQTT",
  "ENV_UNKNOWN_CONTENT_TYPE",
  "ENV_MIXED_CLASS",
  "ENV_MISSING_FIELD",
  "ENV_INVALID_FIELD",
  "SCH_UNKNOWN_TYPE",
  "SCH_UNKNOWN_VERSION",
  "ENV_UNSAFE_NUMBER",
  "SCH_INVALID",
];
const byWeight = (a: Fault, b: Fault): number => WEIGHT.indexOf(a.code) - WEIGHT.indexOf(b.code);

const NO_DATA: JsonObject = new Map();
const NOTHING: Undigested = {
  source: null,
  address: null,
  id: null,
  type: null,
  time: null,
  epoch: null,
  sequence: null,
  batch: null,
  step: null,
  correlationId: null,
  traceparent: null,
};

const refusal = (code: string, reason: string): Refusal => ({ code, reason, errors: [] });
const refused = (code: string, reason: string): Read => ({ kind: "refused", refusal: refusal(code, reason), partial: NOTHING });
/** Characters, not code units; no control characters, which neither logs nor the database need to meet. */
const isText = (value: string, max: number): boolean =>
  value !== "" &&
  (value.length <= max || (value.length <= 2 * max && [...value].length <= max)) &&
  (/^[ -~]*$/.test(value) || !/[\p{Cc}\p{Surrogate}]/u.test(value));
const isJsonType = (value: Json | undefined): boolean => typeof value === "string" && JSON_TYPE.test(value);
const textOrNull = (value: Json | undefined): string | null => (typeof value === "string" && isText(value, 256) ? value : null);
const instantOrNull = (value: Json | undefined): string | null => (typeof value === "string" && isInstant(value) ? value : null);
const plantIdOrNull = (value: Json | undefined): string | null => (typeof value === "string" && isPlantId(value) ? value : null);
const timesourceOf = (text: string | null): TimeSource | null =>
  text === "ntp" || text === "ptp" || text === "gps" || text === "rtc" || text === "none" ? text : null;
