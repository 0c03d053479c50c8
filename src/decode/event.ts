import type { EventData, EventTypeName } from "./event-types.ts";
import type { Jws } from "./signed.ts";

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Plant ids: `[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}`, unique per site. Branded where they are parsed. */
export type PlantId = Branded<string, "PlantId">;

/** Who numbers events: a piece of equipment, or a device on it. `/site/{site}/line/{line}/eq/{equipment}[/device/{device}]`. */
export interface SourceAddress {
  readonly site: PlantId;
  readonly line: PlantId;
  readonly equipment: PlantId;
  readonly device: PlantId | null;
}

export type TimeSource = "ntp" | "ptp" | "gps" | "rtc" | "none";

/** A decoded device event: everything readable and well formed, nothing yet believed. */
export interface DeviceEvent {
  readonly source: string;
  readonly address: SourceAddress;
  readonly id: string;
  /** Short name, `step.start` for `signalbox.step.start.v1`. */
  readonly type: EventTypeName;
  /** RFC 3339 text as sent; null only with `timesource: none`. */
  readonly time: string | null;
  readonly timesource: TimeSource | null;
  /** Both null for a source registered without numbers that sends none. Up to 2^63-1. */
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly batch: PlantId | null;
  readonly step: PlantId | null;
  readonly attempt: number | null;
  readonly occurred: boolean;
  /** `blend@3` */
  readonly recipeRevision: string | null;
  readonly evidenceRef: string | null;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly data: EventData;
  /** SHA-256 of the decoded event after defaults, keys sorted, numbers as written, without numbering, tracing and unknown attributes; in hexadecimal. */
  readonly digest: string;
}

/** What could be read of an event that is refused for its form: its source is there only when it agrees with the topic. */
export interface PartialEvent {
  readonly source: string | null;
  readonly address: SourceAddress | null;
  readonly id: string | null;
  /** Full type text as sent, when it was a string of sane length. */
  readonly type: string | null;
  readonly time: string | null;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** SHA-256 of the payload's bytes, in hexadecimal: an unreadable event's digest. */
  readonly digest: string;
}

export interface Refusal {
  readonly code: string;
  /** One sentence for a person: what is wrong and where. */
  readonly reason: string;
  /** JSON pointers into the payload with what is wrong there; at most 16. */
  readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
}

/** A `diag` message: a heartbeat or connection state of one source; may open a gap, never a fact. */
export interface Diagnosis {
  readonly source: string;
  readonly address: SourceAddress;
  readonly state: "online" | "offline" | null;
  /** The last number the source has used, when the heartbeat says it. */
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly time: string | null;
}

/** What is no event. */
export interface Unread {
  readonly kind: "refused";
  readonly refusal: Refusal;
  readonly partial: PartialEvent;
}

/** What has the form of a signed event, which is none to whoever knows of no signatures: taken apart, and what it says read like anything else. */
export interface SignedEvent {
  readonly jws: Jws;
  readonly said: { readonly kind: "event"; readonly event: DeviceEvent } | Unread;
}

export type Decoded =
  | { readonly kind: "event"; readonly event: DeviceEvent }
  | (Unread & { readonly signed?: SignedEvent })
  | { readonly kind: "diag"; readonly diagnosis: Diagnosis }
  /** Not an event topic, or a diag message that cannot be read: counted, nothing else. */
  | { readonly kind: "ignored"; readonly why: string };

/** What a delivery says inside of its signature, where it has the form of a signed event; what it says otherwise. */
export const insideOf = <T extends Decoded>(decoded: T): T | SignedEvent["said"] => (decoded.kind === "refused" ? (decoded.signed?.said ?? decoded) : decoded);
