import { AUTHORISE_CODES } from "../authorise/codes.ts";
import type { PerformedBy } from "../authorise/performer.ts";
import type { CodeMeaning } from "../decode/code.ts";
import { DECODE_CODES } from "../decode/codes.ts";
import type { LeftOut } from "../receive/left-out.ts";
import { SEQUENCE_CODES } from "../sequence/codes.ts";
import type { Ref } from "../sequence/source-state.ts";
import { DECIDE_CODES } from "./codes.ts";
import type { Explanation } from "./judgement.ts";

/** Every code of every room, with one line of meaning for a reader in quality. Append-only: a code is never reused and never changes its meaning. */
export const CODES: Readonly<Record<string, CodeMeaning>> = { ...DECODE_CODES, ...SEQUENCE_CODES, ...AUTHORISE_CODES, ...DECIDE_CODES };

export type Status = "accepted" | "accepted_with_exception" | "duplicate" | "rejected" | "observed" | "deferred" | "quarantined";

/** What was decided about an event, one round of it. */
export interface Verdict {
  readonly ref: Ref;
  /** Where the event was first settled; all its rounds share it. */
  readonly event: Ref;
  readonly round: number;
  readonly status: Status;
  readonly code: string | null;
  readonly refusedBy: "form" | "speaker" | "order" | "state" | "guard" | "service" | null;
  readonly reason: string;
  readonly next: "none" | "wait" | "resend" | "correct" | "ask";
  readonly remedy: string | null;
  readonly branch: { readonly line: string | null; readonly equipment: string | null };
  readonly line: string | null;
  readonly equipment: string | null;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly contextFrom: "claim" | "lock" | "none";
  readonly correlation: string | null;
  readonly traceparent: string | null;
  /** For a duplicate: the first of its kind, and what became of that until today. */
  readonly first: Ref | null;
  /** What made it be judged again: a position of this group. */
  readonly cause: Ref | null;
  /** It acted before its turn. */
  readonly ahead: boolean;
  readonly flags: readonly string[];
  readonly facts: number;
  readonly explanation: (Explanation | Today | Counted) | null;
  readonly eventTime: string | null;
  /** As it was found when the event first came; null: nobody, for good. */
  readonly performedBy: PerformedBy | null;
}

/** What has become of the first of a duplicate until today. */
export interface Today {
  readonly today: { readonly status: string; readonly code: string | null };
}

/** For how many deliveries it is given. */
export interface Counted {
  readonly leftOut: LeftOut;
}

/** What the sender does next, from status and code. */
export function nextFor(status: Status, code: string | null): { next: Verdict["next"]; remedy: string | null } {
  const meaning = code === null ? undefined : CODES[code];
  switch (status) {
    case "accepted":
    case "duplicate":
    case "observed":
      return { next: "none", remedy: null };
    case "accepted_with_exception":
      return { next: "none", remedy: meaning?.remedy ?? null };
    case "deferred":
      return { next: "wait", remedy: meaning?.next === "wait" ? meaning.remedy : null };
    case "quarantined":
      return { next: "ask", remedy: meaning?.next === "ask" ? meaning.remedy : "A person decides about the event; do not send it again." };
    case "rejected":
      return { next: meaning?.next === "wait" ? "correct" : (meaning?.next ?? "correct"), remedy: meaning?.remedy ?? null };
  }
}
