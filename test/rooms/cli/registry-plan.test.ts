// Which request registers which file, and the sample plant itself: its recipes are well formed and can be completed.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readDocuments } from "../../../src/cli/registry-apply.ts";
import { plan } from "../../../src/cli/registry-plan.ts";
import { parseRecipe } from "../../../src/registry/recipe.ts";
import { checkRecipe } from "../../../src/registry/recipe-check.ts";
import { BLEND } from "../../support/blend.ts";

const plant = resolve(import.meta.dirname, "../../../examples/plant");
const file = "x.json";

describe("a document becomes the request that registers it", () => {
  test.each([
    ["recipes", { recipe: "blend", revision: 3 }, "/v1/registry/recipes/blend/revisions/3"],
    ["state-machines", { name: "step/own", revision: 2 }, "/v1/registry/state-machines/step.own/revisions/2"],
    ["equipment", { site: "rtm1", equipment: "scale-1", line: "4", class: "scale" }, "/v1/sites/rtm1/registry/equipment/scale-1"],
    ["sources", { source: "/site/rtm1/line/4/eq/scale-1/device/probe" }, "/v1/sites/rtm1/registry/sources/scale-1.probe"],
    ["sources", { source: "/site/rtm1/line/4/eq/scale-1", revoked: true }, "/v1/sites/rtm1/registry/sources/scale-1"],
  ] as const)("%s %j", (kind, content, path) => {
    expect(plan({ kind, file, content }, null)).toMatchObject({ kind: "put", path });
  });

  test("equipment takes the site of the command where it names none, and leaves its own out of the body", () => {
    expect(plan({ kind: "equipment", file, content: { equipment: "scale-1", line: "4", class: "scale" } }, "ams2")).toMatchObject({
      path: "/v1/sites/ams2/registry/equipment/scale-1",
    });
    expect(plan({ kind: "equipment", file, content: { site: "rtm1", equipment: "scale-1", line: "4", class: "scale" } }, "ams2")).toMatchObject({
      path: "/v1/sites/rtm1/registry/equipment/scale-1",
      body: { equipment: "scale-1", line: "4", class: "scale" },
    });
  });

  test.each([
    ["recipes", { recipe: "blend" }, /revision/],
    ["state-machines", [], /./],
    ["equipment", { equipment: "scale-1" }, /names no site/],
    ["sources", { source: "scale-1" }, /looks like/],
  ] as const)("%s %j is refused with a reason, and asks nothing", (kind, content, reason) => {
    expect(plan({ kind, file, content }, null)).toMatchObject({ kind: "refused", reason: expect.stringMatching(reason) });
  });
});

describe("the sample plant", () => {
  test("is read in the order in which it can be registered", () => {
    const kinds = readDocuments(plant).map(({ kind }) => kind);
    expect(kinds).toEqual(["equipment", "equipment", "equipment", "equipment", "recipes", "recipes"]);
  });

  test("has the contract's recipe as it stands there, and one that nothing speaks against", () => {
    const read = (name: string): unknown => JSON.parse(readFileSync(resolve(plant, "recipes", name), "utf8"));
    expect(read("blend.3.json")).toEqual(BLEND);
    for (const name of ["blend.3.json", "tablet-mix.1.json"])
      expect(checkRecipe(parseRecipe(read(name)), new Set(["batch/governed@1", "step/governed@1"]))).toEqual([]);
  });
});
