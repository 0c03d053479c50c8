import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Quota, Quotas } from "../../../src/receive/quota.ts";
import { runs } from "../../support/runs.ts";

// Promise: a branch brings no more than its burst at once and its share a second for good, whatever it sends and whenever; a branch that brings less is never left out.
// Attack: deliveries of any size at any time, of branches that are known, that become known, and of any number that never are.

const EVENT = "site/rtm1/line/4/eq/scale-1/event";
const DIAG = "site/rtm1/line/4/eq/scale-1/diag";
const BRANCH = "site/rtm1/line/4/eq/scale-1";
const QUOTA: Quota = { perSecond: 10, burst: 50 };

/** Quotas that know one branch. */
function knowing(quota: Quota): Quotas {
  const quotas = new Quotas(quota);
  quotas.know([BRANCH]);
  return quotas;
}

/** How many of so many deliveries at one moment are let through. */
const admitted = (quotas: Quotas, count: number, now: number, { topic = EVENT, bytes = 100 } = {}): number =>
  Array.from({ length: count }, () => quotas.admits(topic, bytes, now)).filter(Boolean).length;

describe("a branch with registered sources", () => {
  test("brings its burst at once, and is left out then until a second's worth is back", () => {
    const quotas = knowing(QUOTA);
    expect(admitted(quotas, 200, 1_000)).toBe(50);
    expect(admitted(quotas, 200, 1_999)).toBe(0);
    expect(admitted(quotas, 200, 2_000)).toBe(10);
    expect(admitted(quotas, 200, 1_000_000)).toBe(50);
  });
  test("is not let through in single ones while it is over its quota: what it numbers would have a gap between any two", () => {
    const quotas = knowing(QUOTA);
    admitted(quotas, 200, 0);
    const through = Array.from({ length: 1_000 }, (_, n) => quotas.admits(EVENT, 100, n * 10));
    const runsOfThem = through.filter((one, n) => one && through[n - 1] !== true).length;
    expect([through.filter(Boolean).length, runsOfThem]).toEqual([99, 9]);
  });
  test("has one quota for its events and another for what it says of its connection", () => {
    const quotas = knowing(QUOTA);
    expect([admitted(quotas, 60, 0), admitted(quotas, 60, 0, { topic: DIAG })]).toEqual([50, 50]);
  });
  test("weighs what it sends: a delivery counts once for every 4 KiB that it begins, also one that weighs more than is left", () => {
    expect(admitted(knowing(QUOTA), 60, 0, { bytes: 4_096 })).toBe(50);
    expect(admitted(knowing(QUOTA), 60, 0, { bytes: 4_097 })).toBe(25);
    const quotas = knowing(QUOTA);
    expect(admitted(quotas, 5, 0, { bytes: 256 * 1_024 })).toBe(1);
    expect([admitted(quotas, 5, 2_300), admitted(quotas, 50, 2_400)]).toEqual([0, 10]);
  });
  test("never brings more than its burst and its share, and always all of it while it stays within", () => {
    const arrivals = fc.array(fc.record({ after: fc.nat({ max: 700 }), count: fc.integer({ min: 1, max: 40 }) }), { maxLength: 40 });
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 90 }), (came, perSecond, more) => {
        const quota = { perSecond, burst: perSecond + more };
        const quotas = knowing(quota);
        let now = 0;
        let through = 0;
        let all = 0;
        let owed = 0;
        let within = true;
        for (const { after, count } of came) {
          now += after;
          owed = Math.max(0, owed - (after / 1_000) * perSecond) + count;
          within &&= owed <= quota.burst;
          through += admitted(quotas, count, now);
          all += count;
          expect(through).toBeLessThanOrEqual(quota.burst + (now / 1_000) * perSecond + 1e-6);
        }
        if (within) expect(through).toBe(all);
      }),
      { numRuns: runs(300) },
    );
  });
  test("has no quota where none is set, and a clock that stands still or goes back gives nothing", () => {
    expect(admitted(new Quotas(null), 100_000, 0)).toBe(100_000);
    const quotas = knowing(QUOTA);
    admitted(quotas, 60, 5_000);
    expect([5_000, 0, 1_500, 5_999].map((now) => admitted(quotas, 60, now))).toEqual([0, 0, 0, 0]);
  });
});

describe("branches that nobody has registered", () => {
  const stranger = (n: number): string => `site/rtm1/line/4/eq/stranger-${n}/event`;
  test("share one quota, however many they are, and take nothing from a known one", () => {
    const quotas = knowing(QUOTA);
    const through = Array.from({ length: 500 }, (_, n) => quotas.admits(stranger(n), 100, 0)).filter(Boolean);
    expect([through.length, quotas.admits(stranger(1), 100, 999), admitted(quotas, 60, 999)]).toEqual([50, false, 50]);
    expect(quotas.admits(stranger(500), 100, 1_000)).toBe(true);
  });
  test("are told of together, one for their events and one for the rest; a known branch by itself", () => {
    const quotas = knowing(QUOTA);
    expect([stranger(1), stranger(2), stranger(1).replace("/event", "/diag"), EVENT, DIAG, "odd"].map((topic) => quotas.nameOf(topic))).toEqual([
      "/event",
      "/event",
      "/diag",
      EVENT,
      DIAG,
      "odd",
    ]);
  });
  test("are strangers no more once one of their sources was heard, or they are made known; it is asked for when one was left out", () => {
    const quotas = new Quotas(QUOTA);
    expect([quotas.doubts, admitted(quotas, 50, 0), quotas.doubts]).toEqual([false, 50, false]);
    expect([quotas.admits(EVENT, 100, 0), quotas.doubts]).toEqual([false, true]);
    quotas.believe(EVENT);
    expect([admitted(quotas, 60, 0), admitted(quotas, 60, 0, { topic: DIAG }), admitted(quotas, 60, 0, { topic: stranger(1) })]).toEqual([50, 50, 0]);
    quotas.know([stranger(1).replace("/event", "")]);
    expect([quotas.doubts, admitted(quotas, 60, 0, { topic: stranger(1) }), admitted(quotas, 60, 0, { topic: stranger(2) })]).toEqual([false, 50, 0]);
  });
});
