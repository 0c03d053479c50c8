import { describe, expect, test } from "vitest";
import type { Machines } from "../../../src/decide/machines.ts";
import { outcomeOf } from "../../../src/decide/outcomes.ts";
import { traceContext } from "../../../src/decide/trace-context.ts";
import { World } from "../../../src/decide/world.ts";
import { emptyRequest } from "../../../src/decide/world-request.ts";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
  again,
  all,
  commands,
  creates,
  given,
  type Line,
  mixer,
  on,
  orders,
  PLANT,
  ready,
  running,
  scale,
  speaker,
  stepCommand,
  told,
  weighed,
  weighing,
} from "../../support/given.ts";

// What follows from what was accepted: the facts of one commit in their order, what they free and open, and what the world is told of them.

const [WEIGH, STIR] = BLEND.steps;
const plant = (...steps: readonly object[]) => ({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] });
const completed = (): Act => all(running(), scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"), mixer.starts("blend"));
/** The facts that an act brings about, in their order. */
const facts = (line: Line, act: Act) =>
  line.settlements(act).flatMap(({ rows }) =>
    rows.facts.map(({ fact }) => {
      if (fact.kind === "lock.taken" || fact.kind === "lock.freed") return `${fact.kind} ${fact.lock.kind} ${fact.lock.equipment} ${fact.lock.step ?? "-"}`;
      if (fact.kind === "step.moved") return `${fact.step} ${fact.to} by ${fact.by}`;
      if (fact.kind === "batch.moved") return `batch ${fact.to.execution} by ${fact.by}`;
      return fact.kind;
    }),
  );
const outcomes = (line: Line, act: Act) => line.settlements(act).flatMap(({ rows }) => rows.outcomes);
const locks = (line: Line, name: string) => line.model.openLocks(name).map(({ kind, batch, step }) => `${kind} ${batch} ${step ?? "-"}`);

describe("a batch that ends early", () => {
  test("ends its steps, which free what they work with, and frees what it holds as a whole", () => {
    for (const [command, to] of [
      ["abort", "aborted"],
      ["stop", "stopped"],
    ] as const)
      expect(facts(given(completed()), commands(command))).toEqual([
        `batch ${to} by batch.${command}`,
        `blend ${to} by batch.${to}`,
        "lock.freed allocation mixer-1 -",
        "lock.freed engagement mixer-1 blend",
      ]);
  });
  test("frees first what it holds as a whole, then what its steps work with", () => {
    const roles = { mixer: "mixer-1", other: "mixer-2" };
    const equipment = Object.keys(roles).map((role) => ({ role, class: "mixer", locked: "batch" }));
    const line = on(plant({ step: "stir", equipment }), creates("B-1", { equipment: roles }));
    line.when(commands("release-to-floor"), commands("start"), mixer.starts("stir"));
    expect(facts(line, commands("abort"))).toEqual([
      "batch aborted by batch.abort",
      "stir aborted by batch.aborted",
      "lock.freed allocation mixer-1 -",
      "lock.freed allocation mixer-2 -",
      "lock.freed engagement mixer-1 stir",
      "lock.freed engagement mixer-2 stir",
    ]);
  });
  test("frees nothing that another batch holds or works with", () => {
    const line = given(weighing(), ready("B-2"), commands("cancel", "B-2"));
    expect([locks(line, "mixer-1"), locks(line, "scale-1")]).toEqual([["allocation B-1 -"], ["engagement B-1 weigh"]]);
    expect(line.batch("B-2").steps.map(({ state }) => state)).toEqual(["stopped", "stopped"]);
  });
  test("before its start is cancelled, by whatever name", () => {
    for (const command of ["cancel", "abort"] as const) {
      const [told] = outcomes(given(ready()), commands(command));
      expect(told).toMatchObject({ type: "batch.cancelled", stream: "batch/B-1", line: "4", data: { to: { batch: "cancelled" } } });
    }
  });
});

describe("a step that ends", () => {
  test("frees its own equipment, and not that of another step beside it", () => {
    const stir = { ...STIR, after: [], duration: undefined, evidence: [] };
    const line = on(plant(stir, { ...stir, step: "heat" }), creates("B-1", { equipment: { mixer: "mixer-1" } }));
    line.when(commands("release-to-floor"), commands("start"), mixer.starts("blend"), mixer.starts("heat"));
    expect(locks(line, "mixer-1")).toEqual(["allocation B-1 -", "engagement B-1 blend", "engagement B-1 heat"]);
    expect(facts(line, mixer.completes("blend"))).toEqual(["blend complete by step.complete", "lock.freed engagement mixer-1 blend"]);
    expect(facts(line, mixer.completes("heat"))).toEqual([
      "heat complete by step.complete",
      "lock.freed engagement mixer-1 heat",
      "batch complete by batch.steps-complete",
      "lock.freed allocation mixer-1 -",
    ]);
  });
  test("by another's hand than the batch's opens what comes after it", () => {
    const line = given(weighing(), scale.weighs("12.500"));
    expect(facts(line, scale.completes("weigh"))).toEqual([
      "weigh complete by step.complete",
      "lock.freed engagement scale-1 weigh",
      "blend ready by step.predecessors-complete",
    ]);
  });
  test("to be verified by a second person is performed, with its evidence, and not complete", () => {
    const line = on(plant({ ...WEIGH, verification: "second-person" }, STIR), weighing(), scale.weighs("12.500"));
    expect(outcomes(line, scale.completes("weigh"))).toMatchObject([
      { type: "step.performed", data: { step: "weigh", to: { step: "awaiting_verification" }, evidence: [{ evidence: "net-weight", value: "12.500" }] } },
    ]);
    expect(line.step("weigh").endedAt).toBe(null);
  });
  test("of steps that need neither equipment nor evidence may be asked for by whatever stands on the line", () => {
    const line = on(
      plant({ step: "look" }, { step: "close", after: ["look"] }),
      creates("B-1", { equipment: {} }),
      commands("release-to-floor"),
      commands("start"),
    );
    expect(told(line.when(scale.starts("look"), scale.completes("look")))).toEqual(["accepted", "accepted"]);
    expect(line.answer(stepCommand("start", "close"))).toMatchObject({
      kind: "done",
      created: false,
      warnings: [],
      batch: {
        steps: [
          { step: "look", title: null, equipment: [], state: "complete" },
          { step: "close", state: "in_progress" },
        ],
      },
    });
    expect(on(plant({ step: "look" })).answer(creates())).toMatchObject({
      kind: "refused",
      code: "EQP_NOT_ASSIGNED",
      reason: "The recipe has no role scale; it has none.",
    });
  });
});

describe("a step of a plant's own machine", () => {
  /** The shipped machine, but that an event leads elsewhere, or nowhere. */
  const leading = (where: Readonly<Record<string, string | null>>) => ({
    ...PLANT,
    machines: (machines: Machines): Machines => ({
      ...machines,
      step: (batch) => {
        const machine = machines.step(batch);
        return {
          ...machine,
          next: (state, event, context, unasked) => {
            const to = where[event];
            if (to === undefined) return machine.next(state, event, context, unasked);
            if (to !== null) return { kind: "moved", to, self: false, checks: [] };
            return { kind: "refused", code: "STA_INVALID_TRANSITION", notYet: false, checks: [], permitted: [] };
          },
        };
      },
    }),
  });
  test("that is skipped opens what comes after it", () => {
    const line = on(leading({ "step.complete": "skipped" }), weighing());
    line.when(scale.completes("weigh"));
    expect(line.batch().steps.map(({ step, state }) => `${step} ${state}`)).toEqual(["weigh skipped", "blend ready"]);
  });
  test("stays where it is when its predecessors are complete, if the machine does not open it by that", () => {
    const line = on(leading({ "step.predecessors-complete": null }), weighing(), scale.weighs("12.500"));
    expect(facts(line, scale.completes("weigh"))).toEqual(["weigh complete by step.complete", "lock.freed engagement scale-1 weigh"]);
    expect(line.step("blend").state).toBe("pending");
  });
});

describe("the clock of a step", () => {
  const at = (time: string) => ({ more: { time } });
  test("is the device's at its start, and stays so when it goes on after a pause", () => {
    const line = given(running(), scale.starts("weigh", at("2026-11-22T08:00:01.000Z")), scale.pauses("weigh"));
    line.when(scale.resumes("weigh", at("2026-11-22T08:00:09.000Z")));
    expect(line.step("weigh")).toMatchObject({ state: "in_progress", startClock: { sourceKey: "1", epoch: "7", time: "2026-11-22T08:00:01.000Z" } });
  });
  test("holds it against its maximum when it completes, and only then", () => {
    const line = on(plant({ ...WEIGH, duration: { max: "PT10S" } }, STIR), weighing());
    line.after(11_000);
    expect(told(line.when(scale.weighs("12.500")))).toEqual(["accepted"]);
    expect(line.when(scale.completes("weigh"))).toMatchObject([
      {
        status: "accepted_with_exception",
        code: "TIM_TOO_LONG",
        reason: "Step weigh took 11.000 s; its maximum is PT10S.",
        refusedBy: null,
        flags: ["TIM_TOO_LONG"],
      },
    ]);
    const just = on(plant({ ...WEIGH, duration: { max: "PT10S" } }, STIR), weighing(), scale.weighs("12.500"));
    just.after(10_000);
    expect(told(just.when(scale.completes("weigh")))).toEqual(["accepted"]);
  });
});

describe("evidence", () => {
  const measured = (limits: object) =>
    on(plant({ ...WEIGH, evidence: [{ evidence: "net-weight", kind: "measurement", unit: "kg", limits }] }, STIR), weighing());
  test("outside a limit that stands alone says so", () => {
    expect(measured({ low: "20" }).when(scale.weighs("10"))).toMatchObject([
      { status: "accepted_with_exception", code: "PAR_OOS", reason: "net-weight is 10 kg; the limits are 20 to none." },
    ]);
    expect(measured({ high: "5" }).when(scale.weighs("10"))).toMatchObject([{ code: "PAR_OOS", reason: "net-weight is 10 kg; the limits are none to 5." }]);
  });
  test("that its own sender doubts is recorded as outside, with an exception", () => {
    for (const quality of ["bad", "uncertain"]) {
      const line = given(weighing());
      const doubted = scale.weighs("12.500", { data: { evidence: "net-weight", value: "12.500", unit: "kg", quality } });
      expect(line.when(doubted)).toMatchObject([
        { status: "accepted_with_exception", code: "EVD_BAD_QUALITY", reason: `The sender calls its net-weight ${quality}.` },
      ]);
      expect(line.step("weigh").evidence).toMatchObject([{ within: false, value: "12.500" }]);
    }
    const good = given(weighing());
    good.when(scale.weighs("12.500", { data: { evidence: "net-weight", value: "12.500", unit: "kg", quality: "good" } }));
    expect(good.step("weigh").evidence).toMatchObject([{ within: true }]);
  });
  test("that comes again is told what became of it, in words", () => {
    const line = given(weighing(), scale.weighs("19.000"));
    expect(line.when(again("scale-1-7-2"))).toMatchObject([
      { status: "duplicate", refusedBy: null, reason: "The same event had arrived before and is accepted with exception; nothing was done again." },
    ]);
  });
  test("may be a reference to what lies elsewhere", () => {
    const line = on(plant({ ...WEIGH, evidence: [{ evidence: "photo", kind: "reference" }] }, STIR), weighing());
    const photo = scale.says("step.evidence", { batch: "B-1", step: "weigh", data: { evidence: "photo" }, more: { evidenceref: "s3://photos/7" } });
    expect(told(line.when(photo))).toEqual(["accepted"]);
    expect(line.step("weigh").evidence).toMatchObject([{ value: "s3://photos/7", unit: null, within: null, low: null, high: null }]);
  });
  test("that is corrected takes the place of the last of its kind, and of no other", () => {
    const two = [
      { evidence: "net-weight", kind: "measurement", unit: "kg", count: 2 },
      { evidence: "seal", kind: "check" },
    ];
    const line = on(plant({ ...WEIGH, evidence: two }, STIR), weighing());
    line.when(scale.weighs("1"), scale.weighs("2"), scale.gives("weigh", "seal", true));
    line.when(stepCommand("correct", "weigh", { evidence: { evidence: "net-weight", value: "3", unit: "kg" } }));
    expect(line.step("weigh").evidence.map(({ evidence, value }) => `${evidence} ${value}`)).toEqual(["net-weight 1", "seal true", "net-weight 3"]);
  });
});

describe("what the world is told", () => {
  test("of a state names the one before it, on the equipment's stream and line", () => {
    const line = given(scale.states("Idle"));
    expect(outcomes(line, scale.states("Execute"))).toMatchObject([
      { stream: "equipment/scale-1", line: "4", type: "equipment.state-changed", data: { equipment: "scale-1", from: "Idle", to: "Execute" } },
    ]);
    expect(outcomes(given(), scale.states("Idle"))).toMatchObject([{ data: { from: null, to: "Idle" } }]);
  });
  test("of a report is about its batch and step, its batch, or its equipment", () => {
    const line = given(weighing());
    const check = { check: "c", result: "pass" };
    expect(outcomes(line, scale.says("check.performed", { batch: "B-1", step: "weigh", data: check }))).toMatchObject([
      { stream: "batch/B-1", type: "check.performed", data: { step: "weigh", attempt: 1, by: "scale-1", report: check } },
    ]);
    expect(outcomes(line, mixer.alarms({ batch: "B-1" }))).toMatchObject([
      { stream: "batch/B-1", type: "alarm.raised", data: { batch: "B-1", report: { alarm: "overheat" } } },
    ]);
    expect(outcomes(line, mixer.alarms())).toMatchObject([{ stream: "equipment/mixer-1", line: "4", data: { equipment: "mixer-1" } }]);
  });
  test("of a report names the attempt that it is about", () => {
    const { model } = given(running());
    const world = new World(model.read({ ...emptyRequest(), batches: new Set(["B-1"]) }));
    const about = { batch: "B-1", step: "weigh", attempt: 2, equipment: "scale-1" };
    expect(outcomeOf(world, model.machines, { kind: "reported", type: "check.performed", ...about, data: {} }, [])).toMatchObject({
      stream: "batch/B-1",
      data: { step: "weigh", attempt: 2, by: "scale-1" },
    });
  });
  test("of a birth or a loss is the source's own, whatever its equipment is engaged in", () => {
    const line = given(weighing());
    expect(line.when(scale.birth(2, { epoch: 8, sequence: 1 }), scale.lost(1, 1, { epoch: 8, sequence: 2 }))).toMatchObject([
      { status: "accepted", batch: null, step: null, attempt: null, contextFrom: "none" },
      { status: "accepted", batch: null, contextFrom: "none" },
    ]);
    expect(line.model.outcomes.slice(-2).map(({ stream, type }) => `${stream} ${type}`)).toEqual([
      "equipment/scale-1 source.born",
      "equipment/scale-1 source.loss-declared",
    ]);
    expect(line.when(scale.birth(2, { epoch: 9, sequence: 1, batch: "B-1" }))).toMatchObject([{ status: "accepted", contextFrom: "none" }]);
  });
  test("carries the trace of the event, with its state if it has one", () => {
    const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    expect(traceContext({ traceparent: parent, tracestate: null })).toBe(parent);
    expect(traceContext({ traceparent: parent, tracestate: "a=b" })).toBe(`${parent}\na=b`);
    expect(traceContext({ traceparent: null, tracestate: "a=b" })).toBe("\na=b");
    expect(traceContext({ traceparent: null, tracestate: null })).toBe(null);
    expect(outcomes(given(), scale.alarms({ more: { traceparent: parent, tracestate: "a=b" } }))).toMatchObject([
      { traceparent: `${parent}\na=b`, causation: "scale-1-7-1" },
    ]);
  });
  test("of how long what is deferred is waited for, and of nothing else", () => {
    const patience = (line: Line, act: Act) => line.settlements(act).flatMap(({ rows }) => rows.patience);
    expect(patience(given(weighing()), scale.completes("weigh"))).toEqual([{ event: -1, ms: 5_000 }]);
    expect(patience(given(weighed()), mixer.starts("blend"))).toEqual([]);
  });
});

describe("an event about a batch that is closed", () => {
  test("is late, and a person's", () => {
    const line = given(completed());
    line.after(2_000);
    line.when(mixer.gives("blend", "end-temperature", "24.5", "Cel"), mixer.completes("blend"), commands("close"));
    expect(line.batch().execution).toBe("closed");
    expect(line.when(scale.alarms({ batch: "B-1" }))).toMatchObject([
      {
        status: "quarantined",
        code: "TIM_LATE_CLOSED",
        refusedBy: "guard",
        reason: "Batch B-1 is closed.",
        batch: "B-1",
        explanation: {
          state: "closed",
          permitted: [],
          guards: [{ guard: "batch.open@1", ok: false, code: "TIM_LATE_CLOSED", expected: "an open batch", actual: "closed" }],
        },
      },
    ]);
  });
});

describe("a context that is claimed in part", () => {
  test("is from the claim, however little it says", () => {
    const line = given(weighing());
    const gives = (more: object) => line.when(scale.says("step.evidence", { data: { evidence: "net-weight", value: "12.500", unit: "kg" }, ...more }))[0];
    expect(gives({ step: "weigh" })).toMatchObject({ status: "accepted", contextFrom: "claim", batch: "B-1", step: "weigh", attempt: 1 });
    expect(gives({})).toMatchObject({ contextFrom: "lock", batch: "B-1" });
    expect(gives({ batch: "B-1" })).toMatchObject({ contextFrom: "claim", step: "weigh" });
  });
  test("is refused where it names an attempt that is not there, or a batch of another line", () => {
    expect(given(running()).when(scale.starts("weigh", { attempt: 2 }))).toMatchObject([{ status: "rejected", code: "CTX_UNKNOWN_STEP", attempt: 2 }]);
    expect(given(running()).when(speaker("press-9", { line: "9" }).says("batch.pause", { batch: "B-1" }))).toMatchObject([
      { status: "rejected", code: "CTX_WRONG_LINE", reason: "Batch B-1 runs on line 4; the event comes from line 9." },
    ]);
  });
});

describe("a quarantined state", () => {
  test("that a person has judged again is only looked at, when a newer one was accepted meanwhile", () => {
    const call = (sequence: number) => scale.says("call.raised", { sequence, data: { call: "c" } });
    const line = given(call(1), scale.lost(2, 2, { sequence: 3 }), scale.states("Execute", { sequence: 4 }), scale.states("Idle", { sequence: 2 }));
    const event = line.rounds("scale-1-7-2")[0]?.event ?? 0;
    expect(line.last("scale-1-7-2")).toMatchObject({ status: "quarantined", code: "SEQ_SKIPPED" });
    expect(told(line.when(orders({ kind: "quarantine.resolve", event, action: "reprocess", reason: "seen" })))).toEqual(["observed TIM_STALE"]);
    expect([line.model.quarantine.get(event)?.resolution, line.model.equipment.get("scale-1")?.state]).toEqual(["reprocess", "Execute"]);
  });
});
