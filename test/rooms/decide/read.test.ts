import { describe, expect, test } from "vitest";
import { Changes } from "../../../src/decide/changes.ts";
import { Numbers } from "../../../src/decide/numbers.ts";
import { World } from "../../../src/decide/world.ts";
import { numberKey, type WaitingInHand, type WaitingWindow, type WorldData, windowKey } from "../../../src/decide/world-data.ts";
import { emptyRequest, NotRead, type WorldRequest } from "../../../src/decide/world-request.ts";
import type { SourceState } from "../../../src/sequence/source-state.ts";
import { given, running, scale } from "../../support/given.ts";

// Promise: what was read is believed as far as it reaches, what the group has changed comes first, and what was neither read nor changed is asked for, never guessed.
// Attack: ask at every edge of what was read.

const line = given(running());
const nothing = line.model.read(emptyRequest());
const LAST = 2n ** 63n - 1n;
/** The source of the scale at 7.4, as it was read. */
const source: SourceState = { ...line.source(scale), epoch: 7n, through: 4n, highest: 4n };
const waiting = (sequence: bigint, more: Partial<WaitingInHand> = {}): WaitingInHand => ({
  sourceKey: source.key,
  incarnation: source.incarnation,
  epoch: 7n,
  sequence,
  position: Number(sequence),
  idHash: `h-${sequence}`,
  digest: "d",
  bytes: 1,
  ahead: false,
  event: null,
  ...more,
});
const window = (after: bigint, reaches: bigint | null, ...sequences: readonly bigint[]): WaitingWindow => ({
  after,
  reaches,
  events: sequences.map((n) => waiting(n)),
});

interface Read {
  /** How many of the source wait, as it was read; null: the source itself was not. */
  readonly count?: number | null;
  readonly at?: Partial<SourceState>;
  readonly window?: WaitingWindow;
  readonly numbers?: readonly (readonly [sequence: bigint, position: number | null])[];
  readonly waitingAt?: readonly (readonly [sequence: bigint, waiting: WaitingInHand | null])[];
  readonly all?: readonly WaitingInHand[];
}

const keyOf = (sequence: bigint) => numberKey(source.key, source.incarnation, 7n, sequence);
const numbersOf = ({ count = 3, at = {}, window: read, numbers = [], waitingAt = [], all }: Read) =>
  new Numbers(
    {
      ...nothing,
      sources: new Map(count === null ? [] : [[source.source, { ...source, ...at, waitingCount: count }]]),
      waitingNext: new Map(read === undefined ? [] : [[windowKey(source, 7n), read]]),
      numbers: new Map(numbers.map(([sequence, position]) => [keyOf(sequence), position])),
      waitingAt: new Map(waitingAt.map(([sequence, found]) => [keyOf(sequence), found])),
      waitingNumbers: new Map(all === undefined ? [] : [[source.source, all]]),
    },
    new Changes(),
  );
const now = (count: number, more: Partial<SourceState> = {}): SourceState => ({ ...source, waitingCount: count, ...more });

/** What an answer is, or what is wished to be read instead, kind by kind. */
function wishOr<T>(ask: () => T, asked: WorldRequest = emptyRequest()): T | string {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    error.add(asked);
    const wishes = Object.entries(asked).flatMap(([kind, names]: [string, Set<unknown> | Map<string, unknown>]) => (names.size === 0 ? [] : [kind]));
    return `${error.message}: ${wishes.join(", ")}`;
  }
}
const WISHES_NUMBER = (sequence: bigint) => `number 7.${sequence} of ${source.source} has not been read: numbers`;
const WISHES_WINDOW = `what waits at ${source.source} has not been read: waitingNext`;
const sequences = (found: readonly { readonly sequence: bigint }[] | string) => (typeof found === "string" ? found : found.map(({ sequence }) => sequence));

describe("a number", () => {
  test("is taken where the group took it, or where it was read to be", () => {
    const numbers = numbersOf({
      numbers: [
        [5n, 31],
        [6n, null],
      ],
    });
    numbers.take(source, 7n, 7n, -1);
    expect([5n, 6n, 7n, 8n].map((n) => wishOr(() => numbers.taken(source, 7n, n)))).toEqual([31, undefined, -1, WISHES_NUMBER(8n)]);
  });
  test("of a source that counts anew is free, without reading, unless this group has taken it", () => {
    const numbers = numbersOf({});
    const anew = now(0, { incarnation: source.incarnation + 1 });
    numbers.take(anew, 7n, 7n, -1);
    expect([wishOr(() => numbers.taken(anew, 7n, 6n)), numbers.taken(anew, 7n, 7n)]).toEqual([undefined, -1]);
    expect(wishOr(() => numbersOf({ count: null }).taken(anew, 7n, 6n))).toBe(WISHES_NUMBER(6n));
  });
});

describe("who waits at a number", () => {
  const at = (numbers: Numbers, sequence: bigint, of = now(3)) => {
    const found = wishOr(() => numbers.waitingAt(of, 7n, sequence));
    return typeof found === "object" ? found.sequence : found;
  };
  test("is told as far as a window reaches, and asked for beyond it", () => {
    const numbers = numbersOf({ window: window(4n, 9n, 6n, 9n) });
    expect([3n, 4n, 5n, 6n, 9n, 10n].map((n) => at(numbers, n))).toEqual([WISHES_NUMBER(3n), WISHES_NUMBER(4n), undefined, 6n, 9n, WISHES_NUMBER(10n)]);
    expect(at(numbersOf({ window: window(4n, null, 6n) }), 10n)).toBe(undefined);
  });
  test("is told where the number itself was read", () => {
    const numbers = numbersOf({
      waitingAt: [
        [6n, waiting(6n)],
        [8n, null],
      ],
    });
    expect([6n, 8n, 9n].map((n) => at(numbers, n))).toEqual([6n, undefined, WISHES_NUMBER(9n)]);
  });
  test("is who began to in this group, and nobody who left in it", () => {
    const numbers = numbersOf({ window: window(4n, null, 6n) });
    numbers.putWaiting(waiting(8n));
    numbers.endWaiting(waiting(6n));
    expect([at(numbers, 6n), at(numbers, 8n)]).toEqual([undefined, 8n]);
    numbers.endWaiting(waiting(8n));
    expect([at(numbers, 8n), [...numbers.waitingGone]]).toEqual([undefined, [keyOf(6n)]]);
  });
  test("is nobody ahead of a source of which nothing waited, and asked for at or behind its cursor", () => {
    const numbers = numbersOf({ count: 0 });
    expect([4n, 5n, 6n].map((n) => at(numbers, n, now(0)))).toEqual([WISHES_NUMBER(4n), undefined, undefined]);
    expect(wishOr(() => numbers.waitingAt(now(0), 8n, 1n))).toBe(undefined);
    expect(wishOr(() => numbers.waitingAt(now(0), 6n, 9n))).toContain("number 6.9");
    for (const epoch of [7n, 0n]) expect(wishOr(() => numbersOf({ count: 0, at: { epoch: null } }).waitingAt(now(0), epoch, 2n))).toBe(undefined);
    expect(at(numbersOf({ count: 1 }), 6n)).toBe(WISHES_NUMBER(6n));
    expect(at(numbersOf({ count: null }), 6n)).toBe(WISHES_NUMBER(6n));
    expect(at(numbersOf({ count: 0, at: { incarnation: 9 } }), 6n)).toBe(WISHES_NUMBER(6n));
  });
  test("is nobody beyond the last number, and nobody yet where the source counts anew", () => {
    const numbers = numbersOf({});
    expect([LAST, LAST + 1n].map((n) => at(numbers, n))).toEqual([WISHES_NUMBER(LAST), undefined]);
    expect(at(numbers, 6n, now(0, { incarnation: source.incarnation + 1 }))).toBe(undefined);
  });
});

describe("who comes next", () => {
  const next = (numbers: Numbers, sequence: bigint, of = now(3), asked = emptyRequest()) => {
    const found = wishOr(() => numbers.waitingNext(of, 7n, sequence), asked);
    return typeof found === "object" ? found.sequence : found;
  };
  test("is told by a window that begins before it, and asked for otherwise", () => {
    const numbers = numbersOf({ window: window(4n, null, 5n, 7n) });
    expect([4n, 5n, 6n, 7n].map((n) => next(numbers, n))).toEqual([WISHES_WINDOW, 5n, undefined, 7n]);
    expect(next(numbersOf({}), 5n)).toBe(WISHES_WINDOW);
  });
  test("is who began to wait in this group, nobody who left, and nobody where nothing waited", () => {
    const numbers = numbersOf({ window: window(4n, null, 5n) });
    numbers.putWaiting(waiting(6n));
    numbers.endWaiting(waiting(5n));
    expect([5n, 6n].map((n) => next(numbers, n))).toEqual([undefined, 6n]);
    expect(next(numbersOf({ count: 0 }), 5n, now(0))).toBe(undefined);
  });
  test("is asked for by a window that only grows towards lower numbers", () => {
    const asked = emptyRequest();
    const lowest = () => [...asked.waitingNext.values()].map((wish) => wish.after);
    next(numbersOf({}), 6n, now(3), asked);
    expect([...asked.waitingNext]).toEqual([[windowKey(source, 7n), { source: source.source, incarnation: source.incarnation, epoch: 7n, after: 5n }]]);
    next(numbersOf({}), 9n, now(3), asked);
    expect(lowest()).toEqual([5n]);
    next(numbersOf({}), 3n, now(3), asked);
    expect(lowest()).toEqual([2n]);
  });
  test("lies beyond the window only behind its last", () => {
    const beyond = (of: Numbers, sequence: bigint) => of.beyondWindow(source, 7n, sequence);
    const numbers = numbersOf({ window: window(4n, 9n, 9n) });
    expect([8n, 9n, 10n].map((n) => beyond(numbers, n))).toEqual([false, false, true]);
    expect([beyond(numbersOf({ window: window(4n, null) }), 99n), beyond(numbersOf({}), 99n)]).toEqual([false, false]);
  });
});

describe("all who wait behind a number", () => {
  const behind = (numbers: Numbers, sequence: bigint, of = now(3)) => sequences(wishOr(() => numbers.waitingAfter(of, 7n, sequence)));
  test("are those of the window and of this group, nearest first, without those who left", () => {
    const numbers = numbersOf({ window: window(4n, null, 5n, 8n, 9n) });
    for (const sequence of [10n, 7n, 6n]) numbers.putWaiting(waiting(sequence));
    numbers.endWaiting(waiting(8n));
    expect([behind(numbers, 4n), behind(numbers, 6n)]).toEqual([
      [5n, 6n, 7n, 9n, 10n],
      [7n, 9n, 10n],
    ]);
  });
  test("are not those of another source, incarnation or epoch", () => {
    const numbers = numbersOf({ window: window(4n, null, 5n) });
    for (const other of [{ sourceKey: "99" }, { incarnation: 9 }, { epoch: 8n }]) numbers.putWaiting(waiting(6n, other));
    expect(behind(numbers, 4n)).toEqual([5n]);
  });
  test("are asked for unless a window begins at or before it", () => {
    const numbers = numbersOf({ window: window(4n, null, 5n) });
    expect([3n, 4n, 5n].map((n) => behind(numbers, n))).toEqual([WISHES_WINDOW, [5n], []]);
    expect(behind(numbersOf({}), 4n)).toBe(WISHES_WINDOW);
  });
  test("are none where none waits, and those of this group alone where none waited before", () => {
    expect(behind(numbersOf({}), 4n, now(0))).toEqual([]);
    const numbers = numbersOf({ count: 0 });
    numbers.putWaiting(waiting(6n));
    expect([behind(numbers, 4n, now(1)), behind(numbers, 3n, now(1))]).toEqual([[6n], WISHES_WINDOW]);
  });
});

describe("all who wait of a source", () => {
  const everyone = (numbers: Numbers, of = now(3)) => sequences(wishOr(() => numbers.allWaiting(of)));
  test("are those that were read and those of this group, without those who left", () => {
    const numbers = numbersOf({ all: [waiting(6n), waiting(8n)] });
    numbers.putWaiting(waiting(9n));
    numbers.putWaiting(waiting(9n, { sourceKey: "99" }));
    numbers.putWaiting(waiting(9n, { incarnation: 9 }));
    numbers.endWaiting(waiting(6n));
    expect(everyone(numbers)).toEqual([8n, 9n]);
  });
  test("are asked for where some waited, and otherwise those of this group", () => {
    expect(everyone(numbersOf({}))).toBe(`what waits at ${source.source} has not been read: waitingNumbers`);
    for (const numbers of [numbersOf({ count: 0 }), numbersOf({ count: null })]) {
      numbers.putWaiting(waiting(9n));
      expect(everyone(numbers)).toEqual([9n]);
    }
    expect(everyone(numbersOf({}), now(0, { incarnation: source.incarnation + 1 }))).toEqual([]);
  });
});

describe("what was not read of the world", () => {
  const world = (read: Partial<WorldData> = {}) => new World({ ...nothing, ...read });
  test("is wished for by its name and kind, whatever it is", () => {
    const asked: readonly (readonly [ask: (of: World) => unknown, wish: string])[] = [
      [(w) => w.source("s"), "source s has not been read: sources"],
      [(w) => w.batch("B"), "batch B has not been read: batches"],
      [(w) => w.equipment("e"), "equipment e has not been read: equipment"],
      [(w) => w.sourcesOf("e"), "the sources of equipment e has not been read: equipment"],
      [(w) => w.id(source, "h"), `id h of ${source.source} has not been read: ids`],
      [(w) => w.stream("t"), "stream t has not been read: streams"],
      [(w) => w.batchOfOrder("PO"), "job order PO has not been read: jobOrders"],
      [(w) => w.recipe("r@1"), "recipe r@1 has not been read: recipes"],
      [(w) => w.machine("m@1"), "state machine m@1 has not been read: machines"],
      [(w) => w.answer("k"), "idempotency key k has not been read: keys"],
      [(w) => w.deferral(4), "deferred event 4 has not been read: deferrals"],
      [(w) => w.quarantined(4), "quarantined event 4 has not been read: quarantine"],
      [(w) => w.signingSource("s"), "source s has not been read: sources"],
      [(w) => w.exceptionsAt(4), "exceptions at 4 has not been read: exceptions"],
      [(w) => w.stationAt("s", "now"), "where s was at now has not been read: stationsAt"],
      [(w) => w.performanceAt(4), "the performer at 4 has not been read: performances"],
    ];
    for (const [ask, wish] of asked) expect(wishOr(() => ask(world()))).toBe(wish);
    expect(wishOr(() => world({ batches: new Map([["B", null]]) }).batch("B"))).toBe("what waits for batch:B has not been read: awaited");
  });
  test("is wished for of all batches at hand, where the sources of one's equipment are: others of the group would each wish for theirs", () => {
    const request = emptyRequest();
    const batches = new Map([...["B-1", "B-2"].map((name) => [name, given(running()).model.batch("B-1")] as const), ["B-3", null] as const]);
    try {
      world({ batches }).sourcesOf("e");
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      error.add(request);
    }
    expect([[...request.equipment], [...request.sourcesOf]]).toEqual([["e"], ["B-1", "B-2"]]);
  });
  test("is no wish where it was looked for and is not there", () => {
    const none = world({
      sources: new Map([["s", null]]),
      batches: new Map([["B", null]]),
      awaited: new Map([["batch:B", 0]]),
      equipment: new Map([["e", null]]),
      sourcesOfEquipment: new Map([["e", []]]),
      deferrals: new Map([[4, null]]),
      quarantine: new Map([[4, null]]),
      keys: new Map([["k", null]]),
    });
    expect([none.source("s"), none.batch("B"), none.equipment("e"), none.deferral(4), none.quarantined(4), none.answer("k")]).toEqual(Array(6).fill(undefined));
    expect(none.sourcesOf("e")).toEqual([]);
    expect(none.signingSource("s")).toBeUndefined();
    expect([...none.assumed.looked("awaited")]).toEqual(["batch:B"]);
    for (const kind of ["batches", "equipment", "deferrals", "quarantine"] as const) expect([kind, none.assumed.looked(kind).size]).toEqual([kind, 0]);
  });
  test("is no wish where this group has found it: that nobody performed what came", () => {
    const found = world();
    found.putPerformance(4, null);
    expect(found.performanceAt(4)).toBe(null);
    const olga = { person: "olga", station: "s", session: 7, at: "2026-11-22T08:00:00.000000Z", clock: "device" } as const;
    found.putPerformance(4, olga);
    expect(found.performanceAt(4)).toEqual(olga);
  });
  test("is an error of a station at which a device was, which is read with where it was", () => {
    expect(() => world().station("s")).toThrow("station s, at which a device was, is not there");
    const state = { station: "s", version: 4, open: null };
    const known = world({ stations: new Map([["s", state]]) });
    known.hearStation(known.station("s"));
    expect(known.assumed.stations.size).toBe(0);
    known.hearStation({ ...state, version: 5 });
    expect(known.station("s")).toEqual({ ...state, version: 5 });
  });
  test("is told oldest first where several wait for one thing, however they were read", () => {
    expect(world({ waitingFor: new Map([["batch:B", new Set([9, 4, 7])]]) }).waitingFor("batch:B")).toEqual([4, 7, 9]);
  });
  test("raises nothing of what is not there, and what is there once", () => {
    const read = line.model.read({ ...emptyRequest(), batches: new Set(["B-1"]), equipment: new Set(["scale-1"]), sources: new Set([scale.name]) });
    const there = world({ ...read, equipment: new Map([...read.equipment, ["nobody", null]]), sources: new Map([...read.sources, ["nobody", null]]) });
    const before = there.batchVersion("B-1");
    for (const key of ["batch:B-1", "equipment:scale-1", "equipment:nobody", `source:${scale.name}`, "source:nobody"]) there.raise(key);
    expect((["batches", "equipment", "sources"] as const).map((kind) => [...there.assumed.raised(kind)])).toEqual([["B-1"], ["scale-1"], [scale.name]]);
    expect([before, there.batchVersion("B-1")]).toEqual([line.batch().version, line.batch().version + 1]);
    expect(there.batchVersion("B-99")).toBe(0);
  });
});
