import { type BatchState, ENDED_BATCH, recipeStep } from "../authorise/execution-context.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { Fact } from "./facts.ts";
import type { GuardSignal } from "./guards.ts";
import { guardsFor } from "./guards-for.ts";
import { allocate, freeAllocations, freeEngagements } from "./locks.ts";
import type { Machines } from "./machines.ts";
import type { World } from "./world.ts";

type BatchMoved = Extract<Fact, { kind: "batch.moved" }>;
type StepMoved = Extract<Fact, { kind: "step.moved" }>;

/**
 * What follows from facts by itself, in the same commit: a batch that starts takes its units, steps whose predecessors are complete become ready, ended steps free
 * their equipment, the last step completes the batch, an ended batch ends its steps and frees what it holds.
 */
export function consequences(world: World, machines: Machines, facts: readonly Fact[], at: Ref): Fact[] {
  const next: Fact[] = [];
  for (const fact of facts) {
    if (fact.kind === "batch.moved") next.push(...afterBatch(world, fact, at));
    if (fact.kind === "step.moved") next.push(...afterStep(world, machines, fact));
  }
  return next;
}

function afterBatch(world: World, fact: BatchMoved, at: Ref): Fact[] {
  const batch = world.batch(fact.batch);
  if (batch === undefined) return [];
  const ended = ENDED_BATCH.has(fact.to.execution) && !ENDED_BATCH.has(fact.from.execution);
  return [...(fact.by === "batch.start" ? allocate(world, batch, at) : []), ...(ended ? [...endSteps(batch, fact), ...freeAllocations(world, batch)] : [])];
}

function endSteps(batch: BatchState, fact: BatchMoved): Fact[] {
  if (fact.to.execution === "complete") return [];
  const stopped = fact.to.execution === "stopped" || fact.to.execution === "cancelled";
  const { by, to } = stopped ? { by: "batch.stopped", to: "stopped" } : { by: "batch.aborted", to: "aborted" };
  return batch.steps
    .filter((step) => step.endedAt === null)
    .map(
      (step): Fact => ({ kind: "step.moved", batch: batch.batch, step: step.step, attempt: step.attempt, by, from: step.state, to, at: fact.at, clock: null }),
    );
}

function afterStep(world: World, machines: Machines, fact: StepMoved): Fact[] {
  const batch = world.batch(fact.batch);
  const moved = batch?.steps.find((step) => step.step === fact.step && step.attempt === fact.attempt);
  if (batch === undefined || moved?.endedAt == null) return [];
  const facts = freeEngagements(world, batch, fact.step, fact.attempt);
  // a step that the batch itself ended opens no other and completes nothing
  if (fact.by.startsWith("batch.")) return facts;
  const signal: GuardSignal = { source: null, equipment: null, revision: null, evidence: null, receivedAt: fact.at, clock: null };
  return [...facts, ...becomeReady(world, machines, batch, signal), ...completeBatch(world, machines, batch, signal)];
}

function becomeReady(world: World, machines: Machines, batch: BatchState, signal: GuardSignal): Fact[] {
  const by = "step.predecessors-complete";
  const done = (name: string): boolean => batch.steps.some((step) => step.step === name && (step.state === "complete" || step.state === "skipped"));
  return batch.steps
    .filter((step) => step.state === "pending" && (recipeStep(batch, step.step)?.after ?? []).every(done))
    .flatMap((step): Fact[] => {
      const next = machines.step(batch).next(step.state, by, guardsFor(world, batch, step, signal));
      if (next.kind === "refused") return [];
      const { state: from, attempt } = step;
      return [{ kind: "step.moved", batch: batch.batch, step: step.step, attempt, by, from, to: next.to, at: signal.receivedAt, clock: null }];
    });
}

function completeBatch(world: World, machines: Machines, batch: BatchState, signal: GuardSignal): Fact[] {
  const by = "batch.steps-complete";
  const from = { execution: batch.execution, disposition: batch.disposition };
  const next = machines.batch(batch).next(from, by, guardsFor(world, batch, null, signal));
  return next.kind === "refused" ? [] : [{ kind: "batch.moved", batch: batch.batch, by, from, to: next.to, at: signal.receivedAt }];
}
