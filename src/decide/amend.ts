// A batch is bound to one revision of its recipe. Another takes its place only where it says the same of all that has begun: what was done was done under that, and stays so.
import type { BatchState, StepState } from "../authorise/execution-context.ts";
import { recipeName, recipeStep } from "../authorise/execution-context.ts";
import { canonicalJson } from "../registry/canonical.ts";
import type { Parameters } from "../registry/limits.ts";
import type { Recipe } from "../registry/recipe.ts";

/** Why a batch cannot go on under another revision of its recipe, in one sentence; null: it can. `parameters`: those that would be in force. */
export function unfitFor(batch: BatchState, next: Recipe, parameters: Parameters): string | null {
  const before = batch.recipe;
  const name = `${next.recipe}@${next.revision}`;
  if (name === recipeName(batch)) return `Batch ${batch.batch} is bound to ${name} already.`;
  for (const [what, one, other] of [
    ["product", before.product, next.product],
    ["unit", before.quantity.unit, next.quantity.unit],
    ["state machine of the batch", before.stateMachines.batch, next.stateMachines.batch],
    ["state machine of steps", before.stateMachines.step, next.stateMachines.step],
  ] as const)
    if (one !== other) return `${name} has another ${what}: ${other}, and not ${one}.`;
  if (differs(before.steps.map(order), next.steps.map(order))) return `${name} has other steps, or another order of them.`;
  for (const step of batch.steps) {
    const [was, would] = [recipeStep(batch, step.step), next.steps.find((one) => one.step === step.step)];
    if (batch.startedAt !== null && differs(was?.equipment, would?.equipment))
      return `${name} has other equipment in step ${step.step}, and batch ${batch.batch} has started.`;
    if (!hasBegun(step)) continue;
    if (differs(was, would)) return `${name} says otherwise of step ${step.step}, which has begun.`;
    for (const { limits } of was?.evidence ?? [])
      if (limits?.parameter !== undefined && differs(batch.parameters[limits.parameter], parameters[limits.parameter]))
        return `${name} has another ${limits.parameter}, by which evidence of step ${step.step} was judged, which has begun.`;
  }
  return null;
}

const order = ({ step, after }: Recipe["steps"][number]): unknown => ({ step, after: after ?? [] });
const hasBegun = ({ startedAt, endedAt }: StepState): boolean => startedAt !== null || endedAt !== null;
const differs = (one: unknown, other: unknown): boolean => canonicalJson(one ?? null) !== canonicalJson(other ?? null);
