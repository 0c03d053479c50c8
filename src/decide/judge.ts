import { type Resolved, resolveContext } from "../authorise/context.ts";
import type { BatchState, StepState } from "../authorise/execution-context.ts";
import type { DeviceEvent } from "../decode/event.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { fitClock, isAhead } from "./device-time.ts";
import { evidenceIn } from "./evidence.ts";
import type { Fact } from "./facts.ts";
import type { GuardSignal } from "./guards.ts";
import { judgeBatch } from "./judge-batch.ts";
import { judgeStep } from "./judge-step.ts";
import type { ContextInWords, Judgement } from "./judgement.ts";
import type { Machines } from "./machines.ts";
import { type Asked, reasonFor } from "./reasons.ts";
import type { Check } from "./state-machine.ts";
import { inStepMachine } from "./type-names.ts";
import type { World } from "./world.ts";
import type { JudgedIn } from "./world-data.ts";

/**
 * Judges a device event against the world as it is now. Pure: no clock, no I/O, no chance. `before`: the context in which it was judged before, which no later round
 * changes: the equipment may have gone on to another batch since.
 */
export function judgeEvent(
  world: World,
  machines: Machines,
  source: SourceState,
  event: DeviceEvent,
  receivedAt: string,
  at: Ref,
  before: JudgedIn | null = null,
): Judgement {
  const type = EVENT_TYPES[event.type];
  const flags = isAhead(event, receivedAt) ? ["TIM_FUTURE"] : [];
  if (event.type === "source.birth" || event.type === "source.lost") {
    return accepted([reported(event, source, null, null)], { batch: null, step: null, attempt: null, from: "none" }, flags);
  }
  const aboutBatch = event.type.startsWith("batch.");
  const resolved = resolveContext(world, {
    equipment: source.equipment,
    batch: event.batch ?? before?.batch ?? null,
    step: event.step ?? before?.step ?? null,
    attempt: event.attempt ?? before?.attempt ?? null,
    needs: type.context,
    about: aboutBatch ? "batch" : "step",
    starts: event.type === "step.start",
  });
  const claimsNothing = event.batch === null && event.step === null;
  const from = claimsNothing && resolved.from === "claim" ? "lock" : resolved.from;
  if (resolved.kind === "refused") return unresolved({ ...resolved, from }, event, before);
  const context: ContextInWords = {
    batch: resolved.batch?.batch ?? null,
    step: resolved.step?.step ?? null,
    attempt: resolved.step?.attempt ?? null,
    from,
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
  if (step === null) throw new Error(`a context of ${event.type} without a step`);
  const name = inStepMachine(event.type);
  return judgeStep(world, machines, batch, step, name, signal, context, flags, {
    at,
    eventId: event.id,
    source: event.source,
    activity: name === "step.activity" ? event : null,
    data: { ...event.data },
  });
}

function unresolved(resolved: Extract<Resolved, { kind: "refused" }>, event: DeviceEvent, before: JudgedIn | null): Judgement {
  const { from, code, notYet, waits, expected, actual } = resolved;
  const [batch, step, attempt] = [event.batch ?? before?.batch ?? null, event.step ?? before?.step ?? null, event.attempt ?? before?.attempt ?? null];
  return refusedBy(
    { guard: "context.resolved@1", ok: false, code, notYet, expected, actual },
    { batch, step, state: null, asked: event.type },
    { batch, step, attempt, from },
    null,
    waits,
  );
}

function lateForClosed(batch: BatchState, context: ContextInWords, event: DeviceEvent): Judgement {
  return refusedBy(
    { guard: "batch.open@1", ok: false, code: "TIM_LATE_CLOSED", notYet: false, expected: "an open batch", actual: "closed" },
    { batch: batch.batch, step: null, state: batch.execution, asked: event.type },
    context,
    batch.batchMachine,
    [],
  );
}

/** One check stands before any state machine and refuses by itself. */
function refusedBy(
  check: Check & { readonly code: string; readonly notYet: boolean },
  about: Omit<Asked, "checks">,
  context: ContextInWords,
  stateMachine: string | null,
  waits: readonly string[],
): Judgement {
  const { code, notYet } = check;
  const reason = reasonFor(code, { ...about, checks: [check] });
  const explanation = { state: about.state, permitted: [], stateMachine, guards: [check] };
  return { kind: "refused", by: "guard", code, notYet, waits, reason, context, explanation };
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
