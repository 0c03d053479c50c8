import fc from "fast-check";
import { expect, test } from "vitest";
import { durationMs, parseDuration } from "../../../src/registry/duration.ts";

test.each([
  ["PT5S", 5_000],
  ["PT0S", 0],
  ["PT0.25S", 250],
  ["PT0,5S", 500],
  ["PT1.005S", 1_005],
  ["PT90M", 5_400_000],
  ["PT1H30M", 5_400_000],
  ["P1D", 86_400_000],
  ["P1DT12H", 129_600_000],
  ["P2W", 1_209_600_000],
  ["P1DT2H3M4.567S", 93_784_567],
])("%s is %d milliseconds", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
  expect(durationMs(text)).toBe(ms);
});

test.each([
  "",
  "P",
  "PT",
  "P1",
  "PT5",
  "P1DT",
  "5S",
  "PT-5S",
  "-PT5S",
  "P1Y",
  "P1M",
  "P1Y2M",
  "P1W2D",
  "PT1.5M",
  "PT0.0001S",
  "pt5s",
  " PT5S",
  "PT5S ",
  "PT5S\n",
  "PT1S1M",
  "PT١S",
])("%j is no duration of a fixed length to the millisecond", (text) => {
  expect(parseDuration(text)).toBeNull();
  expect(() => durationMs(text)).toThrow(RangeError);
});

test("any duration written from days to milliseconds is read back exactly", () => {
  const part = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(part(999_999), part(99), part(999), part(9_999), part(999), (days, hours, minutes, seconds, ms) => {
      const text = `P${days}DT${hours}H${minutes}M${seconds}.${String(ms).padStart(3, "0")}S`;
      expect(parseDuration(text)).toBe((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms);
    }),
  );
});

test("no text makes the reader throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^P[\dDTHMSW.,]{0,12}$/)), (text) => {
      const ms = parseDuration(text);
      expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
    }),
  );
});
