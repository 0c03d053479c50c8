// A system clock that was set back by an hour held mirrors and cursors back for as long while outcomes did not end, and one that was set ahead made a shard look late. Found by reading.
import { afterEach, expect, test, vi } from "vitest";
import { ownTime } from "../../../src/ops/time.ts";

afterEach(() => void vi.restoreAllMocks());

test.each([3_600_000, -3_600_000])("a step of the system clock by %i ms changes nothing", (step) => {
  const real = Date.now();
  const before = ownTime.now();
  vi.spyOn(Date, "now").mockReturnValue(real + step);
  const passed = ownTime.now() - before;
  expect(passed).toBeGreaterThanOrEqual(0);
  expect(passed).toBeLessThan(60_000);
});

test("tells the time of day", () => {
  expect(Math.abs(ownTime.now() - Date.now())).toBeLessThan(60_000);
});
