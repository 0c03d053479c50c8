import { describe, expect, test } from "vitest";
import type { Tick } from "../../../src/decide/signal.ts";
import { WAITING } from "../../../src/sequence/source-state.ts";
import {
  type Act,
  failing,
  given,
  type Line,
  mixer,
  on,
  orders,
  PLANT,
  ready,
  running,
  type Said,
  scale,
  speaker,
  told,
  weighed,
  weighing,
} from "../../support/given.ts";

// Time that has passed and work that goes on: what is due does what is left to be done, once, and what finds nothing to do leaves no trace.

const call = (sequence?: number, more: Said = {}) =>
  scale.says("call.raised", { ...(sequence === undefined ? {} : { sequence }), data: { call: "c" }, ...more });
const at = (line: Line) => {
  const { epoch, through, waitingCount, parked } = line.source(scale);
  return `${epoch}.${through}, ${waitingCount} waiting, ${parked?.why ?? "goes on"}`;
};
const ticks =
  (tick: Tick): Act =>
  (line) =>
    line.model.tick(tick);
/** How many positions an act takes. */
const trace = (line: Line, act: Act) => line.settlements(act).reduce((n, { positions }) => n + positions, 0);
const goOn: Act = (line) => {
  const { gap, parked } = line.source(scale);
  return orders({
    kind: "gap.resolve",
    source: scale.name,
    gap: gap?.position ?? parked?.position ?? 0,
    action: "wait",
    epoch: null,
    sequence: null,
    reason: "seen",
  })(line);
};
const NOBODY = "/site/rtm1/line/4/eq/nobody-1";

/** A judge that throws at what `broken` names. */
let broken: ReadonlySet<string> = new Set();
const fragile = failing(({ event }) => broken.has(event));
const breaks = (...events: readonly string[]) => {
  broken = new Set(events);
};
/** A source that stands still, since the judge threw at its number 2. */
const poisoned = (...acts: readonly Act[]) => {
  breaks("step.evidence");
  return on(fragile, weighing(), scale.weighs("12.500", { sequence: 2 }), ...acts);
};

describe("a tick that finds nothing to do", () => {
  test("leaves no trace: what it is about is not there, or has ended", () => {
    const line = given(call(1));
    for (const source of [NOBODY, scale.name]) {
      expect(trace(line, ticks({ tick: "gap", source }))).toBe(0);
      expect(trace(line, ticks({ tick: "drain", source }))).toBe(0);
      expect(trace(line, ticks({ tick: "expiry", source, incarnation: 1, epoch: "7", sequence: "5" }))).toBe(0);
    }
    expect(trace(line, ticks({ tick: "patience", event: 1 }))).toBe(0);
  });
  test("is a gap's before its time, or while something else has parked the source", () => {
    const line = given(call(1), call(3));
    line.model.now += WAITING.gapLimitMs - 1;
    expect(trace(line, ticks({ tick: "gap", source: scale.name }))).toBe(0);
    const standing = poisoned(call(5));
    standing.model.now += WAITING.gapLimitMs;
    expect([trace(standing, ticks({ tick: "gap", source: scale.name })), at(standing)]).toEqual([0, "7.2, 1 waiting, poison"]);
  });
  test("is a drain of a source that stands still", () => {
    const line = poisoned(call(3));
    expect([trace(line, ticks({ tick: "drain", source: scale.name })), at(line)]).toEqual([0, "7.2, 1 waiting, poison"]);
  });
});

describe("a gap that timed out", () => {
  test("says so in an exception, and is on record as a tick", () => {
    const line = given(call(1), call(3));
    line.model.now += WAITING.gapLimitMs;
    const [settled] = line.settlements(ticks({ tick: "gap", source: scale.name }));
    expect(settled?.rows.signals).toMatchObject([{ kind: "tick", body: { tick: "gap", source: scale.name }, source: null, delivery: null }]);
    expect(settled?.rows.exceptions).toEqual([
      {
        ref: -1,
        ordinal: 1,
        event: null,
        code: "SEQ_GAP_TIMEOUT",
        reason: `Numbers of ${scale.name} stayed missing; the source is parked.`,
        source: scale.name,
        batch: null,
        step: null,
        attempt: null,
      },
    ]);
  });
});

describe("what waits under a number that is passed", () => {
  test("and has acted already only takes its number when its time is over", () => {
    const line = given(weighing(), scale.pauses("weigh", { sequence: 4 }), call(1, { epoch: 8 }));
    const { waiting, numbers } = line.model;
    const before = numbers.size;
    expect(line.after(WAITING.gapLimitMs)).toEqual([]);
    expect([waiting.size, numbers.size, line.rounds("scale-1-7-4").length]).toEqual([0, before + 1, 1]);
  });
  test("in the very epoch that a birth began behind it had been given up, not ended", () => {
    const line = given(call(1), call(3, { epoch: 8 }), scale.birth(40, { epoch: 8, sequence: 39 }));
    expect(at(line)).toBe("8.39, 0 waiting, goes on");
    expect(line.after(WAITING.gapLimitMs)).toMatchObject([
      { status: "quarantined", code: "SEQ_SKIPPED", reason: `Number 3 of epoch 8 of ${scale.name} had been given up.`, refusedBy: "order", round: 2 },
    ]);
  });
  test("of a device that was replaced belongs to an epoch that has ended, before and after its successor begins", () => {
    const replaced = orders({ kind: "source.succession", source: scale.name, reason: "replaced" });
    const ended = (...acts: readonly Act[]) =>
      given(call(1), call(5), replaced, ...acts)
        .after(WAITING.gapLimitMs)
        .map(({ code, reason }) => `${code}: ${reason}`);
    expect(ended()).toEqual([`SEQ_EPOCH_OLD: Epoch 7 of ${scale.name} has ended; its successor has yet to begin.`]);
    expect(ended(call(1, { epoch: 9, id: "new" }))).toEqual([`SEQ_EPOCH_OLD: Epoch 7 of ${scale.name} has ended; epoch 9 is current.`]);
  });
});

describe("deferred events that are to be judged again", () => {
  const deferred = () => {
    breaks();
    const line = on(
      fragile,
      running(),
      mixer.starts("blend"),
      mixer.says("check.performed", { batch: "B-1", step: "blend", data: { check: "c", result: "pass" } }),
    );
    expect(line.model.deferrals.size).toBe(2);
    breaks("step.start", "step.activity");
    return line;
  };
  const oldest = (line: Line) => Math.min(...line.model.deferrals.keys());
  test("are those behind a position, when the older ones were already", () => {
    const line = deferred();
    breaks("step.start");
    expect(line.when((l) => l.model.tick({ tick: "again", waitsFor: ["batch:B-1"], after: oldest(l) }))).toEqual([]);
    expect(told(line.when(ticks({ tick: "again", waitsFor: ["batch:B-1"] })))).toEqual(["quarantined SYS_POISON"]);
  });
  test("are all that wait for what is named, and no others", () => {
    const line = deferred();
    expect(line.when(ticks({ tick: "again", waitsFor: ["batch:B-2", "equipment:scale-1"] }))).toEqual([]);
    expect(told(line.when(ticks({ tick: "again", waitsFor: ["batch:B-1"] })))).toEqual(["quarantined SYS_POISON", "quarantined SYS_POISON"]);
    expect(line.batch()).toMatchObject({ openDeferrals: 0, openQuarantine: 2, openExceptions: 2 });
  });
  test("are all of them, where one signal changes and another names what lies behind", () => {
    const line = deferred();
    const after = oldest(line);
    const pause = orders({ kind: "batch.command", batch: "B-1", command: "pause", reason: null });
    expect(told(line.together(pause, ticks({ tick: "again", waitsFor: ["batch:B-1"], after })))).toEqual(["quarantined SYS_POISON", "quarantined SYS_POISON"]);
  });
  test("are not those that wait for a source whose gap stays as it was, nor those whose gap has closed already", () => {
    breaks();
    const probe = speaker("mixer-1", { device: "probe" });
    const line = on(fragile, weighed(), mixer.starts("blend"));
    line.after(2_000);
    line.when(probe.alarms({ sequence: 3 }), mixer.completes("blend"));
    expect(line.model.deferrals.get(line.last("mixer-1-7-2")?.event ?? 0)?.waits).toContain(`source:${probe.name}`);
    breaks("step.complete");
    expect(told(line.when(probe.says("call.raised", { sequence: 5, data: { call: "c" } })))).toEqual(["deferred SEQ_GAP"]);
    breaks();
    line.when(probe.says("call.raised", { sequence: 1, data: { call: "c" } }), probe.says("call.raised", { sequence: 2, data: { call: "c" } }));
    line.when(probe.says("call.raised", { sequence: 4, data: { call: "c" } }));
    expect(line.source(probe)).toMatchObject({ through: 5n, gap: null });
    breaks("step.complete");
    expect(told(line.when(probe.says("call.raised", { sequence: 6, data: { call: "c" } })))).toEqual(["accepted"]);
    expect(line.last("mixer-1-7-2")).toMatchObject({ status: "deferred", round: 1 });
  });
  test("are those of a batch of which a person has decided about a quarantined event", () => {
    const line = deferred();
    line.when(
      scale.says("call.raised", { batch: "B-1", data: { call: "c" } }),
      scale.says("call.raised", { batch: "B-1", id: "x", sequence: 1, data: { call: "d" } }),
    );
    const event = line.rounds("x")[0]?.event ?? 0;
    const rejects = orders({ kind: "quarantine.resolve", event, action: "reject", reason: "seen" });
    expect(told(line.when(rejects))).toEqual(["rejected SEQ_REUSED", "quarantined SYS_POISON", "quarantined SYS_POISON"]);
    expect(line.last("mixer-1-7-1")).toMatchObject({ refusedBy: "service", reason: "The service failed on this event alone: a guard fell over." });
  });
  test("are judged though something fell over between the change and them", () => {
    breaks("step.activity");
    const line = on(fragile, weighing(), scale.completes("weigh"));
    line.when(scale.says("check.performed", { sequence: 4, batch: "B-1", step: "weigh", data: { check: "c", result: "pass" } }));
    expect(told(line.when(scale.weighs("12.500", { sequence: 3 })))).toEqual(["accepted", "quarantined SYS_POISON", "accepted"]);
    expect(line.step("weigh").state).toBe("complete");
  });
  test("make no interruption", () => {
    const [settled] = deferred().settlements(ticks({ tick: "again", waitsFor: ["batch:B-2"] }));
    expect(settled?.rows.interruptionMs).toBe(0);
  });
});

describe("what waits behind a deferred event", () => {
  test("is judged again when that ends, though nothing else has changed", () => {
    breaks();
    const line = on(fragile, running(), mixer.starts("blend"));
    line.after(10_000);
    line.when(mixer.completes("blend"));
    expect(line.last("mixer-1-7-2")?.reason).toBe("The event waits behind mixer-1-7-1, which moves the same step.");
    breaks("step.complete");
    expect(told(line.after(20_000))).toEqual(["rejected STP_OUT_OF_ORDER", "quarantined SYS_POISON"]);
  });
});

describe("an event that moves the same step as a deferred one of its source", () => {
  const steps = () => given(running(), mixer.starts("blend", { sequence: 1 }));
  const reason = (line: Line, id: string) => line.last(id)?.reason;
  test("waits behind it also from a newer epoch, and never the other way round", () => {
    const line = steps();
    line.when(mixer.completes("blend", { epoch: 8, sequence: 1 }));
    expect(reason(line, "mixer-1-8-1")).toBe("The event waits behind mixer-1-7-1, which moves the same step.");
    line.when(scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"));
    expect(line.step("blend").state).toBe("in_progress");
    const higher = given(
      running(),
      mixer.says("call.raised", { data: { call: "c" } }),
      mixer.starts("blend"),
      mixer.completes("blend", { epoch: 8, sequence: 1 }),
    );
    higher.when(scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"));
    expect(higher.step("blend").state).toBe("in_progress");
  });
  test("is one that resumes it, too", () => {
    const line = given(running(), mixer.resumes("blend"), mixer.completes("blend"));
    expect([line.last("mixer-1-7-1")?.status, reason(line, "mixer-1-7-2")]).toEqual([
      "deferred",
      "The event waits behind mixer-1-7-1, which moves the same step.",
    ]);
  });
  test("is none where neither names its step", () => {
    const line = given(running());
    const completes = () => scale.says("step.complete", { batch: "B-1" });
    expect(line.when(completes(), completes())).toMatchObject([{ code: "CTX_MISSING" }, { code: "CTX_MISSING", refusedBy: "guard" }]);
  });
  // Found by looking at what mutants survived: where a source does not number, the numbers that its events carry all the same were compared, so a completion that came after
  // a deferred start, with a lower number, passed it.
  test("waits by arrival where its source does not number, whatever numbers it carries", () => {
    const key = speaker("mixer-1", { device: "key", numbers: false });
    const line = on({ ...PLANT, sources: [{ equipment: "mixer-1", device: "key", numbering: false }] }, running());
    line.when(key.starts("blend", { id: "k-1", epoch: 7, sequence: 9 }), key.completes("blend", { id: "k-2", epoch: 7, sequence: 4 }));
    expect(reason(line, "k-2")).toBe("The event waits behind k-1, which moves the same step.");
  });
});

describe("what was numbered before a pause that has acted ahead", () => {
  const pauses = (said: Said) => scale.says("step.pause", { sequence: 6, ...said });
  const both = { batch: "B-1", step: "weigh" };
  const statusAfter = (acted: Act, later: Act, ...more: readonly Act[]) => {
    const line = given(weighing(), ...more, acted, call(5));
    return line.when(later, call(3), call(4)).find(({ sequence, eventId }) => sequence === "2" && eventId !== null)?.status;
  };
  const resumes = (said: Said) => scale.says("step.resume", { sequence: 2, ...said });
  test("lifts nothing of it, whoever of the two says what it is about", () => {
    for (const acted of [both, {}, { batch: "B-1" }]) expect(statusAfter(pauses(acted), resumes(both))).toBe("observed");
    expect(statusAfter(scale.says("batch.pause", { sequence: 6, batch: "B-1" }), resumes(both))).toBe("observed");
    expect(statusAfter(scale.says("batch.pause", { sequence: 6, batch: "B-1" }), scale.says("batch.resume", { sequence: 2, batch: "B-1" }))).toBe("observed");
  });
  // Found by looking at what mutants survived: a resumption that claimed nothing was not held against a pause that said what it was about, and lifted it though it was
  // numbered before it.
  test("lifts nothing of it, also where it takes its context from the lock", () => {
    for (const acted of [both, {}]) {
      expect(statusAfter(pauses(acted), resumes({}))).toBe("observed");
      expect(statusAfter(pauses(acted), resumes({ batch: "B-1" }))).toBe("observed");
    }
  });
  test("counts where it is about something else", () => {
    const other = ready("B-2");
    expect(statusAfter(pauses(both), resumes({ batch: "B-1", step: "blend" }))).not.toBe("observed");
    expect(statusAfter(scale.says("batch.pause", { sequence: 6, batch: "B-1" }), scale.says("batch.resume", { sequence: 2, batch: "B-2" }), other)).not.toBe(
      "observed",
    );
    expect(statusAfter(pauses(both), scale.says("batch.resume", { sequence: 2, batch: "B-1" }))).not.toBe("observed");
  });
});

describe("a judge that throws at what waited", () => {
  test("quarantines that alone, and lets nothing behind it pass", () => {
    breaks("step.evidence");
    const line = on(fragile, weighing(), scale.weighs("12.500", { sequence: 3 }), call(4));
    const rounds = line.when(call(2));
    expect(told(rounds)).toEqual(["accepted", "quarantined SYS_POISON"]);
    expect(rounds[1]).toMatchObject({ eventId: "scale-1-7-3", round: 2, cause: rounds[0]?.position });
    expect([at(line), line.last("scale-1-7-4")?.status]).toEqual(["7.3, 1 waiting, poison", "deferred"]);
    expect(told(line.when(goOn))).toEqual(["accepted"]);
  });
  test("stops the source at it, also when a loss is declared behind it", () => {
    const line = poisoned(call(3), scale.lost(4, 4, { sequence: 5 }));
    expect(at(line)).toBe("7.2, 2 waiting, poison");
    expect(told(line.when(goOn))).toEqual(["accepted"]);
    expect(at(line)).toBe("7.5, 0 waiting, goes on");
  });
});

describe("newer epochs that waited while their source stood still", () => {
  test("begin oldest first, each with its number 1", () => {
    const line = poisoned(call(1, { epoch: 9 }), call(1, { epoch: 10 }), call(1, { epoch: 8 }), call(2, { epoch: 8 }));
    expect(line.when(goOn).map(({ epoch, sequence, status }) => `${epoch}.${sequence} ${status}`)).toEqual([
      "8.1 accepted",
      "8.2 accepted",
      "9.1 accepted",
      "10.1 accepted",
    ]);
    expect(at(line)).toBe("10.1, 0 waiting, goes on");
  });
  test("do not begin with anything else, readable or not", () => {
    for (const more of [{}, { data: { call: 7 } }]) {
      const line = poisoned(call(3, { epoch: 8, ...more }));
      expect(line.answer(goOn)).toMatchObject({ kind: "done" });
      expect(at(line)).toBe("7.2, 1 waiting, goes on");
    }
  });
  test("begin with a birth, which lies behind what waits in the same epoch", () => {
    const line = poisoned(call(3, { epoch: 8 }), scale.birth(6, { epoch: 8, sequence: 5 }), call(6, { epoch: 8 }));
    expect(line.when(goOn).map(({ sequence, status }) => `${sequence} ${status}`)).toEqual(["5 accepted", "6 accepted"]);
    expect(line.model.skipped).toMatchObject([{ epoch: 8n, first: 1n, last: 4n, reason: "baseline" }]);
    expect(told(line.after(WAITING.gapLimitMs))).toEqual(["quarantined SEQ_SKIPPED"]);
  });
  test("are none where the epoch is the current one", () => {
    const line = poisoned(scale.birth(6, { sequence: 5 }));
    expect([line.when(goOn), at(line)]).toEqual([[], "7.2, 1 waiting, goes on"]);
  });
});

describe("more than a slice of waiting events", () => {
  const early = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => call(from + n));
  test("is no more in one commit, also where they came in the same group", () => {
    const line = given(call(1));
    const signals = line.signals([...early(3, WAITING.slice + 4), call(2)]);
    const [settled] = line.model.run(signals, [signals.length]);
    expect(settled?.rows.verdicts).toHaveLength(WAITING.slice + 2 + 1 + WAITING.slice);
    expect(settled?.followUps).toEqual([{ tick: "drain", source: scale.name }]);
    expect(at(line)).toBe(`7.${WAITING.slice + 4}, 0 waiting, goes on`);
  });
  test("goes on in the next commit where what was read ends, though this one had room for more", () => {
    const line = given(call(1));
    line.together(...early(3, 102), ...early(104, WAITING.slice + 50));
    line.together(call(2), call(103));
    expect(at(line)).toBe(`7.${WAITING.slice + 50}, 0 waiting, goes on`);
  });
  test("in a source that stood still is judged before a newer epoch begins, which the next commit sees to", () => {
    const line = poisoned();
    line.together(...Array.from({ length: WAITING.slice }, (_, n) => call(n + 3)), call(1, { epoch: 8 }));
    line.when(goOn);
    expect([at(line), line.last("scale-1-8-1")?.status]).toEqual(["8.1, 0 waiting, goes on", "accepted"]);
  });
  test("is judged slice by slice, each commit going on where the one before stood", () => {
    const button = speaker("panel-1", { device: "button", numbers: false });
    const line = given(call(1));
    const waiting = WAITING.slice + 2;
    line.together(...Array.from({ length: waiting }, (_, n) => call(n + 3)));
    const settled = line.settlements(call(2), button.says("call.raised", { id: "b", data: { call: "later" } }));
    expect(settled.map(({ rows, followUps }) => `${rows.verdicts.length} and ${followUps.length}`)).toEqual([`${WAITING.slice + 1} and 1`, "3 and 0"]);
    expect(settled[0]?.followUps).toEqual([{ tick: "drain", source: scale.name }]);
    expect(settled[1]?.rows.signals[0]).toMatchObject({ kind: "tick", body: { tick: "drain", source: scale.name } });
    expect(at(line)).toBe(`7.${waiting + 2}, 0 waiting, goes on`);
  });
});
