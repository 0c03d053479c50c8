import type { CodeTable } from "../decode/code.ts";

export type DecideCode =
  | "STA_INVALID_TRANSITION"
  | "STA_TERMINAL"
  | "STP_OUT_OF_ORDER"
  | "STP_OPEN"
  | "STP_REWORK_NOT_AUTHORISED"
  | "EVD_MISSING"
  | "EVD_UNEXPECTED"
  | "EVD_ALREADY_SATISFIED"
  | "EVD_WRONG_SOURCE"
  | "EVD_BAD_QUALITY"
  | "PAR_OOS"
  | "REV_MISMATCH"
  | "REV_NOT_EFFECTIVE"
  | "REV_NOT_APPROVED"
  | "TIM_TOO_SHORT"
  | "TIM_TOO_LONG"
  | "TIM_FUTURE"
  | "TIM_LATE_CLOSED"
  | "TIM_STALE"
  | "SCH_UNIT_MISMATCH"
  | "QLT_EXCEPTION_OPEN"
  | "REV_NOT_AMENDABLE"
  | "QLT_EXCEPTION_CLOSED"
  | "QLT_NOT_RECOMMENDED"
  | "SIG_MISSING"
  | "SIG_REASON_MISSING"
  | "SYS_OPEN_QUEUE"
  | "SYS_POISON"
  | "SYS_RATE_LIMITED";

export const DECIDE_CODES: CodeTable<DecideCode> = {
  STA_INVALID_TRANSITION: {
    meaning: "The state does not permit this.",
    owner: "operator",
    next: "correct",
    remedy: "See what is permitted, and ask for that.",
  },
  STA_TERMINAL: {
    meaning: "The step or batch has ended; nothing can move it any more.",
    owner: "quality",
    next: "ask",
    remedy: "A person decides what a late report means.",
  },
  STP_OUT_OF_ORDER: {
    meaning: "A predecessor of the step is not complete.",
    owner: "operator",
    next: "correct",
    remedy: "Complete the predecessor, then ask again with a new event.",
  },
  STP_REWORK_NOT_AUTHORISED: {
    meaning: "The step is not to be done again without a deviation that says so.",
    owner: "quality",
    next: "correct",
    remedy: "Open a deviation, and name it with `linked`.",
  },
  STP_OPEN: { meaning: "A step of the batch is still open.", owner: "operator", next: "wait", remedy: "Complete the open steps." },
  EVD_MISSING: {
    meaning: "Evidence that the recipe demands is missing.",
    owner: "operator",
    next: "correct",
    remedy: "Send the missing evidence, then ask again with a new event.",
  },
  EVD_UNEXPECTED: {
    meaning: "The step has no place for this evidence, or expects another kind.",
    owner: "integrator",
    next: "ask",
    remedy: "Compare the event with the recipe's evidence slots.",
  },
  EVD_ALREADY_SATISFIED: {
    meaning: "The evidence slot is already filled.",
    owner: "operator",
    next: "ask",
    remedy: "Correct the recorded evidence with a reason, if it is wrong.",
  },
  EVD_WRONG_SOURCE: {
    meaning: "The evidence comes from equipment that may not give it.",
    owner: "operator",
    next: "ask",
    remedy: "Use the equipment that the recipe names.",
  },
  EVD_BAD_QUALITY: {
    meaning: "The sender itself calls the measured value doubtful.",
    owner: "quality",
    next: "ask",
    remedy: "Check the sensor; correct the evidence or decide on the exception.",
  },
  PAR_OOS: {
    meaning: "The value lies outside the limits in force.",
    owner: "quality",
    next: "ask",
    remedy: "The value stays on record; a person decides on the exception.",
  },
  REV_MISMATCH: {
    meaning: "The event was made for another recipe revision than the batch is bound to.",
    owner: "engineer",
    next: "correct",
    remedy: "Load the pinned revision on the device.",
  },
  REV_NOT_EFFECTIVE: { meaning: "No such recipe revision is registered.", owner: "engineer", next: "correct", remedy: "Register the recipe revision first." },
  REV_NOT_APPROVED: {
    meaning: "The recipe revision, or a state machine of it, was registered by one person and is not approved by another.",
    owner: "quality",
    next: "ask",
    remedy: "Have a quality approver sign POST /v1/registry/recipes/{recipe}/revisions/{revision}/approval, or the state machine's.",
  },
  TIM_TOO_SHORT: {
    meaning: "The step's minimum duration is not reached.",
    owner: "operator",
    next: "correct",
    remedy: "Wait until the minimum duration is over, then ask again with a new event.",
  },
  TIM_TOO_LONG: { meaning: "The step took longer than its maximum duration.", owner: "quality", next: "ask", remedy: "A person decides on the exception." },
  TIM_FUTURE: {
    meaning: "The device's clock is ahead; nothing rests on the event's time.",
    owner: "operations",
    next: "none",
    remedy: "Set the device's clock.",
  },
  TIM_LATE_CLOSED: {
    meaning: "The event arrived after its batch was closed.",
    owner: "quality",
    next: "ask",
    remedy: "A person decides what the late event means.",
  },
  TIM_STALE: {
    meaning: "A later event of the same kind had acted already; this one was only looked at.",
    owner: "integrator",
    next: "none",
    remedy: "Nothing: what is newer stands.",
  },
  SCH_UNIT_MISMATCH: {
    meaning: "The unit is not the one that the recipe demands.",
    owner: "integrator",
    next: "ask",
    remedy: "Send the value in the recipe's unit.",
  },
  QLT_EXCEPTION_OPEN: {
    meaning: "An exception is open and not disposed of.",
    owner: "quality",
    next: "ask",
    remedy: "Correct the evidence, or have the exception disposed of.",
  },
  REV_NOT_AMENDABLE: {
    meaning: "The other revision would change what has begun, or what a batch is.",
    owner: "engineer",
    next: "correct",
    remedy: "Register a revision that differs only in what is asked of steps that have not begun.",
  },
  QLT_EXCEPTION_CLOSED: { meaning: "The exception was disposed of before.", owner: "quality", next: "ask", remedy: "Look at what was decided; it stands." },
  QLT_NOT_RECOMMENDED: {
    meaning: "Production's recommendation is missing, or void, since the record has changed.",
    owner: "quality",
    next: "ask",
    remedy: "Have the batch recommended by a supervisor, and reviewed, then dispose of it.",
  },
  SIG_MISSING: {
    meaning: "The act needs an electronic signature.",
    owner: "quality",
    next: "ask",
    remedy: "Ask for a challenge at POST /v1/signatures/challenges, and sign it at POST /v1/signatures.",
  },
  SIG_REASON_MISSING: { meaning: "The act needs a reason.", owner: "operator", next: "correct", remedy: "Give a reason." },
  SYS_OPEN_QUEUE: {
    meaning: "Events of the batch are still open.",
    owner: "quality",
    next: "wait",
    remedy: "Resolve the batch's deferred and quarantined events.",
  },
  SYS_POISON: {
    meaning: "The service failed on this event alone; nothing was decided.",
    owner: "operations",
    next: "ask",
    remedy: "Report the event with its verdict id, then have it judged again.",
  },
  SYS_RATE_LIMITED: {
    meaning: "More came on the branch than its quota; what the verdict counts was left out, and nothing of it was judged.",
    owner: "integrator",
    next: "resend",
    remedy: "Send more slowly, and send again, unchanged, what the cursor has not passed.",
  },
};
