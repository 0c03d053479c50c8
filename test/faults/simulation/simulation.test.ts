// The simulation itself: that a seed is what it promises to be, that it is played the same way each time, and that its verdict can be trusted in both directions.
import { beforeAll, describe, expect, test, vi } from "vitest";
import { SEED } from "../../support/measure.ts";
import { planOf } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { type Result, simulate } from "./simulate.ts";
import { count, emptyTally, figures } from "./tally.ts";

// a seed is some tenths of a second of computing, more on a busy machine
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const seeds = (n: number): number[] => Array.from({ length: n }, (_, k) => (SEED % 100_000) + k);

describe("a seed", () => {
  test("is at least 200 deliveries of 3 sources, 2 batches and 5 faults", () => {
    // these had 198 and 199 deliveries once, as about one seed in four thousand
    for (const seed of [3_005, 3_918, 13_739, 18_217, ...seeds(50)]) {
      const { sends, orders, faults } = planOf(seed);
      expect(sends.length, `seed ${seed}`).toBeGreaterThanOrEqual(200);
      expect(new Set(sends.map(({ source }) => source)).size, `seed ${seed}`).toBeGreaterThanOrEqual(3);
      expect(orders.filter(({ command }) => command.kind === "batch.create").length, `seed ${seed}`).toBe(2);
      expect(faults.length, `seed ${seed}`).toBeGreaterThanOrEqual(5);
    }
  });

  test("is played the same way each time", async () => {
    for (const seed of seeds(3)) {
      const [one, other] = [await simulate(planOf(seed)), await simulate(planOf(seed))];
      expect(other.history, `seed ${seed}`).toEqual(one.history);
      expect(other.points, `seed ${seed}`).toEqual(one.points);
    }
  });

  test("decides everything without faults too, each event once", async () => {
    const drawn = planOf(seeds(1)[0] ?? 1);
    // what is sent before the service has ever subscribed is nobody's (seed 70853 sends at once)
    const plan = { ...drawn, sends: drawn.sends.map((send) => ({ ...send, at: Math.max(send.at, 1_000) })), faults: [], queueLimit: 100_000 };
    const { history, findings } = await simulate(plan);
    expect(findings).toEqual([]);
    expect(history.acknowledged).toHaveLength(plan.sends.length);
  });
});

describe("ten seeds", () => {
  const results: Result[] = [];
  beforeAll(async () => {
    for (const seed of seeds(10)) results.push(await simulate(planOf(seed)));
  });

  test("find nothing wrong with the service", () => {
    const tally = emptyTally();
    for (const result of results) count(tally, result);
    expect(tally.failing).toEqual([]);
    expect(figures(tally)["events sent"]).toBeGreaterThanOrEqual(2_000);
  });

  // Found by counting outcomes: events were sent without a time, so that each was refused for its form; the seeds had judged no step and published no outcome of an event.
  test("say what becomes facts: most events are accepted, steps and batches are completed", () => {
    const ends = results.flatMap(({ history }) => history.end ?? []);
    // of what came to the service: where much is lost before (seeds 18071 to 18080), half of what was sent is never decided
    const decided = ends.flatMap(({ verdicts }) => verdicts.filter(({ status }) => status !== "duplicate"));
    const accepted = decided.filter(({ status }) => status === "accepted");
    expect(accepted.length / decided.length, `seed ${SEED}`).toBeGreaterThan(0.6);
    const told = new Set(ends.flatMap(({ outcomes }) => outcomes.map(({ type }) => type)));
    for (const type of ["call.raised", "count.reported", "equipment.state-changed", "step.started", "evidence.recorded", "step.completed", "batch.completed"])
      expect(told).toContain(`signalbox.${type}.v1`);
  });
});

test("a failing plan is made smaller, and still fails in the same way", async () => {
  // a device that says other things under an id that it has used is what a conflict is; to this check, any conflict counts as a failure
  const plan = Array.from({ length: 50 }, (_, n) => planOf(n + 1)).find(({ mischief }) => mischief.conflict > 0) ?? planOf(1);
  const failing = async (candidate: typeof plan) => {
    const { history } = await simulate(candidate);
    const conflicts = history.end?.verdicts.filter(({ code }) => code === "DUP_ID_REUSED" || code === "SEQ_REUSED") ?? [];
    return conflicts.length > 0;
  };
  expect(await failing(plan)).toBe(true);
  const small = await shrink(plan, failing, 60);
  expect(small.sends.length).toBeLessThan(plan.sends.length / 4);
  expect(small.faults).toEqual([]);
  expect(await failing(small)).toBe(true);
});
