import { describe, expect, test } from "vitest";
import { settle } from "../../../src/decide/settle.ts";
import type { BatchCommandName } from "../../../src/decide/signal.ts";
import { emptyRequest, NotRead } from "../../../src/decide/world-request.ts";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
  again,
  all,
  commands,
  creates,
  failing,
  given,
  type Line,
  mixer,
  on,
  orders,
  PLANT,
  ready,
  running,
  scale,
  speaker,
  stepCommand,
  told,
  weighed,
  weighing,
} from "../../support/given.ts";
import { replay } from "../../support/model.ts";

// People use the same door: a command is answered at once, for good, with the same reasons; it is never deferred.

const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
const weight = (value: string, unit = "kg") => ({ evidence: { evidence: "net-weight", value, unit } });

describe("what goes on record of a command", () => {
  test("is what was asked, its numbers as text, and from where, if that is known", () => {
    const body = (from: string | null) => {
      const asks = { kind: "gap.resolve", source: scale.name, gap: 1, action: "rebase", epoch: 8n, sequence: 5n, reason: "r" } as const;
      return given()
        .settlements(orders(asks, { from }))
        .flatMap(({ rows }) => rows.signals.map((signal) => signal.body));
    };
    const asked = { kind: "gap.resolve", source: scale.name, gap: 1, action: "rebase", epoch: "8", sequence: "5", reason: "r", ifVersion: null };
    expect(body(null)).toStrictEqual([asked]);
    expect(body("192.0.2.7")).toStrictEqual([{ ...asked, from: "192.0.2.7" }]);
  });
});

describe("a batch", () => {
  test("is created from its job order, with what it is bound to", () => {
    const line = given();
    expect(line.answer(creates())).toMatchObject({
      kind: "done",
      created: true,
      batch: { batch: "B-1", version: 1, execution: "planned", parameters: { salt: { value: "12.500", unit: "kg" } } },
    });
    expect(line.batch().steps.map((s) => `${s.step} ${s.state}`)).toEqual(["weigh ready", "blend pending"]);
    expect(line.model.outcomes.map((o) => o.type)).toEqual(["batch.created"]);
  });
  test("is the same batch when the same is asked again, and a conflict when it is not", () => {
    const line = given(creates());
    expect(line.answer(creates())).toMatchObject({ kind: "done", created: false, batch: { version: 1 }, warnings: [] });
    expect(answered(line, creates("B-1", { asked: "b2" }))).toBe("CTX_UNKNOWN_ORDER");
    expect(answered(line, creates("B-2", { jobOrder: "PO-B-1" }))).toBe("CTX_UNKNOWN_ORDER");
    expect(line.model.facts).toHaveLength(1);
  });
  test("has the roles that the steps of its recipe name, though some step names none", () => {
    const steps = [...BLEND.steps, { step: "look" }];
    const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] });
    expect(line.answer(creates("B-1", { equipment: { press: "press-9" } }))).toMatchObject({
      kind: "refused",
      code: "EQP_NOT_ASSIGNED",
      reason: "The recipe has no role press; it has scale, mixer.",
    });
  });
  test("is refused with what it cannot be made of", () => {
    const line = given();
    const create = (more: object) => answered(line, creates("B-1", more));
    expect(create({ revision: 4 })).toBe("REV_NOT_EFFECTIVE");
    expect(create({ quantity: { value: "25.000", unit: "g" } })).toBe("SCH_UNIT_MISMATCH");
    expect(create({ quantity: { value: "0", unit: "kg" } })).toBe("PAR_OOS");
    expect(create({ quantity: { value: "60.000", unit: "kg" } })).toBe("PAR_OOS");
    expect(create({ equipment: { scale: "nobody-1" } })).toBe("CTX_UNKNOWN_EQUIPMENT");
    expect(create({ equipment: { scale: "mixer-1" } })).toBe("EQP_CONFIG_MISMATCH");
    expect(create({ equipment: { oven: "mixer-1" } })).toBe("EQP_NOT_ASSIGNED");
    expect(line.model.facts).toEqual([]);
  });
  for (const name of ["batch/governed@1", "step/governed@1"])
    test(`is not made by ${name} while nobody has approved that`, () => {
      const line = on({ ...PLANT, awaiting: [name] });
      expect(line.answer(creates())).toEqual({
        kind: "refused",
        code: "REV_NOT_APPROVED",
        reason: "A state machine of recipe blend@3 is registered, and nobody has approved it yet.",
        explanation: null,
      });
      expect(line.model.facts).toEqual([]);
    });
  test("has no attempt yet that another has superseded", () => {
    const facts = given()
      .settlements(creates())
      .flatMap(({ rows }) => rows.facts.map(({ fact }) => fact));
    expect(facts).toMatchObject([{ kind: "batch.created", batch: { superseded: [], signed: null } }]);
  });
  test("changes before its start, and not after", () => {
    const line = given(creates());
    const update = (value: string, more: object = {}) =>
      orders({ kind: "batch.update", batch: "B-1", quantity: { value, unit: "kg" }, equipment: null, reason: null, ...more });
    expect(answered(line, update("26.000"))).toBe("done");
    // story: the quantity was believed to be changed, and never written
    expect(line.batch()).toMatchObject({ quantity: "26.000", parameters: { salt: { value: "13.000" } } });
    expect(answered(line, update("26.000", { equipment: { scale: "scale-2", mixer: "mixer-1" } }))).toBe("done");
    expect(line.batch().roles["scale"]).toBe("scale-2");
    expect(answered(line, update("60.000"))).toBe("PAR_OOS");
    line.when(commands("release-to-floor"), commands("start"));
    expect(answered(line, update("26.000"))).toBe("STA_INVALID_TRANSITION");
  });
  test("that nobody knows is unknown", () => {
    expect(answered(given(), commands("start"))).toBe("unknown");
  });
});

describe("each command of a batch, in each state that it can be in", () => {
  const names: readonly BatchCommandName[] = ["release-to-floor", "revoke", "cancel", "start", "pause", "resume", "stop", "abort", "close"];
  const finished = all(weighed(), mixer.starts("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel"));
  const states: Readonly<Record<string, () => Line>> = {
    planned: () => given(creates()),
    ready: () => given(ready()),
    running: () => given(running()),
    paused: () => given(running(), commands("pause")),
    complete: () => {
      const line = given(finished);
      line.after(2_000);
      line.when(mixer.completes("blend"));
      return line;
    },
    stopped: () => given(running(), commands("stop")),
    aborted: () => given(running(), commands("abort")),
    cancelled: () => given(creates(), commands("cancel")),
    closed: () => given(running(), commands("stop"), commands("close")),
  };
  const permitted: Readonly<Record<string, Partial<Record<BatchCommandName, string>>>> = {
    planned: { "release-to-floor": "ready", cancel: "cancelled", abort: "cancelled" },
    ready: { revoke: "planned", cancel: "cancelled", start: "running", abort: "cancelled" },
    running: { pause: "paused", stop: "stopped", abort: "aborted" },
    paused: { resume: "running", stop: "stopped", abort: "aborted" },
    complete: { close: "closed" },
    stopped: { abort: "aborted", close: "closed" },
    aborted: { close: "closed" },
    cancelled: {},
    closed: {},
  };
  for (const [state, make] of Object.entries(states)) {
    test(`${state}: ${Object.keys(permitted[state] ?? {}).join(", ") || "none"}`, () => {
      for (const name of names) {
        const line = make();
        expect(line.batch().execution).toBe(state);
        const to = permitted[state]?.[name];
        const answer = answered(line, commands(name));
        if (to === undefined)
          expect(answer, `${name} in ${state}`).toBe(state === "closed" || state === "cancelled" ? "STA_TERMINAL" : "STA_INVALID_TRANSITION");
        else expect([answer, line.batch().execution], `${name} in ${state}`).toEqual(["done", to]);
      }
    });
  }
  test("needs a reason where it ends or takes back, and a signature where it amends", () => {
    const line = given(running());
    expect(answered(line, commands("stop", "B-1", null))).toBe("SIG_REASON_MISSING");
    expect(answered(line, commands("abort", "B-1", null))).toBe("SIG_REASON_MISSING");
    expect(answered(line, commands("amend"))).toBe("SIG_MISSING");
    expect(answered(line, stepCommand("verify", "weigh"))).toBe("SIG_MISSING");
    expect(answered(line, orders({ kind: "lock.takeover", equipment: "scale-1", token: 1, reason: "seen" }))).toBe("SIG_MISSING");
  });
});

describe("a batch that ends", () => {
  for (const [name, to] of [
    ["stop", "stopped"],
    ["abort", "aborted"],
  ] as const) {
    test(`by ${name} ends its open steps and frees everything that it holds`, () => {
      const line = given(weighed(), mixer.starts("blend"));
      expect(line.model.openLocks("mixer-1").map((l) => l.kind)).toEqual(["allocation", "engagement"]);
      line.when(commands(name));
      expect(line.batch().steps.map((s) => s.state)).toEqual(["complete", to]);
      expect(line.model.locks.every((l) => l.freed !== null)).toBe(true);
      expect(line.batch().disposition).toBe("pending_review");
    });
  }
  test("when its last step completes, frees its units", () => {
    const line = given(weighed(), mixer.starts("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel"));
    line.after(2_000);
    expect(told(line.when(mixer.completes("blend")))).toEqual(["accepted"]);
    expect(line.batch()).toMatchObject({ execution: "complete", disposition: "pending_review" });
    expect(line.model.locks.every((l) => l.freed !== null)).toBe(true);
    expect(line.model.outcomes.filter((o) => o.stream === "batch/B-1").map((o) => `${o.sequence} ${o.type}`)).toEqual([
      "1 batch.created",
      "2 batch.ready",
      "3 batch.started",
      "4 step.started",
      "5 evidence.recorded",
      "6 step.completed",
      "7 step.started",
      "8 evidence.recorded",
      "9 step.completed",
      "10 batch.completed",
    ]);
  });
  test("is not closed while an exception or an event is open", () => {
    const line = given(weighing(), scale.weighs("19.000"), commands("stop"));
    expect(answered(line, commands("close"))).toBe("QLT_EXCEPTION_OPEN");
    const other = given(running(), scale.weighs("12.500"), commands("stop"));
    expect(other.last("scale-1-7-1")).toMatchObject({ status: "quarantined", code: "STA_TERMINAL" });
    expect(answered(other, commands("close"))).toBe("SYS_OPEN_QUEUE");
    other.when(orders({ kind: "quarantine.resolve", event: other.rounds("scale-1-7-1")[0]?.position ?? 0, action: "reject", reason: "seen" }));
    expect(answered(other, commands("close"))).toBe("done");
    expect(told(other.when(scale.alarms({ batch: "B-1" })))).toEqual(["quarantined TIM_LATE_CLOSED"]);
  });
});

describe("equipment that is held", () => {
  test("is not taken by a second batch, at its start or in a step", () => {
    const line = given(running(), ready("B-2"));
    expect(answered(line, commands("start", "B-2"))).toBe("LCK_CONFLICT");
    const other = given(
      weighing(),
      creates("B-2", { equipment: { scale: "scale-1", mixer: "mixer-2" } }),
      commands("release-to-floor", "B-2"),
      commands("start", "B-2"),
    );
    expect(told(other.when(scale.starts("weigh", { batch: "B-2" })))).toEqual(["rejected LCK_CONFLICT"]);
    other.when(scale.weighs("12.500"), scale.completes("weigh"));
    expect(told(other.when(scale.starts("weigh", { batch: "B-2" })))).toEqual(["accepted"]);
  });
  // story: two roles of one batch played by one unit took two locks, which the database refused for ever
  test("in two roles is held once", () => {
    const twice = [
      { ...BLEND.steps[0], equipment: [...BLEND.steps[0].equipment, { role: "tare", class: "scale", locked: "batch" as const }] },
      { ...BLEND.steps[1], equipment: [...BLEND.steps[1].equipment, { role: "cooler", class: "mixer", locked: "batch" as const }] },
    ];
    const roles = { scale: "scale-1", tare: "scale-1", mixer: "mixer-1", cooler: "mixer-1" };
    const line = on(
      { ...PLANT, recipes: [{ ...BLEND, ...{ steps: twice } }] },
      creates("B-1", { equipment: roles }),
      commands("release-to-floor"),
      commands("start"),
    );
    expect(line.model.openLocks("mixer-1")).toHaveLength(1);
    expect(
      told(
        line.when(
          scale.starts("weigh"),
          scale.says("step.evidence", { data: { evidence: "net-weight", value: "12.500", unit: "kg" } }),
          scale.completes("weigh"),
        ),
      ),
    ).toEqual(["accepted", "accepted", "accepted"]);
    expect(line.step("weigh").state).toBe("complete");
    line.when(commands("stop"));
    expect(line.model.locks.every((l) => l.freed !== null)).toBe(true);
  });
});

describe("a person at a step", () => {
  test("starts, records, corrects and completes it as a device would", () => {
    const line = given(running());
    expect(answered(line, stepCommand("complete", "weigh"))).toBe("STA_INVALID_TRANSITION");
    expect(answered(line, stepCommand("start", "weigh"))).toBe("done");
    expect(line.model.openLocks("scale-1")).toMatchObject([{ kind: "engagement", step: "weigh" }]);
    expect(answered(line, stepCommand("complete", "weigh"))).toBe("EVD_MISSING");
    expect(answered(line, stepCommand("evidence", "weigh", weight("12.500", "g")))).toBe("SCH_UNIT_MISMATCH");
    expect(answered(line, stepCommand("evidence", "weigh", weight("12.500")))).toBe("done");
    expect(answered(line, stepCommand("evidence", "weigh"))).toBe("EVD_UNEXPECTED");
    expect(answered(line, stepCommand("pause", "weigh"))).toBe("done");
    expect(answered(line, stepCommand("resume", "weigh"))).toBe("done");
    expect(answered(line, stepCommand("comment", "weigh", { comment: "looks fine" }))).toBe("done");
    expect(answered(line, stepCommand("complete", "weigh"))).toBe("done");
    expect(answered(line, stepCommand("start", "fly"))).toBe("unknown");
    expect(line.step("weigh").state).toBe("complete");
  });
  test("frees a device's deferred event by what is recorded", () => {
    const line = given(weighing(), scale.completes("weigh"));
    expect(told(line.when(stepCommand("evidence", "weigh", weight("12.500"))))).toEqual(["accepted"]);
  });
});

describe("evidence outside its limits", () => {
  test("is accepted with an exception, blocks the completion, and is freed by a correction", () => {
    const line = given(weighing());
    expect(line.when(scale.weighs("19.000"))).toMatchObject([{ status: "accepted_with_exception", code: "PAR_OOS", flags: ["PAR_OOS"] }]);
    expect(told(line.when(scale.completes("weigh")))).toEqual(["rejected QLT_EXCEPTION_OPEN"]);
    expect(answered(line, stepCommand("correct", "weigh", { ...weight("12.510"), reason: null }))).toBe("SIG_REASON_MISSING");
    expect(answered(line, stepCommand("correct", "weigh", weight("12.510")))).toBe("done");
    expect(line.step("weigh").evidence).toMatchObject([{ value: "12.510", within: true }]);
    expect(told(line.when(scale.completes("weigh")))).toEqual(["accepted"]);
    expect(line.model.outcomes.map((o) => o.type)).toContain("evidence.corrected");
  });
  test("is told by decimals: the limit itself is within", () => {
    for (const [value, within] of [
      ["12.438", true],
      ["12.563", true],
      ["12.4374", false],
      ["12.564", false],
    ] as const) {
      const line = given(weighing(), scale.weighs(value));
      expect(line.step("weigh").evidence[0]?.within, value).toBe(within);
    }
  });
  test("of which the sender itself doubts opens an exception", () => {
    const line = given(weighing());
    const doubtful = scale.says("step.evidence", {
      batch: "B-1",
      step: "weigh",
      data: { evidence: "net-weight", value: "12.500", unit: "kg", quality: "bad" },
    });
    expect(told(line.when(doubtful, scale.completes("weigh")))).toEqual(["accepted_with_exception EVD_BAD_QUALITY", "rejected QLT_EXCEPTION_OPEN"]);
  });
  // story: the round that resolved the quarantine resolved the exception that it had opened itself, and the batch could be closed over it
  test("that comes out of quarantine leaves its exception open", () => {
    const line = given(running(), scale.weighs("19.000"));
    line.after(5_000);
    expect(line.exceptions()).toEqual(["STA_INVALID_TRANSITION"]);
    line.when(scale.starts("weigh"));
    const entry = line.rounds("scale-1-7-1")[0]?.position ?? 0;
    expect(told(line.when(orders({ kind: "quarantine.resolve", event: entry, action: "reprocess", reason: "seen" })))).toEqual([
      "accepted_with_exception PAR_OOS",
    ]);
    expect(line.exceptions()).toEqual(["PAR_OOS"]);
    expect(line.batch()).toMatchObject({ openExceptions: 1, openQuarantine: 0 });
  });
});

describe("quarantine", () => {
  test("judges again what a person asks for, and writes nothing while it is still refused", () => {
    const line = given(running(), scale.weighs("12.500"));
    line.after(5_000);
    const entry = line.rounds("scale-1-7-1")[0]?.position ?? 0;
    const resolve = (action: "reprocess" | "reject") => orders({ kind: "quarantine.resolve", event: entry, action, reason: "seen" });
    expect(answered(line, resolve("reprocess"))).toBe("STA_INVALID_TRANSITION");
    expect(line.rounds("scale-1-7-1")).toHaveLength(2);
    line.when(scale.starts("weigh"));
    expect(line.when(resolve("reprocess"))).toMatchObject([{ status: "accepted", round: 3, event: entry }]);
    expect(line.step("weigh").evidence).toHaveLength(1);
    expect(answered(line, resolve("reject"))).toBe("unknown");
    expect(told(line.when(again("scale-1-7-1")))).toEqual(["duplicate DUP_EXACT"]);
  });
  test("rejects for good with the reason that a person gives", () => {
    const line = given(weighed(), scale.weighs("12.500"));
    const entry = line.rounds("scale-1-7-4")[0]?.position ?? 0;
    expect(line.when(orders({ kind: "quarantine.resolve", event: entry, action: "reject", reason: "double weighing" }))).toMatchObject([
      { status: "rejected", code: "STA_TERMINAL", reason: "Rejected by a person: double weighing" },
    ]);
    expect(line.exceptions()).toEqual([]);
  });
});

describe("durations", () => {
  const blending = () => given(weighed(), mixer.starts("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel"));
  test("the minimum is held against the device's clock where one source told both ends", () => {
    const line = blending();
    line.after(5_000);
    const early = new Date(line.model.now - 4_000).toISOString();
    expect(told(line.when(mixer.completes("blend", { more: { time: early } })))).toEqual(["rejected TIM_TOO_SHORT"]);
    expect(told(line.when(mixer.completes("blend")))).toEqual(["accepted"]);
  });
  test("and against ours where the device's clock is none, ahead, or another one", () => {
    const ahead = blending();
    ahead.after(1_000);
    const future = new Date(ahead.model.now + 60_000).toISOString();
    const rounds = ahead.when(mixer.completes("blend", { more: { time: future } }));
    expect(told(rounds)).toEqual(["rejected TIM_TOO_SHORT"]);
    ahead.after(1_000);
    expect(ahead.when(mixer.completes("blend", { more: { time: null, timesource: "none" } }))).toMatchObject([{ status: "accepted" }]);
  });
  test("a clock that is ahead is marked, and refuses nothing", () => {
    const line = given(running());
    expect(line.when(scale.starts("weigh", { more: { time: "2027-01-01T00:00:00Z" } }))).toMatchObject([{ status: "accepted", flags: ["TIM_FUTURE"] }]);
  });
  test("beyond the maximum a step completes with an exception", () => {
    const slow = [{ ...BLEND.steps[0], duration: { max: "PT10S" } }, BLEND.steps[1]];
    const line = on({ ...PLANT, recipes: [{ ...BLEND, ...{ steps: slow } }] }, weighing(), scale.weighs("12.500"));
    line.after(10_001);
    expect(told(line.when(scale.completes("weigh")))).toEqual(["accepted_with_exception TIM_TOO_LONG"]);
    expect(line.step("weigh").state).toBe("complete");
  });
});

describe("a key", () => {
  const key = (bodyDigest = "01", request = "POST /batches") => ({ key: { key: "k1", request, bodyDigest } });
  test("gives the same answer again, without doing anything again", () => {
    const line = given(creates("B-1", {}, key()));
    const before = line.model.position;
    expect(line.answer(creates("B-1", {}, key()))).toMatchObject({
      kind: "answered before",
      sameBody: true,
      answer: { kind: "done", created: true },
    });
    expect(line.answer(creates("B-2", {}, key("02")))).toMatchObject({ kind: "answered before", sameBody: false });
    expect(line.answer(creates("B-1", {}, key("01", "POST /other")))).toMatchObject({ kind: "answered before", sameBody: false });
    expect(line.model.position).toBe(before);
  });
  test("gives it within one group too, and remembers refusals", () => {
    const line = given();
    const signals = line.signals([commands("start", "B-1", null, key()), creates(), commands("start", "B-1", null, key())]);
    const [settled] = line.model.run(signals, [3]);
    expect([...(settled?.answers.values() ?? [])].map(({ answer }) => answer.kind)).toEqual(["unknown", "done", "answered before"]);
  });
});

describe("If-Match", () => {
  test("refuses who has not seen what was done since", () => {
    const line = given(creates());
    expect(line.answer(commands("release-to-floor", "B-1", null, { ifVersion: 9 }))).toEqual({ kind: "stale", version: 1 });
    expect(line.answer(commands("release-to-floor", "B-1", null, { ifVersion: 1 }))).toMatchObject({ kind: "done", batch: { version: 2 } });
  });
  // story: in one group with what had changed the batch, a command based on the version before went through
  test("also when it was done in the same group", () => {
    const line = given(creates());
    const signals = line.signals([commands("release-to-floor"), commands("cancel", "B-1", "late", { ifVersion: 1 })]);
    const [settled] = line.model.run(signals, [2]);
    expect([...(settled?.answers.values() ?? [])].map(({ answer }) => answer.kind)).toEqual(["done", "stale"]);
  });
});

describe("a command at which the judge throws", () => {
  test("is refused alone, and the group goes on", () => {
    const line = on(
      failing(({ event }) => event === "step.pause"),
      weighing(),
    );
    const signals = line.signals([scale.weighs("12.500"), stepCommand("pause", "weigh"), scale.completes("weigh")]);
    const [settled] = line.model.run(signals, [3]);
    expect([...(settled?.answers.values() ?? [])].map(({ answer }) => answer)).toMatchObject([{ kind: "refused", code: "SYS_POISON" }]);
    expect(line.step("weigh").state).toBe("complete");
  });
});

describe("two that know of the same world", () => {
  test("do not both commit: what has moved on is judged again", () => {
    const line = given(weighing());
    const signals = line.signals([scale.weighs("12.500")]);
    const mine = line.model.judge(signals);
    line.when(commands("pause"));
    expect(() => line.model.commit(mine, signals)).toThrow("batch B-1 has moved on");
    line.model.run(signals);
    expect(line.last("scale-1-7-2")).toMatchObject({ status: "deferred", code: "CTX_BATCH_NOT_RUNNING" });
  });
  test("do not miss each other: who waits for a batch and who creates it meet", () => {
    const line = given();
    const waits = line.signals([scale.weighs("12.500")]);
    const deferred = line.model.judge(waits);
    line.when(creates());
    expect(() => line.model.commit(deferred, waits)).toThrow("batch:B-1 has come");
  });
});

test("judging never changes what was read, and asks for what it lacks rather than guess", () => {
  const line = given(weighing(), scale.completes("weigh"));
  const signals = line.signals([scale.weighs("12.500"), commands("pause")]);
  // the model freezes whatever it reads: a change would throw
  expect(() => settle(line.model.read(emptyRequest()), line.model.machines, signals)).toThrow(NotRead);
  const settled = line.model.judge(signals);
  expect(line.model.judge(signals).rows).toEqual(settled.rows);
});

test("a record judged again, signal by signal, gives every verdict again", () => {
  const line = given(running());
  line.together(
    scale.completes("weigh", { sequence: 2 }),
    mixer.starts("blend"),
    scale.starts("weigh", { sequence: 1 }),
    scale.weighs("12.500", { sequence: 3 }),
    commands("pause"),
  );
  line.together(commands("resume"), mixer.gives("blend", "end-temperature", "24.5", "Cel"), speaker("scale-2").says("call.raised", { data: { call: "c" } }));
  line.after(40_000);
  const verdicts = replay(line.model).verdicts.map((v) => [v.position, v.event, v.round, v.status, v.code, v.reason, v.explanation]);
  expect(verdicts).toEqual(line.model.verdicts.map((v) => [v.position, v.event, v.round, v.status, v.code, v.reason, v.explanation]));
});
