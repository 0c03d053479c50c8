import { describe, expect, test } from "vitest";
import { documentOf } from "../../../src/commit/settlement.ts";
import type { EventSignal, Signal } from "../../../src/decide/signal.ts";
import type { LeftOut } from "../../../src/receive/left-out.ts";
import { Groups } from "../../../src/replay/groups.ts";
import { signalOf } from "../../../src/replay/signals.ts";
import { type Act, again, given, type Line, mixer, type Said, scale, speaker, told } from "../../support/given.ts";
import { MAX_BYTES } from "../../support/model.ts";

// Promise: what a branch sent beyond its quota is told of once, and none of it is judged: it takes neither number nor id, so each may come again; the source's cursor asks for what is missing.
// It replays as it was.

const LEFT_OUT: LeftOut = {
  count: 3,
  bytes: 900,
  from: "2026-11-22T08:00:00.000Z",
  to: "2026-11-22T08:00:00.900Z",
  first: { source: scale.name, id: "scale-1-7-2", epoch: "7", sequence: "2" },
};

const call = (sequence: number, more: Said = {}) => scale.says("call.raised", { sequence, data: { call: "c" }, ...more });
const isEvent = (signal: Signal): signal is EventSignal => signal.kind === "event";
/** What an act says stands for all that were left out with it. */
const standingFor =
  (act: Act, leftOut: LeftOut = LEFT_OUT, more: Partial<EventSignal> = {}): Act =>
  (line) =>
    [act(line)].flat().map((signal) => (isEvent(signal) ? { ...signal, leftOut, ...more } : signal));
const cursorOf = (line: Line) => {
  const { epoch, through, highest, gap, parked } = line.source(scale);
  return { epoch, through, highest, gap: gap !== null, parked };
};

describe("what is left out beyond a quota", () => {
  test("is one retryable verdict that counts it, with everything that a sender needs", () => {
    const line = given(call(1));
    const [verdict] = line.when(standingFor(call(4)));
    expect(verdict).toMatchObject({
      status: "rejected",
      final: true,
      code: "SYS_RATE_LIMITED",
      refusedBy: "service",
      next: "resend",
      eventId: "scale-1-7-4",
      sequence: "4",
      reason: "The branch sent more than its quota; 3 deliveries were left out, from 2026-11-22T08:00:00.000Z to 2026-11-22T08:00:00.900Z, of 900 bytes.",
      branch: { line: "4", equipment: "scale-1" },
      facts: 0,
    });
    expect(verdict?.explanation).toEqual({ leftOut: LEFT_OUT });
    expect(line.when(standingFor(call(5), { ...LEFT_OUT, count: 1 }))[0]?.reason).toContain("quota; one delivery was left out,");
  });

  test("takes neither number nor id: the same events come again and are judged, in order", () => {
    const line = given(call(1), standingFor(call(4)));
    expect(cursorOf(line)).toEqual({ epoch: 7n, through: 1n, highest: 4n, gap: true, parked: null });
    expect(told(line.when(call(2), call(3)))).toEqual(["accepted", "accepted"]);
    expect(told(line.when(again("scale-1-7-4")))).toEqual(["accepted"]);
    expect(cursorOf(line)).toEqual({ epoch: 7n, through: 4n, highest: 4n, gap: false, parked: null });
    expect(told(line.when(again("scale-1-7-4")))).toEqual(["duplicate DUP_EXACT"]);
  });

  test("is a gap like any other: what follows waits, and the source is parked when nothing comes", () => {
    const line = given(call(1), standingFor(call(3)));
    expect(told(line.when(call(5)))).toEqual(["deferred SEQ_GAP"]);
    line.after(60_000);
    expect(cursorOf(line)).toMatchObject({ through: 1n, parked: { why: "gap" } });
    expect(told(line.when(call(2), again("scale-1-7-3"), call(4)))).toEqual(["accepted", "accepted", "accepted", "accepted"]);
    expect(cursorOf(line)).toEqual({ epoch: 7n, through: 5n, highest: 5n, gap: false, parked: null });
  });

  test("says nothing new of a source where it repeats what is known, or speaks of another epoch", () => {
    const line = given(call(1), call(2));
    const before = cursorOf(line);
    line.when(standingFor(call(2)), standingFor(call(1)), standingFor(call(9, { epoch: 8 })), standingFor(call(9, { epoch: 6 })));
    expect(cursorOf(line)).toEqual(before);
  });

  test("believes nobody: what is retained, unknown, revoked, not the branch's own or unreadable opens no gap", () => {
    const line = given(call(1), mixer.says("call.raised", { data: { call: "c" } }));
    const before = cursorOf(line);
    const refused = { provenance: { party: "scale", stamp: "mixer", refused: "PROVENANCE_MISMATCH" } } as const;
    const old = speaker("panel-1", { device: "old" });
    const verdicts = line.when(
      standingFor(call(9, { delivery: { retained: true } })),
      standingFor(call(9), LEFT_OUT, refused),
      standingFor(old.says("call.raised", { data: { call: "c" } })),
      standingFor(speaker("nobody-1").says("call.raised", { data: { call: "c" } })),
      standingFor((at) => at.model.signal(at.model.delivery("site/rtm1/line/4/eq/scale-1/event", "not even JSON"))),
    );
    expect(told(verdicts)).toEqual(Array.from({ length: 5 }, () => "rejected SYS_RATE_LIMITED"));
    expect([cursorOf(line), line.source(old).highest, line.facts()]).toEqual([
      before,
      0n,
      given(call(1), mixer.says("call.raised", { data: { call: "c" } })).facts(),
    ]);
  });

  test("is on record with its delivery, and the signal that comes of its entry is the one that was settled", () => {
    const line = given(call(1));
    const provenance = { party: "scale" };
    for (const act of [standingFor(call(4), LEFT_OUT, { provenance }), standingFor(call(5), LEFT_OUT), call(2)]) {
      const [signal] = line.signals([act]);
      if (signal?.kind !== "event") throw new Error("that was no event");
      const settlement = line.model.judge([signal]);
      const { entries, raws } = documentOf(settlement, MAX_BYTES);
      const head = { site: "rtm1", position: 1, generation: 1, time: line.model.clock, shard: "rtm1", term: 1, base: 0, batches: {} };
      const groups = new Groups("rtm1");
      groups.add({ kind: "entry", position: 1, entry: Buffer.from(`${JSON.stringify(head)}\n${entries[0]}`), raw: raws[0] ?? null });
      const [recorded] = groups.end()?.signals ?? [];
      if (recorded === undefined) throw new Error("nothing is on record");
      const read = signalOf(recorded, line.model.reading);
      expect({ ...read, delivery: { ...Object(read).delivery, payload: [...Object(read).delivery.payload] } }).toEqual({
        ...signal,
        delivery: { ...signal.delivery, payload: [...signal.delivery.payload] },
      });
      expect(documentOf(line.model.judge([read]), MAX_BYTES).entries).toEqual(entries);
      // nothing is said of it where nothing was left out: the entries of yesterday are those of today
      expect(entries[0]?.includes("leftOut")).toBe(signal.leftOut !== undefined);
    }
  });
});
