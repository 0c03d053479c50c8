// A site's record as it is read to be decided again: from a database, or from wherever else entries and the bytes of their deliveries are kept.
import type { Entry } from "../audit/entry.ts";
import type { DeviceEvent } from "../decode/event.ts";
import type { Delivery } from "../receive/delivery.ts";
import type { Published } from "../registry/published.store.ts";

/** A signal as it stands in its audit entry, or in the table of signals. */
export interface SignalFields {
  readonly kind: "event" | "command" | "tick" | "diag" | "act";
  readonly type: string | null;
  /** Under which key the record names the source; only entries are asked for it. */
  readonly source_key?: string | null;
  readonly source?: string | null;
  readonly digest: string | null;
  readonly topic: string | null;
  readonly qos: Delivery["qos"] | null;
  readonly retained: boolean | null;
  readonly protocol: Delivery["protocol"] | null;
  readonly content_type: string | null;
  readonly response_topic: string | null;
  readonly user_properties: Delivery["userProperties"] | null;
  readonly raw_length: number | null;
  readonly raw_sha256?: string | null;
  /** Base64. */
  readonly correlation_data: string | null;
  readonly received_at: string;
  readonly actor: string | null;
  readonly body: Readonly<Record<string, unknown>> | null;
}

/** The first line of an entry. */
export type Head = Entry["head"];

/** One position since the log began: the bytes of its entry, and those of the delivery that stands there. */
export interface LoggedPosition {
  readonly kind: "entry";
  readonly position: number;
  readonly entry: Uint8Array;
  /** Its first line, where that was read already. */
  readonly head?: Head;
  readonly raw: Uint8Array | null;
  /** What the delivery says, where that was read already, and its bytes are those whose hash is in the entry. */
  readonly event?: DeviceEvent;
}

/** One commit from before the log began, as the tables tell it. */
export interface CommitBeforeLog {
  readonly kind: "commit";
  readonly base: number;
  readonly positions: number;
  readonly time: string;
  readonly signals: readonly SignalBeforeLog[];
}

export interface SignalBeforeLog {
  readonly position: number;
  readonly fields: SignalFields;
  readonly raw: Uint8Array | null;
  /** The code of its own verdict tells whether its source was known, revoked, or what it said could not be stored. */
  readonly code: string | null;
  readonly refusedBy: string | null;
  readonly source: string | null;
}

/** What was registered when the log began; in a log that is as old as its site, nothing. */
export interface RegisteredAtStart {
  readonly equipment: readonly { readonly equipment: string; readonly line: string; readonly class: string; readonly title: string | null }[];
  readonly sources: readonly {
    readonly source: string;
    readonly equipment: string;
    readonly device: string | null;
    readonly numbering: boolean;
    readonly revoked: boolean;
    /** Behind this position it is known; before the log began, registering is not on record. */
    readonly since: number;
  }[];
}

export interface RecordedSite {
  readonly site: string;
  /** The site's head; of a bundle, the last position that has been read and whose commit is whole. */
  readonly position: number;
  /** The first position that has an entry. */
  readonly logBegins: number;
  readonly registered: RegisteredAtStart;
  readonly definitions: readonly Published[];
  /** The key under which the record names each source. */
  readonly sourceKeys: ReadonlyMap<string, string>;
  /** Everything from the first position to the head, in order, a part at a time. */
  read(): AsyncIterable<readonly (LoggedPosition | CommitBeforeLog)[]>;
}
