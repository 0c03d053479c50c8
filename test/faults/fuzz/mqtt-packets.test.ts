// Promise: whatever comes over MQTT, from a device or from the broker itself, the service lives, goes on deciding, and acknowledges nothing that is not settled.
// Attack: bytes that are no MQTT and packets that are nearly some, written to the embedded broker and to mosquitto beside a service at work; every property of MQTT 5 at its
// extreme; and a broker that breaks every rule towards the service's own clients.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import fc from "fast-check";
import mqttPacket, { type IConnectPacket, type IPublishPacket, type Packet } from "mqtt-packet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { measured, SEED, seeded } from "../../support/measure.ts";
import { describeWithMosquitto } from "../../support/mosquitto.ts";
import { envelope, eventTopic, join, sourceOf, verdictTopicOf } from "../../support/mqtt.ts";
import { type Door, documented, fuzzed, openDoor, TIMEOUT_MS } from "./door.ts";

const TARGET = sourceOf("packets", "1", "target");

/** A level of a topic as long as asked, of which nothing can be compressed. */
function level(n: number): string {
  const random = seeded(n);
  return Array.from({ length: n }, () => "0123456789abcdefghijklmnopqrstuvwxyz"[Math.floor(random() * 36)]).join("");
}

const topic = fc.oneof(
  fc.constant(eventTopic(TARGET)),
  fc.constantFrom(`${TARGET.slice(1)}/diag`, "site/packets/line/1/eq//event", "site/packets/line//eq/x/event", "$SYS/x", "a//b", "/"),
  fc.integer({ min: 1, max: 65_535 }).map((n) => "t".repeat(n)),
  fc.integer({ min: 10, max: 65_505 }).map((n) => `site/packets/line/1/eq/${level(n)}/event`),
  fc.constantFrom(65_535 - 31, 65_535 - 30, 65_535 - 29).map((n) => `site/packets/line/1/eq/${level(n)}/event`),
  fc.constantFrom("a\u0000b", "a\u0001b", "\uffff", "a b", "😀", "\ufeff", "x\u0085").map((odd) => `site/packets/line/1/eq/${odd}/event`),
  fc.integer({ min: 10, max: 2_000 }).map((n) => "/".repeat(n)),
);
const publish = (protocol: 4 | 5): fc.Arbitrary<Packet> =>
  fc
    .record({
      topic,
      payload: fc.uint8Array({ maxLength: 300 }),
      qos: fc.constantFrom(0, 1, 2),
      retain: fc.boolean(),
      dup: fc.boolean(),
      messageId: fc.integer({ min: 1, max: 65_535 }),
    })
    .map(({ payload, dup, ...packet }) => ({
      cmd: "publish",
      ...packet,
      dup: packet.qos > 0 && dup,
      payload: Buffer.from(payload),
      ...(protocol === 5 ? { properties: {} } : {}),
    }));

const packet = (protocol: 4 | 5): fc.Arbitrary<Packet> =>
  fc.oneof(
    { weight: 6, arbitrary: publish(protocol) },
    {
      weight: 1,
      arbitrary: fc
        .record({ clientId: fc.string({ maxLength: 30 }), clean: fc.constant(true), keepalive: fc.nat({ max: 65_535 }) })
        .map((more): Packet => ({ cmd: "connect", protocolId: "MQTT", protocolVersion: protocol, ...more })),
    },
    {
      weight: 1,
      arbitrary: fc
        .record({ messageId: fc.integer({ min: 1, max: 65_535 }), filter: fc.constantFrom("#", "+/+", "$SYS/#", "site/packets/#", "a/#/b", "$share/g/#", "") })
        .map(({ messageId, filter }): Packet => ({ cmd: "subscribe", messageId, subscriptions: [{ topic: filter, qos: 1 }] })),
    },
    {
      weight: 2,
      arbitrary: fc
        .record({ cmd: fc.constantFrom("puback", "pubrec", "pubrel", "pubcomp"), messageId: fc.integer({ min: 1, max: 65_535 }) })
        .map((one): Packet => one),
    },
    { weight: 1, arbitrary: fc.constantFrom<Packet>({ cmd: "pingreq" }, { cmd: "pingresp" }, { cmd: "disconnect" }) },
  );

/** A packet as it is written: whole, or hurt on the way. */
const bytesOf = (protocol: 4 | 5): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 8,
      arbitrary: fc
        .record({ one: packet(protocol), hurt: fc.constantFrom("no", "no", "cut", "flip", "length", "first"), at: fc.nat(), byte: fc.nat({ max: 255 }) })
        .map(({ one, hurt, at, byte }) => {
          const whole = generated(one, protocol);
          if (hurt === "cut") return whole.subarray(0, at % whole.length);
          const changed = Buffer.from(whole);
          if (hurt === "flip") changed[at % changed.length] = byte;
          // the remaining length, and the type with its flags
          if (hurt === "length") changed[1] = byte;
          if (hurt === "first") changed[0] = byte;
          return changed;
        }),
    },
  );

/** What mqtt-packet itself refuses to write is written as far as it got. */
function generated(one: Packet, protocol: 4 | 5): Buffer {
  try {
    return mqttPacket.generate(one, { protocolVersion: protocol });
  } catch {
    return Buffer.from([0x30, 0x7f, 0xff]);
  }
}

type Will = NonNullable<IConnectPacket["will"]>;
const lastWill: fc.Arbitrary<Will> = fc.record({
  topic: fc.oneof({ weight: 4, arbitrary: topic }, { weight: 1, arbitrary: fc.constantFrom("site/packets/line/+/eq/+/event", "site/packets/#", "#", "") }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  qos: fc.constantFrom(0, 1, 2),
  retain: fc.boolean(),
});

interface Wire {
  readonly protocol: 4 | 5;
  /** Whether a CONNECT that is in order goes before, and the last will in it. */
  readonly introduced: boolean;
  readonly will?: Will | undefined;
  readonly chunks: readonly Buffer[];
  /** Left open until all of the batch has been written, or closed at once. */
  readonly stays: boolean;
}

const wire: fc.Arbitrary<Wire> = fc.constantFrom<4 | 5>(4, 5).chain((protocol) =>
  fc.record({
    protocol: fc.constant(protocol),
    introduced: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
    will: fc.option(lastWill, { nil: undefined, freq: 3 }),
    chunks: fc.array(bytesOf(protocol), { minLength: 1, maxLength: 8 }),
    stays: fc.boolean(),
  }),
);

/** Writes to a broker what it did not ask for; resolves when all is written, or the broker has hung up. */
function write(url: string, { protocol, introduced, will, chunks, stays }: Wire, name: string): Promise<{ end(): void }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => socket.destroy());
  socket.resume();
  return new Promise((resolve) => {
    const done = (): void => resolve({ end: () => socket.destroy() });
    socket.once("close", done);
    socket.once("connect", () => {
      const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: protocol, clientId: name, clean: true, keepalive: 60 } as const;
      if (introduced) socket.write(generated(will === undefined ? connect : { ...connect, will }, protocol));
      socket.write(Buffer.concat(chunks), () => {
        if (!stays) socket.end();
        done();
      });
    });
  });
}

/** The most memory that this process, which holds the service, ever had. */
const mostMemory = (): string => /^VmHWM:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "unknown";

let door: Door;

function attack(broker: "embedded" | "mosquitto"): void {
  let good = 0;
  beforeAll(async () => {
    door = await openDoor("packets", { broker });
    await door.plant.equipment("packets", "target", "1", "unit");
    await door.plant.equipment("packets", "beside", "1", "unit");
  });
  afterAll(async () => {
    await door?.stop();
  });

  /** Strangers publish here too, so what came first is not known by its place: the good source is asked for by name. */
  async function goesOn(after: string): Promise<void> {
    good += 1;
    const source = sourceOf("packets", "1", "beside");
    const party = await join(door.plant.mqttUrl, { protocol: 4 });
    await party.subscribe(verdictTopicOf(source));
    await party.publish(eventTopic(source), envelope(source, 1, good, "call.raised", { call: "help" }));
    const { body } = await party.until(
      `the good source to go on after ${after} (seed ${SEED})`,
      (seen) => seen.body.data.event.sequence === String(good),
      30_000,
    );
    expect(body.data.status).toBe("accepted");
    const { status, body: health } = await door.plant.ask("GET", "/health/ready");
    expect([status, health.ready], `${JSON.stringify(health)} after ${after}, seed ${SEED}`).toEqual([200, true]);
    await party.end();
  }

  test(
    "bytes that are no MQTT, and packets that are nearly some, change nothing for those beside them",
    async () => {
      let wires = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(wire, { minLength: 1, maxLength: 40, size: "max" }), async (all) => {
          wires += all.length;
          const open = await Promise.all(all.map((one, i) => write(door.plant.mqttUrl, one, `stranger-${i}`)));
          await goesOn("strange packets");
          for (const one of open) one.end();
        }),
        // what strangers did stays done: the batch that did it is the example
        { ...fuzzed(15), endOnFailure: true },
      );
      for (const { body } of door.party.seen) documented(body.data);
      measured(`fuzz.packets.${broker}`, `seed ${SEED}: ${wires} connections, at most ${mostMemory()}`);
      console.log(`packets, ${broker}, seed ${SEED}: ${wires} connections, ${door.party.seen.length} verdicts, at most ${mostMemory()}`);
    },
    TIMEOUT_MS,
  );

  test(
    "a flood of connections that say half of a CONNECT leaves room for others",
    async () => {
      const whole = generated({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clientId: "half", clean: true, keepalive: 60 }, 4);
      const halves = Array.from(
        { length: 300 },
        (_, i): Wire => ({ protocol: 4, introduced: false, chunks: [whole.subarray(0, 1 + (i % (whole.length - 1)))], stays: true }),
      );
      const open = await Promise.all(halves.map((one) => write(door.plant.mqttUrl, one, "half")));
      await goesOn("half of 300 CONNECTs");
      for (const one of open) one.end();
    },
    TIMEOUT_MS,
  );
}

describe("the embedded broker, and the service beside it", () => attack("embedded"));

describeWithMosquitto("mosquitto, and the service connected to it", () => {
  attack("mosquitto");

  describe("properties of MQTT 5", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.integer({ min: 1, max: 65_000 }).map((n) => "p".repeat(n)),
      fc.constantFrom("", "__proto__", "constructor", "toString", "a\u0001b", "\uffff"),
    );
    const name = fc.oneof(text, fc.constantFrom("specversion", "id", "source", "type", "epoch", "sequence", "data", "time", "traceparent"));
    const properties = (source: string) =>
      fc.record(
        {
          payloadFormatIndicator: fc.boolean(),
          messageExpiryInterval: fc.constantFrom(60, 4_294_967_295),
          contentType: fc.oneof(text, fc.constantFrom("application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain")),
          responseTopic: fc.oneof(
            fc.constantFrom("reply", "a/b", "$SYS/x", eventTopic(source), `${source.slice(1)}/verdict`, `${source.slice(1)}/cursor`, "site/packets/outcome"),
            fc.constantFrom(
              `${source.slice(1)}/reply/x`,
              `${source.slice(1)}/reply/../../event`,
              `${source.slice(1)}/reply/`,
              "site/packets/line/1/eq/good/reply/x",
            ),
            fc.integer({ min: 1, max: 5_000 }).map((n) => `${source.slice(1)}/reply/${"r".repeat(n)}`),
          ),
          correlationData: fc
            .oneof(
              fc.uint8Array({ maxLength: 300 }),
              fc.constantFrom(0, 1, 255, 256, 257, 65_535).map((n) => new Uint8Array(n).fill(255)),
            )
            .map((bytes) => Buffer.from(bytes)),
          userProperties: fc.oneof(
            fc.array(fc.tuple(name, text), { maxLength: 6 }).map((pairs) => byName(pairs)),
            fc.integer({ min: 1_000, max: 3_000 }).map((n) => byName(Array.from({ length: n }, (_, i) => [`many${i % 50}`, String(i)]))),
          ),
        },
        { requiredKeys: [] },
      );
    const byName = (pairs: readonly (readonly [string, string])[]): Record<string, string[]> => {
      const named: Record<string, string[]> = {};
      for (const [key, value] of pairs) {
        // the codec has one entry for a name, and none of these names reaches a prototype
        if (key === "__proto__") continue;
        const before = Object.hasOwn(named, key) ? named[key] : undefined;
        named[key] = [...(before ?? []), value];
      }
      return named;
    };

    test(
      "at their extremes leave the event what it is: one verdict each, and an answer only where the sender may be answered",
      async () => {
        const replies = await join(door.plant.mqttUrl, { protocol: 5 });
        let sent = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.record({ at: properties(sourceOf("packets", "1", "any")), qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2), retain: fc.boolean() }), {
              minLength: 1,
              maxLength: 40,
              size: "max",
            }),
            async (all) => {
              const source = await door.source();
              const equipment = source.split("/")[6] ?? "";
              await replies.subscribe(`${source.slice(1)}/reply/#`, `${source.slice(1)}/event`);
              let taken = 0;
              for (const { at, qos, retain } of all) {
                const mine = at.responseTopic?.replaceAll("/eq/any", `/eq/${equipment}`);
                const one: IPublishPacket = {
                  cmd: "publish",
                  topic: eventTopic(source),
                  payload: JSON.stringify(envelope(source, 1, taken + 1, "call.raised", { call: "help" })),
                  qos,
                  retain,
                  dup: false,
                  messageId: 1,
                  properties: { ...at, ...(mine === undefined ? {} : { responseTopic: mine }) },
                };
                // what cannot be written, or what mosquitto hangs up on, never comes to the service
                if (fits(one) && (await offer(door.plant.mqttUrl, `extreme-${equipment}`, one))) taken += 1;
              }
              sent += taken;
              const last = envelope(source, 2, 1, "call.closed", { call: "help" });
              await replies.publish(eventTopic(source), last, { qos: 1 });
              await door.party.until(
                `the last event of ${source} (seed ${SEED})`,
                ({ topic: at, body }) => at === verdictTopicOf(source) && body.data.event.epoch === "2",
                30_000,
              );
              const told = door.party.seen.filter(({ topic: at, body }) => at === verdictTopicOf(source) && body.data.round === 1).map(({ body }) => body.data);
              for (const verdict of told) documented(verdict);
              expect(new Set(told.map(({ verdict }) => verdict)).size, `one verdict each, seed ${SEED}`).toBe(taken + 1);
              // nothing of the service's own ever came where events come: what is there was published by the two senders
              const events = replies.seen.filter(({ topic: at }) => at === eventTopic(source));
              expect(events.every(({ body }) => body.source === source)).toBe(true);
            },
          ),
          fuzzed(8),
        );
        await replies.end();
        expect((await door.plant.ask("GET", "/health/ready")).body.ready).toBe(true);
        expect(sent).toBeGreaterThan(0);
        console.log(`properties, seed ${SEED}: ${sent} events, at most ${mostMemory()}`);
        measured("fuzz.packets.properties", `seed ${SEED}: ${sent} events with properties at their extremes`);
      },
      TIMEOUT_MS,
    );
  });
});

/** Whether a packet can be written at all, and is no larger than mosquitto takes. */
function fits(one: IPublishPacket): boolean {
  try {
    // of properties that it does not take, the codec writes nothing at all
    const { length } = mqttPacket.generate(one, { protocolVersion: 5 });
    return length > 0 && length < 1_000_000;
  } catch {
    return false;
  }
}

/** Offers one packet of MQTT 5 on a connection of its own; whether the broker took it, or hung up over it. */
function offer(url: string, clientId: string, one: IPublishPacket): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const parser = mqttPacket.parser({ protocolVersion: 5 });
  const say = (packet: Packet): boolean => socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  return new Promise((resolve, reject) => {
    let taken = false;
    parser.on("error", reject);
    socket.on("data", (chunk) => parser.parse(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(taken));
    parser.on("packet", (said) => {
      // of QoS 0 nothing is said: a ping behind it tells whether it was taken
      if (said.cmd === "connack") {
        say(one);
        if (one.qos === 0) say({ cmd: "pingreq" });
      }
      const refused = "reasonCode" in said && (said.reasonCode ?? 0) >= 0x80;
      if (said.cmd === "pubrec" && !refused) say({ cmd: "pubrel", messageId: said.messageId ?? 0 });
      taken ||= !refused && ["pingresp", "pubcomp", "puback"].includes(said.cmd);
      if (taken || refused) socket.end(mqttPacket.generate({ cmd: "disconnect", reasonCode: 0 }, { protocolVersion: 5 }));
    });
    socket.setTimeout(20_000, () => reject(new Error(`the broker says nothing to ${JSON.stringify(one).slice(0, 500)}, seed ${SEED}`)));
    say({ cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clientId, clean: true, keepalive: 60 });
  });
}
