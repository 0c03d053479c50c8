import type { Tally } from "./load.ts";

// Whether what was decided is what was to be decided. The plan says what becomes of each delivery; what is on record is counted.

/** What is wrong with what became of the deliveries, given the verdicts by status and code; nothing: each has the answer that it must have. */
export function wrongAnswers(sent: Tally, verdicts: Readonly<Record<string, number>>): readonly string[] {
  const counted = { accepted: 0, duplicate: 0, rejected: 0, quarantined: 0, other: 0 };
  for (const [what, count] of Object.entries(verdicts)) {
    const [status = ""] = what.split(/[ ,]/);
    // what waits has another round, which is counted
    if (status === "deferred") continue;
    // told together because its branch brought too much: no answer to an event
    if (what.includes("SYS_RATE_LIMITED")) continue;
    if (status === "accepted" || status === "duplicate" || status === "rejected" || status === "quarantined") counted[status] += count;
    else counted.other += count;
  }
  const wrong: string[] = [];
  const must = (what: string, is: number, expected: number): void => {
    if (is !== expected) wrong.push(`${is} ${what}, not ${expected}`);
  };
  must("accepted", counted.accepted, sent.event + sent.early);
  must("rejected", counted.rejected, sent.illegal);
  must("quarantined", counted.quarantined, sent.conflict);
  must("decided otherwise", counted.other, 0);
  // a broker may send again what it has no acknowledgement for
  if (counted.duplicate < sent.duplicate) wrong.push(`${counted.duplicate} recognised as repeated, not ${sent.duplicate}`);
  return wrong;
}
