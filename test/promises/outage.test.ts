// Promise: a bad database moment stops acknowledging, nothing else; it resumes by itself. A broker that restarts, with or without its session, is found again. Memory is
// bounded meanwhile, and nothing is lost that the broker still had.
// Attack: stop Postgres for a while under load, then start it; restart the broker with its persistence, then without.
import { afterAll, beforeAll, expect, test } from "vitest";
import { RECEIVE_MAXIMUM } from "../../src/receive/window.ts";
import { measured } from "../support/measure.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SOURCES = Array.from({ length: 10 }, (_, i) => sourceOf("outage", "1", `unit-${i + 1}`));
const OUTAGE_MS = Number(process.env["SIGNALBOX_OUTAGE_MS"] ?? 5_000);
let plant: Plant;
let party: Party;
const next = new Map(SOURCES.map((source) => [source, 1]));

describeWithMosquitto("a service whose servers go away", () => {
  beforeAll(async () => {
    plant = await startPlant({ broker: "mosquitto" });
    party = await join(plant.mqttUrl, { reconnect: true, clean: false, clientId: "outage-party" });
    for (const source of SOURCES) await plant.equipment("outage", source.split("/").pop() ?? "", "1", "unit");
    await party.subscribe("site/outage/line/1/eq/+/verdict", "site/outage/line/1/eq/+/outcome");
  });
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
  });

  async function send(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const source = SOURCES[n % SOURCES.length] ?? "";
      const sequence = next.get(source) ?? 1;
      next.set(source, sequence + 1);
      await party.publish(eventTopic(source), envelope(source, 1, sequence, "call.raised", { call: "help" }));
    }
  }

  const queueLength = async (): Promise<number> =>
    Number(/^signalbox_queue_length\{.*\} (\d+)/m.exec(await (await fetch(`${plant.url}/metrics`)).text())?.[1] ?? 0);

  const accepted = (): number => party.seen.filter((s) => s.topic.endsWith("/verdict") && s.body.data.status === "accepted" && s.body.data.round === 1).length;
  const idsAccepted = (): Set<string> =>
    new Set(
      party.seen
        .filter((s) => s.topic.endsWith("/verdict") && s.body.data.status === "accepted")
        .map((s) => `${s.body.data.event.source} ${s.body.data.event.id}`),
    );

  test("Postgres stops under load and starts again: everything sent is decided, nothing twice", async () => {
    await send(100);
    await party.untilAll("the first hundred", () => idsAccepted().size >= 100);
    await plant.database.cluster.stop("immediate");
    const began = Date.now();
    let sent = 0;
    let peak = 0;
    let held = 0;
    while (Date.now() - began < OUTAGE_MS || sent <= RECEIVE_MAXIMUM) {
      await send(50);
      sent += 50;
      peak = Math.max(peak, process.memoryUsage().rss);
      expect(idsAccepted().size).toBe(100);
      held = Math.max(held, await queueLength());
      const health = await fetch(`${plant.url}/health/live`);
      expect(health.status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await fetch(`${plant.url}/health/ready`)).status).toBe(503);
    // the broker keeps the rest: no more is held than the window lets in, however long it lasts
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(RECEIVE_MAXIMUM);
    await plant.database.cluster.start();
    await party.untilAll("everything sent meanwhile", () => idsAccepted().size >= 100 + sent, 60_000);
    const facts = party.seen.filter((s) => s.topic.endsWith("/outcome"));
    expect(new Set(facts.map((s) => `${s.topic} ${s.body.sequence}`)).size).toBe(100 + sent);
    for (const source of SOURCES) {
      const numbers = [...new Set(facts.filter((s) => s.topic === `${source.slice(1)}/outcome`).map((s) => Number(s.body.sequence)))].sort((a, b) => a - b);
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i + 1));
    }
    measured(
      "outage.postgres",
      `${OUTAGE_MS / 1000} s away under load, ${sent} events sent meanwhile, all decided once; at most ${held} deliveries held; peak RSS of service and test together ${(peak / 1e6).toFixed(0)} MB`,
    );
  });

  test.each([true, false])("the broker restarts (session kept: %s): the service finds it again, and what it still had is decided", async (keep) => {
    const before = idsAccepted().size;
    await plant.broker?.restart({ keep });
    await party.connected();
    await party.subscribe("site/outage/line/1/eq/+/verdict", "site/outage/line/1/eq/+/outcome", "site/outage/line/1/eq/+/cursor");
    const ready = async (): Promise<boolean> => (await fetch(`${plant.url}/health/ready`)).status === 200;
    for (let n = 0; n < 200 && !(await ready()); n += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await ready()).toBe(true);
    await send(50);
    await party.untilAll("fifty more", () => idsAccepted().size >= before + 50, 30_000);
    // the retained cursors are there again, whatever the broker forgot
    for (const source of SOURCES) await party.until(`the cursor of ${source}`, (s) => s.topic === `${source.slice(1)}/cursor`);
    measured(`outage.broker.${keep ? "kept" : "lost"}`, "recovered by itself, 50 of 50 decided");
    expect(accepted()).toBeGreaterThanOrEqual(before + 50);
  });
});
