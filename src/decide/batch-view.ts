import { type BatchState, type DispositionSigned, playerOf, recipeName, recipeStep } from "../authorise/execution-context.ts";

/** A batch as it is shown to people and stored in answers. */
export interface BatchView {
  readonly batch: string;
  readonly version: number;
  readonly jobOrder: string;
  readonly line: string;
  readonly recipe: string;
  readonly product: string;
  readonly quantity: { readonly value: string; readonly unit: string };
  readonly parameters: BatchState["parameters"];
  readonly equipment: BatchState["roles"];
  readonly execution: string;
  readonly disposition: string;
  /** Which stage of its disposition is signed, by a signature that is in force; absent: none. */
  readonly signed?: DispositionSigned["stage"];
  readonly impediments: { readonly deferred: number; readonly quarantined: number; readonly exceptions: number };
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly closedAt: string | null;
  readonly steps: readonly {
    readonly step: string;
    readonly title: string | null;
    readonly attempt: number;
    readonly state: string;
    readonly equipment: readonly string[];
    readonly startedAt: string | null;
    readonly endedAt: string | null;
    readonly evidence: readonly {
      readonly evidence: string;
      readonly value: string | null;
      readonly unit: string | null;
      readonly within: boolean | null;
      readonly by: string | null;
    }[];
  }[];
}

export function batchView(batch: BatchState, version = batch.version + 1): BatchView {
  return {
    batch: batch.batch,
    version,
    jobOrder: batch.jobOrder,
    line: batch.line,
    recipe: recipeName(batch),
    product: batch.recipe.product,
    quantity: { value: batch.quantity, unit: batch.unit },
    parameters: batch.parameters,
    equipment: batch.roles,
    execution: batch.execution,
    disposition: batch.disposition,
    ...(batch.signed === null ? {} : { signed: batch.signed.stage }),
    impediments: { deferred: batch.openDeferrals, quarantined: batch.openQuarantine, exceptions: batch.openExceptions },
    createdAt: batch.createdAt,
    startedAt: batch.startedAt,
    endedAt: batch.endedAt,
    closedAt: batch.closedAt,
    steps: batch.steps.map((step) => {
      const recipe = recipeStep(batch, step.step);
      return {
        step: step.step,
        title: recipe?.title ?? null,
        attempt: step.attempt,
        state: step.state,
        equipment: (recipe?.equipment ?? []).flatMap(({ role }) => playerOf(batch, role) ?? []),
        startedAt: step.startedAt,
        endedAt: step.endedAt,
        evidence: step.evidence.map((item) => ({ evidence: item.evidence, value: item.value, unit: item.unit, within: item.within, by: item.eventId })),
      };
    }),
  };
}
