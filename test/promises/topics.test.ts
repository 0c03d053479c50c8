// Promise: one bad message cannot stop a shard, on whatever topic it comes.
// The story: a level of a topic may be as long as MQTT permits. It was kept as the verdict's equipment, an index refused it, and since neither halving nor stripping the event
// helped, the shard waited for ever as if the database were away; a little shorter, its verdict's own topic was longer than MQTT permits, and the publisher lost its connection
// over it again and again. A topic with NUL, which the embedded broker hands on, could not be stored at all. And of the longest topic with a byte that is no UTF-8 the embedded broker
// made a longer one, in a packet that nobody could read: the subscriber lost its connection over it as often as it came back. Found by fuzzing.
import { connect } from "node:net";
import mqttPacket from "mqtt-packet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seeded } from "../support/measure.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SITE = "topics";
const GOOD = sourceOf(SITE, "1", "good");
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await plant.equipment(SITE, "good", "1", "unit");
  await party.subscribe(`site/${SITE}/line/+/eq/+/verdict`);
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

/** A text that nothing can compress: what is stored is as long as it is. */
function level(length: number): string {
  const random = seeded(length);
  return Array.from({ length }, () => Math.floor(random() * 36).toString(36)).join("");
}

const around = `site/${SITE}/line//eq//event`.length;

let next = 0;
test.each([
  ["an equipment of 3,000 characters", `site/${SITE}/line/1/eq/${level(3_000)}/event`],
  ["a line of 3,000 characters", `site/${SITE}/line/${level(3_000)}/eq/good/event`],
  ["the longest topic that there is", `site/${SITE}/line/1/eq/${level(65_535 - around - 1)}/event`],
  ["the longest, which an index would take compressed", `site/${SITE}/line/1/eq/${"x".repeat(65_535 - around - 1)}/event`],
])("%s gets its verdict on record, and the source beside it goes on", async (_, topic) => {
  await party.publish(topic, "{}");
  next += 1;
  await party.publish(eventTopic(GOOD), envelope(GOOD, 1, next, "call.raised", { call: "help" }));
  const { body } = await party.until(
    `the good source at ${next}`,
    (seen) => seen.topic === verdictTopicOf(GOOD) && seen.body.data.event.sequence === String(next),
  );
  expect(body.data.status).toBe("accepted");
  const { items } = (await plant.ask("GET", `/v1/events?code=TOP_WRONG_DOMAIN&limit=500`)).body;
  const [told] = items.slice(-1);
  expect(told).toMatchObject({ status: "rejected", position: body.data.position - 1 });
  expect((await plant.ask("GET", `/v1/events/${told?.verdict}`)).body.topic).toBe(topic);
});

test("a topic that holds NUL is none, and the source beside it goes on", async () => {
  await party.publish(`site/${SITE}/line/1/eq/a\u0000b/event`, "{}");
  next += 1;
  await party.publish(eventTopic(GOOD), envelope(GOOD, 1, next, "call.raised", { call: "help" }));
  await party.until(`the good source at ${next}`, (seen) => seen.topic === verdictTopicOf(GOOD) && seen.body.data.event.sequence === String(next));
});

test("the longest topic, with bytes that are no UTF-8, ends its sender's connection and nobody else's", async () => {
  const event = `site/${SITE}/line/1/eq/${"x".repeat(65_535 - around - 1)}/event`;
  const packet = mqttPacket.generate({ cmd: "publish", topic: event, payload: "{}", qos: 1, messageId: 1, retain: false, dup: false });
  packet.fill(0xff, 100, 110);
  const { port, hostname } = new URL(plant.mqttUrl);
  const socket = connect(Number(port), hostname);
  const ended = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.resume();
  socket.write(mqttPacket.generate({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId: "stranger", clean: true, keepalive: 60 }));
  socket.write(packet);
  await ended;
  next += 1;
  await party.publish(eventTopic(GOOD), envelope(GOOD, 1, next, "call.raised", { call: "help" }));
  await party.until(`the good source at ${next}`, (seen) => seen.topic === verdictTopicOf(GOOD) && seen.body.data.event.sequence === String(next));
});
