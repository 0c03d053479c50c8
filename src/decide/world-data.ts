// The world as it was read from the database: values only, by the names under which they were asked for.
import type { BatchState, EquipmentState } from "../authorise/execution-context.ts";
import type { PerformedBy, StationAt, StationState } from "../authorise/performer.ts";
import type { KnownId, Ref, SourceState, WaitingEvent } from "../sequence/source-state.ts";
import type { ExceptionState } from "./exception.ts";
import type { EventInHand } from "./signal.ts";

/** A deferred event: settled, acknowledged, and open until what it waits for comes or its patience ends. */
export interface Deferral {
  readonly position: Ref;
  readonly version: number;
  readonly round: number;
  readonly sourceKey: string;
  readonly code: string;
  readonly batch: string | null;
  readonly step: string | null;
  /** Whether it moves its step, so that later events of its source that move the same step wait behind it. */
  readonly moves: boolean;
  readonly behind: Ref | null;
  readonly waits: readonly string[];
  readonly event: EventInHand;
}

export interface QuarantineEntry {
  readonly position: Ref;
  readonly version: number;
  readonly round: number;
  readonly code: string;
  readonly batch: string | null;
  /** The context in which it was judged last. */
  readonly judgedIn: JudgedIn;
  readonly event: EventInHand;
}

/** The context in which an open event was judged: what it did not claim was taken from a lock then, and stays what it was. */
export interface JudgedIn {
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
}

export interface StreamHead {
  readonly stream: string;
  readonly line: string | null;
  readonly sequence: number;
  readonly openedOn: string;
}

export interface Definition {
  readonly hash: string;
  readonly content: unknown;
  /** A person registered it, and no other has approved it yet: no batch is bound to it. */
  readonly awaitsApproval?: true;
}

export interface PriorAnswer {
  readonly request: string;
  readonly bodyDigest: string;
  readonly answer: unknown;
  readonly position: Ref;
}

/** The world as it was read: null stands for "looked for, not there". What was not looked for is missing from the map. */
export interface WorldData {
  readonly site: string;
  readonly shard: string;
  /** The database's clock when the world was read. */
  readonly now: string;
  readonly waitingBytesOfShard: number;
  readonly sources: Map<string, SourceState | null>;
  readonly ids: Map<string, KnownId | null>;
  readonly numbers: Map<string, Ref | null>;
  readonly conflicts: Map<string, Ref>;
  readonly waitingAt: Map<string, WaitingEvent | null>;
  /** by source, incarnation and epoch */
  readonly waitingNext: Map<string, WaitingWindow>;
  readonly waitingNumbers: Map<string, readonly WaitingEvent[]>;
  readonly batches: Map<string, BatchState | null>;
  readonly jobOrders: Map<string, string | null>;
  readonly equipment: Map<string, EquipmentState | null>;
  /** equipment → its sources */
  readonly sourcesOfEquipment: Map<string, readonly string[]>;
  readonly awaited: Map<string, number>;
  readonly streams: Map<string, StreamHead | null>;
  readonly deferrals: Map<Ref, Deferral | null>;
  /** what is waited for → the deferred events that wait for it */
  readonly waitingFor: Map<string, ReadonlySet<Ref>>;
  readonly quarantine: Map<Ref, QuarantineEntry | null>;
  /** position → the exceptions that were opened there, in order */
  readonly exceptions: Map<Ref, readonly ExceptionState[]>;
  readonly recipes: Map<string, Definition | null>;
  readonly machines: Map<string, Definition | null>;
  readonly keys: Map<string, PriorAnswer | null>;
  /** `source time` → where the source was then */
  readonly stationsAt: Map<string, StationAt | null>;
  readonly stations: Map<string, StationState | null>;
  /** by the position at which an event first came */
  readonly performances: Map<Ref, PerformedBy | null>;
}

/** An early event with what it says; null where its number alone is known. */
export type WaitingInHand = WaitingEvent & { readonly event: EventInHand | null };

/** What waits behind a number, nearest first, as far as it was read. */
export interface WaitingWindow {
  readonly after: bigint;
  /** null: to the end */
  readonly reaches: bigint | null;
  readonly events: readonly WaitingInHand[];
}

/** Numbers are unique within a source's incarnation and epoch. */
export const numberKey = (sourceKey: string, incarnation: number, epoch: bigint | string, sequence: bigint | string): string =>
  `${sourceKey} ${incarnation}.${epoch}.${sequence}`;

/** Where a source was is read by time. */
export const timeKey = (source: string, at: string): string => `${source} ${at}`;

/** The waiting events of a source are read by incarnation and epoch. */
export const windowKey = (source: { readonly source: string; readonly incarnation: number }, epoch: bigint | string): string =>
  `${source.source} ${source.incarnation} ${epoch}`;
