import { describe, expect, test } from "vitest";
import { commands, creates, given, scale, speaker } from "../../support/given.ts";
import { alterHeard, alterOutcomes, type Data, swapHeard } from "./alter.ts";
import { batchOutcome, behind, found, heardOutcome, isEvent, whole } from "./examples.ts";
import { Watch } from "./from-model.ts";
import type { History, LockOperation } from "./history.ts";

// Promise: each invariant about what was heard and read finds what breaks it, and no other does. Attack: a good history with one thing wrong.

describe("holes", () => {
  test("an outcome is in no list", () => expect(found(alterOutcomes(whole(), (body) => (batchOutcome(2)(body) ? [] : [body])))).toEqual(["holes"]));
  test("outcomes were first heard in another order", () => expect(found(swapHeard(whole(), heardOutcome(2), heardOutcome(3)))).toEqual(["holes"]));
  test("a repeat says something else", () => {
    const history = whole();
    const first = history.heard.find(heardOutcome(3));
    const repeat = first?.body == null ? [] : [{ ...first, at: behind(history), body: { ...first.body, data: { ...first.body.data, flags: ["x"] } } }];
    expect(found({ ...history, heard: [...history.heard, ...repeat] })).toEqual(["holes"]);
  });
  test("the generation rises, and no restore is recorded", () => {
    const history = alterOutcomes({ ...whole(), reads: [] }, (body) => [body]);
    const last = alterOutcomes(history, (body) => (batchOutcome(3)(body) ? [{ ...body, id: "2.3", data: { ...body.data, generation: 2 } }] : [body]));
    expect(found(last)).toContain("holes");
  });
});

describe("regressed", () => {
  const cursors = (history: History, change: (data: Data) => Data, through: string): History =>
    alterHeard(history, (m) =>
      m.topic.endsWith("scale-1/cursor") && m.body?.data["through"] === through ? [{ ...m, body: { ...m.body, data: change(m.body.data) } }] : [m],
    );
  test("an older cursor follows a newer one", () => {
    const history = whole();
    const old = history.heard.filter(({ topic }) => topic.endsWith("scale-1/cursor")).slice(0, 1);
    expect(found({ ...history, heard: [...history.heard, ...old.map((message) => ({ ...message, at: behind(history) }))] })).toEqual(["regressed"]);
  });
  test("one version says two things", () => {
    const history = whole();
    const last = history.heard.filter(({ topic }) => topic.endsWith("scale-1/cursor")).slice(-1);
    const other = last.flatMap((m) => (m.body === null ? [] : [{ ...m, at: behind(history), body: { ...m.body, data: { ...m.body.data, parked: true } } }]));
    expect(found({ ...history, heard: [...history.heard, ...other] })).toEqual(["regressed"]);
  });
  test("a cursor with a newer version goes back", () => expect(found(cursors(whole(), (data) => ({ ...data, through: "1" }), "3"))).toEqual(["regressed"]));
});

describe("prefix", () => {
  test("a read leaves one out", () => {
    const history = whole();
    for (const of of ["outcomes", "verdicts"]) {
      const reads = history.reads.map((read) => (read.of === of && read.ids.length > 2 ? { ...read, ids: read.ids.toSpliced(1, 1) } : read));
      expect(found({ ...history, reads })).toEqual(["prefix"]);
    }
  });
  test("a later read is shorter", () => {
    const history = { ...whole(), heard: [] };
    const reads = history.reads.map((read, n) => (n === history.reads.length - 1 ? { ...read, ids: read.ids.slice(0, 0) } : read));
    const only = (h: History) => found(h).filter((invariant) => invariant !== "disagree");
    expect(only(history)).toEqual([]);
    expect(
      only({ ...history, reads: [...reads, ...history.reads.map((read) => ({ ...read, began: read.began + 50, ended: read.ended + 50, ids: [] }))] }),
    ).toEqual(["prefix"]);
  });
});

test("stale: a read lacks what had been heard before it began", () => {
  const history = whole();
  const late = { began: behind(history), ended: behind(history) + 1 };
  const last = (of: string, stream: string | null): string[] =>
    history.reads
      .filter((read) => read.of === of && read.stream === stream)
      .at(-1)
      ?.ids.slice(0, -1) ?? [];
  const only = { ...history, reads: [] };
  expect(found({ ...only, reads: [{ ...late, of: "outcomes", stream: "batch/B-1", ids: last("outcomes", "batch/B-1") }] })).toEqual(["stale"]);
  expect(found({ ...only, reads: [{ ...late, of: "verdicts", stream: null, ids: last("verdicts", null) }] })).toEqual(["stale"]);
  expect(found({ ...only, reads: [{ ...late, began: 0, of: "verdicts", stream: null, ids: last("verdicts", null) }] })).toEqual([]);
});

describe("locks", () => {
  const operation = (began: number, ended: number | null, asks: LockOperation["asks"], answer: LockOperation["answer"]): LockOperation => ({
    began,
    ended,
    equipment: "mixer-9",
    asks,
    answer,
  });
  test("two batches were let take one equipment", () => {
    const take = (batch: string, began: number) => operation(began, began + 1, { kind: "take", batch }, { done: true });
    expect(found({ ...whole(), locks: [take("B-1", 1), take("B-2", 3)] })).toEqual(["locks"]);
  });
  test("a step starts on equipment with which another batch works", () => {
    const history = new Watch(given())
      .sees(
        creates("B-1"),
        creates("B-2", { equipment: { scale: "scale-2", mixer: "mixer-2" } }),
        commands("release-to-floor", "B-1"),
        commands("release-to-floor", "B-2"),
        commands("start", "B-1"),
        commands("start", "B-2"),
        scale.starts("weigh"),
        speaker("scale-2").starts("weigh", { batch: "B-2" }),
      )
      .history();
    expect(found(history)).toEqual([]);
    const other = alterOutcomes(history, (body) =>
      body.source.endsWith("/B-2") && body.type.includes("step.started") ? [{ ...body, data: { ...body.data, equipment: ["scale-1"] } }] : [body],
    );
    expect(found(other)).toEqual(["locks"]);
  });
  test("the windows of two batches overlap", () => {
    const record = (batch: string, token: number, since: string, freedAt: string | null) => ({
      locks: [{ equipment: "mixer-9", batch, token, since, freedAt }],
    });
    const history = whole();
    const end = history.end;
    const one = record("B-8", 1, "2026-11-22T08:00:00.000000Z", "2026-11-22T09:00:00.000000Z");
    expect(found({ ...history, end: end && { ...end, batches: [one, record("B-9", 2, "2026-11-22T09:00:00.000000Z", null)] } })).toEqual([]);
    expect(found({ ...history, end: end && { ...end, batches: [one, record("B-9", 2, "2026-11-22T08:59:59.000000Z", null)] } })).toEqual(["locks"]);
    expect(found({ ...history, end: end && { ...end, batches: [one, record("B-9", 1, "2026-11-22T09:00:00.000000Z", null)] } })).toEqual(["locks"]);
  });
});

test("early_ack: a delivery was acknowledged before it was durable", () => {
  const history = whole();
  expect(found({ ...history, acknowledged: history.acknowledged.map((ack, n) => (n === 1 ? { ...ack, durable: false } : ack)) })).toEqual(["early_ack"]);
});

describe("disagree", () => {
  test("an outcome or a verdict was heard otherwise", () => {
    const other = (type: RegExp) =>
      alterHeard(whole(), (m, n) =>
        n < 20 && m.body !== null && type.test(m.body.type) ? [{ ...m, body: { ...m.body, data: { ...m.body.data, flags: ["x"] } } }] : [m],
      );
    expect(found(other(/step\.started/))).toEqual(["disagree"]);
    expect(found(other(/event\.decided/))).toEqual(["disagree"]);
  });
  test("REST shows what was never heard", () => {
    const deaf = alterHeard(whole(), (message) => (heardOutcome(7)(message) ? [] : [message]));
    expect(found(deaf)).toEqual(["disagree"]);
    expect(found(alterHeard(whole(), (m) => (m.topic.endsWith("/verdict") && isEvent("scale-1-7-4")(m.body?.data ?? {}) ? [] : [m])))).toEqual(["disagree"]);
  });
  test("a batch record shows another state than the outcomes lead to", () => {
    const history = whole();
    const steps = [
      { step: "weigh", state: "complete" },
      { step: "blend", state: "in_progress" },
    ];
    const record = { batch: { batch: "B-1", execution: "running", disposition: "not_reviewed", steps } };
    const end = history.end;
    expect(found({ ...history, end: end && { ...end, batches: [record] } })).toEqual([]);
    expect(found({ ...history, end: end && { ...end, batches: [{ batch: { ...record.batch, execution: "paused" } }] } })).toEqual(["disagree"]);
    expect(found({ ...history, end: end && { ...end, batches: [{ batch: { ...record.batch, steps: [{ step: "weigh", state: "in_progress" }] } }] } })).toEqual([
      "disagree",
    ]);
  });
});
