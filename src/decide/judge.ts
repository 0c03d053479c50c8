import type { Resolved } from "../authorise/context.ts";
import { resolveContext, waitsForBatch, waitsForEquipment, waitsForSource } from "../authorise/context.ts";
import type { BatchState, EvidenceItem, StepState } from "../authorise/execution-context.ts";
import { ENDED_BATCH, equipmentOfStep, recipeStep } from "../authorise/execution-context.ts";
import type { DeviceEvent } from "../decode/event.ts";
import type { EventTypeName } from "../decode/event-types.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import { durationMs } from "../registry/duration.ts";
import { limitsFor, withinLimits } from "../registry/limits.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import type { Fact } from "./facts.ts";
import { allocations, elapsed, type GuardContext, type GuardSignal, slotOf } from "./guards.ts";
import type { Machines } from "./machines.ts";
import { reasonFor } from "./reasons.ts";
import type { Check } from "./state-machine.ts";
import type { World } from "./world.ts";

export interface ContextInWords {
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly from: "claim" | "lock" | "none";
}

export interface Explanation {
  readonly state: string | null;
  /** Full type names of what the state would take now. */
  readonly permitted: readonly string[];
  readonly stateMachine: string | null;
  readonly guards: readonly Check[];
}

export type Judgement =
  | {
      readonly kind: "accepted";
      readonly facts: readonly Fact[];
      readonly context: ContextInWords;
      readonly flags: readonly string[];
      /** What is true and yet not as it should be: each opens an exception. */
      readonly exceptions: readonly { readonly code: string; readonly reason: string }[];
      readonly explanation: Explanation | null;
    }
  | {
      readonly kind: "refused";
      readonly by: "state" | "guard";
      readonly code: string;
      readonly notYet: boolean;
      readonly waits: readonly string[];
      readonly reason: string;
      readonly context: ContextInWords;
      readonly explanation: Explanation;
    };

/** Patience where neither type nor step names one, from the first judgement. */
export const DEFAULT_PATIENCE_MS = 30_000;

/** Device clocks further ahead than this are marked, and lose what rests on device time. */
export const FUTURE_TOLERANCE_MS = 30_000;

const STEP_ACTIVITIES: ReadonlySet<EventTypeName> = new Set<EventTypeName>([
  "material.check",
  "material.consumed",
  "material.produced",
  "material.returned",
  "material.scrapped",
  "material.transferred",
  "label.check",
  "label.printed",
  "label.applied",
  "label.verified",
  "label.voided",
  "check.performed",
  "sample.taken",
]);

/** Whether an event moves its step, so that later events of its source that move the same step wait behind it while it is deferred. */
export const movesStep = (type: EventTypeName): boolean => type === "step.start" || type === "step.complete" || type === "step.resume";

export const fullType = (type: string): string => `signalbox.${type}.v1`;

/** Judges a device event against the world as it is now. Pure: no clock, no I/O, no chance. */
export function judgeEvent(world: World, machines: Machines, source: SourceState, event: DeviceEvent, receivedAt: string, at: Ref): Judgement {
  const type = EVENT_TYPES[event.type];
  const flags = isAhead(event, receivedAt) ? ["TIM_FUTURE"] : [];
  if (event.type === "source.birth" || event.type === "source.lost") {
    return accepted([reported(event, source, null, null)], { batch: null, step: null, attempt: null, from: "none" }, flags);
  }
  const aboutBatch = event.type.startsWith("batch.");
  const resolved = resolveContext(world, {
    equipment: source.equipment,
    batch: event.batch,
    step: event.step,
    attempt: event.attempt,
    needs: type.context,
    about: aboutBatch ? "batch" : "step",
    starts: event.type === "step.start",
  });
  if (resolved.kind === "refused") return unresolved(resolved, event);
  const context: ContextInWords = {
    batch: resolved.batch?.batch ?? null,
    step: resolved.step?.step ?? null,
    attempt: resolved.step?.attempt ?? null,
    from: resolved.from,
  };

  const { batch, step } = resolved;
  if (type.context === "optional" || batch === null) {
    if (batch !== null && batch.execution === "closed") return lateForClosed(batch, context, event);
    return accepted([event.type === "equipment.state" ? stated(world, event, source) : reported(event, source, batch, step)], context, flags);
  }
  const signal: GuardSignal = {
    source: source.source,
    equipment: source.equipment,
    revision: event.recipeRevision,
    evidence: evidenceIn(event),
    receivedAt,
    clock: fitClock(event, source, receivedAt),
  };
  if (aboutBatch) return judgeBatch(world, machines, batch, event.type, signal, context, flags);
  if (step === null)
    return unresolved(
      {
        kind: "refused",
        from: resolved.from,
        code: "CTX_MISSING",
        notYet: true,
        waits: [waitsForEquipment(source.equipment)],
        expected: "stepid",
        actual: "none",
      },
      event,
    );
  const name = STEP_ACTIVITIES.has(event.type) ? "step.activity" : event.type;
  return judgeStep(world, machines, batch, step, name, signal, context, flags, {
    at,
    eventId: event.id,
    source: event.source,
    activity: name === "step.activity" ? event : null,
    data: { ...event.data },
  });
}

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
  const machine = machines.step(batch);
  const guardContext = guardsFor(world, batch, step, signal);
  const moved = machine.next(step.state, name, guardContext, { ...guardContext, signal: null });
  const stateMachine = batch.stepMachine;
  if (moved.kind === "refused") {
    const waits = [
      waitsForBatch(batch.batch),
      ...equipmentOfStep(batch, step.step).map(({ equipment }) => waitsForEquipment(equipment)),
      ...guardContext.gaps().map(waitsForSource),
    ];
    const reason = reasonFor(moved.code, { batch: batch.batch, step: step.step, state: step.state, asked: name, checks: moved.checks });
    return {
      kind: "refused",
      by: moved.checks.length === 0 ? "state" : "guard",
      code: moved.code,
      notYet: moved.notYet,
      waits,
      reason,
      context,
      explanation: {
        state: step.state,
        permitted: inFull(moved.permitted),
        stateMachine,
        guards: orState(moved.checks, moved.code, moved.permitted, step.state),
      },
    };
  }
  const facts: Fact[] = [];
  const exceptions: { code: string; reason: string }[] = [];
  if (name === "step.start") facts.push(...engage(world, batch, step, ask.at));
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
  if (name === "step.complete") {
    const max = recipeStep(batch, step.step)?.duration?.max;
    const spent = elapsed(step, signal);
    if (max !== undefined && spent !== null && spent > durationMs(max)) {
      exceptions.push({ code: "TIM_TOO_LONG", reason: `Step ${step.step} took ${(spent / 1000).toFixed(3)} s; its maximum is ${max}.` });
    }
  }
  const explanation = { state: step.state, permitted: [], stateMachine, guards: moved.checks };
  return { kind: "accepted", facts, context, flags, exceptions, explanation };
}

export function judgeBatch(
  world: World,
  machines: Machines,
  batch: BatchState,
  name: string,
  signal: GuardSignal,
  context: ContextInWords,
  flags: readonly string[],
): Judgement {
  const machine = machines.batch(batch);
  const from = { execution: batch.execution, disposition: batch.disposition };
  const moved = machine.next(from, name, guardsFor(world, batch, null, signal), guardsFor(world, batch, null, null));
  if (moved.kind === "refused") {
    return {
      kind: "refused",
      by: moved.checks.length === 0 ? "state" : "guard",
      code: moved.code,
      notYet: moved.notYet,
      waits: [waitsForBatch(batch.batch)],
      reason: reasonFor(moved.code, { batch: batch.batch, step: null, state: batch.execution, asked: name, checks: moved.checks }),
      context,
      explanation: {
        state: batch.execution,
        permitted: inFull(moved.permitted),
        stateMachine: batch.batchMachine,
        guards: orState(moved.checks, moved.code, moved.permitted, batch.execution),
      },
    };
  }
  const fact: Fact = { kind: "batch.moved", batch: batch.batch, by: name, from, to: moved.to, at: signal.receivedAt };
  return {
    kind: "accepted",
    facts: [fact],
    context,
    flags,
    exceptions: [],
    explanation: { state: batch.execution, permitted: [], stateMachine: batch.batchMachine, guards: moved.checks },
  };
}

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

function afterBatch(world: World, fact: Extract<Fact, { kind: "batch.moved" }>, at: Ref): Fact[] {
  const batch = world.batch(fact.batch);
  if (batch === undefined) return [];
  const facts: Fact[] = [];
  if (fact.by === "batch.start") {
    for (const { role, equipment } of allocations(batch)) {
      const token = (world.equipment(equipment)?.token ?? 0) + 1;
      facts.push({
        kind: "lock.taken",
        lock: { equipment, kind: "allocation", batch: batch.batch, step: null, attempt: null, role, locked: "batch", token, takenAt: at },
      });
    }
  }
  if (ENDED_BATCH.has(fact.to.execution) && !ENDED_BATCH.has(fact.from.execution)) {
    const by = fact.to.execution === "stopped" || fact.to.execution === "cancelled" ? "batch.stopped" : "batch.aborted";
    if (fact.to.execution !== "complete") {
      const to = by === "batch.stopped" ? "stopped" : "aborted";
      for (const step of batch.steps) {
        if (step.endedAt === null)
          facts.push({ kind: "step.moved", batch: batch.batch, step: step.step, attempt: step.attempt, by, from: step.state, to, at: fact.at, clock: null });
      }
    }
    for (const { equipment } of allocations(batch)) {
      for (const lock of world.equipment(equipment)?.locks ?? [])
        if (lock.batch === batch.batch && lock.kind === "allocation") facts.push({ kind: "lock.freed", lock });
    }
  }
  return facts;
}

function afterStep(world: World, machines: Machines, fact: Extract<Fact, { kind: "step.moved" }>): Fact[] {
  const batch = world.batch(fact.batch);
  if (batch === undefined) return [];
  const facts: Fact[] = [];
  const moved = batch.steps.find((s) => s.step === fact.step && s.attempt === fact.attempt);
  if (moved?.endedAt != null) {
    for (const equipment of new Set(equipmentOfStep(batch, fact.step).map((need) => need.equipment))) {
      for (const lock of world.equipment(equipment)?.locks ?? []) {
        if (lock.kind === "engagement" && lock.batch === batch.batch && lock.step === fact.step && lock.attempt === fact.attempt)
          facts.push({ kind: "lock.freed", lock });
      }
    }
  }
  if (fact.by.startsWith("batch.") || moved?.endedAt == null) return facts;
  const signal: GuardSignal = { source: null, equipment: null, revision: null, evidence: null, receivedAt: fact.at, clock: null };
  for (const step of batch.steps) {
    if (step.state !== "pending") continue;
    const met = (recipeStep(batch, step.step)?.after ?? []).every((before) =>
      batch.steps.some((s) => s.step === before && (s.state === "complete" || s.state === "skipped")),
    );
    if (!met) continue;
    const to = machines.step(batch).next(step.state, "step.predecessors-complete", guardsFor(world, batch, step, signal));
    if (to.kind === "moved") {
      facts.push({
        kind: "step.moved",
        batch: batch.batch,
        step: step.step,
        attempt: step.attempt,
        by: "step.predecessors-complete",
        from: step.state,
        to: to.to,
        at: fact.at,
        clock: null,
      });
    }
  }
  const from = { execution: batch.execution, disposition: batch.disposition };
  const done = machines.batch(batch).next(from, "batch.steps-complete", guardsFor(world, batch, null, signal));
  if (done.kind === "moved") facts.push({ kind: "batch.moved", batch: batch.batch, by: "batch.steps-complete", from, to: done.to, at: fact.at });
  return facts;
}

export function guardsFor(world: World, batch: BatchState, step: StepState | null, signal: GuardSignal | null): GuardContext {
  return {
    batch,
    step,
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

function engage(world: World, batch: BatchState, step: StepState, at: Ref): Fact[] {
  const needed = equipmentOfStep(batch, step.step);
  // equipment that plays two roles in a step is engaged in it once, as strictly as the stricter of the two
  const once = needed.filter(({ equipment }, n) => needed.findIndex((other) => other.equipment === equipment) === n);
  return once.map(({ role, equipment }) => {
    const token = (world.equipment(equipment)?.token ?? 0) + 1;
    const locked = needed.some((need) => need.equipment === equipment && need.locked === "step") ? "step" : "batch";
    return {
      kind: "lock.taken",
      lock: { equipment, kind: "engagement", batch: batch.batch, step: step.step, attempt: step.attempt, role, locked, token, takenAt: at },
    };
  });
}

function recordEvidence(
  batch: BatchState,
  step: StepState,
  signal: GuardSignal,
  ask: StepAsk,
  corrects: boolean,
): { fact: Fact; exceptions: { code: string; reason: string }[] } {
  const slot = slotOf({ batch }, step, signal);
  const given = signal.evidence;
  if (slot === undefined || given === null) throw new Error("evidence without its slot passed the guards");
  const value = given.value === null ? null : String(given.value);
  const limits = slot.limits === undefined ? null : limitsFor(slot, batch.parameters);
  const measured = limits === null || value === null ? null : withinLimits(value, limits);
  const doubtful = ask.data["quality"] === "bad" || ask.data["quality"] === "uncertain";
  const replaced = corrects ? step.evidence.findLast((item) => item.evidence === slot.evidence) : undefined;
  const item: EvidenceItem = {
    evidence: slot.evidence,
    position: ask.at,
    supersedes: replaced?.position ?? null,
    eventId: ask.eventId,
    source: ask.source,
    value,
    unit: given.unit,
    data: ask.data,
    within: doubtful ? false : (measured?.within ?? null),
    low: limits?.low ?? null,
    high: limits?.high ?? null,
  };
  const exceptions: { code: string; reason: string }[] = [];
  if (measured !== null && !measured.within) {
    exceptions.push({
      code: "PAR_OOS",
      reason: `${slot.evidence} is ${value} ${given.unit ?? ""}; the limits are ${limits?.low ?? "none"} to ${limits?.high ?? "none"}.`.replace(/ ;/, ";"),
    });
  }
  if (doubtful) exceptions.push({ code: "EVD_BAD_QUALITY", reason: `The sender calls its ${slot.evidence} ${String(ask.data["quality"])}.` });
  return { fact: { kind: "evidence.recorded", batch: batch.batch, step: step.step, attempt: step.attempt, item }, exceptions };
}

function unresolved(resolved: Extract<Resolved, { kind: "refused" }>, event: DeviceEvent): Judgement {
  const check: Check = {
    guard: "context.resolved@1",
    ok: false,
    code: resolved.code,
    notYet: resolved.notYet,
    expected: resolved.expected,
    actual: resolved.actual,
  };
  return {
    kind: "refused",
    by: "guard",
    code: resolved.code,
    notYet: resolved.notYet,
    waits: resolved.waits,
    reason: reasonFor(resolved.code, { batch: event.batch, step: event.step, state: null, asked: event.type, checks: [check] }),
    context: { batch: event.batch, step: event.step, attempt: event.attempt, from: resolved.from },
    explanation: { state: null, permitted: [], stateMachine: null, guards: [check] },
  };
}

function lateForClosed(batch: BatchState, context: ContextInWords, event: DeviceEvent): Judgement {
  const check: Check = { guard: "batch.open@1", ok: false, code: "TIM_LATE_CLOSED", notYet: false, expected: "an open batch", actual: "closed" };
  return {
    kind: "refused",
    by: "guard",
    code: "TIM_LATE_CLOSED",
    notYet: false,
    waits: [],
    reason: reasonFor("TIM_LATE_CLOSED", { batch: batch.batch, step: null, state: batch.execution, asked: event.type, checks: [check] }),
    context,
    explanation: { state: batch.execution, permitted: [], stateMachine: batch.batchMachine, guards: [check] },
  };
}

function accepted(facts: readonly Fact[], context: ContextInWords, flags: readonly string[]): Judgement {
  return { kind: "accepted", facts, context, flags, exceptions: [], explanation: null };
}

function reported(event: DeviceEvent, source: SourceState, batch: BatchState | null, step: StepState | null): Fact {
  return {
    kind: "reported",
    type: event.type,
    batch: batch?.batch ?? null,
    step: step?.step ?? null,
    attempt: step?.attempt ?? null,
    equipment: source.equipment,
    data: { ...event.data, ...(source.device === null ? {} : { device: source.device }) },
  };
}

function stated(world: World, event: DeviceEvent, source: SourceState): Fact {
  const data: Readonly<Record<string, unknown>> = { ...event.data };
  return {
    kind: "equipment.stated",
    equipment: source.equipment,
    from: world.equipment(source.equipment)?.state ?? null,
    to: String(data["state"]),
    epoch: event.epoch,
    sequence: event.sequence,
    data,
  };
}

function evidenceIn(event: DeviceEvent): GuardSignal["evidence"] {
  if (event.type !== "step.evidence") return null;
  const data: Readonly<Record<string, unknown>> = { ...event.data };
  const value = data["value"];
  const unit = data["unit"];
  return {
    evidence: String(data["evidence"]),
    value: typeof value === "string" || typeof value === "boolean" ? value : event.evidenceRef,
    unit: typeof unit === "string" ? unit : null,
  };
}

/** Whether an event's time lies further in the future than clocks may differ. */
function isAhead(event: DeviceEvent, receivedAt: string): boolean {
  return event.time !== null && Date.parse(event.time) - Date.parse(receivedAt) > FUTURE_TOLERANCE_MS;
}

/** The device's clock, unless it is ahead, unnamed or none at all: then nothing rests on it. */
function fitClock(event: DeviceEvent, source: SourceState, receivedAt: string): GuardSignal["clock"] {
  if (event.time === null || event.epoch === null || event.timesource === "none" || isAhead(event, receivedAt)) return null;
  return { sourceKey: source.key, epoch: event.epoch.toString(), time: event.time };
}

/** A pair that the state does not list has no guard to blame: the state itself is what failed. */
function orState(checks: readonly Check[], code: string, permitted: readonly string[], state: string): readonly Check[] {
  if (checks.length > 0) return checks;
  return [{ guard: "state.permits@1", ok: false, code, notYet: false, expected: permitted.join(", ") || "nothing", actual: state }];
}

/** Names of the state machine as full type names; commands and internal moves keep to themselves. */
export function inFull(names: readonly string[]): string[] {
  return names.flatMap((name) => (name === "step.activity" ? [...STEP_ACTIVITIES].map(fullType) : name in EVENT_TYPES ? [fullType(name)] : []));
}
