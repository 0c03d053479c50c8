// Found by fuzzing (seed 620705520): a stranger's packets that came together at the embedded broker, a retained one at QoS 2 and others behind it, ended the connection of the
// service, and redelivery ended the next one. aedes takes a message for a repeat when a later one overtakes it, and then drops another from the queue of whoever hears them.
// Beside it: a subscription at QoS 1 with a wildcard was served at QoS 2, where the library acknowledges before anything is committed, and a client whose subscriptions overlap lost its
// connection over what others published. And a last will was handed on although its topic was a filter, which no client need accept. Found by reading.
// Promise: whatever one client of the embedded broker publishes, the others keep their connections, and get all of it, at the QoS that they asked for.
import { once } from "node:events";
import { connect } from "node:net";
import mqtt, { type MqttClient } from "mqtt";
import mqttPacket, { type IPublishPacket } from "mqtt-packet";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EmbeddedBroker, startBroker } from "../../src/embedded/broker.process.ts";

let broker: EmbeddedBroker;
const clients: MqttClient[] = [];
beforeEach(async () => {
  broker = await startBroker({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await broker.stop();
});

/** A client with a session that outlives its connection, and what it got. `until` fails when the connection ends. */
async function subscriber(topics: readonly string[], qos: 1 | 2): Promise<{ got: string[]; until(count: number): Promise<void> }> {
  const client = await mqtt.connectAsync(broker.url, { protocolVersion: 4, clientId: "beside", clean: false, reconnectPeriod: 0 });
  clients.push(client);
  const got: string[] = [];
  let look = (): void => {};
  client.on("message", (topic, _payload, packet) => {
    got.push(`${topic} at QoS ${packet.qos}`);
    look();
  });
  await client.subscribeAsync([...topics], { qos });
  return {
    got,
    until: (count) =>
      new Promise((resolve, reject) => {
        client.once("close", () => reject(new Error(`the connection ended after ${got.join(", ") || "nothing"}`)));
        look = () => {
          if (got.length >= count) resolve();
        };
        look();
      }),
  };
}

/** Writes packets in one piece, as a sender's network may join them. */
async function together(packets: readonly Pick<IPublishPacket, "topic" | "qos" | "retain">[]): Promise<void> {
  const { port, hostname } = new URL(broker.url);
  const socket = connect(Number(port), hostname);
  socket.write(mqttPacket.generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId: "stranger", clean: true, keepalive: 60 }));
  await once(socket, "data");
  socket.resume();
  socket.write(Buffer.concat(packets.map((one, i) => mqttPacket.generate({ cmd: "publish", payload: "x", dup: false, messageId: i + 1, ...one }))));
  clients.at(-1)?.once("close", () => socket.destroy());
}

test("packets that come together reach a neighbour one and all, whichever is retained", async () => {
  const beside = await subscriber(["in/#"], 1);
  const packets = Array.from({ length: 10 }, () => [2, 2, 0, 1] as const)
    .flat()
    .map((qos, i) => ({ topic: `in/${i}`, qos, retain: i % 3 === 0 }));
  await together(packets);
  await beside.until(packets.length);
  expect(beside.got.toSorted()).toEqual(packets.map(({ topic, qos }) => `${topic} at QoS ${Math.min(qos, 1)}`).toSorted());
});

test("a last will whose topic is a filter reaches nobody", async () => {
  const beside = await subscriber(["in/+", "in/+/x"], 1);
  for (const topic of ["in/+", "in/#/x", "in/last"]) {
    const { port, hostname } = new URL(broker.url);
    const socket = connect(Number(port), hostname);
    const will = { topic, payload: Buffer.from("x"), qos: 1, retain: true } as const;
    socket.write(mqttPacket.generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId: "dying", clean: true, keepalive: 60, will }));
    await once(socket, "data");
    socket.destroy();
  }
  await beside.until(1);
  expect(beside.got).toEqual(["in/last at QoS 1"]);
});

test("whoever asked for QoS 2 gets it", async () => {
  const beside = await subscriber(["in/#"], 2);
  await together([{ topic: "in/1", qos: 2, retain: false }]);
  await beside.until(1);
  expect(beside.got).toEqual(["in/1 at QoS 2"]);
});

test("a client whose subscriptions overlap keeps its connection, and its queue does not grow", async () => {
  const beside = await subscriber(["in/#", "in/+", "+/a"], 1);
  const packets = Array.from({ length: 30 }, () => ({ topic: "in/a", qos: 1, retain: false }) as const);
  await together(packets);
  await beside.until(packets.length);
  // every one is acknowledged before the goodbye is sent, so that nothing may come again
  await clients.at(-1)?.endAsync();
  const again = await subscriber(["in/#"], 1);
  await together([{ topic: "in/b", qos: 1, retain: false }]);
  await again.until(1);
  expect(again.got).toEqual(["in/b at QoS 1"]);
});
