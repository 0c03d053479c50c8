import type { Explanation } from "./judgement.ts";
import { CODES, type Verdict } from "./verdict.ts";

export interface Told {
  readonly code: string;
  readonly reason: string;
  /** What the verdict says; null: what the code says. */
  readonly remedy: string | null;
  readonly explanation: Verdict["explanation"];
}

/**
 * What a record says of a refusal or an exception, for whoever reads it years later: what was met, what the guard that failed had expected and found, and what is done about it. Made
 * from what is stored, so that the sentence can be read better one day and the record stays as it is.
 */
export function sentenceOf({ code, reason, remedy, explanation }: Told): string {
  const failed = explanation !== null && "guards" in explanation ? explanation.guards.find(({ ok }) => !ok) : undefined;
  const next = remedy ?? CODES[code]?.remedy;
  return [reason, ...(failed === undefined ? [] : unsaid(reason, failed)), ...(next === undefined ? [] : [next])].join(" ");
}

/** What was expected and what was found, where a reason does not name both as they are stored. */
function unsaid(reason: string, { expected = "otherwise", actual = "nothing" }: Explanation["guards"][number]): readonly string[] {
  return reason.includes(expected) && reason.includes(actual) ? [] : [`Expected ${expected}; found ${actual}.`];
}
