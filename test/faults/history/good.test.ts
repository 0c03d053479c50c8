import { describe, expect, test } from "vitest";
import { type Act, again, commands, creates, given, mixer, orders, scale, weighing } from "../../support/given.ts";
import { alterHeard, alterVerdicts, restoredBehind } from "./alter.ts";
import { check } from "./check.ts";
import { Watch } from "./from-model.ts";
import type { History } from "./history.ts";

// Promise: what is permitted is not found to be wrong, however unusual. Attack: histories with everything that faults and plants bring about.

/** A batch from its beginning to its end, with readers on the way. */
const wholeBatch = (): History =>
  new Watch(given())
    .sees(creates(), commands("release-to-floor"), commands("start"), scale.starts("weigh"))
    .readsAll()
    .sees(scale.weighs("12.500"), scale.completes("weigh"), mixer.starts("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel"))
    .readsAll()
    .waits(3000)
    .sees(mixer.completes("blend"))
    .readsAll()
    .history();

const seen = (...acts: readonly Act[]): Watch => new Watch(given(weighing())).sees(...acts);

describe("nothing is found in a history", () => {
  test("of a whole batch", () => {
    const history = wholeBatch();
    expect(history.end?.outcomes.map(({ type }) => type)).toContain("signalbox.batch.completed.v1");
    expect(check(history)).toEqual([]);
  });

  test("in which a crashed relay publishes everything again", () => {
    const history = wholeBatch();
    const later = Math.max(...history.heard.map(({ at }) => at)) + 1;
    const isMirror = (message: History["heard"][number]): boolean => message.retained;
    expect(
      check({ ...history, heard: [...history.heard, ...history.heard.filter((m) => !isMirror(m)).map((message) => ({ ...message, at: later }))] }),
    ).toEqual([]);
  });

  test("with duplicates, and with a copy under another number", () => {
    expect(check(seen(scale.alarms(), again("scale-1-7-2"), again("scale-1-7-1"), scale.alarms({ id: "scale-1-7-2" })).history())).toEqual([]);
  });

  test("with a gap that is filled late", () => {
    expect(
      check(
        seen(
          scale.weighs("12.500", { sequence: 3 }),
          scale.completes("weigh", { sequence: 4 }),
          scale.says("call.raised", { data: { call: "c" }, sequence: 2 }),
        ).history(),
      ),
    ).toEqual([]);
  });

  test("with a gap that the source declares lost, and with one that a person skips and says so", () => {
    expect(check(seen(scale.weighs("12.500", { sequence: 4 }), scale.lost(2, 3, { sequence: 5 })).history())).toEqual([]);
    const watch = seen(scale.weighs("12.500", { sequence: 4 }));
    const gap = watch.line.source(scale).gap?.position ?? 0;
    const skip = orders({ kind: "gap.resolve", source: scale.name, gap, action: "skip", epoch: null, sequence: null, reason: "the card is gone" });
    expect(check({ ...watch.sees(skip).history(), skipped: [{ source: scale.name, epoch: "7", from: "2", to: "3" }] })).toEqual([]);
  });

  test("with an alarm that acted ahead of its turn", () => {
    const history = seen(
      scale.alarms({ sequence: 4 }),
      scale.weighs("12.500", { sequence: 2 }),
      scale.says("call.raised", { data: { call: "c" }, sequence: 3 }),
    ).history();
    expect(history.end?.verdicts.some((data) => data["ahead"] === true)).toBe(true);
    expect(check(history)).toEqual([]);
  });

  test("with a deferred completion that is judged again behind a later number, and one whose patience ends", () => {
    const history = seen(scale.completes("weigh"), scale.weighs("12.500")).history();
    expect(history.end?.verdicts.some((data) => data["round"] === 2 && data["status"] === "accepted")).toBe(true);
    expect(check(history)).toEqual([]);
    expect(check(seen(scale.completes("weigh"), scale.alarms()).waits(60_000).history())).toEqual([]);
  });

  test("with a new epoch that gives up what the old one lacked, and a birth that says where it stands", () => {
    expect(
      check(
        seen(scale.weighs("12.500", { sequence: 5 }), scale.alarms({ epoch: 8, sequence: 1 }))
          .waits(3_600_000)
          .history(),
      ),
    ).toEqual([]);
    expect(check(seen(scale.birth(41, { epoch: 8, sequence: 40 }), scale.weighs("12.500")).history())).toEqual([]);
  });

  test("with quarantined events: a conflict of ids, one of numbers, a weight that nobody expects", () => {
    const history = seen(
      scale.alarms({ id: "x" }),
      scale.says("call.raised", { data: { call: "c" }, id: "x" }),
      scale.says("call.raised", { data: { call: "d" }, id: "y", sequence: 2 }),
      scale.gives("weigh", "colour", "red"),
    ).history();
    expect(history.end?.verdicts.filter((data) => data["status"] === "quarantined").map((data) => data["code"])).toEqual([
      "DUP_ID_REUSED",
      "SEQ_REUSED",
      expect.any(String),
    ]);
    expect(check(history)).toEqual([]);
  });

  test("of a broker that forgot its sessions: with what it held for the service, and for the subscriber", () => {
    const history = wholeBatch();
    const lost = { at: 100, source: scale.name, id: "gone", epoch: "7", sequence: "9", type: "signalbox.alarm.raised.v1", content: "c", acknowledgedAt: 101 };
    const deaf = alterHeard(history, (message) => (message.at === 6 && !message.retained ? [] : [message]));
    expect(check(deaf).map(({ invariant }) => invariant)).toContain("holes");
    expect(check({ ...deaf, sent: [...history.sent, lost], brokerForgot: [{ at: 6 }, { at: 102 }] })).toEqual([]);
  });

  test("of a restore: what came after the backup is decided anew in the next generation", () => {
    const history = wholeBatch();
    for (const position of [1, 4, 6, 8]) expect(check(restoredBehind({ ...history, reads: [] }, position))).toEqual([]);
    const cut = restoredBehind(history, 6);
    expect(check(cut)).toEqual([]);
    const dropped = { at: 3, source: scale.name, id: "gone", epoch: "7", sequence: "9", type: "signalbox.alarm.raised.v1", content: "c", acknowledgedAt: 4 };
    expect(check({ ...cut, sent: [...cut.sent, dropped] })).toEqual([]);
    expect(check({ ...cut, sent: [...cut.sent, { ...dropped, at: 10_000 }] }).map(({ invariant }) => invariant)).toEqual(["lost"]);
  });

  test("of a service that publishes refusals alone", () => {
    const history = seen(scale.alarms(), again("scale-1-7-2"), scale.completes("weigh"), scale.weighs("12.500")).history();
    const quiet = alterHeard(history, (message) => {
      const data = message.body?.data ?? {};
      return data["round"] === 1 && (data["status"] === "accepted" || data["status"] === "duplicate") ? [] : [message];
    });
    expect(quiet.heard.length).toBeLessThan(history.heard.length);
    expect(check(quiet)).toEqual([]);
  });

  test("of a subscriber that connected anew and was told what is retained again", () => {
    const history = seen(scale.alarms(), scale.alarms()).history();
    const cursor = history.heard.find(({ topic, body }) => topic.endsWith("/cursor") && body?.data["through"] === "2");
    const later = Math.max(...history.heard.map(({ at }) => at)) + 2;
    const told = cursor === undefined ? [] : [{ ...cursor, at: later }];
    expect(check({ ...history, heard: [...history.heard, ...told], reconnected: [{ at: later - 1 }] })).toEqual([]);
    expect(check({ ...history, heard: [...history.heard, ...told] }).map(({ invariant }) => invariant)).toEqual(["regressed"]);
  });

  test("whose events were not acknowledged by the broker, and never arrived", () => {
    const history = seen(scale.alarms()).history();
    const tried = { at: 3, source: scale.name, id: "tried", epoch: "7", sequence: "9", type: "signalbox.alarm.raised.v1", content: "c", acknowledgedAt: null };
    expect(check({ ...history, sent: [...history.sent, tried] })).toEqual([]);
    expect(alterVerdicts(history, (data) => data)).toEqual(history);
  });
});
