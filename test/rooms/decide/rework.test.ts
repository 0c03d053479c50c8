// Promise: a step that is complete is done again only by a person who signs it under a deviation: a new attempt with evidence of its own, the old one superseded and whole on record, and whatever came of it
// done again too. Nothing is taken back from under what is going on.
// Attack: every state of the step and of what depends on it; no signature, no reason, no deviation; what the old attempt still tells; random days with reworks at any moment.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { type Act, all, commands, given, type Line, mixer, on, PLANT, running, scale, signedBy, speaker, stepCommand, weighing } from "../../support/given.ts";
import { type Model, replay } from "../../support/model.ts";

const [WEIGH, STIR] = BLEND.steps;
const STEPS = [
  WEIGH,
  { ...STIR, duration: undefined, evidence: undefined, optional: true },
  { step: "look", after: ["blend"], equipment: [{ role: "scale", class: "scale", locked: "step" }] },
  { step: "label" },
  { step: "pack", after: ["look", "label"] },
];
const AFTER: Readonly<Record<string, readonly string[]>> = { blend: ["weigh"], look: ["blend"], pack: ["look", "label"] };
const plant = { ...PLANT, recipes: [{ ...BLEND, ...JSON.parse(JSON.stringify({ steps: STEPS })) }] };
const panel = speaker("panel-1");
const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
const rework = (step: string, more: object = {}, how: object = signedBy()): Act => stepCommand("rework", step, { linked: "DEV-7", ...more }, how);
const done = (step: string, by = scale): Act => all(by.starts(step), ...(step === "weigh" ? [scale.weighs("12.500")] : []), by.completes(step));
const through = (...steps: readonly string[]): Act =>
  all(running(), ...steps.map((step) => done(step, step === "blend" ? mixer : step === "label" ? panel : scale)));
const stands = (line: Line) => line.batch().steps.map(({ step, attempt, state }) => `${step} ${attempt} ${state}`);
const attempts = (line: Line) => (line.model.stepsOfBatch.get("B-1") ?? []).map(({ step, attempt, state }) => `${step} ${attempt} ${state}`).sort();

describe("a rework", () => {
  test("begins a new attempt, which is as ready as the first one was, with nothing of its evidence", () => {
    const line = on(plant, through("weigh"));
    expect(stands(line)).toEqual(["weigh 1 complete", "blend 1 ready", "look 1 pending", "label 1 ready", "pack 1 pending"]);
    expect(answered(line, rework("weigh"))).toBe("done");
    expect(stands(line)).toEqual(["weigh 2 ready", "blend 1 pending", "look 1 pending", "label 1 ready", "pack 1 pending"]);
    expect(line.step("weigh")).toMatchObject({ startedAt: null, endedAt: null, evidence: [], ordinal: 0 });
    expect(attempts(line)).toContain("weigh 1 superseded");
    expect(line.model.evidence.map(({ attempt, item }) => [attempt, item.value])).toEqual([[1, "12.500"]]);
    expect(line.model.outcomes.slice(-2)).toMatchObject([
      { type: "step.superseded", data: { step: "weigh", attempt: 1 } },
      { type: "step.reopened", data: { step: "weigh", attempt: 2, to: { step: "ready" }, linked: "DEV-7" } },
    ]);
    line.when(scale.starts("weigh"), scale.weighs("12.510"), scale.completes("weigh"));
    expect(stands(line).slice(0, 2)).toEqual(["weigh 2 complete", "blend 1 ready"]);
    expect(line.model.evidence.map(({ attempt, item }) => [attempt, item.value])).toEqual([
      [1, "12.500"],
      [2, "12.510"],
    ]);
  });
  test("has whatever came of the step done again, and nothing else", () => {
    const line = on(plant, through("weigh", "blend", "look", "label"));
    expect(answered(line, rework("weigh"))).toBe("done");
    expect(stands(line)).toEqual(["weigh 2 ready", "blend 2 pending", "look 2 pending", "label 1 complete", "pack 1 pending"]);
    expect(attempts(line).filter((one) => one.endsWith("superseded"))).toEqual(["blend 1 superseded", "look 1 superseded", "weigh 1 superseded"]);
    line.when(done("weigh"), done("blend", mixer), done("look"), done("pack"));
    expect(line.batch().execution).toBe("complete");
  });
  test("leaves what was consumed as it was, once, with its attempt", () => {
    const line = on(plant, weighing());
    line.when(
      scale.says("material.consumed", { batch: "B-1", step: "weigh", data: { lot: "L-1", material: "salt", quantity: { value: "12.500", unit: "kg" } } }),
    );
    line.when(scale.weighs("12.500"), scale.completes("weigh"), rework("weigh"));
    expect(line.model.facts.filter(({ data }) => data["type"] === "material.consumed").map(({ attempt }) => attempt)).toEqual([1]);
    expect(line.model.outcomes.filter(({ type }) => type === "material.consumed").map(({ data }) => data["attempt"])).toEqual([1]);
  });
  test("makes what the old attempt still tells a matter for a person", () => {
    const line = on(plant, through("weigh"));
    line.when(rework("weigh"), scale.starts("weigh"));
    expect(line.when(scale.weighs("12.500", { attempt: 1 }))).toMatchObject([{ status: "quarantined", code: "LCK_STALE_TOKEN" }]);
    expect(line.when(scale.weighs("12.500", { attempt: 2 }))).toMatchObject([{ status: "accepted" }]);
    expect(answered(line, rework("weigh"))).toBe("STA_INVALID_TRANSITION");
  });
});

describe("a rework is refused", () => {
  const refused = (line: Line, act: Act): string => {
    const before = [stands(line), line.model.facts.length];
    const code = answered(line, act);
    expect([stands(line), line.model.facts.length]).toEqual(before);
    return code;
  };
  test("without a signature, a reason, or a deviation", () => {
    const line = on(plant, through("weigh"));
    expect(refused(line, rework("weigh", {}, {}))).toBe("SIG_MISSING");
    expect(refused(line, rework("weigh", {}, { actor: "machine:mes-1", role: "mes" }))).toBe("SIG_MISSING");
    expect(refused(line, rework("weigh", { reason: null }))).toBe("SIG_REASON_MISSING");
    expect(refused(line, stepCommand("rework", "weigh", {}, signedBy()))).toBe("STP_REWORK_NOT_AUTHORISED");
    expect(refused(line, rework("nothing"))).toBe("unknown");
  });
  for (const [name, acts] of [
    ["in progress", [mixer.starts("blend")]],
    ["paused", [mixer.starts("blend"), mixer.pauses("blend")]],
  ] as const)
    test(`while what comes after is ${name}, however far behind`, () => {
      const line = on(plant, through("weigh"));
      line.when(...acts);
      expect(line.answer(rework("weigh"))).toMatchObject({
        code: "STP_OPEN",
        reason: `What comes after step weigh is going on (blend: ${line.step("blend").state}).`,
      });
      const far = on(plant, through("weigh", "blend"), scale.starts("look"));
      expect(refused(far, rework("weigh"))).toBe("STP_OPEN");
    });
  test("while several steps that come after are going on: each is named", () => {
    const both = [...STEPS.slice(0, 2), ...["tumble", "press"].map((step) => ({ step, after: ["weigh"] }))];
    const line = on({ ...PLANT, recipes: [{ ...BLEND, ...JSON.parse(JSON.stringify({ steps: both })) }] }, through("weigh"));
    line.when(...["tumble", "press"].map((step) => stepCommand("start", step)));
    expect(line.answer(rework("weigh"))).toMatchObject({
      code: "STP_OPEN",
      reason: "What comes after step weigh is going on (tumble: in_progress, press: in_progress).",
    });
  });
  test("with what it lacks in words, and with what the state permits instead only where that is why", () => {
    const line = on(plant, running());
    expect(line.answer(rework("weigh", { reason: null }))).toMatchObject({ reason: "To rework a step, give a reason." });
    expect(line.answer(stepCommand("correct", "weigh", { reason: null }))).toMatchObject({ reason: "To correct evidence, give a reason." });
    expect(line.answer(stepCommand("rework", "weigh", {}, signedBy()))).toEqual({
      kind: "refused",
      code: "STP_REWORK_NOT_AUTHORISED",
      reason: "The recipe provides for no rework of step weigh; name the deviation that it is done under.",
      explanation: null,
    });
    const refusal = line.answer(rework("weigh"));
    expect(Object.keys(refusal).sort()).toEqual(["code", "explanation", "kind", "reason"]);
    expect(refusal).toMatchObject({
      explanation: { state: "ready", stateMachine: "step/governed@1", permitted: expect.arrayContaining(["signalbox.step.start.v1"]) },
    });
  });
  test("of a step that is not complete", () => {
    for (const line of [on(plant, running()), on(plant, weighing()), on(plant, weighing(), scale.pauses("weigh"))])
      expect(refused(line, rework("weigh"))).toBe("STA_INVALID_TRANSITION");
    const skipped = on(plant, through("weigh"), stepCommand("skip", "blend", {}, signedBy()));
    expect(refused(skipped, rework("blend"))).toBe("STA_TERMINAL");
    expect(refused(on(plant, weighing(), scale.aborts("weigh")), rework("weigh"))).toBe("STA_TERMINAL");
  });
  test("of a batch that has ended, and not of one that is paused", () => {
    const ended = given(running(), scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"), commands("stop"));
    expect(ended.answer(rework("weigh"))).toMatchObject({
      code: "CTX_BATCH_NOT_RUNNING",
      reason: "Batch B-1 is stopped; a step is done again while its batch is being executed.",
    });
    const paused = on(plant, through("weigh"), commands("pause"));
    expect(answered(paused, rework("weigh"))).toBe("done");
  });
  test("never behind a skipped step: what was skipped stays skipped, and what came of it is done again", () => {
    const line = on(plant, through("weigh"), stepCommand("skip", "blend", {}, signedBy()), done("look"));
    expect(answered(line, rework("weigh"))).toBe("done");
    expect(stands(line)).toEqual(["weigh 2 ready", "blend 1 skipped", "look 2 pending", "label 1 ready", "pack 1 pending"]);
  });
});

test("on whatever day, a step is complete only by what its own attempt has, behind what it depends on; each attempt but the last is superseded; all is decided again as it was", () => {
  const names = ["weigh", "blend", "look", "label", "pack"];
  const by = (step: string) => (step === "blend" ? mixer : step === "label" ? panel : scale);
  const acts: readonly Act[] = [
    ...names.flatMap((step) => [done(step, by(step)), done(step, by(step)), by(step).starts(step), by(step).completes(step), rework(step)]),
    scale.weighs("12.500"),
    commands("pause"),
    commands("resume"),
  ];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: acts.length - 1 }), { minLength: 4, maxLength: 24 }), fc.integer({ min: 1, max: 4 }), (order, size) => {
      const line = on(plant, running());
      for (let n = 0; n < order.length; n += size) line.together(...order.slice(n, n + size).flatMap((at) => acts[at] ?? []));
      const rows = line.model.stepsOfBatch.get("B-1") ?? [];
      for (const name of names) {
        const own = rows.filter(({ step }) => step === name).sort((a, b) => a.attempt - b.attempt);
        expect(own.map(({ attempt }) => attempt)).toEqual(own.map((_, n) => n + 1));
        expect(own.slice(0, -1).every(({ state }) => state === "superseded")).toBe(true);
        expect(own.at(-1)?.state).not.toBe("superseded");
        for (const { attempt, state } of own)
          if (name === "weigh" && ["complete", "superseded"].includes(state))
            expect(line.model.evidence.filter((e) => e.step === name && e.attempt === attempt)).toHaveLength(1);
        if (own.at(-1)?.startedAt == null) continue;
        for (const before of AFTER[name] ?? []) expect(line.step(before).state).toBe("complete");
      }
      const again = replay(line.model);
      expect(again.facts).toEqual(line.model.facts);
      expect(again.outcomes).toEqual(line.model.outcomes);
      // in which order a group puts its rows there says nothing
      const inOrder = (model: Model) => [...(model.stepsOfBatch.get("B-1") ?? [])].sort((a, b) => a.step.localeCompare(b.step) || a.attempt - b.attempt);
      expect(inOrder(again)).toEqual(inOrder(line.model));
    }),
    { numRuns: 60 },
  );
}, 60_000);
