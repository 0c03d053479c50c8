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
  test("knows of what it stepped over, and of what it knew before", () => {
    const over = (highest: bigint) => advance(source({ waitingCount: 1, highest }), () => waiting(7n, 41n));
    expect([over(40n), over(44n)]).toMatchObject([{ source: { highest: 41n } }, { source: { highest: 44n } }]);
    const skipped = advance(source({ highest: 44n, skippedAhead: [{ first: 41n, last: 42n }] }), () => undefined);
    expect(skipped).toMatchObject({ source: { through: 42n, highest: 44n } });
  });
  test("does not step over a range that lies elsewhere", () => {
    const at = (...skippedAhead: { first: bigint; last: bigint }[]) => advance(source({ highest: 60n, skippedAhead }), () => undefined);
    const [below, above, here] = [
      { first: 30n, last: 35n },
      { first: 43n, last: 50n },
      { first: 41n, last: 41n },
    ];
    expect(at(below, above)).toEqual({ kind: "still" });
    expect(at(above, below, here)).toMatchObject({ kind: "skipped", source: { through: 41n, skippedAhead: [above] } });
  });
  test("does not end a parking that waits for a newer epoch", () => {
    const before = source({ ...parked("counter_back"), waitingCount: 1, skippedAhead: [{ first: 41n, last: 41n }] });
    expect(advance(before, () => waiting(7n, 41n))).toMatchObject({ kind: "waiting", source: parked("counter_back") });
    expect(advance(before, () => undefined)).toMatchObject({ kind: "skipped", source: parked("counter_back") });
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
  test("gives up nothing that waits in it, however high, and everything that waits under the same number elsewhere", () => {
    const ended = endEpoch(source({ highest: 44n }), [waiting(8n, 43n), waiting(7n, 48n)], { epoch: 8n, sequence: 1n, ref: -1 });
    expect(ended.givenUp).toEqual([{ first: 41n, last: 47n }]);
  });
  test("keeps what waits in any newer epoch, and what waits above the number that begins this one", () => {
    const kept = [waiting(8n, 5n), waiting(8n, 4n), waiting(9n, 9n)];
    const ended = endEpoch(source(), [...kept, waiting(8n, 3n)], { epoch: 8n, sequence: 3n, ref: -1 });
    expect(ended.source).toMatchObject({ highest: 5n, waitingCount: 3, waitingBytes: 30 });
    expect(endEpoch(source(), kept, { epoch: 8n, sequence: 3n, ref: -1 }).expire).toBe(null);
  });
  test("that never began lacks nothing", () => {
    expect(endEpoch(source({ epoch: null, through: 0n, highest: 5n }), [], { epoch: 8n, sequence: 1n, ref: -1 }).givenUp).toEqual([]);
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
    const before = source({ highest: 44n });
    expect(giveUp(before, [], 8n, 41n, 44n)).toEqual({ source: before, ranges: [] });
    expect(giveUp(before, [waiting(8n, 43n)], 7n, 41n, 44n).ranges).toEqual([{ first: 41n, last: 44n }]);
  });
  test("gives up from the first to the last and no more, below what is decided nothing", () => {
    const before = source({ highest: 50n, skippedAhead: [{ first: 48n, last: 49n }] });
    expect(giveUp(before, [], 7n, 43n, 44n)).toMatchObject({
      ranges: [{ first: 43n, last: 44n }],
      source: {
        highest: 50n,
        skippedAhead: [
          { first: 48n, last: 49n },
          { first: 43n, last: 44n },
        ],
      },
    });
    expect(giveUp(before, [], 7n, 40n, 41n).ranges).toEqual([{ first: 41n, last: 41n }]);
    expect(giveUp(before, [], 7n, 30n, 39n)).toEqual({ source: before, ranges: [] });
    expect(giveUp(before, [], 7n, 41n, 60n).source.highest).toBe(60n);
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
  test("looks for nothing where nothing waits", () => {
    const looks = (): boolean => {
      throw new Error("it was looked for");
    };
    expect(noteGap(source(), source({ highest: 43n }), -5, looks).gap).toEqual({ position: -5, timer: "restarted" });
  });
  test("has its time anew in a newer epoch, wherever the cursor stands in it", () => {
    const open = { gap: { position: 2, timer: "kept" as const }, waitingCount: 1, highest: 45n };
    expect(noted(source(open), source({ ...open, epoch: 8n }), false)).toEqual({ position: 2, timer: "restarted" });
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
