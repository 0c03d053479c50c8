import { describe, expect, test } from "vitest";
import { type Claim, type ContextView, resolveContext } from "../../../src/authorise/context.ts";
import type { ContextLock, EquipmentState } from "../../../src/authorise/execution-context.ts";
import { given, running, weighing } from "../../support/given.ts";

// A topic is a label: the context is what the event claims, held against what is locked, or what is locked where nothing is claimed.

const batch = given(weighing()).batch();

const lock = (step: string, more: Partial<ContextLock> = {}): ContextLock => ({
  equipment: "scale-1",
  kind: "engagement",
  batch: "B-1",
  step,
  attempt: 1,
  role: "scale",
  locked: "batch",
  token: 1,
  takenAt: 4,
  ...more,
});

const view = (...locks: readonly ContextLock[]): ContextView => {
  const equipment: EquipmentState = {
    equipment: "scale-1",
    line: "4",
    class: "scale",
    version: 1,
    token: 9,
    state: null,
    stateEpoch: null,
    stateSequence: null,
    locks,
  };
  return { batch: (id) => (id === "B-1" ? batch : undefined), equipment: (id) => (id === "scale-1" ? equipment : undefined) };
};

const claim = (more: Partial<Claim> = {}): Claim => ({
  equipment: "scale-1",
  batch: null,
  step: null,
  attempt: null,
  needs: "required",
  about: "step",
  starts: false,
  ...more,
});

const resolved = (of: ContextView, asked: Claim) => {
  const found = resolveContext(of, asked);
  return found.kind === "refused"
    ? `${found.code}${found.notYet ? ", not yet" : ""} (${found.waits.join(" ")})`
    : `${found.batch?.batch ?? "none"}/${found.step?.step ?? "none"} from ${found.from}`;
};

describe("an event that claims no context", () => {
  test("takes it from the one open engagement of its equipment", () => {
    expect(resolved(view(lock("weigh")), claim())).toBe("B-1/weigh from lock");
  });
  test("takes it from one context that the equipment holds in two roles", () => {
    expect(resolved(view(lock("weigh"), lock("weigh", { role: "tare", token: 2 })), claim())).toBe("B-1/weigh from lock");
  });
  test("is not placed by an allocation, which is no engagement", () => {
    expect(resolved(view(lock("weigh", { kind: "allocation", step: null, attempt: null })), claim())).toBe("CTX_MISSING, not yet (equipment:scale-1)");
  });
  test("waits for an engagement where there is none", () => {
    expect(resolved(view(), claim())).toBe("CTX_MISSING, not yet (equipment:scale-1)");
  });
  test("is ambiguous where there are several", () => {
    expect(resolved(view(lock("weigh"), lock("blend", { token: 2 })), claim())).toBe("CTX_AMBIGUOUS ()");
  });
  test("is refused for good when its type must claim", () => {
    expect(resolved(view(lock("weigh")), claim({ needs: "claim" }))).toBe("CTX_MISSING ()");
  });
  test("is decided without one when its type needs none", () => {
    expect(resolved(view(), claim({ needs: "optional" }))).toBe("none/none from none");
    expect(resolved(view(lock("weigh"), lock("blend", { token: 2 })), claim({ needs: "optional" }))).toBe("none/none from none");
    expect(resolved(view(lock("weigh")), claim({ needs: "optional" }))).toBe("B-1/weigh from lock");
  });
});

describe("an event that claims its context", () => {
  test("has it when it agrees with the lock, or when nothing is locked", () => {
    expect(resolved(view(lock("weigh")), claim({ batch: "B-1", step: "weigh" }))).toBe("B-1/weigh from claim");
    expect(resolved(view(), claim({ batch: "B-1", step: "weigh" }))).toBe("B-1/weigh from claim");
  });
  test("may name the batch alone, and takes the step from the lock", () => {
    expect(resolved(view(lock("weigh")), claim({ batch: "B-1" }))).toBe("B-1/weigh from claim");
    expect(resolved(view(lock("weigh"), lock("blend", { token: 2 })), claim({ batch: "B-1" }))).toBe("CTX_AMBIGUOUS ()");
    const before = given(running()).batch();
    expect(resolved({ ...view(), batch: () => before }, claim({ batch: "B-1" }))).toBe("CTX_MISSING, not yet (equipment:scale-1)");
  });
  test("may name the batch alone, and takes the step from which its equipment was taken over, where an event must be of one", () => {
    expect(resolved(view(), claim({ batch: "B-1" }))).toBe("B-1/weigh from claim");
    expect(resolved(view(), claim({ batch: "B-1", needs: "optional" }))).toBe("B-1/none from claim");
    expect(resolved(view(), claim({ batch: "B-1", needs: "claim" }))).toBe("CTX_MISSING ()");
    expect(resolved(view(lock("weigh", { batch: "B-2" })), claim({ batch: "B-1" }))).toBe("CTX_WRONG_BATCH ()");
  });
  test("may name the step alone, and takes the batch from the lock", () => {
    expect(resolved(view(lock("weigh")), claim({ step: "weigh" }))).toBe("B-1/weigh from claim");
    expect(resolved(view(), claim({ step: "weigh" }))).toBe("CTX_MISSING, not yet (equipment:scale-1)");
  });
  test("speaks for a batch as a whole from its own equipment or its line, and for no batch that holds it otherwise", () => {
    const asked = claim({ batch: "B-1", about: "batch", needs: "claim" });
    const of = (more: Partial<EquipmentState>, ...locks: ContextLock[]): ContextView => {
      const known = view(...locks);
      const found = known.equipment("scale-1");
      return { ...known, equipment: () => (found === undefined ? undefined : { ...found, ...more }) };
    };
    expect(resolved(of({}), asked)).toBe("B-1/none from claim");
    expect(resolved(of({ line: "7" }), asked)).toBe("B-1/none from claim");
    expect(resolved(of({ equipment: "panel-1" }), asked)).toBe("B-1/none from claim");
    expect(resolved(of({ equipment: "panel-1", line: "7" }), asked)).toBe("CTX_WRONG_LINE ()");
    expect(resolved(of({}, lock("weigh", { batch: "B-2" })), asked)).toBe("CTX_WRONG_BATCH ()");
    expect(resolved(of({}, lock("weigh", { batch: "B-2" }), lock("weigh", { token: 2 })), asked)).toBe("B-1/none from claim");
    const alarm = claim({ batch: "B-1", needs: "optional" });
    expect(resolved(of({}), alarm)).toBe("B-1/none from claim");
    expect(resolved(of({ equipment: "panel-1", line: "7" }), alarm)).toBe("CTX_WRONG_LINE ()");
    expect(resolved(of({ equipment: "panel-1", line: "7" }), { ...alarm, step: "weigh" })).toBe("CTX_WRONG_LINE ()");
  });
  test("waits for a batch that is not known yet", () => {
    expect(resolved(view(), claim({ batch: "B-9", step: "weigh" }))).toBe("CTX_UNKNOWN_BATCH, not yet (batch:B-9)");
  });
  test("is refused for a step or an attempt that the recipe does not have", () => {
    expect(resolved(view(), claim({ batch: "B-1", step: "fly" }))).toBe("CTX_UNKNOWN_STEP ()");
    expect(resolved(view(), claim({ batch: "B-1", step: "weigh", attempt: 2 }))).toBe("CTX_UNKNOWN_STEP ()");
  });
  test("is refused for another batch or step than its equipment works in", () => {
    expect(resolved(view(lock("weigh", { batch: "B-2" })), claim({ batch: "B-1", step: "weigh" }))).toBe("CTX_WRONG_BATCH ()");
    expect(resolved(view(lock("blend")), claim({ batch: "B-1", step: "weigh" }))).toBe("CTX_WRONG_STEP ()");
    expect(resolved(view(lock("weigh", { batch: "B-2" })), claim({ batch: "B-1" }))).toBe("CTX_WRONG_BATCH ()");
  });
  test("is fenced off when it belongs to an earlier attempt", () => {
    const second = { ...batch, steps: batch.steps.map((s) => ({ ...s, attempt: 2 })) };
    const of = { ...view(), batch: () => second };
    expect(resolved(of, claim({ batch: "B-1", step: "weigh", attempt: 1 }))).toBe("LCK_STALE_TOKEN ()");
  });
  test("as a start leaves it to the guards whether the equipment is free", () => {
    expect(resolved(view(lock("weigh", { batch: "B-2" })), claim({ batch: "B-1", step: "weigh", needs: "claim", starts: true }))).toBe("B-1/weigh from claim");
  });
  test("about a batch needs no step", () => {
    expect(resolved(view(), claim({ batch: "B-1", needs: "claim", about: "batch" }))).toBe("B-1/none from claim");
  });
});
