import fc from "fast-check";
import { expect, test } from "vitest";
import type { Machines } from "../../../src/decide/machines.ts";
import type { BatchCommandName, Signal, StepCommandName } from "../../../src/decide/signal.ts";
import { type Act, commands, creates, Line, mixer, orders, PLANT, scale, speaker, stepCommand } from "../../support/given.ts";
import { createModel, type Model, type ModelOptions, replay } from "../../support/model.ts";
import { runs } from "../../support/runs.ts";

// Promise: whatever signals come, in whatever groups, the record stays whole, nothing stays open for ever, and judging it again signal by signal gives every verdict again.
// Attack: hostile mixes of events, repeats, reused ids and numbers, restarts, commands, resolutions, heartbeats, broken bytes, a guard that falls over, and time.

/** A guard that falls over at one value. */
const FRAGILE: ModelOptions = {
  ...PLANT,
  machines: (machines: Machines): Machines => ({
    ...machines,
    step: (batch) => {
      const machine = machines.step(batch);
      return {
        ...machine,
        next: (state, event, context, unasked) => {
          if (context.signal?.evidence?.value === "13.130") throw new Error("a guard fell over");
          return machine.next(state, event, context, unasked);
        },
      };
    },
  }),
};

const speakers = [
  scale,
  mixer,
  speaker("mixer-1", { device: "probe" }),
  speaker("scale-2"),
  speaker("panel-1", { device: "button", numbers: false }),
  speaker("panel-1", { device: "old" }),
  speaker("nobody-1"),
];
/** What a failure prints of an act. */
const named = (name: string, act: Act): Act => Object.assign((line: Line) => act(line), { [fc.toStringMethod]: () => name });
const pick = <T>(...of: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...of);

const types: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["step.start", {}],
  ["step.complete", {}],
  ["step.evidence", { evidence: "net-weight", value: "12.500", unit: "kg" }],
  ["step.evidence", { evidence: "net-weight", value: "19.000", unit: "kg" }],
  ["step.evidence", { evidence: "net-weight", value: "13.130", unit: "kg" }],
  ["step.evidence", { evidence: "end-temperature", value: "24.5", unit: "Cel" }],
  ["step.pause", {}],
  ["step.resume", {}],
  ["step.abort", {}],
  ["batch.start", {}],
  ["batch.pause", {}],
  ["batch.resume", {}],
  ["batch.stop", {}],
  ["material.consumed", { material: "m", lot: "l", quantity: { value: "1", unit: "kg" } }],
  ["material.check", { material: "m", lot: "l" }],
  ["equipment.state", { state: "Execute" }],
  ["alarm.raised", { alarm: "a" }],
  ["call.raised", { call: "c" }],
  ["source.birth", { next: "2" }],
  ["source.lost", { from: "1", to: "3" }],
  ["step.evidence", { evidence: 7 }],
];

const event: fc.Arbitrary<Act> = fc
  .record({
    by: fc.oneof({ weight: 4, arbitrary: pick(0, 1) }, { weight: 1, arbitrary: fc.nat({ max: speakers.length - 1 }) }),
    type: fc.nat({ max: types.length - 1 }),
    epoch: fc.oneof({ weight: 30, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: pick(6, 7, 8, 9) }),
    sequence: fc.oneof({ weight: 7, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) }),
    id: fc.oneof({ weight: 20, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: pick("twice", "thrice") }),
    batch: fc.oneof({ weight: 6, arbitrary: fc.constant("B-1") }, { weight: 2, arbitrary: pick("B-2", "B-9", null) }),
    step: fc.oneof({ weight: 6, arbitrary: pick("weigh", "blend") }, { weight: 1, arbitrary: pick("nowhere", null) }),
    occurred: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constant(true) }),
    retained: fc.oneof({ weight: 20, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  })
  .map(({ by, type, epoch, sequence, id, batch, step, occurred, retained }) => {
    const [name = "step.start", data = {}] = types[type] ?? [];
    const about = JSON.stringify({ by: speakers[by]?.name, name, epoch, sequence, id, batch, step, data, occurred, retained });
    return named(
      about,
      (speakers[by] ?? scale).says(name, {
        ...(epoch === undefined ? {} : { epoch }),
        ...(sequence === undefined ? {} : { sequence }),
        ...(id === undefined ? {} : { id }),
        batch,
        step: name.startsWith("batch.") ? null : step,
        data,
        more: { occurred },
        delivery: { retained },
      }),
    );
  });

/** One of the deliveries that came before, byte by byte. */
const repeat: fc.Arbitrary<Act> = fc.nat({ max: 1000 }).map((n) =>
  named(`again ${n}`, (line: Line) => {
    const before = line.sent.filter((signal) => signal.kind === "event");
    const signal = before[n % Math.max(1, before.length)];
    return signal?.kind === "event" ? line.model.signal({ ...signal.delivery, retained: false }) : [];
  }),
);

const garbage: fc.Arbitrary<Act> = fc
  .oneof(fc.string(), pick("{", "[]", '{"id":"x"}', '{"specversion":"1.0","source":"/site/rtm1/line/4/eq/scale-1","epoch":"7","sequence":"5"}'))
  .map((text) => (line: Line) => line.model.signal(line.model.delivery("site/rtm1/line/4/eq/scale-1/event", text)));

const beat: fc.Arbitrary<Act> = fc
  .record({ state: pick("online" as const, "offline" as const), epoch: pick(7, 8), sequence: fc.integer({ min: 1, max: 12 }) })
  .map((at) => named(`beat ${JSON.stringify(at)}`, scale.beats(at)));

const batchCommands: readonly BatchCommandName[] = ["release-to-floor", "revoke", "cancel", "start", "pause", "resume", "stop", "abort", "amend", "close"];
const stepCommands: readonly StepCommandName[] = ["start", "evidence", "correct", "complete", "pause", "resume", "verify", "comment"];

const key = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: pick("a", "b").map((k) => ({ key: { key: k, request: "r", bodyDigest: "00" } })) },
);
const command: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(pick("B-1", "B-2"), key).map(([batch, how]) => named(`create ${batch} ${JSON.stringify(how)}`, creates(batch, {}, how))),
  fc
    .tuple(pick(...batchCommands), pick("B-1", "B-2"), key)
    .map(([name, batch, how]) => named(`${name} ${batch} ${JSON.stringify(how)}`, commands(name, batch, "a reason", how))),
  fc
    .tuple(pick(...stepCommands), pick("weigh", "blend"), pick("12.500", "19.000"))
    .map(([name, step, value]) =>
      stepCommand(name, step, { evidence: { evidence: step === "weigh" ? "net-weight" : "end-temperature", value, unit: "kg" }, comment: "seen" }),
    ),
  pick("25.000", "26.000").map((value) =>
    named(`update ${value}`, orders({ kind: "batch.update", batch: "B-1", quantity: { value, unit: "kg" }, equipment: null, reason: null })),
  ),
  pick("scale-1", "mixer-1").map((name) =>
    named(`succession ${name}`, orders({ kind: "source.succession", source: `/site/rtm1/line/4/eq/${name}`, reason: "replaced" })),
  ),
);

const resolution: fc.Arbitrary<Act> = fc
  .record({
    n: fc.nat({ max: 100 }),
    gap: fc.boolean(),
    action: pick("wait" as const, "skip" as const, "rebase" as const),
    to: fc.integer({ min: 1, max: 20 }),
    reject: fc.boolean(),
  })
  .map(({ n, gap, action, to, reject }) =>
    named(`resolve ${JSON.stringify({ n, gap, action, to, reject })}`, (line: Line): Signal | readonly Signal[] => {
      if (gap) {
        const open = [...line.model.sources.values()].filter((s) => s.gapPosition !== null || s.parked !== null);
        const source = open[n % Math.max(1, open.length)];
        if (source === undefined) return [];
        const at = source.gapPosition ?? source.parkedPosition ?? 0;
        return line.model.command({
          kind: "gap.resolve",
          source: source.source,
          gap: at,
          action,
          epoch: null,
          sequence: action === "rebase" ? BigInt(to) : null,
          reason: "seen",
        });
      }
      const open = [...line.model.quarantine.values()].filter((q) => q.resolution === null);
      const entry = open[n % Math.max(1, open.length)];
      return entry === undefined
        ? []
        : line.model.command({ kind: "quarantine.resolve", event: entry.position, action: reject ? "reject" : "reprocess", reason: "seen" });
    }),
  );

/** What a line that works would say. */
const good: fc.Arbitrary<Act> = pick<readonly [string, Act]>(
  ["starts weigh", scale.starts("weigh")],
  ["weighs", scale.weighs("12.500")],
  ["weighs too much", scale.weighs("19.000")],
  ["completes weigh", scale.completes("weigh")],
  ["completes what it is engaged in", scale.says("step.complete")],
  ["gives a weight to what it is engaged in", scale.says("step.evidence", { data: { evidence: "net-weight", value: "12.501", unit: "kg" } })],
  ["corrects", stepCommand("correct", "weigh", { evidence: { evidence: "net-weight", value: "12.500", unit: "kg" } })],
  ["starts blend", mixer.starts("blend")],
  ["measures", mixer.gives("blend", "end-temperature", "24.5", "Cel")],
  ["completes blend", mixer.completes("blend")],
  ["pauses blend", mixer.pauses("blend")],
  ["resumes blend", mixer.resumes("blend")],
).map(([name, act]) => named(name, act));

const act = fc.oneof(
  { weight: 14, arbitrary: good },
  { weight: 8, arbitrary: event },
  { weight: 3, arbitrary: repeat },
  { weight: 1, arbitrary: garbage },
  { weight: 1, arbitrary: beat },
  { weight: 4, arbitrary: command },
  { weight: 2, arbitrary: resolution },
);
const group = fc.record({
  acts: fc.array(act, { minLength: 1, maxLength: 8 }),
  pause: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 3000 }) }, { weight: 1, arbitrary: fc.constant(61_000) }),
});

const rounds = (model: Model): readonly string[] =>
  model.verdicts.map((v) => [v.position, v.event, v.round, v.status, v.code, v.eventId, v.facts, v.ahead].join(" ")).sort();

test("any signals at all leave a whole record, which judged again gives the same verdicts", () => {
  fc.assert(
    fc.property(fc.array(group, { minLength: 1, maxLength: 12 }), (groups) => {
      const line = new Line(createModel(FRAGILE));
      let fell = 0;
      line.model.run(line.signals([creates(), commands("release-to-floor"), commands("start")]));
      for (const { acts, pause } of groups) {
        const signals = line.signals(acts);
        const settled = line.model.run(signals, [Math.max(1, signals.length)]);
        for (const [signal, { answer }] of settled.flatMap((s) => [...s.answers]))
          if (signal.kind === "command" && signal.command.kind !== "quarantine.resolve" && answer.kind === "refused" && answer.code === "SYS_POISON") fell += 1;
        line.after(pause);
      }
      line.after(600_000);
      const { model } = line;
      // a guard that falls over refuses only the one who asks for that event to be judged again
      expect(fell).toBe(0);
      // nothing waits for ever by itself: what is open needs a person, or the number that is missing
      expect(model.deferrals.size).toBe(0);
      expect([...model.waiting.values()].filter((w) => w.expiresAt !== null)).toEqual([]);
      for (const source of model.sources.values())
        if (source.waitingCount > 0) expect(source.parked, `${source.source} has ${source.waitingCount} waiting`).not.toBe(null);
      const again = replay(model);
      expect(again.position).toBe(model.position);
      expect(rounds(again)).toEqual(rounds(model));
      expect(again.outcomes.map((o) => [o.stream, o.sequence, o.position, o.type])).toEqual(
        model.outcomes.map((o) => [o.stream, o.sequence, o.position, o.type]),
      );
    }),
    { numRuns: runs(80) },
  );
}, 120_000);
