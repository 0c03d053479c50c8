import { describe, expect, test } from "vitest";
import { compile } from "../../src/decide/state-machine.ts";
import { type Answers, allHold, codeOf, compiledBatch, compiledFlat, definitionOf, failing, guardsIn, guardsNamed, waiting } from "./shipped.ts";

const step = compiledFlat("step/governed");

describe("a refusal", () => {
  test("tells every guard of the pair in the order of explanation, and takes its code from the first that failed", () => {
    const said = step.next("ready", "step.start", failing("recipe.revision@1", "equipment.free@1"));
    expect(said).toMatchObject({
      kind: "refused",
      code: codeOf("recipe.revision@1"),
      checks: [
        { guard: "batch.running@1", ok: true },
        { guard: "predecessors.complete@1", ok: true },
        { guard: "recipe.revision@1", ok: false, code: codeOf("recipe.revision@1"), notYet: false, expected: "recipe.revision@1 holds", actual: "it does not" },
        { guard: "equipment.assigned@1", ok: true },
        { guard: "equipment.free@1", ok: false },
      ],
    });
  });

  test("is only not yet when every failed guard is", () => {
    expect(step.next("in_progress", "step.complete", waiting("evidence.complete@1", "verification.required@1"))).toMatchObject({
      kind: "refused",
      notYet: true,
    });
    const both: Answers = { failing: new Map([...waiting("evidence.complete@1").failing, ...failing("duration.min@1", "verification.required@1").failing]) };
    expect(step.next("in_progress", "step.complete", both)).toMatchObject({ kind: "refused", notYet: false, code: codeOf("evidence.complete@1") });
  });

  test("of a pair that no table row takes is never not yet, and blames no guard", () => {
    expect(step.next("awaiting_verification", "step.start", waiting("batch.running@1"))).toMatchObject({
      kind: "refused",
      code: "STA_INVALID_TRANSITION",
      notYet: false,
      checks: [],
    });
  });

  test("in a state that has ended says so, although rework may still leave it", () => {
    expect(step.next("complete", "step.start", allHold)).toMatchObject({ kind: "refused", code: "STA_TERMINAL" });
    expect(step.next("complete", "step.rework", allHold)).toMatchObject({ kind: "moved", to: "superseded" });
  });

  test("says what would be permitted without the refused signal", () => {
    const said = step.next(
      "in_progress",
      "step.complete",
      failing("evidence.complete@1", "evidence.expected@1", "verification.required@1"),
      failing("evidence.complete@1"),
    );
    expect(said.kind === "refused" && said.permitted).toEqual(expect.arrayContaining(["step.evidence", "step.pause", "step.abort"]));
    expect(said.kind === "refused" && said.permitted).not.toContain("step.complete");
  });

  test("meets names that nobody has thought of, those of JavaScript objects too", () => {
    for (const name of ["step.invented", "*", "", "constructor", "__proto__", "toString", "xstate.init", "xstate.stop", "xstate.done.state.step"]) {
      expect({ name, ...step.next("in_progress", name, allHold) }).toMatchObject({ name, kind: "refused", code: "STA_INVALID_TRANSITION", checks: [] });
    }
  });
});

describe("a step that asks to complete", () => {
  test("goes to verification where the recipe asks for a second person", () => {
    expect(step.next("in_progress", "step.complete", allHold)).toMatchObject({ kind: "moved", to: "awaiting_verification", self: false });
  });

  test("is complete where it does not", () => {
    expect(step.next("in_progress", "step.complete", failing("verification.required@1"))).toMatchObject({ kind: "moved", to: "complete" });
  });

  test("is refused for what it lacks, not for needing no second person", () => {
    const lacking: Answers = { failing: new Map([...failing("verification.required@1").failing, ...waiting("evidence.complete@1").failing]) };
    const said = step.next("in_progress", "step.complete", lacking);
    expect(said).toMatchObject({ kind: "refused", code: codeOf("evidence.complete@1"), notYet: true });
    expect(said.checks.map(({ guard }) => guard)).not.toContain("verification.required@1");
  });
});

describe("what is permitted", () => {
  test("leaves out what a step only takes once it has begun", () => {
    expect(step.permitted("ready", failing("step.begun@1", "signature.present@1"))).not.toEqual(expect.arrayContaining(["step.evidence"]));
    expect(step.permitted("ready", failing("step.begun@1", "signature.present@1"))).toContain("step.start");
  });
});

describe("regions", () => {
  const batch = compiledBatch();

  test("move together when the last step is complete", () => {
    expect(batch.next({ execution: "running", disposition: "not_reviewed" }, "batch.steps-complete", allHold)).toMatchObject({
      kind: "moved",
      to: { execution: "complete", disposition: "pending_review" },
    });
  });

  test("stay together when the execution's guard fails", () => {
    const said = batch.next({ execution: "running", disposition: "not_reviewed" }, "batch.steps-complete", waiting("steps.complete@1"));
    expect(said).toMatchObject({ kind: "refused", code: codeOf("steps.complete@1"), notYet: true });
  });

  test("let quality dispose of a batch that is closed", () => {
    expect(batch.next({ execution: "closed", disposition: "pending_review" }, "batch.release", allHold)).toMatchObject({
      kind: "moved",
      to: { execution: "closed", disposition: "released" },
    });
  });
});

describe("compiling", () => {
  const definition = definitionOf("step/governed");
  const names = guardsIn(definition.machine);

  test("refuses a machine that names a guard nobody registered", () => {
    for (const name of names) {
      const others = guardsNamed(names.filter((other) => other !== name));
      expect(() => compile<string, Answers>(definition, others)).toThrow(name);
    }
  });

  test("lets a guard's own failure through, and the next question is answered again", () => {
    let broken = true;
    const guards = new Map(guardsNamed(names));
    guards.set("equipment.engaged@1", () => {
      if (broken) throw new Error("the guard broke");
      return { ok: true };
    });
    const machine = compile<string, Answers>(definition, guards);
    expect(() => machine.next("in_progress", "step.pause", allHold)).toThrow("the guard broke");
    broken = false;
    expect(machine.next("in_progress", "step.pause", allHold)).toMatchObject({ kind: "moved", to: "paused" });
  });

  test("makes the same machine however its keys are ordered, as a database may", () => {
    const reversed = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(reversed)
        : typeof value === "object" && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, item]) => [key, reversed(item)]),
            )
          : value;
    const other = compile<string, Answers>(reversed(definition), guardsNamed(names));
    for (const state of Object.keys(definition.machine.states)) {
      for (const event of step.events) {
        const { permitted: _, ...before } = { permitted: [], ...step.next(state, event, allHold) };
        const { permitted: __, ...after } = { permitted: [], ...other.next(state, event, allHold) };
        expect(after).toEqual(before);
      }
    }
  });
});
