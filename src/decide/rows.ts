import type { Delivery } from "../receive/delivery.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { ExceptionDisposition } from "./exception.ts";
import type { Fact } from "./facts.ts";
import type { Outcome } from "./outcomes.ts";
import type { Verdict } from "./verdict.ts";

/** A signal as it goes on record, at its position. */
export interface SignalRow {
  readonly ref: Ref;
  readonly kind: "event" | "command" | "tick" | "diag";
  readonly sourceKey: string | null;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly digest: string | null;
  readonly delivery: Delivery | null;
  readonly receivedAt: string;
  readonly actor: string | null;
  readonly body: Readonly<Record<string, unknown>> | null;
}

export interface FactRow {
  readonly ref: Ref;
  readonly ordinal: number;
  readonly fact: Fact;
  readonly openedOn: string;
  /** The n-th fact of its batch. */
  readonly number: number | null;
}

export interface OutcomeRow extends Outcome {
  readonly ref: Ref;
  readonly ordinal: number;
  readonly sequence: number;
  readonly eventTime: string | null;
  readonly causation: string | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
}

export interface ExceptionRow {
  readonly ref: Ref;
  readonly ordinal: number;
  readonly event: Ref | null;
  readonly code: string;
  readonly reason: string;
  readonly source: string | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
}

/** What a group appends to the record. */
export interface Rows {
  readonly signals: SignalRow[];
  readonly verdicts: Verdict[];
  readonly facts: FactRow[];
  readonly outcomes: OutcomeRow[];
  readonly exceptions: ExceptionRow[];
  readonly ids: { readonly sourceKey: string; readonly idHash: string; readonly digest: string; readonly ref: Ref }[];
  readonly numbers: { readonly sourceKey: string; readonly incarnation: number; readonly epoch: bigint; readonly sequence: bigint; readonly ref: Ref }[];
  readonly conflicts: { readonly sourceKey: string; readonly idHash: string; readonly digest: string; readonly ref: Ref }[];
  readonly skipped: {
    readonly sourceKey: string;
    readonly incarnation: number;
    readonly epoch: bigint;
    readonly first: bigint;
    readonly last: bigint;
    readonly reason: "baseline" | "lost" | "resolved" | "epoch_ended" | "succession";
    readonly ref: Ref;
  }[];
  readonly waitingExpires: { readonly sourceKey: string; readonly incarnation: number; readonly epoch: bigint; readonly through: bigint }[];
  readonly quarantined: {
    readonly event: Ref;
    readonly ref: Ref;
    readonly round: number;
    readonly code: string;
    readonly source: string | null;
    readonly batch: string | null;
  }[];
  readonly quarantineResolved: { readonly event: Ref; readonly ref: Ref; readonly resolution: "reprocess" | "reject" }[];
  /** How long each newly deferred event is waited for, in milliseconds. */
  readonly patience: { readonly event: Ref; readonly ms: number }[];
  readonly exceptionsResolved: { readonly event: Ref; readonly ref: Ref }[];
  readonly exceptionsDisposed: {
    readonly position: Ref;
    readonly ordinal: number;
    readonly ref: Ref;
    readonly disposition: ExceptionDisposition;
    readonly linked: string;
  }[];
  readonly answers: { readonly key: string; readonly request: string; readonly bodyDigest: string; readonly answer: unknown; readonly ref: Ref }[];
  interruptionMs: number;
}

export function noRows(): Rows {
  return {
    signals: [],
    verdicts: [],
    facts: [],
    outcomes: [],
    exceptions: [],
    ids: [],
    numbers: [],
    conflicts: [],
    skipped: [],
    waitingExpires: [],
    quarantined: [],
    quarantineResolved: [],
    exceptionsResolved: [],
    exceptionsDisposed: [],
    patience: [],
    answers: [],
    interruptionMs: 0,
  };
}

type Lists = { [K in keyof Rows as Rows[K] extends readonly unknown[] ? K : never]: number };

/** How far each list has got, so that a signal whose judgement throws can be taken out again. */
export function markRows(rows: Rows): Lists & { readonly interruptionMs: number } {
  return {
    signals: rows.signals.length,
    verdicts: rows.verdicts.length,
    facts: rows.facts.length,
    outcomes: rows.outcomes.length,
    exceptions: rows.exceptions.length,
    ids: rows.ids.length,
    numbers: rows.numbers.length,
    conflicts: rows.conflicts.length,
    skipped: rows.skipped.length,
    waitingExpires: rows.waitingExpires.length,
    quarantined: rows.quarantined.length,
    quarantineResolved: rows.quarantineResolved.length,
    exceptionsResolved: rows.exceptionsResolved.length,
    exceptionsDisposed: rows.exceptionsDisposed.length,
    patience: rows.patience.length,
    answers: rows.answers.length,
    interruptionMs: rows.interruptionMs,
  };
}

export function cutRows(rows: Rows, mark: ReturnType<typeof markRows>): void {
  rows.signals.length = mark.signals;
  rows.verdicts.length = mark.verdicts;
  rows.facts.length = mark.facts;
  rows.outcomes.length = mark.outcomes;
  rows.exceptions.length = mark.exceptions;
  rows.ids.length = mark.ids;
  rows.numbers.length = mark.numbers;
  rows.conflicts.length = mark.conflicts;
  rows.skipped.length = mark.skipped;
  rows.waitingExpires.length = mark.waitingExpires;
  rows.quarantined.length = mark.quarantined;
  rows.quarantineResolved.length = mark.quarantineResolved;
  rows.exceptionsResolved.length = mark.exceptionsResolved;
  rows.exceptionsDisposed.length = mark.exceptionsDisposed;
  rows.patience.length = mark.patience;
  rows.answers.length = mark.answers;
  rows.interruptionMs = mark.interruptionMs;
}
