// Promise: an exception is open until a person signs what becomes of it, once: what opened it is let go on, its step is done again, or aborted; and only then does the batch go on to where it was blocked.
// Attack: without a signature; twice; of an event in quarantine; of a step that moved on; one of two exceptions of the same evidence; in every order with corrections and completions.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ExceptionDisposition } from "../../../src/decide/exception.ts";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
  all,
  commands,
  disposes,
  given,
  type Line,
  mixer,
  on,
  orders,
  PLANT,
  running,
  scale,
  signedBy,
  stepCommand,
  told,
  weighing,
} from "../../support/given.ts";
import { replay } from "../../support/model.ts";

const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
type Opened = { readonly position: number; readonly ordinal: number };
const resolves = (opened: Opened | undefined, disposition: ExceptionDisposition = "continue", how: object = signedBy("quinn", "qa_approver")): Act =>
  orders({ kind: "exception.resolve", position: opened?.position ?? 0, ordinal: opened?.ordinal ?? 0, disposition, linked: "DEV-7", reason: "seen" }, how);
const open = (line: Line): readonly Opened[] => line.model.exceptions.filter(({ resolved }) => !resolved);
const outside = () => given(weighing(), scale.weighs("19.000"));
const DONE = { kind: "done", created: false, batch: null, warnings: [] };
const reasonOf = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.reason : answer.kind;
};
const doubted = scale.gives("weigh", "net-weight", "19.000", "kg", { data: { evidence: "net-weight", value: "19.000", unit: "kg", quality: "bad" } });

describe("let go on", () => {
  test("evidence that lies outside counts, and is shown as it is", () => {
    const line = outside();
    expect(told(line.when(scale.completes("weigh")))).toEqual(["rejected QLT_EXCEPTION_OPEN"]);
    expect(line.answer(resolves(open(line)[0]))).toEqual(DONE);
    expect(line.batch().openExceptions).toBe(0);
    expect(line.step("weigh").evidence).toMatchObject([{ value: "19.000", within: false, accepted: true }]);
    expect(line.model.facts.at(-1)).toMatchObject({
      kind: "exception.disposed",
      batch: "B-1",
      step: "weigh",
      attempt: 1,
      data: { exception: { code: "PAR_OOS" }, disposition: "continue", linked: "DEV-7" },
    });
    expect(line.model.outcomes.at(-1)).toMatchObject({
      type: "exception.disposed",
      data: { step: "weigh", report: { code: "PAR_OOS", disposition: "continue", linked: "DEV-7" } },
    });
    expect(told(line.when(scale.completes("weigh")))).toEqual(["accepted"]);
  });
  test("evidence counts when all that it opened is let go on, in one group or in two", () => {
    for (const together of [true, false]) {
      const line = given(weighing(), doubted);
      expect(line.exceptions()).toEqual(["PAR_OOS", "EVD_BAD_QUALITY"]);
      const [one, other] = open(line);
      if (!together) {
        line.when(resolves(one));
        expect(line.step("weigh").evidence[0]?.accepted).toBeUndefined();
        expect(told(line.when(scale.completes("weigh")))).toEqual(["rejected QLT_EXCEPTION_OPEN"]);
        line.when(resolves(other));
      } else line.together(resolves(one), resolves(other));
      expect(line.step("weigh").evidence[0]?.accepted).toBe(true);
      expect(line.batch().openExceptions).toBe(0);
      expect(told(line.when(scale.completes("weigh")))).toEqual(["accepted"]);
    }
  });
  test("what is about no batch is disposed of, too", () => {
    const line = given(scale.says("call.raised", { sequence: 1, data: { call: "c" } }), scale.lost(2, 3, { sequence: 4 }));
    const [opened] = open(line);
    if (opened === undefined) throw new Error("nothing was opened");
    expect(reasonOf(line, resolves(opened, "abort"))).toBe("The exception is about no step that could be aborted.");
    expect(reasonOf(line, resolves(opened, "rework"))).toBe("The exception is about no step that could be done again.");
    expect(answered(line, resolves(opened))).toBe("done");
    expect(line.model.outcomes.at(-1)).toMatchObject({ stream: "site", type: "exception.disposed" });
    expect(line.answer(resolves(opened))).toMatchObject({ code: "QLT_EXCEPTION_CLOSED", reason: "The exception is disposed of already." });
  });
  test("evidence counts beside other that lies within and that nobody had to let go on", () => {
    const [WEIGH, STIR] = BLEND.steps;
    const weigh = { ...WEIGH, evidence: [...WEIGH.evidence, { evidence: "tare", kind: "measurement", unit: "kg", count: 1, limits: { low: "1", high: "2" } }] };
    const recipes = [{ ...BLEND, ...JSON.parse(JSON.stringify({ steps: [weigh, STIR] })) }];
    const line = on({ ...PLANT, recipes }, weighing(), scale.weighs("19.000"), scale.gives("weigh", "tare", "1.5", "kg"));
    line.when(resolves(open(line)[0]));
    expect(line.step("weigh").evidence.map(({ accepted }) => accepted)).toEqual([true, undefined]);
    expect(told(line.when(scale.completes("weigh")))).toEqual(["accepted"]);
  });
  test("a batch closes when nothing of it is open, and a disposition that was signed before is void", () => {
    const line = given(weighing(), scale.weighs("19.000"), commands("stop"));
    expect(answered(line, commands("close"))).toBe("QLT_EXCEPTION_OPEN");
    line.when(disposes("recommend"));
    expect(answered(line, resolves(open(line)[0]))).toBe("done");
    expect(line.batch().signed).toBeNull();
    expect(answered(line, commands("close"))).toBe("done");
  });
});

describe("its step is", () => {
  test("aborted", () => {
    const line = outside();
    expect(line.answer(resolves(open(line)[0], "abort"))).toEqual(DONE);
    expect(line.step("weigh").state).toBe("aborted");
    expect(line.batch().openExceptions).toBe(0);
    expect(line.model.openLocks("scale-1")).toEqual([]);
  });
  test("done again where it is complete, under the record that is named", () => {
    const line = outside();
    const [opened] = open(line);
    line.when(stepCommand("correct", "weigh", { evidence: { evidence: "net-weight", value: "12.500", unit: "kg" } }), scale.completes("weigh"));
    expect(answered(line, resolves(opened, "rework"))).toBe("done");
    expect(line.step("weigh")).toMatchObject({ attempt: 2, state: "ready" });
    expect(line.model.facts.findLast(({ kind }) => kind === "step.reopened")?.data["linked"]).toBe("DEV-7");
    expect(line.batch().openExceptions).toBe(0);
  });
  test("left alone where it cannot be: then nothing is disposed of", () => {
    const line = outside();
    const [opened] = open(line);
    expect(answered(line, resolves(opened, "rework"))).toBe("STA_INVALID_TRANSITION");
    line.when(stepCommand("correct", "weigh", { evidence: { evidence: "net-weight", value: "12.500", unit: "kg" } }), scale.completes("weigh"));
    expect(answered(line, resolves(opened, "abort"))).toBe("STA_TERMINAL");
    line.when(mixer.starts("blend"));
    expect(answered(line, resolves(opened, "rework"))).toBe("STP_OPEN");
    expect(line.batch().openExceptions).toBe(1);
    line.when(mixer.aborts("blend"), stepCommand("rework", "weigh", { linked: "DEV-1" }, signedBy()));
    for (const [disposition, what] of [
      ["rework", "done again"],
      ["abort", "aborted"],
    ] as const)
      expect(line.answer(resolves(opened, disposition))).toEqual({
        kind: "refused",
        code: "STA_INVALID_TRANSITION",
        reason: `The exception is about no step that could be ${what}.`,
        explanation: null,
      });
    // the attempt that goes on now is another than the one that it is about
    line.when(scale.starts("weigh"));
    expect(reasonOf(line, resolves(opened, "abort"))).toBe("The exception is about no step that could be aborted.");
    expect(line.step("weigh")).toMatchObject({ attempt: 2, state: "in_progress" });
    expect(answered(line, resolves(opened))).toBe("done");
    expect(line.step("weigh").evidence).toEqual([]);
  });
});

describe("nobody disposes of", () => {
  test("what there is not, what is disposed of, or anything without a signature", () => {
    const line = outside();
    const [opened] = open(line);
    for (const how of [{}, { actor: "machine:mes-1", role: "mes" }, { actor: "person:quinn", role: "qa_approver" }])
      expect(answered(line, resolves(opened, "continue", how))).toBe("SIG_MISSING");
    expect(line.answer(resolves({ position: opened?.position ?? 0, ordinal: 9 }))).toEqual({
      kind: "unknown",
      what: `exception 9 at position ${opened?.position}`,
    });
    expect(line.answer(resolves(opened, "continue", { ...signedBy(), ifVersion: 99 }))).toMatchObject({ kind: "stale" });
    const signals = line.signals([resolves(opened), resolves(opened)]);
    const [settled] = line.model.run(signals, [2]);
    expect([...(settled?.answers.values() ?? [])].map(({ answer }) => (answer.kind === "refused" ? answer.code : answer.kind))).toEqual([
      "done",
      "QLT_EXCEPTION_CLOSED",
    ]);
    expect(line.facts("exception.disposed")).toHaveLength(1);
    expect(line.batch().openExceptions).toBe(0);
  });
  test("what an event in quarantine opened: it ends with that", () => {
    const line = given(running(), scale.weighs("12.500"), commands("stop"));
    line.after(31_000);
    const [opened] = open(line);
    expect(line.answer(resolves(opened))).toMatchObject({
      code: "SYS_OPEN_QUEUE",
      reason: "The exception is that of an event in quarantine, and ends when a person decides about that.",
    });
    const event = [...line.model.quarantine.keys()][0] ?? 0;
    line.when(orders({ kind: "quarantine.resolve", event, action: "reject", reason: "seen" }));
    expect(line.batch().openExceptions).toBe(0);
    expect(answered(line, resolves(opened))).toBe("QLT_EXCEPTION_CLOSED");
  });
});

test("in every order, as many exceptions are counted as are open, no step completes with evidence outside that nobody let go on, and all is decided again as it was", () => {
  const first = (line: Line) => open(line)[0] ?? { position: 1, ordinal: 1 };
  const acts: readonly ((line: Line) => Act)[] = [
    () => scale.weighs("19.000"),
    () => doubted,
    () => scale.starts("weigh"),
    () => scale.completes("weigh"),
    () => stepCommand("correct", "weigh", { evidence: { evidence: "net-weight", value: "20.000", unit: "kg" } }),
    () => stepCommand("rework", "weigh", { linked: "DEV-1" }, signedBy()),
    (line) => resolves(first(line)),
    (line) => resolves(first(line)),
    (line) => resolves(first(line), "rework"),
    (line) => resolves(first(line), "abort"),
    (line) => resolves(open(line).at(-1) ?? first(line)),
    () => all(mixer.starts("blend")),
  ];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: acts.length - 1 }), { maxLength: 20 }), fc.integer({ min: 1, max: 3 }), (order, size) => {
      const line = given(running());
      for (let n = 0; n < order.length; n += size) line.together(...order.slice(n, n + size).flatMap((at) => acts[at]?.(line) ?? []));
      expect(line.batch().openExceptions).toBe(open(line).filter((one) => "batch" in one && one.batch === "B-1").length);
      const weigh = line.step("weigh");
      if (weigh.state === "complete") expect(weigh.evidence.every(({ within, accepted }) => within !== false || accepted === true)).toBe(true);
      for (const row of line.model.exceptions) expect(row.disposition === null || row.resolved).toBe(true);
      const again = replay(line.model);
      expect(again.facts).toEqual(line.model.facts);
      expect(again.exceptions).toEqual(line.model.exceptions);
    }),
    { numRuns: 60 },
  );
}, 60_000);
