import type { Ref } from "../sequence/source-state.ts";

/** An exception, and what a person has said of it. */
export interface ExceptionState {
  readonly position: Ref;
  readonly ordinal: number;
  readonly code: string;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly resolved: boolean;
  readonly disposition: ExceptionDisposition | null;
  /** Its event is in quarantine: it ends with that. */
  readonly quarantined: boolean;
}
export type ExceptionDisposition = "continue" | "rework" | "abort";
