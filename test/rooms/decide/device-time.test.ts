import { describe, expect, test } from "vitest";
import { actTime, fitClock, isAhead, isHistory } from "../../../src/decide/device-time.ts";
import type { DeviceEvent } from "../../../src/decode/event.ts";
import { given, scale } from "../../support/given.ts";
import { event, structured, weight } from "../decode/deliveries.ts";

// A wrong device clock never refuses a numbered event: it is marked, and loses what rests on device time.

const at = (time: string | null, more: Partial<DeviceEvent> = {}): DeviceEvent => ({ ...event(structured(weight)), time, ...more });
const NOW = "2026-11-22T08:00:00.000000Z";
const source = given().source(scale);

describe("a device's time", () => {
  test("is ahead beyond what clocks may differ by", () => {
    expect(["2026-11-22T08:00:30.000Z", "2026-11-22T08:00:30.001Z", "2026-11-22T07:00:00.000Z"].map((time) => isAhead(at(time), NOW))).toEqual([
      false,
      true,
      false,
    ]);
    expect(isAhead(at(null), NOW)).toBe(false);
  });
  test("is history when it is older than thirty days", () => {
    expect(["2026-10-23T08:00:00.000Z", "2026-10-23T07:59:59.999Z", "2026-12-31T00:00:00.000Z"].map((time) => isHistory(at(time), NOW))).toEqual([
      false,
      true,
      false,
    ]);
    expect(isHistory(at(null), "2026-11-22T08:00:00.000000Z")).toBe(false);
  });
  test("is a clock only where it is there, has its epoch, is kept by something, and is not ahead", () => {
    const time = "2026-11-22T08:00:00.000Z";
    expect(fitClock(at(time), source, NOW)).toEqual({ sourceKey: source.key, epoch: "7", time });
    expect(fitClock(at(time, { timesource: "ntp" }), source, NOW)).not.toBe(null);
    expect([
      fitClock(at(null), source, NOW),
      fitClock(at(time, { epoch: null }), source, NOW),
      fitClock(at(time, { timesource: "none" }), source, NOW),
      fitClock(at("2026-11-22T08:01:00.000Z"), source, NOW),
    ]).toEqual([null, null, null, null]);
  });
  test("tells when an act was done only where the clock is set by another and the time is there; of history it tells nothing, by no clock", () => {
    const arrival = { at: NOW, clock: "arrival" };
    for (const timesource of ["ntp", "ptp", "gps"] as const)
      expect(actTime(at("2026-11-22T08:59:00+01:00", { timesource }), NOW)).toEqual({ at: "2026-11-22T07:59:00.000000Z", clock: "device" });
    expect(actTime(at("2026-11-22T08:00:20Z", { timesource: "ntp" }), NOW)).toEqual({ at: NOW, clock: "device" });
    expect(actTime(at(null, { timesource: "ntp" }), NOW)).toEqual(arrival);
    expect(actTime(at("2026-11-22T07:59:00Z", { timesource: "rtc" }), NOW)).toEqual(arrival);
    expect(actTime(at("2026-11-22T08:00:31Z", { timesource: "ntp" }), NOW)).toEqual(arrival);
    expect(actTime(at("2026-10-23T07:59:59.999Z", { timesource: "ntp" }), NOW)).toBe(null);
  });
});
