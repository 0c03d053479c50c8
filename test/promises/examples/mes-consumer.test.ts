// Promise: a consumer takes every outcome once, in the order of its stream, whatever the way between loses.
// Attack: a broker of its own, to which the test carries the outcomes by hand: it leaves one out, brings one twice, tells of a restore; the broker is restarted and forgets all;
// the consumer is stopped and started again.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordRestore } from "../../../src/cli/restored.store.ts";
import { createDevice, type SimulatedDevice } from "../../support/device.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { join as joinBroker, type Party, type Seen } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { type Program, run } from "./program.ts";

const consumer = resolve(import.meta.dirname, "../../../examples/mes-consumer/consumer.mjs");

describeWithMosquitto("the example consumer", () => {
  let plant: Plant;
  let broker: Mosquitto;
  let device: SimulatedDevice;
  let outcomes: Party;
  const directory = mkdtempSync(join(tmpdir(), "signalbox-consumer-"));
  const state = join(directory, "state.json");
  const running: Program[] = [];

  const start = (every: string): Program => {
    const program = run(process.execPath, [consumer, "--url", plant.url, "--mqtt-url", broker.url, "--site", "rtm1", "--state", state, "--every", every]);
    running.push(program);
    return program;
  };
  const taken = (program: Program): { source: string; sequence: string }[] =>
    program.lines.map((line) => JSON.parse(line)).filter(({ outcome }) => outcome !== undefined);
  const numbers = (program: Program): number[] => taken(program).map(({ sequence }) => Number(sequence));
  const upTo = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const raise = async (n: number): Promise<Seen> => {
    await device.send("alarm.raised", {}, { alarm: `a${n}` });
    return outcomes.until(`outcome ${n}`, ({ body }) => body?.sequence === String(n));
  };
  const carry = async (...seen: readonly Seen[]): Promise<void> => {
    const carrier = await joinBroker(broker.url, { protocol: 4 });
    for (const { topic, body } of seen) await carrier.publish(topic, body);
    await carrier.end();
  };

  beforeAll(async () => {
    plant = await startPlant({ broker: "mosquitto" });
    broker = await startMosquitto();
    await plant.equipment("rtm1", "scale-1", "4", "scale");
    outcomes = await joinBroker(plant.mqttUrl);
    await outcomes.subscribe("site/rtm1/line/+/eq/+/outcome");
    device = await createDevice({ url: plant.mqttUrl, protocol: 5, source: "/site/rtm1/line/4/eq/scale-1", epoch: 1 });
  });
  afterAll(async () => {
    for (const program of running) program.signal("SIGKILL");
    await device.close();
    await outcomes.end();
    await plant.stop();
    await broker.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  test("fills a hole over REST, takes nothing twice, and goes on where it stood", async () => {
    const before = await raise(1);
    const first = start("3600");
    await first.until("what was published before it came", () => numbers(first).length === 1);
    // one that still reads the feed would find there what is to be a hole
    await first.until("that it follows", () => first.errors.some((line) => line.startsWith("following rtm1")));

    const [two, three, four] = [await raise(2), await raise(3), await raise(4)];
    await carry(two, four);
    await first.until("the hole is filled", () => numbers(first).length === 4);
    await first.until("that it is told", () => first.errors.some((line) => line.includes("goes on with 4 after 2")));
    await carry(three, two, before);
    const five = await raise(5);
    await carry(five);
    await first.until("the fifth", () => numbers(first).length === 5);
    expect(numbers(first)).toEqual(upTo(1, 5));

    // what is published while the broker is away and has forgotten everything is in the feed
    await broker.stop();
    await raise(6);
    await broker.restart({ keep: false });
    await first.until("what it missed meanwhile", () => numbers(first).length === 6);

    first.signal("SIGTERM");
    expect(await first.ended()).toBe(0);
    await raise(7);
    const second = start("3600");
    await second.until("what came while it was stopped", () => numbers(second).length === 1);
    expect(numbers(second)).toEqual([7]);

    second.signal("SIGTERM");
    expect(await second.ended()).toBe(0);
    const third = start("0.2");
    await raise(8);
    await third.until("the eighth", () => numbers(third).length === 1);
    // A last message that is lost shows no hole; the next look at the feed finds it.
    await raise(9);
    await third.until("the lost last message", () => numbers(third).length === 2);
    expect(numbers(third)).toEqual([8, 9]);

    // A restore is said aloud; the outcomes that are on record are not taken again.
    third.signal("SIGTERM");
    expect(await third.ended()).toBe(0);
    await plant.service.stop();
    await recordRestore(plant.database.ownerUrl, { site: "rtm1", generation: null, reason: "test", by: "test" }, null);
    await plant.restart();
    const fourth = start("0.2");
    await fourth.until("the restore", (lines) => lines.some((line) => JSON.parse(line).restored?.to === 2));
    await raise(10);
    await fourth.until("the tenth", () => numbers(fourth).includes(10));
    expect(numbers(fourth)).toEqual([10]);
  });
});
