import type { Recipe } from "../registry/recipe.ts";
import type { Ref } from "../sequence/source-state.ts";

/** A context lock: `allocation`, a unit belongs to a batch; `engagement`, a step attempt works with an equipment in a role. The token fences what came before. */
export interface ContextLock {
  readonly equipment: string;
  readonly kind: "allocation" | "engagement";
  readonly batch: string;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly role: string;
  readonly locked: "step" | "batch";
  readonly token: number;
  readonly takenAt: Ref;
}

export interface EquipmentState {
  readonly equipment: string;
  readonly line: string;
  readonly class: string;
  readonly version: number;
  readonly token: number;
  readonly state: string | null;
  readonly stateEpoch: bigint | null;
  readonly stateSequence: bigint | null;
  /** Open locks only. */
  readonly locks: readonly ContextLock[];
}

export interface EvidenceItem {
  readonly evidence: string;
  readonly position: Ref;
  readonly supersedes: Ref | null;
  readonly eventId: string | null;
  readonly source: string | null;
  readonly value: string | null;
  readonly unit: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  /** null: the slot has no limits. */
  readonly within: boolean | null;
  readonly low: string | null;
  readonly high: string | null;
  /** It lies outside, and quality has let it go on all the same. */
  readonly accepted?: true;
}

/** One attempt of a step. `evidence` holds what is in force: what a correction superseded is left out. */
export interface StepState {
  readonly step: string;
  readonly attempt: number;
  readonly ordinal: number;
  readonly state: string;
  readonly startedAt: string | null;
  /** The device clock on which the start was told, if it was fit for it. */
  readonly startClock: { readonly sourceKey: string; readonly epoch: string; readonly time: string } | null;
  readonly endedAt: string | null;
  readonly evidence: readonly EvidenceItem[];
}

/** `recommended`: production's; `disposed`: quality's. */
export interface DispositionSigned {
  readonly stage: "recommended" | "disposed";
  readonly before: string;
}

/** A batch with the latest attempt of each of its steps. */
export interface BatchState {
  readonly batch: string;
  readonly version: number;
  readonly line: string;
  readonly jobOrder: string;
  readonly recipe: Recipe;
  readonly recipeHash: string;
  readonly batchMachine: string;
  readonly batchMachineHash: string;
  readonly stepMachine: string;
  readonly stepMachineHash: string;
  readonly quantity: string;
  readonly unit: string;
  readonly parameters: Readonly<Record<string, { readonly value: string; readonly unit: string }>>;
  readonly roles: Readonly<Record<string, string>>;
  readonly execution: string;
  readonly disposition: string;
  /** Whose signature about its disposition is in force, and what the disposition was before any; null: nobody's. A change of its record voids it. */
  readonly signed: DispositionSigned | null;
  readonly openedOn: string;
  readonly facts: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly closedAt: string | null;
  readonly asked: string;
  readonly steps: readonly StepState[];
  /** Attempts that the signals being settled have superseded; none in a world as it was read. */
  readonly superseded: readonly StepState[];
  /** How many of its events are open (deferred, quarantined), and how many of its exceptions. */
  readonly openDeferrals: number;
  readonly openQuarantine: number;
  readonly openExceptions: number;
}

export const ENDED_BATCH: ReadonlySet<string> = new Set(["complete", "stopped", "aborted", "cancelled", "closed"]);
export const ENDED_STEP: ReadonlySet<string> = new Set(["complete", "skipped", "stopped", "aborted", "superseded"]);

export const stepOf = (batch: BatchState, step: string): StepState | undefined => batch.steps.find((s) => s.step === step);
export const recipeStep = (batch: BatchState, step: string) => batch.recipe.steps.find((s) => s.step === step);
export const recipeName = (batch: BatchState): string => `${batch.recipe.recipe}@${batch.recipe.revision}`;

/** The equipment that plays a role in a batch. A role may be named like something that every object has. */
export const playerOf = (batch: BatchState, role: string): string | undefined => (Object.hasOwn(batch.roles, role) ? batch.roles[role] : undefined);

/** Equipment that a step works with, in a role. `locked`: with whom it shares it. */
export interface Need {
  readonly role: string;
  readonly equipment: string;
  readonly locked: "step" | "batch";
}

/** The equipment that a step works with, by role. A recipe step names roles; the batch says who plays them. */
export function equipmentOfStep(batch: BatchState, step: string): readonly Need[] {
  const needs: Need[] = [];
  for (const { role, locked } of recipeStep(batch, step)?.equipment ?? []) {
    const equipment = playerOf(batch, role);
    if (equipment !== undefined) needs.push({ role, equipment, locked });
  }
  return needs;
}

export const engagements = (equipment: EquipmentState | undefined): readonly ContextLock[] =>
  (equipment?.locks ?? []).filter((lock) => lock.kind === "engagement");
