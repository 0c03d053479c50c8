// Whether anything acted twice.

import { keyOf, type Observed, type Outcome, type Tell } from "./observed.ts";
import { numberIn, objectsIn, textIn } from "./read-data.ts";
import { acted, type Settled } from "./rounds.ts";

/**
 * Of all rounds of all deliveries with one source and id at most one is accepted, and a delivery has one final round, its last; no position is given twice; and an
 * outcome stands where its cause was accepted, once of each kind about one thing.
 */
export function doubling(seen: Observed, tell: Tell): void {
  for (const deliveries of seen.byId.values()) actedOnce(deliveries, tell);
  const taken = new Set<string>();
  for (const { verdict } of seen.rounds) {
    if (taken.has(verdict)) tell("doubled", `${verdict} is given to two rounds.`);
    taken.add(verdict);
  }
  for (const { rounds } of seen.settled) {
    const final = rounds.findIndex((round) => round.final);
    const after = final < 0 ? undefined : rounds[final + 1];
    if (after !== undefined)
      tell("doubled", `${after.id} of ${after.source} was settled for good in ${rounds[final]?.verdict}, and again in ${after.verdict}.`);
  }
  outcomesOnce(seen, tell);
}

function actedOnce(deliveries: readonly Settled[], tell: Tell): void {
  let first: string | null = null;
  for (const { rounds } of deliveries) {
    for (const round of rounds) {
      if (!acted(round)) continue;
      if (first === null) first = round.verdict;
      else if (first !== round.verdict) tell("doubled", `${round.id} of ${round.source} is accepted in ${first} and in ${round.verdict}.`);
    }
  }
}

function outcomesOnce({ rounds, outcomes, history }: Observed, tell: Tell): void {
  const told = new Set<string>();
  const accepted = new Map(rounds.filter(acted).map((round) => [round.place, round.id]));
  for (const outcome of outcomes) {
    const key = keyOf(outcome.stream, about(outcome));
    if (told.has(key)) tell("doubled", `${nameOf(outcome)} repeats another outcome of position ${outcome.position}.`);
    told.add(key);
    // what was heard may lack the accepted verdicts; what REST shows has all
    if (history.end === null) continue;
    const cause = accepted.get(outcome.place) ?? null;
    if (cause !== (outcome.body.causationid ?? null))
      tell(
        "doubled",
        `${nameOf(outcome)} names ${outcome.body.causationid ?? "no event"}, and at position ${outcome.position} ${cause ?? "no event"} was accepted.`,
      );
  }
}

const nameOf = ({ stream, type, body }: Outcome): string => `${type} ${body.id} of ${stream}`;

/** What an outcome tells, and of what: within one position each only once. */
function about({ place, type, body: { data } }: Outcome): string {
  const [evidence, second] = objectsIn(data, "evidence");
  const which = evidence === undefined || second !== undefined ? "" : (textIn(evidence, "evidence") ?? "");
  return `${place} ${type} ${textIn(data, "step") ?? ""} ${numberIn(data, "attempt") ?? ""} ${which}`;
}
