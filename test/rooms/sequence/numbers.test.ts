import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { idHash } from "../../../src/sequence/identity.ts";
import { place } from "../../../src/sequence/place.ts";
import { missing } from "../../../src/sequence/ranges.ts";

const at = { epoch: 7n, through: 40n };

describe("the place of an event", () => {
  test("is next, early, passed or stale against the cursor", () => {
    expect(place(at, { epoch: 7n, sequence: 41n })).toEqual({ kind: "next" });
    expect(place(at, { epoch: 7n, sequence: 43n })).toEqual({ kind: "early", missing: [41n, 42n] });
    expect(place(at, { epoch: 7n, sequence: 40n })).toEqual({ kind: "passed" });
    expect(place(at, { epoch: 6n, sequence: 41n })).toEqual({ kind: "stale" });
  });
  test("begins at 1 in a newer epoch and where nothing was ever heard", () => {
    expect(place(at, { epoch: 8n, sequence: 1n })).toEqual({ kind: "next" });
    expect(place(at, { epoch: 8n, sequence: 3n })).toEqual({ kind: "early", missing: [1n, 2n] });
    expect(place({ epoch: null, through: 0n }, { epoch: 0n, sequence: 1n })).toEqual({ kind: "next" });
  });
  test("is told by numbers, not by texts: 9 comes before 10, and 2^63-1 is a number like others", () => {
    expect(place({ epoch: 9n, through: 9n }, { epoch: 10n, sequence: 1n })).toEqual({ kind: "next" });
    expect(place({ epoch: 9n, through: 2n ** 63n - 2n }, { epoch: 9n, sequence: 2n ** 63n - 1n })).toEqual({ kind: "next" });
  });
});

describe("what is missing", () => {
  test("is everything up to the highest that neither arrived nor was given up", () => {
    expect(missing(3n, 10n, [6n, 5n, 10n], [{ first: 8n, last: 8n }])).toEqual([
      { first: 4n, last: 4n },
      { first: 7n, last: 7n },
      { first: 9n, last: 9n },
    ]);
    expect(missing(3n, 3n, [], [])).toEqual([]);
  });
  test("with what arrived and what was given up covers every number once", () => {
    const number = fc.bigInt({ min: 1n, max: 40n });
    const range = fc.tuple(number, fc.bigInt({ min: 0n, max: 6n })).map(([first, more]) => ({ first, last: first + more }));
    fc.assert(
      fc.property(number, number, fc.array(number), fc.array(range, { maxLength: 4 }), (through, highest, present, givenUp) => {
        const ranges = missing(through, highest, present, givenUp);
        const inRange = (n: bigint, of: readonly { first: bigint; last: bigint }[]): boolean => of.some((r) => r.first <= n && n <= r.last);
        for (let n = 1n; n <= 50n; n += 1n) {
          const wanted = n > through && n <= highest && !present.includes(n) && !inRange(n, givenUp);
          expect(inRange(n, ranges), `number ${n}`).toBe(wanted);
        }
        for (const [i, r] of ranges.entries()) {
          const next = ranges[i + 1];
          if (next !== undefined) expect(next.first > r.last + 1n).toBe(true);
        }
      }),
    );
  });
});

describe("the identity of an event", () => {
  test("is its id, or its number where no id could be read", () => {
    const byId = idHash({ id: "a", epoch: 7n, sequence: 1n });
    expect(byId).toBe(idHash({ id: "a", epoch: 8n, sequence: 9n }));
    expect(byId).not.toBe(idHash({ id: "b", epoch: 7n, sequence: 1n }));
    expect(idHash({ id: null, epoch: 7n, sequence: 1n })).not.toBe(idHash({ id: null, epoch: 71n, sequence: 1n }));
    expect(idHash({ id: null, epoch: null, sequence: null })).toBe(null);
    expect(idHash({ id: null, epoch: 7n, sequence: null })).toBe(null);
    expect(idHash({ id: null, epoch: null, sequence: 1n })).toBe(null);
  });
  test("never changes its form, since records rest on it", () => {
    expect(idHash({ id: "s1-7-41", epoch: null, sequence: null })).toBe("7e5bc810ea512d1ba1848665217a7e6db315ec8b");
  });
});
