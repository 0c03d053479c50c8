// Rows of the tables in which a site's record stands: what a commit reads and changes again. What is only appended (verdicts, facts, outcomes) is not among them.
import type { BatchState, ContextLock, EquipmentState, EvidenceItem, StepState } from "../authorise/execution-context.ts";
import type { OpenSession, PerformedBy } from "../authorise/performer.ts";
import type { ExceptionDisposition } from "../decide/exception.ts";
import type { EventInHand } from "../decide/signal.ts";
import type { JudgedIn } from "../decide/world-data.ts";
import type { Delivery } from "../receive/delivery.ts";
import type { Latest, Parking, SourceState, WaitingEvent } from "../sequence/source-state.ts";

// Times to which something is added are in milliseconds (instant.ts), all others as text.

export interface SourceRow {
  key: string;
  readonly source: string;
  readonly line: string;
  readonly equipment: string;
  readonly device: string | null;
  numbering: boolean;
  revoked: boolean;
  version: number;
  incarnation: number;
  epoch: bigint | null;
  through: bigint;
  highest: bigint;
  gapPosition: number | null;
  gapSince: string | null;
  gapDueAt: number | null;
  parked: Parking | null;
  parkedPosition: number | null;
  parkedAt: string | null;
  reused: number;
  waitingCount: number;
  waitingBytes: number;
  connection: "online" | "offline" | null;
  monotonic: SourceState["monotonic"];
}

export interface WaitingRow extends WaitingEvent {
  expiresAt: number | null;
}

export interface SkippedRow {
  readonly sourceKey: string;
  readonly incarnation: number;
  readonly epoch: bigint;
  readonly first: bigint;
  readonly last: bigint;
  readonly reason: string;
  readonly position: number;
}

export interface DeferralRow {
  readonly position: number;
  version: number;
  readonly round: number;
  readonly sourceKey: string;
  readonly code: string;
  batch: string | null;
  step: string | null;
  readonly moves: boolean;
  readonly behind: number | null;
  readonly bytes: number;
  dueAt: number;
  readonly waits: Set<string>;
}

export interface QuarantineRow {
  readonly position: number;
  version: number;
  round: number;
  code: string;
  readonly source: string | null;
  readonly batch: string | null;
  since: string;
  resolution: "reprocess" | "reject" | null;
  resolvedAt: string | null;
  resolvedPosition: number | null;
  /** The context in which it was judged last. */
  judgedIn: JudgedIn;
}

export interface ExceptionRow {
  readonly position: number;
  readonly ordinal: number;
  readonly event: number | null;
  readonly code: string;
  readonly reason: string;
  readonly source: string | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly openedAt: string;
  disposition: ExceptionDisposition | null;
  linked: string | null;
  resolved: boolean;
  resolvedAt: string | null;
  resolvedPosition: number | null;
}

export type BatchRow = Omit<BatchState, "steps" | "superseded" | "recipe" | "openDeferrals" | "openQuarantine" | "openExceptions"> & {
  readonly recipeName: string;
};
export type StepRow = Omit<StepState, "evidence"> & { readonly batch: string };
export interface EvidenceRow {
  readonly batch: string;
  readonly step: string;
  readonly attempt: number;
  readonly recordedAt: string;
  readonly item: EvidenceItem;
}
export type LockRow = ContextLock & { readonly takenTime: string; freed: number | null; freedTime: string | null };
export type EquipmentRow = Omit<EquipmentState, "locks"> & { readonly title: string | null };

/** A delivery that is still open: somebody will judge it again. Decoded once, by whoever asks first. */
export interface OpenDelivery {
  readonly delivery: Delivery;
  readonly receivedAt: string;
  inHand: EventInHand | null;
  readonly performedBy: PerformedBy | null;
}

/** The last round of an event; of a duplicate also what it is a copy of. */
export interface LastRound extends Latest {
  readonly final: boolean;
  readonly first: number | null;
}

export interface AnswerRow {
  readonly request: string;
  readonly bodyDigest: string;
  readonly answer: unknown;
  readonly position: number;
}

export interface StationRow {
  readonly station: string;
  version: number;
  readonly line: string;
  title: string | null;
  idleSeconds: number;
}

/** That a source was at a station. */
export interface BindingRow {
  readonly source: string;
  readonly station: string;
  readonly position: number;
  readonly boundAt: string;
  unbound: { readonly at: string; readonly position: number } | null;
}

export interface SessionRow extends OpenSession {
  readonly station: string;
  seenAt: string;
  ended: { readonly at: string; readonly position: number; readonly why: string; readonly by: string } | null;
}

export interface StreamRow {
  readonly sequence: number;
  readonly line: string | null;
  readonly openedOn: string;
}
