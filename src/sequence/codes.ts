import type { CodeTable } from "../decode/code.ts";

export type SequenceCode = "DUP_EXACT" | "DUP_ID_REUSED" | "SEQ_GAP" | "SEQ_GAP_TIMEOUT" | "SEQ_REUSED" | "SEQ_SKIPPED" | "SEQ_EPOCH_OLD" | "SEQ_WAITING_FULL";

export const SEQUENCE_CODES: CodeTable<SequenceCode> = {
  DUP_EXACT: {
    meaning: "The same event had arrived before; nothing was done again.",
    owner: "integrator",
    next: "none",
    remedy: "Nothing: the first verdict stands.",
  },
  DUP_ID_REUSED: {
    meaning: "An event id was used again with other content.",
    owner: "integrator",
    next: "ask",
    remedy: "Give every event an id of its own; a person decides about this one.",
  },
  SEQ_GAP: {
    meaning: "The event arrived before its predecessors and waits for them.",
    owner: "integrator",
    next: "wait",
    remedy: "Send the missing numbers named on the cursor topic.",
  },
  SEQ_GAP_TIMEOUT: {
    meaning: "Numbers of a source stayed missing beyond the gap limit; the source is parked.",
    owner: "operations",
    next: "ask",
    remedy: "Send the missing numbers, or resolve the gap with a reason.",
  },
  SEQ_REUSED: {
    meaning: "A number that is already taken was used again by another event: the source's counter went back.",
    owner: "integrator",
    next: "ask",
    remedy: "Keep the counter across restarts, or begin a new epoch; a person decides about this event.",
  },
  SEQ_SKIPPED: {
    meaning: "The event's number had been given up: skipped, declared lost, or below a baseline.",
    owner: "integrator",
    next: "ask",
    remedy: "A person decides whether the late event counts.",
  },
  SEQ_EPOCH_OLD: {
    meaning: "The event belongs to an earlier epoch of its source, which has ended.",
    owner: "integrator",
    next: "ask",
    remedy: "Send kept events again in the new epoch with their old ids; a person decides about this one.",
  },
  SEQ_WAITING_FULL: {
    meaning: "The source has too many early events waiting; this one was not kept.",
    owner: "integrator",
    next: "resend",
    remedy: "Send the missing numbers first, then this event again.",
  },
};
