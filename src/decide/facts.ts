import type { BatchState, ContextLock, DispositionSigned, EvidenceItem, StepState } from "../authorise/execution-context.ts";
import { ENDED_BATCH, ENDED_STEP } from "../authorise/execution-context.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { ExceptionDisposition } from "./exception.ts";
import type { BatchPlace } from "./machines.ts";
import type { World } from "./world.ts";

/** What the service decided is true. Facts are applied to the world, stored, and turned into outcomes. */
export type Fact =
  | { readonly kind: "batch.created"; readonly batch: BatchState }
  | {
      readonly kind: "batch.moved";
      readonly batch: string;
      /** The signal that moved it, by its short name. */
      readonly by: string;
      readonly from: BatchPlace;
      readonly to: BatchPlace;
      readonly at: string;
    }
  /** A person has signed what becomes of an exception. `accepts`: the evidence that opened it counts all the same. */
  | {
      readonly kind: "exception.disposed";
      readonly batch: string | null;
      readonly step: string | null;
      readonly attempt: number | null;
      readonly exception: { readonly position: Ref; readonly ordinal: number; readonly code: string };
      readonly disposition: ExceptionDisposition;
      readonly linked: string;
      readonly accepts: boolean;
    }
  /** A person has signed a stage of its disposition. `before`: what the disposition goes back to when the signature is void. */
  | { readonly kind: "disposition.signed"; readonly batch: string; readonly stage: DispositionSigned["stage"]; readonly before: string }
  /** The record has changed since: what was signed is not what there is. */
  | { readonly kind: "disposition.voided"; readonly batch: string; readonly stage: DispositionSigned["stage"]; readonly from: string; readonly to: string }
  | {
      readonly kind: "batch.updated";
      readonly batch: string;
      readonly quantity: string;
      readonly unit: string;
      readonly parameters: BatchState["parameters"];
      readonly roles: BatchState["roles"];
      readonly before: { readonly quantity: string; readonly unit: string; readonly roles: BatchState["roles"] };
    }
  /** It goes on under another revision of its recipe. */
  | {
      readonly kind: "batch.amended";
      readonly batch: string;
      readonly from: string;
      readonly recipe: BatchState["recipe"];
      readonly recipeHash: string;
      readonly parameters: BatchState["parameters"];
    }
  | {
      readonly kind: "step.moved";
      readonly batch: string;
      readonly step: string;
      readonly attempt: number;
      readonly by: string;
      readonly from: string;
      readonly to: string;
      readonly at: string;
      readonly clock: StepState["startClock"];
    }
  /** A further attempt of a step; the one before is superseded. `linked`: the deviation under which it is done. */
  | {
      readonly kind: "step.reopened";
      readonly batch: string;
      readonly step: string;
      readonly attempt: number;
      readonly ordinal: number;
      readonly state: string;
      readonly linked: string;
    }
  | { readonly kind: "evidence.recorded"; readonly batch: string; readonly step: string; readonly attempt: number; readonly item: EvidenceItem }
  | { readonly kind: "lock.taken"; readonly lock: ContextLock }
  | { readonly kind: "lock.freed"; readonly lock: ContextLock }
  | {
      readonly kind: "equipment.stated";
      readonly equipment: string;
      readonly from: string | null;
      readonly to: string;
      readonly epoch: bigint | null;
      readonly sequence: bigint | null;
      readonly data: Readonly<Record<string, unknown>>;
    }
  /** Something told that moves no state here. */
  | {
      readonly kind: "reported";
      readonly type: string;
      readonly batch: string | null;
      readonly step: string | null;
      readonly attempt: number | null;
      readonly equipment: string | null;
      readonly data: Readonly<Record<string, unknown>>;
    };

/** What does not belong to a batch is kept under this day; its partition stands for good. */
export const STANDING_DAY = "2000-01-01";

/** The world after a fact. `at` is the position of the signal that brought it about. */
export function apply(world: World, fact: Fact): void {
  switch (fact.kind) {
    case "batch.created":
      world.putBatch(fact.batch);
      world.putJobOrder(fact.batch.jobOrder, fact.batch.batch);
      return;
    case "batch.moved": {
      const batch = known(world.batch(fact.batch), fact.batch);
      const { execution, disposition } = fact.to;
      world.putBatch({
        ...batch,
        execution,
        disposition,
        startedAt: batch.startedAt ?? (execution === "running" ? fact.at : null),
        endedAt: batch.endedAt ?? (ENDED_BATCH.has(execution) ? fact.at : null),
        closedAt: batch.closedAt ?? (execution === "closed" ? fact.at : null),
      });
      return;
    }
    case "exception.disposed": {
      if (fact.batch === null) return;
      const batch = known(world.batch(fact.batch), fact.batch);
      world.putBatch({ ...batch, openExceptions: Math.max(0, batch.openExceptions - 1) });
      const { step, attempt, exception } = fact;
      if (!fact.accepts || step === null || attempt === null) return;
      changeStep(world, fact.batch, step, attempt, (one) => ({
        ...one,
        evidence: one.evidence.map((item) => (item.position === exception.position && item.within === false ? { ...item, accepted: true } : item)),
      }));
      return;
    }
    case "disposition.signed":
      world.putBatch({ ...known(world.batch(fact.batch), fact.batch), signed: { stage: fact.stage, before: fact.before } });
      return;
    case "disposition.voided":
      world.putBatch({ ...known(world.batch(fact.batch), fact.batch), disposition: fact.to, signed: null });
      return;
    case "batch.updated": {
      const batch = known(world.batch(fact.batch), fact.batch);
      world.putBatch({ ...batch, quantity: fact.quantity, unit: fact.unit, parameters: fact.parameters, roles: fact.roles });
      return;
    }
    case "batch.amended": {
      const { recipe, recipeHash, parameters } = fact;
      world.putBatch({ ...known(world.batch(fact.batch), fact.batch), recipe, recipeHash, parameters });
      return;
    }
    case "step.moved":
      changeStep(world, fact.batch, fact.step, fact.attempt, (step) => ({
        ...step,
        state: fact.to,
        startedAt: step.startedAt ?? (fact.to === "in_progress" ? fact.at : null),
        startClock: step.startedAt === null && fact.to === "in_progress" ? fact.clock : step.startClock,
        endedAt: step.endedAt ?? (ENDED_STEP.has(fact.to) ? fact.at : null),
      }));
      return;
    case "step.reopened": {
      const batch = known(world.batch(fact.batch), fact.batch);
      const { step, attempt, ordinal, state } = fact;
      const fresh: StepState = { step, attempt, ordinal, state, startedAt: null, startClock: null, endedAt: null, evidence: [] };
      world.putBatch({
        ...batch,
        steps: batch.steps.map((one) => (one.step === step ? fresh : one)),
        superseded: [...batch.superseded, ...batch.steps.filter((one) => one.step === step)],
      });
      return;
    }
    case "evidence.recorded":
      changeStep(world, fact.batch, fact.step, fact.attempt, (step) => ({
        ...step,
        evidence: [...step.evidence.filter((item) => item.position !== fact.item.supersedes), fact.item],
      }));
      return;
    case "lock.taken": {
      const equipment = known(world.equipment(fact.lock.equipment), fact.lock.equipment);
      world.putEquipment({ ...equipment, token: fact.lock.token, locks: [...equipment.locks, fact.lock] });
      return;
    }
    case "lock.freed": {
      const equipment = known(world.equipment(fact.lock.equipment), fact.lock.equipment);
      world.putEquipment({ ...equipment, locks: equipment.locks.filter((lock) => lock.token !== fact.lock.token) });
      return;
    }
    case "equipment.stated": {
      const equipment = known(world.equipment(fact.equipment), fact.equipment);
      world.putEquipment({ ...equipment, state: fact.to, stateEpoch: fact.epoch, stateSequence: fact.sequence });
      return;
    }
    case "reported":
      return;
  }
}

/** What a fact makes others wait no longer for. */
export function changedBy(fact: Fact): readonly string[] {
  switch (fact.kind) {
    case "batch.created":
      return [`batch:${fact.batch.batch}`];
    case "batch.moved":
    case "batch.updated":
    case "batch.amended":
    case "step.moved":
    case "step.reopened":
    case "evidence.recorded":
      return [`batch:${fact.batch}`];
    case "lock.taken":
    case "lock.freed":
      return [`equipment:${fact.lock.equipment}`];
    case "equipment.stated":
      return [`equipment:${fact.equipment}`];
    case "exception.disposed":
      return fact.batch === null ? [] : [`batch:${fact.batch}`];
    case "disposition.signed":
    case "disposition.voided":
    case "reported":
      return [];
  }
}

/** The batch a fact belongs to, if any. */
export function batchOf(fact: Fact): string | null {
  switch (fact.kind) {
    case "batch.created":
      return fact.batch.batch;
    case "lock.taken":
    case "lock.freed":
      return fact.lock.batch;
    case "equipment.stated":
      return null;
    default:
      return fact.batch;
  }
}

function changeStep(world: World, batchId: string, step: string, attempt: number, change: (step: StepState) => StepState): void {
  const batch = known(world.batch(batchId), batchId);
  world.putBatch({ ...batch, steps: batch.steps.map((s) => (s.step === step && s.attempt === attempt ? change(s) : s)) });
}

/** A fact is only made about what the judge has seen. */
function known<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`a fact about ${name}, which is not there`);
  return value;
}
