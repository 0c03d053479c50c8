// What guards see of a batch or a step, out of the world.
import { type BatchState, equipmentOfStep, type StepState } from "../authorise/execution-context.ts";
import type { GuardContext, GuardSignal } from "./guards.ts";
import type { World } from "./world.ts";

export function guardsFor(world: World, batch: BatchState, step: StepState | null, signal: GuardSignal | null): GuardContext {
  return {
    batch,
    step: step === null ? null : heldTo(step),
    signal,
    equipment: (id) => world.equipment(id),
    gaps: () =>
      step === null
        ? []
        : equipmentOfStep(batch, step.step).flatMap(({ equipment }) =>
            world.sourcesOf(equipment).filter((name) => {
              const source = world.source(name);
              return source !== undefined && source.gap !== null && name !== signal?.source;
            }),
          ),
  };
}

/** Evidence that lies outside is held against its limits until quality lets it go on. */
const heldTo = (step: StepState): StepState =>
  step.evidence.some(({ accepted }) => accepted)
    ? { ...step, evidence: step.evidence.map((item) => (item.accepted ? { ...item, within: null } : item)) }
    : step;
