// Promise: the bench measures the mix that it says it measures, and the same one each time.
import { describe, expect, test } from "vitest";
import { batchName, CELLS, type Delivery, eventId, eventOf, flood, payloadOf, plan, type Sending, sourceName, topicOf } from "./plan.ts";

const COUNT = 60_000;
const planned = (seed: number, count = COUNT, where: Partial<Sending> = {}): Delivery[] => {
  const deliveries = plan({ seed, cells: CELLS, sites: 1, ...where });
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
    expect(new Set(all.map(sourceName)).size).toBe(200);
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
    const wrong: Delivery[] = [];
    for (const [i, delivery] of all.slice(0, -1).entries()) {
      const { sequence, kind } = delivery;
      if (kind === "duplicate" || kind === "conflict") continue;
      const source = sourceName(delivery);
      const before = last.get(source) ?? 0;
      const swapped = sequence === before + 2 && all[i + 1]?.sequence === before + 1;
      if (kind === "early" ? !swapped : all[i - 1]?.kind !== "early" && sequence !== before + 1) wrong.push(delivery);
      last.set(source, Math.max(before, sequence));
    }
    expect(wrong).toEqual([]);
  });

  test("repeats an event as it was, and contradicts it under the same id and number with something else", () => {
    const copies = all.filter(({ kind }) => kind === "duplicate" || kind === "conflict");
    const wrong = copies.filter(({ event, kind, cell, unit, sequence, type, data }) => {
      const first = all[event];
      const same = first?.cell === cell && first.unit === unit && first.sequence === sequence && first.type === type;
      return !same || (first.data === data) !== (kind === "duplicate");
    });
    expect(copies.length).toBeGreaterThan(0);
    expect(wrong).toEqual([]);
  });

  test("has every cell make one batch after the other, each step begun before it is told of and completed last", () => {
    const states = new Map<string, string>();
    const wrong: Delivery[] = [];
    for (const delivery of [...judged].sort((a, b) => a.sequence - b.sequence)) {
      const { kind, batch, step, type } = delivery;
      if (kind === "illegal" || step === null) continue;
      const key = `${batch} ${step}`;
      if (states.get(key) !== (type === "step.start" ? undefined : "begun")) wrong.push(delivery);
      if (type === "step.start") states.set(key, "begun");
      if (type === "step.complete") states.set(key, "complete");
    }
    expect(wrong).toEqual([]);
    expect([...states.values()].filter((state) => state === "complete").length).toBeGreaterThan(8 * CELLS);
    const nth = (cell: number): (string | null)[] => [...new Set(all.filter((one) => one.cell === cell).map(({ batch }) => batch))];
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

  test("has several sites share the cells, each batch in one, and sends the same whatever their number", () => {
    const shared = planned(1, 5_000, { sites: 4 });
    expect(new Set(shared.map(({ site }) => site))).toEqual(new Set(["bench", "bench-2", "bench-3", "bench-4"]));
    expect(new Set(shared.map(({ site, batch }) => `${site} ${batch}`)).size).toBe(new Set(shared.map(({ batch }) => batch)).size);
    expect(shared.map((delivery) => ({ ...delivery, site: "bench" }))).toEqual(all.slice(0, 5_000));
  });

  test("has a unit that floods number its reports without a hole, under ids that nobody waits for, on a branch of its own", () => {
    const others = planned(1, 5_000, { cells: CELLS / 2 });
    expect(new Set(others.map(sourceName)).size).toBe(100);
    const deliveries = flood();
    const sent = Array.from({ length: 100 }, () => deliveries.next().value);
    const said = sent.map((delivery) => JSON.parse(payloadOf(delivery)));
    expect(said.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 100 }, (_, n) => String(n + 1)));
    expect(new Set(said.map(({ id }) => id)).size).toBe(100);
    for (const { id } of said) expect([id.length, eventOf(id.slice(-12))]).toEqual([36, Number.NaN]);
    expect(new Set(sent.map(topicOf)).size).toBe(1);
    expect(others.some((delivery) => topicOf(delivery) === topicOf(sent[0] ?? delivery))).toBe(false);
  });
});
