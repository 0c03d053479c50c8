import { describe, expect, test } from "vitest";
import type { BatchState, EquipmentState, StepState } from "../../../src/authorise/execution-context.ts";
import { elapsed, GUARDS, type GuardContext, type GuardSignal } from "../../../src/decide/guards.ts";
import { given, weighing } from "../../support/given.ts";

// Each guard by itself: what lets it pass, what it calls never, and what it calls not yet.

const line = given(weighing());
const batch = line.batch();
const weigh = line.step("weigh");
const blend = line.step("blend");
const equipment: ReadonlyMap<string, EquipmentState> = new Map(
  [...line.model.equipment.values()].map((e) => [e.equipment, { ...e, locks: line.model.openLocks(e.equipment) }]),
);

const says = (more: Partial<GuardSignal> = {}): GuardSignal => ({
  source: "/site/rtm1/line/4/eq/scale-1",
  equipment: "scale-1",
  revision: null,
  evidence: null,
  receivedAt: "2026-11-22T08:00:10.000000Z",
  clock: null,
  ...more,
});
const weight = (value: string | boolean | null, unit: string | null = "kg", name = "net-weight") => says({ evidence: { evidence: name, value, unit } });

interface Asked {
  readonly batch?: Partial<BatchState>;
  readonly step?: StepState | null;
  readonly signal?: GuardSignal | null;
  readonly equipment?: ReadonlyMap<string, EquipmentState>;
  readonly gaps?: readonly string[];
}

function asked(guard: string, { batch: changes = {}, step = weigh, signal = says(), equipment: of = equipment, gaps = [] }: Asked = {}): string {
  const context: GuardContext = { batch: { ...batch, ...changes }, step, signal, equipment: (id) => of.get(id), gaps: () => gaps };
  const outcome = GUARDS.get(guard)?.(context, undefined);
  if (outcome === undefined) throw new Error(`no guard ${guard}`);
  return outcome.ok ? "ok" : `${outcome.notYet ? "not yet" : "never"} ${outcome.code}`;
}

const held = (name: string, by: string, step: string | null, locked: "step" | "batch" = "step"): ReadonlyMap<string, EquipmentState> => {
  const state = equipment.get(name);
  if (state === undefined) throw new Error(`no ${name}`);
  const kind = step === null ? ("allocation" as const) : ("engagement" as const);
  return new Map([
    ...equipment,
    [name, { ...state, locks: [{ equipment: name, kind, batch: by, step, attempt: step === null ? null : 1, role: "r", locked, token: 5, takenAt: 1 }] }],
  ]);
};
const gave = (value: string, within: boolean | null): StepState => ({
  ...weigh,
  evidence: [
    { evidence: "net-weight", position: 5, supersedes: null, eventId: null, source: null, value, unit: "kg", data: {}, within, low: null, high: null },
  ],
});

describe("the guards of a batch", () => {
  test("running: not yet before it runs, never after", () => {
    const of = (execution: string) => asked("batch.running@1", { batch: { execution } });
    expect(["running", "ready", "paused", "complete", "closed"].map(of)).toEqual([
      "ok",
      "not yet CTX_BATCH_NOT_RUNNING",
      "not yet CTX_BATCH_NOT_RUNNING",
      "never CTX_BATCH_NOT_RUNNING",
      "never TIM_LATE_CLOSED",
    ]);
  });
  test("released and started", () => {
    expect(asked("batch.released@1", { batch: { execution: "planned" } })).toBe("not yet STA_INVALID_TRANSITION");
    expect(asked("batch.released@1")).toBe("ok");
    expect(asked("batch.started@1", { batch: { startedAt: null } })).toBe("never STA_INVALID_TRANSITION");
    expect(asked("batch.started@1")).toBe("ok");
  });
  test("allocation: held by another batch is never", () => {
    expect(asked("allocation.free@1")).toBe("ok");
    expect(asked("allocation.free@1", { equipment: held("mixer-1", "B-2", null) })).toBe("never LCK_CONFLICT");
  });
  test("equipment for every role, of its class", () => {
    expect(asked("equipment.complete@1")).toBe("ok");
    expect(asked("equipment.complete@1", { batch: { roles: { scale: "scale-1" } } })).toBe("never EQP_NOT_ASSIGNED");
    expect(asked("equipment.complete@1", { batch: { roles: { scale: "mixer-1", mixer: "mixer-1" } } })).toBe("never EQP_CONFIG_MISMATCH");
  });
  test("steps, open events and exceptions", () => {
    expect(asked("steps.complete@1")).toBe("not yet STP_OPEN");
    expect(
      asked("steps.complete@1", {
        batch: {
          steps: [
            { ...weigh, state: "complete" },
            { ...blend, state: "skipped" },
          ],
        },
      }),
    ).toBe("ok");
    expect(asked("queue.empty@1", { batch: { openDeferrals: 1 } })).toBe("not yet SYS_OPEN_QUEUE");
    expect(asked("queue.empty@1", { batch: { openQuarantine: 1 } })).toBe("not yet SYS_OPEN_QUEUE");
    expect(asked("queue.empty@1")).toBe("ok");
    expect(asked("exceptions.closed@1", { batch: { openExceptions: 1 } })).toBe("never QLT_EXCEPTION_OPEN");
    expect(asked("exceptions.closed@1")).toBe("ok");
  });
  test("a signature is never there", () => {
    expect(asked("signature.present@1")).toBe("never SIG_MISSING");
  });
});

describe("the guards of a step", () => {
  test("begun and active", () => {
    expect(asked("step.begun@1")).toBe("ok");
    expect(asked("step.begun@1", { step: blend })).toBe("not yet STA_INVALID_TRANSITION");
    expect(asked("step.active@1", { step: { ...weigh, state: "paused" } })).toBe("not yet STA_INVALID_TRANSITION");
    expect(asked("step.active@1")).toBe("ok");
  });
  test("predecessors: open is not yet, ended without being complete is never", () => {
    const after = (state: string) => asked("predecessors.complete@1", { step: blend, batch: { steps: [{ ...weigh, state }, blend] } });
    expect(["in_progress", "complete", "skipped", "aborted"].map(after)).toEqual(["not yet STP_OUT_OF_ORDER", "ok", "ok", "never STP_OUT_OF_ORDER"]);
  });
  test("recipe revision", () => {
    expect(asked("recipe.revision@1", { signal: says({ revision: "blend@3" }) })).toBe("ok");
    expect(asked("recipe.revision@1", { signal: says({ revision: "blend@4" }) })).toBe("never REV_MISMATCH");
    expect(asked("recipe.revision@1")).toBe("ok");
  });
  test("assigned equipment, or any of the line where a step names none; a person needs none", () => {
    expect(asked("equipment.assigned@1")).toBe("ok");
    expect(asked("equipment.assigned@1", { signal: says({ equipment: "scale-2" }) })).toBe("never EQP_NOT_ASSIGNED");
    expect(asked("equipment.assigned@1", { signal: says({ equipment: null }) })).toBe("ok");
    const bare: Partial<BatchState> = { recipe: { ...batch.recipe, steps: batch.recipe.steps.map((s) => ({ ...s, equipment: [] })) } };
    expect(asked("equipment.assigned@1", { batch: bare, signal: says({ equipment: "mixer-2" }) })).toBe("ok");
    expect(asked("equipment.assigned@1", { batch: bare, signal: says({ equipment: "press-9" }) })).toBe("never CTX_WRONG_LINE");
    expect(asked("equipment.engaged@1", { batch: bare, signal: says({ equipment: "press-9" }) })).toBe("never CTX_WRONG_LINE");
  });
  test("free equipment: another batch's, or another step's where it is locked for a step", () => {
    expect(asked("equipment.free@1", { step: blend })).toBe("ok");
    expect(asked("equipment.free@1", { step: blend, equipment: held("mixer-1", "B-2", "blend") })).toBe("never LCK_CONFLICT");
    expect(asked("equipment.free@1", { step: blend, equipment: held("mixer-1", "B-1", "weigh", "step") })).toBe("never LCK_CONFLICT");
    expect(asked("equipment.free@1", { step: blend, equipment: held("mixer-1", "B-1", "weigh", "batch") })).toBe("ok");
    expect(asked("equipment.free@1", { equipment: held("scale-1", "B-1", "blend", "batch") })).toBe("never LCK_CONFLICT");
  });
  test("engaged equipment, in this attempt", () => {
    expect(asked("equipment.engaged@1")).toBe("ok");
    expect(asked("equipment.engaged@1", { signal: says({ equipment: "mixer-1" }) })).toBe("never LCK_NOT_HELD");
    expect(asked("equipment.engaged@1", { step: { ...weigh, attempt: 2 } })).toBe("never LCK_NOT_HELD");
    expect(asked("equipment.engaged@1", { signal: says({ equipment: null }) })).toBe("ok");
  });
  test("evidence: expected, of its kind, from its source, in its unit", () => {
    expect(asked("evidence.expected@1", { signal: weight("12.5") })).toBe("ok");
    expect(asked("evidence.expected@1", { signal: weight("12.5", "kg", "colour") })).toBe("never EVD_UNEXPECTED");
    expect(asked("evidence.kind@1", { signal: weight("12.5") })).toBe("ok");
    expect(asked("evidence.kind@1", { signal: weight("heavy") })).toBe("never EVD_UNEXPECTED");
    expect(asked("evidence.kind@1", { signal: weight(true) })).toBe("never EVD_UNEXPECTED");
    expect(asked("evidence.kind@1", { signal: weight(null) })).toBe("never EVD_UNEXPECTED");
    expect(asked("evidence.unit@1", { signal: weight("12.5") })).toBe("ok");
    expect(asked("evidence.unit@1", { signal: weight("12.5", "g") })).toBe("never SCH_UNIT_MISMATCH");
    expect(asked("evidence.unit@1", { signal: weight("12.5", null) })).toBe("never SCH_UNIT_MISMATCH");
  });
  test("evidence of every kind, and its match, and the role that gives it", () => {
    const slot = (more: object) => ({
      recipe: { ...batch.recipe, steps: batch.recipe.steps.map((s) => ({ ...s, evidence: (s.evidence ?? []).map((e) => ({ ...e, ...more })) })) },
    });
    const kind = (more: object, value: string | boolean) => asked("evidence.kind@1", { batch: slot(more), signal: weight(value) });
    expect([kind({ kind: "count" }, "3"), kind({ kind: "count" }, "3.5"), kind({ kind: "count" }, "-1")]).toEqual([
      "ok",
      "never EVD_UNEXPECTED",
      "never EVD_UNEXPECTED",
    ]);
    expect([kind({ kind: "check" }, true), kind({ kind: "check" }, "true")]).toEqual(["ok", "never EVD_UNEXPECTED"]);
    expect([kind({ kind: "scan" }, "X"), kind({ kind: "scan", match: "Y" }, "X"), kind({ kind: "reference" }, "r")]).toEqual([
      "ok",
      "never EVD_UNEXPECTED",
      "ok",
    ]);
    expect([kind({ equipment: "scale" }, "1"), kind({ equipment: "mixer" }, "1")]).toEqual(["ok", "never EVD_WRONG_SOURCE"]);
  });
  test("evidence: how much there is of it", () => {
    expect(asked("evidence.count@1", { signal: weight("12.5") })).toBe("ok");
    expect(asked("evidence.count@1", { signal: weight("12.5"), step: gave("12.5", true) })).toBe("never EVD_ALREADY_SATISFIED");
    expect(asked("evidence.recorded@1", { signal: weight("12.5") })).toBe("never EVD_MISSING");
    expect(asked("evidence.recorded@1", { signal: weight("12.5"), step: gave("12.5", true) })).toBe("ok");
    expect(asked("evidence.complete@1")).toBe("not yet EVD_MISSING");
    expect(asked("evidence.complete@1", { step: gave("12.5", true) })).toBe("ok");
    expect(asked("evidence.dispositioned@1", { step: gave("19", false) })).toBe("never QLT_EXCEPTION_OPEN");
    expect(asked("evidence.dispositioned@1", { step: gave("12.5", true) })).toBe("ok");
  });
  test("a gap in a contributing source is not yet", () => {
    expect(asked("sources.gapless@1", { gaps: ["/site/rtm1/line/4/eq/scale-1"] })).toBe("not yet SEQ_GAP");
    expect(asked("sources.gapless@1")).toBe("ok");
  });
  test("verification by a second person, where the recipe wants it", () => {
    expect(asked("verification.required@1")).toBe("never STA_INVALID_TRANSITION");
  });
  test("the minimum duration, never before it is over", () => {
    const begun: StepState = { ...blend, state: "in_progress", startedAt: "2026-11-22T08:00:08.500000Z" };
    expect(asked("duration.min@1", { step: begun })).toBe("never TIM_TOO_SHORT");
    expect(asked("duration.min@1", { step: { ...begun, startedAt: "2026-11-22T08:00:08.000000Z" } })).toBe("ok");
    expect(asked("duration.min@1", { step: begun, signal: null })).toBe("ok");
  });
  test("without a step are refused", () => {
    expect(asked("step.begun@1", { step: null })).toBe("never CTX_UNKNOWN_STEP");
  });
});

describe("how long a step has taken", () => {
  const clock = (time: string, epoch = "7", sourceKey = "1") => ({ sourceKey, epoch, time });
  const begun: StepState = { ...weigh, startedAt: "2026-11-22T08:00:00.000000Z", startClock: clock("2026-11-22T09:00:00.000Z") };
  test("is told by the device's clock when one source told start and end in one epoch", () => {
    expect(elapsed(begun, says({ clock: clock("2026-11-22T09:00:03.000Z") }))).toBe(3000);
  });
  test("is told by ours otherwise", () => {
    expect(elapsed(begun, says({ clock: clock("2026-11-22T09:00:03.000Z", "8") }))).toBe(10_000);
    expect(elapsed(begun, says({ clock: clock("2026-11-22T09:00:03.000Z", "7", "2") }))).toBe(10_000);
    expect(elapsed(begun, says())).toBe(10_000);
    expect(elapsed({ ...begun, startClock: null }, says({ clock: clock("2026-11-22T09:00:03.000Z") }))).toBe(10_000);
  });
  test("is not told before it began", () => {
    expect(elapsed(blend, says())).toBe(null);
  });
});
