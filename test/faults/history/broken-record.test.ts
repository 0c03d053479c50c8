import { describe, expect, test } from "vitest";
import { commands, creates, given, orders, scale, weighing } from "../../support/given.ts";
import { alterHeard, alterOutcomes, alterVerdicts, type Data, eventIn, swapHeard } from "./alter.ts";
import { batchOutcome, found, isEvent, renumbered, whole } from "./examples.ts";
import { Watch } from "./from-model.ts";
import type { Heard, History } from "./history.ts";

// Promise: each invariant about what was decided finds what breaks it, and no other does. Attack: a good history with one thing wrong.

test("the history that these break is good", () => expect(found(whole())).toEqual([]));

describe("lost", () => {
  test("an event that the broker acknowledged to the device has no verdict", () => {
    const history = whole();
    const sent = { at: 3, source: scale.name, id: "gone", epoch: "7", sequence: "99", type: "signalbox.alarm.raised.v1", content: "c", acknowledgedAt: 4 };
    expect(found({ ...history, sent: [...history.sent, sent] })).toEqual(["lost"]);
    expect(found({ ...history, sent: [...history.sent, sent], brokerForgot: [{ at: 3 }] })).toEqual([]);
  });
  test("an event that the service acknowledged to the broker has none, whatever the broker forgot", () => {
    const history = whole();
    const sent = { at: 3, source: scale.name, id: "gone", epoch: "7", sequence: "99", type: "signalbox.alarm.raised.v1", content: "c", acknowledgedAt: null };
    const acknowledged = { at: 5, source: scale.name, id: "gone", durable: true };
    expect(found({ ...history, sent: [...history.sent, sent], acknowledged: [acknowledged], brokerForgot: [{ at: 4 }] })).toEqual(["lost"]);
  });
  test("a round is missing", () => {
    const history = new Watch(given(weighing())).sees(scale.completes("weigh"), scale.weighs("12.500")).history();
    expect(found(history)).toEqual([]);
    expect(found(alterVerdicts(history, (data) => (data["round"] === 2 ? { ...data, round: 3 } : data)))).toEqual(["lost"]);
  });
  test("an accepted event has no outcome", () => {
    const alarms = new Watch(given()).sees(scale.alarms(), scale.alarms()).history();
    expect(found(alterOutcomes(alarms, (body) => (body.sequence === "2" ? [] : [body])))).toEqual(["lost"]);
  });
});

describe("doubled", () => {
  test("a repeat is accepted", () => {
    const again = (data: Data) => {
      const { code: _, first: __, ...rest } = data;
      return data["status"] === "duplicate" ? { ...rest, status: "accepted" } : data;
    };
    const history = alterVerdicts(whole(), again);
    const repeat = history.end?.verdicts.filter(isEvent("scale-1-7-2"))[1];
    // it acts under a number of its own
    const acts = alterOutcomes(history, (body) => {
      if (!batchOutcome(5)(body)) return batchOutcome(4)(body) || Number(body.sequence) < 5 || !body.source.endsWith("/B-1") ? [body] : [renumbered(body, 1)];
      return [body, { ...renumbered(body, 1), data: { ...body.data, position: repeat?.["position"] } }];
    });
    expect(found(acts)).toEqual(["doubled"]);
  });
  test("an outcome is told twice under two numbers", () => {
    const twice = alterOutcomes(whole(), (body) => (batchOutcome(7)(body) ? [body, renumbered(body, 1)] : [body]));
    expect(found(twice)).toContain("doubled");
    const evidence = alterOutcomes(whole(), (body) =>
      batchOutcome(5)(body) ? [body, renumbered(body, 1)] : Number(body.sequence) > 5 ? [renumbered(body, 1)] : [body],
    );
    expect(found(evidence)).toEqual(["doubled"]);
  });
  test("an event is settled for good twice", () => {
    const history = new Watch(given(weighing())).sees(scale.completes("weigh"), scale.weighs("12.500")).history();
    const twice = alterVerdicts(history, (data) => (data["status"] === "deferred" ? { ...data, status: "rejected", final: true } : data));
    expect(found(twice)).toEqual(["doubled"]);
  });
  test("an outcome names an event that was not accepted there", () => {
    expect(found(alterOutcomes(whole(), (body) => (batchOutcome(5)(body) ? [{ ...body, causationid: "scale-1-7-1" }] : [body])))).toEqual(["doubled"]);
  });
});

describe("misordered", () => {
  const alarms = (): History => new Watch(given()).sees(scale.alarms(), scale.alarms(), scale.alarms()).history();
  test("two accepted events of a source have changed places", () => {
    const other: Readonly<Record<string, string>> = { "scale-1-7-1": "scale-1-7-2", "scale-1-7-2": "scale-1-7-1" };
    const swapped = alterVerdicts(alarms(), (data) => {
      const event = eventIn(data);
      const id = other[String(event["id"])];
      return id === undefined ? data : { ...data, event: { ...event, id, sequence: id.at(-1) } };
    });
    const history = alterOutcomes(swapped, (body) => [
      { ...body, ...(body.causationid === undefined ? {} : { causationid: other[body.causationid] ?? body.causationid }) },
    ]);
    expect(found(history)).toEqual(["misordered"]);
  });
  test("a source went on behind numbers that nobody is said to have given up", () => {
    const watch = new Watch(given(weighing())).sees(scale.weighs("12.500", { sequence: 4 }));
    const gap = watch.line.source(scale).gap?.position ?? 0;
    const history = watch.sees(orders({ kind: "gap.resolve", source: scale.name, gap, action: "skip", epoch: null, sequence: null, reason: "gone" })).history();
    expect(found(history)).toEqual(["misordered"]);
    expect(found({ ...history, skipped: [{ source: scale.name, epoch: "7", from: "3", to: "3" }] })).toEqual(["misordered"]);
  });
  test("an event was decided under a number under which it was never sent", () => {
    const history = alterVerdicts(alarms(), (data) => (isEvent("scale-1-7-3")(data) ? { ...data, event: { ...eventIn(data), sequence: "4" } } : data));
    const cursors = alterHeard(history, (message) => (message.topic.endsWith("/cursor") && message.body?.data["through"] === "3" ? [] : [message]));
    expect(found(cursors)).toEqual(["misordered"]);
  });
  test("the verdicts of a source were published out of order", () => {
    const verdictOn = (id: string) => (message: Heard) => message.topic.endsWith("/verdict") && isEvent(id)(message.body?.data ?? {});
    expect(found(swapHeard(alarms(), verdictOn("scale-1-7-1"), verdictOn("scale-1-7-3")))).toEqual(["misordered"]);
  });
});

describe("illegal", () => {
  const changed = (n: number, data: Data): History =>
    alterOutcomes(whole(), (body) => (batchOutcome(n)(body) ? [{ ...body, data: { ...body.data, ...data } }] : [body]));
  test("a step completes that is not in progress", () => {
    expect(found(changed(6, { from: { isa88: "Paused", step: "paused" } }))).toEqual(["illegal"]);
  });
  test("evidence is recorded for a step that has not begun", () => expect(found(changed(5, { step: "blend" }))).toEqual(["illegal"]));
  test("a batch starts that is not ready", () => {
    expect(found(changed(3, { from: { isa88: "Idle", batch: "planned", disposition: "not_reviewed" } }))).toEqual(["illegal"]);
  });
  test("a batch goes where nothing leads", () => {
    expect(found(changed(3, { to: { isa88: "Complete", batch: "complete", disposition: "not_reviewed" } }))).toEqual(["illegal"]);
  });
  test("a batch's disposition is released by its start", () => {
    expect(found(changed(3, { to: { isa88: "Running", batch: "running", disposition: "released" } }))).toEqual(["illegal"]);
  });
  test("a step is completed while its batch is paused", () => {
    const history = new Watch(given())
      .sees(
        creates(),
        commands("release-to-floor"),
        commands("start"),
        scale.starts("weigh"),
        scale.weighs("12.500"),
        scale.completes("weigh"),
        commands("pause"),
      )
      .history();
    expect(found(history)).toEqual([]);
    const place = (body: { readonly id: string; readonly sequence?: string }, n: number) => ({ ...body, id: `1.${n}`, sequence: String(n) });
    const end = history.end;
    const outcomes = end?.outcomes.map((body) =>
      batchOutcome(6)(body) ? { ...body, ...place(body, 7) } : batchOutcome(7)(body) ? { ...body, ...place(body, 6) } : body,
    );
    const sorted = [...(outcomes ?? [])].sort((a, b) => Number(a.sequence) - Number(b.sequence));
    expect(found({ ...history, heard: [], end: end && { ...end, outcomes: sorted } })).toContain("illegal");
  });
});

describe("conflict", () => {
  const reused = (): History => new Watch(given()).sees(scale.alarms({ id: "x" }), scale.says("call.raised", { data: { call: "c" }, id: "x" })).history();
  test("another content under the same id is taken for a repeat", () => {
    const taken = alterVerdicts(reused(), (data) =>
      data["code"] === "DUP_ID_REUSED" ? { ...data, status: "duplicate", final: true, code: "DUP_EXACT" } : data,
    );
    expect(found(reused())).toEqual([]);
    expect(found(taken)).toEqual(["conflict"]);
  });
  test("two events are judged under one number", () => {
    const history = new Watch(given()).sees(scale.alarms(), scale.says("call.raised", { data: { call: "d" }, id: "y", sequence: 1 })).history();
    expect(found(history)).toEqual([]);
    expect(found(alterVerdicts(history, (data) => (data["code"] === "SEQ_REUSED" ? { ...data, code: "CTX_MISSING" } : data)))).toEqual(["conflict"]);
  });
  test("what is in conflict acts", () => {
    const history = new Watch(given(weighing())).sees(scale.completes("weigh"), scale.weighs("12.500")).history();
    const later = alterVerdicts(history, (data) => (data["status"] === "deferred" ? { ...data, status: "quarantined", code: "DUP_ID_REUSED" } : data));
    expect(found(later)).toEqual(["conflict"]);
  });
});

describe("stuck", () => {
  test("the service never settled", () => expect(found({ ...whole(), end: null })).toEqual(["stuck"]));
  test("an event still waits though its turn has come", () => {
    const history = new Watch(given(weighing())).sees(scale.weighs("12.500", { sequence: 3 })).history();
    expect(found(history)).toEqual([]);
    const told = alterHeard(history, (m, n) =>
      n === history.heard.length - 1 && m.body !== null ? [{ ...m, body: { ...m.body, data: { ...m.body.data, through: "2" } } }] : [m],
    );
    const skipped = [{ source: scale.name, epoch: "7", from: "2", to: "2" }];
    expect(found({ ...told, skipped })).toEqual(["stuck"]);
  });
});
