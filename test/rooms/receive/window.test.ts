import fc from "fast-check";
import mqttPacket from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { acknowledgementWindow, pubacks, type Slot } from "../../../src/receive/window.ts";

// Promise: what is acknowledged was settled, and PUBACKs leave in the order in which the PUBLISHes came [MQTT-4.6.0-2].
// Attack: settle in any order, in any groups, twice, mixed with slots of another connection and with QoS 0.

const cap = { deliveries: 100, bytes: 10_000 };

describe("the acknowledgement window", () => {
  test("releases every packet id once, in order of arrival, and only when it and all before it are settled", () => {
    const arrivals = fc.array(fc.record({ qos0: fc.boolean(), bytes: fc.nat({ max: 500 }) }), { maxLength: 60 });
    fc.assert(
      fc.property(
        arrivals.chain((came) => fc.tuple(fc.constant(came), fc.shuffledSubarray([...came.keys(), ...came.keys()]), fc.integer({ min: 1, max: 7 }))),
        ([came, order, groupSize]) => {
          const window = acknowledgementWindow(1, cap);
          const slots = came.map(({ qos0, bytes }, index) => window.take(qos0 ? null : index + 1, bytes));
          const settled = new Set<number>();
          const released: number[] = [];
          for (let at = 0; at < order.length; at += groupSize) {
            const group = order.slice(at, at + groupSize);
            for (const index of group) settled.add(index);
            released.push(...window.settle(group.flatMap((index) => slots[index] ?? [])));
            const open = came.findIndex((_, index) => !settled.has(index));
            const until = open === -1 ? came.length : open;
            expect(released).toEqual(came.flatMap(({ qos0 }, index) => (qos0 || index >= until ? [] : [index + 1])));
            expect(window.count).toBe(came.length - until);
            expect(window.bytes).toBe(came.reduce((sum, { bytes }, index) => (settled.has(index) ? sum : sum + bytes), 0));
          }
        },
      ),
    );
  });

  test("ignores slots of another connection, even with the same place and packet id", () => {
    const before = acknowledgementWindow(1, cap);
    const now = acknowledgementWindow(2, cap);
    const stale = before.take(7, 10);
    now.take(7, 10);
    expect(now.settle([stale])).toEqual([]);
    expect(now.count).toBe(1);
  });

  test("owes one PUBACK for a message that the broker repeats on the same connection", () => {
    const window = acknowledgementWindow(1, cap);
    const slots = [window.take(7, 10), window.take(7, 10)];
    expect(window.settle(slots)).toEqual([7]);
    expect(window.settle([window.take(7, 10)])).toEqual([7]);
  });

  test("is full at its cap by count or by bytes, and drained at half of both", () => {
    const byCount = acknowledgementWindow(1, { deliveries: 4, bytes: 1_000 });
    const slots: Slot[] = [1, 2, 3, 4].map((id) => byCount.take(id, 1));
    expect([byCount.full, byCount.drained]).toEqual([true, false]);
    byCount.settle(slots.slice(0, 2));
    expect([byCount.full, byCount.drained]).toEqual([false, true]);

    const byBytes = acknowledgementWindow(1, { deliveries: 100, bytes: 1_000 });
    const big = byBytes.take(1, 5_000);
    expect([byBytes.full, byBytes.drained]).toEqual([true, false]);
    byBytes.settle([big]);
    expect([byBytes.full, byBytes.drained]).toEqual([false, true]);
  });

  test("keeps its place over a long run", () => {
    const window = acknowledgementWindow(1, cap);
    const released: number[] = [];
    let held: Slot[] = [];
    for (let index = 0; index < 10_000; index += 1) {
      held.push(window.take((index % 65_535) + 1, 1));
      if (held.length === 37) {
        released.push(...window.settle(held));
        held = [];
      }
    }
    expect(released).toEqual(Array.from({ length: released.length }, (_, index) => index + 1));
    expect(window.count).toBe(held.length);
  });
});

test.each([4, 5])("PUBACKs back to back are read by MQTT protocol level %i as successes", (protocolVersion) => {
  const read: unknown[] = [];
  const parser = mqttPacket.parser({ protocolVersion });
  parser.on("packet", (packet) => read.push([packet.cmd, packet.messageId, "reasonCode" in packet ? packet.reasonCode : 0]));
  parser.parse(Buffer.from(pubacks([1, 256, 65_535])));
  expect(read.map((packet) => JSON.stringify(packet).replace("null", "0"))).toEqual(['["puback",1,0]', '["puback",256,0]', '["puback",65535,0]']);
});
