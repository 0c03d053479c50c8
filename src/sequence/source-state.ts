import type { Signing } from "../parties/signing.ts";
import type { Range } from "./ranges.ts";

/**
 * A position in the site's one order. Positive: given. Negative: the n-th position of the group being settled, which the commit turns into a given one.
 * Zero is no position.
 */
export type Ref = number;

export type Parking = "gap" | "waiting_full" | "counter_back" | "poison";

/** A gap that is open: since which position, and what happens to its timer in this commit. */
export interface Gap {
  readonly position: Ref;
  readonly timer: "kept" | "restarted" | "halted";
}

/** A source and how far it is decided. Every number of `epoch` up to and with `through` is decided or given up; epoch null: nothing was ever heard of it. */
export interface SourceState {
  readonly key: string;
  readonly source: string;
  readonly site: string;
  readonly line: string;
  readonly equipment: string;
  readonly device: string | null;
  readonly numbering: boolean;
  readonly revoked: boolean;
  readonly version: number;
  /** Rises when a replaced device begins to count again; numbers are unique within it, ids for good. */
  readonly incarnation: number;
  readonly epoch: bigint | null;
  readonly through: bigint;
  /** The highest number of `epoch` that was seen or heard of. */
  readonly highest: bigint;
  readonly gap: Gap | null;
  readonly gapDueAt: string | null;
  /** Numbers above `through` that were given up already. */
  readonly skippedAhead: readonly Range[];
  readonly parked: { readonly why: Parking; readonly position: Ref } | null;
  /** Reused numbers in a row. */
  readonly reused: number;
  readonly waitingCount: number;
  readonly waitingBytes: number;
  /** Its open deferred events; they count towards the bounds of waiting. */
  readonly deferredCount: number;
  readonly deferredBytes: number;
  readonly connection: "online" | "offline" | null;
  /** The last number of each type whose order is monotonic. */
  readonly monotonic: Readonly<Record<string, readonly [epoch: string, sequence: string]>>;
  /** By which keys what comes on its branch is signed. It changes with the source's version; absent: by none. */
  readonly signing?: Signing;
}

/** An early event, durably kept. `ahead`: it has its verdict; only its number is still to be taken. */
export interface WaitingEvent {
  readonly sourceKey: string;
  readonly incarnation: number;
  readonly epoch: bigint;
  readonly sequence: bigint;
  /** Where it was first settled. */
  readonly position: Ref;
  readonly idHash: string | null;
  readonly digest: string;
  readonly bytes: number;
  readonly ahead: boolean;
}

/** What is known of an event id of a source: where it was first settled, or a copy was judged in its stead; with which content, and what became of it until now. */
export interface KnownId {
  readonly position: Ref;
  readonly digest: string;
  readonly digestVersion: number;
  readonly latest: Latest;
  /** The number under which it waits, while it only waits. */
  readonly waitsAt: { readonly epoch: bigint; readonly sequence: bigint } | null;
}

/** The last round of a settled event. */
export interface Latest {
  readonly position: Ref;
  readonly round: number;
  readonly status: string;
  readonly code: string | null;
}

/** Bounds of waiting, and how long a gap is waited for. */
export const WAITING = {
  perSource: 1000,
  /** Room beyond it for what does not wait: it has acted, and only its number is still to be taken. */
  aheadPerSource: 200,
  bytesPerSource: 1024 * 1024,
  bytesPerShard: 64 * 1024 * 1024,
  /** Waiting events judged in one commit when a gap closes; the rest follow in the next commits. */
  slice: 200,
  /** Milliseconds without progress after which a gap parks its source. */
  gapLimitMs: 60_000,
} as const;

export const cursorOf = (source: SourceState): Cursor => ({ epoch: source.epoch, through: source.through });

export interface Cursor {
  readonly epoch: bigint | null;
  readonly through: bigint;
}
