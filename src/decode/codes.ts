import type { CodeTable } from "./code.ts";
import type { ProvenanceCode } from "./provenance.ts";
import type { SignatureCode } from "./signature.ts";

export type DecodeCode =
  | "ENV_TOO_LARGE"
  | "ENV_NOT_UTF8"
  | "ENV_NOT_JSON"
  | "ENV_DUPLICATE_KEY"
  | "ENV_UNSAFE_NUMBER"
  | "ENV_TOO_DEEP"
  | "ENV_UNKNOWN_CONTENT_TYPE"
  | "ENV_MISSING_FIELD"
  | "ENV_INVALID_FIELD"
  | "ENV_BARE_VALUE"
  | "ENV_MIXED_CLASS"
  | "ENV_RETAINED"
  | "SCH_UNKNOWN_TYPE"
  | "SCH_UNKNOWN_VERSION"
  | "SCH_INVALID"
  | "TOP_PAYLOAD_MISMATCH"
  | "TOP_WRONG_DOMAIN"
  | "APR_OVER_MQTT"
  | ProvenanceCode
  | SignatureCode;

export const DECODE_CODES: CodeTable<DecodeCode> = {
  ENV_TOO_LARGE: {
    meaning: "The payload is larger than the service takes; its hash and head are kept.",
    owner: "integrator",
    next: "correct",
    remedy: "Send less in one event; keep large files elsewhere and refer to them. A number that the verdict does not name is still free.",
  },
  ENV_NOT_UTF8: {
    meaning: "The payload is not valid UTF-8.",
    owner: "integrator",
    next: "correct",
    remedy: "Send UTF-8. A number that the verdict does not name is still free.",
  },
  ENV_NOT_JSON: {
    meaning: "The payload is not valid JSON.",
    owner: "integrator",
    next: "correct",
    remedy: "Send the event as RFC 8259 JSON. A number that the verdict does not name is still free.",
  },
  ENV_DUPLICATE_KEY: {
    meaning: "A name occurs twice, so nobody can say which is meant.",
    owner: "integrator",
    next: "correct",
    remedy: "Send every name once.",
  },
  ENV_UNSAFE_NUMBER: {
    meaning: "A number is not exact in every reader.",
    owner: "integrator",
    next: "correct",
    remedy: "Send large or exact numbers as decimal text.",
  },
  ENV_TOO_DEEP: { meaning: "The payload is nested too deeply.", owner: "integrator", next: "correct", remedy: "Send a flatter event." },
  ENV_UNKNOWN_CONTENT_TYPE: {
    meaning: "The content type is not one that is read.",
    owner: "integrator",
    next: "correct",
    remedy: "Send application/cloudevents+json, or binary mode with application/json.",
  },
  ENV_MISSING_FIELD: {
    meaning: "A required attribute is missing.",
    owner: "integrator",
    next: "correct",
    remedy: "Send all required attributes of the envelope.",
  },
  ENV_INVALID_FIELD: {
    meaning: "An attribute has a value that it cannot have.",
    owner: "integrator",
    next: "correct",
    remedy: "See the errors for the attribute and what it may be.",
  },
  ENV_BARE_VALUE: {
    meaning: "A bare value was sent where an event belongs.",
    owner: "integrator",
    next: "correct",
    remedy: "Send an envelope; readings belong on the telemetry topic.",
  },
  ENV_MIXED_CLASS: { meaning: "Telemetry and an execution event were mixed in one payload.", owner: "integrator", next: "correct", remedy: "Send them apart." },
  ENV_RETAINED: { meaning: "A retained copy: looked at, never a fact.", owner: "integrator", next: "none", remedy: "Publish events without the retain flag." },
  SCH_UNKNOWN_TYPE: { meaning: "No such event type is known.", owner: "integrator", next: "correct", remedy: "See /v1/schemas for the types." },
  SCH_UNKNOWN_VERSION: {
    meaning: "The event type is known, this version of it is not.",
    owner: "integrator",
    next: "correct",
    remedy: "Send a version that is published.",
  },
  SCH_INVALID: {
    meaning: "The event's data does not fit the schema of its type.",
    owner: "integrator",
    next: "correct",
    remedy: "See the errors and the type's schema.",
  },
  TOP_PAYLOAD_MISMATCH: {
    meaning: "The event names another equipment than the topic on which it came.",
    owner: "security",
    next: "correct",
    remedy: "Publish on the equipment's own topic; check who publishes there.",
  },
  TOP_WRONG_DOMAIN: {
    meaning: "Events are read from event topics of equipment only.",
    owner: "integrator",
    next: "correct",
    remedy: "Publish on site/{site}/line/{line}/eq/{equipment}/event.",
  },
  APR_OVER_MQTT: {
    meaning: "A message claims an approval, verification, signature or release; none can come this way.",
    owner: "security",
    next: "correct",
    remedy: "People approve over REST; send what happened, not what it means.",
  },
  PROVENANCE_STAMP_DUPLICATE: {
    meaning: "The broker's stamp of who sent the message came more than once: somebody sent one of their own.",
    owner: "security",
    next: "correct",
    remedy: "Find out who sends the broker's property, and why the broker lets it through.",
  },
  PROVENANCE_STAMP_MISSING: {
    meaning: "The message lacks the broker's stamp of who sent it, without which events are not believed here.",
    owner: "security",
    next: "resend",
    remedy: "See that the broker stamps what it hands on, then send the same event again.",
  },
  PROVENANCE_MISMATCH: {
    meaning: "The broker says that somebody else sent the message than whom the registry gives the branch to.",
    owner: "security",
    next: "correct",
    remedy: "Publish on the party's own branch; compare the broker's access list with the registry.",
  },
  PROVENANCE_SIGNATURE_MISSING: {
    meaning: "Events of this type must be signed by the party to whom the registry gives the branch, and this one is not.",
    owner: "security",
    next: "resend",
    remedy: "Sign the same event with a registered key and send it again; if it is not the device's, find out who publishes there.",
  },
  PROVENANCE_SIGNATURE_INVALID: {
    meaning: "The event is signed, and not by a key that is registered and valid for its branch, or not for this topic and content.",
    owner: "security",
    next: "resend",
    remedy: "Sign the same event with a registered key and send it again; if it is not the device's, find out who publishes there.",
  },
};
