// Promise: every rule of the catalogue finds what it says, and nothing in what is as it should be; a trail names every rule that ran, and is known to be whole or not.
// Attack: for each rule an entry that it must find and its nearest neighbour that it must not; holes in the numbers; one bit of one entry.
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { leafHash } from "../../../src/audit/hash.ts";
import { batchTrail } from "../../../src/review/batch-trail.ts";
import { CATALOGUE_VERSION, EXCEPTION_RULES } from "../../../src/review/exception-rules.ts";

type Lists = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

const entry = (position: number, number: number | null, lists: Lists): Buffer =>
  Buffer.from(
    `${JSON.stringify({ site: "s", position, generation: 1, time: "2026-11-29T08:00:00.000000Z", shard: "s", term: 1, base: position - 1, batches: number === null ? {} : { "B-1": number } })}\n${JSON.stringify(lists)}`,
  );

const verdict = (more: Readonly<Record<string, unknown>>): Lists => ({
  signals: [{ ref: -1, kind: "event", source: "/site/s/line/1/eq/e", type: "step.complete" }],
  verdicts: [
    { ref: -1, status: "accepted", final: true, code: null, reason: "Accepted.", ahead: false, flags: [], type: "step.complete", event_time: null, ...more },
  ],
});
const command = (body: Readonly<Record<string, unknown>>, more: Lists = {}): Lists => ({
  signals: [{ ref: -1, kind: "command", actor: "J. Smit", body }],
  ...more,
});
const act = (type: string): Lists => ({
  signals: [{ ref: -1, kind: "act", type, actor: "J. Smit", body: { object: "recipe blend@3", old: null, new: {}, reason: "plan", from: null } }],
});
const evidence = (more: Readonly<Record<string, unknown>>): Lists => ({
  ...verdict({}),
  evidence: [{ ref: -1, evidence: "net-weight", value: "12.6", unit: "kg", within: true, low: "12.4375", high: "12.5625", supersedes: null, ...more }],
});

/** By rule: an entry in which it finds something, what it says, and one in which it finds nothing. */
const CASES: Readonly<Record<string, { readonly finds: Lists; readonly says: string; readonly passes: Lists }>> = {
  restore: { finds: act("record.restored"), says: "Restored by J. Smit, because: plan", passes: act("review.opened") },
  "outside-limits": { finds: evidence({ within: false }), says: "net-weight is 12.6 kg; the limits are 12.4375 to 12.5625.", passes: evidence({}) },
  "identity-conflict": {
    finds: verdict({ status: "rejected", code: "DUP_ID_REUSED", reason: "The id was used." }),
    says: "DUP_ID_REUSED: The id was used.",
    passes: verdict({ status: "duplicate", code: "DUP_EXACT" }),
  },
  "approval-claimed": { finds: verdict({ status: "rejected", code: "APR_OVER_MQTT", reason: "No." }), says: "APR_OVER_MQTT: No.", passes: verdict({}) },
  "wrong-sender": { finds: verdict({ status: "rejected", code: "IDN_REVOKED", reason: "Gone." }), says: "IDN_REVOKED: Gone.", passes: verdict({}) },
  "wrong-context": {
    finds: verdict({ status: "rejected", code: "CTX_WRONG_BATCH", reason: "Expected B-1; it says B-2." }),
    says: "CTX_WRONG_BATCH: Expected B-1; it says B-2.",
    passes: verdict({ code: "CTX_WRONG_BATCH" }),
  },
  "not-permitted": {
    finds: verdict({ status: "rejected", code: "EVD_MISSING", reason: "Expected 1; there is 0." }),
    says: "EVD_MISSING: Expected 1; there is 0.",
    passes: verdict({ status: "deferred", code: "STP_OUT_OF_ORDER" }),
  },
  quarantined: { finds: verdict({ status: "quarantined", code: "EVD_WRONG_SOURCE", reason: "Who?" }), says: "EVD_WRONG_SOURCE: Who?", passes: verdict({}) },
  "decided-by-a-person": {
    finds: command({ kind: "quarantine.resolve", action: "reject", reason: "a test weight" }),
    says: "quarantine.resolve (reject) by J. Smit, because: a test weight",
    passes: command({ kind: "batch.command", command: "start", reason: "plan" }),
  },
  "against-the-plan": {
    finds: command({ kind: "step.command", command: "skip", reason: null }),
    says: "skip by J. Smit, without a reason",
    passes: command({ kind: "batch.command", command: "start", reason: "plan" }),
  },
  "by-hand": {
    finds: command({ kind: "step.command", command: "complete", step: "weigh" }),
    says: "complete of step weigh by J. Smit.",
    passes: command({ kind: "batch.command", command: "start" }),
  },
  "command-refused": {
    finds: command(
      { kind: "batch.command", command: "start" },
      { answers: [{ ref: -1, answer: { kind: "refused", code: "STA_TERMINAL", reason: "It ended." } }] },
    ),
    says: "STA_TERMINAL: It ended.",
    passes: command({ kind: "batch.command", command: "start" }, { answers: [{ ref: -1, answer: { kind: "done" } }] }),
  },
  "signature-void": {
    finds: { ...verdict({}), facts: [{ ref: -1, kind: "disposition.voided", from_state: "released", to_state: "pending_review" }] },
    says: "The batch was released by signature, and is pending_review again.",
    passes: { ...verdict({}), facts: [{ ref: -1, kind: "disposition.signed" }] },
  },
  corrected: { finds: evidence({ supersedes: 12 }), says: "net-weight is 12.6 kg now.", passes: evidence({}) },
  "numbers-given-up": {
    finds: { ...verdict({}), skipped: [{ ref: -1, epoch: "1", first: "4", last: "6", reason: "resolved" }] },
    says: "Numbers 4 to 6 of epoch 1 (resolved).",
    passes: verdict({ code: "SEQ_GAP", status: "deferred" }),
  },
  late: {
    finds: verdict({ status: "quarantined", code: "TIM_LATE_CLOSED", reason: "It is closed." }),
    says: "TIM_LATE_CLOSED: It is closed.",
    passes: verdict({}),
  },
  duration: {
    finds: { ...verdict({}), exceptions: [{ ref: -1, code: "TIM_TOO_LONG", reason: "At most PT2S; it took PT3S." }] },
    says: "TIM_TOO_LONG: At most PT2S; it took PT3S.",
    passes: { ...verdict({}), exceptions: [{ ref: -1, code: "PAR_OOS", reason: "Outside." }] },
  },
  "exception-opened": {
    finds: { ...verdict({}), exceptions: [{ ref: -1, code: "PAR_OOS", reason: "Outside." }] },
    says: "PAR_OOS: Outside.",
    passes: { ...verdict({}), exceptions_resolved: [{ ref: -1 }] },
  },
  clock: {
    finds: verdict({ flags: ["TIM_FUTURE"], event_time: "2026-11-29T09:00:00Z" }),
    says: "The event says 2026-11-29T09:00:00Z; it went on record at 2026-11-29T08:00:00.000000Z.",
    passes: verdict({ event_time: "2026-11-29T07:00:00Z" }),
  },
  ahead: { finds: verdict({ ahead: true }), says: "step.complete acted ahead.", passes: verdict({ ahead: false }) },
  unreadable: { finds: verdict({ status: "rejected", code: "SCH_INVALID", reason: "No value." }), says: "SCH_INVALID: No value.", passes: verdict({}) },
  "master-data": { finds: act("recipe.registered"), says: "recipe.registered: recipe blend@3 by J. Smit, because: plan", passes: act("review.concluded") },
  "failed-judgement": {
    finds: verdict({ status: "quarantined", code: "SYS_POISON", reason: "It threw." }),
    says: "SYS_POISON: It threw.",
    passes: verdict({}),
  },
};

const trailOf = (...lists: readonly Lists[]) =>
  batchTrail(
    "B-1",
    lists.map((one, n) => entry(10 + n, n + 1, one)),
    [],
  );

test("every rule has its case here, and the rules are those of this version", () => {
  expect(Object.keys(CASES).sort()).toEqual(EXCEPTION_RULES.map(({ rule }) => rule).sort());
  const listed = createHash("sha256")
    .update(EXCEPTION_RULES.map(({ rule, severity, finds }) => `${rule} ${severity} ${finds}\n`).join(""))
    .digest("hex");
  // whoever changes what a rule finds, or its severity, raises the version and writes both here
  expect(`${CATALOGUE_VERSION} ${listed}`).toBe("2 1ecb610e92cecf6a70796c462aa5d194b49e793b55481f87c715eeff904e86b0");
});

describe.each(Object.entries(CASES))("the rule %s", (rule, { finds, says, passes }) => {
  const found = (lists: Lists) => trailOf(lists).exceptions.filter((exception) => exception.rule === rule);
  test("finds it, and says what it was", () => {
    expect(found(finds).map(({ sentence }) => sentence)).toEqual([says]);
    expect(found(finds)[0]?.item.position).toBe(10);
  });
  test("finds nothing beside it", () => {
    expect(found(passes)).toEqual([]);
  });
});

describe("a trail", () => {
  test("names every rule with how often it found something, the gravest exceptions first", () => {
    const { catalogue, exceptions, entries } = trailOf(verdict({ ahead: true }), evidence({ within: false }), verdict({}));
    expect(entries).toBe(3);
    expect(exceptions.map(({ rule }) => rule)).toEqual(["outside-limits", "ahead"]);
    expect(catalogue.rules.map(({ rule }) => rule)).toEqual(EXCEPTION_RULES.map(({ rule }) => rule));
    expect(catalogue.rules.filter(({ found }) => found > 0).map(({ rule, found }) => `${rule} ${found}`)).toEqual(["outside-limits 1", "ahead 1"]);
  });
  test("finds what was registered meanwhile, without counting it among the batch's entries", () => {
    const { entries, exceptions } = batchTrail("B-1", [entry(10, 1, verdict({})), entry(12, 2, verdict({}))], [entry(11, null, act("equipment.changed"))]);
    expect(entries).toBe(2);
    expect(exceptions).toMatchObject([{ rule: "master-data", item: { position: 11 } }]);
  });
  test("says which numbers are missing", () => {
    expect(batchTrail("B-1", [entry(10, 1, verdict({})), entry(14, 4, verdict({}))], []).missing).toEqual([2, 3]);
    expect(trailOf(verdict({}), verdict({})).missing).toEqual([]);
  });
  test("has a digest over the leaf hashes in order, which a single bit changes", () => {
    const [one, other] = [entry(10, 1, verdict({})), entry(11, 2, verdict({ ahead: true }))];
    const { digest } = batchTrail("B-1", [one, other], []);
    expect(digest).toEqual(
      createHash("sha256")
        .update(Buffer.concat([leafHash(one), leafHash(other)]))
        .digest(),
    );
    const flipped = Buffer.from(other);
    const at = flipped.indexOf("Accepted");
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    expect(batchTrail("B-1", [one, flipped], []).digest).not.toEqual(digest);
  });
});
