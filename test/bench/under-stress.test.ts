// Promise: what the bench measures under stress is told with what is wrong in it, and nothing is averaged that must not be.
import { expect, test } from "vitest";
import type { Cost } from "./measure.ts";
import { ofOverload, ofShards, ofSoak } from "./under-stress.ts";

const OVERLOAD = {
  capacity: 1_000,
  rate: 2_000,
  seconds: 60,
  decided: 990,
  latency: { count: 1, p50: 1, p99: 2, p999: 3, most: 4 },
  drainedAfterSeconds: 61.2,
  memoryMiB: { before: 200, after: 210 },
  unanswered: 0,
  wrong: [],
};
const cost = (eventsPerSecond: number, subject: number, memoryMiB: number): Cost => ({
  seconds: 1,
  events: 1,
  eventsPerSecond,
  processor: { subject, postgres: 0.2, broker: 0.1 },
  walBytes: 5_000,
  walSyncs: null,
  diskBytes: null,
  diskBytesInAll: null,
  memoryMiB,
});

test("that everything is answered is said only where it is", () => {
  expect(ofOverload(OVERLOAD)).toContain("everything that was sent is answered, and rightly");
  const lost = ofOverload({ ...OVERLOAD, unanswered: 3, wrong: ["97 accepted, not 100"] });
  expect(lost).toContain("3 not answered; 97 accepted, not 100");
  expect(ofOverload({ ...OVERLOAD, wrong: ["1 decided otherwise, not 0"] })).toContain("0 not answered; 1 decided otherwise, not 0");
});

test("of several rounds the mean is told, of memory the most", () => {
  const table = ofShards({
    settings: [{ shards: 2, processes: 1, standingBy: 0, costs: [cost(1_000, 0.3, 200), cost(2_000, 0.5, 400)] }],
    head: { alone: 300, contended: 400 },
  }).join("\n");
  expect(table).toMatch(/^2 +1 +0 +1,500 +0\.400 +0\.200 +0\.100 +0\.700 +5,000 +400$/m);
});

test("a soak is told by stretches, and how the last stand to the first", () => {
  const stretches = [cost(2_000, 0.3, 200), cost(2_000, 0.3, 210), cost(1_000, 0.5, 300), cost(1_000, 0.6, 315)];
  const table = ofSoak({ minutes: 4, stretches, unanswered: 0, wrong: [] }).join("\n");
  expect(table).toMatch(/^1 to 1 +2,000 +2,000 +0\.500 +5,000 +200$/m);
  expect(table).toContain("the last third to the first: 50 % of the events a second, 160 % of the processor time, 158 % of the memory");
  const hour = Array.from({ length: 55 }, (_, n) => cost(n === 3 ? 900 : 1_000, 0.3, 200 + n));
  const lines = ofSoak({ minutes: 60, stretches: hour, unanswered: 1, wrong: [] }).join("\n");
  expect(lines).toMatch(/^1 to 5 +980 +900 +0\.500 +5,000 +204$/m);
  expect(lines).toMatch(/^51 to 55 +1,000 +1,000 /m);
  expect(lines).toContain("1 not answered");
});
