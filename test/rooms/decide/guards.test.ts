import { describe, expect, test } from "vitest";
import type { BatchState, EquipmentState, StepState } from "../../../src/authorise/execution-context.ts";
import { allocations, elapsed, GUARDS, type GuardContext, type GuardSignal, rolesOf } from "../../../src/decide/guards.ts";
import { guardsFor } from "../../../src/decide/guards-for.ts";
import type { GuardOutcome } from "../../../src/decide/state-machine.ts";
import { World } from "../../../src/decide/world.ts";
import { emptyRequest } from "../../../src/decide/world-request.ts";
import type { EvidenceSlot, Recipe } from "../../../src/registry/recipe.ts";
import { given, running, speaker, weighing } from "../../support/given.ts";

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

function outcomeOf(
  guard: string,
  { batch: changes = {}, step = weigh, signal = says(), equipment: of = equipment, gaps = [] }: Asked = {},
): Extract<GuardOutcome, { ok: false }> | "ok" {
  const context: GuardContext = { batch: { ...batch, ...changes }, step, signal, equipment: (id) => of.get(id), gaps: () => gaps };
  const outcome = GUARDS.get(guard)?.(context, undefined);
  if (outcome === undefined) throw new Error(`no guard ${guard}`);
  return outcome.ok ? "ok" : outcome;
}

function asked(guard: string, of: Asked = {}): string {
  const outcome = outcomeOf(guard, of);
  return outcome === "ok" ? outcome : `${outcome.notYet ? "not yet" : "never"} ${outcome.code}`;
}

/** What it says it wanted, and what it met. */
function words(guard: string, of: Asked = {}): string {
  const outcome = outcomeOf(guard, of);
  return outcome === "ok" ? outcome : `${outcome.expected} | ${outcome.actual}`;
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

/** The batch with other steps in its recipe; the real one's, changed, unless others are given. */
const recipe = (steps: Recipe["steps"]): Partial<BatchState> => ({ recipe: { ...batch.recipe, steps } });
const each = (change: Partial<Recipe["steps"][number]>): Partial<BatchState> => recipe(batch.recipe.steps.map((step) => ({ ...step, ...change })));
const bare = recipe(batch.recipe.steps.map(({ step }) => ({ step })));
const role = (name: string, locked: "step" | "batch" = "step", of = name) => ({ role: name, class: of, locked });
const slots = (...of: readonly Partial<EvidenceSlot>[]) =>
  each({ evidence: of.map((slot): EvidenceSlot => ({ evidence: "net-weight", kind: "measurement", unit: "kg", count: 1, ...slot })) });
const attic: StepState = { ...weigh, step: "attic" };
const weighed = (...values: readonly Partial<StepState["evidence"][number]>[]): StepState => ({
  ...weigh,
  evidence: values.flatMap((value) => gave("1", true).evidence.map((item) => ({ ...item, ...value }))),
});

describe("a guard that fails says what it wanted and what it met", () => {
  test("of a batch", () => {
    const running = (execution: string) => words("batch.running@1", { batch: { execution } });
    expect(["paused", "aborted", "closed"].map(running)).toEqual(["running | paused", "running | aborted", "running | closed"]);
    expect(words("batch.started@1", { batch: { startedAt: null } })).toBe("a started batch | running");
    expect(words("steps.complete@1")).toBe("all steps complete | weigh: in_progress, blend: pending");
    expect(
      words("steps.complete@1", {
        batch: {
          steps: [
            { ...weigh, state: "superseded" },
            { ...blend, state: "complete" },
          ],
        },
      }),
    ).toBe("ok");
    expect(words("queue.empty@1", { batch: { openDeferrals: 1, openQuarantine: 1 } })).toBe("no open events | 1 deferred, 1 quarantined");
    expect(words("exceptions.closed@1", { batch: { openExceptions: 2 } })).toBe("no open exceptions | 2");
    expect(words("signature.present@1")).toBe("a signature | none");
    expect(words("recipe.revision@1", { signal: says({ revision: "blend@4" }) })).toBe("blend@3 | blend@4");
  });
  test("of a step, its predecessors and its time", () => {
    expect(words("step.begun@1", { step: null })).toBe("a step | none");
    expect(words("step.active@1", { step: { ...weigh, state: "paused" } })).toBe("in_progress | paused");
    const steps = [weigh, { ...weigh, step: "label", state: "aborted" }, blend];
    const follows = (...names: readonly string[]) => ({ step: blend, batch: { steps, ...each({ after: [...names] }) } });
    expect([words("predecessors.complete@1", follows("weigh", "label")), asked("predecessors.complete@1", follows("weigh", "label"))]).toEqual([
      "weigh: complete, label: complete | weigh: in_progress, label: aborted",
      "never STP_OUT_OF_ORDER",
    ]);
    for (const of of [follows("nowhere"), { step: attic }, { batch: bare }]) expect(words("predecessors.complete@1", of)).toBe("ok");
    const begun: StepState = { ...blend, state: "in_progress", startedAt: "2026-11-22T08:00:08.500000Z" };
    expect(words("duration.min@1", { step: begun })).toBe("at least PT2S | 1.500 s");
    expect(words("duration.min@1", { step: { ...begun, step: "attic" } })).toBe("ok");
    expect(words("sources.gapless@1", { gaps: ["a", "b"] })).toBe("no open gap | a, b");
    expect([words("verification.required@1"), words("verification.required@1", { step: attic })]).toEqual(["second-person | none", "second-person | none"]);
    expect(words("verification.required@1", { batch: each({ verification: "second-person" }) })).toBe("ok");
  });
  test("of equipment that is assigned, or stands on the line", () => {
    expect(words("equipment.assigned@1", { batch: each({ equipment: [role("scale"), role("mixer")] }), signal: says({ equipment: "scale-2" }) })).toBe(
      "scale-1, mixer-1 | scale-2",
    );
    for (const guard of ["equipment.assigned@1", "equipment.engaged@1"]) {
      const from = (name: string) => words(guard, { batch: bare, signal: says({ equipment: name }) });
      expect(["scale-2", "press-9", "nobody-1"].map(from)).toEqual(["ok", "4 | 9", "4 | unknown"]);
    }
  });
  test("of equipment that is free or held", () => {
    expect(words("equipment.free@1", { equipment: held("scale-1", "B-2", null) })).toBe("scale-1: free | scale-1: held by B-2/-");
    expect(words("equipment.free@1", { equipment: held("scale-1", "B-2", "fill") })).toBe("scale-1: free | scale-1: held by B-2/fill");
    expect(words("equipment.free@1", { equipment: held("scale-1", "B-1", null) })).toBe("ok");
    expect(words("equipment.free@1", { equipment: new Map() })).toBe("ok");
    expect(words("allocation.free@1", { equipment: held("mixer-1", "B-2", null) })).toBe("mixer-1: free | mixer-1: held by B-2/-");
    expect(words("allocation.free@1", { equipment: held("mixer-1", "B-2", "blend") })).toBe("mixer-1: free | mixer-1: held by B-2/blend");
    for (const of of [{ equipment: new Map() }, { batch: bare }]) expect(words("allocation.free@1", of)).toBe("ok");
  });
  test("of equipment that is engaged elsewhere, or nowhere", () => {
    const engaged = (by: string, step: string) => words("equipment.engaged@1", { equipment: held("scale-1", by, step) });
    expect([engaged("B-1", "weigh"), engaged("B-2", "weigh"), engaged("B-1", "blend")]).toEqual([
      "ok",
      "scale-1: engaged in B-1/weigh | B-2/weigh",
      "scale-1: engaged in B-1/weigh | B-1/blend",
    ]);
    const both = new Map([...held("scale-1", "B-2", "weigh")]);
    const [lock] = both.get("scale-1")?.locks ?? [];
    const scale = both.get("scale-1");
    if (scale === undefined || lock === undefined) throw new Error("no lock");
    expect(words("equipment.engaged@1", { equipment: both.set("scale-1", { ...scale, locks: [lock, { ...lock, step: "fill" }] }) })).toBe(
      "scale-1: engaged in B-1/weigh | B-2/weigh, B-2/fill",
    );
    expect(words("equipment.engaged@1", { signal: says({ equipment: "nobody-1" }) })).toBe("nobody-1: engaged in B-1/weigh | free");
    expect(words("equipment.engaged@1", { equipment: held("scale-1", "B-1", null) })).toBe("scale-1: engaged in B-1/weigh | free");
  });
  test("of equipment for every role", () => {
    expect(words("equipment.complete@1", { batch: { roles: { scale: "scale-1" } } })).toBe("equipment for role mixer | none");
    expect(words("equipment.complete@1", { batch: { roles: { scale: "mixer-1", mixer: "mixer-1" } } })).toBe("mixer-1: class scale | class mixer");
    expect(words("equipment.complete@1", { equipment: new Map() })).toBe("scale-1: class scale | not registered");
    expect(words("equipment.complete@1", { batch: bare })).toBe("ok");
  });
  test("of evidence that is expected, in its unit, and how much there is of it", () => {
    const two = slots({}, { evidence: "photo", count: 2 });
    expect(words("evidence.expected@1", { batch: two, signal: weight("1", "kg", "colour") })).toBe("net-weight, photo | colour");
    expect(words("evidence.expected@1")).toBe("net-weight | ");
    for (const of of [{ step: attic }, { batch: bare }]) expect(words("evidence.expected@1", { ...of, signal: weight("1") })).toBe("none | net-weight");
    expect([words("evidence.unit@1", { signal: weight("1", "g") }), words("evidence.unit@1", { signal: weight("1", null) })]).toEqual(["kg | g", "kg | none"]);
    expect(words("evidence.count@1", { signal: weight("1"), step: weighed({}) })).toBe("net-weight: 1 | 1");
    expect(words("evidence.recorded@1", { signal: weight("1"), step: weighed({ evidence: "photo" }) })).toBe("net-weight: recorded | 0");
    expect(words("evidence.complete@1", { batch: two, step: weighed({ evidence: "photo" }) })).toBe("net-weight: 1, photo: 2 | 0, 1");
    expect(words("evidence.complete@1", { batch: slots({ optional: true }) })).toBe("ok");
    for (const of of [{ step: attic }, { batch: bare }]) expect(words("evidence.complete@1", of)).toBe("ok");
    for (const guard of ["evidence.kind@1", "evidence.unit@1", "evidence.count@1", "evidence.recorded@1"])
      for (const of of [{}, { signal: weight("1"), step: attic }, { signal: weight("1"), batch: bare }]) expect(words(guard, of)).toBe("ok");
    const outside = weighed({ within: false, value: "19", low: "1", high: "2" }, { within: false, value: null }, { within: true });
    expect(words("evidence.dispositioned@1", { step: outside })).toBe("net-weight: 1 to 2, net-weight: - to - | 19, -");
  });
  test("of evidence of a kind", () => {
    const kind = (slot: Partial<EvidenceSlot>, value: string | boolean | null) => words("evidence.kind@1", { batch: slots(slot), signal: weight(value) });
    expect(["heavy", "1heavy", "heavy1", true, null].map((value) => kind({}, value))).toEqual([
      "measurement | value heavy",
      "measurement | value 1heavy",
      "measurement | value heavy1",
      "measurement | check true",
      "measurement | no value",
    ]);
    expect(["heavy", "3.5", "-1", true, "0"].map((value) => kind({ kind: "count" }, value))).toEqual([
      "count | value heavy",
      "count | value 3.5",
      "count | value -1",
      "count | check true",
      "ok",
    ]);
    expect([kind({ kind: "scan", match: "Y" }, "X"), kind({ kind: "scan", match: "Y" }, "Y"), kind({ kind: "scan" }, true)]).toEqual([
      "scan of Y | value X",
      "ok",
      "scan | check true",
    ]);
    expect([kind({ kind: "reference" }, true), kind({ kind: "check" }, null)]).toEqual(["reference | check true", "check | no value"]);
  });
  test("of evidence from a role, which a person may give for it", () => {
    expect([{ equipment: "mixer" }, { equipment: "oven" }].map((slot) => words("evidence.kind@1", { batch: slots(slot), signal: weight("1") }))).toEqual([
      "mixer-1 | scale-1",
      "oven | scale-1",
    ]);
    expect(words("evidence.kind@1", { batch: slots({ equipment: "mixer" }), signal: { ...weight("1"), equipment: null } })).toBe("ok");
  });
});

describe("the gaps that a guard sees", () => {
  const probe = speaker("mixer-1", { device: "probe" });
  const { model } = given(running(), probe.says("call.raised", { sequence: 2, data: { call: "c" } }));
  const request = { ...emptyRequest(), batches: new Set(["B-1"]), sourcesOf: new Set(["B-1"]) };
  const gaps = (step: string | null, signal: GuardSignal | null) => {
    const [world, of] = [new World(model.read(request)), model.batch("B-1")];
    if (of === null) throw new Error("no batch");
    return guardsFor(world, of, of.steps.find((s) => s.step === step) ?? null, signal).gaps();
  };
  test("are those of the sources on the step's equipment, but for the one that speaks, and all of them where nobody does", () => {
    expect([gaps("blend", says()), gaps("blend", says({ source: probe.name })), gaps("blend", null)]).toEqual([[probe.name], [], [probe.name]]);
    expect(gaps("weigh", null)).toEqual([]);
  });
  test("are none of a batch as a whole", () => {
    expect(gaps(null, null)).toEqual([]);
  });
});

describe("what a batch holds as a whole", () => {
  test("is each piece of equipment once, whatever roles it plays, and nothing of a role that nobody plays", () => {
    const steps = each({ equipment: [role("first", "batch"), role("second", "batch"), role("nobody", "batch"), role("scale")] });
    expect(allocations({ ...batch, ...steps, roles: { first: "mixer-1", second: "mixer-1", scale: "scale-1" } })).toEqual([
      { role: "first", equipment: "mixer-1" },
    ]);
    expect(allocations({ ...batch, ...bare })).toEqual([]);
    expect(rolesOf({ ...batch, ...bare })).toEqual([]);
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
