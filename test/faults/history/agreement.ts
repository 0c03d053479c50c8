// Whether what was published is what REST shows.
import { keyOf, mayBeRestored, type Observed, type outcomeOf, sameBody, type Tell } from "./observed.ts";
import { objectIn, objectsIn, textIn } from "./read-data.ts";
import type { Replayed } from "./replay.ts";
import { acted } from "./rounds.ts";
import { same } from "./same.ts";

/**
 * In the end everything heard stands in REST with the same content (unless a restore took it), everything in REST was heard (unless the broker forgot its sessions, or
 * the round is one that a service set to publish refusals alone leaves out), and a batch record shows the states that its outcomes lead to.
 */
export function agreement(seen: Observed, replayed: ReadonlyMap<string, Replayed>, tell: Tell): void {
  if (seen.history.end === null) return;
  verdicts(seen, tell);
  outcomes(seen, seen.history.end.outcomes, tell);
  for (const record of seen.history.end.batches) states(seen.history.site, record, replayed, tell);
}

function verdicts({ history, rounds, heardVerdicts }: Observed, tell: Tell): void {
  const shown = new Map(rounds.map((round) => [round.verdict, round]));
  let quiet = true;
  for (const { at, said } of heardVerdicts.values()) {
    if (said.round === 1 && (acted(said) || said.status === "duplicate")) quiet = false;
    const there = shown.get(said.verdict);
    if (there === undefined) {
      if (!mayBeRestored(history, said.generation))
        tell("disagree", `${said.verdict} on ${said.id} of ${said.source} was heard, and REST does not show it.`, at);
    } else if (!same(there.data, said.data)) tell("disagree", `${said.verdict} on ${said.id} of ${said.source} was heard otherwise than REST shows it.`, at);
  }
  if (history.brokerForgot.length > 0) return;
  for (const round of rounds) {
    if (heardVerdicts.has(round.verdict) || round.source === null) continue;
    if (quiet && round.round === 1 && (acted(round) || round.status === "duplicate")) continue;
    tell("disagree", `${round.verdict} on ${round.id} of ${round.source} is shown by REST, and was never heard.`);
  }
}

function outcomes({ history, heardOutcomes }: Observed, end: readonly Parameters<typeof outcomeOf>[0][], tell: Tell): void {
  const shown = new Map(end.map((body) => [keyOf(body.source, body.id), body]));
  for (const [key, { at, body, said }] of heardOutcomes) {
    const there = shown.get(key);
    if (there === undefined) {
      if (!mayBeRestored(history, said.generation)) tell("disagree", `${said.type} ${body.id} of ${said.stream} was heard, and REST does not show it.`, at);
    } else if (!sameBody(there, body)) tell("disagree", `${said.type} ${body.id} of ${said.stream} was heard otherwise than REST shows it.`, at);
  }
  if (history.brokerForgot.length > 0) return;
  for (const [key, body] of shown)
    if (!heardOutcomes.has(key)) tell("disagree", `${body.type} ${body.id} of ${body.source} is shown by REST, and was never heard.`);
}

function states(site: string, record: Readonly<Record<string, unknown>>, replayed: ReadonlyMap<string, Replayed>, tell: Tell): void {
  const batch = objectIn(record, "batch");
  const name = batch === null ? null : textIn(batch, "batch");
  const told = name === null ? undefined : replayed.get(`/site/${site}/batch/${name}`);
  if (batch === null || told === undefined) return;
  const [execution, disposition] = [textIn(batch, "execution"), textIn(batch, "disposition")];
  if (execution !== told.execution || disposition !== told.disposition)
    tell("disagree", `Batch ${name} is ${execution} and ${disposition}, and its outcomes lead to ${told.execution} and ${told.disposition}.`);
  for (const step of objectsIn(batch, "steps")) {
    const [id, state] = [textIn(step, "step"), textIn(step, "state")];
    const known = id === null ? undefined : told.steps.get(id);
    const agree = known === undefined ? state === "pending" || state === "ready" : known.state === state || known.state === "superseded";
    if (!agree) tell("disagree", `Step ${id} of batch ${name} is ${state}, and its outcomes lead to ${known?.state ?? "a step not begun"}.`);
  }
}
