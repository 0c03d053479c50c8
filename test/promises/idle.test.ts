// Promise: a single event is decided while the operator still looks. No timed assertion here: the figure is noted, and `npm run show -- 1` holds it against its bound.
// Attack: one event at a time on an idle system, publish to outcome.
import { afterAll, beforeAll, expect, test } from "vitest";
import { measured } from "../support/measure.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SOURCE = sourceOf("idle", "1", "button");
let plant: Plant;
let party: Party;

describeWithMosquitto("a system at rest", () => {
  beforeAll(async () => {
    plant = await startPlant({ broker: "mosquitto" });
    party = await join(plant.mqttUrl);
  });
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
  });

  test("one event alone becomes one outcome, and its latency is noted", async () => {
    await plant.equipment("idle", "button", "1", "button");
    await party.subscribe(`${SOURCE.slice(1)}/outcome`);
    const latencies: number[] = [];
    for (let n = 1; n <= 60; n += 1) {
      const began = performance.now();
      await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, n, "call.raised", { call: "help" }));
      const outcome = await party.until(`outcome ${n}`, (s) => s.body.sequence === String(n));
      if (n > 10) latencies.push(outcome.at - began);
    }
    const sorted = latencies.sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
    measured("idle.medianMs", median.toFixed(2));
    expect(sorted.length).toBe(50);
  });
});
