import { describe, expect, test } from "vitest";
import { reasonFor } from "../../../src/decide/reasons.ts";
import { CODES, nextFor } from "../../../src/decide/verdict.ts";
import { type Act, creates, given, type Line, mixer, running, scale, speaker, weighed, weighing } from "../../support/given.ts";

// Every refusal says in one sentence what it met, with names and values, and what the sender does next.

const check = (code: string, expected: string, actual: string, guard = "g@1") => [{ guard, ok: false, code, expected, actual }];
const about = { batch: "B-1", step: "weigh", state: "in_progress", asked: "step.complete" };

describe("a reason", () => {
  test("counts in words what is needed and what is there", () => {
    expect(reasonFor("EVD_MISSING", { ...about, checks: check("EVD_MISSING", "net-weight: 1", "0") })).toBe("Step weigh needs one net-weight and has none.");
    expect(reasonFor("EVD_MISSING", { ...about, checks: check("EVD_MISSING", "net-weight: 3, photo: 12", "1, 10") })).toBe(
      "Step weigh needs three net-weight and has one; 12 photo and has 10.",
    );
  });
  test("of a code without a sentence of its own still says what was expected and found", () => {
    expect(reasonFor("XYZ_NEW", { ...about, checks: check("XYZ_NEW", "this", "that") })).toBe("XYZ_NEW: expected this, found that.");
  });
  const withStep: readonly (readonly [code: string, sentence: string, guard?: string])[] = [
    ["EVD_UNEXPECTED", "Step weigh has no place for A; it expects E."],
    ["EVD_ALREADY_SATISFIED", "Step weigh has A of E already."],
    ["EVD_WRONG_SOURCE", "Step weigh takes this evidence from E, not from A."],
    ["SCH_UNIT_MISMATCH", "Step weigh takes this evidence in E; the unit given is A."],
    ["STP_OUT_OF_ORDER", "Step weigh comes after E, and that is not complete (A)."],
    ["CTX_BATCH_NOT_RUNNING", "Batch B-1 is A, not running."],
    ["TIM_LATE_CLOSED", "Batch B-1 is closed."],
    ["STA_INVALID_TRANSITION", "Step weigh is in_progress; that does not permit step.complete."],
    ["STA_TERMINAL", "Step weigh is in_progress and moves no more."],
    ["TIM_TOO_SHORT", "Step weigh takes E; it has taken A."],
    ["QLT_EXCEPTION_OPEN", "Step weigh has evidence outside its limits that nobody has disposed of (E; recorded A)."],
    ["QLT_EXCEPTION_OPEN", "Batch B-1 has A open exceptions.", "exceptions.closed@1"],
    ["LCK_CONFLICT", "The equipment is not free (A)."],
    ["LCK_NOT_HELD", "The equipment is not engaged in this step (expected E; it is A)."],
    ["EQP_NOT_ASSIGNED", "Step weigh works with E; A plays no role in it."],
    ["EQP_CONFIG_MISMATCH", "The recipe asks for E; it is A."],
    ["REV_MISMATCH", "Batch B-1 is bound to E; the event was made for A."],
    ["STP_OPEN", "Batch B-1 has open steps (A)."],
    ["SYS_OPEN_QUEUE", "Batch B-1 has open events (A)."],
    ["SEQ_GAP", "Step weigh waits for a gap in A to close."],
    ["SIG_MISSING", "This act needs an electronic signature."],
    ["CTX_MISSING", "The event has no execution context (expected E)."],
    ["CTX_AMBIGUOUS", "The equipment is engaged in several contexts (A) and the event names none."],
    ["CTX_UNKNOWN_BATCH", "No batch A is known here."],
    ["CTX_UNKNOWN_STEP", "The recipe has no step or attempt A (it has E)."],
    ["CTX_WRONG_BATCH", "The equipment is engaged in E; the event claims A."],
    ["CTX_WRONG_STEP", "The equipment is engaged in E; the event claims A."],
    ["CTX_WRONG_LINE", "Batch B-1 runs on line E; the event comes from line A."],
    ["LCK_STALE_TOKEN", "Step weigh is at E; the event belongs to A."],
  ];
  test("has a sentence of its own for every code of a state or a guard", () => {
    for (const [code, sentence, guard] of withStep) expect(reasonFor(code, { ...about, checks: check(code, "E", "A", guard) }), code).toBe(sentence);
  });
  test("speaks of the batch where no step was meant, and of the step or the batch where nothing is named", () => {
    const ofBatch = (code: string) => reasonFor(code, { ...about, step: null, checks: check(code, "E", "A") });
    expect(ofBatch("STA_INVALID_TRANSITION")).toBe("Batch B-1 is in_progress; that does not permit step.complete.");
    expect(ofBatch("STA_TERMINAL")).toBe("Batch B-1 is in_progress and moves no more.");
    expect(ofBatch("EQP_NOT_ASSIGNED")).toBe("Batch B-1 has no E.");
    expect(ofBatch("STP_OUT_OF_ORDER")).toBe("The step comes after E, and that is not complete (A).");
    expect(reasonFor("TIM_LATE_CLOSED", { ...about, batch: null, checks: [] })).toBe("The batch is closed.");
  });
  test("names what comes before without saying twice that it is not complete", () => {
    const checks = check("STP_OUT_OF_ORDER", "weigh: complete, label: complete", "weigh: ready");
    expect(reasonFor("STP_OUT_OF_ORDER", { ...about, checks })).toBe("Step weigh comes after weigh, label, and that is not complete (weigh: ready).");
  });
  test("is told from the first guard that failed, and of nothing where none did", () => {
    const checks = [{ guard: "a@1", ok: true, expected: "x", actual: "y" }, ...check("CTX_MISSING", "first", "A"), ...check("CTX_MISSING", "second", "A")];
    expect(reasonFor("CTX_MISSING", { ...about, checks })).toBe("The event has no execution context (expected first).");
    expect(reasonFor("XYZ_NEW", { ...about, checks: [] })).toBe("XYZ_NEW: expected otherwise, found nothing.");
    expect(reasonFor("EVD_MISSING", { ...about, checks: check("EVD_MISSING", "photo", "5") })).toBe("Step weigh needs one photo and has five.");
    expect(reasonFor("EVD_MISSING", { ...about, checks: check("EVD_MISSING", "photo: 2, scan: 4", "0") })).toBe(
      "Step weigh needs two photo and has none; four scan and has none.",
    );
  });
  test("names what it met on a line", () => {
    const said = (line: Line, ...acts: readonly Act[]) => line.when(...acts).map((v) => v.reason);
    expect(said(given(running()), mixer.starts("blend"))).toEqual(["Step blend comes after weigh, and that is not complete (weigh: ready)."]);
    expect(said(given(creates()), scale.starts("weigh"))).toEqual(["Batch B-1 is planned, not running."]);
    expect(said(given(weighed()), scale.completes("weigh"))).toEqual(["Step weigh is complete and moves no more."]);
    expect(said(given(running()), speaker("scale-2").starts("weigh"))).toEqual(["Step weigh works with scale-1; scale-2 plays no role in it."]);
    expect(said(given(weighing()), scale.weighs("12.500", { data: { evidence: "net-weight", value: "12500", unit: "g" } }))).toEqual([
      "Step weigh takes this evidence in kg; the unit given is g.",
    ]);
    expect(said(given(weighing()), scale.weighs("19.000"))).toEqual(["net-weight is 19.000 kg; the limits are 12.438 to 12.563."]);
    expect(said(given(weighing()), scale.starts("weigh", { more: { reciperevision: "blend@4" } }))).toEqual([
      "Step weigh is in_progress; that does not permit step.start.",
    ]);
    expect(said(given(running()), scale.starts("weigh", { more: { reciperevision: "blend@4" } }))).toEqual([
      "Batch B-1 is bound to blend@3; the event was made for blend@4.",
    ]);
    expect(said(given(), scale.weighs("1"))).toEqual(["No batch B-1 is known here."]);
  });
});

describe("what the sender does next", () => {
  test("follows from the status, and from the code where it is refused", () => {
    expect(nextFor("accepted", null)).toEqual({ next: "none", remedy: null });
    for (const status of ["accepted", "duplicate", "observed"] as const) expect(nextFor(status, "EVD_WRONG_SOURCE")).toEqual({ next: "none", remedy: null });
    const remedy = (code: string) => CODES[code]?.remedy;
    expect(nextFor("accepted_with_exception", "PAR_OOS")).toEqual({ next: "none", remedy: remedy("PAR_OOS") });
    expect(nextFor("accepted_with_exception", null)).toEqual({ next: "none", remedy: null });
    expect(nextFor("deferred", "SEQ_GAP")).toEqual({ next: "wait", remedy: remedy("SEQ_GAP") });
    expect(nextFor("deferred", "SEQ_REUSED")).toEqual({ next: "wait", remedy: null });
    expect(nextFor("quarantined", "SEQ_REUSED")).toEqual({ next: "ask", remedy: remedy("SEQ_REUSED") });
    for (const code of ["SEQ_GAP", null])
      expect(nextFor("quarantined", code)).toEqual({ next: "ask", remedy: "A person decides about the event; do not send it again." });
    expect(nextFor("rejected", "SEQ_GAP")).toEqual({ next: "correct", remedy: remedy("SEQ_GAP") });
    expect(nextFor("rejected", null)).toEqual({ next: "correct", remedy: null });
    expect(nextFor("deferred", "EVD_MISSING").next).toBe("wait");
    expect(nextFor("quarantined", "LCK_NOT_HELD").next).toBe("ask");
    expect(nextFor("rejected", "SEQ_WAITING_FULL").next).toBe("resend");
  });
  test("is never to wait for what is rejected for good", () => {
    for (const code of Object.keys(CODES)) expect(nextFor("rejected", code).next, code).not.toBe("wait");
  });
  test("is known of every code, in one line of meaning and one of remedy", () => {
    for (const [code, { meaning, remedy }] of Object.entries(CODES)) {
      expect(code).toMatch(/^(?:[A-Z]{3}|PROVENANCE)_[A-Z0-9_]+$/);
      expect(meaning, code).toMatch(/\.$/);
      expect(remedy, code).toMatch(/\.$/);
    }
  });
});
