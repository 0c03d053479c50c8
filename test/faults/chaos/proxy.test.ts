// Promise: the proxy of the chaos runs does to a connection exactly what the name of its fault says, and nothing else.
// Attack: bytes of every kind through it in chunks of every size, and each fault against a server that keeps what it got.
import { connect } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { Framer } from "./frames.ts";
import { endAll, hello, mqttLabel, pair, puback, publish } from "./pair.ts";

afterEach(endAll);

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
