// What was found, held against the slot of the recipe that asks for it.
import type { BatchState, EvidenceItem, StepState } from "../authorise/execution-context.ts";
import type { DeviceEvent } from "../decode/event.ts";
import { limitsFor, withinLimits } from "../registry/limits.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { Fact } from "./facts.ts";
import { type GuardSignal, slotOf } from "./guards.ts";
import type { Doubt } from "./judgement.ts";

/** Who says so, and with what beside the value. */
interface EvidenceAsk {
  readonly at: Ref;
  readonly eventId: string | null;
  readonly source: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export function evidenceIn(event: DeviceEvent): GuardSignal["evidence"] {
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

/** The guards have found the slot. What lies outside its limits, or is doubted by its own sender, is recorded as it is and opens an exception. */
export function recordEvidence(
  batch: BatchState,
  step: StepState,
  signal: GuardSignal,
  ask: EvidenceAsk,
  corrects: boolean,
): { readonly fact: Fact; readonly exceptions: readonly Doubt[] } {
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
  const exceptions: Doubt[] = [];
  if (measured !== null && !measured.within) {
    exceptions.push({
      code: "PAR_OOS",
      reason: `${slot.evidence} is ${value} ${given.unit ?? ""}; the limits are ${limits?.low ?? "none"} to ${limits?.high ?? "none"}.`.replace(/ ;/, ";"),
    });
  }
  if (doubtful) exceptions.push({ code: "EVD_BAD_QUALITY", reason: `The sender calls its ${slot.evidence} ${String(ask.data["quality"])}.` });
  return { fact: { kind: "evidence.recorded", batch: batch.batch, step: step.step, attempt: step.attempt, item }, exceptions };
}
