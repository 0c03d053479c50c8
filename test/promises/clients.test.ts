// Promise: any MQTT client can speak to the service: section 6 of the contract with Debian's paho and with mosquitto_pub, over MQTT 3.1.1 and 5.
// Attack: the same messages, byte for byte, sent by clients that we did not write.
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BLEND } from "../support/blend.ts";
import { measured } from "../support/measure.ts";
import { join, type Party } from "../support/mqtt.ts";
import { describeWith, findCommand, pythonWithPaho } from "../support/needs.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const PAHO = `
import json, sys
import paho.mqtt.client as mqtt
port, protocol = int(sys.argv[1]), (mqtt.MQTTv5 if sys.argv[2] == "5" else mqtt.MQTTv311)
args = dict(client_id="paho", protocol=protocol)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **args) if hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client(**args)
client.connect("127.0.0.1", port)
client.loop_start()
for line in sys.stdin:
    message = json.loads(line)
    client.publish(message["topic"], message["payload"], qos=1).wait_for_publish()
client.disconnect()
client.loop_stop()
`;

interface Message {
  readonly topic: string;
  readonly payload: string;
}

const needs = { mosquitto: findCommand("mosquitto"), mosquitto_pub: findCommand("mosquitto_pub"), "Python with paho-mqtt": pythonWithPaho() };

const senders: Record<string, (port: number, protocol: "5" | "3.1.1", messages: readonly Message[]) => void> = {
  paho(port, protocol, messages) {
    const ran = spawnSync(needs["Python with paho-mqtt"] ?? "", ["-c", PAHO, String(port), protocol], {
      input: messages.map((m) => `${JSON.stringify(m)}\n`).join(""),
      encoding: "utf8",
    });
    if (ran.status !== 0) throw new Error(`paho failed: ${ran.stderr}`);
  },
  mosquitto_pub(port, protocol, messages) {
    for (const { topic, payload } of messages) {
      const ran = spawnSync(
        needs.mosquitto_pub ?? "",
        ["-h", "127.0.0.1", "-p", String(port), "-V", protocol === "5" ? "mqttv5" : "mqttv311", "-q", "1", "-t", topic, "-m", payload],
        { encoding: "utf8" },
      );
      if (ran.status !== 0) throw new Error(`mosquitto_pub failed: ${ran.stderr ?? String(ran.error)}`);
    }
  },
};

describeWith(needs, "clients that we did not write", () => {
  let plant: Plant;
  let party: Party;
  let ran = 0;
  beforeAll(async () => {
    plant = await startPlant({ broker: "mosquitto" });
    party = await join(plant.mqttUrl);
    await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  });
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
  });

  test.each([
    ["paho", "5"],
    ["paho", "3.1.1"],
    ["mosquitto_pub", "5"],
    ["mosquitto_pub", "3.1.1"],
  ] as const)("%s over MQTT %s runs a batch to completion", async (sender, protocol) => {
    const site = `${sender.replace("_", "-")}-${protocol}`;
    await plant.equipment(site, "scale-1", "4", "scale");
    await plant.equipment(site, "mixer-1", "4", "mixer");
    await party.subscribe(`site/${site}/#`);
    const order = {
      batch: "B-1042",
      jobOrder: "PO-77",
      line: "4",
      recipe: "blend",
      revision: 3,
      quantity: { value: "25.000", unit: "kg" },
      equipment: { scale: "scale-1", mixer: "mixer-1" },
    };
    expect((await plant.ask("POST", `/v1/sites/${site}/batches`, order)).status).toBe(201);
    for (const command of ["release-to-floor", "start"])
      await plant.ask("POST", `/v1/sites/${site}/batches/B-1042/commands`, { command, reason: "shift plan" });

    const message = (equipment: string, epoch: string, sequence: string, type: string, time: string, data: object, more: object = {}): Message => {
      const source = `/site/${site}/line/4/eq/${equipment}`;
      const event = {
        specversion: "1.0",
        id: `${equipment}-${epoch}-${sequence}`,
        source,
        type: `signalbox.${type}.v1`,
        time,
        timesource: "ntp",
        epoch,
        sequence,
        ...more,
        data,
      };
      return { topic: `${source.slice(1)}/event`, payload: JSON.stringify(event) };
    };
    const weigh = { batchid: "B-1042", stepid: "weigh" };
    const blend = { batchid: "B-1042", stepid: "blend" };
    const port = Number(new URL(plant.mqttUrl).port);
    const send = senders[sender];
    if (send === undefined) throw new Error(`no sender ${sender}`);
    send(port, protocol, [
      message("scale-1", "7", "39", "source.birth", "2026-11-22T07:59:59.500Z", { next: "40" }),
      message("scale-1", "7", "40", "step.start", "2026-11-22T08:00:01.400Z", {}, weigh),
      message("scale-1", "7", "41", "step.complete", "2026-11-22T08:00:03.120Z", {}, weigh),
    ]);
    const round2 = await party.until(
      "round 2 of 41",
      (s) => s.topic.endsWith("scale-1/verdict") && s.topic.startsWith(`site/${site}/`) && s.body.data.event.sequence === "41" && s.body.data.round === 2,
    );
    expect(round2.body.data).toMatchObject({ status: "rejected", code: "EVD_MISSING" });
    send(port, protocol, [
      message("scale-1", "7", "42", "step.evidence", "2026-11-22T08:00:08.700Z", { evidence: "net-weight", value: "12.503", unit: "kg" }, weigh),
      message("scale-1", "7", "43", "step.complete", "2026-11-22T08:00:09.004Z", {}, weigh),
      message("mixer-1", "1", "1", "step.start", "2026-11-22T08:01:00.000Z", {}, blend),
      message("mixer-1", "1", "2", "step.evidence", "2026-11-22T08:01:01.500Z", { evidence: "end-temperature", value: "24.5", unit: "Cel" }, blend),
      message("mixer-1", "1", "3", "step.complete", "2026-11-22T08:01:02.000Z", {}, blend),
    ]);
    await party.until("the batch completes", (s) => s.topic === `site/${site}/line/4/batch/B-1042/outcome` && s.body.type === "signalbox.batch.completed.v1");
    for (const verdict of party.seen.filter((s) => s.topic.startsWith(`site/${site}/`) && s.topic.endsWith("/verdict")).map((s) => s.body.data)) {
      expect((await plant.ask("GET", `/v1/events/${verdict.verdict}`)).body).toMatchObject(verdict);
    }
    ran += 1;
    measured("clients", `${ran} of 4 client and protocol pairs ran the batch to completion`);
  });
});
