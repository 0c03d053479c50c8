import { describe, expect, test } from "vitest";
import { parseRecipe, recipeSchema } from "../../../src/registry/recipe.ts";
import { blend, mix, netWeight, weigh } from "./blend.ts";

const issues = (content: unknown): readonly string[] => {
  const parsed = recipeSchema.safeParse(content);
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => `/${path.map(String).join("/")}`);
};

test("the contract's recipe is taken as it stands", () => {
  expect(parseRecipe(blend())).toEqual(blend());
});

test("what a recipe leaves out has its default: one piece of evidence, no parameters, nothing scaled", () => {
  const { evidence, kind, unit } = { evidence: "net-weight", kind: "measurement", unit: "kg" };
  const recipe = parseRecipe(blend({ parameters: { salt: { unit: "kg", default: "1" } }, steps: [weigh({ evidence: [{ evidence, kind, unit }] })] }));
  expect(recipe.steps[0]?.evidence?.[0]?.count).toBe(1);
  expect(recipe.parameters["salt"]?.scaled).toBe(false);
  const { parameters: _, ...without } = blend({ steps: [{ step: "mix" }] });
  expect(parseRecipe(without).parameters).toEqual({});
});

describe("an unknown field is refused", () => {
  test.each([
    ["in the recipe", blend({ colour: "red" })],
    ["in the quantity", blend({ quantity: { value: "1", unit: "kg", about: true } })],
    ["in the state machines", blend({ stateMachines: { batch: "batch/governed@1", step: "step/governed@1", lot: "lot/x@1" } })],
    ["in a parameter", blend({ parameters: { salt: { unit: "kg", default: "1", maximum: "2" } } })],
    ["in a step", blend({ steps: [weigh({ colour: "red" })] })],
    ["in a role", blend({ steps: [weigh({ equipment: [{ role: "scale", class: "scale", locked: "step", spare: 1 }] })] })],
    ["in a slot", blend({ steps: [weigh({ evidence: [netWeight({ colour: "red" })] })] })],
    ["in limits", blend({ steps: [weigh({ evidence: [netWeight({ limits: { low: "1", about: "2" } })] })] })],
    ["in a duration", blend({ steps: [mix({ duration: { min: "PT1S", mean: "PT2S" } })] })],
  ])("%s", (_, content) => {
    expect(issues(content)).toHaveLength(1);
  });
});

describe("a recipe is refused", () => {
  test.each([
    ["without steps", blend({ steps: [] }), "/steps"],
    ["with a revision of nought", blend({ revision: 0 }), "/revision"],
    ["with a revision as text", blend({ revision: "3" }), "/revision"],
    ["with a name that no topic can carry", blend({ recipe: "blend/3" }), "/recipe"],
    ["with a quantity as a number", blend({ quantity: { value: 25, unit: "kg" } }), "/quantity/value"],
    ["with an exponent", blend({ quantity: { value: "2.5e1", unit: "kg" } }), "/quantity/value"],
    ["with a unit in words", blend({ quantity: { value: "25", unit: "kilo gram" } }), "/quantity/unit"],
    ["with a state machine without revision", blend({ stateMachines: { batch: "batch/governed", step: "step/governed@1" } }), "/stateMachines/batch"],
    ["with a kind of evidence that there is not", blend({ steps: [weigh({ evidence: [netWeight({ kind: "guess" })] })] }), "/steps/0/evidence/0/kind"],
    ["with a count of nought", blend({ steps: [weigh({ evidence: [netWeight({ count: 0 })] })] }), "/steps/0/evidence/0/count"],
    [
      "with a lock of neither step nor batch",
      blend({ steps: [weigh({ equipment: [{ role: "a", class: "a", locked: "line" }] })] }),
      "/steps/0/equipment/0/locked",
    ],
    [
      "with limits both literal and by parameter",
      blend({ steps: [weigh({ evidence: [netWeight({ limits: { low: "1", parameter: "salt" } })] })] }),
      "/steps/0/evidence/0/limits",
    ],
    ["with limits that name nothing", blend({ steps: [weigh({ evidence: [netWeight({ limits: {} })] })] }), "/steps/0/evidence/0/limits"],
    [
      "with a tolerance of literal limits",
      blend({ steps: [weigh({ evidence: [netWeight({ limits: { low: "1", tolerance: "1 %" } })] })] }),
      "/steps/0/evidence/0/limits/tolerance",
    ],
    ["with a verification that there is not", blend({ steps: [weigh({ verification: "robot" })] }), "/steps/0/verification"],
  ])("%s", (_, content, pointer) => {
    expect(issues(content)).toEqual([pointer]);
  });
});
