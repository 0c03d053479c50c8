import { expect, test } from "vitest";
import { again, commands, creates, given, mixer, scale } from "../../support/given.ts";
import { check } from "./check.ts";
import { Watch } from "./from-model.ts";

// Promise: a history of three hundred deliveries is judged in two milliseconds, so that a hundred thousand simulated runs are. Attack: the processor time of two hundred judgements.

test("three hundred deliveries are judged in a few milliseconds", () => {
  const watch = new Watch(given()).sees(creates(), commands("release-to-floor"), commands("start"), scale.starts("weigh"));
  for (let n = 0; n < 100; n += 1) {
    const mixed = n % 3 === 0 ? again(`scale-1-7-${n}`) : n % 3 === 1 ? mixer.alarms() : scale.states(n % 2 === 0 ? "Execute" : "Idle");
    watch.sees(scale.alarms(), mixer.says("call.raised", { data: { call: "c" } }), n === 0 ? scale.weighs("12.500") : mixed);
    if (n % 20 === 0) watch.readsAll();
  }
  const history = watch.sees(scale.completes("weigh")).readsAll().history();
  expect(history.sent.length).toBeGreaterThan(300);
  expect(check(history)).toEqual([]);
  for (let n = 0; n < 100; n += 1) check(history);
  const before = process.cpuUsage();
  for (let n = 0; n < 200; n += 1) check(history);
  const { user, system } = process.cpuUsage(before);
  const spentMs = (user + system) / 1000 / 200;
  process.stdout.write(
    `${history.sent.length} deliveries, ${history.heard.length} messages, ${history.end?.outcomes.length} outcomes: ${spentMs.toFixed(2)} ms\n`,
  );
  // generous, since what else the machine does slows it down
  expect(spentMs).toBeLessThan(20);
}, 60_000);
