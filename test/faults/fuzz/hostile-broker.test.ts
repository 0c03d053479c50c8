// Promise: whatever a broker sends, the service's clients live, come back by themselves, and acknowledge nothing that is not settled.
// Attack: a broker that speaks MQTT until it does not: PUBLISH with QoS 3, packet ids twice, acknowledgements of what was never sent, wrong CONNACKs, lengths without end, packets cut
// off, bytes that are none; once, or over the same again as often as the client comes back. In the end it behaves, and then everything must work.
import { createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";
import mqttPacket, { type Packet } from "mqtt-packet";
import { expect, test } from "vitest";
import { createPublisher } from "../../../src/publish/publisher.mqtt.ts";
import { watchBroker } from "../../../src/receive/broker-watch.mqtt.ts";
import { createSubscriber, type Slot } from "../../../src/receive/session.mqtt.ts";
import { measured, SEED } from "../../support/measure.ts";
import { fuzzed, TIMEOUT_MS } from "./door.ts";

/** One thing that the broker writes, after its CONNACK or in its place. */
const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const message = (messageId: number, more: { readonly dup?: boolean; readonly qos?: 0 | 1 | 2 } = {}): Buffer =>
  mqttPacket.generate(
    { cmd: "publish", topic: "in/a", payload: `m${messageId}`, qos: more.qos ?? 1, retain: false, dup: more.dup ?? false, messageId },
    { protocolVersion: 5 },
  );

const nasty: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.boolean(), fc.constantFrom<0 | 1 | 2>(0, 1, 1, 1, 2))
      .map(([id, dup, qos]) => message(id, { dup: qos > 0 && dup, qos })),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(
        "36 0b 0004 696e2f61 0001 00 6d31", // PUBLISH with QoS 3
        "32 0a 0004 696e2f61 0000 00 6d", // PUBLISH with packet id 0
        "32 05 ffff 696e", // a topic longer than its packet
        "32 ff ff ff ff ff 7f", // a length of five bytes and more
        "30 ff ff ff 7f", // 256 MB to come
        "40 02 00 63", // PUBACK of what was never sent
        "40 03 00 01 97",
        "50 02 00 63",
        "62 02 00 63",
        "70 02 00 63",
        "90 04 00 63 00 01", // SUBACK of what was never asked
        "b0 03 00 63 00",
        "20 03 00 00 00", // CONNACK again
        "20 03 ff ff ff",
        "10 0c 0004 4d515454 05 02 003c 00", // a CONNECT from the broker
        "82 06 0001 00 0001 23",
        "e0 00",
        "e0 02 8d 00",
        "e0 02 ff 00",
        "f0 02 18 00", // AUTH that nobody began
        "f0 00",
        "00 00",
        "c0 00",
        "d0 00",
        "d0 05 0102030405",
        "32 0e 0004 696e2f61 0001 05 0b 00 00 00 00 6d", // properties that a PUBLISH does not have, or cut
        "32 0c 0004 696e2f61 0001 03 23 00 01", // a topic alias that was never permitted
        "32 0a 0004 696e2fff 0001 00 6d", // a topic that is no UTF-8
        "32 0a 0000 0001 00 6d6d6d6d6d",
      )
      .map(bytes),
  },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 60 }).map((some) => Buffer.from(some)) },
  { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.nat({ max: 12 })).map(([id, at]) => message(id).subarray(0, at)) },
);
const connack: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(mqttPacket.generate({ cmd: "connack", reasonCode: 0, sessionPresent: false }, { protocolVersion: 5 })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "20 03 01 80 00",
        "20 03 00 97 00",
        "20 02 00 05",
        "20 03 fe 00 00",
        "20 00",
        "20 01 00",
        "20 06 00 00 03 21 00 00",
        "20 09 00 00 06 22 ff ff 21 00 01",
        "20 08 00 00 05 27 00 00 00 00",
      )
      .map(bytes),
  },
  { weight: 1, arbitrary: fc.constant(Buffer.alloc(0)) },
);

interface Script {
  readonly connack: Buffer;
  readonly says: readonly Buffer[];
  readonly suback: boolean;
  /** How the connection ends, unless the client ends it. */
  readonly over: "end" | "reset";
  /** How many connections of each client go like this. */
  readonly times: number;
}
const script: fc.Arbitrary<Script> = fc.record({
  connack,
  says: fc.array(nasty, { minLength: 1, maxLength: 8 }),
  suback: fc.boolean(),
  over: fc.constantFrom("end", "reset"),
  times: fc.constantFrom(1, 1, 1, 2, 3),
});

/** A broker that follows the script on the first connections of each client id, and behaves on every later one. */
async function hostileBroker({
  connack: greeting,
  says,
  suback,
  over,
  times,
}: Script): Promise<{ url: string; acknowledged: number[]; onGood: (packet: Packet) => void; stop(): Promise<void> }> {
  const met = new Map<string, number>();
  const sockets = new Set<Socket>();
  const broker = { url: "", acknowledged: [] as number[], onGood: (_: Packet): void => {}, stop: async (): Promise<void> => {} };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    let good = false;
    let clientId = "";
    const send = (packet: Packet): void => {
      if (!socket.destroyed) socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
    };
    socket.on("data", (chunk) => parser.parse(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    parser.on("error", () => socket.destroy());
    parser.on("packet", (packet) => {
      if (packet.cmd === "connect") {
        clientId = packet.clientId;
        const before = met.get(clientId) ?? 0;
        good = before >= times;
        met.set(clientId, before + 1);
        if (good) {
          send({ cmd: "connack", reasonCode: 0, sessionPresent: false });
          if (clientId === "sub") socket.write(message(7));
          return;
        }
        socket.write(Buffer.concat([greeting, ...says]), () => {
          if (over === "end") socket.end();
          else setImmediate(() => socket.resetAndDestroy());
        });
      }
      // the other two clients asked for nothing at QoS 1 and hold nothing that could be lost
      if (packet.cmd === "puback" && !good && clientId === "sub") broker.acknowledged.push(packet.messageId ?? -1);
      if (packet.cmd === "pingreq") send({ cmd: "pingresp" });
      if (packet.cmd === "subscribe" && (good || suback))
        send({ cmd: "suback", messageId: packet.messageId ?? 0, granted: packet.subscriptions.map(({ qos }) => qos) });
      if (packet.cmd === "publish" && good && packet.qos === 1) send({ cmd: "puback", messageId: packet.messageId ?? 0, reasonCode: 0 });
      if (good) broker.onGood(packet);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  broker.url = `mqtt://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  broker.stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return broker;
}

/** One service's clients against one broker: nothing of its bad connections is settled, so none of it may be acknowledged; on the first good one everything works. */
async function survives(one: Script): Promise<void> {
  const broker = await hostileBroker(one);
  const common = { url: broker.url, protocol: "5" } as const;
  let connections = 0;
  let delivered: (slot: Slot) => void = () => {};
  const seventh = new Promise<Slot>((resolve) => {
    delivered = resolve;
  });
  const subscriber = createSubscriber({
    ...common,
    clientId: "sub",
    topics: ["in/#"],
    onDelivery: ({ payload }, slot) => {
      if (Buffer.from(payload).toString() === "m7") delivered(slot);
    },
    onConnected: () => {
      connections += 1;
    },
    onDisconnected: () => {},
  });
  let publisherStands: () => void = () => {};
  const publisher = createPublisher({ ...common, clientId: "pub", timeoutMs: 5_000, onConnected: () => publisherStands() });
  const watch = watchBroker({ url: broker.url, clientId: "watch", username: null, password: null, ca: null, cert: null, key: null, onSays: () => {} });
  const acknowledged = new Promise<number>((resolve) => {
    broker.onGood = (packet) => {
      if (packet.cmd === "puback") resolve(packet.messageId ?? -1);
    };
  });
  try {
    void subscriber.start();
    publisher.start();
    const slot = await within("the message of the good connection", seventh);
    expect(broker.acknowledged, "acknowledged on a bad connection, where nothing was settled").toEqual([]);
    subscriber.acknowledge([slot]);
    expect(await within("its acknowledgement", acknowledged)).toBe(7);
    expect(connections).toBeGreaterThan(0);
    // the publisher comes back in its own time; what it refuses meanwhile is refused by name
    const published = async (): Promise<void> => {
      for (;;) {
        const stands = new Promise<void>((resolve) => {
          publisherStands = resolve;
        });
        if (!publisher.connected) await stands;
        const taken = await publisher.publish({ topic: "out/a", payload: "x", retain: false, qos: 1 }).then(
          () => true,
          () => false,
        );
        if (taken) return;
      }
    };
    await within("a publish", published());
  } finally {
    await Promise.all([subscriber.stop(), publisher.stop(), watch.stop()]);
    await broker.stop();
  }
}

function within<T>(what: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`did not come: ${what} (seed ${SEED})`)), 30_000);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

test(
  "clients that met a broker which breaks every rule come back, and acknowledge what they settled and nothing else",
  async () => {
    let scripts = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 8, size: "max" }), async (all) => {
        scripts += all.length;
        await Promise.all(all.map(survives));
      }),
      fuzzed(15),
    );
    measured("fuzz.broker", `seed ${SEED}: ${scripts} brokers`);
    console.log(`hostile brokers, seed ${SEED}: ${scripts}`);
  },
  TIMEOUT_MS,
);
