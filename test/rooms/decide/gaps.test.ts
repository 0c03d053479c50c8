import { describe, expect, test } from "vitest";
import { WAITING } from "../../../src/sequence/source-state.ts";
import { type Act, again, failing, given, type Line, mixer, on, orders, running, type Speaker, scale, speaker, told, weighing } from "../../support/given.ts";

// A gap is visible, bounded and never skipped silently; what restricts does not wait for it.

const call = (sequence?: number, more: object = {}) =>
  scale.says("call.raised", { ...(sequence === undefined ? {} : { sequence }), data: { call: "c" }, ...more });
const numbers = (line: Line, of: Speaker = scale) => {
  const { epoch, through, waitingCount, gap, parked } = line.source(of);
  return { at: `${epoch}.${through}`, waits: waitingCount, gap: gap !== null, parked: parked?.why ?? null };
};
const resolve =
  (action: "wait" | "skip" | "rebase", more: { epoch?: bigint; sequence?: bigint } = {}, of: Speaker = scale): Act =>
  (line) => {
    const { gap, parked } = line.source(of);
    return orders({
      kind: "gap.resolve",
      source: of.name,
      gap: gap?.position ?? parked?.position ?? 0,
      action,
      epoch: null,
      sequence: null,
      reason: "seen",
      ...more,
    })(line);
  };
const settle =
  (which: string, action: "reprocess" | "reject"): Act =>
  (line) =>
    orders({ kind: "quarantine.resolve", event: line.rounds(which)[0]?.position ?? 0, action, reason: "seen" })(line);

describe("an early event", () => {
  test("waits durably for what is missing before it, and is judged in its turn", () => {
    const line = given(call(1), call(3));
    expect(line.last("scale-1-7-3")).toMatchObject({ status: "deferred", code: "SEQ_GAP", next: "wait" });
    expect(numbers(line)).toEqual({ at: "7.1", waits: 1, gap: true, parked: null });
    expect(line.when(call(2))).toMatchObject([
      { eventId: "scale-1-7-2", status: "accepted" },
      { eventId: "scale-1-7-3", status: "accepted", round: 2, cause: 3 },
    ]);
    expect(numbers(line)).toEqual({ at: "7.3", waits: 0, gap: false, parked: null });
  });
  test("is a duplicate while it waits, and another one on its number is in conflict, which parks nobody", () => {
    const line = given(call(1), call(3));
    expect(told(line.when(again("scale-1-7-3"), call(3, { id: "other" }), call(3, { id: "third" })))).toEqual([
      "duplicate DUP_EXACT",
      "quarantined SEQ_REUSED",
      "quarantined SEQ_REUSED",
    ]);
    expect(numbers(line)).toEqual({ at: "7.1", waits: 1, gap: true, parked: null });
  });
  test("of more than a slice is judged in the next commits, before anything later", () => {
    const line = given(call(1));
    line.together(...Array.from({ length: WAITING.slice + 50 }, (_, n) => call(n + 3)));
    const settled = line.settlements(call(2), call(WAITING.slice + 53));
    expect(settled[0]?.followUps).toEqual([{ tick: "drain", source: scale.name }]);
    expect(numbers(line)).toEqual({ at: `7.${WAITING.slice + 53}`, waits: 0, gap: false, parked: null });
    const outcomes = line.model.outcomes.filter((o) => o.stream === "equipment/scale-1").map((o) => o.causation);
    expect(outcomes).toEqual(Array.from({ length: WAITING.slice + 53 }, (_, n) => `scale-1-7-${n + 1}`));
  });
  test("that a heartbeat tells of opens a gap before it comes", () => {
    const line = given(call(1), scale.beats({ state: "online", epoch: 7, sequence: 3 }));
    expect(numbers(line)).toEqual({ at: "7.1", waits: 0, gap: true, parked: null });
    line.when(call(2), call(3));
    expect(numbers(line)).toEqual({ at: "7.3", waits: 0, gap: false, parked: null });
    const before = line.model.position;
    line.when(scale.beats({ state: "online", epoch: 7, sequence: 3 }));
    expect(line.model.position).toBe(before);
  });
  test("does not hold up another source", () => {
    const line = given(call(3), mixer.says("call.raised", { data: { call: "c" } }));
    expect(line.last("mixer-1-7-1")?.status).toBe("accepted");
  });
});

describe("what restricts", () => {
  test("acts ahead of a gap, once, and takes its number in its turn", () => {
    const line = given(weighing());
    const [pause] = line.when(scale.pauses("weigh", { sequence: 4 }));
    expect(pause).toMatchObject({ status: "accepted", ahead: true });
    expect(line.step("weigh").state).toBe("paused");
    line.when(call(2), call(3));
    expect(numbers(line)).toEqual({ at: "7.4", waits: 0, gap: false, parked: null });
    expect(line.rounds("scale-1-7-4")).toHaveLength(1);
    expect(told(line.when(again("scale-1-7-4")))).toEqual(["duplicate DUP_EXACT"]);
  });
  test("is not undone by what was numbered before it and comes after", () => {
    const line = given(weighing(), scale.pauses("weigh", { sequence: 5 }));
    expect(told(line.when(scale.pauses("weigh", { sequence: 2 }), scale.resumes("weigh", { sequence: 3 })))).toEqual([
      "observed TIM_STALE",
      "observed TIM_STALE",
    ]);
    expect(line.step("weigh").state).toBe("paused");
    const aborted = given(weighing(), scale.aborts("weigh", { sequence: 3 }));
    expect(told(aborted.when(scale.weighs("12.500", { sequence: 2 })))).toEqual(["quarantined STA_TERMINAL"]);
  });
  test("waits when it is not permitted now", () => {
    const line = given(running(), scale.pauses("weigh", { sequence: 2 }));
    expect(line.last("scale-1-7-2")).toMatchObject({ status: "deferred", code: "SEQ_GAP" });
    line.when(scale.starts("weigh", { sequence: 1 }));
    expect(line.step("weigh").state).toBe("paused");
  });
  test("gets through when the room for waiting is used up", () => {
    const line = given(weighing());
    line.together(...Array.from({ length: WAITING.perSource }, (_, n) => call(n + 3)));
    expect(told(line.when(call(5_000), scale.aborts("weigh", { sequence: 5_001 })))).toEqual(["rejected SEQ_WAITING_FULL", "accepted"]);
    expect(line.step("weigh").state).toBe("aborted");
  });
  test("long ago restricts nothing now", () => {
    const line = given(weighing());
    expect(told(line.when(scale.pauses("weigh", { sequence: 4, more: { time: "2026-09-01T08:00:00Z" } })))).toEqual(["deferred SEQ_GAP"]);
  });
});

describe("a monotonic type", () => {
  test("does not wait, and what is older than its last is observed in its turn", () => {
    const line = given(scale.states("Idle", { sequence: 1 }), scale.states("Execute", { sequence: 3 }));
    expect(line.last("scale-1-7-3")).toMatchObject({ status: "accepted", ahead: true });
    expect(told(line.when(scale.states("Suspended", { sequence: 2 })))).toEqual(["observed TIM_STALE"]);
    expect(line.model.equipment.get("scale-1")?.state).toBe("Execute");
  });
});

describe("an epoch", () => {
  test("begins with number 1 of a newer one; what the old one lacks is given up with an exception", () => {
    const line = given(call(1), call(4));
    expect(told(line.when(call(1, { epoch: 8 })))).toEqual(["accepted"]);
    expect(numbers(line)).toEqual({ at: "8.1", waits: 0, gap: false, parked: null });
    expect(line.exceptions()).toEqual(["SEQ_SKIPPED"]);
    expect(line.model.skipped).toMatchObject([{ epoch: 7n, first: 2n, last: 3n, reason: "epoch_ended" }]);
    expect(told(line.when(call(2, { epoch: 7 })))).toEqual(["quarantined SEQ_EPOCH_OLD"]);
  });
  test("begins with a birth where the source stands; what lies below was never promised", () => {
    const line = given(scale.birth(40, { sequence: 39 }));
    expect(line.last("scale-1-7-39")).toMatchObject({ status: "accepted", ahead: true });
    expect(numbers(line)).toEqual({ at: "7.39", waits: 0, gap: false, parked: null });
    expect(told(line.when(call(40), call(12)))).toEqual(["accepted", "quarantined SEQ_SKIPPED"]);
    expect(line.model.skipped).toMatchObject([{ epoch: 7n, first: 1n, last: 38n, reason: "baseline" }]);
  });
  test("that a birth begins late finds what already waits behind it", () => {
    const line = given(call(40), call(41));
    expect(told(line.when(scale.birth(40, { sequence: 39 })))).toEqual(["accepted", "accepted", "accepted"]);
    expect(numbers(line)).toEqual({ at: "7.41", waits: 0, gap: false, parked: null });
  });
  test("of which something waits judges the copy in the new one, and the old becomes its duplicate", () => {
    const line = given(call(1), call(3));
    const rounds = line.when(call(1, { epoch: 8, id: "scale-1-7-3" }));
    expect(rounds).toMatchObject([
      { status: "accepted", epoch: "8", sequence: "1", round: 1 },
      { status: "duplicate", epoch: "7", sequence: "3", round: 2, first: 3, explanation: { today: { status: "accepted" } } },
    ]);
    expect(told(line.when(call(2, { epoch: 8, id: "scale-1-7-3" })))).toEqual(["duplicate DUP_EXACT"]);
    expect(numbers(line).at).toBe("8.2");
    line.after(WAITING.gapLimitMs * 2);
    expect(line.model.quarantine.size).toBe(0);
    expect(line.model.facts.filter((f) => f.data["call"] === "c")).toHaveLength(2);
  });
  test("of which something waits without a copy leaves it to a person after the gap limit", () => {
    const line = given(call(1), call(3), call(1, { epoch: 8 }));
    expect(line.after(WAITING.gapLimitMs - 1)).toEqual([]);
    expect(told(line.after(1))).toEqual(["quarantined SEQ_EPOCH_OLD"]);
    expect(line.model.waiting.size).toBe(0);
    expect(told(line.when(settle("scale-1-7-3", "reprocess")))).toEqual(["accepted"]);
  });
  test("of which something unreadable waits rejects that for its form", () => {
    const line = given(call(1), call(3, { data: { call: 7 } }), call(1, { epoch: 8 }));
    expect(told(line.after(WAITING.gapLimitMs))).toEqual(["rejected SCH_INVALID"]);
    expect(told(line.when(call(2, { epoch: 7, data: { call: 7 } })))).toEqual(["rejected SCH_INVALID"]);
  });
});

describe("a declared loss", () => {
  test("gives the numbers up at once, and the source goes on behind them", () => {
    const line = given(call(1), call(4));
    expect(told(line.when(scale.lost(2, 3, { sequence: 5 })))).toEqual(["accepted", "accepted"]);
    expect(numbers(line)).toEqual({ at: "7.5", waits: 0, gap: false, parked: null });
    expect(line.exceptions()).toEqual(["SEQ_SKIPPED"]);
    expect(told(line.when(call(2)))).toEqual(["quarantined SEQ_SKIPPED"]);
  });
  test("never gives up what has arrived", () => {
    const line = given(call(1), call(3), scale.lost(2, 5, { sequence: 6 }));
    expect(line.last("scale-1-7-3")?.status).toBe("accepted");
    expect(line.model.skipped.map((s) => `${s.first}-${s.last}`)).toEqual(["2-2", "4-5"]);
    expect(numbers(line).at).toBe("7.6");
  });
  test("in an epoch that has not begun waits for it", () => {
    const line = given(call(1), scale.lost(1, 2, { epoch: 8, sequence: 3 }));
    expect(line.last("scale-1-8-3")?.status).toBe("deferred");
  });
});

describe("a source parked by a gap", () => {
  const parked = () => {
    const line = given(call(1), call(3));
    line.after(WAITING.gapLimitMs);
    return line;
  };
  test("is parked after the limit without progress, with an exception", () => {
    const line = given(call(1), call(3));
    line.after(WAITING.gapLimitMs - 1);
    expect(numbers(line).parked).toBe(null);
    line.after(1);
    expect(numbers(line)).toEqual({ at: "7.1", waits: 1, gap: true, parked: "gap" });
    expect(line.exceptions()).toEqual(["SEQ_GAP_TIMEOUT"]);
    expect(line.after(WAITING.gapLimitMs * 3)).toEqual([]);
  });
  test("has its time anew with every progress", () => {
    const line = given(call(1), call(3), call(5));
    line.after(WAITING.gapLimitMs - 1);
    line.when(call(2));
    line.after(WAITING.gapLimitMs - 1);
    expect(numbers(line)).toEqual({ at: "7.3", waits: 1, gap: true, parked: null });
  });
  test("is not parked by a due time that this very group has moved", () => {
    const line = given(call(1), call(3), call(5));
    line.model.now += WAITING.gapLimitMs;
    line.together(call(2), (at) => at.model.tick({ tick: "gap", source: scale.name }));
    expect(numbers(line)).toEqual({ at: "7.3", waits: 1, gap: true, parked: null });
  });
  test("goes on when the missing number comes", () => {
    const line = parked();
    expect(told(line.when(call(2)))).toEqual(["accepted", "accepted"]);
    expect(numbers(line)).toEqual({ at: "7.3", waits: 0, gap: false, parked: null });
  });
  test("goes on when the loss is declared", () => {
    const line = parked();
    line.when(scale.lost(2, 2, { sequence: 4 }));
    expect(numbers(line)).toEqual({ at: "7.4", waits: 0, gap: false, parked: null });
  });
  test("waits on when a person says so, and has its time anew", () => {
    const line = parked();
    line.when(resolve("wait"));
    expect(numbers(line)).toEqual({ at: "7.1", waits: 1, gap: true, parked: null });
    line.after(WAITING.gapLimitMs);
    expect(numbers(line).parked).toBe("gap");
  });
  test("goes on behind the gap when a person skips it", () => {
    const line = parked();
    expect(told(line.when(resolve("skip")))).toEqual(["accepted"]);
    expect(numbers(line)).toEqual({ at: "7.3", waits: 0, gap: false, parked: null });
    expect(line.model.skipped).toMatchObject([{ first: 2n, last: 2n, reason: "resolved" }]);
  });
  test("goes on where a person says, and never back", () => {
    const line = parked();
    expect(line.answer(resolve("rebase", { epoch: 7n, sequence: 1n }))).toMatchObject({ kind: "refused", code: "SEQ_REUSED" });
    line.when(resolve("rebase", { epoch: 8n, sequence: 5n }));
    expect(numbers(line)).toEqual({ at: "8.4", waits: 0, gap: false, parked: null });
    expect(told(line.when(call(5, { epoch: 8 }), call(2, { epoch: 8 })))).toEqual(["accepted", "quarantined SEQ_SKIPPED"]);
    expect(told(line.after(WAITING.gapLimitMs))).toEqual(["quarantined SEQ_EPOCH_OLD"]);
  });
  test("is known by its gap only", () => {
    const line = parked();
    expect(
      line.answer(orders({ kind: "gap.resolve", source: scale.name, gap: 999, action: "wait", epoch: null, sequence: null, reason: "seen" })),
    ).toMatchObject({ kind: "unknown" });
  });
});

describe("a source with too much waiting", () => {
  const full = () => {
    const line = given(call(1));
    line.together(...Array.from({ length: WAITING.perSource + 1 }, (_, n) => call(n + 3)));
    return line;
  };
  test("is parked; what is beyond its room is not kept and may come again", () => {
    const line = full();
    expect(numbers(line)).toEqual({ at: "7.1", waits: WAITING.perSource, gap: true, parked: "waiting_full" });
    const beyond = `scale-1-7-${WAITING.perSource + 3}`;
    expect(line.last(beyond)).toMatchObject({ status: "rejected", code: "SEQ_WAITING_FULL", next: "resend" });
    line.when(call(2));
    line.model.run(line.model.due().map((tick) => line.model.tick(tick)));
    expect(numbers(line)).toMatchObject({ waits: 0, gap: false, parked: null });
    expect(told(line.when(again(beyond)))).toEqual(["accepted"]);
  });
  test("goes on when the loss is declared, though there is no room for waiting", () => {
    const line = full();
    expect(told(line.when(scale.lost(2, 2, { sequence: WAITING.perSource + 3 })))[0]).toBe("accepted");
    expect(numbers(line)).toEqual({ at: `7.${WAITING.perSource + 3}`, waits: 0, gap: false, parked: null });
  });
});

describe("a counter that went back", () => {
  const back = () => given(call(1), call(2), call(3), call(1, { id: "x" }), call(2, { id: "y" }));
  test("parks its source at the second reused number in a row", () => {
    const line = given(call(1), call(2), call(1, { id: "x" }));
    expect(line.last("x")).toMatchObject({ status: "quarantined", code: "SEQ_REUSED" });
    expect(numbers(line).parked).toBe(null);
    line.when(call(3), call(1, { id: "y" }));
    expect(numbers(line).parked).toBe(null);
    line.when(call(2, { id: "z" }));
    expect(numbers(line).parked).toBe("counter_back");
    expect(line.exceptions()).toContain("SEQ_REUSED");
  });
  test("lets what is next wait too, until a person says how", () => {
    const line = back();
    expect(told(line.when(call(4), call(5)))).toEqual(["deferred SEQ_REUSED", "deferred SEQ_REUSED"]);
    expect(numbers(line)).toEqual({ at: "7.3", waits: 2, gap: false, parked: "counter_back" });
    expect(told(line.when(resolve("wait")))).toEqual(["accepted", "accepted"]);
    expect(numbers(line)).toEqual({ at: "7.5", waits: 0, gap: false, parked: null });
  });
  test("ends with a newer epoch", () => {
    const line = back();
    expect(told(line.when(call(1, { epoch: 8 })))).toEqual(["accepted"]);
    expect(numbers(line)).toEqual({ at: "8.1", waits: 0, gap: false, parked: null });
  });
  test("leaves its events to a person, who can only reject them", () => {
    const line = back();
    expect(line.answer(settle("x", "reprocess"))).toMatchObject({ kind: "refused", code: "SEQ_REUSED" });
    expect(told(line.when(settle("x", "reject")))).toEqual(["rejected SEQ_REUSED"]);
  });
});

describe("an event at which the judge throws", () => {
  let broken = true;
  const fragile = failing(({ event }) => broken && event === "step.evidence");
  const poisoned = () => {
    broken = true;
    return on(fragile, weighing(), scale.weighs("12.500"));
  };
  test("is quarantined alone, has its number, and its source stands still", () => {
    const line = poisoned();
    expect(line.last("scale-1-7-2")).toMatchObject({ status: "quarantined", code: "SYS_POISON", refusedBy: "service" });
    expect(numbers(line)).toEqual({ at: "7.2", waits: 0, gap: false, parked: "poison" });
    expect(told(line.when(call(3), call(4)))).toEqual(["deferred SYS_POISON", "deferred SYS_POISON"]);
    expect(line.step("weigh").evidence).toEqual([]);
  });
  test("leaves the rest of its group untouched", () => {
    broken = true;
    const line = on(fragile, weighing());
    const rounds = line.together(mixer.states("Idle"), scale.weighs("12.500"), mixer.states("Execute"), call(3));
    expect(told(rounds)).toEqual(["accepted", "quarantined SYS_POISON", "accepted", "deferred SYS_POISON"]);
    expect(line.model.facts.filter((f) => f.kind === "equipment.stated")).toHaveLength(2);
  });
  test("is judged again when the service is mended, and the source goes on when a person says so", () => {
    const line = poisoned();
    line.when(scale.completes("weigh", { sequence: 3 }));
    expect(line.answer(settle("scale-1-7-2", "reprocess"))).toMatchObject({ kind: "refused", code: "SYS_POISON" });
    broken = false;
    expect(told(line.when(settle("scale-1-7-2", "reprocess")))).toEqual(["accepted"]);
    expect(told(line.when(resolve("wait")))).toEqual(["accepted"]);
    expect(line.step("weigh").state).toBe("complete");
    expect(numbers(line)).toEqual({ at: "7.3", waits: 0, gap: false, parked: null });
  });
  test("may be rejected", () => {
    const line = poisoned();
    expect(told(line.when(settle("scale-1-7-2", "reject"), resolve("skip")))).toEqual(["rejected SYS_POISON"]);
    expect(numbers(line).parked).toBe(null);
  });
  // story: number 1 of a newer epoch waited while the source stood still, and nobody ever looked at it again
  test("holds up a newer epoch too, which begins when a person lets the source go on", () => {
    const line = poisoned();
    expect(told(line.when(call(1, { epoch: 8 }), call(2, { epoch: 8 })))).toEqual(["deferred SYS_POISON", "deferred SYS_POISON"]);
    expect(told(line.when(resolve("wait")))).toEqual(["accepted", "accepted"]);
    expect(numbers(line)).toEqual({ at: "8.2", waits: 0, gap: false, parked: null });
  });
  test("holds up several newer epochs, of which the older one begins first, whichever came first", () => {
    const line = poisoned();
    // in one group, which has them in the order in which they came
    const rounds = line.together(call(1, { epoch: 9 }), call(1, { epoch: 8 }), call(2, { epoch: 8 }), resolve("wait"));
    expect(rounds.filter(({ status }) => status === "accepted").map(({ eventId }) => eventId)).toEqual(["scale-1-8-1", "scale-1-8-2", "scale-1-9-1"]);
    expect(numbers(line)).toEqual({ at: "9.1", waits: 0, gap: false, parked: null });
  });
  test("is not passed by a birth", () => {
    const line = poisoned();
    expect(told(line.when(scale.birth(40, { epoch: 8, sequence: 39 }), call(40, { epoch: 8 })))).toEqual(["deferred SYS_POISON", "deferred SYS_POISON"]);
    expect(numbers(line)).toMatchObject({ at: "7.2", parked: "poison" });
    expect(told(line.when(resolve("wait")))).toEqual(["accepted", "accepted"]);
    expect(numbers(line)).toEqual({ at: "8.40", waits: 0, gap: false, parked: null });
  });
  test("does not hold up a source that does not number", () => {
    broken = true;
    const button = speaker("panel-1", { device: "button", numbers: false });
    const line = on(fragile, weighing());
    line.when(button.says("step.evidence", { id: "b1", batch: "B-1", step: "weigh", data: { evidence: "net-weight", value: "1", unit: "kg" } }));
    expect(line.last("b1")?.code).toBe("SYS_POISON");
    expect(told(line.when(button.says("call.raised", { id: "b2", data: { call: "c" } })))).toEqual(["accepted"]);
  });
  test("while it is judged again is quarantined alone, and its source goes on", () => {
    broken = false;
    const line = on(fragile, running(), scale.weighs("12.500"));
    expect(line.last("scale-1-7-1")?.status).toBe("deferred");
    broken = true;
    const other = speaker("scale-1");
    expect(told(line.when(other.starts("weigh")))).toEqual(["accepted", "quarantined SYS_POISON"]);
    expect(numbers(line)).toEqual({ at: "7.2", waits: 0, gap: false, parked: null });
    broken = false;
    expect(told(line.when(scale.completes("weigh"), settle("scale-1-7-1", "reprocess")))).toEqual(["deferred EVD_MISSING", "accepted", "accepted"]);
  });
});

describe("a replaced device", () => {
  const replaced = orders({ kind: "source.succession", source: scale.name, reason: "replaced" });
  test("counts anew, under numbers that its predecessor had used", () => {
    const line = given(call(1), call(2), call(5), replaced);
    expect(numbers(line)).toEqual({ at: "null.0", waits: 0, gap: false, parked: null });
    expect(told(line.when(call(1, { epoch: 1, id: "new-1" })))).toEqual(["accepted"]);
    expect(line.model.skipped.map((s) => `${s.first}-${s.last} ${s.reason}`)).toEqual(["3-4 succession"]);
    expect(told(line.after(WAITING.gapLimitMs))).toEqual(["quarantined SEQ_EPOCH_OLD"]);
    expect(told(line.when(again("scale-1-7-1")))).toEqual(["duplicate DUP_EXACT"]);
  });
  // story: its first event, in the group of its succession, was looked for without end among the numbers of its predecessor
  test("may speak in the very group of its succession", () => {
    const line = given(call(1), call(2));
    expect(told(line.together(replaced, call(1, { epoch: 1, id: "new-1" }), call(3, { epoch: 1, id: "new-3" })))).toEqual(["accepted", "deferred SEQ_GAP"]);
    expect(numbers(line)).toEqual({ at: "1.1", waits: 1, gap: true, parked: null });
  });
});

describe("what is not believed, or never a fact", () => {
  test("takes neither number nor id", () => {
    const line = given();
    expect(told(line.when(speaker("nobody-1").says("call.raised", { data: { call: "c" } })))).toEqual(["rejected IDN_UNKNOWN_PUBLISHER"]);
    expect(told(line.when(speaker("panel-1", { device: "old" }).says("call.raised", { data: { call: "c" } })))).toEqual(["rejected IDN_REVOKED"]);
    expect(told(line.when(call(1, { delivery: { retained: true } })))).toEqual(["observed ENV_RETAINED"]);
    expect(told(line.when(call(1)))).toEqual(["accepted"]);
    expect(line.model.ids.size).toBe(1);
  });
  test("an unreadable event has its number, and its place in the order", () => {
    const line = given(call(1));
    expect(told(line.when(call(2, { data: { call: 7 } }), call(3)))).toEqual(["rejected SCH_INVALID", "accepted"]);
    expect(numbers(line).at).toBe("7.3");
  });
});

describe("the same id with other content", () => {
  test("is a conflict once for each content, takes its number, and is never judged", () => {
    const line = given(call(1, { id: "a" }));
    const other = () => call(2, { id: "a", data: { call: "other" } });
    expect(told(line.when(other()))).toEqual(["quarantined DUP_ID_REUSED"]);
    expect(numbers(line).at).toBe("7.2");
    expect(told(line.when(call(3, { id: "a", data: { call: "third" } })))).toEqual(["quarantined DUP_ID_REUSED"]);
    expect(line.model.facts).toHaveLength(1);
  });
  test("again is a duplicate of the conflict", () => {
    const line = given(call(1, { id: "a" }), call(2, { id: "a", data: { call: "other" } }));
    const conflict = line.model.verdicts.at(-1);
    expect(line.when(again("a"))).toMatchObject([{ status: "duplicate", first: conflict?.position }]);
  });
});
