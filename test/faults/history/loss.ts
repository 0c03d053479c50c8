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
  for (const [key, all] of seen.sent) {
    if (byId.has(key)) continue;
    const kept = all.find(({ acknowledgedAt, at }) => acknowledgedAt !== null && at > forgot && at > restored);
    if (kept === undefined || nameless.has(`${kept.source} ${kept.epoch}.${kept.sequence}`)) continue;
    told.add(key);
    tell("lost", `${kept.id} of ${kept.source} (number ${kept.epoch}.${kept.sequence}) was acknowledged to the device and has no verdict.`, kept.at);
  }
  for (const { source, id, at } of history.acknowledged) {
    const key = keyOf(source, id);
    if (byId.has(key) || at <= restored || told.has(key)) continue;
    const [sent] = seen.sent.get(key) ?? [];
    if (sent === undefined || nameless.has(`${source} ${sent.epoch}.${sent.sequence}`)) continue;
    told.add(key);
    tell("lost", `${id} of ${source} was acknowledged to the broker and has no verdict.`, at);
  }
  for (const { rounds } of settled) {
    const hole = rounds.findIndex(({ round }, n) => round > (rounds[n - 1]?.round ?? 0) + 1);
    const after = rounds[hole];
    if (after !== undefined) tell("lost", `Round ${(rounds[hole - 1]?.round ?? 0) + 1} of ${after.id} of ${after.source} is missing before ${after.verdict}.`);
  }
  const spoke = new Set(seen.outcomes.map(({ place }) => place));
  for (const round of seen.rounds) {
    if (acted(round) && !spoke.has(round.place)) tell("lost", `${round.id} of ${round.source} was accepted at ${round.verdict}, and no outcome tells of it.`);
  }
}

const lastOf = (times: readonly { readonly at: number }[]): number => times.reduce((last, { at }) => Math.max(last, at), Number.NEGATIVE_INFINITY);
