import type { Check } from "./state-machine.ts";

export interface Asked {
  readonly batch: string | null;
  readonly step: string | null;
  readonly state: string | null;
  readonly asked: string;
  readonly checks: readonly Check[];
}

/** One sentence for a person, from the guard that failed first. */
export function reasonFor(code: string, about: Asked): string {
  const failed = about.checks.find((check) => !check.ok);
  const expected = failed?.expected ?? "";
  const actual = failed?.actual ?? "";
  const step = about.step === null ? "The step" : `Step ${about.step}`;
  const batch = about.batch === null ? "the batch" : `batch ${about.batch}`;
  switch (code) {
    case "EVD_MISSING":
      return `${step} needs ${needs(expected, actual)}.`;
    case "EVD_UNEXPECTED":
      return `${step} has no place for ${actual}; it expects ${expected}.`;
    case "EVD_ALREADY_SATISFIED":
      return `${step} has ${actual} of ${expected} already.`;
    case "EVD_WRONG_SOURCE":
      return `${step} takes this evidence from ${expected}, not from ${actual}.`;
    case "SCH_UNIT_MISMATCH":
      return `${step} takes this evidence in ${expected}; the unit given is ${actual}.`;
    case "STP_OUT_OF_ORDER":
      return `${step} comes after ${expected.replaceAll(": complete", "")}, and that is not complete (${actual}).`;
    case "CTX_BATCH_NOT_RUNNING":
      return `${capital(batch)} is ${actual}, not running.`;
    case "TIM_LATE_CLOSED":
      return `${capital(batch)} is closed.`;
    case "STA_INVALID_TRANSITION":
      return about.step === null
        ? `${capital(batch)} is ${about.state}; that does not permit ${about.asked}.`
        : `${step} is ${about.state}; that does not permit ${about.asked}.`;
    case "STA_TERMINAL":
      return about.step === null ? `${capital(batch)} is ${about.state} and moves no more.` : `${step} is ${about.state} and moves no more.`;
    case "TIM_TOO_SHORT":
      return `${step} takes ${expected}; it has taken ${actual}.`;
    case "QLT_EXCEPTION_OPEN":
      return failed?.guard === "exceptions.closed@1"
        ? `${capital(batch)} has ${actual} open exceptions.`
        : `${step} has evidence outside its limits that nobody has disposed of (${expected}; recorded ${actual}).`;
    case "LCK_CONFLICT":
      return `The equipment is not free (${actual}).`;
    case "LCK_NOT_HELD":
      return `The equipment is not engaged in this step (expected ${expected}; it is ${actual}).`;
    case "EQP_NOT_ASSIGNED":
      return about.step === null ? `${capital(batch)} has no ${expected}.` : `${step} works with ${expected}; ${actual} plays no role in it.`;
    case "EQP_CONFIG_MISMATCH":
      return `The recipe asks for ${expected}; it is ${actual}.`;
    case "REV_MISMATCH":
      return `${capital(batch)} is bound to ${expected}; the event was made for ${actual}.`;
    case "STP_OPEN":
      return `${capital(batch)} has open steps (${actual}).`;
    case "SYS_OPEN_QUEUE":
      return `${capital(batch)} has open events (${actual}).`;
    case "SEQ_GAP":
      return `${step} waits for a gap in ${actual} to close.`;
    case "SIG_MISSING":
      return "This act needs an electronic signature.";
    case "CTX_MISSING":
      return `The event has no execution context (expected ${expected}).`;
    case "CTX_AMBIGUOUS":
      return `The equipment is engaged in several contexts (${actual}) and the event names none.`;
    case "CTX_UNKNOWN_BATCH":
      return `No batch ${actual} is known here.`;
    case "CTX_UNKNOWN_STEP":
      return `The recipe has no step or attempt ${actual} (it has ${expected}).`;
    case "CTX_WRONG_BATCH":
    case "CTX_WRONG_STEP":
      return `The equipment is engaged in ${expected}; the event claims ${actual}.`;
    case "CTX_WRONG_LINE":
      return `${capital(batch)} runs on line ${expected}; the event comes from line ${actual}.`;
    case "LCK_STALE_TOKEN":
      return `${step} is at ${expected}; the event belongs to ${actual}.`;
    default:
      return `${code}: expected ${expected || "otherwise"}, found ${actual || "nothing"}.`;
  }
}

const NUMBERS = ["no", "one", "two", "three", "four", "five"];

/** "net-weight: 1" and "0" as "one net-weight and has none". */
function needs(expected: string, actual: string): string {
  const have = actual.split(", ");
  return expected
    .split(", ")
    .map((need, i) => {
      const [name = need, count = "1"] = need.split(": ");
      const has = have[i] ?? "0";
      return `${NUMBERS[Number(count)] ?? count} ${name} and has ${has === "0" ? "none" : (NUMBERS[Number(has)] ?? has)}`;
    })
    .join("; ");
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
