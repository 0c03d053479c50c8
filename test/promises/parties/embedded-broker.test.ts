// Promise: the embedded broker enforces the same table as a mosquitto with the compiled ACL; until a party is active it is open, and from then on to nobody without a name.
// Attack: the same matrix of real clients; foreign client ids, wrong passwords, a credential that was given anew, a party that is taken out while it is connected, messages kept for whoever
// has lost the right to them meanwhile.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/database.ts";
import { type EmbeddedBroker, startBroker } from "../../../src/embedded/broker.process.ts";
import { startService } from "../../../src/main.ts";
import { loadConfig } from "../../../src/ops/config.file.ts";
import { createLog } from "../../../src/ops/log.ts";
import { type TableUser, tableUsers } from "../../../src/parties/broker-table.ts";
import { issueCredential, verifierOf } from "../../../src/parties/credentials.ts";
import { activate, approve, giveCredential, propose, revoke } from "../../../src/parties/parties.store.ts";
import type { Party } from "../../../src/parties/party.ts";
import { measured } from "../../support/measure.ts";
import { envelope, sourceOf } from "../../support/mqtt.ts";
import { deviceRights, everyTopic, PARTIES, party, SITE } from "../../support/parties.ts";
import { collect, connectAs, everyUser, tryMatrix } from "../../support/party-matrix.ts";
import { startPlant } from "../../support/plant.ts";

const prefix = "plant/";
const own = `${prefix}site/${SITE}/line/4/eq/scale-1`;
const gone = (client: MqttClient): Promise<void> => new Promise((resolve) => client.once("close", () => resolve()));

describe("the embedded broker", () => {
  const issued = new Map(everyUser(PARTIES).map((user) => [user, issueCredential()]));
  const passwordOf = (user: string): string => issued.get(user)?.password ?? "";
  const [writer, observer] = [
    { user: "test-writer", password: "w" },
    { user: "test-observer", password: "o" },
  ];
  let broker: EmbeddedBroker;

  const table = (parties: readonly Party[] = PARTIES): TableUser[] => [
    ...(tableUsers(
      true,
      parties.map((one) => ({ ...one, verifier: issued.get(one.party)?.verifier ?? null })),
      prefix,
    ) ?? []),
    // let in, and permitted nothing
    { user: "stranger", verifier: issued.get("stranger")?.verifier ?? null, publish: [], subscribe: [] },
    { user: writer.user, verifier: verifierOf(writer.password, randomBytes(12)), publish: ["#"], subscribe: [] },
    { user: observer.user, verifier: verifierOf(observer.password, randomBytes(12)), publish: [], subscribe: ["#"] },
  ];
  beforeAll(async () => {
    broker = await startBroker({ host: "127.0.0.1", port: 0, prefix });
  });
  afterAll(async () => {
    await broker?.stop();
  });

  test("is open to everybody until a party is active, and then to nobody without a name: who was connected is sent away, the service is not", async () => {
    const anybody = await mqtt.connectAsync(broker.url, { protocolVersion: 4, reconnectPeriod: 0 });
    const heard = collect(anybody);
    await anybody.subscribeAsync("#", { qos: 1 });
    await anybody.publishAsync(`${own}/verdict`, "mine", { qos: 1 });
    await heard.until((topic) => topic === `${own}/verdict`);
    // even now nobody passes for the service
    await expect(connectAs(broker.url, 4, broker.username, "guessed")).rejects.toMatchObject({ code: 4 });
    const service = await connectAs(broker.url, 4, broker.username, broker.password);
    const away = gone(anybody);
    await broker.enforce(table());
    await away;
    await expect(mqtt.connectAsync(broker.url, { protocolVersion: 4, reconnectPeriod: 0 })).rejects.toMatchObject({ code: 4 });
    await service.subscribeAsync(`${prefix}site/+/line/+/eq/+/event`, { qos: 1 });
    expect(service.connected).toBe(true);
    await service.endAsync(true);
  });

  test("lets each party do exactly what the registry says", async () => {
    await broker.enforce(table());
    const { cells, disagreements } = await tryMatrix(
      { url: broker.url, protocol: 4, passwords: new Map(everyUser(PARTIES).map((user) => [user, passwordOf(user)])), writer, observer },
      PARTIES,
      prefix,
      everyTopic(prefix),
    );
    expect(disagreements).toEqual([]);
    expect(cells).toBeGreaterThan(500);
    measured("parties.embedded", `${cells} cells of party, topic and direction, each tried and as registered`);
  }, 120_000);

  test("lets in nobody with another's password, and nobody take over another's session", async () => {
    await broker.enforce(table());
    await expect(connectAs(broker.url, 4, "scale-1", passwordOf("mixer-1"))).rejects.toMatchObject({ code: 4 });
    await expect(connectAs(broker.url, 4, "nobody", "nothing")).rejects.toMatchObject({ code: 4 });
    const scale = await connectAs(broker.url, 4, "scale-1", passwordOf("scale-1"), { clientId: "scale", clean: false });
    await expect(connectAs(broker.url, 4, "mixer-1", passwordOf("mixer-1"), { clientId: "scale" })).rejects.toMatchObject({ code: 2 });
    expect(scale.connected).toBe(true);
    await scale.endAsync();
    await expect(connectAs(broker.url, 4, "mixer-1", passwordOf("mixer-1"), { clientId: "scale" })).rejects.toMatchObject({ code: 2 });
    await expect(connectAs(broker.url, 4, "mixer-1", passwordOf("mixer-1"), { clientId: `signalbox-${SITE}-sub` })).rejects.toMatchObject({ code: 2 });
    await (await connectAs(broker.url, 4, "scale-1", passwordOf("scale-1"), { clientId: "scale" })).endAsync();
  });

  test("sends away who is revoked, or has another credential since; and lets the new one in", async () => {
    await broker.enforce(table());
    const [scale, mixer] = [await connectAs(broker.url, 4, "scale-1", passwordOf("scale-1")), await connectAs(broker.url, 4, "mixer-1", passwordOf("mixer-1"))];
    const scaleGone = gone(scale);
    await broker.enforce(table(PARTIES.filter((one) => one.party !== "scale-1")));
    await scaleGone;
    expect(mixer.connected).toBe(true);
    await expect(connectAs(broker.url, 4, "scale-1", passwordOf("scale-1"))).rejects.toMatchObject({ code: 4 });
    const mixerGone = gone(mixer);
    const before = passwordOf("mixer-1");
    issued.set("mixer-1", issueCredential());
    await broker.enforce(table());
    await mixerGone;
    await expect(connectAs(broker.url, 4, "mixer-1", before)).rejects.toMatchObject({ code: 4 });
    await (await connectAs(broker.url, 4, "mixer-1", passwordOf("mixer-1"))).endAsync();
  });

  test("keeps back what was kept for a party that has lost the right to it", async () => {
    await broker.enforce(table());
    const wall = { clientId: "wall", clean: false } as const;
    const first = await connectAs(broker.url, 4, "wall", passwordOf("wall"), wall);
    const [mirror, diag] = [`${prefix}site/${SITE}/line/4/batch/B-1/state`, `${own}/diag`];
    await first.subscribeAsync([mirror, diag], { qos: 1 });
    await first.endAsync();
    const writing = await connectAs(broker.url, 4, writer.user, writer.password);
    for (const topic of [mirror, diag]) await writing.publishAsync(topic, "kept", { qos: 1 });
    await broker.enforce(
      table(
        PARTIES.map((one) =>
          one.party === "wall"
            ? party(
                "wall",
                "dashboard",
                one.may.filter(({ what }) => what !== "mirror"),
              )
            : one,
        ),
      ),
    );
    const again = mqtt.connect(broker.url, { protocolVersion: 4, username: "wall", password: passwordOf("wall"), reconnectPeriod: 0, ...wall });
    const given = collect(again);
    await given.until((topic) => topic === diag);
    expect(given.all.map(({ topic }) => topic)).toEqual([diag]);
    await Promise.all([again.endAsync(), writing.endAsync(true)]);
  });
});

test("a running service closes its broker when a party becomes active, hears that party alone, and is closed from its next start on", async () => {
  const plant = await startPlant({ broker: "embedded" });
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    await plant.equipment(SITE, "scale-1", "4", "scale");
    await plant.equipment(SITE, "mixer-1", "4", "mixer");
    const anybody = await mqtt.connectAsync(plant.mqttUrl, { protocolVersion: 4, reconnectPeriod: 0 });
    const away = gone(anybody);
    const asked = (person: string) => ({ site: SITE, party: "scale-1", by: { actor: `person:${person}`, from: null, reason: "as planned" }, key: null });
    const given = await (async () => {
      await propose(db, asked("ann"), { kind: "device", owner: "person:ann", may: [...deviceRights("scale-1")], validFrom: null, validUntil: null });
      await approve(db, asked("bob"), 1);
      const credential = await giveCredential(db, asked("ann"));
      expect(anybody.connected).toBe(true);
      await activate(db, asked("bob"), 1);
      return credential;
    })();
    await away;
    const password = given.kind === "done" ? (given.result.password ?? "") : "";
    const [scale, mixer] = ["scale-1", "mixer-1"].map((name) => sourceOf(SITE, "4", name));
    const speak = async (url: string, n: number): Promise<void> => {
      const device = await connectAs(url, 4, "scale-1", password);
      const heard = collect(device);
      await device.subscribeAsync(`${scale?.slice(1)}/verdict`, { qos: 1 });
      await device.publishAsync(`${scale?.slice(1)}/event`, JSON.stringify(envelope(String(scale), 1, n, "call.raised", { call: "c" })), { qos: 1 });
      await heard.until((topic, payload) => topic === `${scale?.slice(1)}/verdict` && JSON.parse(payload).causationid === `scale-1-1-${n}`);
      expect(JSON.parse(heard.all.at(-1)?.payload ?? "{}").data.status).toBe("accepted");
      const ended = gone(device);
      device.publish(`${mixer?.slice(1)}/event`, JSON.stringify(envelope(String(mixer), 1, n, "call.raised", { call: "c" })), { qos: 1 }, () => {});
      await ended;
    };
    await speak(plant.mqttUrl, 1);
    await expect(mqtt.connectAsync(plant.mqttUrl, { protocolVersion: 4, reconnectPeriod: 0 })).rejects.toMatchObject({ code: 4 });
    await plant.service.stop();
    const settings = { DATABASE_URL: plant.database.runtimeUrl, MQTT_PORT: "0", HTTP_PORT: "0", DATA_DIR: mkdtempSync(join(tmpdir(), "signalbox-parties-")) };
    const again = await startService(loadConfig(settings), createLog({ level: "silent" }));
    try {
      await expect(mqtt.connectAsync(again.mqttUrl, { protocolVersion: 4, reconnectPeriod: 0 })).rejects.toMatchObject({ code: 4 });
      await speak(again.mqttUrl, 2);
      expect(await plant.database.query("select source from verdicts where source like '%mixer%'")).toEqual([]);
      const device = await connectAs(again.mqttUrl, 4, "scale-1", password);
      const sent = gone(device);
      await revoke(db, asked("ann"), "stolen");
      await sent;
      // taking the last one's rights away gives them to nobody else
      await expect(mqtt.connectAsync(again.mqttUrl, { protocolVersion: 4, reconnectPeriod: 0 })).rejects.toMatchObject({ code: 4 });
    } finally {
      await again.stop();
      rmSync(settings.DATA_DIR, { recursive: true, force: true });
    }
  } finally {
    await close();
    await plant.stop();
  }
}, 120_000);
