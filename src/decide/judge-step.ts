// Judges what a device or a person asks of a step, or tells of it.
import { waitsForBatch, waitsForEquipment, waitsForSource } from "../authorise/context.ts";
import { type BatchState, engagements, equipmentOfStep, type Need, recipeStep, type StepState } from "../authorise/execution-context.ts";
import type { DeviceEvent } from "../decode/event.ts";
import { durationMs } from "../registry/duration.ts";
import type { Ref } from "../sequence/source-state.ts";
import { recordEvidence } from "./evidence.ts";
import type { Fact } from "./facts.ts";
import { elapsed, free, type GuardContext, type GuardSignal } from "./guards.ts";
import { guardsFor } from "./guards-for.ts";
import type { ContextInWords, Doubt, Judgement } from "./judgement.ts";
import { engage, notEngaged } from "./locks.ts";
import type { Machines } from "./machines.ts";
import { notPermitted } from "./permitted.ts";
import type { Next } from "./state-machine.ts";
import type { World } from "./world.ts";

/** Who asks for a move of a step, and with what; for devices and people alike. */
export interface StepAsk {
  readonly at: Ref;
  readonly eventId: string | null;
  readonly source: string | null;
  readonly activity: DeviceEvent | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export function judgeStep(
  world: World,
  machines: Machines,
  batch: BatchState,
  step: StepState,
  name: string,
  signal: GuardSignal,
  context: ContextInWords,
  flags: readonly string[],
  ask: StepAsk,
): Judgement {
  const guardContext = guardsFor(world, batch, step, signal);
  const lacks = hasBegun(step) && WITH_EQUIPMENT.has(name) ? notEngaged(world, batch, step) : [];
  const next = machines.step(batch).next(step.state, name, guardContext, { ...guardContext, signal: null });
  const moved = lacks.length === 0 ? next : inHand(next, guardContext, signal, lacks);
  const stateMachine = batch.stepMachine;
  if (moved.kind === "refused") {
    const waits = [
      waitsForBatch(batch.batch),
      ...equipmentOfStep(batch, step.step).map(({ equipment }) => waitsForEquipment(equipment)),
      ...guardContext.gaps().map(waitsForSource),
    ];
    return notPermitted(moved, { batch: batch.batch, step: step.step, state: step.state, asked: name, stateMachine, context, waits });
  }
  const facts: Fact[] = [];
  const exceptions: Doubt[] = [];
  if (name === "step.start" || lacks.length > 0) facts.push(...engage(world, batch, step, ask.at));
  if (name === "step.evidence" || name === "step.correct") {
    const recorded = recordEvidence(batch, step, signal, ask, name === "step.correct");
    facts.push(recorded.fact);
    exceptions.push(...recorded.exceptions);
  } else if (ask.activity !== null) {
    facts.push({
      kind: "reported",
      type: ask.activity.type,
      batch: batch.batch,
      step: step.step,
      attempt: step.attempt,
      equipment: ask.activity.address.equipment,
      data: { ...ask.activity.data },
    });
  } else {
    facts.push({
      kind: "step.moved",
      batch: batch.batch,
      step: step.step,
      attempt: step.attempt,
      by: name,
      from: step.state,
      to: moved.to,
      at: signal.receivedAt,
      clock: signal.clock,
    });
  }
  if (name === "step.complete") exceptions.push(...tookTooLong(batch, step, signal));
  const explanation = { state: step.state, permitted: [], stateMachine, guards: moved.checks };
  return { kind: "accepted", facts, context, flags, exceptions, explanation };
}

/** What a step does with its equipment, as state machines call it. To correct what was given is done with none. */
const WITH_EQUIPMENT: ReadonlySet<string> = new Set(["step.resume", "step.evidence", "step.activity", "step.complete"]);
const hasBegun = ({ startedAt, endedAt }: StepState): boolean => startedAt !== null && endedAt === null;

/**
 * A step that has begun holds all of its equipment, unless a person has taken some over. Then a person has it go on, and only where that is free; what equipment says of it meanwhile is no evidence of its
 * own. A rule above all state machines.
 */
function inHand(next: Next<string>, context: GuardContext, { equipment: speaks }: GuardSignal, lacks: readonly Need[]): Next<string> {
  const names = [...new Set(lacks.map(({ equipment }) => equipment))];
  const { batch, step } = context;
  if (speaks !== null) {
    const actual = names.map((name) => `${name}: ${engagements(context.equipment(name)).map((lock) => `${lock.batch}/${lock.step}`)[0] ?? "free"}`).join(", ");
    return refused(next, "equipment.in-hand@1", { code: "LCK_NOT_HELD", expected: `${names.join(", ")}: engaged in ${batch.batch}/${step?.step}`, actual });
  }
  const outcome = free(context, lacks);
  return next.kind === "refused" || outcome.ok ? next : refused(next, "equipment.free@1", outcome);
}

/** What a step would take now: of devices, and of people. */
export function permittedOfStep(
  world: World,
  machines: Machines,
  batch: BatchState,
  step: StepState,
): { readonly ofDevices: readonly string[]; readonly ofPeople: readonly string[] } {
  const context = guardsFor(world, batch, step, null);
  const permitted = machines.step(batch).permitted(step.state, context);
  const lacks = hasBegun(step) ? notEngaged(world, batch, step) : [];
  if (lacks.length === 0) return { ofDevices: permitted, ofPeople: permitted };
  const without = permitted.filter((name) => !WITH_EQUIPMENT.has(name));
  return { ofDevices: without, ofPeople: free(context, lacks).ok ? permitted : without };
}

function refused(
  next: Next<string>,
  guard: string,
  { code, ...why }: { readonly code: string; readonly expected?: string; readonly actual?: string },
): Next<string> {
  return {
    kind: "refused",
    code,
    notYet: false,
    checks: [{ guard, ...why, ok: false, code, notYet: false }, ...next.checks.filter(({ ok }) => ok)],
    permitted: [],
  };
}

function tookTooLong(batch: BatchState, step: StepState, signal: GuardSignal): Doubt[] {
  const max = recipeStep(batch, step.step)?.duration?.max;
  const spent = elapsed(step, signal);
  if (max === undefined || spent === null || spent <= durationMs(max)) return [];
  return [{ code: "TIM_TOO_LONG", reason: `Step ${step.step} took ${(spent / 1000).toFixed(3)} s; its maximum is ${max}.` }];
}
