import { createRequire } from "node:module";
import { createServer, type Server, type Socket } from "node:net";
import { Aedes } from "aedes";
import mqtt, { type MqttClient } from "mqtt";
import mqttPacket, { type Packet } from "mqtt-packet";
import { afterEach, describe, expect, test } from "vitest";
import { createPublisher, PublishError, type Publisher, type PublisherOptions } from "../../src/publish/publisher.mqtt.ts";
import type { Ending, Protocol } from "../../src/receive/connection.ts";
import type { Delivery } from "../../src/receive/delivery.ts";
import { createSubscriber, type Slot, type Subscriber, type SubscriberOptions } from "../../src/receive/session.mqtt.ts";
import { RECEIVE_MAXIMUM } from "../../src/receive/window.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";

// Promise: a delivery is acknowledged when we say so, in order, on the connection it came on, and never otherwise; a publish is acknowledged by the broker or rejected.
// Both rest on how mqtt.js 5.16 and mosquitto behave in places that no manual promises. Attack: a scripted broker that reads every byte, a real mosquitto that is killed, restarted
// and overfull, and an embedded broker that knows no MQTT 5. When an upgrade of the library changes one of these, this file fails before a plant finds out.

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A list that can be waited for. */
class Collected<T> {
  readonly items: T[] = [];
  #waiting: (() => void)[] = [];

  add(item: T): void {
    this.items.push(item);
    for (const look of this.#waiting.splice(0)) look();
  }

  async until(holds: (items: readonly T[]) => boolean, what: string): Promise<readonly T[]> {
    const deadline = AbortSignal.timeout(30_000);
    while (!holds(this.items)) {
      await new Promise<void>((resolve, reject) => {
        deadline.addEventListener("abort", () => reject(new Error(`did not come: ${what}; so far ${JSON.stringify(this.items).slice(0, 2_000)}`)), {
          once: true,
        });
        this.#waiting.push(resolve);
      });
    }
    return this.items;
  }

  async count(count: number): Promise<readonly T[]> {
    return this.until((items) => items.length >= count, `${count} of them`);
  }
}

interface Subscribing {
  readonly subscriber: Subscriber;
  readonly deliveries: Collected<{ delivery: Delivery; slot: Slot; text: string }>;
  readonly connected: Collected<{ sessionPresent: boolean; protocol: Protocol }>;
  readonly endings: Collected<Ending>;
}

function subscribing(options: Partial<SubscriberOptions> & { readonly url: string }): Subscribing {
  const deliveries = new Collected<{ delivery: Delivery; slot: Slot; text: string }>();
  const connected = new Collected<{ sessionPresent: boolean; protocol: Protocol }>();
  const endings = new Collected<Ending>();
  const subscriber = createSubscriber({
    clientId: "shard-1",
    protocol: "auto",
    topics: ["in/#"],
    onDelivery: (delivery, slot) => deliveries.add({ delivery, slot, text: Buffer.from(delivery.payload).toString() }),
    onConnected: (one) => connected.add(one),
    onDisconnected: (ending) => endings.add(ending),
    ...options,
  });
  cleanUps.push(() => subscriber.stop());
  return { subscriber, deliveries, connected, endings };
}

function publishing(options: Partial<PublisherOptions> & { readonly url: string }): {
  publisher: Publisher;
  connected: Collected<{ protocol: Protocol }>;
  endings: Collected<Ending>;
} {
  const connected = new Collected<{ protocol: Protocol }>();
  const endings = new Collected<Ending>();
  const publisher = createPublisher({
    clientId: "shard-1-pub",
    protocol: "auto",
    onConnected: (one) => connected.add(one),
    onDisconnected: (ending) => endings.add(ending),
    ...options,
  });
  cleanUps.push(() => publisher.stop());
  return { publisher, connected, endings };
}

interface Served {
  readonly socket: Socket;
  readonly packets: Collected<Packet>;
  /** The chunks as they came off the wire: one per write of a sender that does not send more meanwhile. */
  readonly chunks: Buffer[];
  send(packet: Packet): void;
}

/** A broker that does what the test says, and sees every byte. Answers PINGREQ and SUBSCRIBE by itself. */
async function scriptedBroker(
  onConnect: (served: Served, nth: number) => void,
  settings: { readonly grants?: number } = {},
): Promise<{ url: string; served: Collected<Served> }> {
  const served = new Collected<Served>();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    const one: Served = {
      socket,
      packets: new Collected<Packet>(),
      chunks: [],
      send: (packet) => {
        if (!socket.destroyed) socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
      },
    };
    socket.on("data", (chunk: Buffer) => {
      one.chunks.push(chunk);
      parser.parse(chunk);
    });
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    parser.on("packet", (packet) => {
      if (packet.cmd === "connect") onConnect(one, served.items.length);
      if (packet.cmd === "pingreq") one.send({ cmd: "pingresp" });
      if (packet.cmd === "subscribe")
        one.send({ cmd: "suback", messageId: packet.messageId ?? 0, granted: packet.subscriptions.map(() => settings.grants ?? 1) });
      one.packets.add(packet);
    });
    served.add(one);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the scripted broker has no port");
  return { url: `mqtt://127.0.0.1:${address.port}`, served };
}

const accept = (sessionPresent = false): Packet => ({ cmd: "connack", reasonCode: 0, sessionPresent });
const message = (messageId: number, more: { qos?: 0 | 1; payload?: Buffer } = {}): Packet => ({
  cmd: "publish",
  topic: "in/a",
  payload: more.payload ?? `m${messageId}`,
  qos: more.qos ?? 1,
  retain: false,
  dup: false,
  ...(more.qos === 0 ? {} : { messageId }),
});
const pubacksOf = (packets: readonly Packet[]): readonly (number | undefined)[] =>
  packets.flatMap((packet) => (packet.cmd === "puback" ? [packet.messageId] : []));
const commandsOf = (packets: readonly Packet[]): readonly string[] => packets.map((packet) => packet.cmd);
const slotsOf = (taken: readonly { slot: Slot }[]): readonly Slot[] => taken.map(({ slot }) => slot);

async function first<T>(collected: Collected<T>, at = 0): Promise<T> {
  const item = (await collected.count(at + 1))[at];
  if (item === undefined) throw new Error("counted, but not there");
  return item;
}

describe("a scripted broker", () => {
  test("gets no PUBACK of its own accord, and goes on being read: (A) all deliveries come, and one write acknowledges all in order", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      for (let id = 1; id <= 200; id += 1) broker.send(message(id));
    });
    const { subscriber, deliveries } = subscribing({ url });
    await subscriber.start();
    const broker = await first(served);
    await deliveries.count(200);
    expect(pubacksOf(broker.packets.items)).toEqual([]);
    expect(subscriber.unacknowledged).toBe(200);

    const chunksBefore = broker.chunks.length;
    subscriber.acknowledge(slotsOf(deliveries.items));
    await broker.packets.until((packets) => pubacksOf(packets).length === 200, "200 PUBACKs");
    expect(pubacksOf(broker.packets.items)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    expect(broker.chunks.slice(chunksBefore).map((chunk) => chunk.length)).toEqual([800]);
    expect(subscriber.unacknowledged).toBe(0);
  });

  test("gets PUBACKs in the order of arrival when groups are settled out of order [MQTT-4.6.0-2]", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      for (let id = 11; id <= 16; id += 1) broker.send(message(id));
    });
    const { subscriber, deliveries } = subscribing({ url });
    await subscriber.start();
    const broker = await first(served);
    const slots = slotsOf(await deliveries.count(6));
    subscriber.acknowledge(slots.slice(3));
    expect(subscriber.unacknowledged).toBe(6);
    subscriber.acknowledge(slots.slice(0, 2));
    await broker.packets.until((packets) => pubacksOf(packets).length === 2, "the head");
    subscriber.acknowledge(slots.slice(2, 3));
    await broker.packets.until((packets) => pubacksOf(packets).length === 6, "the rest");
    expect(pubacksOf(broker.packets.items)).toEqual([11, 12, 13, 14, 15, 16]);
  });

  test("gets pings, and is not left, while deliveries wait for their commit (B)", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      for (let id = 1; id <= 20; id += 1) broker.send(message(id));
    });
    const { subscriber, deliveries, endings } = subscribing({ url, keepaliveSeconds: 1 });
    await subscriber.start();
    const broker = await first(served);
    await deliveries.count(20);
    // Eight half intervals: more than twice what ends a connection that is thought dead.
    await broker.packets.until((packets) => commandsOf(packets).filter((cmd) => cmd === "pingreq").length >= 8, "8 pings");
    expect(endings.items).toEqual([]);
    expect(pubacksOf(broker.packets.items)).toEqual([]);
  });

  test("is not left while the read loop is parked, though its PINGRESPs cannot be read; and reading goes on at half of the cap", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      for (let id = 1; id <= 30; id += 1) broker.send(message(id));
    });
    const { subscriber, deliveries, endings } = subscribing({ url, keepaliveSeconds: 1, hardCap: { deliveries: 10 } });
    void subscriber.start();
    const broker = await first(served);
    await deliveries.count(10);
    expect(subscriber.parked).toBe(true);
    await broker.packets.until((packets) => commandsOf(packets).filter((cmd) => cmd === "pingreq").length >= 8, "8 pings");
    expect(endings.items).toEqual([]);
    expect(deliveries.items).toHaveLength(10);

    subscriber.acknowledge(slotsOf(deliveries.items.slice(0, 4)));
    expect(subscriber.parked).toBe(true);
    subscriber.acknowledge(slotsOf(deliveries.items.slice(4, 5)));
    await deliveries.count(15);
    expect([subscriber.parked, subscriber.unacknowledged]).toEqual([true, 10]);
  });

  test("is parked by bytes as well, QoS 0 included, which owe no PUBACK", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      for (let id = 1; id <= 8; id += 1) broker.send(message(id, { qos: 0, payload: Buffer.alloc(1_000) }));
      broker.send(message(9));
    });
    const { subscriber, deliveries } = subscribing({ url, hardCap: { bytes: 4_000 } });
    void subscriber.start();
    const broker = await first(served);
    await deliveries.count(4);
    expect([subscriber.parked, deliveries.items.length]).toEqual([true, 4]);
    subscriber.acknowledge(slotsOf(deliveries.items));
    await deliveries.count(8);
    subscriber.acknowledge(slotsOf(deliveries.items));
    await deliveries.count(9);
    subscriber.acknowledge(slotsOf(deliveries.items));
    await broker.packets.until((packets) => pubacksOf(packets).length === 1, "the one PUBACK");
    expect(pubacksOf(broker.packets.items)).toEqual([9]);
  });

  test("never gets an acknowledgement for a delivery of a former connection, not even when the same packet id is in use again (C)", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      broker.send(message(7));
    });
    const { subscriber, deliveries, endings } = subscribing({ url });
    await subscriber.start();
    (await first(served)).socket.destroy();
    await endings.count(1);
    const old = slotsOf(await deliveries.count(1)).slice(0, 1);
    subscriber.acknowledge(old);
    const again = await first(served, 1);
    await deliveries.count(2);
    subscriber.acknowledge(old);
    expect(subscriber.unacknowledged).toBe(1);
    await again.packets.until((packets) => packets.some(({ cmd }) => cmd === "subscribe"), "the subscription");
    subscriber.acknowledge(slotsOf(deliveries.items).slice(1));
    await again.packets.until((packets) => pubacksOf(packets).length > 0, "the PUBACK that is owed");
    await subscriber.stop();
    expect(pubacksOf(again.packets.items)).toEqual([7]);
  });

  test("is left when it falls silent, and found again", async () => {
    const { url, served } = await scriptedBroker((broker, nth) => {
      broker.send(accept());
      // Reads on, but nothing that it answers arrives any more.
      if (nth === 1) broker.send = () => undefined;
    });
    const { subscriber, endings } = subscribing({ url, keepaliveSeconds: 1 });
    void subscriber.start();
    expect(await first(endings)).toMatchObject({ reason: "silent" });
    await served.count(2);
  });

  test("that gave our session to another client says so, and is left alone for at least 5 s", async () => {
    const { url, served } = await scriptedBroker((broker) => broker.send(accept()));
    const { subscriber, endings } = subscribing({ url });
    await subscriber.start();
    (await first(served)).send({ cmd: "disconnect", reasonCode: 0x8e });
    expect(await first(endings)).toEqual({ reason: "taken_over", detail: "session_taken_over" });
    const since = performance.now();
    await served.count(2);
    expect(performance.now() - since).toBeGreaterThanOrEqual(4_900);
    expect(endings.items).toHaveLength(1);
  });

  test("is not connected to while what the connection is for is another's; where that turns out after it has accepted, nothing is said to it", async () => {
    const { url, served } = await scriptedBroker((broker) => broker.send(accept()));
    const asked = new Collected<number>();
    // no; cannot be told; yes, but no longer when the broker had accepted; yes and yes
    const answers = [() => false, () => Promise.reject(new Error("the database is away")), () => true, () => false, () => true, () => true];
    const mayConnect = async (): Promise<boolean> => {
      asked.add(served.items.length);
      return (await answers[asked.items.length - 1]?.()) ?? true;
    };
    const { publisher, connected, endings } = publishing({ url, mayConnect });
    publisher.start();
    await connected.count(1);
    // how many connections there were at each question: none before the first yes
    expect(asked.items).toEqual([0, 0, 0, 1, 1, 2]);
    // once where the refusals began, and once for the connection that was dropped
    expect(endings.items).toEqual([
      { reason: "not_ours", detail: null },
      { reason: "not_ours", detail: null },
    ]);
    void publisher.publish({ topic: "out", payload: "mine", retain: false, qos: 1 }).catch(() => {});
    const second = await first(served, 1);
    await second.packets.count(2);
    expect(served.items.map(({ packets }) => commandsOf(packets.items))).toEqual([["connect"], ["connect", "publish"]]);
  });

  test("is asked for the session again soon after a take-over, by whoever can ask whose it is", async () => {
    const { url, served } = await scriptedBroker((broker) => broker.send(accept()));
    const { subscriber, endings } = subscribing({ url, mayConnect: async () => true });
    await subscriber.start();
    (await first(served)).send({ cmd: "disconnect", reasonCode: 0x8e });
    expect((await first(endings)).reason).toBe("taken_over");
    const since = performance.now();
    await served.count(2);
    expect(performance.now() - since).toBeLessThan(4_900);
  });

  test("is told what we want: QoS 1, no local, retain as published, no retained copies; a persistent session; no size limit, no aliases", async () => {
    const { url, served } = await scriptedBroker((broker) => broker.send(accept()));
    const { subscriber } = subscribing({ url, topics: ["in/a", "in/b"], username: "u", password: "p" });
    await subscriber.start();
    const packets = (await first(served)).packets.items;
    expect(packets.find(({ cmd }) => cmd === "connect")).toMatchObject({
      clientId: "shard-1",
      clean: false,
      keepalive: 30,
      properties: { sessionExpiryInterval: 604_800, receiveMaximum: RECEIVE_MAXIMUM },
    });
    expect(packets.flatMap((packet) => (packet.cmd === "connect" ? Object.keys(packet.properties ?? {}) : [])).sort()).toEqual([
      "receiveMaximum",
      "sessionExpiryInterval",
    ]);
    expect(packets.flatMap((packet) => (packet.cmd === "subscribe" ? packet.subscriptions : []))).toEqual([
      { topic: "in/a", qos: 1, nl: true, rap: true, rh: 2 },
      { topic: "in/b", qos: 1, nl: true, rap: true, rh: 2 },
    ]);
  });

  test("that grants less than QoS 1 is not worked with: what it delivers could not be held by it", async () => {
    const { url } = await scriptedBroker((broker) => broker.send(accept()), { grants: 0 });
    const { subscriber, endings } = subscribing({ url });
    void subscriber.start();
    expect(await first(endings)).toMatchObject({ reason: "subscription_refused" });
    expect(subscriber.connected).toBe(false);
  });

  test("hands nothing more on after pause, while what is in hand can still be acknowledged", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send(accept());
      broker.send(message(1));
    });
    const { subscriber, deliveries } = subscribing({ url });
    await subscriber.start();
    const broker = await first(served);
    await deliveries.count(1);
    subscriber.pause();
    broker.send(message(2));
    subscriber.acknowledge(slotsOf(deliveries.items));
    await broker.packets.until((packets) => pubacksOf(packets).length === 1, "the PUBACK");
    await subscriber.stop();
    await broker.packets.until((packets) => commandsOf(packets).at(-1) === "disconnect", "the goodbye, last of all");
    expect(deliveries.items.map(({ text }) => text)).toEqual(["m1"]);
  });

  test("that refuses the credentials is not asked again in another protocol", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send({ cmd: "connack", reasonCode: 0x86, sessionPresent: false });
      broker.socket.end();
    });
    const { subscriber, endings } = subscribing({ url });
    void subscriber.start();
    await served.count(3);
    expect(endings.items).toEqual([{ reason: "refused", detail: "bad_user_name_or_password" }]);
    const connects = served.items.flatMap(({ packets }) => packets.items.flatMap((packet) => (packet.cmd === "connect" ? [packet.protocolVersion] : [])));
    expect(new Set(connects)).toEqual(new Set([5]));
  });

  test("that takes publishes gets them in order, never more than its Receive Maximum at once, and may say that nobody listens", async () => {
    let most = 0;
    let open = 0;
    const { url, served } = await scriptedBroker((broker) =>
      broker.send({ cmd: "connack", reasonCode: 0, sessionPresent: false, properties: { receiveMaximum: 3 } }),
    );
    const { publisher, connected } = publishing({ url });
    await publisher.start();
    await connected.count(1);
    const broker = await first(served);
    const sent = Array.from({ length: 12 }, (_, index) => publisher.publish({ topic: "out", payload: String(index), retain: false, qos: 1 }));
    const seen: string[] = [];
    while (seen.length < 12) {
      const packets = await broker.packets.until((all) => all.filter(({ cmd }) => cmd === "publish").length > seen.length, "the next publish");
      const fresh = packets.flatMap((packet) => (packet.cmd === "publish" ? [packet] : [])).slice(seen.length);
      open += fresh.length;
      most = Math.max(most, open);
      for (const packet of fresh) {
        seen.push(packet.payload.toString());
        broker.send({ cmd: "puback", messageId: packet.messageId ?? 0, reasonCode: 0x10 });
        open -= 1;
      }
    }
    await Promise.all(sent);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, index) => String(index)));
    expect(most).toBeLessThanOrEqual(3);
  });

  test("that acknowledges several publishes at once gets as many in one write", async () => {
    const { url, served } = await scriptedBroker((broker) => broker.send(accept()));
    const { publisher, connected } = publishing({ url, window: 40 });
    await publisher.start();
    await connected.count(1);
    const broker = await first(served);
    const published = (packets: readonly Packet[]) => packets.flatMap((packet) => (packet.cmd === "publish" ? [packet] : []));
    const sent = Array.from({ length: 80 }, (_, index) => publisher.publish({ topic: "out", payload: String(index), retain: false, qos: 1 }));
    const acknowledge = (packets: readonly Packet[]) =>
      broker.socket.write(
        Buffer.concat(published(packets).map(({ messageId = 0 }) => mqttPacket.generate({ cmd: "puback", messageId, reasonCode: 0 }, { protocolVersion: 5 }))),
      );
    const before = await broker.packets.until((packets) => published(packets).length === 40, "40 publishes");
    const [packets, chunks] = [before.length, broker.chunks.length];
    acknowledge(before);
    const all = await broker.packets.until((packets) => published(packets).length === 80, "80 publishes");
    expect(broker.chunks.slice(chunks)).toHaveLength(1);
    acknowledge(all.slice(packets));
    await Promise.all(sent);
    expect(published(all).map(({ payload }) => payload.toString())).toEqual(Array.from({ length: 80 }, (_, index) => String(index)));
  });

  test("that refuses a publish is quoted by the name of its reason, and the next publish goes on", async () => {
    const { url, served } = await scriptedBroker((broker) => {
      broker.send({ cmd: "connack", reasonCode: 0, sessionPresent: false, properties: { maximumPacketSize: 1_000, retainAvailable: false } });
    });
    const { publisher, connected } = publishing({ url });
    await publisher.start();
    await connected.count(1);
    const broker = await first(served);
    const refused = publisher.publish({ topic: "out", payload: "x", retain: false, qos: 1 });
    await broker.packets.until((packets) => packets.some(({ cmd }) => cmd === "publish"), "the publish");
    broker.send({ cmd: "puback", messageId: broker.packets.items.find(({ cmd }) => cmd === "publish")?.messageId ?? 0, reasonCode: 0x97 });
    await expect(refused).rejects.toMatchObject({ name: "PublishError", code: "quota_exceeded" });
    await expect(publisher.publish({ topic: "out", payload: "x".repeat(1_000), retain: false, qos: 1 })).rejects.toMatchObject({ code: "packet_too_large" });
    await expect(publisher.publish({ topic: "out", payload: "x", retain: true, qos: 1 })).rejects.toMatchObject({ code: "retain_not_supported" });
    expect(publisher.connected).toBe(true);
  });

  test("that does not answer a publish in time is left; the publish is rejected and not sent again", async () => {
    const { url, served } = await scriptedBroker((broker) => broker.send(accept()));
    const { publisher, connected } = publishing({ url, timeoutMs: 200 });
    await publisher.start();
    await connected.count(1);
    const both = [
      publisher.publish({ topic: "out", payload: "1", retain: false, qos: 1 }),
      publisher.publish({ topic: "out", payload: "2", retain: false, qos: 1 }),
    ];
    const codes = (await Promise.allSettled(both)).map((one) =>
      one.status === "rejected" && one.reason instanceof PublishError ? one.reason.code : one.status,
    );
    expect(codes[0]).toBe("timed_out");
    // Its own time may be up in the same moment in which the connection is given up.
    expect(["timed_out", "disconnected"]).toContain(codes[1]);
    await connected.count(2);
    const again = await first(served, 1);
    const after = publisher.publish({ topic: "out", payload: "3", retain: false, qos: 1 });
    const packets = await again.packets.until((all) => all.some(({ cmd }) => cmd === "publish"), "the publish after");
    expect(packets.flatMap((packet) => (packet.cmd === "publish" ? [packet.payload.toString()] : []))).toEqual(["3"]);
    again.send({ cmd: "puback", messageId: packets.find(({ cmd }) => cmd === "publish")?.messageId ?? 0, reasonCode: 0 });
    await after;
  });
});

describe("an embedded broker that knows no MQTT 5", () => {
  async function embedded(): Promise<{ url: string; versions: (number | undefined)[] }> {
    const aedes = await Aedes.createBroker();
    const versions: (number | undefined)[] = [];
    aedes.preConnect = (_client, packet, done) => {
      versions.push(packet.protocolVersion);
      done(null, true);
    };
    const server = createServer(aedes.handle);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUps.push(() => new Promise<void>((resolve) => aedes.close(() => server.close(() => resolve()))));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return { url: `mqtt://127.0.0.1:${address.port}`, versions };
  }

  test("is spoken to in 3.1.1 after its refusal, and from then on at once", async () => {
    const { url, versions } = await embedded();
    const { subscriber, connected, endings } = subscribing({ url });
    const { publisher, connected: publisherConnected } = publishing({ url });
    await subscriber.start();
    expect([connected.items, endings.items, versions]).toEqual([[{ sessionPresent: false, protocol: "3.1.1" }], [], [5, 4]]);
    await subscriber.stop();
    await subscriber.start();
    expect([connected.items.length, versions]).toEqual([2, [5, 4, 4]]);

    await publisher.start();
    expect(await first(publisherConnected)).toEqual({ protocol: "3.1.1" });
  });

  test("is not spoken to at all when the plant has said MQTT 5", async () => {
    const { url, versions } = await embedded();
    const { subscriber, endings } = subscribing({ url, protocol: "5" });
    void subscriber.start();
    expect(await first(endings)).toEqual({ reason: "refused", detail: "unacceptable_protocol_version" });
    expect(new Set(versions)).toEqual(new Set([5]));
  });

  test("delivers and takes without properties, acknowledged only when settled", async () => {
    const { url } = await embedded();
    const { subscriber, deliveries } = subscribing({ url });
    const { publisher, connected } = publishing({ url });
    await subscriber.start();
    await publisher.start();
    await connected.count(1);
    await publisher.publish({
      topic: "in/a",
      payload: "1",
      retain: false,
      qos: 1,
      properties: { contentType: "application/json", userProperties: [["a", "b"]] },
    });
    const [one] = await deliveries.count(1);
    expect(one).toMatchObject({ text: "1", delivery: { protocol: "3.1.1", qos: 1, contentType: null, userProperties: [] } });
    expect(subscriber.unacknowledged).toBe(1);
    await subscriber.stop();
    await subscriber.start();
    await deliveries.count(2);
    subscriber.acknowledge(slotsOf(deliveries.items));
    expect(subscriber.unacknowledged).toBe(0);
  });
});

test("a port where nobody listens is reported once, however often it is tried", async () => {
  const { subscriber, endings } = subscribing({ url: "mqtt://127.0.0.1:1" });
  await subscriber.start();
  await subscriber.stop();
  await subscriber.stop();
  expect(endings.items).toEqual([{ reason: "unreachable", detail: expect.stringContaining("ECONNREFUSED") }]);
});

describeWithMosquitto("a real mosquitto", () => {
  async function broker(lines: readonly string[] = []): Promise<Mosquitto> {
    const started = await startMosquitto(lines);
    cleanUps.push(() => started.remove());
    return started;
  }

  async function device(url: string, protocolVersion: 4 | 5 = 5): Promise<MqttClient> {
    const client = await mqtt.connectAsync(url, { protocolVersion, reconnectPeriod: 0 }, false);
    cleanUps.push(() => client.endAsync(true));
    return client;
  }

  const numbers = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => String(index));

  describe.each(["5", "3.1.1"] as const)("on MQTT %s", (protocol) => {
    const version = protocol === "5" ? 5 : 4;

    test("keeps what is not acknowledged, and sends it again with DUP, in the same order, after a broken connection", async () => {
      const { url } = await broker();
      const { subscriber, deliveries, connected } = subscribing({ url, protocol });
      await subscriber.start();
      const from = await device(url, version);
      await Promise.all(numbers(30).map((text) => from.publishAsync("in/a", text, { qos: 1 })));
      subscriber.acknowledge(slotsOf((await deliveries.count(30)).slice(0, 10)));
      await subscriber.stop();
      await subscriber.start();
      const taken = (await deliveries.count(50)).slice(30);
      expect(connected.items).toEqual([
        { sessionPresent: false, protocol },
        { sessionPresent: true, protocol },
      ]);
      expect(taken.map(({ text }) => text)).toEqual(numbers(30).slice(10));
      expect(taken.every(({ delivery }) => delivery.dup)).toBe(true);
      subscriber.acknowledge(slotsOf(taken));
      expect(subscriber.unacknowledged).toBe(0);
      await subscriber.stop();

      // Nothing is left: the next thing to come is new.
      await subscriber.start();
      await from.publishAsync("in/a", "new", { qos: 1 });
      expect((await deliveries.count(51)).slice(50).map(({ text }) => text)).toEqual(["new"]);
    });

    test("sends us everything again after its own kill and restart, from what it had saved", async () => {
      const mosquitto = await broker();
      const { subscriber, deliveries, connected, endings } = subscribing({ url: mosquitto.url, protocol });
      await subscriber.start();
      const from = await device(mosquitto.url, version);
      await Promise.all(numbers(20).map((text) => from.publishAsync("in/a", text, { qos: 1 })));
      await deliveries.count(20);
      await mosquitto.restart();
      expect(await first(endings)).toMatchObject({ reason: "closed" });
      expect((await deliveries.count(40)).slice(20).map(({ text }) => text)).toEqual(numbers(20));
      expect(connected.items.at(-1)).toEqual({ sessionPresent: true, protocol });

      await mosquitto.kill();
      await mosquitto.start();
      expect((await deliveries.count(60)).slice(40).map(({ text }) => text)).toEqual(numbers(20));

      await mosquitto.restart({ keep: false });
      await connected.until((all) => all.at(-1)?.sessionPresent === false, "a session that was forgotten");
    });

    test("cannot exceed our hard cap, and loses nothing by it", async () => {
      // 2.0.11 goes beyond Receive Maximum once acknowledgements flow (eclipse-mosquitto/mosquitto#2301): the cap is what bounds us.
      const { url } = await broker();
      const { subscriber, deliveries } = subscribing({ url, protocol, receiveMaximum: 10, hardCap: { deliveries: 20 } });
      await subscriber.start();
      const from = await device(url, version);
      const sent = numbers(1_500).map((text) => from.publishAsync("in/a", text, { qos: 1 }));
      let most = 0;
      for (let done = 0; done < 1_500; done += 1) {
        const taken = await deliveries.count(done + 1);
        most = Math.max(most, subscriber.unacknowledged);
        subscriber.acknowledge(slotsOf(taken.slice(done, done + 1)));
      }
      await Promise.all(sent);
      expect(most).toBeLessThanOrEqual(20);
      expect(deliveries.items.map(({ text }) => text)).toEqual(numbers(1_500));
    });

    test("shows which copy is a retained one", async () => {
      const { url } = await broker();
      const from = await device(url, version);
      await from.publishAsync("in/before", "before", { qos: 1, retain: true });
      const { subscriber, deliveries } = subscribing({ url, protocol });
      await subscriber.start();
      await from.publishAsync("in/live", "live", { qos: 1, retain: true });
      await from.publishAsync("in/last", "last", { qos: 1 });
      await deliveries.until((all) => all.some(({ text }) => text === "last"), "the last one");
      expect(deliveries.items.map(({ text, delivery }) => [text, delivery.retained])).toEqual(
        protocol === "5"
          ? [
              ["live", true],
              ["last", false],
            ]
          : [
              ["before", true],
              ["live", false],
              ["last", false],
            ],
      );
    });

    test("that goes away has every open publish rejected, and none is sent again later", async () => {
      const mosquitto = await broker();
      const { publisher, connected, endings } = publishing({ url: mosquitto.url, protocol });
      await expect(publisher.publish({ topic: "out", payload: "early", retain: false, qos: 1 })).rejects.toMatchObject({ code: "not_connected" });
      await publisher.start();
      await connected.count(1);
      await publisher.publish({ topic: "out", payload: "before", retain: true, qos: 1, properties: { contentType: "text/plain" } });
      const open = Array.from({ length: 200 }, (_, index) => publisher.publish({ topic: "lost", payload: String(index), retain: true, qos: 1 }));
      const killed = mosquitto.kill();
      const settled = await Promise.allSettled(open);
      await killed;
      await endings.count(1);
      expect(publisher.pending).toBe(0);
      const rejected = settled.filter((one) => one.status === "rejected");
      expect(rejected.every((one) => one.status === "rejected" && one.reason instanceof PublishError && one.reason.code === "disconnected")).toBe(true);
      expect(rejected.length).toBeGreaterThan(0);

      await mosquitto.restart({ keep: false });
      await connected.count(2);
      await publisher.publish({ topic: "out", payload: "after", retain: true, qos: 1 });
      const reader = await device(mosquitto.url, version);
      const seen = new Collected<string>();
      reader.on("message", (topic, payload) => seen.add(`${topic} ${payload}`));
      await reader.subscribeAsync("#", { qos: 1 });
      await seen.count(1);
      expect(seen.items).toEqual(["out after"]);
    });

    test("hands the session over to a second client with our id, with everything that was not acknowledged", async () => {
      const { url } = await broker();
      const old = subscribing({ url, protocol });
      const young = subscribing({ url, protocol });
      await old.subscriber.start();
      const from = await device(url, version);
      await Promise.all(numbers(5).map((text) => from.publishAsync("in/a", text, { qos: 1 })));
      await old.deliveries.count(5);
      await young.subscriber.start();
      // On 3.1.1 a broker has no way to say why, and mosquitto 2.0.11 does not say it on MQTT 5 either: what the scripted broker says is the other half of this.
      const ending = await first(old.endings);
      await old.subscriber.stop();
      expect(protocol === "5" ? ["taken_over", "closed"] : ["closed"]).toContain(ending.reason);
      // The un-acknowledged messages came over with the session; the slots of whoever lost it are dead, and nobody acknowledges for the new owner.
      expect(young.connected.items).toEqual([{ sessionPresent: true, protocol }]);
      expect((await young.deliveries.count(5)).map(({ text }) => text)).toEqual(numbers(5));
      old.subscriber.acknowledge(slotsOf(old.deliveries.items));
      expect([old.subscriber.unacknowledged, young.subscriber.unacknowledged]).toEqual([0, 5]);
    });
  });

  test("carries an MQTT 5 message's properties to us and from us", async () => {
    const { url } = await broker();
    const { subscriber, deliveries } = subscribing({ url });
    const { publisher, connected } = publishing({ url });
    await subscriber.start();
    await publisher.start();
    await connected.count(1);
    const properties = {
      contentType: "application/json",
      correlationData: Buffer.from([1, 2]),
      messageExpirySeconds: 60,
      userProperties: [
        ["id", "1"],
        ["id", "2"],
        ["__proto__", "x"],
      ] as const,
    };
    await publisher.publish({ topic: "in/a", payload: Buffer.from([0, 255]), retain: false, qos: 1, properties });
    const { delivery } = await first(deliveries);
    expect(delivery).toMatchObject({
      topic: "in/a",
      protocol: "5",
      qos: 1,
      contentType: "application/json",
      responseTopic: null,
      userProperties: properties.userProperties,
    });
    expect([[...delivery.payload], [...(delivery.correlationData ?? [])]]).toEqual([
      [0, 255],
      [1, 2],
    ]);
  });

  test("delivers at QoS 1 what was published at QoS 2, and at QoS 0 what was published at QoS 0", async () => {
    const { url } = await broker();
    const { subscriber, deliveries } = subscribing({ url });
    await subscriber.start();
    const from = await device(url);
    await from.publishAsync("in/a", "two", { qos: 2 });
    from.publish("in/a", "zero", { qos: 0 });
    const taken = await deliveries.count(2);
    expect(taken.map(({ text, delivery, slot }) => [text, delivery.qos, slot.messageId === null])).toEqual([
      ["two", 1, false],
      ["zero", 0, true],
    ]);
    subscriber.acknowledge(slotsOf(taken));
    expect(subscriber.unacknowledged).toBe(0);
  });

  test("with bad credentials is refused in MQTT 5 and not tried in 3.1.1", async () => {
    const mosquitto = await broker(["allow_anonymous false"]);
    const { subscriber, endings } = subscribing({ url: mosquitto.url, username: "x", password: "y" });
    await subscriber.start();
    expect(endings.items).toEqual([{ reason: "refused", detail: "not_authorized" }]);
    await subscriber.stop();
    expect(mosquitto.log()).not.toMatch(/p1|p4/);
  });
});

test("the codec writes packet ids as they come, and makes no buffer for each that there may be", () => {
  const made: unknown = Object(createRequire(import.meta.url)("mqtt-packet/numbers")).cache;
  expect([...mqttPacket.generate({ cmd: "puback", messageId: 0x1234 })]).toEqual([0x40, 0x02, 0x12, 0x34]);
  expect(made).toEqual({});
});
