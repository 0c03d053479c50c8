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
  const said = failed === undefined || names(reason, failed) ? [] : [`Expected ${failed.expected ?? "otherwise"}; found ${failed.actual ?? "nothing"}.`];
  const next = remedy ?? CODES[code]?.remedy;
  return [reason, ...said, ...(next === undefined ? [] : [next])].join(" ");
}

type Check = Explanation["guards"][number];

/** Whether a reason names what was expected and what was found, as they are stored. */
const names = (reason: string, { expected, actual }: Check): boolean => [expected, actual].every((part) => part !== undefined && reason.includes(part));
