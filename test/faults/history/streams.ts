// Whether the outcome streams are what they are said to be: lists that only grow at their ends.
import type { Observed, Outcome, Tell } from "./observed.ts";

/**
 * Of each stream the first publications are numbered from 1 without holes, and so is what REST shows. A generation rises only by a recorded restore; it may then go on
 * behind any number already heard. A hole is excused where the broker forgot its sessions since the last that was heard of the stream.
 */
export function streams(seen: Observed, tell: Tell): void {
  const { history, contradictions } = seen;
  for (const { at, id } of contradictions) tell("holes", `A repeat of ${id} says something else than was said first.`, at);
  const heard = new Map<string, Outcome & { readonly at: number }>();
  for (const { at, said } of seen.heardOutcomes.values()) {
    const before = heard.get(said.stream);
    const wrong = follows(history, before, said);
    const excused = history.brokerForgot.some((forgot) => forgot.at >= (before?.at ?? Number.NEGATIVE_INFINITY) && forgot.at <= at);
    if (wrong !== null && !(excused && isAhead(before, said))) tell("holes", `${wrong}, as heard.`, at);
    heard.set(said.stream, { ...said, at });
  }
  if (history.end === null) return;
  const shown = new Map<string, Outcome>();
  for (const outcome of seen.outcomes) {
    const before = shown.get(outcome.stream);
    const wrong = follows(history, before === undefined ? undefined : { ...before, generation: outcome.generation }, outcome);
    if (wrong !== null) tell("holes", `${wrong}, as REST shows it.`);
    shown.set(outcome.stream, outcome);
  }
}

const isAhead = (before: Outcome | undefined, said: Outcome): boolean => said.sequence > (before?.sequence ?? 0);

/** What is wrong about an outcome that follows another on its stream, in one clause without its full stop; null: nothing. */
function follows({ restores }: Observed["history"], before: Outcome | undefined, next: Outcome): string | null {
  const { stream, generation, sequence } = next;
  const last = before?.sequence ?? 0;
  const inOrder = `${sequence} of generation ${generation} follows ${last}${before === undefined ? "" : ` of generation ${before.generation}`} on ${stream}`;
  if (before !== undefined && generation < before.generation) return inOrder;
  if (before !== undefined && generation > before.generation) {
    if (!restores.some((restore) => restore.generation === generation)) return `${inOrder}, and no restore is recorded`;
    return sequence >= 1 && sequence <= last + 1 ? null : inOrder;
  }
  return sequence === last + 1 ? null : inOrder;
}
