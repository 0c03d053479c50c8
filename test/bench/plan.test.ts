// Promise: the bench measures the mix that it says it measures, and the same one each time.
import { describe, expect, test } from "vitest";
import { batchName, CELLS, type Delivery, eventId, eventOf, payloadOf, plan, sourceName } from "./plan.ts";

const COUNT = 60_000;
const planned = (seed: number, count = COUNT): Delivery[] => {
  const deliveries = plan(seed);
  return Array.from({ length: count }, () => deliveries.next().value);
};
const all = planned(1);
const judged = all.filter(({ kind }) => kind === "event" || kind === "early" || kind === "illegal");
const share = (of: (delivery: Delivery) => boolean, among: readonly Delivery[]): number => (100 * among.filter(of).length) / among.length;

describe("the plan of the bench", () => {
  test("is the same for the same seed, and another for another", () => {
    expect(planned(1, 5_000)).toEqual(all.slice(0, 5_000));
    expect(planned(2, 5_000)).not.toEqual(all.slice(0, 5_000));
  });

  test("is of 200 sources: evidence, starts and completions, and reports as 70 to 20 to 10", () => {
    expect(new Set(all.map(({ cell, unit }) => sourceName(cell, unit))).size).toBe(200);
    const legal = judged.filter(({ kind }) => kind !== "illegal");
    expect(Math.round(share(({ type }) => type === "step.evidence", legal))).toBe(69);
    expect(Math.round(share(({ type }) => /^batch\.start|^step\.(start|complete)$/.test(type), legal))).toBe(21);
  });

  test("repeats 5 in a hundred, swaps 1 in a hundred, contradicts 1 and breaks the rules with 5 in a thousand", () => {
    expect(share(({ kind }) => kind === "duplicate", all)).toBeCloseTo(5, 0);
    expect(share(({ kind }) => kind === "early", judged)).toBeCloseTo(1, 0);
    expect(share(({ kind }) => kind === "illegal", judged)).toBeGreaterThan(0.4);
    expect(share(({ kind }) => kind === "illegal", judged)).toBeLessThan(0.6);
    expect(share(({ kind }) => kind === "conflict", all)).toBeGreaterThan(0.07);
    expect(share(({ kind }) => kind === "conflict", all)).toBeLessThan(0.13);
  });

  test("gives each source its numbers without a hole, two of them the wrong way round where it says so", () => {
    const last = new Map<string, number>();
    for (const [i, { cell, unit, sequence, kind }] of all.slice(0, -1).entries()) {
      if (kind === "duplicate" || kind === "conflict") continue;
      const source = sourceName(cell, unit);
      const before = last.get(source) ?? 0;
      if (kind === "early") expect([sequence, all[i + 1]?.sequence]).toEqual([before + 2, before + 1]);
      else if (all[i - 1]?.kind !== "early") expect(sequence).toBe(before + 1);
      last.set(source, Math.max(before, sequence));
    }
  });

  test("repeats an event as it was, and contradicts it under the same id and number with something else", () => {
    for (const { kind, event, data, ...copy } of all) {
      if (kind !== "duplicate" && kind !== "conflict") continue;
      const first = all[event];
      expect(first).toMatchObject({ cell: copy.cell, unit: copy.unit, sequence: copy.sequence, type: copy.type });
      expect(data === first?.data).toBe(kind === "duplicate");
    }
  });

  test("has every cell make one batch after the other, each step begun before it is told of and completed last", () => {
    const states = new Map<string, string>();
    let completed = 0;
    for (const { kind, batch, step, type } of [...judged].sort((a, b) => a.sequence - b.sequence)) {
      if (kind === "illegal" || step === null) continue;
      const key = `${batch} ${step}`;
      expect(states.get(key)).toBe(type === "step.start" ? undefined : "begun");
      if (type === "step.start") states.set(key, "begun");
      if (type === "step.complete") {
        states.set(key, "complete");
        completed += 1;
      }
    }
    expect(completed).toBeGreaterThan(8 * CELLS);
    const nth = (cell: number): string[] => [...new Set(all.filter((one) => one.cell === cell).map(({ batch }) => batch))];
    for (let cell = 0; cell < CELLS; cell += 1) expect(nth(cell)).toEqual(nth(cell).map((_, n) => batchName(cell, n)));
  });

  test("names the event in its id, which is as long as a UUID", () => {
    for (const event of [0, 1, 4_711, 2 ** 40]) {
      expect(eventId(event)).toHaveLength(36);
      expect(eventOf(eventId(event).slice(-12))).toBe(event);
    }
    const [delivery] = all;
    if (delivery === undefined) throw new Error("nothing is planned");
    expect(JSON.parse(payloadOf(delivery))).toMatchObject({ id: eventId(0), batchid: delivery.batch, sequence: "1", data: {} });
  });
});
