// Promise: the proxy of the chaos runs does to a connection exactly what the name of its fault says, and nothing else.
// Attack: bytes of every kind through it in chunks of every size, and each fault against a server that keeps what it got.
import { connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { generate, type Packet } from "mqtt-packet";
import { afterEach, describe, expect, test } from "vitest";
import { seeded } from "../../support/measure.ts";
import { Framer, type Publish, publishOf } from "./frames.ts";
import { type FaultProxy, type ProxyOptions, startProxy } from "./proxy.ts";

/** A server that keeps what it got, and a client that reaches it through a proxy. */
interface Pair {
  readonly proxy: FaultProxy;
  readonly client: End;
  readonly server: End;
}

/** One end of a connection: what it got so far, and how it ended. */
interface End {
  readonly socket: Socket;
  got(): Buffer;
  gets(length: number): Promise<Buffer>;
  readonly ended: Promise<"end" | "reset">;
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function endOf(socket: Socket): End {
  let bytes = Buffer.alloc(0);
  const looks = new Set<() => void>();
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (const look of [...looks]) look();
  });
  const ended = new Promise<"end" | "reset">((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", () => resolve("reset"));
    // a side that was written to after the reset learns of it by its close alone
    socket.once("close", () => resolve("reset"));
  });
  return {
    socket,
    got: () => bytes,
    gets: (length) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (bytes.length < length) return;
          looks.delete(look);
          resolve(bytes);
        };
        looks.add(look);
        look();
      }),
    ended,
  };
}

async function pair(options: Partial<ProxyOptions> = {}): Promise<Pair> {
  let accepted: (socket: Socket) => void = () => {};
  const arrived = new Promise<Socket>((resolve) => {
    accepted = resolve;
  });
  const sockets = new Set<Socket>();
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    accepted(socket);
  });
  const port = await new Promise<number>((resolve) =>
    listener.listen(0, "127.0.0.1", () => {
      const address = listener.address();
      resolve(address !== null && typeof address === "object" ? address.port : 0);
    }),
  );
  const proxy = await startProxy({ targetPort: port, random: seeded(7), label: "link", ...options });
  const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  const client = endOf(socket);
  const server = endOf(await arrived);
  stops.push(async () => {
    socket.destroy();
    for (const each of sockets) each.destroy();
    await proxy.close();
    await new Promise((resolve) => listener.close(resolve));
  });
  return { proxy, client, server };
}

const packet = (of: Packet): Buffer => generate(of, { protocolVersion: 4 });
const hello = packet({ cmd: "connect", clientId: "site-1-sub", protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 0 });
const publish = (n: number, size = 10): Buffer =>
  packet({ cmd: "publish", qos: 1, messageId: n, topic: "a/b", payload: Buffer.alloc(size, n), dup: false, retain: false });
const puback = (n: number): Buffer => packet({ cmd: "puback", messageId: n });
const mqttLabel = { label: (clientId: string) => clientId.split("-").at(-1) ?? "" };
/** A round trip both ways: what was sent before it has been through the proxy. */
async function afterwards({ client, server }: Pair, sent: number, received: number): Promise<void> {
  client.socket.write(packet({ cmd: "pingreq" }));
  await server.gets(sent + 2);
  server.socket.write(packet({ cmd: "pingresp" }));
  await client.gets(received + 2);
}

describe("a proxy without a fault", () => {
  test("passes every byte both ways, in order, and the end of each direction by itself", async () => {
    const { client, server } = await pair();
    const up = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 31) % 251));
    client.socket.write(up);
    expect((await server.gets(up.length)).equals(up)).toBe(true);
    client.socket.end();
    expect(await server.ended).toBe("end");
    server.socket.end("answer");
    await client.gets(6);
    expect(await client.ended).toBe("end");
    expect(client.got().toString()).toBe("answer");
  });

  test("passes MQTT, and what is none, byte for byte however it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.nat(300).map((size) => publish(5, size)),
            fc.constant(puback(9)),
            fc.uint8Array({ maxLength: 40 }).map(Buffer.from),
          ),
          { maxLength: 8 },
        ),
        fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 }),
        async (packets, cuts) => {
          const { client, server } = await pair(mqttLabel);
          const all = Buffer.concat([hello, ...packets]);
          let at = 0;
          for (const size of cuts) {
            if (at >= all.length) break;
            client.socket.write(all.subarray(at, at + size));
            at += size;
            await new Promise((resolve) => setImmediate(resolve));
          }
          client.socket.end(all.subarray(at));
          expect(await server.ended).toBe("end");
          expect(server.got().equals(all)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("a framer", () => {
  test("gives the same packets wherever the chunks begin and end", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.integer({ min: 0, max: 20_000 }).map((size) => publish(3, size)),
            fc.constant(puback(4)),
            fc.constant(hello),
          ),
          { maxLength: 6 },
        ),
        fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 40 }),
        (packets, cuts) => {
          const all = Buffer.concat(packets);
          const framer = new Framer();
          const out: Buffer[] = [];
          let at = 0;
          for (const size of [...cuts, all.length]) {
            out.push(...framer.push(all.subarray(at, at + size)).map(({ bytes }) => bytes));
            at += size;
          }
          expect(out.map((bytes) => bytes.toString("hex"))).toEqual(packets.map((bytes) => bytes.toString("hex")));
          expect(framer.rest().length).toBe(0);
        },
      ),
    );
  });

  test("leaves what can be no packet as it is", () => {
    const framer = new Framer();
    const garbage = Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1, 2]);
    expect(framer.push(puback(1)).map(({ type }) => type)).toEqual([4]);
    expect(Buffer.concat(framer.push(garbage).map(({ bytes }) => bytes)).equals(garbage)).toBe(true);
    expect(framer.push(puback(1)).map(({ type }) => type)).toEqual([null]);
  });
});

describe("a toxic", () => {
  test("latency: nothing arrives sooner, and all of it arrives in order", async () => {
    const { proxy, client, server } = await pair();
    proxy.add({ label: "link", direction: "up", latencyMs: 120, jitterMs: 30 });
    const began = performance.now();
    for (let n = 0; n < 10; n += 1) client.socket.write(Buffer.of(n));
    expect([...(await server.gets(10))]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(performance.now() - began).toBeGreaterThanOrEqual(119);
  });

  test("bandwidth: so many bytes a second and no more", async () => {
    const { proxy, client, server } = await pair();
    const widen = proxy.add({ label: "link", direction: "up", bytesPerSecond: 20_000 });
    const began = performance.now();
    client.socket.write(Buffer.alloc(8_000, 1));
    await server.gets(8_000);
    expect(performance.now() - began).toBeGreaterThanOrEqual(300);
    widen();
    client.socket.write(Buffer.alloc(2_000_000, 2));
    expect((await server.gets(2_008_000)).length).toBe(2_008_000);
  });

  test("reset: both sides are reset", async () => {
    const { proxy, client, server } = await pair();
    client.socket.write("before");
    await server.gets(6);
    expect(proxy.reset("another")).toBe(0);
    expect(proxy.reset("link")).toBe(1);
    expect(await client.ended).toBe("reset");
    expect(await server.ended).toBe("reset");
  });

  test("black hole: accepts and answers nothing, keeps open, and is reset when it ends", async () => {
    const { proxy, client, server } = await pair();
    const heal = proxy.add({ label: "link", direction: "both", lose: true });
    client.socket.write("lost");
    server.socket.write("lost too");
    const late = connect(proxy.port, "127.0.0.1");
    await new Promise((resolve) => late.once("connect", resolve));
    late.destroy();
    heal();
    expect(await client.ended).toBe("reset");
    expect(await server.ended).toBe("reset");
    expect([client.got().length, server.got().length]).toEqual([0, 0]);
  });

  test.each(["up", "down"] as const)("loss one way: %s is lost, the other way passes", async (direction) => {
    const { proxy, client, server } = await pair();
    const heal = proxy.add({ label: "link", direction, lose: true });
    const [deaf, speaks] = direction === "up" ? [server, client] : [client, server];
    speaks.socket.write("lost");
    deaf.socket.write("heard");
    expect((await speaks.gets(5)).toString()).toBe("heard");
    heal();
    expect(await deaf.ended).toBe("reset");
    expect(deaf.got().length).toBe(0);
  });

  test("hold: nothing passes until it is over, then all of it, the end included", async () => {
    const { proxy, client, server } = await pair();
    const heal = proxy.add({ label: "link", direction: "up", hold: true });
    client.socket.end("late");
    server.socket.write("soon");
    expect((await client.gets(4)).toString()).toBe("soon");
    expect(server.got().length).toBe(0);
    heal();
    expect(await server.ended).toBe("end");
    expect(server.got().toString()).toBe("late");
  });

  test("hold: that a side was reset is not told before it is over", async () => {
    const { proxy, client, server } = await pair();
    const heal = proxy.add({ label: "link", direction: "both", hold: true });
    client.socket.resetAndDestroy();
    await client.ended;
    server.socket.write("is anybody there?");
    expect(proxy.connections("link")).toBe(1);
    heal();
    expect(await server.ended).toBe("reset");
  });

  test("cut: so many bytes pass, then both sides are reset", async () => {
    const { proxy, client, server } = await pair();
    client.socket.write("before");
    await server.gets(6);
    expect(proxy.cut("link", "up", 3)).toBe(1);
    client.socket.write("cut here");
    // a kernel may tell who has yet to read the last bytes of the end instead
    await server.ended;
    expect(server.got().toString()).toBe("beforecut");
    expect(await client.ended).toBe("reset");
  });

  test("slow close: the end of one side is told to the other later", async () => {
    const { proxy, client, server } = await pair();
    proxy.add({ label: "link", direction: "up", closeDelayMs: 150 });
    const began = performance.now();
    client.socket.end("bye");
    expect((await server.gets(3)).toString()).toBe("bye");
    expect(await server.ended).toBe("end");
    expect(performance.now() - began).toBeGreaterThanOrEqual(149);
  });
});

describe("a fault of one packet", () => {
  const packets = (bytes: Buffer): Buffer[] => new Framer().push(bytes).map((frame) => frame.bytes);
  const ids = (bytes: Buffer): (number | null | undefined)[] => packets(bytes).map((bytes) => publishOf(bytes, 4)?.packetId);

  async function connected(more: Partial<ProxyOptions> = {}): Promise<Pair> {
    const pairOf = await pair({ ...mqttLabel, ...more });
    pairOf.client.socket.write(hello);
    await pairOf.server.gets(hello.length);
    return pairOf;
  }

  test("drop: the n-th is gone, the others pass", async () => {
    const { proxy, client, server } = await connected();
    const armed = proxy.arm({ label: "sub", direction: "down", packet: "PUBLISH", nth: 2, does: { kind: "drop" } });
    const other = proxy.arm({ label: "pub", direction: "down", packet: "PUBLISH", nth: 1, does: { kind: "drop" } });
    server.socket.write(Buffer.concat([publish(1), puback(7), publish(2), publish(3)]));
    const got = await client.gets(publish(1).length * 2 + 4);
    expect(ids(got)).toEqual([1, null, 3].map((id) => (id === null ? publishOf(puback(7), 4)?.packetId : id)));
    expect([armed.hit(), other.hit()]).toEqual([true, false]);
  });

  test("duplicate: it comes twice, at once", async () => {
    const { proxy, client, server } = await connected();
    proxy.arm({ label: "sub", direction: "up", packet: "PUBACK", nth: 1, does: { kind: "duplicate" } });
    client.socket.write(Buffer.concat([puback(1), puback(2)]));
    const got = await server.gets(hello.length + 12);
    expect(got.subarray(hello.length).equals(Buffer.concat([puback(1), puback(1), puback(2)]))).toBe(true);
  });

  test("delay: those behind it pass, and it comes", async () => {
    const { proxy, client, server } = await connected();
    proxy.arm({ label: "sub", direction: "down", packet: "PUBLISH", nth: 1, does: { kind: "delay", ms: 60 } });
    server.socket.write(Buffer.concat([publish(1), publish(2), publish(3)]));
    expect(ids(await client.gets(publish(1).length * 3))).toEqual([2, 3, 1]);
  });

  test("cut: the stream ends inside that packet", async () => {
    const { proxy, client, server } = await connected();
    proxy.arm({ label: "sub", direction: "down", packet: "PUBLISH", nth: 2, does: { kind: "cut", after: 5 } });
    server.socket.write(Buffer.concat([publish(1), publish(2), publish(3)]));
    await client.ended;
    expect(client.got().equals(Buffer.concat([publish(1), publish(2).subarray(0, 5)]))).toBe(true);
    expect(await server.ended).toBe("reset");
  });

  test("an observer is told what is acknowledged, and the acknowledgement waits for it", async () => {
    const told: Publish[] = [];
    let letThrough = (): void => {};
    const asked = new Promise<void>((resolve) => {
      letThrough = resolve;
    });
    let hearing = (): void => {};
    const heard = new Promise<void>((resolve) => {
      hearing = resolve;
    });
    const pairOf = await connected({
      acknowledging: async (clientId, deliveries) => {
        expect(clientId).toBe("site-1-sub");
        told.push(...deliveries);
        hearing();
        await asked;
      },
    });
    const { client, server } = pairOf;
    server.socket.write(Buffer.concat([publish(1), publish(2)]));
    await client.gets(publish(1).length * 2);
    client.socket.write(Buffer.concat([puback(1), puback(2)]));
    await heard;
    expect(told.map(({ packetId, topic, payload }) => [packetId, topic, payload[0]])).toEqual([
      [1, "a/b", 1],
      [2, "a/b", 2],
    ]);
    expect(server.got().length).toBe(hello.length);
    letThrough();
    await server.gets(hello.length + 8);
    await afterwards(pairOf, hello.length + 8, publish(1).length * 2);
  });
});
