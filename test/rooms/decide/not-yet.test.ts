import { describe, expect, test } from "vitest";
import { judgeEvent } from "../../../src/decide/judge.ts";
import { World } from "../../../src/decide/world.ts";
import { emptyRequest } from "../../../src/decide/world-request.ts";
import { BLEND } from "../../support/blend.ts";
import { again, commands, creates, given, mixer, on, orders, PLANT, ready, running, scale, speaker, told, weighed, weighing } from "../../support/given.ts";

// Not yet is not no: what lacks something waits for it, is judged in the commit that brings it, and comes to an end when its patience does.

const probe = speaker("mixer-1", { device: "probe" });

describe("a completion that lacks its evidence", () => {
  test("waits, has its number, and lets its source go on", () => {
    const line = given(weighing());
    expect(told(line.when(scale.completes("weigh")))).toEqual(["deferred EVD_MISSING"]);
    expect(line.source(scale)).toMatchObject({ through: 2n, gap: null, deferredCount: 1 });
    expect(line.last("scale-1-7-2")).toMatchObject({ final: false, next: "wait", reason: "Step weigh needs one net-weight and has none." });
  });
  test("is accepted in the commit of the evidence, after it", () => {
    const line = given(weighing(), scale.completes("weigh"));
    const rounds = line.when(scale.weighs("12.500"));
    expect(told(rounds)).toEqual(["accepted", "accepted"]);
    expect(rounds[1]).toMatchObject({ eventId: "scale-1-7-2", round: 2, event: 5, position: 7, cause: 6 });
    expect(line.model.record.at(-1)?.position).toBe(6);
    expect(line.step("weigh").state).toBe("complete");
  });
  test("leaves its source's row alone when it is judged again", () => {
    const display = speaker("scale-1", { device: "display" });
    const line = on({ ...PLANT, sources: [{ equipment: "scale-1", device: "display" }] }, weighing(), scale.completes("weigh"));
    const before = line.source(scale).version;
    expect(told(line.when(display.weighs("12.500")))).toEqual(["accepted", "accepted"]);
    expect(line.source(scale).version).toBe(before);
  });
  test("is a duplicate when it is sent again, and says what has become of it", () => {
    const line = given(weighing(), scale.completes("weigh"));
    expect(line.when(again("scale-1-7-2"))).toMatchObject([
      { status: "duplicate", first: 5, explanation: { today: { status: "deferred", code: "EVD_MISSING" } } },
    ]);
    line.when(scale.weighs("12.500"));
    expect(line.when(again("scale-1-7-2"))).toMatchObject([{ status: "duplicate", first: 5, explanation: { today: { status: "accepted" } } }]);
  });
  test("is rejected when its step's patience is over, and explained by the guard that failed", () => {
    const line = given(weighing(), scale.completes("weigh"));
    expect(line.after(4_999)).toEqual([]);
    const [round] = line.after(1);
    expect(round).toMatchObject({ status: "rejected", code: "EVD_MISSING", round: 2, next: "correct", explanation: { state: "in_progress" } });
    expect(round?.explanation?.guards?.find((g) => !g.ok)).toMatchObject({ guard: "evidence.complete@1", expected: "net-weight: 1", actual: "0" });
    expect(line.model.deferrals.size).toBe(0);
    expect(told(line.when(scale.weighs("12.500"), scale.completes("weigh")))).toEqual(["accepted", "accepted"]);
  });
  test("is accepted at the last moment when everything is there", () => {
    const line = given(weighing(), scale.completes("weigh"));
    line.after(4_999);
    expect(told(line.when(scale.weighs("12.500")))).toEqual(["accepted", "accepted"]);
  });
  test("waits thirty seconds where neither type nor step says otherwise", () => {
    const line = given(weighed(), mixer.starts("blend"));
    line.after(2_000);
    expect(told(line.when(mixer.completes("blend")))).toEqual(["deferred EVD_MISSING"]);
    expect(line.after(29_999)).toEqual([]);
    expect(told(line.after(1))).toEqual(["rejected EVD_MISSING"]);
  });
  test("is not aged while its shard does not receive", () => {
    const line = given(weighing(), scale.completes("weigh"));
    line.model.now += 60_000;
    line.model.run([line.model.tick({ tick: "interruption", ms: 60_000 })]);
    expect(line.after(4_999)).toEqual([]);
    expect(told(line.after(1))).toEqual(["rejected EVD_MISSING"]);
  });
});

describe("a report that lacks something", () => {
  test("is quarantined when its patience is over, since something was done", () => {
    const line = given(running(), scale.weighs("12.500"));
    expect(line.last("scale-1-7-1")).toMatchObject({ status: "deferred", code: "STA_INVALID_TRANSITION" });
    expect(told(line.after(5_000))).toEqual(["quarantined STA_INVALID_TRANSITION"]);
    expect(line.batch()).toMatchObject({ openQuarantine: 1, openExceptions: 1, openDeferrals: 0 });
  });
  test("as a request told as done is a report", () => {
    const line = given(running(), mixer.starts("blend", { more: { occurred: true } }));
    expect(told(line.after(30_000))).toEqual(["quarantined STP_OUT_OF_ORDER"]);
  });
  test("waits for a batch that is not known yet, and then for its step to begin", () => {
    const line = given(scale.weighs("12.500"));
    expect(told(line.when(scale.says("call.raised", { data: { call: "help" } })))).toEqual(["accepted"]);
    expect(line.last("scale-1-7-1")).toMatchObject({ status: "deferred", code: "CTX_UNKNOWN_BATCH" });
    line.when(creates());
    expect(line.batch().openDeferrals).toBe(1);
    line.when(commands("release-to-floor"), commands("start"));
    expect(told(line.when(scale.starts("weigh")))).toEqual(["accepted", "accepted"]);
    expect(line.step("weigh").evidence).toMatchObject([{ value: "12.500", eventId: "scale-1-7-1" }]);
  });
});

describe("what it waits for", () => {
  // story: a completion without claim waited for its equipment alone; when the step had begun, the weight came and nobody judged the completion again
  test("changes with the world: first an engagement, then the evidence", () => {
    const line = given(running(), scale.says("step.complete"));
    expect(line.last("scale-1-7-1")).toMatchObject({ status: "deferred", code: "CTX_MISSING" });
    line.when(scale.starts("weigh"));
    expect(line.rounds("scale-1-7-1")).toHaveLength(1);
    expect(line.batch().openDeferrals).toBe(1);
    expect(told(line.when(scale.weighs("12.500")))).toEqual(["accepted", "accepted"]);
    expect(line.last("scale-1-7-1")).toMatchObject({ status: "accepted", contextFrom: "lock", batch: "B-1", step: "weigh" });
  });
  // story: a completion deferred for its evidence did not know of a gap that opened later, and slept through its closing
  test("includes a gap that opened after it had begun to wait", () => {
    const line = given(weighed(), mixer.starts("blend"));
    line.after(2_000);
    line.when(mixer.completes("blend"), probe.states("Execute", { sequence: 2 }), mixer.gives("blend", "end-temperature", "24.5", "Cel"));
    expect(line.last("mixer-1-7-2")).toMatchObject({ status: "deferred", round: 1 });
    expect(told(line.when(probe.states("Idle", { sequence: 1 })))).toEqual(["observed TIM_STALE", "accepted"]);
    expect(line.last("mixer-1-7-2")?.status).toBe("accepted");
  });
  test("is its own source's gap only as far as that lies before it", () => {
    const line = given(weighing(), scale.weighs("12.500"), scale.says("call.raised", { sequence: 5, data: { call: "c" } }));
    expect(told(line.when(scale.completes("weigh", { sequence: 3 })))).toEqual(["accepted"]);
  });
});

describe("behind a deferred event", () => {
  test("later events of its source that move the same step wait, and move in their order", () => {
    const line = given(running(), mixer.starts("blend"), mixer.completes("blend"));
    expect(line.last("mixer-1-7-2")).toMatchObject({
      status: "deferred",
      code: "STP_OUT_OF_ORDER",
      reason: "The event waits behind mixer-1-7-1, which moves the same step.",
      batch: "B-1",
      step: "blend",
      contextFrom: "claim",
    });
    line.when(scale.starts("weigh"), scale.weighs("12.500"));
    // the start moves; the completion was said before the minimum duration was over, and is held against the moment at which it was said
    expect(told(line.when(scale.completes("weigh")))).toEqual(["accepted", "accepted", "rejected EVD_MISSING"]);
    expect(line.step("blend").state).toBe("in_progress");
    expect(
      line
        .last("mixer-1-7-2")
        ?.explanation?.guards?.filter((g) => !g.ok)
        .map((g) => g.code),
    ).toEqual(["EVD_MISSING", "TIM_TOO_SHORT"]);
  });
  test("evidence and other reports pass", () => {
    const line = given(weighing(), scale.completes("weigh"));
    expect(told(line.when(scale.says("call.raised", { data: { call: "c" } }), scale.weighs("12.500")))).toEqual(["accepted", "accepted", "accepted"]);
  });
  test("a pause passes a deferred completion, and waits behind a deferred start", () => {
    const line = given(weighing(), scale.completes("weigh"));
    expect(told(line.when(scale.pauses("weigh")))).toEqual(["accepted"]);
    const other = given(running(), mixer.starts("blend"), mixer.pauses("blend"));
    expect(other.last("mixer-1-7-2")).toMatchObject({ status: "deferred", reason: "The event waits behind mixer-1-7-1, which moves the same step." });
    other.when(scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"));
    expect(other.step("blend").state).toBe("paused");
  });
  test("events of another source or another step do not wait", () => {
    const line = given(running(), mixer.starts("blend"));
    expect(told(line.when(scale.starts("weigh")))).toEqual(["accepted"]);
  });
  test("events that name no step do not wait: nobody knows yet that it is the same", () => {
    const completes = () => scale.says("step.complete", { batch: "B-1" });
    const line = given(completes(), completes());
    for (const id of ["scale-1-7-1", "scale-1-7-2"])
      expect(line.last(id)).toMatchObject({ status: "deferred", code: "CTX_UNKNOWN_BATCH", reason: "No batch B-1 is known here." });
  });
  // story: a completion that arrived early and its start, filled in later, each waited for the other
  test("is told by numbers, not by arrival", () => {
    const line = given(running(), mixer.completes("blend", { sequence: 2 }), mixer.starts("blend", { sequence: 1 }));
    expect(line.last("mixer-1-7-2")).toMatchObject({ status: "deferred", reason: "The event waits behind mixer-1-7-1, which moves the same step." });
    line.when(scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"));
    expect(line.step("blend").state).toBe("in_progress");
  });
});

test("a device that asks too early for a batch waits for it", () => {
  const line = given(creates(), scale.says("batch.start", { batch: "B-1" }));
  expect(line.last("scale-1-7-1")).toMatchObject({ status: "deferred", code: "STA_INVALID_TRANSITION" });
  expect(told(line.when(commands("release-to-floor")))).toEqual(["accepted"]);
  expect(line.batch().execution).toBe("running");
});

describe("what comes free", () => {
  test("lets what is older come first, before what is younger is judged again", () => {
    const [key, display, stop] = ["key", "display", "stop"].map((device) => speaker("scale-1", { device }));
    if (key === undefined || display === undefined || stop === undefined) throw new Error("no devices");
    const sources = ["key", "display", "stop"].map((device) => ({ equipment: "scale-1", device }));
    const line = on({ ...PLANT, sources }, running(), key.completes("weigh"), display.weighs("12.500"), stop.pauses("weigh"));
    expect(line.model.deferrals.size).toBe(3);
    // the weight lets the completion go, which is older than the pause; the pause finds the step complete
    expect(line.when(scale.starts("weigh")).map(({ eventId, status }) => `${eventId?.slice(0, -4)} ${status}`)).toEqual([
      "scale-1 accepted",
      "scale-1.display accepted",
      "scale-1.key accepted",
      "scale-1.stop quarantined",
    ]);
  });
  test("comes in its order, whatever of what it waited for changed first", () => {
    // the probe's first event closes the gap that a completion waits for, and then completes the step behind which an older start waits
    const [weigh, stir] = BLEND.steps;
    const quick = { ...stir, after: [], duration: undefined, evidence: [] };
    const steps = [quick, { ...quick, step: "heat" }, { ...weigh, after: ["blend"] }];
    const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] }, running(), mixer.starts("blend"), mixer.starts("heat"));
    line.when(probe.states("Execute", { sequence: 2 }), scale.starts("weigh"), mixer.completes("heat"));
    expect([line.last("scale-1-7-1")?.code, line.last("mixer-1-7-3")?.code]).toEqual(["STP_OUT_OF_ORDER", "SEQ_GAP"]);
    expect(line.when(probe.completes("blend", { sequence: 1 })).map(({ eventId, status }) => `${eventId} ${status}`)).toEqual([
      "mixer-1.probe-7-1 accepted",
      "scale-1-7-1 accepted",
      "mixer-1-7-3 accepted",
    ]);
  });
  test("still waits behind what is open, though it would be permitted by itself", () => {
    const display = speaker("scale-1", { device: "display" });
    const line = on({ ...PLANT, sources: [{ equipment: "scale-1", device: "display" }] }, weighing(), scale.pauses("weigh"), scale.completes("weigh"));
    line.when(scale.resumes("weigh"));
    expect([line.last("scale-1-7-3")?.status, line.last("scale-1-7-4")?.reason]).toEqual([
      "deferred",
      "The event waits behind scale-1-7-3, which moves the same step.",
    ]);
    line.when(display.says("check.performed", { batch: "B-1", step: "weigh", data: { check: "c", result: "pass" } }), commands("pause"), commands("resume"));
    expect([line.rounds("scale-1-7-4").length, line.step("weigh").state]).toEqual([1, "paused"]);
    line.after(5_000);
    expect([line.last("scale-1-7-3")?.status, line.last("scale-1-7-4")?.status, line.step("weigh").state]).toEqual(["rejected", "accepted", "in_progress"]);
  });
});

describe("a context that was taken from a lock", () => {
  const weight = scale.says("step.evidence", { data: { evidence: "net-weight", value: "12.500", unit: "kg" } });
  const next = () => [creates("B-2", { equipment: { scale: "scale-1", mixer: "mixer-2" } }), commands("release-to-floor", "B-2"), commands("start", "B-2")];
  const startsNext = scale.starts("weigh", { batch: "B-2" });

  test("stays what it was: what waited for a batch that ends is not moved to the next one on its equipment", () => {
    const line = given(weighing(), scale.pauses("weigh"), weight);
    expect(line.last("scale-1-7-3")).toMatchObject({ status: "deferred", batch: "B-1", step: "weigh", contextFrom: "lock" });
    // it ends in the commit that ends the batch
    expect(told(line.when(commands("abort")))).toEqual(["quarantined STA_TERMINAL"]);
    line.when(...next(), startsNext);
    expect(line.last("scale-1-7-3")).toMatchObject({ round: 2, batch: "B-1", step: "weigh", contextFrom: "lock" });
    expect(line.model.evidence).toEqual([]);
  });
  test("stays what it was for a completion that waits", () => {
    const line = given(weighing(), scale.says("step.complete"));
    expect(line.last("scale-1-7-2")).toMatchObject({ status: "deferred", code: "EVD_MISSING", batch: "B-1" });
    expect(told(line.when(commands("abort")))).toEqual(["rejected STA_TERMINAL"]);
    line.when(...next(), startsNext, weight);
    expect(line.step("weigh", "B-2").state).toBe("in_progress");
  });
  test("stays what it was when a person has it judged again", () => {
    const line = given(weighing(), weight, weight);
    expect(line.last("scale-1-7-3")).toMatchObject({ status: "quarantined", code: "EVD_ALREADY_SATISFIED", batch: "B-1", contextFrom: "lock" });
    line.when(scale.completes("weigh"), ...next(), startsNext);
    const again = orders({ kind: "quarantine.resolve", event: line.last("scale-1-7-3")?.event ?? 0, action: "reprocess", reason: "look again" });
    expect(line.answer(again)).toMatchObject({ kind: "refused", code: "CTX_WRONG_BATCH" });
    expect(line.model.evidence.map(({ batch }) => batch)).toEqual(["B-1"]);
  });
  test("is told as what it was where the equipment has gone on and nothing is permitted any more", () => {
    const line = given(weighing(), scale.weighs("12.500"), scale.completes("weigh"), ...next(), startsNext);
    const [signal] = line.signals([weight]);
    if (signal?.kind !== "event" || signal.inHand.said.kind !== "event") throw new Error("that was no event");
    const { event } = signal.inHand.said;
    const { model } = line;
    const world = new World(model.read({ ...emptyRequest(), batches: new Set(["B-1"]), equipment: new Set(["scale-1"]) }));
    const before = { batch: "B-1", step: "weigh", attempt: 1 };
    expect(judgeEvent(world, model.machines, line.source(scale), event, model.clock, -1, before)).toMatchObject({
      kind: "refused",
      code: "CTX_WRONG_BATCH",
      context: { ...before, from: "lock" },
    });
  });
});

describe("what is refused never", () => {
  test("is refused at once: a check has no patience, and a terminal state does not change its mind", () => {
    const line = given(weighed());
    expect(told(line.when(scale.says("material.check", { batch: "B-1", step: "blend", data: { material: "m", lot: "l" } })))).toEqual([
      "rejected STA_INVALID_TRANSITION",
    ]);
    expect(told(line.when(scale.completes("weigh")))).toEqual(["rejected STA_TERMINAL"]);
    expect(told(line.when(scale.weighs("12.500")))).toEqual(["quarantined STA_TERMINAL"]);
  });
  test("in a step without patience is everything", () => {
    const steps = [{ ...BLEND.steps[0], patience: "PT0S" }, BLEND.steps[1]];
    const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] }, weighing());
    expect(told(line.when(scale.completes("weigh")))).toEqual(["rejected EVD_MISSING"]);
  });
  test("ends a batch's deferred events with the batch", () => {
    const line = given(weighing(), scale.completes("weigh"), mixer.starts("blend"));
    expect(told(line.when(commands("abort")))).toEqual(["rejected STA_TERMINAL", "rejected STA_TERMINAL"]);
    expect(line.batch().openDeferrals).toBe(0);
  });
});

describe("an older state", () => {
  test("that was deferred is observed when a newer one was accepted meanwhile", () => {
    const line = given(scale.states("Idle", { batch: "B-1" }), scale.states("Execute"));
    expect(told(line.when(creates()))).toEqual(["observed TIM_STALE"]);
    expect(line.model.equipment.get("scale-1")?.state).toBe("Execute");
  });
});

test("more deferred events than one commit judges again are all judged, though the oldest stay open", () => {
  const patient = [
    { ...BLEND.steps[0], patience: "PT1H" },
    { ...BLEND.steps[1], patience: "PT1H" },
  ];
  const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps: patient } }] }, running());
  // the mixer's reports wait for a step that does not begin; the scale's weight, the youngest, is what comes free
  const reports = Array.from({ length: 700 }, () => mixer.says("check.performed", { batch: "B-1", step: "blend", data: { check: "c", result: "pass" } }));
  line.together(...reports, scale.weighs("12.500"));
  expect(line.model.deferrals.size).toBe(701);
  const settled = line.settlements(scale.starts("weigh"));
  expect(line.last("scale-1-7-1")?.status).toBe("accepted");
  expect(settled.length).toBeLessThan(10);
}, 60_000);

test("a source has only so many deferred events: beyond them not yet is no", () => {
  const line = given(ready());
  const reports = Array.from({ length: 1_001 }, () => mixer.says("check.performed", { batch: "B-1", step: "blend", data: { check: "c", result: "pass" } }));
  const rounds = line.together(...reports);
  expect(rounds.filter((v) => v.status === "deferred")).toHaveLength(1_000);
  expect(told(rounds.slice(-1))).toEqual(["quarantined STA_INVALID_TRANSITION"]);
}, 60_000);
