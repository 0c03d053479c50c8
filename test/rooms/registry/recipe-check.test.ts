import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRecipe } from "../../../src/registry/recipe.ts";
import { checkRecipe } from "../../../src/registry/recipe-check.ts";
import { blend, mix, netWeight, weigh } from "./blend.ts";

// Promise: a recipe that cannot be completed is never bound to a batch; its author learns where and why, all at once.

const MACHINES = new Set(["batch/governed@1", "step/governed@1"]);
const problems = (content: unknown) => checkRecipe(parseRecipe(content), MACHINES);
const slot = (change: Record<string, unknown>) => blend({ steps: [weigh({ evidence: [netWeight(change)] })] });
const need = (role: string, className = role, locked = "step") => ({ role, class: className, locked });

test("the contract's recipe can be completed", () => {
  expect(problems(blend())).toEqual([]);
});

describe("a recipe is refused", () => {
  test.each([
    ["that makes nothing", blend({ quantity: { value: "0.000", unit: "kg" } }), "/quantity/value"],
    ["whose state machine is not registered", blend({ stateMachines: { batch: "batch/governed@2", step: "step/governed@1" } }), "/stateMachines/batch"],
    ["whose step machine is one for batches", blend({ stateMachines: { batch: "batch/governed@1", step: "batch/governed@1" } }), "/stateMachines/step"],
    ["whose range is empty", blend({ parameters: { salt: { unit: "kg", default: "12", min: "15", max: "10" } } }), "/parameters/salt/min"],
    ["whose default is below its range", blend({ parameters: { salt: { unit: "kg", default: "9.999", min: "10.000" } } }), "/parameters/salt/default"],
    [
      "whose default is above its range",
      blend({ parameters: { salt: { unit: "kg", default: "15.001", max: "15.000", scaled: true } } }),
      "/parameters/salt/default",
    ],
    ["with one step twice", blend({ steps: [weigh(), weigh()] }), "/steps/1/step"],
    ["with a step after one that there is not", blend({ steps: [weigh({ after: ["sieve"] })] }), "/steps/0/after/0"],
    ["with a step after itself", blend({ steps: [weigh({ after: ["weigh"] })] }), "/steps/0/after"],
    ["with steps that wait for each other", blend({ steps: [weigh({ after: ["blend"] }), mix()] }), "/steps/0/after"],
    ["whose patience is no duration", blend({ steps: [weigh({ patience: "5 s" })] }), "/steps/0/patience"],
    ["whose minimum is no duration", blend({ steps: [weigh(), mix({ duration: { min: "P1M" } })] }), "/steps/1/duration/min"],
    ["whose maximum is no duration", blend({ steps: [weigh(), mix({ duration: { max: "2S" } })] }), "/steps/1/duration/max"],
    ["whose minimum is longer than its maximum", blend({ steps: [weigh(), mix({ duration: { min: "PT2M", max: "PT90S" } })] }), "/steps/1/duration"],
    ["with one role twice in a step", blend({ steps: [weigh({ equipment: [need("scale"), need("scale")] })] }), "/steps/0/equipment/1/role"],
    ["with a role of two classes", blend({ steps: [weigh(), mix({ equipment: [need("scale", "balance")] })] }), "/steps/1/equipment/0/class"],
    ["with one evidence twice in a step", blend({ steps: [weigh({ evidence: [netWeight(), netWeight()] })] }), "/steps/0/evidence/1/evidence"],
    ["with a measurement without unit", slot({ unit: undefined, limits: undefined }), "/steps/0/evidence/0/unit"],
    ["with a text to match that is not scanned", slot({ match: "L-1" }), "/steps/0/evidence/0/match"],
    ["with evidence from a role that the step does not have", slot({ equipment: "mixer" }), "/steps/0/evidence/0/equipment"],
    ["with limits of a scan", slot({ kind: "scan", unit: undefined, limits: { low: "1" } }), "/steps/0/evidence/0/limits"],
    ["whose lower limit is above the upper", slot({ limits: { low: "35.0", high: "20" } }), "/steps/0/evidence/0/limits"],
    ["with limits by a parameter that there is not", slot({ limits: { parameter: "sugar" } }), "/steps/0/evidence/0/limits/parameter"],
    ["with limits by a name that every object has", slot({ limits: { parameter: "constructor" } }), "/steps/0/evidence/0/limits/parameter"],
    ["with evidence in another unit than its parameter", slot({ unit: "g" }), "/steps/0/evidence/0/unit"],
    ["whose tolerance is none", slot({ limits: { parameter: "salt", tolerance: "a little" } }), "/steps/0/evidence/0/limits/tolerance"],
    ["whose tolerance is in another unit", slot({ limits: { parameter: "salt", tolerance: "5 g" } }), "/steps/0/evidence/0/limits/tolerance"],
  ])("%s", (_, content, pointer) => {
    const found = problems(content).filter(({ severity }) => severity === "error");
    expect(found.map((each) => each.pointer)).toContain(pointer);
    for (const { problem } of found) expect(problem).toMatch(/^["A-Za-z].*\.$/);
  });
});

test("every problem is told at once", () => {
  const content = blend({ quantity: { value: "0", unit: "kg" }, steps: [weigh({ patience: "soon", after: ["sieve"] }), weigh()] });
  expect(problems(content).map(({ pointer }) => pointer)).toEqual(
    expect.arrayContaining(["/quantity/value", "/steps/0/patience", "/steps/0/after/0", "/steps/1/step"]),
  );
});

describe("two steps that need the same equipment for themselves", () => {
  test("side by side are possible, with a warning", () => {
    const found = problems(blend({ steps: [weigh(), weigh({ step: "weigh-again" })] }));
    expect(found.map(({ severity }) => severity)).toEqual(["warning"]);
  });

  test("one after the other, even by way of a third, are as usual", () => {
    expect(problems(blend({ steps: [weigh(), mix(), weigh({ step: "weigh-again", after: ["blend"] })] }))).toEqual([]);
  });
});

test("however steps that have an order are shuffled, they are taken; a step put before its own predecessor never is", () => {
  const ordered = fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 2, maxLength: 12 });
  fc.assert(
    fc.property(ordered, fc.nat(), (after, chance) => {
      const steps = after.map((before, n) => ({ step: `s${n}`, after: n === 0 ? [] : [...new Set([`s${n - 1}`, ...before.map((b) => `s${b % n}`)])] }));
      const shuffled = steps.map((step, n) => ({ step, key: (n * 7919 + chance) % 101 })).sort((a, b) => a.key - b.key);
      expect(problems(blend({ steps: shuffled.map(({ step }) => step) }))).toEqual([]);
      const last = steps.length - 1;
      const round = steps.map((step, n) => (n === chance % last ? { ...step, after: [...step.after, `s${last}`] } : step));
      expect(problems(blend({ steps: round })).some(({ severity, pointer }) => severity === "error" && pointer.endsWith("/after"))).toBe(true);
    }),
  );
});
