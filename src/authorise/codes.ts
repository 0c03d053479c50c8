import type { CodeTable } from "../decode/code.ts";

export type AuthoriseCode =
  | "IDN_UNKNOWN_PUBLISHER"
  | "IDN_REVOKED"
  | "CTX_MISSING"
  | "CTX_AMBIGUOUS"
  | "CTX_UNKNOWN_BATCH"
  | "CTX_UNKNOWN_STEP"
  | "CTX_UNKNOWN_EQUIPMENT"
  | "CTX_UNKNOWN_ORDER"
  | "CTX_WRONG_BATCH"
  | "CTX_WRONG_STEP"
  | "CTX_WRONG_LINE"
  | "CTX_BATCH_NOT_RUNNING"
  | "LCK_CONFLICT"
  | "LCK_NOT_HELD"
  | "LCK_STALE_TOKEN"
  | "LCK_TAKEN_OVER"
  | "EQP_NOT_ASSIGNED"
  | "EQP_CONFIG_MISMATCH";

export const AUTHORISE_CODES: CodeTable<AuthoriseCode> = {
  IDN_UNKNOWN_PUBLISHER: {
    meaning: "No such source is registered.",
    owner: "security",
    next: "resend",
    remedy: "Register the equipment, then send the same event again.",
  },
  IDN_REVOKED: { meaning: "The source's registration is revoked.", owner: "security", next: "ask", remedy: "Ask who revoked it." },
  CTX_MISSING: {
    meaning: "No execution context: the event claims none and its equipment is engaged in none.",
    owner: "integrator",
    next: "correct",
    remedy: "Start the step, or name batch and step in the event.",
  },
  CTX_AMBIGUOUS: {
    meaning: "The equipment is engaged in several contexts and the event claims none.",
    owner: "integrator",
    next: "correct",
    remedy: "Name batch and step in the event.",
  },
  CTX_UNKNOWN_BATCH: {
    meaning: "No such batch is known here.",
    owner: "operator",
    next: "ask",
    remedy: "Create the batch from its job order, or correct the claim.",
  },
  CTX_UNKNOWN_STEP: {
    meaning: "The batch's recipe has no such step or attempt.",
    owner: "integrator",
    next: "correct",
    remedy: "Name a step of the pinned recipe revision.",
  },
  CTX_UNKNOWN_EQUIPMENT: { meaning: "No such equipment is registered at this site.", owner: "engineer", next: "ask", remedy: "Register the equipment first." },
  CTX_UNKNOWN_ORDER: {
    meaning: "The job order is already known with other content.",
    owner: "operator",
    next: "correct",
    remedy: "Use a new job order id, or send the same content.",
  },
  CTX_WRONG_BATCH: {
    meaning: "The event claims a batch other than the one its equipment is engaged in.",
    owner: "operator",
    next: "correct",
    remedy: "Check what the station is set to; the lock wins.",
  },
  CTX_WRONG_STEP: {
    meaning: "The event claims a step or attempt other than the one its equipment is engaged in.",
    owner: "operator",
    next: "correct",
    remedy: "Check what the station is set to; the lock wins.",
  },
  CTX_WRONG_LINE: {
    meaning: "The event comes from another line than its batch runs on.",
    owner: "operator",
    next: "correct",
    remedy: "Use equipment of the batch's line.",
  },
  CTX_BATCH_NOT_RUNNING: { meaning: "The batch is not being executed.", owner: "operator", next: "wait", remedy: "Start or resume the batch." },
  LCK_CONFLICT: {
    meaning: "The equipment is held by another execution context.",
    owner: "operator",
    next: "ask",
    remedy: "Complete or stop the other context first.",
  },
  LCK_NOT_HELD: {
    meaning: "The equipment is not engaged in the step it reports on.",
    owner: "operator",
    next: "ask",
    remedy: "Start the step with this equipment.",
  },
  LCK_STALE_TOKEN: {
    meaning: "The event belongs to an earlier attempt of its step.",
    owner: "quality",
    next: "ask",
    remedy: "A person decides whether it is evidence of the earlier attempt.",
  },
  LCK_TAKEN_OVER: {
    meaning: "A person has taken over the equipment that the batch or its step held.",
    owner: "quality",
    next: "ask",
    remedy: "Resume the step when the equipment is free; a person decides on the exception.",
  },
  EQP_NOT_ASSIGNED: {
    meaning: "The equipment plays no role in this step of this batch.",
    owner: "operator",
    next: "ask",
    remedy: "Use the assigned equipment, or change the assignment before the start.",
  },
  EQP_CONFIG_MISMATCH: {
    meaning: "The equipment is not of the class that the recipe asks for.",
    owner: "engineer",
    next: "correct",
    remedy: "Assign equipment of the right class.",
  },
};
