// The world in the shape in which the database gives it: one value of JSON, big integers as text.

import type { BatchState } from "../authorise/execution-context.ts";
import type { PerformedBy } from "../authorise/performer.ts";
import type { Signing } from "../parties/signing.ts";
import type { Parking } from "../sequence/source-state.ts";
import type { ExceptionState } from "./exception.ts";

export interface StoredSignal {
  readonly topic: string;
  readonly raw: string | null;
  readonly raw_length: number;
  readonly qos: 0 | 1 | 2;
  readonly retained: boolean;
  readonly protocol: "5" | "3.1.1";
  readonly content_type: string | null;
  readonly response_topic: string | null;
  readonly user_properties: [string, string][] | null;
  readonly received_at: string;
  readonly performed_by: PerformedBy | null;
}

export interface WaitingRow {
  readonly key: string;
  readonly sequence: string;
  readonly position: number;
  readonly id_hash: string | null;
  readonly digest: string;
  readonly bytes: number;
  readonly ahead: boolean;
}

export interface BatchRow {
  readonly batch: string;
  readonly version: number;
  readonly line: string;
  readonly job_order: string;
  readonly recipe: string;
  readonly revision: number;
  readonly recipe_hash: string;
  readonly batch_machine: string;
  readonly batch_machine_hash: string;
  readonly step_machine: string;
  readonly step_machine_hash: string;
  readonly quantity: string;
  readonly unit: string;
  readonly parameters: BatchState["parameters"];
  readonly roles: Record<string, string>;
  readonly execution: string;
  readonly disposition: string;
  readonly disposition_stage: "recommended" | "disposed" | null;
  readonly disposition_before: string | null;
  readonly opened_on: string;
  readonly facts: number;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly closed_at: string | null;
  readonly asked: string;
  readonly open_deferrals: number;
  readonly open_quarantine: number;
  readonly open_exceptions: number;
  readonly steps: {
    readonly step: string;
    readonly attempt: number;
    readonly ordinal: number;
    readonly state: string;
    readonly started_at: string | null;
    readonly start_source: string | null;
    readonly start_epoch: string | null;
    readonly start_time: string | null;
    readonly ended_at: string | null;
    /** null: the step has ended, and it was not asked for. */
    readonly evidence:
      | readonly {
          readonly evidence: string;
          readonly position: number;
          readonly supersedes: number | null;
          readonly event_id: string | null;
          readonly source: string | null;
          readonly value: string | null;
          readonly unit: string | null;
          readonly data: Record<string, unknown>;
          readonly within: boolean | null;
          readonly low: string | null;
          readonly high: string | null;
          readonly accepted: boolean;
        }[]
      | null;
  }[];
}

export interface WorldRows {
  readonly now: string;
  readonly waiting_bytes: number;
  readonly sources: {
    readonly key: string;
    readonly source: string;
    readonly site: string;
    readonly line: string;
    readonly equipment: string;
    readonly device: string | null;
    readonly numbering: boolean;
    readonly revoked: boolean;
    readonly version: number;
    readonly incarnation: number;
    readonly epoch: string | null;
    readonly through: string;
    readonly highest: string;
    readonly gap_position: number | null;
    readonly gap_due_at: string | null;
    readonly parked: Parking | null;
    readonly parked_position: number | null;
    readonly reused: number;
    readonly waiting_count: number;
    readonly waiting_bytes: number;
    readonly connection: "online" | "offline" | null;
    readonly monotonic: Record<string, [string, string]>;
    readonly signing: Signing | null;
    readonly skipped: { readonly first: string; readonly last: string }[];
    readonly deferred: { readonly count: number; readonly bytes: number };
  }[];
  readonly ids: {
    readonly source: string;
    readonly hash: string;
    readonly position: number;
    readonly digest: string;
    readonly version: number;
    readonly latest: { readonly position: number | null; readonly round: number; readonly status: string; readonly code: string | null };
    /** Where a copy was judged in its stead, and what became of that. */
    readonly elsewhere: {
      readonly event: number;
      readonly position: number;
      readonly round: number;
      readonly status: string;
      readonly code: string | null;
    } | null;
    readonly waits: { readonly epoch: string; readonly sequence: string } | null;
    readonly conflicts: { readonly digest: string; readonly position: number }[];
  }[];
  readonly numbers: {
    readonly source: string;
    readonly epoch: string;
    readonly sequence: string;
    readonly position: number | null;
    readonly waiting: Omit<WaitingRow, "key" | "sequence"> | null;
  }[];
  readonly windows: {
    readonly source: string;
    readonly incarnation: number;
    readonly epoch: string;
    readonly events: (WaitingRow & { readonly signal: StoredSignal })[];
  }[];
  readonly all_waiting: (WaitingRow & { readonly source: string; readonly incarnation: number; readonly epoch: string })[];
  readonly batches: BatchRow[];
  readonly equipment: {
    readonly equipment: string;
    readonly line: string;
    readonly class: string;
    readonly version: number;
    readonly token: number;
    readonly state: string | null;
    readonly state_epoch: string | null;
    readonly state_sequence: string | null;
    readonly locks: {
      readonly equipment: string;
      readonly kind: "allocation" | "engagement";
      readonly batch: string;
      readonly step: string | null;
      readonly attempt: number | null;
      readonly role: string;
      readonly locked: "step" | "batch";
      readonly token: number;
      readonly taken_position: number;
    }[];
  }[];
  readonly awaited: { readonly awaited: string; readonly version: number }[];
  readonly wanted_batches: string[];
  readonly wanted_equipment: string[];
  readonly streams: { readonly stream: string; readonly line: string | null; readonly sequence: number; readonly opened_on: string }[];
  readonly deferrals: {
    readonly position: number;
    readonly version: number;
    readonly round: number;
    readonly source_key: string;
    readonly code: string;
    readonly batch: string | null;
    readonly step: string | null;
    readonly moves: boolean;
    readonly behind: number | null;
    readonly signal: StoredSignal;
    readonly waits: string[];
  }[];
  readonly exceptions: readonly ExceptionState[];
  readonly quarantine: {
    readonly position: number;
    readonly version: number;
    readonly round: number;
    readonly code: string;
    readonly batch: string | null;
    readonly judged_in: { readonly batch: string | null; readonly step: string | null; readonly attempt: number | null };
    readonly signal: StoredSignal;
  }[];
  readonly orders: { readonly order: string; readonly batch: string }[];
  readonly stations_at: {
    readonly source: string;
    readonly at: string;
    readonly station: string;
    readonly ended: { readonly session: number; readonly person: string } | null;
  }[];
  readonly stations: {
    readonly station: string;
    readonly version: number;
    readonly open: {
      readonly session: number;
      readonly person: string;
      readonly openedAt: string;
      readonly seenAt: string;
      readonly idleSeconds: number;
    } | null;
  }[];
  readonly performances: { readonly position: number; readonly performed_by: PerformedBy }[];
  readonly keys: { readonly key: string; readonly request: string; readonly digest: string; readonly answer: unknown; readonly position: number }[];
}

/** What is read only where some of it is asked for. */
export type RareRows = Pick<WorldRows, "windows" | "all_waiting" | "orders" | "quarantine" | "exceptions" | "performances" | "keys">;
