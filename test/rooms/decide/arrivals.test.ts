import { describe, expect, test } from "vitest";
import type { Settlement } from "../../../src/decide/settle.ts";
import type { DiagSignal, Signal } from "../../../src/decide/signal.ts";
import {
  type Act,
  again,
  failing,
  given,
  type Line,
  mixer,
  on,
  orders,
  running,
  type Said,
  type Speaker,
  scale,
  speaker,
  told,
  weighing,
} from "../../support/given.ts";
import { binary } from "../decode/deliveries.ts";

// What has come and cannot be taken as it stands: without its number, unreadable, not believed, early and too old, or only a heartbeat.

const call = (sequence?: number, more: Said = {}) =>
  scale.says("call.raised", { ...(sequence === undefined ? {} : { sequence }), data: { call: "c" }, ...more });
const unreadable = { data: { call: 7 } };
const button = speaker("panel-1", { device: "button", numbers: false });
const old = speaker("panel-1", { device: "old" });
const nobody = speaker("nobody-1");
const at = (line: Line, of: Speaker = scale) => {
  const { epoch, through, waitingCount, parked } = line.source(of);
  return `${epoch}.${through}, ${waitingCount} waiting, ${parked?.why ?? "goes on"}`;
};
/** The verdicts that go on record, whole. */
const verdicts = (settlements: readonly Settlement[]) => settlements.flatMap(({ rows }) => rows.verdicts);

describe("an event of a source that numbers", () => {
  const form = { status: "rejected", refusedBy: "form", facts: 0 };
  test("is refused for its form without both parts of its number, and takes neither number nor id", () => {
    for (const more of [{ epoch: null, sequence: null }, { epoch: null }, { sequence: null }]) {
      const line = given(call(1));
      expect(line.when(call(2, { id: "a", more }))).toMatchObject([{ ...form, eventId: "a" }]);
      expect([at(line), line.model.ids.size]).toEqual(["7.1, 0 waiting, goes on", 1]);
    }
    const line = given();
    expect(line.when(call(1, { more: { epoch: null, sequence: null } }))).toMatchObject([
      { code: "ENV_MISSING_FIELD", reason: "The source numbers its events, and this one has no epoch and sequence." },
    ]);
  });
  test("that cannot be read either is refused for what could not be read", () => {
    const line = given();
    expect(line.when(call(1, { ...unreadable, more: { epoch: null, sequence: null } }))).toMatchObject([{ ...form, code: "SCH_INVALID" }]);
  });
});

describe("an event of a source that does not number", () => {
  test("needs an id, by which it is known", () => {
    const line = given();
    expect(told(line.when(button.says("call.raised", { id: "b", data: { call: "c" } })))).toEqual(["accepted"]);
    expect(told(line.when(button.says("call.raised", { id: "b", data: { call: "d" } }), again("b")))).toEqual([
      "quarantined DUP_ID_REUSED",
      "duplicate DUP_EXACT",
    ]);
    const [nameless] = line.when(button.says("call.raised", { data: { call: "c" }, more: { id: null } }));
    expect(nameless).toMatchObject({ status: "rejected", refusedBy: "form", eventId: null });
    expect(line.model.ids.size).toBe(1);
  });
  test("is settled by its id alone, though it carries a number", () => {
    const line = given();
    const numbered = (id: string) => button.says("call.raised", { id, epoch: 7, sequence: 5, data: { call: "c" } });
    expect(told(line.when(numbered("a"), numbered("b")))).toEqual(["accepted", "accepted"]);
    expect(at(line, button)).toBe("null.0, 0 waiting, goes on");
  });
});

describe("an event that is not believed", () => {
  test("is refused for who says so, before anybody asks whether it can be read", () => {
    const line = given();
    expect(line.when(old.says("call.raised", unreadable))).toMatchObject([
      { code: "IDN_REVOKED", refusedBy: "speaker", reason: `The registration of ${old.name} is revoked.` },
    ]);
    expect(line.when(nobody.says("call.raised", unreadable))).toMatchObject([
      { code: "IDN_UNKNOWN_PUBLISHER", refusedBy: "speaker", reason: `No source ${nobody.name} is registered.` },
    ]);
  });
  test("because it does not even say who speaks is refused for its form, and nothing is read for it", () => {
    const line = given();
    expect(line.when((l) => l.model.signal(l.model.delivery("site/rtm1/line/4/eq/scale-1/event", "{")))).toMatchObject([
      { status: "rejected", refusedBy: "form", source: null },
    ]);
  });
  test("because it came on another's branch is answered on the branch where it came, and listed there", () => {
    const line = given();
    const settled = line.settlements((l) => {
      const [signal] = [call(1)(l)].flat();
      if (signal?.kind !== "event") throw new Error("that was no event");
      return l.model.signal({ ...signal.delivery, topic: "site/rtm1/line/4/eq/mixer-1/event" });
    });
    expect(verdicts(settled)).toMatchObject([{ status: "rejected", branch: { line: "4", equipment: "mixer-1" }, line: "4", equipment: "mixer-1" }]);
    expect([at(line), at(line, mixer)]).toEqual(["null.0, 0 waiting, goes on", "null.0, 0 waiting, goes on"]);
  });
  test("because it is a retained copy is only looked at", () => {
    expect(given().when(call(1, { delivery: { retained: true } }))).toMatchObject([
      { status: "observed", code: "ENV_RETAINED", refusedBy: "form", reason: "A retained copy is never a fact; it was only looked at." },
    ]);
  });
});

describe("an event that cannot be read", () => {
  test("is on record with everything that could be read of it", () => {
    const settled = given().settlements(scale.starts("weigh", { data: { surplus: 1 }, more: { correlationid: "c-1" } }));
    expect(verdicts(settled)).toMatchObject([
      {
        status: "rejected",
        refusedBy: "form",
        source: scale.name,
        line: "4",
        equipment: "scale-1",
        eventId: "scale-1-7-1",
        type: "signalbox.step.start.v1",
        epoch: 7n,
        sequence: 1n,
        batch: "B-1",
        step: "weigh",
        attempt: null,
        contextFrom: "claim",
        correlation: "c-1",
        eventTime: "2026-11-22T08:00:00.000000Z",
      },
    ]);
  });
  test("waits for its turn, and in a newer epoch is settled in the stead of what waited, which becomes its duplicate", () => {
    // in binary mode its number stands beside its bytes, so that it can come again under another one
    const numbered =
      (epoch: number, sequence: number): Act =>
      (line) => {
        const attributes = { specversion: "1.0", id: "u", source: scale.name, type: "signalbox.call.raised.v1", time: line.model.clock, epoch, sequence };
        return line.model.signal(binary({ ...attributes, data: { call: 7 } }));
      };
    const line = given(call(1), numbered(7, 3));
    expect(line.last("u")).toMatchObject({ status: "deferred", code: "SEQ_GAP", sequence: "3" });
    expect(line.when(numbered(8, 1))).toMatchObject([
      { status: "rejected", code: "SCH_INVALID", epoch: "8", sequence: "1", round: 1 },
      { status: "duplicate", epoch: "7", sequence: "3", round: 2, explanation: { today: { status: "rejected", code: "SCH_INVALID" } } },
    ]);
    expect(at(line)).toBe("8.1, 0 waiting, goes on");
  });
});

describe("a number that is kept for what has its verdict", () => {
  test("stops no pause before it, though its event cannot be read", () => {
    const line = given(weighing(), call(2, { ...unreadable, id: "u" }));
    expect(told(line.when(call(6, { ...unreadable, id: "u" })))).toEqual(["quarantined DUP_ID_REUSED"]);
    expect(told(line.when(scale.pauses("weigh", { sequence: 3 })))).toEqual(["accepted"]);
    expect([at(line), line.step("weigh").state]).toEqual(["7.3, 1 waiting, goes on", "paused"]);
  });
});

describe("what acts ahead of its turn", () => {
  test("and is older than the last of its type is observed at once, and takes its number in its turn", () => {
    const line = given(scale.states("Execute", { sequence: 5 }));
    expect(line.when(scale.states("Idle", { sequence: 3 }))).toMatchObject([
      {
        status: "observed",
        code: "TIM_STALE",
        refusedBy: "order",
        ahead: true,
        reason: "A newer report of the same type was already accepted; this one was only looked at.",
      },
    ]);
    line.when(call(1), call(2), call(4));
    expect(at(line)).toBe("7.5, 0 waiting, goes on");
    expect(line.rounds("scale-1-7-3")).toHaveLength(1);
  });
  test("is not what is wrong in the same epoch: a birth behind a gap waits like the rest", () => {
    const line = given(call(1), scale.birth(6, { sequence: 5 }));
    expect(line.last("scale-1-7-5")).toMatchObject({ status: "deferred", code: "SEQ_GAP" });
    line.when(
      orders({ kind: "gap.resolve", source: scale.name, gap: line.source(scale).gap?.position ?? 0, action: "wait", epoch: null, sequence: null, reason: "r" }),
    );
    expect(at(line)).toBe("7.1, 1 waiting, goes on");
    expect(told(line.when(call(2), call(3), call(4)))).toEqual(["accepted", "accepted", "accepted", "accepted"]);
  });
});

describe("a declared loss", () => {
  test("gives up nothing at or above its own number", () => {
    const line = given(call(1), call(7), scale.lost(2, 9, { sequence: 5 }));
    expect(line.model.skipped.map(({ first, last, reason }) => `${first}-${last} ${reason}`)).toEqual(["2-4 lost"]);
    expect(at(line)).toBe("7.5, 1 waiting, goes on");
    expect(told(line.when(call(6)))).toEqual(["accepted", "accepted"]);
  });
  test("in its turn finds every number before its own settled", () => {
    const line = given(call(1), call(4), scale.lost(1, 9, { sequence: 2 }));
    expect([at(line), line.model.skipped, line.exceptions()]).toEqual(["7.2, 1 waiting, goes on", [], []]);
  });
});

describe("a heartbeat", () => {
  const trace = (line: Line, act: Act) => line.settlements(act).reduce((n, { positions }) => n + positions, 0);
  const retained =
    (of: Speaker): ((line: Line) => Signal) =>
    (line) => {
      const [signal] = [of.beats({ state: "offline", epoch: 7, sequence: 9 })(line)].flat();
      if (signal?.kind !== "diag") throw new Error("that was no heartbeat");
      const { delivery, ...rest }: DiagSignal = signal;
      return { ...rest, delivery: { ...delivery, retained: true } };
    };
  test("leaves a trace only where it changes a connection, or tells of a number that nobody has seen", () => {
    const line = given(call(1));
    expect(trace(line, scale.beats({ state: "online" }))).toBe(1);
    expect(trace(line, scale.beats({ state: "online" }))).toBe(0);
    expect(trace(line, scale.beats({}))).toBe(0);
    expect(trace(line, scale.beats({ state: "online", epoch: 7, sequence: 1 }))).toBe(0);
    expect(trace(line, scale.beats({ epoch: 7, sequence: 3 }))).toBe(1);
    expect(line.source(scale)).toMatchObject({ connection: "online", highest: 3n, through: 1n });
    expect(trace(line, scale.beats({ state: "offline", epoch: 7, sequence: 3 }))).toBe(1);
    expect(line.source(scale)).toMatchObject({ connection: "offline", highest: 3n });
  });
  test("tells nothing of another epoch, and nothing before the source has spoken", () => {
    const line = given(call(1));
    expect(trace(line, scale.beats({ epoch: 8, sequence: 9 }))).toBe(0);
    expect(trace(line, scale.beats({ epoch: 6, sequence: 9 }))).toBe(0);
    expect(trace(given(), scale.beats({ epoch: 7, sequence: 9 }))).toBe(0);
    expect(line.source(scale)).toMatchObject({ highest: 1n, gap: null });
  });
  test("of nobody, of a revoked source, or kept by the broker tells nothing at all", () => {
    const line = given(call(1));
    for (const of of [nobody, old]) expect(trace(line, of.beats({ state: "offline", epoch: 7, sequence: 9 }))).toBe(0);
    expect(trace(line, retained(scale))).toBe(0);
    expect(line.source(scale)).toMatchObject({ connection: null, highest: 1n });
  });
  test("goes on record as it was decoded", () => {
    const [settled] = given(call(1)).settlements(scale.beats({ state: "online", epoch: 7, sequence: 3 }));
    expect(settled?.rows.signals).toMatchObject([{ ref: -1, kind: "diag", source: scale.name, epoch: 7n, sequence: 3n, eventId: null, digest: null }]);
  });
});

describe("the same request twice in one group", () => {
  test("is answered once, and told so the second time", () => {
    const line = given(running());
    const key = { key: "k", request: "POST", bodyDigest: "d" };
    const pause = orders({ kind: "batch.command", batch: "B-1", command: "pause", reason: null }, { key });
    const resume = orders({ kind: "batch.command", batch: "B-1", command: "resume", reason: null }, { key: { ...key, bodyDigest: "e" } });
    const signals = line.signals([pause, pause, resume]);
    const [settled] = line.model.run(signals, [3]);
    const answers = signals.map((signal) => settled?.answers.get(signal));
    expect(answers).toMatchObject([
      { ref: -1, answer: { kind: "done" } },
      { ref: -1, answer: { kind: "answered before", sameBody: true, answer: { kind: "done" } } },
      { ref: -1, answer: { kind: "answered before", sameBody: false } },
    ]);
    expect(line.batch().execution).toBe("paused");
  });
});

describe("an arrival at which the judge throws", () => {
  const fragile = failing(({ event }) => event === "step.pause" || event === "step.evidence");
  test("ahead of a gap keeps its number for its turn, and its source stands still", () => {
    const line = on(fragile, weighing());
    expect(told(line.when(scale.pauses("weigh", { sequence: 4 })))).toEqual(["quarantined SYS_POISON"]);
    expect(at(line)).toBe("7.1, 1 waiting, poison");
    const { parked } = line.source(scale);
    line.when(orders({ kind: "gap.resolve", source: scale.name, gap: parked?.position ?? 0, action: "wait", epoch: null, sequence: null, reason: "r" }));
    line.when(call(2), call(3));
    expect([at(line), line.rounds("scale-1-7-4").length]).toEqual(["7.4, 0 waiting, goes on", 1]);
  });
  test("of a source that does not number takes no number, though it carries one", () => {
    const line = on(fragile, weighing());
    const weight = { evidence: "net-weight", value: "12.500", unit: "kg" };
    expect(told(line.when(button.says("step.evidence", { id: "b", epoch: 7, sequence: 1, batch: "B-1", step: "weigh", data: weight })))).toEqual([
      "quarantined SYS_POISON",
    ]);
    expect([at(line, button), line.source(button).waitingCount]).toEqual(["null.0, 0 waiting, goes on", 0]);
  });
  test("and comes again is the duplicate of the first, and says what has become of it", () => {
    const line = on(fragile, weighing(), scale.weighs("12.500"));
    expect(line.when(again("scale-1-7-2"))).toMatchObject([{ status: "duplicate", explanation: { today: { status: "quarantined", code: "SYS_POISON" } } }]);
  });
  test("in the stead of what waited under an old number leaves that as its duplicate", () => {
    const line = on(fragile, weighing(), scale.weighs("12.500", { sequence: 4, id: "w" }));
    expect(line.when(scale.weighs("12.500", { epoch: 8, sequence: 1, id: "w" }))).toMatchObject([
      { status: "quarantined", code: "SYS_POISON", epoch: "8" },
      { status: "duplicate", epoch: "7", sequence: "4", round: 2, explanation: { today: { status: "quarantined", code: "SYS_POISON" } } },
    ]);
    expect(at(line)).toBe("8.1, 0 waiting, poison");
  });
  test("says what was thrown, short and without its full stop", () => {
    const line = on(fragile, weighing(), scale.weighs("12.500"));
    expect(line.last("scale-1-7-2")).toMatchObject({ refusedBy: "service", reason: "The service failed on this event alone: a guard fell over." });
  });
});
