// Promise: the bench notices when something is lost or wrongly answered.
import { expect, test } from "vitest";
import type { Tally } from "./load.ts";
import { wrongAnswers } from "./wrong-answers.ts";

const SENT: Tally = { event: 100, early: 3, duplicate: 5, conflict: 1, illegal: 2, flood: 0 };
const RIGHT = {
  accepted: 100,
  "accepted, later round": 3,
  "deferred SEQ_GAP": 3,
  "duplicate DUP_EXACT": 5,
  "rejected STA_INVALID_TRANSITION": 2,
  "quarantined DUP_ID_REUSED": 1,
};

test("nothing is wrong where everything has its answer, and where the broker repeated something", () => {
  expect(wrongAnswers(SENT, RIGHT)).toEqual([]);
  expect(wrongAnswers(SENT, { ...RIGHT, "duplicate DUP_EXACT": 9 })).toEqual([]);
});

test("what is told together beyond a quota is no answer to an event", () => {
  expect(wrongAnswers(SENT, { ...RIGHT, "rejected SYS_RATE_LIMITED": 7 })).toEqual([]);
});

test.each([
  ["one is lost", { accepted: 99 }, "102 accepted, not 103"],
  ["one is accepted twice", { accepted: 101 }, "104 accepted, not 103"],
  ["one that waits is never decided", { "accepted, later round": 2 }, "102 accepted, not 103"],
  ["one is refused that is permitted", { "rejected EVD_MISSING": 1 }, "3 rejected, not 2"],
  ["a conflict passes", { "quarantined DUP_ID_REUSED": 0 }, "0 quarantined, not 1"],
  ["a repetition is not recognised", { "duplicate DUP_EXACT": 4 }, "4 recognised as repeated, not 5"],
  ["something is only observed", { "observed TIM_FUTURE": 1 }, "1 decided otherwise, not 0"],
])("it is told that %s", (_, change, told) => {
  expect(wrongAnswers(SENT, { ...RIGHT, ...change })).toEqual([told]);
});
