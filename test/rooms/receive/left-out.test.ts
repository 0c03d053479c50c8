import { describe, expect, test } from "vitest";
import type { Delivery } from "../../../src/receive/delivery.ts";
import { HOLD, LeftOuts } from "../../../src/receive/left-out.ts";
import { RECEIVE_MAXIMUM, type Slot } from "../../../src/receive/window.ts";
import { delivery as told } from "../decode/deliveries.ts";

// Promise: what was left out is told of once a second and branch, with every slot that is owed; and earlier before it can keep the broker from sending.

const delivery = (topic: string, text: string): Delivery => told(text, { topic });
const slot = (arrival: number): Slot => ({ connection: 1, arrival, messageId: arrival + 1, bytes: 10 });
const at = (ms: number): string => new Date(ms).toISOString();

/** So many deliveries, one every so many milliseconds from a moment on. */
function held(count: number, every: number, from = 0): LeftOuts {
  const leftOut = new LeftOuts();
  for (let n = 0; n < count; n += 1) leftOut.add("a", delivery("a", `${n}`), slot(n), at(from + n * every), from + n * every);
  return leftOut;
}

describe("what was left out", () => {
  test("is one of each branch: how many, how many bytes, from when to when, the first and the last, and every slot that is owed", () => {
    const leftOut = new LeftOuts();
    for (const [n, name] of ["a", "b", "a", "a", "b", "c"].entries()) leftOut.add(name, delivery(name, `${name}${n}`), n === 3 ? null : slot(n), at(n), n);
    expect(leftOut.take()).toEqual([
      { first: delivery("a", "a0"), last: delivery("a", "a3"), count: 3, bytes: 6, from: at(0), to: at(3), slots: [slot(0), slot(2)] },
      { first: delivery("b", "b1"), last: delivery("b", "b4"), count: 2, bytes: 4, from: at(1), to: at(4), slots: [slot(1), slot(4)] },
      { first: delivery("c", "c5"), last: delivery("c", "c5"), count: 1, bytes: 2, from: at(5), to: at(5), slots: [slot(5)] },
    ]);
    expect([leftOut.take(), leftOut.dueIn(9_999, 600)]).toEqual([[], null]);
  });

  // the database's clock is asked now and then, and the last answer may lie behind what was reckoned until then
  test("never ends before it began, though the clock was put back meanwhile", () => {
    const leftOut = new LeftOuts();
    for (const [n, ms] of [5, 9, 3].entries()) leftOut.add("a", delivery("a", `${n}`), slot(n), at(ms), n);
    expect(leftOut.take()).toMatchObject([{ count: 3, from: at(5), to: at(9) }]);
  });

  test("waits for its second as long as the broker goes on sending", () => {
    const leftOut = held(51, 10);
    expect(leftOut.dueIn(500, 51)).toBe(80);
    leftOut.heard(560);
    expect(leftOut.dueIn(560, 51)).toBe(80);
    leftOut.heard(995);
    expect([leftOut.dueIn(995, 51), leftOut.dueIn(1_000, 51), leftOut.dueIn(2_000, 51)]).toEqual([5, 0, 0]);
    // the next second begins with the next that is left out
    leftOut.take();
    leftOut.add("a", delivery("a", "x"), slot(60), at(5_000), 5_000);
    expect(leftOut.dueIn(5_000, 1)).toBe(HOLD.quiet.ofOne);
  });

  // Found by a flooder of 5,000 messages a second, who had to wait for a commit after every 1,024: what came faster queued up at the broker, and everybody else behind it.
  test("is told of with several commits before the broker has as many open as it may", () => {
    const commits = 8;
    const each = RECEIVE_MAXIMUM / commits;
    expect(held(each, 0.1).dueIn(each * 0.1, each)).toBe(0);
  });

  test("is told of when nothing comes for much longer than its pace, whatever the broker's own bound may be", () => {
    expect(held(20, 0.1, 100).dueIn(102, 20)).toBeCloseTo(9.9);
    expect(held(20, 0.1, 100).dueIn(111.91, 20)).toBe(0);
    expect(held(20, 40, 100).dueIn(860, 20)).toBe(240);
  });

  test("is told of at once when an eighth of what the broker may have open is open, held back behind it or held, or its bytes are many", () => {
    expect([held(2, 1).dueIn(1, HOLD.unacknowledged - 1), held(2, 1).dueIn(1, HOLD.unacknowledged)]).toEqual([10, 0]);
    expect(held(HOLD.unacknowledged, 0).dueIn(0, 0)).toBe(0);
    const heavy = new LeftOuts();
    const large: Delivery = { ...delivery("a", ""), payload: new Uint8Array(HOLD.bytes / 4) };
    for (let n = 0; n < 4; n += 1) {
      expect(heavy.dueIn(0, n)).not.toBe(0);
      heavy.add("a", large, slot(n), at(0), 0);
    }
    expect(heavy.dueIn(0, 4)).toBe(0);
  });
});
