// The faults of the simulated devices are decided by a seed before anything is sent: a run can be repeated, and none of its faults is left out for long.
import fc from "fast-check";
import { expect, test } from "vitest";
import { FAULT_IN_WORDS, type Fault, ORDER_FAULTS, OTHER_FAULTS, planFaults } from "../../../src/cli/fault-plan.ts";

const seed = fc.integer({ min: 0, max: 0xffffffff });
const size = { batches: fc.integer({ min: 0, max: 12 }), steps: fc.integer({ min: 1, max: 6 }) };

test("the same seed plans the same faults", () => {
  fc.assert(
    fc.property(seed, size.batches, size.steps, (s, batches, steps) => {
      expect(planFaults(s, batches, steps)).toEqual(planFaults(s, batches, steps));
    }),
  );
});

test("more batches add faults, and change none of those before", () => {
  fc.assert(
    fc.property(seed, size.batches, size.steps, (s, batches, steps) => {
      expect(planFaults(s, batches + 1, steps).slice(0, batches)).toEqual(planFaults(s, batches, steps));
    }),
  );
});

test("every step has one or two faults besides its order, each once, and the last step skips nothing", () => {
  fc.assert(
    fc.property(seed, size.batches, size.steps, (s, batches, steps) => {
      const plan = planFaults(s, batches, steps);
      expect(plan.map((batch) => batch.length)).toEqual(Array.from({ length: batches }, () => steps));
      for (const batch of plan) {
        for (const { others } of batch) {
          expect([1, 2]).toContain(others.length);
          expect(new Set(others).size).toBe(others.length);
        }
        expect(batch.at(-1)?.others).not.toContain("skip-a-step");
      }
    }),
  );
});

test("the demo's three batches show every fault besides the orders, whatever the seed; ten batches show every order", () => {
  const seen = (s: number, batches: number): Set<Fault> =>
    new Set(planFaults(s, batches, 4).flatMap((batch) => batch.flatMap(({ order, others }) => [...others, ...(order === null ? [] : [order])])));
  for (let s = 0; s < 500; s++) {
    for (const fault of OTHER_FAULTS) expect([s, fault, seen(s, 3).has(fault)]).toEqual([s, fault, true]);
    for (const fault of ORDER_FAULTS) expect([s, fault, seen(s, 10).has(fault)]).toEqual([s, fault, true]);
  }
  expect(Object.keys(FAULT_IN_WORDS).sort()).toEqual([...ORDER_FAULTS, ...OTHER_FAULTS].sort());
});
