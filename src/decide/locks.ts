// The facts by which a batch and its steps take equipment and free it.
import { type BatchState, type ContextLock, engagements, equipmentOfStep, type Need, type StepState } from "../authorise/execution-context.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { Fact } from "./facts.ts";
import { allocations } from "./guards.ts";
import type { World } from "./world.ts";

/** A batch that starts takes its units. */
export function allocate(world: World, batch: BatchState, at: Ref): Fact[] {
  return allocations(batch).map(({ role, equipment }) =>
    taken(world, { equipment, kind: "allocation", batch: batch.batch, step: null, attempt: null, role, locked: "batch", takenAt: at }),
  );
}

/** A step attempt that starts, or goes on after some of it was taken over, works with its equipment. */
export function engage(world: World, batch: BatchState, step: StepState, at: Ref): Fact[] {
  const needed = notEngaged(world, batch, step);
  // equipment that plays two roles in a step is engaged in it once, as strictly as the stricter of the two
  const once = needed.filter(({ equipment }, n) => needed.findIndex((other) => other.equipment === equipment) === n);
  return once.map(({ role, equipment }) => {
    const locked = needed.some((need) => need.equipment === equipment && need.locked === "step") ? "step" : "batch";
    return taken(world, { equipment, kind: "engagement", batch: batch.batch, step: step.step, attempt: step.attempt, role, locked, takenAt: at });
  });
}

/** What a step attempt works with and does not hold: all of it before its start, afterwards what a person has taken over. */
export function notEngaged(world: World, batch: BatchState, step: StepState): readonly Need[] {
  return equipmentOfStep(batch, step.step).filter(
    ({ equipment }) =>
      !engagements(world.equipment(equipment)).some((lock) => lock.batch === batch.batch && lock.step === step.step && lock.attempt === step.attempt),
  );
}

/** What a batch that has ended holds as a whole. */
export function freeAllocations(world: World, batch: BatchState): Fact[] {
  const units = allocations(batch).map(({ equipment }) => equipment);
  return freed(world, units, (lock) => lock.kind === "allocation" && lock.batch === batch.batch);
}

/** What a step attempt that has ended works with. */
export function freeEngagements(world: World, batch: BatchState, step: string, attempt: number): Fact[] {
  const engaged = new Set(equipmentOfStep(batch, step).map(({ equipment }) => equipment));
  return freed(world, engaged, (lock) => lock.kind === "engagement" && lock.batch === batch.batch && lock.step === step && lock.attempt === attempt);
}

/** The token of a lock is above every token that the equipment ever had: it fences what came before. */
function taken(world: World, lock: Omit<ContextLock, "token">): Fact {
  return { kind: "lock.taken", lock: { ...lock, token: (world.equipment(lock.equipment)?.token ?? 0) + 1 } };
}

/** What goes with a lock that is taken over, out of the open ones of its equipment: where a batch no longer has the equipment, none of its steps works with it. */
export function takenOver<T extends { readonly kind: string; readonly batch: string; readonly token: number }>(held: readonly T[], lock: T): readonly T[] {
  return held.filter((one) => one.token === lock.token || (lock.kind === "allocation" && one.batch === lock.batch));
}

function freed(world: World, names: Iterable<string>, which: (lock: ContextLock) => boolean): Fact[] {
  return [...names].flatMap((name) => (world.equipment(name)?.locks ?? []).filter(which).map((lock): Fact => ({ kind: "lock.freed", lock })));
}
