import { Decimal } from "decimal.js";
import type { BatchState, EquipmentState, Need, StepState } from "../authorise/execution-context.ts";
import { ENDED_BATCH, ENDED_STEP, engagements, equipmentOfStep, playerOf, recipeName, recipeStep, stepOf } from "../authorise/execution-context.ts";
import { durationMs } from "../registry/duration.ts";
import type { EvidenceSlot } from "../registry/recipe.ts";
import type { Guard, GuardOutcome } from "./state-machine.ts";

/** What guards see: the locked context as it is now, and what is asked or told. Pure: the same context gives the same answer, years later. */
export interface GuardContext {
  readonly batch: BatchState;
  readonly step: StepState | null;
  equipment(id: string): EquipmentState | undefined;
  /** Sources that contribute to the step and have an open gap. */
  gaps(): readonly string[];
  /** Absent when the question is what would be permitted. */
  readonly signal: GuardSignal | null;
}

export interface GuardSignal {
  /** The source that speaks; null for a person. Its own numbers before this event are all there, since it is judged in its turn. */
  readonly source: string | null;
  /** The equipment that speaks; null for a person. */
  readonly equipment: string | null;
  readonly revision: string | null;
  readonly evidence: { readonly evidence: string; readonly value: string | boolean | null; readonly unit: string | null } | null;
  readonly receivedAt: string;
  /** Whether it is asked under a signature; what a message says never is. */
  readonly signed?: boolean;
  /** The device's clock, where something may rest on it. */
  readonly clock: { readonly sourceKey: string; readonly epoch: string; readonly time: string } | null;
}

const ok: GuardOutcome = { ok: true };
const never = (code: string, expected: string, actual: string): GuardOutcome => ({ ok: false, code, notYet: false, expected, actual });
const notYet = (code: string, expected: string, actual: string): GuardOutcome => ({ ok: false, code, notYet: true, expected, actual });

const withStep =
  (guard: (context: GuardContext, step: StepState, signal: GuardSignal | null) => GuardOutcome): Guard<GuardContext> =>
  (context) =>
    context.step === null ? never("CTX_UNKNOWN_STEP", "a step", "none") : guard(context, context.step, context.signal);

/** Whether equipment is free for a step: no other batch holds it, and no step of this one with which it is not shared. */
export function free(context: GuardContext, needs: readonly Need[]): GuardOutcome {
  for (const { equipment, locked } of needs) {
    const held = (context.equipment(equipment)?.locks ?? []).find(
      (lock) => lock.batch !== context.batch.batch || (lock.kind === "engagement" && (locked === "step" || lock.locked === "step")),
    );
    if (held !== undefined) return never("LCK_CONFLICT", `${equipment}: free`, `${equipment}: held by ${held.batch}/${held.step ?? "-"}`);
  }
  return ok;
}

/** The guards by name and version. A published name never changes its meaning: a changed rule is a new version beside the old. */
export const GUARDS: ReadonlyMap<string, Guard<GuardContext>> = new Map<string, Guard<GuardContext>>([
  [
    "batch.running@1",
    ({ batch }) => {
      if (batch.execution === "running") return ok;
      if (batch.execution === "closed") return never("TIM_LATE_CLOSED", "running", "closed");
      return ENDED_BATCH.has(batch.execution)
        ? never("CTX_BATCH_NOT_RUNNING", "running", batch.execution)
        : notYet("CTX_BATCH_NOT_RUNNING", "running", batch.execution);
    },
  ],
  ["batch.released@1", ({ batch }) => (batch.execution === "planned" ? notYet("STA_INVALID_TRANSITION", "ready", "planned") : ok)],
  ["batch.started@1", ({ batch }) => (batch.startedAt === null ? never("STA_INVALID_TRANSITION", "a started batch", batch.execution) : ok)],
  ["step.begun@1", withStep((_, step) => (step.startedAt === null ? notYet("STA_INVALID_TRANSITION", "in_progress", step.state) : ok))],
  ["step.active@1", withStep((_, step) => (step.state === "in_progress" ? ok : notYet("STA_INVALID_TRANSITION", "in_progress", step.state)))],
  [
    "predecessors.complete@1",
    withStep(({ batch }, step) => {
      const open = (recipeStep(batch, step.step)?.after ?? []).flatMap((name) => {
        const before = stepOf(batch, name);
        return before === undefined || before.state === "complete" || before.state === "skipped" ? [] : [before];
      });
      if (open.length === 0) return ok;
      const actual = open.map((before) => `${before.step}: ${before.state}`).join(", ");
      const expected = open.map((before) => `${before.step}: complete`).join(", ");
      return open.some((before) => ENDED_STEP.has(before.state)) ? never("STP_OUT_OF_ORDER", expected, actual) : notYet("STP_OUT_OF_ORDER", expected, actual);
    }),
  ],
  [
    "recipe.revision@1",
    ({ batch, signal }) => (signal?.revision == null || signal.revision === recipeName(batch) ? ok : never("REV_MISMATCH", recipeName(batch), signal.revision)),
  ],
  [
    "equipment.assigned@1",
    withStep((context, step, signal) => {
      if (signal === null || signal.equipment === null) return ok;
      const assigned = equipmentOfStep(context.batch, step.step);
      if (assigned.length === 0) {
        const line = context.equipment(signal.equipment)?.line ?? "unknown";
        return line === context.batch.line ? ok : never("CTX_WRONG_LINE", context.batch.line, line);
      }
      return assigned.some(({ equipment }) => equipment === signal.equipment)
        ? ok
        : never("EQP_NOT_ASSIGNED", assigned.map(({ equipment }) => equipment).join(", "), signal.equipment);
    }),
  ],
  ["equipment.free@1", withStep((context, step) => free(context, equipmentOfStep(context.batch, step.step)))],
  [
    "equipment.engaged@1",
    withStep((context, step, signal) => {
      if (signal === null || signal.equipment === null) return ok;
      if (equipmentOfStep(context.batch, step.step).length === 0) {
        const line = context.equipment(signal.equipment)?.line ?? "unknown";
        return line === context.batch.line ? ok : never("CTX_WRONG_LINE", context.batch.line, line);
      }
      const held = engagements(context.equipment(signal.equipment));
      return held.some((lock) => lock.batch === context.batch.batch && lock.step === step.step && lock.attempt === step.attempt)
        ? ok
        : never(
            "LCK_NOT_HELD",
            `${signal.equipment}: engaged in ${context.batch.batch}/${step.step}`,
            held.map((lock) => `${lock.batch}/${lock.step}`).join(", ") || "free",
          );
    }),
  ],
  [
    "evidence.expected@1",
    withStep((context, step, signal) => {
      if (signal === null) return ok;
      const slots = recipeStep(context.batch, step.step)?.evidence ?? [];
      const name = signal.evidence?.evidence ?? "";
      return slots.some((slot) => slot.evidence === name) ? ok : never("EVD_UNEXPECTED", slots.map((slot) => slot.evidence).join(", ") || "none", name);
    }),
  ],
  [
    "evidence.kind@1",
    withStep((context, step, signal) => {
      const slot = slotOf(context, step, signal);
      if (slot === undefined || signal?.evidence == null) return ok;
      const { value } = signal.evidence;
      if (slot.equipment !== undefined && signal.equipment !== null && playerOf(context.batch, slot.equipment) !== signal.equipment) {
        return never("EVD_WRONG_SOURCE", playerOf(context.batch, slot.equipment) ?? slot.equipment, signal.equipment);
      }
      return fitsKind(slot, value)
        ? ok
        : never("EVD_UNEXPECTED", inWords(slot), value === null ? "no value" : `${typeof value === "boolean" ? "check" : "value"} ${String(value)}`);
    }),
  ],
  [
    "evidence.unit@1",
    withStep((context, step, signal) => {
      const slot = slotOf(context, step, signal);
      if (slot?.unit === undefined || signal?.evidence == null || signal.evidence.unit === slot.unit) return ok;
      return never("SCH_UNIT_MISMATCH", slot.unit, signal.evidence.unit ?? "none");
    }),
  ],
  [
    "evidence.count@1",
    withStep((context, step, signal) => {
      const slot = slotOf(context, step, signal);
      if (slot === undefined) return ok;
      const have = step.evidence.filter((item) => item.evidence === slot.evidence).length;
      return have < slot.count ? ok : never("EVD_ALREADY_SATISFIED", `${slot.evidence}: ${slot.count}`, String(have));
    }),
  ],
  [
    "evidence.recorded@1",
    withStep((context, step, signal) => {
      const slot = slotOf(context, step, signal);
      if (slot === undefined) return ok;
      return step.evidence.some((item) => item.evidence === slot.evidence) ? ok : never("EVD_MISSING", `${slot.evidence}: recorded`, "0");
    }),
  ],
  [
    "evidence.complete@1",
    withStep((context, step) => {
      const lacking = (recipeStep(context.batch, step.step)?.evidence ?? []).flatMap((slot) => {
        const have = step.evidence.filter((item) => item.evidence === slot.evidence).length;
        return slot.optional === true || have >= slot.count ? [] : [{ slot, have }];
      });
      if (lacking.length === 0) return ok;
      return notYet("EVD_MISSING", lacking.map(({ slot }) => `${slot.evidence}: ${slot.count}`).join(", "), lacking.map(({ have }) => String(have)).join(", "));
    }),
  ],
  [
    "evidence.dispositioned@1",
    withStep((_, step) => {
      const outside = step.evidence.filter((item) => item.within === false);
      return outside.length === 0
        ? ok
        : never(
            "QLT_EXCEPTION_OPEN",
            outside.map((item) => `${item.evidence}: ${item.low ?? "-"} to ${item.high ?? "-"}`).join(", "),
            outside.map((item) => item.value ?? "-").join(", "),
          );
    }),
  ],
  [
    "duration.min@1",
    withStep((context, step, signal) => {
      const min = recipeStep(context.batch, step.step)?.duration?.min;
      const spent = elapsed(step, signal);
      if (min === undefined || spent === null) return ok;
      return spent >= durationMs(min) ? ok : never("TIM_TOO_SHORT", `at least ${min}`, `${(spent / 1000).toFixed(3)} s`);
    }),
  ],
  ["sources.gapless@1", (context) => (context.gaps().length === 0 ? ok : notYet("SEQ_GAP", "no open gap", context.gaps().join(", ")))],
  [
    "verification.required@1",
    withStep((context, step) =>
      recipeStep(context.batch, step.step)?.verification === "second-person" ? ok : never("STA_INVALID_TRANSITION", "second-person", "none"),
    ),
  ],
  ["signature.present@1", ({ signal }) => (signal?.signed === true ? ok : never("SIG_MISSING", "a signature", "none"))],
  [
    "allocation.free@1",
    (context) => {
      for (const { equipment } of allocations(context.batch)) {
        const held = (context.equipment(equipment)?.locks ?? []).find((lock) => lock.batch !== context.batch.batch);
        if (held !== undefined) return never("LCK_CONFLICT", `${equipment}: free`, `${equipment}: held by ${held.batch}/${held.step ?? "-"}`);
      }
      return ok;
    },
  ],
  [
    "equipment.complete@1",
    (context) => {
      for (const { role, class: wanted } of rolesOf(context.batch)) {
        const equipment = playerOf(context.batch, role);
        if (equipment === undefined) return never("EQP_NOT_ASSIGNED", `equipment for role ${role}`, "none");
        const have = context.equipment(equipment)?.class;
        if (have !== wanted) return never("EQP_CONFIG_MISMATCH", `${equipment}: class ${wanted}`, have === undefined ? "not registered" : `class ${have}`);
      }
      return ok;
    },
  ],
  [
    "steps.complete@1",
    ({ batch }) => {
      const open = batch.steps.filter((step) => step.state !== "complete" && step.state !== "skipped" && step.state !== "superseded");
      return open.length === 0 ? ok : notYet("STP_OPEN", "all steps complete", open.map((step) => `${step.step}: ${step.state}`).join(", "));
    },
  ],
  [
    "queue.empty@1",
    ({ batch }) =>
      batch.openDeferrals + batch.openQuarantine === 0
        ? ok
        : notYet("SYS_OPEN_QUEUE", "no open events", `${batch.openDeferrals} deferred, ${batch.openQuarantine} quarantined`),
  ],
  ["exceptions.closed@1", ({ batch }) => (batch.openExceptions === 0 ? ok : never("QLT_EXCEPTION_OPEN", "no open exceptions", String(batch.openExceptions)))],
]);

/**
 * How long a step has taken, in milliseconds, on one clock only: the device's where one source told start and end in one epoch with a fit clock, otherwise ours.
 * null: not begun, or nothing is asked.
 */
export function elapsed(step: StepState, signal: GuardSignal | null): number | null {
  if (signal === null || step.startedAt === null) return null;
  const start = step.startClock;
  if (start !== null && signal.clock !== null && start.sourceKey === signal.clock.sourceKey && start.epoch === signal.clock.epoch) {
    return Date.parse(signal.clock.time) - Date.parse(start.time);
  }
  return Date.parse(signal.receivedAt) - Date.parse(step.startedAt);
}

/** The roles of a recipe, each once, with the class it asks for. */
export function rolesOf(batch: BatchState): readonly { readonly role: string; readonly class: string }[] {
  const roles = new Map<string, string>();
  for (const step of batch.recipe.steps) for (const need of step.equipment ?? []) roles.set(need.role, need.class);
  return [...roles].map(([role, className]) => ({ role, class: className }));
}

/** The equipment that the batch holds as a whole, each once, whatever roles it plays. */
export function allocations(batch: BatchState): readonly { readonly role: string; readonly equipment: string }[] {
  const roles = new Set<string>();
  for (const step of batch.recipe.steps) for (const need of step.equipment ?? []) if (need.locked === "batch") roles.add(need.role);
  const held = new Map<string, string>();
  for (const role of roles) {
    const equipment = playerOf(batch, role);
    if (equipment !== undefined && !held.has(equipment)) held.set(equipment, role);
  }
  return [...held].map(([equipment, role]) => ({ role, equipment }));
}

export function slotOf(context: Pick<GuardContext, "batch">, step: StepState, signal: Pick<GuardSignal, "evidence"> | null): EvidenceSlot | undefined {
  const name = signal?.evidence?.evidence;
  return name === undefined ? undefined : recipeStep(context.batch, step.step)?.evidence?.find((slot) => slot.evidence === name);
}

function fitsKind(slot: EvidenceSlot, value: string | boolean | null): boolean {
  switch (slot.kind) {
    case "measurement":
      return typeof value === "string" && isDecimal(value);
    case "count":
      return typeof value === "string" && isDecimal(value) && new Decimal(value).isInteger() && !new Decimal(value).isNegative();
    case "check":
      return typeof value === "boolean";
    case "scan":
      return typeof value === "string" && (slot.match === undefined || slot.match === value);
    case "reference":
      return typeof value === "string";
  }
}

const isDecimal = (text: string): boolean => /^-?\d+(\.\d+)?$/.test(text);

const inWords = (slot: EvidenceSlot): string => (slot.match === undefined ? slot.kind : `${slot.kind} of ${slot.match}`);
