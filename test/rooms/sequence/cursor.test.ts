import { describe, expect, test } from "vitest";
import { advance, endEpoch, giveUp, noteGap, takeNumber } from "../../../src/sequence/cursor.ts";
import type { SourceState, WaitingEvent } from "../../../src/sequence/source-state.ts";

const source = (more: Partial<SourceState> = {}): SourceState => ({
  key: "1",
  source: "/site/rtm1/line/4/eq/scale-1",
  site: "rtm1",
  line: "4",
  equipment: "scale-1",
  device: null,
  numbering: true,
  revoked: false,
  version: 1,
  incarnation: 1,
  epoch: 7n,
  through: 40n,
  highest: 40n,
  gap: null,
  gapDueAt: null,
  skippedAhead: [],
  parked: null,
  reused: 0,
  waitingCount: 0,
  waitingBytes: 0,
  deferredCount: 0,
  deferredBytes: 0,
  connection: null,
  monotonic: {},
  ...more,
});
const waiting = (epoch: bigint, sequence: bigint): WaitingEvent => ({
  sourceKey: "1",
  incarnation: 1,
  epoch,
  sequence,
  position: 12,
  idHash: "h",
  digest: "d",
  bytes: 10,
  ahead: false,
});
const parked = (why: "poison" | "counter_back" | "gap" | "waiting_full") => ({ parked: { why, position: 3 } });

describe("a number taken in its turn", () => {
  test("moves the cursor and forgets reused numbers", () => {
    expect(takeNumber(source({ reused: 1, highest: 44n }), { epoch: 7n, sequence: 41n, ref: -1 })).toMatchObject({ through: 41n, highest: 44n, reused: 0 });
  });
  test("ends a parking that waited for it, and no other", () => {
    const taken = (why: Parameters<typeof parked>[0], epoch = 7n) =>
      takeNumber(source(parked(why)), { epoch, sequence: epoch === 7n ? 41n : 1n, ref: -1 }).parked?.why ?? null;
    expect([taken("gap"), taken("waiting_full"), taken("counter_back"), taken("poison")]).toEqual([null, null, "counter_back", "poison"]);
    expect([taken("counter_back", 8n), taken("poison", 8n)]).toEqual([null, "poison"]);
  });
});

describe("the cursor", () => {
  test("steps over what waits next, and counts it out", () => {
    const next = advance(source({ waitingCount: 2, waitingBytes: 30, highest: 44n }), (n) => (n === 41n ? waiting(7n, 41n) : undefined));
    expect(next).toMatchObject({ kind: "waiting", waiting: { sequence: 41n }, source: { through: 41n, highest: 44n, waitingCount: 1, waitingBytes: 20 } });
  });
  test("steps over what was given up", () => {
    const next = advance(
      source({
        skippedAhead: [
          { first: 41n, last: 41n },
          { first: 45n, last: 50n },
        ],
      }),
      () => undefined,
    );
    expect(next).toMatchObject({ kind: "skipped", source: { through: 41n, skippedAhead: [{ first: 45n, last: 50n }] } });
  });
  test("steps over a whole range at once, however long it is", () => {
    const last = 2n ** 63n - 2n;
    const next = advance(source({ skippedAhead: [{ first: 41n, last }] }), () => undefined);
    expect(next).toMatchObject({ kind: "skipped", source: { through: last, highest: last, skippedAhead: [] } });
  });
  test("stands where the next number has not come", () => {
    expect(advance(source({ waitingCount: 1 }), () => undefined)).toEqual({ kind: "still" });
  });
});

describe("an epoch that ends", () => {
  test("gives up what it lacks, lets what waits expire, and keeps what waits in the newer one", () => {
    const before = source({ highest: 44n, waitingCount: 3, waitingBytes: 30, skippedAhead: [{ first: 42n, last: 42n }] });
    const ended = endEpoch(before, [waiting(7n, 43n), waiting(8n, 5n), waiting(8n, 1n)], { epoch: 8n, sequence: 3n, ref: -1 });
    expect(ended.givenUp).toEqual([
      { first: 41n, last: 41n },
      { first: 44n, last: 44n },
    ]);
    expect(ended.expire).toEqual({ epoch: 8n, through: 3n });
    expect(ended.source).toMatchObject({ epoch: 8n, through: 0n, highest: 5n, waitingCount: 1, waitingBytes: 10, skippedAhead: [] });
  });
  test("leaves nothing to expire when nothing waited", () => {
    expect(endEpoch(source(), [], { epoch: 8n, sequence: 1n, ref: -1 })).toMatchObject({ givenUp: [], expire: null });
  });
});

describe("giving up", () => {
  test("never gives up what has arrived or is decided", () => {
    const given = giveUp(source({ highest: 44n }), [waiting(7n, 43n)], 7n, 30n, 44n);
    expect(given.ranges).toEqual([
      { first: 41n, last: 42n },
      { first: 44n, last: 44n },
    ]);
  });
  test("in an epoch that is not the current one gives up nothing", () => {
    expect(giveUp(source(), [], 8n, 1n, 9n).ranges).toEqual([]);
  });
});

describe("a gap", () => {
  const noted = (before: SourceState, next: SourceState, there: boolean) => noteGap(before, next, -5, () => there).gap;
  test("opens when something waits and what is next has not come", () => {
    expect(noted(source(), source({ waitingCount: 1, highest: 43n }), false)).toEqual({ position: -5, timer: "restarted" });
  });
  test("opens when a heartbeat tells of numbers that nobody has seen", () => {
    expect(noted(source(), source({ highest: 43n }), false)).toEqual({ position: -5, timer: "restarted" });
  });
  test("is none while what is next is there", () => {
    expect(noted(source(), source({ waitingCount: 1, highest: 43n }), true)).toBe(null);
    expect(noted(source(), source(), false)).toBe(null);
  });
  test("keeps its place, and has its time anew only when the cursor moves", () => {
    const open = { gap: { position: 2, timer: "kept" as const }, waitingCount: 1, highest: 45n };
    expect(noted(source(open), source({ ...open, waitingCount: 2 }), false)).toEqual({ position: 2, timer: "kept" });
    expect(noted(source(open), source({ ...open, through: 41n }), false)).toEqual({ position: 2, timer: "restarted" });
  });
  test("has no time while it parks its source, and has it again when that ends", () => {
    const open = { gap: { position: 2, timer: "kept" as const }, waitingCount: 1, highest: 45n };
    expect(noted(source(open), source({ ...open, ...parked("gap") }), false)).toEqual({ position: 2, timer: "halted" });
    const halted = { ...open, gap: { position: 2, timer: "halted" as const } };
    expect(noted(source({ ...halted, ...parked("gap") }), source(halted), false)).toEqual({ position: 2, timer: "restarted" });
  });
});
