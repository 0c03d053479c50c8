import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Signal } from "../../../src/decide/signal.ts";
import { BLEND } from "../../support/blend.ts";
import { type Act, type Line, mixer, on, PLANT, running, type Speaker, scale, speaker } from "../../support/given.ts";
import { runs } from "../../support/runs.ts";

// Promise: between sources arrival is the order, within a source its numbers are; what is repeated does nothing, and what comes too early waits. Attack: repeat, shuffle,
// group at will, and compare with the same events once and in order.

const RUNS = runs(25);

/** Sizes of groups, taken in turn. */
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });

/** The deliveries, shuffled. */
const shuffled = <T>(all: readonly T[]): fc.Arbitrary<readonly T[]> =>
  fc.array(fc.nat({ max: 1_000_000 }), { minLength: all.length, maxLength: all.length }).map((keys) =>
    all
      .map((item, n) => ({ item, key: keys[n] ?? 0 }))
      .sort((a, b) => a.key - b.key)
      .map(({ item }) => item),
  );

describe("twenty sources that have nothing to do with each other", () => {
  const speakers: readonly Speaker[] = Array.from({ length: 20 }, (_, n) => speaker(`unit-${n}`));
  const plant = { ...PLANT, equipment: speakers.map((_, n) => ({ equipment: `unit-${n}`, line: "4", class: "unit" })), sources: [] };
  const kinds: readonly [string, Record<string, unknown>][] = [
    ["alarm.cleared", { alarm: "a" }],
    ["call.raised", { call: "c" }],
    ["downtime.reported", { reason: "jam" }],
    ["equipment.changed", { what: "blade" }],
  ];
  const said = (line: Line, each: number): Signal[] =>
    speakers.flatMap((by) =>
      Array.from({ length: each }, (_, n) => {
        const [type, data] = kinds[n % kinds.length] ?? ["call.raised", {}];
        return by.says(type, { data })(line);
      }).flat(),
    );

  test("leave the same facts when their events come three times, shuffled, in any groups, as once and in order", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }).chain((each) => fc.tuple(fc.constant(each), shuffled(Array.from({ length: 3 * 20 * each }, (_, n) => n)))),
        sizes,
        ([each, order], groups) => {
          const once = on(plant);
          once.model.run(said(once, each));
          const often = on(plant);
          const events = said(often, each);
          const deliveries = order.flatMap((n) => events[n % events.length] ?? []);
          // each delivery is one of its own
          often.model.run(
            deliveries.map((signal) => (signal.kind === "event" ? often.model.signal({ ...signal.delivery }) : signal)),
            groups,
          );
          const facts = (line: Line) => line.model.facts.map((f) => JSON.stringify([f.kind, f.equipment, f.data])).sort();
          expect(facts(often)).toEqual(facts(once));
          for (const by of speakers) {
            expect(often.source(by)).toMatchObject({ epoch: 7n, through: BigInt(each), waitingCount: 0, gap: null, parked: null });
          }
          const final = often.model.verdicts.filter((v) => v.final);
          expect(final.filter((v) => v.status === "accepted")).toHaveLength(events.length);
          expect(final.filter((v) => v.status === "duplicate")).toHaveLength(2 * events.length);
          expect(often.model.waiting.size + often.model.deferrals.size + often.model.quarantine.size).toBe(0);
          // per equipment the outcomes tell of the events in their order
          for (const [stream, head] of once.model.streams) {
            const told = (line: Line) => line.model.outcomes.filter((o) => o.stream === stream).map((o) => o.causation);
            expect(often.model.streams.get(stream)?.sequence).toBe(head.sequence);
            expect(told(often)).toEqual(told(once));
          }
        },
      ),
      { numRuns: RUNS },
    );
  }, 120_000);
});

/** The contract's recipe without waiting times and limits. */
const QUICK_STEPS = [
  {
    step: "weigh",
    equipment: [{ role: "scale", class: "scale", locked: "step" }],
    evidence: [{ evidence: "net-weight", kind: "measurement", unit: "kg", count: 1 }],
  },
  {
    step: "blend",
    after: ["weigh"],
    equipment: [{ role: "mixer", class: "mixer", locked: "batch" }],
    evidence: [{ evidence: "end-temperature", kind: "measurement", unit: "Cel", count: 1 }],
  },
];

describe("four sources that need each other", () => {
  const probe = speaker("mixer-1", { device: "probe" });
  const scaleTwo = speaker("scale-1", { device: "display" });
  const plant = { ...PLANT, recipes: [{ ...BLEND, steps: QUICK_STEPS }], sources: [...(PLANT.sources ?? []), { equipment: "scale-1", device: "display" }] };

  /** What each source says, in its order: the display weighs before the start or after the completion, the mixer starts before the scale is done. */
  const scripts: readonly { readonly name: string; readonly streams: readonly (readonly Act[])[] }[] = [
    {
      name: "the weight comes from another source",
      streams: [
        [scale.starts("weigh"), scale.completes("weigh")],
        [scaleTwo.weighs("12.500")],
        [mixer.starts("blend"), mixer.completes("blend")],
        [probe.gives("blend", "end-temperature", "24.5", "Cel")],
      ],
    },
    {
      name: "the weight comes from the same source after the completion",
      streams: [
        [scale.starts("weigh"), scale.completes("weigh"), scale.weighs("12.500")],
        [scaleTwo.states("Execute")],
        [mixer.starts("blend"), mixer.completes("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel")],
        [probe.states("Execute")],
      ],
    },
  ];

  for (const { name, streams } of scripts) {
    test(`leave the same facts whatever comes first, when ${name}`, () => {
      const count = streams.reduce((n, s) => n + s.length, 0);
      fc.assert(
        fc.property(
          shuffled(Array.from({ length: count * 2 }, (_, n) => n % count)),
          sizes,
          fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 5 }),
          (order, groups, pauses) => {
            const run = (arrivals: readonly number[], sizesOf: readonly number[], waits: readonly number[]): Line => {
              const line = on(plant, running());
              const events = streams.flat().map((act) => [act(line)].flat()[0]);
              let at = 0;
              for (let n = 0; at < arrivals.length; n += 1) {
                const size = sizesOf[n % sizesOf.length] ?? 1;
                const group = arrivals.slice(at, at + size).flatMap((i) => {
                  const signal = events[i];
                  return signal?.kind === "event" ? line.model.signal({ ...signal.delivery }) : [];
                });
                at += size;
                line.model.run(group, [size]);
                line.after(waits[n % waits.length] ?? 0);
              }
              return line;
            };
            const once = run(
              Array.from({ length: count }, (_, n) => n),
              [1],
              [0],
            );
            const mixed = run(order, groups, pauses);
            const facts = (line: Line) =>
              line.model.facts.map((f) => JSON.stringify([f.kind, f.batch, f.step, f.from, f.to, f.data["evidence"] ?? f.data["value"]])).sort();
            expect(facts(mixed)).toEqual(facts(once));
            expect(mixed.batch().execution).toBe("complete");
            expect(mixed.model.waiting.size + mixed.model.deferrals.size + mixed.model.quarantine.size).toBe(0);
            expect(mixed.model.verdicts.filter((v) => v.final && v.status !== "accepted" && v.status !== "duplicate")).toEqual([]);
          },
        ),
        { numRuns: RUNS },
      );
    }, 120_000);
  }
});
