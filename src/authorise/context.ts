import type { BatchState, ContextLock, EquipmentState, StepState } from "./execution-context.ts";
import { ENDED_BATCH, engagements, equipmentOfStep, stepOf } from "./execution-context.ts";

/** What authority looks at: the batches and the equipment of the world as it was read. */
export interface ContextView {
  batch(id: string): BatchState | undefined;
  equipment(id: string): EquipmentState | undefined;
}

/** The context that an event claims, and how much of one its type needs. */
export interface Claim {
  readonly equipment: string | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  /** `claim`: must name it; `required`: named or taken from the lock; `optional`: decided without where there is none. */
  readonly needs: "claim" | "required" | "optional";
  /** Whether the event is about a step, or about the batch alone. */
  readonly about: "step" | "batch";
  /** A start takes its engagement; everything else must agree with one that is held. */
  readonly starts: boolean;
}

export type Resolved =
  | { readonly kind: "context"; readonly from: "claim" | "lock" | "none"; readonly batch: BatchState | null; readonly step: StepState | null }
  | {
      readonly kind: "refused";
      readonly from: "claim" | "lock" | "none";
      readonly code: string;
      readonly notYet: boolean;
      /** What would have to change for another answer. */
      readonly waits: readonly string[];
      readonly expected: string;
      readonly actual: string;
    };

export const waitsForBatch = (batch: string): string => `batch:${batch}`;
export const waitsForEquipment = (equipment: string): string => `equipment:${equipment}`;
export const waitsForSource = (source: string): string => `source:${source}`;

/**
 * The execution context of an event. Given, a claim must equal the lock; absent, the context is taken from the one open engagement of the event's equipment.
 * A topic is a routing label and never resolves a context by itself.
 */
export function resolveContext(view: ContextView, claim: Claim): Resolved {
  const equipment = claim.equipment === null ? undefined : view.equipment(claim.equipment);
  const held = engagements(equipment);
  if (claim.batch === null && claim.step === null) return fromLock(view, claim, held);
  return fromClaim(view, claim, equipment, held);
}

function fromLock(view: ContextView, claim: Claim, held: readonly ContextLock[]): Resolved {
  const waits = claim.equipment === null ? [] : [waitsForEquipment(claim.equipment)];
  if (claim.needs === "claim") {
    return refused("none", "CTX_MISSING", false, [], claim.about === "batch" ? "batchid" : "batchid and stepid", "none");
  }
  const [first, second] = contexts(held);
  if (first === undefined) {
    if (claim.needs === "optional") return { kind: "context", from: "none", batch: null, step: null };
    return refused("none", "CTX_MISSING", true, waits, "an open engagement", "none");
  }
  if (second !== undefined) {
    if (claim.needs === "optional") return { kind: "context", from: "none", batch: null, step: null };
    return refused("lock", "CTX_AMBIGUOUS", false, [], "one open engagement", held.map(inWords).join(", "));
  }
  const batch = view.batch(first.batch);
  const step = batch === undefined || first.step === null ? undefined : stepOf(batch, first.step);
  if (batch === undefined || step === undefined) return refused("lock", "CTX_MISSING", true, waits, "the engaged batch", first.batch);
  return { kind: "context", from: "lock", batch, step };
}

function fromClaim(view: ContextView, claim: Claim, equipment: EquipmentState | undefined, held: readonly ContextLock[]): Resolved {
  const batchId = claim.batch ?? held.find((lock) => lock.step === claim.step)?.batch ?? null;
  if (batchId === null) {
    if (claim.needs === "claim") return refused("claim", "CTX_MISSING", false, [], "batchid", "none");
    return refused(
      "claim",
      "CTX_MISSING",
      true,
      claim.equipment === null ? [] : [waitsForEquipment(claim.equipment)],
      `an engagement in step ${claim.step}`,
      "none",
    );
  }
  const batch = view.batch(batchId);
  if (batch === undefined) return refused("claim", "CTX_UNKNOWN_BATCH", true, [waitsForBatch(batchId)], "a known batch", batchId);

  if (claim.about === "batch") return speaksFor(batch, equipment) ?? { kind: "context", from: "claim", batch, step: null };

  const inBatch = contexts(held).filter((lock) => lock.batch === batchId);
  // what is said of the batch is said of the step that goes on without the equipment, not of whatever takes it next
  const worksIn = held.length === 0 && claim.needs === "required" ? begunWithout(batch, claim.equipment) : inBatch;
  if (claim.step === null && claim.needs !== "claim" && worksIn.length > 1) {
    if (claim.needs === "optional") return { kind: "context", from: "claim", batch, step: null };
    return refused("claim", "CTX_AMBIGUOUS", false, [], "one open engagement", worksIn.map(inWords).join(", "));
  }
  const stepId = claim.step ?? worksIn[0]?.step ?? null;
  if (stepId === null) {
    if (claim.needs === "claim") return refused("claim", "CTX_MISSING", false, [], "stepid", "none");
    const other = held[0];
    if (other !== undefined) return refused("claim", "CTX_WRONG_BATCH", false, [], inWords(other), batchId);
    if (claim.needs === "optional") return speaksFor(batch, equipment) ?? { kind: "context", from: "claim", batch, step: null };
    return refused(
      "claim",
      "CTX_MISSING",
      !ENDED_BATCH.has(batch.execution),
      claim.equipment === null ? [] : [waitsForEquipment(claim.equipment)],
      "stepid or an open engagement",
      "none",
    );
  }
  const step = stepOf(batch, stepId);
  if (step === undefined) return refused("claim", "CTX_UNKNOWN_STEP", false, [], batch.recipe.steps.map((s) => s.step).join(", "), stepId);
  if (claim.attempt !== null && claim.attempt !== step.attempt) {
    if (claim.attempt < step.attempt) return refused("claim", "LCK_STALE_TOKEN", false, [], `attempt ${step.attempt}`, `attempt ${claim.attempt}`);
    return refused("claim", "CTX_UNKNOWN_STEP", false, [], `attempt ${step.attempt}`, `attempt ${claim.attempt}`);
  }
  if (!claim.starts && held.length > 0 && !held.some((lock) => lock.batch === batchId && lock.step === stepId)) {
    const sameBatch = held.find((lock) => lock.batch === batchId);
    const lock = sameBatch ?? held[0];
    return refused(
      "claim",
      sameBatch === undefined ? "CTX_WRONG_BATCH" : "CTX_WRONG_STEP",
      false,
      [],
      lock === undefined ? "none" : inWords(lock),
      `${batchId}/${stepId}`,
    );
  }
  // who must hold a lock is for the step's guards to say; what needs none may still not be said of any batch by anybody
  if (claim.needs === "optional" && held.length === 0) return speaksFor(batch, equipment) ?? { kind: "context", from: "claim", batch, step };
  return { kind: "context", from: "claim", batch, step };
}

/**
 * Who may speak for a batch as a whole: equipment that the job order assigned to it, or whatever stands on its line, unless that is held by another batch. null: it may.
 */
function speaksFor(batch: BatchState, equipment: EquipmentState | undefined): Resolved | null {
  if (equipment === undefined) return null;
  const other = equipment.locks.find((lock) => lock.batch !== batch.batch);
  if (other !== undefined && !equipment.locks.some((lock) => lock.batch === batch.batch))
    return refused("claim", "CTX_WRONG_BATCH", false, [], inWords(other), batch.batch);
  const assigned = Object.values(batch.roles).includes(equipment.equipment);
  return assigned || equipment.line === batch.line ? null : refused("claim", "CTX_WRONG_LINE", false, [], batch.line, equipment.line);
}

/** Engagements of different step attempts; equipment that plays two roles in one step stands in one context. */
const contexts = (held: readonly ContextLock[]): readonly ContextLock[] =>
  held.filter((lock, n) => held.findIndex((other) => other.batch === lock.batch && other.step === lock.step && other.attempt === lock.attempt) === n);

/** The steps of a batch that are under way and work with equipment that none of them holds: it was taken over from them. */
const begunWithout = (batch: BatchState, equipment: string | null): readonly Pick<ContextLock, "batch" | "step">[] =>
  batch.steps
    .filter(
      ({ step, startedAt, endedAt }) => startedAt !== null && endedAt === null && equipmentOfStep(batch, step).some((need) => need.equipment === equipment),
    )
    .map(({ step }) => ({ batch: batch.batch, step }));

const inWords = (lock: Pick<ContextLock, "batch" | "step">): string => `${lock.batch}/${lock.step ?? "-"}`;

function refused(from: "claim" | "lock" | "none", code: string, notYet: boolean, waits: readonly string[], expected: string, actual: string): Resolved {
  return { kind: "refused", from, code, notYet, waits, expected, actual };
}
