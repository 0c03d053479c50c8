import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backOffAfterTakeOver, backOffMs, failuresAfter, protocolAfterRefusal, reasonName } from "../../../src/receive/connection.ts";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("the protocol after a refusal", () => {
  test.each([0x84, 0x01])("is 3.1.1 when the version is what was refused (0x%s)", (code) => {
    expect(protocolAfterRefusal("auto", "5", code)).toBe("3.1.1");
  });

  test("stays the same for every other reason", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 255 }).filter((code) => code !== 0x84),
        (code) => {
          expect(protocolAfterRefusal("auto", "5", code)).toBe("5");
        },
      ),
    );
  });

  test("stays the same when the plant has said which one to speak", () => {
    expect(protocolAfterRefusal("5", "5", 0x84)).toBe("5");
    expect(protocolAfterRefusal("3.1.1", "3.1.1", 0x01)).toBe("3.1.1");
  });

  test("never goes back to 5 within a process", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 255 }), (code) => {
        expect(protocolAfterRefusal("auto", "3.1.1", code)).toBe("3.1.1");
      }),
    );
  });
});

describe("the wait before the next attempt", () => {
  test("lies between 100 ms and 10 s, whatever the number of failures", () => {
    fc.assert(
      fc.property(fc.nat({ max: 100_000 }), random, (failures, chance) => {
        const wait = backOffMs(failures, chance);
        expect(wait).toBeGreaterThanOrEqual(100);
        expect(wait).toBeLessThanOrEqual(10_000);
      }),
    );
  });

  test("never becomes shorter with one more failure, at the same chance", () => {
    fc.assert(
      fc.property(fc.nat({ max: 50 }), random, (failures, chance) => {
        expect(backOffMs(failures + 1, chance)).toBeGreaterThanOrEqual(backOffMs(failures, chance));
      }),
    );
  });

  test("spreads over half of its length", () => {
    expect([backOffMs(0, 0), backOffMs(0, 0.999), backOffMs(20, 0), backOffMs(20, 0.999)]).toEqual([100, 200, 5_000, 9_995]);
  });

  test("is at least 5 s after a take-over", () => {
    fc.assert(
      fc.property(fc.nat({ max: 50 }), random, (failures, chance) => {
        expect(backOffAfterTakeOver(failures, chance)).toBeGreaterThanOrEqual(5_000);
      }),
    );
  });

  test("starts over only after a connection that lasted", () => {
    expect(failuresAfter(7, 60_000)).toBe(0);
    expect(failuresAfter(7, 50)).toBe(8);
  });
});

test("a reason code has the name of the standard, and an unknown one is still told apart", () => {
  expect([reasonName(0x97), reasonName(0x04), reasonName(0xfe)]).toEqual(["quota_exceeded", "bad_user_name_or_password", "reason_0xfe"]);
});
