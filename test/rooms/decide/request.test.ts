import { describe, expect, test } from "vitest";
import { requestFor, widen } from "../../../src/decide/request.ts";
import type { Command, Tick } from "../../../src/decide/signal.ts";
import { windowKey } from "../../../src/decide/world-data.ts";
import { emptyRequest, NotRead, type WorldRequest } from "../../../src/decide/world-request.ts";
import { idHash } from "../../../src/sequence/identity.ts";
import { type Act, again, creates, given, type Line, mixer, orders, running, scale, speaker, weighing } from "../../support/given.ts";

// Promise: what a group needs of the world is asked for at once, as far as its signals tell; nothing else is read, since the commit would have to prove it.

/** What is asked for, by kind; kinds of which nothing is asked are left out. */
const inWords = (request: WorldRequest): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(request).flatMap(([kind, names]: [string, Set<unknown> | Map<string, unknown>]) =>
      names.size === 0
        ? []
        : [[kind, names instanceof Set ? [...names] : Object.fromEntries([...names].map(([key, of]) => [key, of instanceof Set ? [...of] : of]))]],
    ),
  );
const asked = (line: Line, ...acts: readonly Act[]) => inWords(requestFor(line.signals(acts)));
const tick = (of: Tick) => asked(given(), (line) => line.model.tick(of));
const command = (of: Command) => asked(given(), orders(of));
const hash = (id: string | null, epoch: bigint | null = null, sequence: bigint | null = null) => idHash({ id, epoch, sequence });

describe("an event", () => {
  test("needs its source, its equipment, its id, its number and the batch that it names", () => {
    expect(asked(given(), scale.starts("weigh"))).toEqual({
      sources: [scale.name],
      equipment: ["scale-1"],
      ids: { [scale.name]: [hash("scale-1-7-1")] },
      numbers: { [scale.name]: ["7.1"] },
      batches: ["B-1"],
      evidence: { "B-1": ["weigh"] },
      stationsAt: { [scale.name]: ["2026-11-22T08:00:00.000000Z"] },
    });
  });
  test("is looked for at the station where its source was when it was done, and when it came", () => {
    const late = scale.says("alarm.raised", { data: { alarm: "a" }, more: { time: "2026-11-22T07:59:00.5Z", timesource: "ptp" } });
    expect(asked(given(), late)).toMatchObject({ stationsAt: { [scale.name]: ["2026-11-22T08:00:00.000000Z", "2026-11-22T07:59:00.500000Z"] } });
  });
  test("is looked for only where its source was when it came, when it is history", () => {
    const old = scale.says("alarm.raised", { data: { alarm: "a" }, more: { time: "2026-09-01T08:00:00Z", timesource: "ptp" } });
    expect(asked(given(), old)).toMatchObject({ stationsAt: { [scale.name]: ["2026-11-22T08:00:00.000000Z"] } });
  });
  test("that is a copy needs who performed the first one, while that only waits", () => {
    const widened = (line: Line, id: string) => {
      const request = requestFor(line.signals([again(id)]));
      widen(request, line.model.read(request));
      const { size } = request.performances;
      request.performances.clear();
      return { size, more: widen(request, line.model.read(request)) };
    };
    const call = (sequence: number) => scale.says("call.raised", { sequence, data: { call: "c" } });
    expect(widened(given(call(1), call(3)), "scale-1-7-3")).toEqual({ size: 1, more: true });
    expect(widened(given(call(1), call(3)), "scale-1-7-1")).toEqual({ size: 0, more: false });
  });
  test("that has no number, or names no batch, needs none", () => {
    const button = speaker("panel-1", { device: "button", numbers: false });
    expect(asked(given(), button.says("call.raised", { id: "x", data: { call: "c" } }))).toEqual({
      sources: [button.name],
      equipment: ["panel-1"],
      ids: { [button.name]: [hash("x")] },
      stationsAt: { [button.name]: ["2026-11-22T08:00:00.000000Z"] },
    });
  });
  test("without id and number has nothing to be known by", () => {
    const button = speaker("panel-1", { device: "button", numbers: false });
    expect(asked(given(), button.says("call.raised", { data: { call: "c" }, more: { id: null } }))).toEqual({
      sources: [button.name],
      equipment: ["panel-1"],
    });
  });
  test("of which no source can be believed needs nothing but by whom its branch is signed", () => {
    expect(asked(given(), (line) => line.model.signal(line.model.delivery("site/rtm1/line/4/eq/scale-1/event", "{")))).toEqual({ sources: [scale.name] });
    expect(asked(given(), (line) => line.model.signal(line.model.delivery("site/rtm1/line/4/eq/-/event", "{")))).toEqual({});
  });
  test("that would complete a step needs the sources of all that its batch works with, and no other does", () => {
    expect(asked(given(), scale.completes("weigh"))).toMatchObject({ sourcesOf: ["B-1"] });
    expect(asked(given(), scale.starts("weigh"))).not.toHaveProperty("sourcesOf");
  });
  test("that names a batch and no step may be about any that goes on", () => {
    expect(asked(given(), scale.says("batch.abort", { batch: "B-1" }))).toMatchObject({ evidence: { "B-1": ["+"] } });
  });
  test("shares what it needs with those beside it", () => {
    expect(asked(given(), scale.starts("weigh"), scale.completes("weigh"))).toMatchObject({
      sources: [scale.name],
      numbers: { [scale.name]: ["7.1", "7.2"] },
      ids: { [scale.name]: [hash("scale-1-7-1"), hash("scale-1-7-2")] },
    });
  });
});

test("a heartbeat needs its source", () => {
  expect(asked(given(), scale.beats({ state: "online", epoch: 7, sequence: 3 }))).toEqual({ sources: [scale.name] });
});

describe("a command", () => {
  test("needs what it names, and the key under which it may have been answered before", () => {
    const key = { key: { key: "k", request: "POST", bodyDigest: "d" } };
    expect(asked(given(), creates("B-1", {}, key))).toEqual({
      batches: ["B-1"],
      evidence: { "B-1": ["*"] },
      sourcesOf: ["B-1"],
      jobOrders: ["PO-B-1"],
      recipes: ["blend@3"],
      equipment: ["scale-1", "mixer-1"],
      keys: ["k"],
    });
    const update = { kind: "batch.update", batch: "B-1", quantity: null, reason: null } as const;
    expect(command({ ...update, equipment: { scale: "scale-2" } })).toEqual({
      batches: ["B-1"],
      evidence: { "B-1": ["*"] },
      sourcesOf: ["B-1"],
      equipment: ["scale-2"],
    });
    expect(command({ ...update, equipment: null })).toEqual({ batches: ["B-1"], evidence: { "B-1": ["*"] }, sourcesOf: ["B-1"] });
    expect(command({ kind: "batch.command", batch: "B-1", command: "start", reason: null })).toEqual({
      batches: ["B-1"],
      evidence: { "B-1": ["*"] },
      sourcesOf: ["B-1"],
    });
    expect(command({ kind: "step.command", batch: "B-2", step: "s", command: "start", reason: null, evidence: null, comment: null })).toEqual({
      batches: ["B-2"],
      evidence: { "B-2": ["*"] },
      sourcesOf: ["B-2"],
    });
    expect(command({ kind: "gap.resolve", source: "s", gap: 1, action: "wait", epoch: null, sequence: null, reason: "r" })).toEqual({ sources: ["s"] });
    expect(command({ kind: "source.succession", source: "s", reason: "r" })).toEqual({ sources: ["s"] });
    expect(command({ kind: "quarantine.resolve", event: 4, action: "reject", reason: "r" })).toEqual({ quarantine: [4] });
    expect(command({ kind: "lock.takeover", equipment: "scale-1", token: 1, reason: "r" })).toEqual({ equipment: ["scale-1"] });
  });
});

test("a tick needs what it is about", () => {
  expect(tick({ tick: "patience", event: 4 })).toEqual({ deferrals: [4] });
  expect(tick({ tick: "gap", source: "s" })).toEqual({ sources: ["s"] });
  expect(tick({ tick: "drain", source: "s" })).toEqual({ sources: ["s"] });
  expect(tick({ tick: "expiry", source: "s", incarnation: 1, epoch: "7", sequence: "1" })).toEqual({ sources: ["s"] });
  expect(tick({ tick: "again", waitsFor: ["batch:B:1", "equipment:e", "source:s"] })).toEqual({ batches: ["B:1"], equipment: ["e"], sources: ["s"] });
  expect(tick({ tick: "interruption", ms: 1 })).toEqual({});
});

describe("what was read asks for more at once", () => {
  const widened = (line: Line, ...acts: readonly Act[]) => {
    const request = requestFor(line.signals(acts));
    const more: boolean[] = [];
    while (more.length < 9) {
      more.push(widen(request, line.model.read(request)));
      if (more.at(-1) === false) break;
    }
    return { request, more };
  };
  test("and for nothing where nothing waits", () => {
    const { request, more } = widened(given(), scale.alarms());
    expect([inWords(request)["waitingNext"], inWords(request)["waitingNumbers"], more]).toEqual([undefined, undefined, [false]]);
  });
  test("for what waits next in the epoch of its source, and what the waiting events name", () => {
    const line = given(scale.alarms(), scale.weighs("12.500", { batch: "B-7", sequence: 3 }));
    const { request, more } = widened(line, scale.alarms({ sequence: 2 }));
    const key = windowKey({ source: scale.name, incarnation: 1 }, 7n);
    expect(request.waitingNext).toEqual(new Map([[key, { source: scale.name, incarnation: 1, epoch: 7n, after: 1n }]]));
    expect([...request.batches]).toEqual(["B-7"]);
    expect(request.evidence).toEqual(new Map([["B-7", new Set(["weigh"])]]));
    expect([...request.waitingNumbers]).toEqual([]);
    expect(more).toEqual([true, true, false]);
  });
  test("for all numbers, and for the newer epoch too, where one begins", () => {
    const line = given(scale.alarms(), scale.alarms({ sequence: 4 }));
    const { request } = widened(line, scale.alarms({ epoch: 8, sequence: 1 }));
    expect([...request.waitingNext.values()]).toEqual([
      { source: scale.name, incarnation: 1, epoch: 7n, after: 1n },
      { source: scale.name, incarnation: 1, epoch: 8n, after: 0n },
    ]);
    expect([...request.waitingNumbers]).toEqual([scale.name]);
  });
  test("for the epoch that the event itself tells of, where nothing was ever settled", () => {
    for (const epoch of [7, 0]) {
      const line = given(scale.weighs("12.500", { epoch, sequence: 3 }));
      const { request, more } = widened(line, scale.starts("weigh", { sequence: 1 }));
      expect([...request.waitingNext.values()]).toEqual([{ source: scale.name, incarnation: 1, epoch: BigInt(epoch), after: 0n }]);
      expect([[...request.waitingNumbers], more]).toEqual([[scale.name], [true, false]]);
    }
  });
  test("for the performer of each waiting event of which copies come", () => {
    const early = (n: number): Act => scale.says("call.raised", { epoch: 7, sequence: n, data: { call: "c" } });
    const numbers = Array.from({ length: 20 }, (_, n) => n + 3);
    const line = given(scale.alarms());
    const waiting = line.when(...numbers.map(early));
    const { request, more } = widened(line, ...numbers.map(early), scale.says("call.raised", { epoch: 7, sequence: 99, data: { call: "c" } }));
    expect([...request.performances].sort((a, b) => a - b)).toEqual(waiting.map(({ position }) => position));
    expect(more.at(-1)).toBe(false);
  });
  test("for source, equipment and batch of deferred events", () => {
    const line = given(running(), mixer.starts("blend"));
    const request = requestFor(line.signals([scale.starts("weigh")]));
    const world = line.model.read(request);
    // its equipment was read with its batch, and the sources of that were not
    expect([world.equipment.has("mixer-1"), world.sourcesOfEquipment.has("mixer-1")]).toEqual([true, false]);
    expect(widen(request, { ...world, sources: new Map(), batches: new Map() })).toBe(true);
    expect([[...request.sources], [...request.equipment], [...request.batches]]).toEqual([[scale.name, mixer.name], ["scale-1", "mixer-1"], ["B-1"]]);
    expect(widen(request, world)).toBe(false);
  });
});

describe("evidence", () => {
  const reads = (line: Line, ...acts: readonly Act[]): number => {
    let count = 0;
    const read = line.model.read.bind(line.model);
    line.model.read = (asked) => {
      count += 1;
      return read(asked);
    };
    line.model.judge(line.signals(acts));
    return count;
  };
  test("is read with the rest, of the step that is named, or of that which engages the equipment; so are steps that come next", () => {
    const unnamed = { batch: null, step: null };
    expect(reads(given(weighing()), scale.weighs("12.500"))).toBe(1);
    expect(reads(given(weighing()), scale.weighs("12.500", unnamed))).toBe(1);
    expect(reads(given(weighing()), scale.says("batch.abort", { batch: "B-1" }), scale.weighs("12.500", unnamed))).toBe(1);
    expect(reads(given(weighing()), scale.weighs("12.500"), scale.completes("weigh"))).toBe(1);
  });
});

describe("what was not read", () => {
  test("is asked for by name, one thing at a time, until the group can be judged", () => {
    const line = given(weighing());
    const signals = line.signals([again("scale-1-7-1")]);
    const wanted: string[] = [];
    const read = line.model.read.bind(line.model);
    const request = requestFor(signals);
    line.model.read = (asked) => {
      wanted.push(JSON.stringify(inWords(asked), (_, value) => (typeof value === "bigint" ? value.toString() : value)));
      return read(asked);
    };
    line.model.judge(signals);
    expect(wanted[0]).toBe(JSON.stringify(inWords(request)));
  });
  test("says what it is", () => {
    const error = new NotRead("batch B-1", (request) => request.batches.add("B-1"));
    const request = emptyRequest();
    error.add(request);
    expect([error.message, inWords(request)]).toEqual(["batch B-1 has not been read", { batches: ["B-1"] }]);
  });
});

test("a person's word about an exception needs what was opened at its position", () => {
  expect(command({ kind: "exception.resolve", position: 9, ordinal: 1, disposition: "continue", linked: "DEV-7", reason: "r" })).toEqual({ exceptions: [9] });
});
