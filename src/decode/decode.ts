import type { Delivery } from "../receive/delivery.ts";
import { digestOf, digestOfBytes } from "./digest.ts";
import type { Decoded, DeviceEvent, Diagnosis, PartialEvent, PlantId, Refusal, SourceAddress, TimeSource } from "./event.ts";
import { EVENT_TYPES, type EventData, type EventTypeName, isEventTypeName } from "./event-types.ts";
import { type Json, JsonNumber, type JsonObject, pointerOf, readJson, unsafeNumber } from "./json.ts";
import { type BranchTopic, isPlantId, parseSource, parseTopic } from "./topic.ts";

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
  const topic = parseTopic(delivery.topic, options.prefix);
  if (topic === null) return { kind: "ignored", why: "topic" };
  if (topic.domain === "diag") return decodeDiag(delivery, topic);
  const none = nothing(delivery);
  if (topic.domain !== "event") return refused(none, "TOP_WRONG_DOMAIN", `Nothing is read from ${topic.domain.slice(0, 40)} topics.`);
  if (delivery.payload.byteLength > options.maxBytes && !isBinary(delivery)) {
    return refused(none, "ENV_TOO_LARGE", `The payload has ${delivery.payload.byteLength} bytes; at most ${options.maxBytes} are taken.`);
  }
  const envelope = isBinary(delivery) ? binaryEnvelope(delivery, options.maxBytes) : structuredEnvelope(delivery);
  if ("refusal" in envelope) return { kind: "refused", refusal: envelope.refusal, partial: none };
  return decodeEnvelope(envelope, topic, none);
}

/** Attributes and data of an event, however they travelled, with what was found wrong on the way. */
interface Envelope {
  readonly attributes: JsonObject;
  /** undefined: there is none, or it could not be read. */
  readonly data: Json | undefined;
  readonly faults: readonly Fault[];
}

interface Fault {
  readonly code: string;
  readonly reason: string;
  readonly pointer: string;
}

const STRUCTURED = /^application\/(cloudevents\+json|json)\s*(;.*)?$/i;
const JSON_TYPE = /^(application\/json|application\/[a-z0-9.-]+\+json|text\/json)\s*(;.*)?$/i;

const isBinary = (delivery: Delivery): boolean =>
  delivery.userProperties.some(([name]) => name === "specversion") && !/^application\/cloudevents/i.test(delivery.contentType ?? "");

function structuredEnvelope(delivery: Delivery): Envelope | { refusal: Refusal } {
  const { contentType } = delivery;
  if (contentType !== null && contentType !== "" && !STRUCTURED.test(contentType)) {
    return { refusal: refusal("ENV_UNKNOWN_CONTENT_TYPE", `Content type ${contentType.slice(0, 80)} is not read; send application/cloudevents+json.`) };
  }
  const read = readJson(delivery.payload);
  if (!read.ok) {
    if (read.fault === "ENV_NOT_JSON" && looksBare(delivery.payload)) return { refusal: refusal("ENV_BARE_VALUE", "A bare value is no event; send an envelope.") };
    return { refusal: refusal(read.fault, `${capital(read.detail)}.`) };
  }
  const { value } = read;
  if (!(value instanceof Map)) {
    const bare = !Array.isArray(value);
    return bare ? { refusal: refusal("ENV_BARE_VALUE", "A bare value is no event; send an envelope.") } : { refusal: refusal("ENV_MISSING_FIELD", "An event is a JSON object, not a list.") };
  }
  const attributes = new Map<string, Json>();
  let data: Json | undefined;
  for (const [name, content] of value) {
    if (name === "data") data = content;
    else attributes.set(name, content);
  }
  const faults = read.faults.map(({ fault, pointer, detail }): Fault => ({ code: fault, reason: `${capital(detail)}.`, pointer }));
  return { attributes, data, faults };
}

function binaryEnvelope(delivery: Delivery, maxBytes: number): Envelope {
  const attributes = new Map<string, Json>();
  const faults: Fault[] = [];
  const repeated = new Set<string>();
  for (const [name, value] of delivery.userProperties) {
    if (attributes.has(name)) {
      repeated.add(name);
      faults.push({ code: "ENV_DUPLICATE_KEY", reason: `The attribute ${name.slice(0, 40)} occurs more than once.`, pointer: pointerOf([name]) });
    }
    attributes.set(name, value === "true" ? true : value === "false" ? false : value);
  }
  for (const name of repeated) attributes.delete(name);
  let data: Json | undefined;
  if (delivery.payload.byteLength > maxBytes) {
    faults.push({ code: "ENV_TOO_LARGE", reason: `The payload has ${delivery.payload.byteLength} bytes; at most ${maxBytes} are taken.`, pointer: "/data" });
  } else if (delivery.contentType !== null && delivery.contentType !== "" && !JSON_TYPE.test(delivery.contentType)) {
    faults.push({ code: "ENV_UNKNOWN_CONTENT_TYPE", reason: `Content type ${delivery.contentType.slice(0, 80)} is not read; send application/json.`, pointer: "" });
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

const CONTEXT_ATTRIBUTES = ["specversion", "id", "source", "type", "time", "epoch", "sequence", "batchid", "stepid", "attempt", "occurred", "reciperevision", "evidenceref", "timesource"] as const;
const KNOWN: ReadonlySet<string> = new Set<string>([...CONTEXT_ATTRIBUTES, "correlationid", "causationid", "traceparent", "tracestate", "datacontenttype", "dataschema", "subject", "recordedtime"]);
const TIME_SOURCES: ReadonlySet<string> = new Set(["ntp", "ptp", "gps", "rtc", "none"]);
const RFC3339 = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
const CLAIMS = /(^|[.\-_])(approv\w*|verif(y|ied|ication)|sign(ed|ature|off|-off)?|releas(e|ed)|disposition(ed)?)($|[.\-_])/i;
const MIXED: ReadonlySet<string> = new Set(["telemetry", "metrics", "values", "tags", "samples"]);

function decodeEnvelope(envelope: Envelope, topic: BranchTopic, none: PartialEvent): Decoded {
  const { attributes } = envelope;
  const faults: Fault[] = [...envelope.faults];
  const fault = (code: string, name: string, reason: string): null => {
    faults.push({ code, reason, pointer: pointerOf([name]) });
    return null;
  };
  const text = (name: string, max = 256): string | null => {
    const value = attributes.get(name);
    if (value === undefined || value === null) return null;
    if (typeof value !== "string" || value === "" || value.length > max || /[\u0000-\u001f\u007f]/.test(value)) return fault("ENV_INVALID_FIELD", name, `${name} is a text of 1 to ${max} characters.`);
    return value;
  };

  const address = addressIn(attributes, topic, fault);
  const numbered = numberIn(attributes, fault);
  const id = text("id");
  const typeText = text("type");
  const partial: PartialEvent = {
    ...none,
    source: address === null ? null : String(attributes.get("source")),
    address,
    id,
    type: typeText,
    time: stringOrNull(attributes.get("time")),
    epoch: numbered?.epoch ?? null,
    sequence: numbered?.sequence ?? null,
    batch: plantIdOrNull(attributes.get("batchid")),
    step: plantIdOrNull(attributes.get("stepid")),
    correlationId: stringOrNull(attributes.get("correlationid")),
    traceparent: stringOrNull(attributes.get("traceparent")),
  };

  for (const [name, value] of attributes) {
    if (KNOWN.has(name)) continue;
    if (CLAIMS.test(name)) fault("APR_OVER_MQTT", name, `A message cannot approve, verify, sign or release: ${name.slice(0, 40)}.`);
    else if (MIXED.has(name) && (Array.isArray(value) || value instanceof Map)) fault("ENV_MIXED_CLASS", name, "Telemetry and an execution event do not travel in one payload.");
    else if (!/^[a-z0-9]{1,20}$/.test(name)) fault("ENV_INVALID_FIELD", name, `${JSON.stringify(name).slice(0, 60)} is no attribute name: lower-case letters and digits, at most 20.`);
    else if (Array.isArray(value) || value instanceof Map || (typeof value === "string" && value.length > 1024)) fault("ENV_INVALID_FIELD", name, `Attribute ${name} is a text, a number or a boolean.`);
  }
  for (const name of ["specversion", "id", "source", "type"]) if (!attributes.has(name) && !repeatedIn(faults, name)) fault("ENV_MISSING_FIELD", name, `The attribute ${name} is missing.`);
  if (attributes.has("specversion") && attributes.get("specversion") !== "1.0") fault("ENV_INVALID_FIELD", "specversion", 'specversion is "1.0".');
  if (attributes.has("datacontenttype") && !JSON_TYPE.test(String(attributes.get("datacontenttype")))) fault("ENV_UNKNOWN_CONTENT_TYPE", "datacontenttype", "data is JSON.");

  const type = typeText === null ? null : typeIn(typeText, fault);
  const timesource = text("timesource", 8);
  if (timesource !== null && !TIME_SOURCES.has(timesource)) fault("ENV_INVALID_FIELD", "timesource", "timesource is one of ntp, ptp, gps, rtc, none.");
  const time = text("time", 40);
  if (time === null && !attributes.has("time") && timesource !== "none") fault("ENV_MISSING_FIELD", "time", "time may be missing only with timesource none.");
  if (time !== null && (!RFC3339.test(time) || Number.isNaN(Date.parse(time)))) fault("ENV_INVALID_FIELD", "time", "time is an RFC 3339 timestamp.");
  const batch = plantIdIn(attributes, "batchid", fault);
  const step = plantIdIn(attributes, "stepid", fault);
  const attempt = attemptIn(attributes, fault);
  const occurred = booleanIn(attributes, "occurred", fault);
  const reciperevision = text("reciperevision", 80);
  if (reciperevision !== null && !/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}@[1-9]\d{0,8}$/.test(reciperevision)) fault("ENV_INVALID_FIELD", "reciperevision", "reciperevision looks like blend@3.");
  const rest = { evidenceRef: text("evidenceref"), correlationId: text("correlationid"), causationId: text("causationid"), traceparent: text("traceparent"), tracestate: text("tracestate", 512) };
  const data = type === null ? null : dataIn(type, envelope.data, faults);

  const [first] = faults.sort(byWeight);
  if (first !== undefined || address === null || id === null || type === null || data === null) {
    const because = first ?? { code: "ENV_MISSING_FIELD", reason: "The envelope is incomplete.", pointer: "" };
    const errors = faults.slice(0, 16).map(({ pointer, reason }) => ({ pointer, detail: reason }));
    return { kind: "refused", refusal: { code: because.code, reason: because.reason, errors }, partial };
  }
  const known = new Map<string, Json>();
  for (const [name, value] of attributes) if (KNOWN.has(name)) known.set(name, value instanceof JsonNumber ? value.text : value);
  known.set("occurred", occurred);
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
    text: "",
    digest: digestOf(known, envelope.data ?? new Map()),
  };
  return { kind: "event", event: { ...event, text: asText(attributes, envelope.data) } };
}

/** The event as readable JSON text, numbers as written. */
function asText(attributes: JsonObject, data: Json | undefined): string {
  return write(new Map<string, Json>([...attributes, ...(data === undefined ? [] : ([["data", data]] as const))]));
}

function write(json: Json): string {
  if (json instanceof JsonNumber) return json.text;
  if (Array.isArray(json)) return `[${json.map(write).join(",")}]`;
  if (json instanceof Map) return `{${[...json].map(([key, value]) => `${JSON.stringify(key)}:${write(value)}`).join(",")}}`;
  return JSON.stringify(json);
}

type Report = (code: string, name: string, reason: string) => null;

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

const WHOLE = /^(?:0|[1-9]\d{0,18})$/;
const MOST = 2n ** 63n - 1n;

function numberIn(attributes: JsonObject, fault: Report): { readonly epoch: bigint; readonly sequence: bigint } | null {
  const epoch = wholeIn(attributes, "epoch", 0n, fault);
  const sequence = wholeIn(attributes, "sequence", 1n, fault);
  if (epoch === "absent" && sequence === "absent") return null;
  if (epoch === "absent") return fault("ENV_MISSING_FIELD", "epoch", "sequence comes with an epoch.");
  if (sequence === "absent") return fault("ENV_MISSING_FIELD", "sequence", "epoch comes with a sequence.");
  return epoch === null || sequence === null ? null : { epoch, sequence };
}

function wholeIn(attributes: JsonObject, name: string, least: bigint, fault: Report): bigint | null | "absent" {
  const value = attributes.get(name);
  if (value === undefined || value === null) return "absent";
  const digits = value instanceof JsonNumber ? value.text : value;
  if (typeof digits !== "string" || !WHOLE.test(digits) || BigInt(digits) > MOST || BigInt(digits) < least) {
    return fault("ENV_INVALID_FIELD", name, `${name} is a whole number from ${least} to 2^63-1, without leading zeros.`);
  }
  return BigInt(digits);
}

function attemptIn(attributes: JsonObject, fault: Report): number | null {
  const value = attributes.get("attempt");
  if (value === undefined || value === null) return null;
  const digits = value instanceof JsonNumber ? value.text : value;
  if (typeof digits !== "string" || !/^[1-9]\d{0,8}$/.test(digits)) return fault("ENV_INVALID_FIELD", "attempt", "attempt is a whole number from 1.");
  return Number(digits);
}

function booleanIn(attributes: JsonObject, name: string, fault: Report): boolean {
  const value = attributes.get(name);
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  fault("ENV_INVALID_FIELD", name, `${name} is true or false.`);
  return false;
}

function plantIdIn(attributes: JsonObject, name: string, fault: Report): PlantId | null {
  const value = attributes.get(name);
  if (value === undefined || value === null) return null;
  return typeof value === "string" && isPlantId(value) ? value : fault("ENV_INVALID_FIELD", name, `${name} is a plant id: letters, digits and _ . : -, at most 64.`);
}

function typeIn(text: string, fault: Report): EventTypeName | null {
  const [, name = "", version = ""] = /^signalbox\.(.+)\.v(\d{1,9})$/.exec(text) ?? [];
  if (isEventTypeName(name)) return version === "1" ? name : fault("SCH_UNKNOWN_VERSION", "type", `Version ${version} of ${name} is not known; version 1 is.`);
  if (CLAIMS.test(text)) return fault("APR_OVER_MQTT", "type", `A message cannot approve, verify, sign or release: ${text.slice(0, 80)}.`);
  return fault("SCH_UNKNOWN_TYPE", "type", `No type ${text.slice(0, 80)} is known.`);
}

function dataIn(type: EventTypeName, data: Json | undefined, faults: Fault[]): EventData | null {
  const given = data ?? new Map<string, Json>();
  const unsafe = unsafeNumber(given);
  if (unsafe !== null && !isDecimalPlace(unsafe.text)) {
    faults.push({ code: "ENV_UNSAFE_NUMBER", reason: `The number ${unsafe.text} is not exact in every reader.`, pointer: `/data${unsafe.pointer}` });
    return null;
  }
  const parsed = EVENT_TYPES[type].schema.safeParse(forSchema(given));
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues.slice(0, 16)) {
    const pointer = `/data${pointerOf(issue.path)}`;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) faults.push({ code: CLAIMS.test(key) && issue.path.length === 0 ? "APR_OVER_MQTT" : "SCH_INVALID", reason: `data has no field ${JSON.stringify(key).slice(0, 60)}.`, pointer: `${pointer}${pointerOf([key])}` });
    } else faults.push({ code: "SCH_INVALID", reason: `${pointer}: ${issue.message.slice(0, 160)}.`, pointer });
  }
  return null;
}

/** Long decimals are exact here, since they are kept as text; what overflows or is written with an exponent is not. */
const isDecimalPlace = (text: string): boolean => /^-?\d{1,34}\.\d{1,34}$/.test(text);

function forSchema(json: Json): unknown {
  if (Array.isArray(json)) return json.map(forSchema);
  if (json instanceof Map) {
    const out: Record<string, unknown> = {};
    for (const [key, value] of json) Object.defineProperty(out, key, { value: forSchema(value), enumerable: true, configurable: true, writable: true });
    return out;
  }
  return json;
}

// the gravest fault names the refusal: what cannot be read, who speaks, what it claims, then the fields
const WEIGHT = ["ENV_NOT_UTF8", "ENV_NOT_JSON", "ENV_TOO_LARGE", "ENV_DUPLICATE_KEY", "ENV_TOO_DEEP", "TOP_PAYLOAD_MISMATCH", "APR_OVER_MQTT", "ENV_UNKNOWN_CONTENT_TYPE", "ENV_MIXED_CLASS", "ENV_MISSING_FIELD", "ENV_INVALID_FIELD", "SCH_UNKNOWN_TYPE", "SCH_UNKNOWN_VERSION", "ENV_UNSAFE_NUMBER", "SCH_INVALID"];
const byWeight = (a: Fault, b: Fault): number => WEIGHT.indexOf(a.code) - WEIGHT.indexOf(b.code);

const repeatedIn = (faults: readonly Fault[], name: string): boolean => faults.some((f) => f.code === "ENV_DUPLICATE_KEY" && f.pointer === pointerOf([name]));

/** A heartbeat or connection state; what cannot be read is only counted. */
function decodeDiag(delivery: Delivery, topic: BranchTopic): Decoded {
  const read = delivery.payload.byteLength > 65_536 ? null : readJson(delivery.payload);
  if (read === null || !read.ok || !(read.value instanceof Map)) return { kind: "ignored", why: "unreadable" };
  const { value } = read;
  const source = value.get("source") ?? `/site/${topic.site}/line/${topic.line}/eq/${topic.equipment}${typeof value.get("device") === "string" ? `/device/${String(value.get("device"))}` : ""}`;
  const address = typeof source === "string" ? parseSource(source) : null;
  if (typeof source !== "string" || address === null || address.site !== topic.site || address.line !== topic.line || address.equipment !== topic.equipment) return { kind: "ignored", why: "other" };
  const ignore = () => null;
  const state = value.get("state");
  const time = value.get("time");
  const numbered = numberIn(value, ignore);
  const diagnosis: Diagnosis = {
    source,
    address,
    state: state === "online" || state === "offline" ? state : null,
    epoch: numbered?.epoch ?? null,
    sequence: numbered?.sequence ?? null,
    time: typeof time === "string" && RFC3339.test(time) ? time : null,
  };
  return { kind: "diag", diagnosis };
}

function nothing(delivery: Delivery): PartialEvent {
  return { source: null, address: null, id: null, type: null, time: null, epoch: null, sequence: null, batch: null, step: null, correlationId: null, traceparent: null, digest: digestOfBytes(delivery.payload) };
}

function looksBare(payload: Uint8Array): boolean {
  const text = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.byteLength, 200)).toString("utf8").trim();
  return payload.byteLength <= 128 && text !== "" && !/[{}[\]"]/.test(text) && /^[\w.:+\-/%°]+(\s*[=:]?\s*[\w.+\-/%°]+)?$/.test(text) && /\d/.test(text);
}

const refusal = (code: string, reason: string): Refusal => ({ code, reason, errors: [] });
const refused = (partial: PartialEvent, code: string, reason: string): Decoded => ({ kind: "refused", refusal: refusal(code, reason), partial });
const stringOrNull = (value: Json | undefined): string | null => (typeof value === "string" && value.length <= 512 ? value : null);
const plantIdOrNull = (value: Json | undefined): string | null => (typeof value === "string" && isPlantId(value) ? value : null);
const timesourceOf = (text: string | null): TimeSource | null => (text === "ntp" || text === "ptp" || text === "gps" || text === "rtc" || text === "none" ? text : null);
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
