// The three counts agree when, and only when, every delivery has its verdict and every stream its numbers. Attack: take one away, add one, change one, in each column.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Column, type Delivered, type Given, reconcile, table } from "../../../src/cli/reconcile.ts";
import type { OutcomeEvent, VerdictData } from "../../../src/cli/verdict-data.ts";
import { verdictOf } from "./verdict.ts";

const source = "/site/rtm1/line/4/eq/scale-1";
const sent = (id: string | null, type: string | null, allowed: readonly string[], fault: string | null = null): Delivered => ({
  equipment: "scale-1",
  source,
  id,
  type,
  fault,
  allowed,
});
const got = (position: number, id: string | null, type: string, more: Partial<VerdictData> = {}): Given => ({
  equipment: "scale-1",
  verdict: verdictOf({ position, event: id === null ? {} : { source, id, type: `signalbox.${type}.v1` }, ...more }),
});
const outcome = (sequence: number, type: string): OutcomeEvent => ({
  id: `1.${sequence}`,
  source: "/site/rtm1/batch/B-1",
  type: `signalbox.${type}.v1`,
  sequence: String(sequence),
  data: { position: sequence, generation: 1 },
});

const DELIVERED = [
  sent("a", "step.start", ["accepted"]),
  sent("b", "step.evidence", ["accepted"]),
  sent("b", "step.evidence", ["duplicate"], "repeat"),
  sent("c", "step.complete", ["accepted"]),
  sent(null, null, ["rejected"], "malformed"),
];
const VERDICTS = [
  got(1, "a", "step.start"),
  got(2, "b", "step.evidence"),
  got(3, "b", "step.evidence", { status: "duplicate" }),
  got(4, "c", "step.complete", { status: "deferred", final: false }),
  got(5, "c", "step.complete", { round: 2, firstRound: "rtm1.1.4" }),
  got(6, null, "", { status: "rejected" }),
];
const OUTCOMES = [
  outcome(1, "batch.started"),
  outcome(2, "step.started"),
  outcome(3, "evidence.recorded"),
  outcome(4, "step.completed"),
  outcome(5, "batch.completed"),
];
const COLUMN: Column = { verdicts: VERDICTS, outcomes: OUTCOMES };

describe("three counts", () => {
  test("agree when everything arrived once", () => {
    const counted = reconcile(DELIVERED, VERDICTS, 1, COLUMN, COLUMN);
    expect(counted).toMatchObject({ agree: true, unexplained: [] });
    expect(Object.fromEntries(counted.rows.map(({ what, senders }) => [what, senders]))).toEqual({
      "deliveries, each with its verdict": 5,
      "… accepted in the end": 3,
      "… accepted with exception in the end": 0,
      "… duplicate in the end": 1,
      "… observed in the end": 0,
      "… rejected in the end": 1,
      "… quarantined in the end": 0,
      "steps started": 1,
      "evidence recorded": 1,
      "steps completed": 1,
      "batches completed": 1,
    });
  });

  test("do not mind the order of arrival, nor an outcome or a verdict that is published again", () => {
    const shuffledTwice = <T>(items: readonly T[]) => fc.shuffledSubarray([...items, ...items], { minLength: items.length * 2, maxLength: items.length * 2 });
    fc.assert(
      fc.property(shuffledTwice(VERDICTS), shuffledTwice(OUTCOMES), (verdicts, outcomes) => {
        expect(reconcile(DELIVERED, VERDICTS, 1, { verdicts, outcomes }, COLUMN)).toEqual(reconcile(DELIVERED, VERDICTS, 1, COLUMN, COLUMN));
      }),
    );
  });

  test("do not agree when any verdict that counts, or any outcome, is missing in any column", () => {
    const without = <T>(items: readonly T[], index: number): T[] => items.filter((_, at) => at !== index);
    VERDICTS.forEach((given, index) => {
      // round 1 of an event that has a second one says nothing that the second does not
      const told = given.verdict.status !== "deferred";
      const lacking = { ...COLUMN, verdicts: without(VERDICTS, index) };
      expect(reconcile(DELIVERED, lacking.verdicts, 1, COLUMN, COLUMN).agree).toBe(!told);
      expect(reconcile(DELIVERED, VERDICTS, 1, lacking, COLUMN).agree).toBe(!told);
      expect(reconcile(DELIVERED, VERDICTS, 1, COLUMN, lacking).agree).toBe(!told);
    });
    // the last outcome of a stream leaves no hole; here it is the batch's end, which is counted
    OUTCOMES.forEach((_, index) => {
      const lacking = { ...COLUMN, outcomes: without(OUTCOMES, index) };
      expect(reconcile(DELIVERED, VERDICTS, 1, lacking, COLUMN).agree).toBe(false);
      expect(reconcile(DELIVERED, VERDICTS, 1, COLUMN, lacking).agree).toBe(false);
    });
  });

  test("say which verdict nobody sent for, which ended otherwise than it may, and which number of a stream is missing", () => {
    const foreign = { ...COLUMN, verdicts: [...VERDICTS, got(9, "z", "step.start")] };
    expect(reconcile(DELIVERED, VERDICTS, 1, foreign, COLUMN).unexplained).toEqual(["subscriber: scale-1 z has 1 verdicts and was sent 0 times"]);
    const refused = {
      ...COLUMN,
      verdicts: VERDICTS.map((given) => (given.verdict.position === 2 ? got(2, "b", "step.evidence", { status: "quarantined", code: "PAR_OOS" }) : given)),
    };
    expect(reconcile(DELIVERED, VERDICTS, 1, COLUMN, refused).unexplained).toEqual(["REST: scale-1 b (step.evidence) ended quarantined PAR_OOS"]);
    const hole = { ...COLUMN, outcomes: OUTCOMES.filter(({ sequence }) => sequence !== "3") };
    expect(reconcile(DELIVERED, VERDICTS, 1, hole, COLUMN).unexplained).toEqual(["subscriber: outcome 3 of /site/rtm1/batch/B-1 is missing"]);
  });

  test("stand in a table that marks the rows that do not agree", () => {
    const hole = { ...COLUMN, outcomes: OUTCOMES.slice(0, -1) };
    const lines = table(reconcile(DELIVERED, VERDICTS, 1, hole, COLUMN));
    expect(lines.filter((line) => line.includes("do not agree"))).toEqual([expect.stringMatching(/^batches completed +1 +0 +1 /)]);
  });
});
