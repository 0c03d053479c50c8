// Promise: what is remembered of every event in few bytes is what a map would remember of it.
// Attack: ids whose hashes begin alike, the same id of several sources, more of them than there was room for, digests of other lengths; numbers beyond what a double holds; rounds at other positions.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Ids, LastRounds, Numbers } from "../../../src/replay/remembered.ts";

const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString("hex"));
const source = fc.constantFrom("1", "2", "16", "17");
/** Few beginnings, so that many look for the same slot. */
const hash = fc.tuple(fc.constantFrom("00000000", "ffffffff", "01000000"), hex(16)).map((parts) => parts.join(""));
const digest = fc.oneof({ weight: 8, arbitrary: hex(32) }, { weight: 1, arbitrary: hex(3) }, { weight: 1, arbitrary: fc.constant("") });

test("an id is known by its source and its hash, with its digest and position", () => {
  const told = fc.uniqueArray(fc.record({ source, hash, position: fc.integer({ min: 1, max: 2 ** 40 }), digest }), {
    selector: (one) => `${one.source} ${one.hash}`,
    minLength: 1_000,
    maxLength: 3_000,
  });
  fc.assert(
    fc.property(told, source, hash, (all, otherSource, otherHash) => {
      const ids = new Ids();
      const known = new Map<string, (typeof all)[number]>();
      for (const one of all) {
        ids.add(one.source, one.hash, one.position, one.digest);
        known.set(`${one.source} ${one.hash}`, one);
      }
      for (const { source, hash, position, digest } of all) expect(ids.get(source, hash)).toEqual({ position, digest });
      expect(ids.has(otherSource, otherHash)).toBe(known.has(`${otherSource} ${otherHash}`));
      expect([...ids]).toEqual([...known.values()]);
      expect(ids.size).toBe(known.size);
    }),
    { numRuns: 10 },
  );
});

test("an id is taken once, and what is no hash is not known", () => {
  const ids = new Ids();
  const hash = "ab".repeat(20);
  ids.add("1", hash, 7, "cd".repeat(32));
  expect(() => ids.add("1", hash, 8, "ef".repeat(32))).toThrow("twice");
  expect(() => ids.add("1", "ab", 8, "")).toThrow("no hash");
  for (const strange of ["", "ab", `${hash}ab`, "zz".repeat(20)]) expect(ids.get("1", strange)).toBeUndefined();
  expect(ids.has("2", hash)).toBe(false);
});

test("a number is known by its source, incarnation and epoch, however large it is", () => {
  const numbers = new Numbers();
  const keys = ["1 1.7.1", "1 1.7.2", "1 2.7.1", "1 1.8.1", "2 1.7.1", "1 1.7.9007199254740993", "1 1.7.9007199254740992", "1 1.7.999999999999999"];
  for (const [at, key] of keys.entries()) numbers.set(key, at + 1);
  for (const [at, key] of keys.entries()) expect(numbers.get(key), key).toBe(at + 1);
  for (const key of ["1 1.7.3", "1 1.9.1", "3 1.7.1", "1 1.7.9007199254740991"]) expect(numbers.has(key), key).toBe(false);
  expect(numbers.size).toBe(keys.length);
  expect(Object.fromEntries(numbers)).toEqual(Object.fromEntries(keys.map((key, at) => [key, at + 1])));
});

test("the last round of an event is the one that was set last", () => {
  const round = fc.record({
    event: fc.integer({ min: 1, max: 5_000 }),
    behind: fc.constantFrom(0, 0, 3),
    round: fc.constantFrom(1, 2),
    status: fc.constantFrom("accepted", "deferred", "duplicate"),
    code: fc.constantFrom(null, "EVD_MISSING"),
    final: fc.boolean(),
    first: fc.constantFrom(null, null, 4),
  });
  fc.assert(
    fc.property(fc.array(round, { maxLength: 300 }), fc.integer({ min: 1, max: 5_000 }), (all, other) => {
      const rounds = new LastRounds();
      const known = new Map<number, unknown>();
      for (const { event, behind, ...rest } of all) {
        rounds.set(event, { position: event + behind, ...rest });
        known.set(event, { position: event + behind, ...rest });
      }
      for (const [event, last] of known) expect(rounds.get(event)).toEqual(last);
      expect(rounds.get(other)).toEqual(known.get(other));
    }),
  );
});

test("a position that no record has is held without making room for it", () => {
  const rounds = new LastRounds();
  const last = { position: 9_000_000_000_000, round: 1, status: "accepted", code: null, final: true, first: null };
  rounds.set(last.position, last);
  expect(rounds.get(last.position)).toEqual(last);
  expect(rounds.get(last.position + 1)).toBeUndefined();
});
