// A step that is complete is done again: a new attempt, with all its evidence new. What was done before stays on record, superseded; what came after it is done again too, when its turn comes.
import { type BatchState, recipeStep, type StepState } from "../authorise/execution-context.ts";
import type { Fact } from "./facts.ts";
import type { GuardSignal } from "./guards.ts";
import { guardsFor } from "./guards-for.ts";
import type { Machines } from "./machines.ts";
import type { World } from "./world.ts";

/** Steps that depend on a step, through whatever lies between, in the order of the recipe. */
export function dependentsOf(batch: BatchState, step: string): readonly StepState[] {
  const found = new Set([step]);
  // a recipe names the steps before a step in any order
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { step: name } of batch.steps) if (recipeStep(batch, name)?.after?.some((one) => found.has(one)) === true) found.add(name);
  }
  return batch.steps.filter((one) => one.step !== step && found.has(one.step));
}

/** Steps that work with what is to be done again: they end first, since nobody takes back what is going on. */
export const inTheWay = (dependents: readonly StepState[]): readonly StepState[] =>
  dependents.filter(({ startedAt, endedAt }) => startedAt !== null && endedAt === null);

/** What follows for the steps that depend on the one that is done again: those that were complete begin anew too, those that were ready wait once more. */
export function redo(
  world: World,
  machines: Machines,
  batch: BatchState,
  dependents: readonly StepState[],
  signal: GuardSignal,
  linked: string,
): readonly Fact[] {
  return dependents.flatMap((step): readonly Fact[] => {
    const by = step.state === "complete" ? "step.rework" : "step.predecessors-open";
    const next = machines.step(batch).next(step.state, by, guardsFor(world, batch, step, signal));
    if (next.kind === "refused") return [];
    const { step: name, attempt, state: from } = step;
    const moved: Fact = { kind: "step.moved", batch: batch.batch, step: name, attempt, by, from, to: next.to, at: signal.receivedAt, clock: null };
    return step.state === "complete" ? [moved, reopened(batch, step, "pending", linked)] : [moved];
  });
}

/** The next attempt of a step whose last one is superseded. */
export const reopened = (batch: BatchState, step: StepState, state: "pending" | "ready", linked: string): Fact => ({
  kind: "step.reopened",
  batch: batch.batch,
  step: step.step,
  attempt: step.attempt + 1,
  ordinal: step.ordinal,
  state,
  linked,
});
