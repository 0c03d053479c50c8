// Whether anything that was promised to be kept is gone.

import { keyOf, type Observed, type Tell } from "./observed.ts";
import { acted } from "./rounds.ts";

/**
 * What the broker acknowledged to a device has a verdict in the end, and so has what the service acknowledged to the broker; an event has all its rounds; and what
 * acted has an outcome. A broker that forgot its sessions excuses what was sent before, but nothing that the service had acknowledged; a restore excuses both.
 */
export function loss(seen: Observed, tell: Tell): void {
  const { history, byId, settled } = seen;
  if (history.end === null) return;
  const forgot = lastOf(history.brokerForgot);
  const restored = lastOf(history.restores);
  // an event without a readable id is known by its number alone
  const nameless = new Set(settled.filter(({ first }) => first.id === null).map(({ first }) => `${first.source} ${first.epoch}.${first.sequence}`));
  const told = new Set<string>();
  const missing = (source: string, id: string, number: string | null): boolean =>
    !told.has(keyOf(source, id)) && !byId.has(keyOf(source, id)) && (number === null || !nameless.has(`${source} ${number}`));
  const sent = new Set<string>();
  for (const { source, id, epoch, sequence, at, acknowledgedAt } of history.sent) {
    sent.add(keyOf(source, id));
    if (acknowledgedAt === null || at <= forgot || at <= restored || !missing(source, id, `${epoch}.${sequence}`)) continue;
    told.add(keyOf(source, id));
    tell("lost", `${id} of ${source} (number ${epoch}.${sequence}) was acknowledged to the device and has no verdict.`, at);
  }
  for (const { source, id, at } of history.acknowledged) {
    if (at <= restored || !sent.has(keyOf(source, id)) || !missing(source, id, null)) continue;
    told.add(keyOf(source, id));
    tell("lost", `${id} of ${source} was acknowledged to the broker and has no verdict.`, at);
  }
  for (const { rounds } of settled) {
    const hole = rounds.findIndex(({ round }, n) => round > (rounds[n - 1]?.round ?? 0) + 1);
    const after = rounds[hole];
    if (after !== undefined) tell("lost", `Round ${(rounds[hole - 1]?.round ?? 0) + 1} of ${after.id} of ${after.source} is missing before ${after.verdict}.`);
  }
  const spoke = new Set(seen.outcomes.map(({ generation, position }) => `${generation}.${position}`));
  for (const round of seen.rounds) {
    if (acted(round) && !spoke.has(`${round.generation}.${round.position}`))
      tell("lost", `${round.id} of ${round.source} was accepted at ${round.verdict}, and no outcome tells of it.`);
  }
}

const lastOf = (times: readonly { readonly at: number }[]): number => times.reduce((last, { at }) => Math.max(last, at), Number.NEGATIVE_INFINITY);
