// Whether every state change was permitted: the outcomes of each batch, replayed through the tables of its machines.
import type { Observed, Outcome, Tell } from "./observed.ts";
import { Replayed } from "./replay.ts";

/**
 * Replays the outcomes of each batch in their order. A batch is created once, first; each move leads from the state that the moves before it led to, by an event that
 * the table permits there, under those guards that can be seen from outside (the batch runs, the step has begun or is active, no step seen is open when the batch
 * completes). What a stream says behind its first illegal move, or behind a hole, is not judged. Returns the batches as replayed to their ends.
 */
export function legality(seen: Observed, tell: Tell): ReadonlyMap<string, Replayed> {
  const batches = new Map<string, Replayed>();
  const given = new Set<string>();
  for (const outcome of seen.outcomes) {
    const { stream, sequence } = outcome;
    if (given.has(stream) || !stream.includes("/batch/")) continue;
    const batch = batches.get(stream) ?? new Replayed();
    batches.set(stream, batch);
    if (sequence !== batch.count + 1) {
      given.add(stream);
      continue;
    }
    const wrong = batch.take(outcome);
    if (wrong === null) continue;
    given.add(stream);
    tell("illegal", `${nameOf(outcome)}: ${wrong}.`, null);
  }
  for (const stream of given) batches.delete(stream);
  return batches;
}

const nameOf = ({ stream, type, body }: Outcome): string => `${type} ${body.id} of ${stream}`;
