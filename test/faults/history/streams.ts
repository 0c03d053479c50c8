// Whether the outcome streams are what they are said to be: lists that only grow at their ends.
import type { First, Observed, Outcome, Tell } from "./observed.ts";

/**
 * Of each stream the first publications are numbered from 1 without holes, and so is what REST shows. A generation rises only by a recorded restore; it may then go on
 * behind any number already heard. A hole is excused where the broker forgot its sessions since the last that was heard of the stream.
 */
export function streams(seen: Observed, tell: Tell): void {
  const { history, contradictions } = seen;
  for (const { at, id } of contradictions) tell("holes", `A repeat of ${id} says something else than was said first.`, at);
  const heard = new Map<string, First<Outcome>>();
  for (const next of seen.heardOutcomes.values()) {
    const { at, said } = next;
    const before = heard.get(said.stream);
    heard.set(said.stream, next);
    const wrong = wrongBehind(before?.said, said, history);
    if (wrong === null) continue;
    const isAhead = said.sequence > (before?.said.sequence ?? 0);
    const excused = isAhead && history.brokerForgot.some((forgot) => forgot.at >= (before?.at ?? Number.NEGATIVE_INFINITY) && forgot.at <= at);
    if (!excused) tell("holes", `${wrong}, as heard.`, at);
  }
  if (history.end === null) return;
  const shown = new Map<string, Outcome>();
  for (const outcome of seen.outcomes) {
    const before = shown.get(outcome.stream);
    shown.set(outcome.stream, outcome);
    const follows = outcome.sequence === (before?.sequence ?? 0) + 1 && outcome.generation >= (before?.generation ?? 0);
    if (!follows) tell("holes", `${inWords(before, outcome)}, as REST shows it.`);
  }
}

/** What is wrong about an outcome that follows another on its stream, in one clause without its full stop; null: nothing. */
function wrongBehind(before: Outcome | undefined, next: Outcome, { restores }: Observed["history"]): string | null {
  const { generation, sequence } = next;
  const last = before?.sequence ?? 0;
  if (before === undefined || generation === before.generation) return sequence === last + 1 ? null : inWords(before, next);
  if (generation < before.generation) return inWords(before, next);
  if (!restores.some((restore) => restore.generation === generation)) return `${inWords(before, next)}, and no restore is recorded`;
  return sequence >= 1 && sequence <= last + 1 ? null : inWords(before, next);
}

const inWords = (before: Outcome | undefined, { stream, generation, sequence }: Outcome): string =>
  `${sequence} of generation ${generation} follows ${before === undefined ? "nothing" : `${before.sequence} of generation ${before.generation}`} on ${stream}`;
