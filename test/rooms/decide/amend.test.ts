// Promise: a batch goes on under another revision of its recipe only by a signed amendment, and only where that says the same of all that has begun; from then on it is what everything is held against.
// Attack: everything that a revision can say otherwise, before and after the step that it is about has begun, and after the batch has started; without a signature; a revision that there is not; random days.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
  all,
  amends,
  commands,
  creates,
  type Line,
  mixer,
  on,
  PLANT,
  ready,
  running,
  scale,
  signedBy,
  stepCommand,
  told,
  weighed,
  weighing,
} from "../../support/given.ts";
import { replay } from "../../support/model.ts";

const [WEIGH, STIR] = BLEND.steps;
const revised = (revision: number, more: object = {}, weigh: object = {}, stir: object = {}) => ({
  ...BLEND,
  revision,
  steps: [
    { ...WEIGH, ...weigh },
    { ...STIR, ...stir },
  ],
  ...more,
});
const hotter = { evidence: [{ ...STIR.evidence[0], limits: { low: "20", high: "60" } }] };
const salt = (value: string) => ({ parameters: { salt: { ...BLEND.parameters.salt, default: value } } });
const REVISIONS = {
  hotter: revised(4, {}, {}, hotter),
  slower: revised(5, {}, { patience: "PT9S" }),
  saltier: revised(6, salt("12.600")),
  otherMachine: revised(7, {}, {}, { equipment: [{ role: "mixer", class: "mixer", locked: "step" }] }),
  sooner: revised(8, {}, {}, { after: [] }),
  longer: revised(9, { steps: [...BLEND.steps, { step: "pack" }] }),
  otherProduct: revised(10, { product: "P-200" }),
  otherUnit: revised(11, { quantity: { value: "25.000", unit: "g" } }),
  otherMachines: revised(12, { stateMachines: { ...BLEND.stateMachines, step: "step/other@1" } }),
  tooSalty: revised(13, salt("15.100")),
  otherBatchMachine: revised(14, { stateMachines: { ...BLEND.stateMachines, batch: "batch/other@1" } }),
  inOtherWords: revised(16, {}, { after: [] }),
  otherClass: revised(15, {}, {}, { equipment: [{ role: "mixer", class: "press", locked: "batch" }] }),
} as const;
const plant = { ...PLANT, recipes: [BLEND, ...JSON.parse(JSON.stringify(Object.values(REVISIONS)))] };
const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
const reasonOf = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.reason : answer.kind;
};
const revisionOf = (line: Line): number => line.batch().recipe.revision;
const no = (name: keyof typeof REVISIONS) => REVISIONS[name].revision;

describe("an amendment", () => {
  test("binds the batch to the other revision, and what follows is held against it", () => {
    const line = on(plant, weighing());
    expect(line.answer(amends(no("hotter")))).toMatchObject({ kind: "done", created: false, batch: { recipe: "blend@4" } });
    expect(line.batch().recipeHash).toBe(line.model.definitions.recipe("blend@4")?.hash);
    expect(line.model.outcomes.at(-1)).toMatchObject({ type: "batch.amended", data: { recipe: "blend@4", amended: { from: "blend@3", to: "blend@4" } } });
    const stays = { batch: "running", disposition: "not_reviewed" };
    expect(line.model.outcomes.at(-1)?.data).toMatchObject({ from: stays, to: stays });
    const fact = line.model.facts.at(-1);
    expect(fact).toMatchObject({ kind: "batch.amended", from: "blend@3", to: "blend@4" });
    expect(fact?.data).toEqual({ recipeHash: line.batch().recipeHash, parameters: line.batch().parameters });
    line.when(scale.weighs("12.500"), scale.completes("weigh"));
    expect(told(line.when(mixer.starts("blend", { more: { reciperevision: "blend@3" } })))).toEqual(["rejected REV_MISMATCH"]);
    expect(told(line.when(mixer.starts("blend", { more: { reciperevision: "blend@4" } }), mixer.gives("blend", "end-temperature", "50", "Cel")))).toEqual([
      "accepted",
      "accepted",
    ]);
  });
  test("changes what steps ask that have not begun, parameters too", () => {
    const line = on(plant, ready());
    expect(answered(line, amends(no("saltier")))).toBe("done");
    expect(line.batch().parameters).toEqual({ salt: { value: "12.600", unit: "kg" } });
    line.when(commands("start"), scale.starts("weigh"));
    expect(told(line.when(scale.weighs("12.650")))).toEqual(["accepted"]);
  });
  test("is taken more than once, also in one group, and back again", () => {
    const line = on(plant, running());
    line.together(amends(no("hotter")), amends(no("slower")));
    expect(revisionOf(line)).toBe(5);
    line.together(amends(no("hotter")), amends(3), amends(no("saltier")));
    expect(revisionOf(line)).toBe(6);
    expect(answered(line, amends(3))).toBe("done");
    expect(line.batch().parameters).toEqual({ salt: { value: "12.500", unit: "kg" } });
  });
  test("may say in other words that a step comes after none", () => {
    expect(answered(on(plant, running()), amends(no("inOtherWords")))).toBe("done");
  });
  test("may follow when a step has begun whose evidence has no limits, or limits of its own", () => {
    const counts = { step: "count", evidence: [{ evidence: "pieces", kind: "count", count: 1 }] };
    const bare = { step: "look" };
    const own = { step: "feel", evidence: [{ evidence: "heat", kind: "measurement", unit: "Cel", count: 1, limits: { low: "20", high: "35" } }] };
    const of = (revision: number, value: string) => revised(revision, { ...salt(value), steps: [...BLEND.steps, counts, bare, own] });
    const recipes = JSON.parse(JSON.stringify([of(3, "12.500"), of(4, "12.600")]));
    const line = on({ ...plant, recipes }, running(), ...["count", "look", "feel"].map((step) => stepCommand("start", step)));
    expect(line.batch().steps.map(({ state }) => state)).toEqual(["ready", "pending", "in_progress", "in_progress", "in_progress"]);
    expect(line.answer(amends(4))).toMatchObject({ kind: "done", created: false });
  });
  test("may say otherwise of a step that is done again and has not begun anew", () => {
    const line = on(plant, weighed());
    expect(answered(line, amends(no("slower")))).toBe("REV_NOT_AMENDABLE");
    line.when(stepCommand("rework", "weigh", { linked: "DEV-7" }, signedBy()));
    expect(answered(line, amends(no("slower")))).toBe("done");
  });
});

describe("an amendment is refused", () => {
  test("without a signature, a reason, or a revision that there is", () => {
    const line = on(plant, running());
    for (const how of [{}, { actor: "machine:mes-1", role: "mes" }, { actor: "person:elsa", role: "engineer" }])
      expect(answered(line, amends(4, how))).toBe("SIG_MISSING");
    expect(answered(line, amends(4, signedBy(), null))).toBe("SIG_REASON_MISSING");
    for (const revision of [99, undefined]) expect(answered(line, amends(revision))).toBe("REV_NOT_EFFECTIVE");
    expect(reasonOf(line, amends(99))).toBe("No recipe blend@99 is registered.");
    expect(reasonOf(line, amends(3))).toBe("Batch B-1 is bound to blend@3 already.");
    expect(line.facts("batch.amended")).toEqual([]);
  });
  test("while nobody has approved the revision", () => {
    const line = on({ ...plant, awaiting: ["blend@4"] }, running());
    expect(answered(line, amends(no("hotter")))).toBe("REV_NOT_APPROVED");
    expect(reasonOf(line, amends(no("hotter")))).toBe("Recipe blend@4 is registered, and nobody has approved it yet.");
    expect(answered(line, amends(no("slower")))).toBe("done");
  });
  const never: readonly (readonly [keyof typeof REVISIONS, string])[] = [
    ["otherProduct", "blend@10 has another product: P-200, and not P-100."],
    ["otherUnit", "blend@11 has another unit: g, and not kg."],
    ["otherMachines", "blend@12 has another state machine of steps: step/other@1, and not step/governed@1."],
    ["otherBatchMachine", "blend@14 has another state machine of the batch: batch/other@1, and not batch/governed@1."],
    ["sooner", "blend@8 has other steps, or another order of them."],
    ["longer", "blend@9 has other steps, or another order of them."],
  ];
  for (const [name, reason] of never)
    test(`to what is another batch: ${name}`, () => {
      for (const line of [on(plant, creates()), on(plant, running())])
        expect(line.answer(amends(no(name)))).toMatchObject({ code: "REV_NOT_AMENDABLE", reason });
    });
  test("to other equipment once the batch has started, and to equipment that it does not have", () => {
    expect(answered(on(plant, ready()), amends(no("otherMachine")))).toBe("done");
    expect(reasonOf(on(plant, running()), amends(no("otherMachine")))).toBe("blend@7 has other equipment in step blend, and batch B-1 has started.");
    expect(answered(on(plant, ready()), amends(no("otherClass")))).toBe("EQP_CONFIG_MISMATCH");
  });
  test("to what says otherwise of a step that has begun, by itself or by a parameter", () => {
    for (const begun of [weighing(), all(weighing(), scale.pauses("weigh")), weighed(), all(weighing(), scale.aborts("weigh"))]) {
      const line = on(plant, begun);
      expect(reasonOf(line, amends(no("slower")))).toBe("blend@5 says otherwise of step weigh, which has begun.");
      expect(reasonOf(line, amends(no("saltier")))).toBe("blend@6 has another salt, by which evidence of step weigh was judged, which has begun.");
      expect(answered(line, amends(no("hotter")))).toBe("done");
    }
    for (const name of ["slower", "saltier"] as const) expect(answered(on(plant, running()), amends(no(name)))).toBe("done");
    const skipped = on(plant, running(), stepCommand("skip", "blend", {}, signedBy()));
    expect(answered(skipped, amends(no("hotter")))).toBe("REV_NOT_AMENDABLE");
  });
  test("where a parameter would leave its range, and when the batch has ended", () => {
    expect(answered(on(plant, running()), amends(no("tooSalty")))).toBe("PAR_OOS");
    expect(answered(on(plant, running(), commands("stop")), amends(4))).toBe("STA_INVALID_TRANSITION");
    expect(answered(on(plant, running(), commands("stop"), commands("close")), amends(4))).toBe("STA_TERMINAL");
  });
});

test("on whatever day, what began under a revision is held against the same words to its end, and all is decided again as it was", () => {
  const acts: readonly Act[] = [
    ...Object.values(REVISIONS).map(({ revision }) => amends(revision)),
    amends(3),
    scale.starts("weigh"),
    scale.weighs("12.500"),
    scale.completes("weigh"),
    mixer.starts("blend"),
    commands("pause"),
    commands("resume"),
    stepCommand("rework", "weigh", { linked: "DEV-1" }, signedBy()),
  ];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: acts.length - 1 }), { maxLength: 20 }), fc.integer({ min: 1, max: 3 }), (order, size) => {
      const line = on(plant, running());
      const begun = new Map<string, string>();
      for (let n = 0; n < order.length; n += size) {
        line.together(...order.slice(n, n + size).flatMap((at) => acts[at] ?? []));
        for (const { step, attempt, startedAt } of line.batch().steps) {
          if (startedAt === null) continue;
          const said = JSON.stringify([line.batch().recipe.steps.find((one) => one.step === step), step === "weigh" ? line.batch().parameters : null]);
          const key = `${step} ${attempt}`;
          expect(begun.get(key) ?? said).toBe(said);
          begun.set(key, said);
        }
      }
      const again = replay(line.model);
      expect(again.facts).toEqual(line.model.facts);
      expect({ ...again.batch("B-1"), version: 0 }).toEqual({ ...line.model.batch("B-1"), version: 0 });
    }),
    { numRuns: 60 },
  );
}, 60_000);
