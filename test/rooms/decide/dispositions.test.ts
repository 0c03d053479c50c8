// Promise: what was signed about a batch's disposition holds while the record is as it was when it was signed; whatever changes it makes the signature void in the same commit, and the batch is disposed
// of anew.
// Attack: each kind of change behind each stage, in every order; what changes nothing; quality before production; acts from before this was so.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Act, commands, disposes, given, type Line, orders, running, scale, stepCommand, told } from "../../support/given.ts";
import { replay } from "../../support/model.ts";

const stopped = () => given(running(), scale.starts("weigh"), commands("stop"));
const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
const stands = (line: Line) => [line.batch().disposition, line.batch().signed?.stage ?? null];
const comment = stepCommand("comment", "weigh", { comment: "late" });
/** Tells of something done in a batch that has ended: a person decides what it means. */
const late = scale.weighs("12.500");
const outcomes = (line: Line) => line.model.outcomes.map(({ type }) => type);
const quarantined = (line: Line): number => [...line.model.quarantine.values()].find(({ resolution }) => resolution === null)?.position ?? 0;
const rejects = (line: Line): Act => orders({ kind: "quarantine.resolve", event: quarantined(line), action: "reject", reason: "seen" });

describe("two stages", () => {
  test("are signed one after the other, and each says so", () => {
    const line = stopped();
    expect(stands(line)).toEqual(["pending_review", null]);
    expect(line.answer(disposes("recommend"))).toMatchObject({ kind: "done", created: false, batch: { disposition: "pending_review", signed: "recommended" } });
    expect(line.answer(disposes("release"))).toMatchObject({ kind: "done", batch: { disposition: "released", signed: "disposed" } });
    expect(line.model.facts.filter(({ kind }) => kind === "disposition.signed").map(({ data, from, to }) => ({ ...data, from, to }))).toEqual([
      { stage: "recommended", before: "pending_review", from: null, to: null },
      { stage: "disposed", before: "pending_review", from: null, to: null },
    ]);
    expect(line.model.outcomes.find(({ type }) => type === "batch.recommended")?.data["report"]).toEqual({ actor: "person:sam" });
    expect(outcomes(line).slice(-2)).toEqual(["batch.recommended", "batch.released"]);
  });
  for (const command of ["release", "conditional", "reject"] as const)
    test(`${command} does not come before production's recommendation`, () => {
      const line = stopped();
      expect(line.answer(disposes(command))).toMatchObject({
        kind: "refused",
        code: "QLT_NOT_RECOMMENDED",
        reason: "Production has not recommended batch B-1, or its record has changed since.",
      });
      expect(stands(line)).toEqual(["pending_review", null]);
    });
  test("production recommends where something waits for quality's word, and says what stands where nothing does", () => {
    const line = given(running());
    expect(line.answer(disposes("recommend"))).toMatchObject({
      code: "STA_INVALID_TRANSITION",
      reason: "The disposition of batch B-1 is not_reviewed; there is nothing to recommend.",
    });
    line.when(commands("stop"));
    for (const command of ["recommend", "conditional", "recommend"] as const) expect(answered(line, disposes(command))).toBe("done");
    expect(stands(line)).toEqual(["conditional", "recommended"]);
    expect(line.facts("reported")).toHaveLength(2);
  });
  test("a recommendation from before signatures were bound to the record says so, and signs nothing", () => {
    const line = stopped();
    expect(answered(line, disposes("recommend", "B-1", false))).toBe("done");
    expect(stands(line)).toEqual(["pending_review", null]);
    expect(outcomes(line).at(-1)).toBe("batch.recommended");
  });
  test("a conditional release is followed by a final one without another recommendation, and both fall to where the batch was", () => {
    const line = stopped();
    for (const command of ["recommend", "conditional", "release"] as const) expect(answered(line, disposes(command))).toBe("done");
    expect(stands(line)).toEqual(["released", "disposed"]);
    line.when(comment);
    expect(stands(line)).toEqual(["pending_review", null]);
  });
});

describe("a change of the record", () => {
  const changes: Readonly<Record<string, (line: Line) => Act>> = { "a comment": () => comment, "a report of something done": () => late };
  const stages = {
    recommended: ["recommend"],
    released: ["recommend", "release"],
    conditional: ["recommend", "conditional"],
    rejected: ["recommend", "reject"],
  } as const;
  for (const [change, act] of Object.entries(changes))
    for (const [stage, signed] of Object.entries(stages))
      test(`${change} puts a batch back that is ${stage}`, () => {
        const line = stopped();
        for (const command of signed) expect(answered(line, disposes(command))).toBe("done");
        const { disposition } = line.batch();
        const before = line.model.facts.length;
        line.when(act(line));
        expect(stands(line)).toEqual(["pending_review", null]);
        const voided = line.model.facts.slice(before).at(-1);
        expect(voided).toMatchObject({
          kind: "disposition.voided",
          from: disposition,
          to: "pending_review",
          data: { stage: stage === "recommended" ? "recommended" : "disposed" },
        });
        expect(line.model.outcomes.at(-1)).toMatchObject({
          type: "batch.disposition-voided",
          data: { from: { disposition }, to: { disposition: "pending_review" }, voided: voided?.data["stage"] },
        });
        expect(answered(line, disposes("release"))).not.toBe("done");
      });
  test("stands at the position of what changed it, and no verdict counts it among its facts", () => {
    const line = stopped();
    line.when(disposes("recommend"));
    line.when(late);
    expect(line.model.verdicts.at(-1)).toMatchObject({ status: "quarantined", facts: 0 });
    expect(line.model.facts.at(-1)?.position).toBe(line.model.verdicts.at(-1)?.position);
    line.when(rejects(line), disposes("recommend"));
    const facts = line.model.facts.length;
    expect(told(line.when(scale.alarms({ batch: "B-1" })))).toEqual(["accepted"]);
    expect(line.model.facts.slice(facts).map(({ ordinal }) => ordinal)).toEqual([1, 2]);
    expect(line.model.verdicts.at(-1)?.facts).toBe(1);
  });
  test("says which event made it void, where one did; it is marked by nothing of it", () => {
    const line = stopped();
    const voided = () => line.model.outcomes.at(-1);
    line.when(disposes("recommend"), late);
    expect(voided()).toMatchObject({ type: "batch.disposition-voided", causation: "scale-1-7-2", data: { flags: [] } });
    line.when(disposes("recommend"), rejects(line));
    expect(voided()).toMatchObject({ type: "batch.disposition-voided", causation: null, data: { flags: [] } });
    // unreadable, under the identity of another
    line.when(disposes("recommend"), scale.weighs("12.500", { id: "scale-1-7-2", sequence: 2, data: { nonsense: 1 } }));
    expect(line.model.verdicts.at(-1)).toMatchObject({ status: "quarantined", code: "DUP_ID_REUSED" });
    expect(voided()).toMatchObject({ type: "batch.disposition-voided", causation: null });
  });
  test("stands behind what an event brings about that a person has judged again", () => {
    const line = stopped();
    line.when(scale.says("call.raised", { sequence: 4, data: { call: "c" } }));
    const { gap } = line.source(scale);
    line.when(orders({ kind: "gap.resolve", source: scale.name, gap: gap?.position ?? 0, action: "skip", epoch: null, sequence: null, reason: "seen" }));
    expect(told(line.when(scale.alarms({ batch: "B-1", sequence: 2 })))).toEqual(["quarantined SEQ_SKIPPED"]);
    line.when(disposes("recommend"));
    const before = line.model.facts.length;
    line.when(orders({ kind: "quarantine.resolve", event: quarantined(line), action: "reprocess", reason: "seen" }));
    expect(line.model.facts.slice(before).map(({ ordinal, kind }) => `${ordinal} ${kind}`)).toEqual(["1 reported", "2 disposition.voided"]);
  });
  test("is what a person decides about a quarantined event, too", () => {
    const line = stopped();
    line.when(late, disposes("recommend"));
    expect(stands(line)).toEqual(["pending_review", "recommended"]);
    line.when(rejects(line));
    expect(stands(line)).toEqual(["pending_review", null]);
  });
  test("is neither what is refused, nor the closing of the batch, nor a change of another", () => {
    const line = given(running(), commands("stop"));
    for (const command of ["recommend", "release"] as const) expect(answered(line, disposes(command))).toBe("done");
    expect(answered(line, commands("start"))).toBe("STA_INVALID_TRANSITION");
    line.when(scale.starts("weigh"), running("B-2"));
    expect(stands(line)).toEqual(["released", "disposed"]);
    expect(answered(line, commands("close"))).toBe("done");
    expect([line.batch().execution, ...stands(line)]).toEqual(["closed", "released", "disposed"]);
  });
  test("is that the batch itself is aborted after all", () => {
    const line = stopped();
    line.when(disposes("recommend"));
    expect(answered(line, commands("abort"))).toBe("done");
    expect([line.batch().execution, ...stands(line)]).toEqual(["aborted", "pending_review", null]);
    expect(line.model.facts.at(-1)?.kind).toBe("disposition.voided");
  });
  test("voids once, whatever else changes", () => {
    const line = stopped();
    line.when(disposes("recommend"), comment, comment);
    line.together(disposes("recommend"), comment, late);
    expect(line.facts("disposition.voided")).toHaveLength(2);
  });
});

test("what was signed before signatures were bound to the record stands as it did, and is decided again as it was", () => {
  const line = stopped();
  for (const command of ["release", "recommend"] as const)
    expect(answered(line, disposes(command, "B-1", false))).toBe(command === "release" ? "done" : "STA_INVALID_TRANSITION");
  expect(stands(line)).toEqual(["released", null]);
  line.when(comment);
  expect(stands(line)).toEqual(["released", null]);
  expect(line.facts().filter((fact) => fact.startsWith("disposition"))).toEqual([]);
});

test("in every order of acts and changes, in groups of any size, nothing is disposed of that has changed since it was signed, and all of it is decided again as it was", () => {
  const acts: readonly ((line: Line) => Act)[] = [
    () => disposes("recommend"),
    () => disposes("release"),
    () => disposes("conditional"),
    () => disposes("reject"),
    () => comment,
    () => late,
    (line) => (quarantined(line) > 0 ? rejects(line) : comment),
    () => commands("close"),
    () => commands("abort"),
  ];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: acts.length - 1 }), { maxLength: 16 }), fc.integer({ min: 1, max: 3 }), (order, size) => {
      const line = stopped();
      for (let n = 0; n < order.length; n += size) line.together(...order.slice(n, n + size).flatMap((at) => acts[at]?.(line) ?? []));
      const facts = line.model.facts.filter(({ batch }) => batch === "B-1");
      const lastSigned = facts.findLastIndex(({ kind }) => kind === "disposition.signed");
      const { signed, disposition } = line.batch();
      // production may recommend anew what quality has released under a condition
      if (["released", "rejected"].includes(disposition)) expect(signed?.stage).toBe("disposed");
      if (signed !== null) {
        const since = facts.slice(lastSigned + 1).filter(({ data }) => data["by"] !== "batch.close");
        expect(since).toEqual([]);
        const at = facts[lastSigned]?.position ?? 0;
        expect(line.model.verdicts.filter((v) => v.status === "quarantined" && v.position > at)).toEqual([]);
      } else expect(["pending_review", "not_reviewed"]).toContain(disposition);
      // of each two that quality has signed, one is void or follows a condition
      expect(facts.filter(({ kind }) => kind === "disposition.voided").length).toBeLessThanOrEqual(
        facts.filter(({ kind }) => kind === "disposition.signed").length,
      );
      const again = replay(line.model);
      expect(again.facts).toEqual(line.model.facts);
      expect(again.outcomes).toEqual(line.model.outcomes);
      // how often it was written depends on the groups
      expect({ ...again.batch("B-1"), version: 0 }).toEqual({ ...line.model.batch("B-1"), version: 0 });
    }),
    { numRuns: 60 },
  );
}, 60_000);
