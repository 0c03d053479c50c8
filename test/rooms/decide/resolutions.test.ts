import { describe, expect, test } from "vitest";
import type { Command } from "../../../src/decide/signal.ts";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
  commands,
  creates,
  failing,
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
  weighing,
} from "../../support/given.ts";

// What people decide, at its edges: what they saw may be old, what they name may not be there, and a source never goes back.

const call = (sequence?: number, more: object = {}) =>
  scale.says("call.raised", { ...(sequence === undefined ? {} : { sequence }), data: { call: "c" }, ...more });
type Gap = Extract<Command, { kind: "gap.resolve" }>;
const gap = (line: Line, action: Gap["action"], more: Partial<Gap> = {}) => {
  const { gap: open, parked } = line.source(scale);
  const position = open?.position ?? parked?.position ?? 0;
  return line.answer(orders({ kind: "gap.resolve", source: scale.name, gap: position, action, epoch: null, sequence: null, reason: "seen", ...more }));
};
const at = (line: Line) => {
  const { epoch, through, parked } = line.source(scale);
  return `${epoch}.${through} ${parked?.why ?? "goes on"}`;
};
const update: Extract<Command, { kind: "batch.update" }> = { kind: "batch.update", batch: "B-1", quantity: null, equipment: null, reason: null };
const parkedByGap = () => {
  const line = given(call(1), call(4));
  line.after(60_000);
  return line;
};

describe("what somebody saw", () => {
  test("is compared with what is, for everything that has a version", () => {
    const line = given(running(), call(1), call(3), call(3, { id: "other" }));
    const old: Partial<{ ifVersion: number }> = { ifVersion: 99 };
    const stale = (act: Act) => line.answer(act);
    const { gap: open, version } = line.source(scale);
    const entry = line.rounds("other")[0]?.position ?? 0;
    const ofBatch = { kind: "stale", version: line.batch().version };
    expect(stale(orders(update, old))).toEqual(ofBatch);
    expect(stale(stepCommand("start", "weigh", {}, old))).toEqual(ofBatch);
    expect(
      stale(orders({ kind: "gap.resolve", source: scale.name, gap: open?.position ?? 0, action: "wait", epoch: null, sequence: null, reason: "r" }, old)),
    ).toEqual({
      kind: "stale",
      version,
    });
    expect(stale(orders({ kind: "source.succession", source: scale.name, reason: "r" }, old))).toEqual({ kind: "stale", version });
    expect(stale(orders({ kind: "quarantine.resolve", event: entry, action: "reject", reason: "r" }, old))).toEqual({ kind: "stale", version: 1 });
    expect(line.answer(orders({ kind: "quarantine.resolve", event: entry, action: "reject", reason: "r" }, { ifVersion: 1 }))).toMatchObject({ kind: "done" });
  });
});

describe("what is not there", () => {
  test("is named in the answer", () => {
    const line = given();
    expect(line.answer(orders(update))).toEqual({ kind: "unknown", what: "batch B-1" });
    expect(line.answer(stepCommand("start", "weigh"))).toEqual({ kind: "unknown", what: "batch B-1" });
    expect(gap(line, "wait", { source: "/site/rtm1/line/4/eq/nobody" })).toEqual({ kind: "unknown", what: "source /site/rtm1/line/4/eq/nobody" });
    expect(gap(line, "wait", { gap: 5 })).toEqual({ kind: "unknown", what: `open gap 5 of ${scale.name}` });
  });
  test("makes no batch: a recipe whose machines are not registered", () => {
    for (const stateMachines of [
      { ...BLEND.stateMachines, batch: "batch/nowhere@1" },
      { ...BLEND.stateMachines, step: "step/nowhere@1" },
    ]) {
      const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ stateMachines } }] });
      expect(line.answer(creates())).toMatchObject({
        kind: "refused",
        code: "REV_NOT_EFFECTIVE",
        reason: "A state machine of recipe blend@3 is not registered.",
      });
    }
  });
});

describe("a batch that is ready", () => {
  test("still changes", () => {
    expect(given(ready()).answer(orders({ ...update, quantity: { value: "26.000", unit: "kg" } }))).toMatchObject({ kind: "done" });
  });
  test("once cancelled has no open step", () => {
    expect(
      given(ready(), commands("cancel"))
        .batch()
        .steps.map(({ state }) => state),
    ).toEqual(["stopped", "stopped"]);
  });
});

describe("evidence that a person gives", () => {
  const given19 = { evidence: { evidence: "net-weight", value: "19.000", unit: "kg" } };
  test("outside its limits is recorded with an exception about the step, and a warning", () => {
    const line = given(weighing());
    const [settled] = line.settlements(stepCommand("evidence", "weigh", given19));
    expect(settled?.rows.exceptions).toMatchObject([{ code: "PAR_OOS", batch: "B-1", step: "weigh", attempt: 1 }]);
    expect([...(settled?.answers.values() ?? [])]).toMatchObject([{ answer: { kind: "done", created: false, warnings: [{ code: "PAR_OOS" }] } }]);
  });
  test("bears who gave it, and why only where somebody said why", () => {
    const data = (reason: string | null) => {
      const line = given(weighing(), stepCommand("evidence", "weigh", { ...given19, reason }));
      return line.step("weigh").evidence[0]?.data;
    };
    expect(data(null)).toEqual({ ...given19.evidence, actor: "unattributed" });
    expect(data("by hand")).toEqual({ ...given19.evidence, actor: "unattributed", reason: "by hand" });
  });
});

describe("a gap that a person skips", () => {
  test("has to be one: nothing was heard of the source, or nothing is missing so far", () => {
    expect(gap(given(call(3)), "skip")).toMatchObject({
      kind: "refused",
      code: "SEQ_GAP",
      reason: `Nothing was ever heard of ${scale.name}; rebase it instead.`,
    });
    const nothing = "Nothing of epoch 7 is missing up to 1; to begin a newer epoch elsewhere than at 1, rebase it.";
    expect(gap(given(call(1), call(4)), "skip", { sequence: 1n })).toMatchObject({ kind: "refused", code: "SEQ_GAP", reason: nothing });
    expect(gap(parkedByGap(), "skip", { sequence: 1n })).toMatchObject({ kind: "refused", code: "SEQ_GAP", reason: nothing });
  });
  test("is skipped as far as they say", () => {
    const line = given(call(1), call(4));
    gap(line, "skip", { sequence: 2n });
    expect([at(line), line.model.skipped.map(({ first, last }) => `${first}-${last}`)]).toEqual(["7.2 goes on", ["2-2"]]);
  });
  test("ends a parking that is not about missing numbers", () => {
    const line = given(call(1), call(2), call(1, { id: "x" }), call(2, { id: "y" }));
    expect(at(line)).toBe("7.2 counter_back");
    expect(gap(line, "skip")).toMatchObject({ kind: "done" });
    expect(at(line)).toBe("7.2 goes on");
  });
});

describe("a source of which only early events were heard", () => {
  test("goes on waiting for its first number, when a person says to wait", () => {
    const line = given(call(3));
    expect(gap(line, "wait")).toMatchObject({ kind: "done" });
    expect([at(line), line.source(scale).waitingCount]).toEqual(["null.0 goes on", 1]);
    expect(told(line.when(call(1), call(2)))).toEqual(["accepted", "accepted", "accepted"]);
  });
  test("begins when it stood still and a person lets it go on, be its first epoch 0", () => {
    for (const epoch of [7, 0]) {
      const line = on(
        failing(({ event }) => event === "step.pause"),
        weighing(),
      );
      expect(told(line.when(mixer.pauses("weigh", { epoch, sequence: 2 }), mixer.says("call.raised", { sequence: 1, data: { call: "c" } })))).toEqual([
        "quarantined SYS_POISON",
        "deferred SYS_POISON",
      ]);
      const position = line.source(mixer).parked?.position ?? 0;
      expect(
        told(line.when(orders({ kind: "gap.resolve", source: mixer.name, gap: position, action: "wait", epoch: null, sequence: null, reason: "r" }))),
      ).toEqual(["accepted"]);
      expect(line.source(mixer)).toMatchObject({ epoch: BigInt(epoch), through: 2n, waitingCount: 0, parked: null });
    }
  });
});

describe("a source that a person sets elsewhere", () => {
  test("never goes back, in its epoch or to an older one", () => {
    const to = (epoch: bigint | null, sequence: bigint | null) => {
      const line = parkedByGap();
      const answer = gap(line, "rebase", { epoch, sequence });
      return answer.kind === "refused" ? answer.code : at(line);
    };
    expect([to(7n, 1n), to(null, 1n), to(6n, 99n), to(7n, null)]).toEqual(["SEQ_REUSED", "SEQ_REUSED", "SEQ_REUSED", "SEQ_GAP"]);
    expect([to(7n, 2n), to(null, 3n), to(8n, 1n), to(9n, 40n)]).toEqual(["7.1 goes on", "7.2 goes on", "8.0 goes on", "9.39 goes on"]);
  });
  test("needs to be told where, if nothing was ever heard of it", () => {
    expect(gap(given(call(3)), "rebase", { sequence: 3n })).toMatchObject({ kind: "refused", code: "SEQ_GAP" });
    const line = given(call(3));
    expect(gap(line, "rebase", { epoch: 7n, sequence: 3n })).toMatchObject({ kind: "done" });
    expect(at(line)).toBe("7.3 goes on");
  });
});

describe("two events that claim one number", () => {
  test("are never judged again", () => {
    const line = given(call(1), call(1, { id: "x" }));
    const event = line.rounds("x")[0]?.position ?? 0;
    expect(line.answer(orders({ kind: "quarantine.resolve", event, action: "reprocess", reason: "seen" }))).toMatchObject({
      kind: "refused",
      code: "SEQ_REUSED",
      reason: "Two events claim the same identity; the first stands, and this one can only be rejected.",
    });
  });
  test("park their source once, with an exception of its own, and leave another parking as it is", () => {
    const line = given(call(1), call(2), call(1, { id: "x" }), call(2, { id: "y" }), call(1, { id: "z" }));
    const parkings = line.model.exceptions.filter(({ reason }) => reason === `The counter of ${scale.name} went back; the source is parked.`);
    expect(parkings.map(({ code, source }) => `${code} ${source}`)).toEqual([`SEQ_REUSED ${scale.name}`]);
    const gapped = parkedByGap();
    gapped.when(call(1, { id: "x" }), call(1, { id: "y" }));
    expect(at(gapped)).toBe("7.1 gap");
  });
});

describe("a step that comes after several", () => {
  const steps = [...BLEND.steps, { step: "pack", after: ["weigh", "blend"], equipment: [], evidence: [] }];
  const line = (...acts: readonly Act[]) => on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] }, ...acts);
  const states = (of: Line) => of.batch().steps.map(({ step, state }) => `${step} ${state}`);
  test("becomes ready when all of them are complete, and not before", () => {
    const weighed = line(running(), scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"));
    expect(states(weighed)).toEqual(["weigh complete", "blend ready", "pack pending"]);
  });
  test("does not become ready when one is aborted", () => {
    expect(states(line(running(), scale.starts("weigh"), scale.aborts("weigh")))).toEqual(["weigh aborted", "blend pending", "pack pending"]);
  });
});

describe("an event that waits behind another of its source", () => {
  const key = speaker("scale-1", { device: "key", numbers: false });
  const plant = { ...PLANT, sources: [{ equipment: "scale-1", device: "key", numbering: false }] };
  test("says so, and is judged after it", () => {
    const line = given(creates());
    line.when(scale.starts("weigh"), scale.completes("weigh"));
    expect(line.last("scale-1-7-2")).toMatchObject({
      status: "deferred",
      code: "CTX_BATCH_NOT_RUNNING",
      refusedBy: "order",
      reason: "The event waits behind scale-1-7-1, which moves the same step.",
      batch: "B-1",
    });
  });
  test("does so by arrival where its source does not number", () => {
    const line = on(plant, creates());
    line.when(key.starts("weigh", { id: "k-1" }), key.completes("weigh", { id: "k-2" }));
    expect(line.last("k-2")?.reason).toBe("The event waits behind k-1, which moves the same step.");
    expect(told(line.when(commands("release-to-floor"), commands("start")))).toEqual(["accepted"]);
    expect(line.last("k-1")?.status).toBe("accepted");
  });
  test("does not wait behind one of another source, of another step, or numbered after it", () => {
    const line = on(plant, creates(), scale.starts("weigh", { sequence: 1 }));
    const behind = (act: Act) => line.when(act).some(({ reason }) => reason.includes("waits behind"));
    expect(behind(key.completes("weigh", { id: "k-1" }))).toBe(false);
    expect(behind(scale.starts("blend", { sequence: 2 }))).toBe(false);
    expect(behind(scale.weighs("12.500", { sequence: 3 }))).toBe(false);
    expect(behind(scale.pauses("weigh", { sequence: 4 }))).toBe(true);
  });
});

test("an event about a batch that never came is a person's when its patience ends", () => {
  const line = given(scale.weighs("12.500", { batch: "B-7" }));
  expect(told(line.after(30_000))).toEqual(["quarantined CTX_UNKNOWN_BATCH"]);
  expect([line.model.deferrals.size, line.model.batch("B-7")]).toEqual([0, null]);
});
