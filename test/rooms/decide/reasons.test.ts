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
    expect(nextFor("deferred", "EVD_MISSING").next).toBe("wait");
    expect(nextFor("quarantined", "LCK_NOT_HELD").next).toBe("ask");
    expect(nextFor("rejected", "SEQ_WAITING_FULL").next).toBe("resend");
  });
  test("is never to wait for what is rejected for good", () => {
    for (const code of Object.keys(CODES)) expect(nextFor("rejected", code).next, code).not.toBe("wait");
  });
  test("is known of every code, in one line of meaning and one of remedy", () => {
    for (const [code, { meaning, remedy }] of Object.entries(CODES)) {
      expect(code).toMatch(/^[A-Z]{3}_[A-Z0-9_]+$/);
      expect(meaning, code).toMatch(/\.$/);
      expect(remedy, code).toMatch(/\.$/);
    }
  });
});
