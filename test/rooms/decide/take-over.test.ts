// Promise: equipment is taken over from a batch, or from a step of it, only by a person who signs it. It is free from then on, under a higher token when it is taken next; a step that worked with it is
// paused and goes on only with the equipment in hand; what held it is told so, and has an exception without which it is not released; nothing is taken for its that another batch does meanwhile.
// Attack: no signature; locks that are gone, of others, or that never were; what the earlier holder's devices still tell; the other batch at work when the step is resumed, by people and by devices;
// random days with take-overs at any moment, by the account of which no equipment is ever held by two.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { permittedOfStep } from "../../../src/decide/judge-step.ts";
import type { Machines } from "../../../src/decide/machines.ts";
import { World } from "../../../src/decide/world.ts";
import { emptyRequest } from "../../../src/decide/world-request.ts";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
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
  signedBy,
  stepCommand,
  weighed,
  weighing,
} from "../../support/given.ts";
import { type Model, type ModelOptions, replay } from "../../support/model.ts";

const takes = (equipment: string, token: number, how: object = signedBy()): Act =>
  orders({ kind: "lock.takeover", equipment, token, reason: "needed for B-2" }, how);
const [WEIGH, STIR] = BLEND.steps;
/** A plant where the first step of the recipe says more. */
const where = (more: object): ModelOptions => ({ ...PLANT, recipes: [{ ...BLEND, ...{ steps: [{ ...WEIGH, ...more }, STIR] } }] });
const withoutPause = (machines: Machines): Machines => ({
  ...machines,
  step: (batch) => {
    const machine = machines.step(batch);
    const refused = { kind: "refused", code: "STA_INVALID_TRANSITION", notYet: false, checks: [], permitted: [] } as const;
    return { ...machine, next: (...asked) => (asked[1] === "step.pause" ? refused : machine.next(...asked)) };
  },
});
const open = (line: Line, equipment: string) =>
  line.model.openLocks(equipment).map(({ kind, batch, step, token }) => `${kind} ${batch} ${step ?? "-"} ${token}`);
const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
const permitted = (line: Line) => {
  const world = new World(line.model.read({ ...emptyRequest(), batches: new Set(["B-1"]), equipment: new Set(["scale-1"]) }));
  return permittedOfStep(world, line.model.machines, line.batch(), line.step("weigh"));
};
const told = (line: Line): readonly string[] => line.model.outcomes.map(({ type }) => type);
/** Batch B-2 runs with the same scale, and the mixer that is given. */
const second = (other = "mixer-2"): Act =>
  all(creates("B-2", { equipment: { scale: "scale-1", mixer: other } }), commands("release-to-floor", "B-2"), commands("start", "B-2"));
const inSecond = { batch: "B-2" } as const;

describe("an engagement that is taken over", () => {
  test("is free, and its step is paused, told so, and an exception", () => {
    const line = given(weighing());
    expect(open(line, "scale-1")).toEqual(["engagement B-1 weigh 1"]);
    expect(answered(line, takes("scale-1", 1))).toBe("done");
    expect(open(line, "scale-1")).toEqual([]);
    expect(line.step("weigh")).toMatchObject({ state: "paused", attempt: 1, endedAt: null });
    expect(line.model.outcomes.slice(-2)).toMatchObject([
      { type: "step.paused", stream: "batch/B-1", data: { step: "weigh", from: { step: "in_progress" }, to: { step: "paused" } } },
      {
        type: "context.taken-over",
        stream: "batch/B-1",
        data: { step: "weigh", attempt: 1, by: "scale-1", report: { lock: "engagement", role: "scale", token: 1, actor: "person:sam" } },
      },
    ]);
    expect(line.model.exceptions).toMatchObject([
      { code: "LCK_TAKEN_OVER", batch: "B-1", step: "weigh", attempt: 1, reason: "scale-1 was taken over from step weigh of batch B-1." },
    ]);
    expect(line.batch().openExceptions).toBe(1);
  });
  test("is taken over once, and by nobody without a signature", () => {
    const line = given(weighing());
    for (const how of [{}, { actor: "person:sam", role: "supervisor" }, { actor: "machine:mes", role: "mes" }])
      expect(answered(line, takes("scale-1", 1, how))).toBe("SIG_MISSING");
    expect(open(line, "scale-1")).toEqual(["engagement B-1 weigh 1"]);
    expect(line.exceptions()).toEqual([]);
    for (const [equipment, token] of [
      ["scale-1", 2],
      ["scale-2", 1],
      ["nobody", 1],
    ] as const)
      expect(line.answer(takes(equipment, token))).toEqual({ kind: "unknown", what: `open lock ${token} of ${equipment}` });
    expect(line.answer(takes("scale-1", 1))).toEqual({ kind: "done", created: false, batch: null, warnings: [] });
    expect(answered(line, takes("scale-1", 1))).toBe("unknown");
    expect(line.exceptions()).toEqual(["LCK_TAKEN_OVER"]);
  });
  test("lets another batch work with the equipment, under a higher token; what the first one's devices still tell counts for neither", () => {
    const line = given(weighing());
    line.when(second());
    expect(line.when(scale.starts("weigh", inSecond))).toMatchObject([{ status: "rejected", code: "LCK_CONFLICT" }]);
    line.when(takes("scale-1", 1));
    expect(line.when(scale.starts("weigh", inSecond))).toMatchObject([{ status: "accepted" }]);
    expect(open(line, "scale-1")).toEqual(["engagement B-2 weigh 2"]);
    expect(line.when(scale.weighs("12.500"))).toMatchObject([{ status: "quarantined", code: "CTX_WRONG_BATCH" }]);
    expect(line.when(scale.completes("weigh"))).toMatchObject([{ status: "rejected", code: "CTX_WRONG_BATCH" }]);
    expect(line.step("weigh").evidence).toEqual([]);
    expect(line.step("weigh", "B-2").evidence).toEqual([]);
    line.when(scale.weighs("12.500", inSecond), scale.completes("weigh", inSecond));
    expect(line.step("weigh", "B-2").state).toBe("complete");
    expect(line.step("weigh").state).toBe("paused");
  });
  test("is taken again when the step is resumed, and not while another holds it", () => {
    const line = given(weighing(), takes("scale-1", 1), second(), scale.starts("weigh", inSecond));
    const resume = (how: object = {}): Act => stepCommand("resume", "weigh", {}, how);
    const answer = line.answer(resume());
    expect(answer).toMatchObject({
      kind: "refused",
      code: "LCK_CONFLICT",
      reason: "The equipment is not free (scale-1: held by B-2/weigh).",
      explanation: {
        state: "paused",
        stateMachine: "step/governed@1",
        guards: expect.arrayContaining([expect.objectContaining({ guard: "equipment.free@1", ok: false })]),
      },
    });
    expect(line.step("weigh").state).toBe("paused");
    expect(line.when(scale.resumes("weigh"))).toMatchObject([{ status: "quarantined", code: "CTX_WRONG_BATCH" }]);
    line.when(scale.weighs("12.500", inSecond), scale.completes("weigh", inSecond));
    expect(open(line, "scale-1")).toEqual([]);
    expect(answered(line, resume())).toBe("done");
    expect(open(line, "scale-1")).toEqual(["engagement B-1 weigh 3"]);
    expect(line.when(scale.weighs("12.500"), scale.completes("weigh")).map(({ status }) => status)).toEqual(["accepted", "accepted"]);
    expect(line.step("weigh")).toMatchObject({ state: "complete", attempt: 1 });
    expect(open(line, "scale-1")).toEqual([]);
  });
  test("is not taken back by equipment, that of the step's other role neither: a person says that the step goes on", () => {
    const both = { role: "mixer", class: "mixer", locked: "step" };
    const line = on(where({ equipment: [...WEIGH.equipment, both] }), weighing());
    const { token = 0 } = line.model.openLocks("mixer-1").find(({ kind }) => kind === "engagement") ?? {};
    expect(answered(line, takes("mixer-1", token))).toBe("done");
    for (const [n, one] of [scale, mixer].entries())
      expect(line.when(one.resumes("weigh")), String(n)).toMatchObject([{ status: "quarantined", code: n === 0 ? "LCK_NOT_HELD" : expect.any(String) }]);
    expect(line.when(scale.weighs("12.500"))).toMatchObject([
      { status: "quarantined", code: "LCK_NOT_HELD", reason: expect.stringContaining("mixer-1: engaged in B-1/weigh") },
    ]);
    expect(open(line, "mixer-1")).toEqual(["allocation B-1 - 1"]);
    expect(line.step("weigh").state).toBe("paused");
    line.when(takes("scale-1", 1));
    const why = { code: "LCK_NOT_HELD", expected: "scale-1, mixer-1: engaged in B-1/weigh", actual: "scale-1: free, mixer-1: free", notYet: false };
    expect(line.when(scale.resumes("weigh"))[0]?.explanation).toMatchObject({
      state: "paused",
      permitted: [],
      guards: [
        { guard: "equipment.in-hand@1", ok: false, ...why },
        { guard: "batch.running@1", ok: true },
      ],
    });
    expect(answered(line, stepCommand("resume", "weigh"))).toBe("done");
    expect(open(line, "mixer-1")).toEqual(["allocation B-1 - 1", `engagement B-1 weigh ${token + 1}`]);
    expect(line.when(scale.weighs("12.500"))).toMatchObject([{ status: "accepted" }]);
  });
  test("is said to be with whom it is now, when equipment of another role speaks for the step", () => {
    const both = { role: "mixer", class: "mixer", locked: "step" };
    const line = on(where({ equipment: [...WEIGH.equipment, both] }), weighing(), takes("scale-1", 1), second(), scale.starts("weigh", inSecond));
    expect(line.when(mixer.resumes("weigh"))).toMatchObject([
      { code: "LCK_NOT_HELD", reason: expect.stringContaining("(expected scale-1: engaged in B-1/weigh; it is scale-1: B-2/weigh)") },
    ]);
  });
  test("gives no evidence of its step until it is taken again, and what it gave does not count for it afterwards", () => {
    // story: what was weighed while another might have used the scale waited, and was accepted when the step was resumed
    const line = given(weighing(), takes("scale-1", 1));
    expect(line.when(scale.weighs("12.500"))).toMatchObject([{ status: "quarantined", code: "LCK_NOT_HELD" }]);
    expect(line.when(scale.completes("weigh"))).toMatchObject([{ status: "rejected", code: "LCK_NOT_HELD" }]);
    expect(answered(line, stepCommand("resume", "weigh"))).toBe("done");
    expect(line.step("weigh")).toMatchObject({ state: "in_progress", evidence: [] });
    expect(line.when(scale.weighs("12.510"), scale.completes("weigh")).map(({ status }) => status)).toEqual(["accepted", "accepted"]);
  });
  test("gives none either when it says the batch alone, which held it in that step", () => {
    // story: such a weight waited for an engagement, and was accepted when the step was resumed
    const line = given(weighing(), takes("scale-1", 1));
    const unnamed = { step: null } as const;
    expect(line.when(scale.weighs("12.500", unnamed), scale.completes("weigh", unnamed))).toMatchObject([
      { status: "quarantined", code: "LCK_NOT_HELD", batch: "B-1", step: "weigh", attempt: 1 },
      { status: "rejected", code: "LCK_NOT_HELD", batch: "B-1", step: "weigh", attempt: 1 },
    ]);
    expect(line.when(scale.alarms({ batch: "B-1" }))).toMatchObject([{ status: "accepted", step: null }]);
    expect(answered(line, stepCommand("resume", "weigh"))).toBe("done");
    expect(line.step("weigh").evidence).toEqual([]);
    expect(line.when(scale.weighs("12.510", unnamed))).toMatchObject([{ status: "accepted", step: "weigh" }]);
  });
  test("of several steps that worked with it is of none of them, and gives evidence in none", () => {
    const steps = [STIR, { ...STIR, step: "stir" }].map(({ after: _, ...step }) => step);
    const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] }, creates("B-1", { equipment: { mixer: "mixer-1" } }));
    line.when(commands("release-to-floor"), commands("start"), mixer.starts("blend"), mixer.starts("stir"), takes("mixer-1", 1));
    expect(line.batch().steps.map(({ state }) => state)).toEqual(["paused", "paused"]);
    const warm = { batch: "B-1", data: { evidence: "end-temperature", value: "24.5", unit: "Cel" } };
    expect(line.when(mixer.says("step.evidence", warm))).toMatchObject([
      { status: "quarantined", code: "CTX_AMBIGUOUS", reason: expect.stringContaining("B-1/blend, B-1/stir") },
    ]);
  });
  test("of a step that is performed hinders nobody from verifying it", () => {
    const line = on(where({ verification: "second-person" }), weighed());
    expect(line.step("weigh").state).toBe("awaiting_verification");
    expect(answered(line, takes("scale-1", 1))).toBe("done");
    expect(line.step("weigh").state).toBe("awaiting_verification");
    expect(answered(line, stepCommand("verify", "weigh", {}, signedBy("rita", "qa_reviewer")))).toBe("done");
    expect(line.step("weigh").state).toBe("complete");
  });
  test("stands still too where the state machine has no pause: a person's next act in the step takes it again, where it is free", () => {
    const line = on({ ...PLANT, machines: withoutPause }, weighing(), takes("scale-1", 1), second(), scale.starts("weigh", inSecond));
    expect(line.step("weigh").state).toBe("in_progress");
    const evidence = { evidence: "net-weight", value: "12.500", unit: "kg" };
    expect(answered(line, stepCommand("evidence", "weigh", { evidence }))).toBe("LCK_CONFLICT");
    expect(answered(line, stepCommand("complete", "weigh"))).toBe("EVD_MISSING");
    line.when(scale.weighs("12.500", inSecond), scale.completes("weigh", inSecond));
    // the evidence that is missing besides is not told as the reason
    expect(line.when(scale.completes("weigh"))[0]?.explanation).toMatchObject({
      guards: [
        { guard: "equipment.in-hand@1", ok: false },
        { guard: "batch.running@1", ok: true },
        { guard: "evidence.dispositioned@1", ok: true },
        { guard: "duration.min@1", ok: true },
        { guard: "sources.gapless@1", ok: true },
      ],
    });
    expect(answered(line, stepCommand("evidence", "weigh", { evidence }))).toBe("done");
    expect(open(line, "scale-1")).toEqual(["engagement B-1 weigh 3"]);
    expect(answered(line, stepCommand("complete", "weigh"))).toBe("done");
  });
  test("is not taken again by a correction: what was given while it was in hand is corrected also while another works with it", () => {
    const line = given(weighing(), scale.weighs("12.500"), takes("scale-1", 1), second(), scale.starts("weigh", inSecond));
    expect(answered(line, stepCommand("correct", "weigh", { evidence: { evidence: "net-weight", value: "12.510", unit: "kg" } }))).toBe("done");
    expect(line.step("weigh")).toMatchObject({ state: "paused", evidence: [{ value: "12.510" }] });
    expect(open(line, "scale-1")).toEqual(["engagement B-2 weigh 2"]);
  });
  test("is told to be taken again by people alone, and only where it is free", () => {
    // story: a step whose scale was with another batch was said to be resumed by whoever liked, and refused all of them
    const line = given(weighing(), scale.pauses("weigh"));
    expect(permitted(line)).toMatchObject({
      ofDevices: expect.arrayContaining(["step.resume", "step.abort"]),
      ofPeople: expect.arrayContaining(["step.resume"]),
    });
    line.when(takes("scale-1", 1));
    const { ofDevices, ofPeople } = permitted(line);
    expect(ofPeople).toEqual(expect.arrayContaining(["step.resume", "step.abort"]));
    expect(ofDevices).toEqual(ofPeople.filter((name) => name !== "step.resume"));
    line.when(second(), scale.starts("weigh", inSecond));
    expect(permitted(line)).toEqual({ ofDevices, ofPeople: ofDevices });
  });
  test("of a step that is paused leaves it so", () => {
    const line = given(weighing(), scale.pauses("weigh"), takes("scale-1", 1));
    expect(line.step("weigh").state).toBe("paused");
    expect(told(line).slice(-2)).toEqual(["step.paused", "context.taken-over"]);
    expect(answered(line, stepCommand("resume", "weigh"))).toBe("done");
    expect(open(line, "scale-1")).toEqual(["engagement B-1 weigh 2"]);
  });
});

describe("an allocation that is taken over", () => {
  test("goes with what the batch does with the equipment, and with nothing else", () => {
    const line = given(weighed(), mixer.starts("blend"), scale.states("idle"));
    expect(open(line, "mixer-1")).toEqual(["allocation B-1 - 1", "engagement B-1 blend 2"]);
    line.when(takes("mixer-1", 1));
    expect(open(line, "mixer-1")).toEqual([]);
    expect(line.step("blend").state).toBe("paused");
    expect(told(line).slice(-3)).toEqual(["step.paused", "context.taken-over", "context.taken-over"]);
    expect(line.model.exceptions).toMatchObject([{ code: "LCK_TAKEN_OVER", batch: "B-1", step: "blend", attempt: 1 }]);
  });
  test("with which nothing is done yet is an exception of the batch; a step of it takes the equipment where that is free", () => {
    const line = given(weighed(), takes("mixer-1", 1));
    expect(line.model.exceptions).toMatchObject([{ batch: "B-1", step: null, attempt: null, reason: "mixer-1 was taken over from batch B-1." }]);
    expect(told(line).at(-1)).toBe("context.taken-over");
    line.when(second("mixer-1"));
    expect(open(line, "mixer-1")).toEqual(["allocation B-2 - 2"]);
    expect(line.when(mixer.starts("blend"))).toMatchObject([{ status: "rejected", code: "LCK_CONFLICT" }]);
    line.when(commands("stop", "B-2"));
    expect(line.when(mixer.starts("blend"))).toMatchObject([{ status: "accepted" }]);
    expect(open(line, "mixer-1")).toEqual(["engagement B-1 blend 3"]);
  });
  test("stays where only the engagement is taken over", () => {
    const line = given(weighed(), mixer.starts("blend"), takes("mixer-1", 2));
    expect(open(line, "mixer-1")).toEqual(["allocation B-1 - 1"]);
    line.when(ready("B-2"));
    expect(answered(line, commands("start", "B-2"))).toBe("LCK_CONFLICT");
    expect(answered(line, stepCommand("resume", "blend"))).toBe("done");
    expect(open(line, "mixer-1")).toEqual(["allocation B-1 - 1", "engagement B-1 blend 3"]);
  });
});

test("a batch from which something was taken over is not released before a person has disposed of that", () => {
  const line = given(weighing(), takes("scale-1", 1), commands("stop"));
  expect(line.batch()).toMatchObject({ execution: "stopped", openExceptions: 1 });
  const release: Act = orders({ kind: "batch.command", batch: "B-1", command: "release", reason: "as reviewed" }, signedBy("quinn", "qa_approver"));
  expect(answered(line, release)).toBe("QLT_EXCEPTION_OPEN");
  const [exception] = line.model.exceptions;
  const disposed = {
    kind: "exception.resolve",
    position: exception?.position ?? 0,
    ordinal: 1,
    disposition: "continue",
    linked: "DEV-4",
    reason: "seen",
  } as const;
  expect(answered(line, orders(disposed, signedBy("rita", "qa_reviewer")))).toBe("done");
  expect(line.exceptions()).toEqual([]);
});

describe("whatever happens", () => {
  const acts: readonly Act[] = [
    running(),
    second("mixer-1"),
    scale.starts("weigh"),
    scale.starts("weigh", inSecond),
    scale.weighs("12.500"),
    scale.completes("weigh"),
    scale.pauses("weigh"),
    scale.weighs("12.500", inSecond),
    scale.completes("weigh", inSecond),
    mixer.starts("blend"),
    mixer.starts("blend", inSecond),
    stepCommand("resume", "weigh"),
    stepCommand("resume", "blend"),
    commands("stop"),
    commands("stop", "B-2"),
    ...[1, 2, 3, 4, 5].flatMap((token) => [takes("scale-1", token), takes("mixer-1", token)]),
  ];
  test("no equipment is held by two, its tokens rise, a step at work holds what it works with; and the record says the same again", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...acts), { minLength: 5, maxLength: 40 }), (day) => {
        const line = given();
        for (const act of day) {
          line.when(act);
          apart(line.model);
          for (const batch of line.model.batches.keys())
            for (const { step, state } of line.batch(batch).steps)
              if (state === "in_progress")
                expect(
                  line.model.locks.some((lock) => lock.freed === null && lock.batch === batch && lock.step === step),
                  `${step} of ${batch}`,
                ).toBe(true);
        }
        replay(line.model);
      }),
      { numRuns: 60 },
    );
  });
});

function apart(model: Model): void {
  for (const equipment of ["scale-1", "mixer-1"]) {
    const locks = model.locks.filter((lock) => lock.equipment === equipment);
    expect(locks.map(({ token }) => token)).toEqual(locks.map((_, n) => n + 1));
    expect(new Set(locks.filter(({ freed }) => freed === null).map(({ batch }) => batch)).size).toBeLessThanOrEqual(1);
  }
}
