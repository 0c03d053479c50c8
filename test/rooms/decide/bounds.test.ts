import { describe, expect, test } from "vitest";
import { Group } from "../../../src/decide/group.ts";
import { judgeAgain } from "../../../src/decide/judge-again.ts";
import { requestFor } from "../../../src/decide/request.ts";
import { settle } from "../../../src/decide/settle.ts";
import type { Signal } from "../../../src/decide/signal.ts";
import { roomAhead, roomToWait } from "../../../src/decide/waiting.ts";
import { World } from "../../../src/decide/world.ts";
import type { WorldData } from "../../../src/decide/world-data.ts";
import { NotRead } from "../../../src/decide/world-request.ts";
import { type SourceState, WAITING } from "../../../src/sequence/source-state.ts";
import { type Act, failing, given, type Line, mixer, on, running, type Said, scale, weighing } from "../../support/given.ts";

// Promise: memory and commits are bounded, to the last event and the last byte. The world that was read is changed here to stand just at a bound, since filling it takes
// a thousand events; test/rooms/decide/gaps.test.ts and not-yet.test.ts fill it.

const call = (sequence: number, more: Said = {}) => scale.says("call.raised", { sequence, data: { call: "c" }, ...more });

const same: Change = (read) => read;
type Change = (read: WorldData, line: Line) => WorldData;

/** The source of the scale stands elsewhere. */
const scaleAt =
  (changes: Partial<SourceState>, waitingBytesOfShard = 0): Change =>
  (read, line) => ({ ...read, waitingBytesOfShard, sources: new Map([...read.sources, [scale.name, { ...line.source(scale), ...changes }]]) });

/** Judges in a world that was read for some acts and then changed; what it wishes to read is read. */
function judging<T>(line: Line, acts: readonly Act[], change: Change, judge: (world: WorldData, signals: readonly Signal[]) => T): T {
  const signals = line.signals(acts);
  const request = requestFor(signals);
  for (;;) {
    try {
      return judge(change(line.model.read(request), line), signals);
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      error.add(request);
    }
  }
}

/** What the acts come to where the source stands elsewhere: each verdict, how many numbers wait then, and why the source is parked. */
function settled(line: Line, acts: readonly Act[], changes: Partial<SourceState>) {
  const settlement = judging(line, acts, scaleAt(changes), (world, signals) => settle(world, line.model.machines, signals));
  const after = settlement.world.source(scale.name);
  return {
    verdicts: settlement.rows.verdicts.map(({ status, code }) => (code === null ? status : `${status} ${code}`)),
    reasons: settlement.rows.verdicts.map(({ reason, refusedBy }) => `${refusedBy}: ${reason}`),
    more: (after?.waitingCount ?? 0) - (changes.waitingCount ?? 0),
    parked: after?.parked ?? null,
    ids: settlement.rows.ids.length,
  };
}

describe("the room for waiting", () => {
  const room = (changes: Partial<SourceState>, bytes = 0, shard = 0) => {
    const line = given(call(1));
    return judging(line, [call(2)], scaleAt(changes, shard), (world) => {
      const group = new Group(new World(world), line.model.machines);
      const source = { ...line.source(scale), ...changes };
      return { toWait: roomToWait(group, source, bytes), ahead: roomAhead(group, source) };
    });
  };
  const toWait = (changes: Partial<SourceState>, bytes = 0, shard = 0) => room(changes, bytes, shard).toWait;
  const { perSource, aheadPerSource, bytesPerSource, bytesPerShard } = WAITING;
  test("is counted in events, of which the deferred ones are some", () => {
    expect([perSource - 1, perSource, perSource + 1].map((waitingCount) => toWait({ waitingCount }))).toEqual([true, false, false]);
    expect([1, 2].map((deferredCount) => toWait({ waitingCount: perSource - 2, deferredCount }))).toEqual([true, false]);
  });
  test("is counted in bytes, with those of the event itself", () => {
    expect([40, 41].map((bytes) => toWait({ waitingBytes: bytesPerSource - 40 }, bytes))).toEqual([true, false]);
    expect([30, 31].map((bytes) => toWait({ waitingBytes: bytesPerSource - 40, deferredBytes: 10 }, bytes))).toEqual([true, false]);
  });
  test("is bounded for the shard too, whatever its sources have", () => {
    expect([40, 41].map((bytes) => toWait({}, bytes, bytesPerShard - 40))).toEqual([true, false]);
  });
  test("is a little more for what has acted and only takes its number", () => {
    const last = perSource + aheadPerSource - 1;
    expect([last, last + 1].map((waitingCount) => room({ waitingCount }).ahead)).toEqual([true, false]);
    expect([1, 2].map((deferredCount) => room({ waitingCount: last - 1, deferredCount }).ahead)).toEqual([true, false]);
  });
  test("counts what its own group has made wait and deferred", () => {
    const line = given(running());
    const early = (sequence: number) => mixer.says("call.raised", { sequence, data: { call: "c" } });
    const acts = [mixer.starts("blend"), mixer.completes("blend"), early(9), early(7)];
    const [after, bytes] = judging(line, acts, same, (world, signals) => [
      settle(world, line.model.machines, signals).world,
      signals.map((signal) => (signal.kind === "event" ? signal.inHand.bytes : 0)),
    ]);
    const now = after.source(mixer.name);
    const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0);
    expect(now?.waitingCount).toBe(2);
    expect(now && after.deferred(now)).toEqual({ count: 2, bytes: sum(bytes.slice(0, 2)) });
    expect(after.waitingBytesOfShard).toBe(sum(bytes.slice(2)));
  });
});

describe("what its own group has made of that", () => {
  const bytesOf = (signals: readonly Signal[]) => signals.reduce((sum, signal) => sum + (signal.kind === "event" ? signal.inHand.bytes : 0), 0);
  const deferred = (line: Line, ...acts: readonly Act[]) =>
    judging(line, acts, same, (world, signals) => {
      const after = settle(world, line.model.machines, signals).world;
      const source = after.source(scale.name);
      return source && after.deferred(source).count;
    });
  test("adds to what waited in the shard before", () => {
    const line = given(call(1), call(5));
    const before = line.source(scale).waitingBytes;
    expect(before).toBeGreaterThan(0);
    judging(line, [call(7)], same, (world, signals) =>
      expect(settle(world, line.model.machines, signals).world.waitingBytesOfShard).toBe(before + bytesOf(signals)),
    );
  });
  test("counts a deferred event once, and no more when it is done", () => {
    const completes = scale.says("step.complete");
    expect(deferred(given(running()), completes)).toBe(1);
    // it comes to wait for its evidence
    expect(deferred(given(running()), completes, scale.starts("weigh"))).toBe(1);
    expect(deferred(given(running(), completes), scale.starts("weigh"))).toBe(1);
    expect(deferred(given(weighing()), scale.completes("weigh"), scale.weighs("12.500"))).toBe(0);
    expect(deferred(given(weighing(), scale.completes("weigh")), scale.weighs("12.500"))).toBe(0);
  });
});

describe("a source whose room for waiting is used up", () => {
  const full = { waitingCount: WAITING.perSource };
  test("is parked by the next early event, which is not kept and may come again", () => {
    expect(settled(given(call(1)), [call(3)], full)).toEqual({
      verdicts: ["rejected SEQ_WAITING_FULL"],
      reasons: [`order: ${scale.name} has too many early events waiting; this one was not kept.`],
      more: 0,
      parked: { why: "waiting_full", position: -1 },
      ids: 0,
    });
  });
  test("stays parked as it is", () => {
    const parked = { why: "gap", position: 2 } as const;
    expect(settled(given(call(1)), [call(3)], { ...full, parked })).toMatchObject({ verdicts: ["rejected SEQ_WAITING_FULL"], parked, more: 0 });
  });
  test("still lets act what restricts, with its number; beyond that it waits for room like the rest", () => {
    const ahead = (waitingCount: number) => settled(given(weighing()), [scale.pauses("weigh", { sequence: 4 })], { waitingCount });
    expect(ahead(WAITING.perSource)).toMatchObject({ verdicts: ["accepted"], more: 1, ids: 1 });
    expect(ahead(WAITING.perSource + WAITING.aheadPerSource)).toMatchObject({ verdicts: ["rejected SEQ_WAITING_FULL"], more: 0, ids: 0 });
  });
  test("keeps no number of what has no effect of its own", () => {
    const twice = (waitingCount: number) => settled(given(call(1, { id: "a" })), [call(5, { id: "a" })], { waitingCount });
    expect(twice(WAITING.perSource - 1)).toMatchObject({ verdicts: ["duplicate DUP_EXACT"], more: 1 });
    expect(twice(WAITING.perSource)).toMatchObject({ verdicts: ["duplicate DUP_EXACT"], more: 0 });
  });
  test("defers nothing more: not yet is no", () => {
    const completes = (deferredCount: number) => settled(given(weighing()), [scale.completes("weigh")], { deferredCount }).verdicts;
    expect([completes(WAITING.perSource - 1), completes(WAITING.perSource)]).toEqual([["deferred EVD_MISSING"], ["rejected EVD_MISSING"]]);
  });
});

describe("what one commit judges again", () => {
  const check = mixer.says("check.performed", { batch: "B-1", step: "blend", data: { check: "c", result: "pass" } });
  /** Three deferred events, of which those that are judged again become poison; how many is told, and what goes on later. */
  function judged(judgedAgain: number, changed: readonly (readonly [string, number])[] = [["batch:B-1", 0]]) {
    let broken = false;
    const line = on(
      failing(() => broken),
      running(),
      check,
      check,
      check,
    );
    broken = true;
    const group = judging(line, [scale.starts("weigh")], same, (world) => {
      const begun = new Group(new World(world), line.model.machines);
      begun.judgedAgain = judgedAgain;
      for (const [key, after] of changed) begun.change(key, after);
      judgeAgain(begun);
      return begun;
    });
    return { poisoned: group.rows.verdicts.map(({ event }) => event), later: group.followUps, open: [...line.model.deferrals.keys()] };
  }
  test("is bounded; the rest goes on in the next, behind what was judged here", () => {
    const [first = 0, second = 0, third = 0] = judged(0).open;
    // each that ends is a change, after which the oldest come first again
    expect(judged(0)).toMatchObject({ poisoned: [first, second, third], later: [] });
    expect(judged(500).poisoned).toEqual([]);
    expect(judged(500).later).toEqual([{ tick: "again", waitsFor: ["batch:B-1"] }]);
    expect(judged(498)).toMatchObject({ poisoned: [first, second], later: [{ tick: "again", waitsFor: ["batch:B-1"] }] });
    expect(judged(500, [["batch:B-1", second]]).later).toEqual([{ tick: "again", waitsFor: ["batch:B-1"], after: second }]);
    expect(judged(0, [["batch:B-1", second]]).poisoned[0]).toBe(third);
  });
  test("begins with the older of two places at which the same was named", () => {
    const [first = 0, second = 0, third = 0] = judged(0).open;
    for (const order of [
      [second, first],
      [first, second],
    ])
      expect(
        judged(
          0,
          order.map((after) => ["batch:B-1", after] as const),
        ).poisoned[0],
      ).toBe(second);
    expect(
      judged(0, [
        ["batch:B-1", second],
        ["batch:B-2", 0],
      ]).poisoned[0],
    ).toBe(third);
  });
  test("is not judged twice by going on: what stayed open lies behind", () => {
    const line = given(running(), check, check, check);
    const [first = 0, second = 0, third = 0] = [...line.model.deferrals.keys()];
    const goesOn = (judgedAgain: number, after: number, ...fresh: readonly number[]) =>
      judging(line, [scale.starts("weigh")], same, (world) => {
        const group = new Group(new World(world), line.model.machines);
        group.judgedAgain = judgedAgain;
        const open = group.world.deferral(first);
        if (open !== undefined) for (const position of fresh) group.world.putDeferral({ ...open, position });
        group.change("batch:B-1", after);
        judgeAgain(group);
        expect(group.rows.verdicts).toEqual([]);
        return group.followUps;
      });
    expect(goesOn(498, 0)).toEqual([{ tick: "again", waitsFor: ["batch:B-1"], after: second }]);
    expect(goesOn(499, 0)).toEqual([{ tick: "again", waitsFor: ["batch:B-1"], after: first }]);
    expect(goesOn(499, first)).toEqual([{ tick: "again", waitsFor: ["batch:B-1"], after: second }]);
    expect(goesOn(497, 0)).toEqual([]);
    // what this very group has deferred has no place yet, and comes last
    expect(goesOn(496, 0, -7, -8)).toEqual([{ tick: "again", waitsFor: ["batch:B-1"], after: third }]);
  });
});
