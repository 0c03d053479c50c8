// Promise: a fault of one packet befalls that packet and no other, and an observer is told of an acknowledgement before it passes.
// Attack: each fault on a packet that stands between others, written at once.
import { afterEach, describe, expect, test } from "vitest";
import { Framer, type Publish, publishOf } from "./frames.ts";
import { afterwards, endAll, hello, mqttLabel, type Pair, pair, puback, publish } from "./pair.ts";
import type { ProxyOptions } from "./proxy.ts";

afterEach(endAll);

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
