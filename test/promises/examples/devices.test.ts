// Promise: a device that keeps its events until the cursor has passed them loses none, and none counts twice.
// Attack: kill the broker without letting it save while events are on their way, go on recording while it is away, kill the device with a full spool.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithMosquitto } from "../../support/mosquitto.ts";
import { describeWith, pythonWithPaho } from "../../support/needs.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { type Program, run } from "./program.ts";

const examples = resolve(import.meta.dirname, "../../../examples");

describeWithMosquitto("the example devices", () => {
  let plant: Plant;
  const directories: string[] = [];
  const running: Program[] = [];

  beforeAll(async () => {
    plant = await startPlant({ broker: "mosquitto" });
  });
  afterAll(async () => {
    for (const program of running) program.signal("SIGKILL");
    await plant.stop();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  for (const [language, command, file] of [
    ["JavaScript", process.execPath, "device-node/device.mjs"],
    ["Python", pythonWithPaho(), "device-python/device.py"],
  ] as const) {
    describeWith({ [`${language} with an MQTT library`]: command }, `in ${language}`, () => {
      const start = (equipment: string, directory: string): Program => {
        const source = `/site/rtm1/line/4/eq/${equipment}`;
        const program = run(command ?? "", [join(examples, file), "--url", plant.mqttUrl, "--source", source, "--dir", directory, "--resend-after", "1"]);
        running.push(program);
        return program;
      };
      const home = (): string => {
        const directory = mkdtempSync(join(tmpdir(), "signalbox-device-"));
        directories.push(directory);
        return directory;
      };
      const alarm = (n: number): unknown => ({ type: "alarm.raised", data: { alarm: `a${n}` } });
      const record = (program: Program, from: number, to: number): void => {
        for (let n = from; n <= to; n++) program.write(alarm(n));
      };
      const recorded = (n: number) => (lines: readonly string[]) => lines.includes(`recorded ${n}`);

      /** What became of each alarm: name and first status, one for each event that was decided. */
      const decided = async (equipment: string): Promise<{ alarms: string[]; statuses: Set<string>; epochs: Set<string> }> => {
        const { body } = await plant.ask("GET", `/v1/events?source=${encodeURIComponent(`/site/rtm1/line/4/eq/${equipment}`)}&limit=500`);
        const alarms: string[] = [];
        const statuses = new Set<string>();
        const epochs = new Set<string>();
        for (const { verdict, status, event } of body.items) {
          if (status === "duplicate" || status === "deferred") continue;
          statuses.add(status);
          epochs.add(event.epoch);
          const one = await plant.ask("GET", `/v1/events/${verdict}`);
          alarms.push(one.body.envelope.data.alarm);
        }
        return { alarms, statuses, epochs };
      };
      const names = (to: number): string[] => Array.from({ length: to }, (_, index) => `a${index + 1}`);

      test("lose nothing while their broker is killed and comes back empty-handed", async () => {
        const equipment = `restart-${language}`;
        await plant.equipment("rtm1", equipment, "4", "scale");
        const directory = home();
        const device = start(equipment, directory);
        record(device, 1, 5);
        await device.until("five events are recorded", recorded(5));
        await plant.broker?.kill();
        record(device, 6, 10);
        await device.until("ten events are recorded", recorded(10));
        await plant.broker?.start();
        record(device, 11, 15);
        device.endInput();

        expect(await device.ended()).toBe(0);
        expect(device.lines.at(-1)).toBe("all decided");
        expect(readFileSync(join(directory, "spool.jsonl"), "utf8")).toBe("");
        const { alarms, statuses, epochs } = await decided(equipment);
        expect(alarms.sort(byNumber)).toEqual(names(15));
        expect([...statuses]).toEqual(["accepted"]);
        expect([...epochs]).toEqual(["1"]);
      });

      test("send what an earlier boot left, under the ids it had, in the epoch of this boot", async () => {
        const equipment = `boot-${language}`;
        await plant.equipment("rtm1", equipment, "4", "scale");
        const directory = home();
        const first = start(equipment, directory);
        record(first, 1, 2);
        // its output says nothing of the cursor; its spool does
        await first.until("two events are recorded", recorded(2));
        await expect.poll(() => readFileSync(join(directory, "spool.jsonl"), "utf8"), { timeout: 30_000 }).toBe("");
        await plant.broker?.stop();
        record(first, 3, 5);
        await first.until("five events are recorded", recorded(5));
        first.signal("SIGKILL");
        await first.ended();
        await plant.broker?.start();
        const second = start(equipment, directory);
        record(second, 6, 7);
        second.endInput();

        expect(await second.ended()).toBe(0);
        expect(readFileSync(join(directory, "boot"), "utf8")).toBe("2");
        const { alarms, statuses, epochs } = await decided(equipment);
        expect(alarms.sort(byNumber)).toEqual(names(7));
        expect([...statuses]).toEqual(["accepted"]);
        expect([...epochs].sort()).toEqual(["1", "2"]);
      });
    });
  }
});

const byNumber = (a: string, b: string): number => Number(a.slice(1)) - Number(b.slice(1));
