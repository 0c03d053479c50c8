import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LockOperation } from "./history.ts";
import { notLinearizable } from "./linearizable.ts";

// Promise: exactly those histories of a lock are found to be wrong that no order of its operations explains. Attack: small ones against all orders; large ones against the clock.

const call = (began: number, ended: number | null, asks: LockOperation["asks"], answer: LockOperation["answer"]): LockOperation => ({
  began,
  ended,
  equipment: "mixer-1",
  asks,
  answer,
});
const take = (batch: string, began: number, ended: number | null, done: boolean | null = true) =>
  call(began, ended, { kind: "take", batch }, done === null ? null : { done });
const free = (batch: string, began: number, ended: number | null, done: boolean | null = true) =>
  call(began, ended, { kind: "free", batch }, done === null ? null : { done });
const read = (holder: string | null, began: number, ended: number) => call(began, ended, { kind: "read" }, { holder });

describe("a lock", () => {
  test("that is taken, read, freed and taken by another is right", () => {
    expect(notLinearizable([take("A", 1, 2), read("A", 3, 4), take("B", 5, 6, false), free("A", 7, 8), take("B", 9, 10)])).toBeNull();
  });
  test("that two are let take is wrong, unless they overlap with the freeing between them", () => {
    expect(notLinearizable([take("A", 1, 2), take("B", 3, 4)])).toMatchObject({ asks: { batch: "B" } });
    expect(notLinearizable([take("A", 1, 2), take("B", 3, 9), free("A", 5, 7)])).toBeNull();
  });
  test("that is read free after it was taken is wrong", () => expect(notLinearizable([take("A", 1, 2), read(null, 3, 4)])).not.toBeNull());
  test("whose freeing was never answered may be free at any later time, or never", () => {
    expect(notLinearizable([take("A", 1, 2), free("A", 3, null, null), read("A", 4, 5), read(null, 6, 7), take("B", 8, 9)])).toBeNull();
    expect(notLinearizable([take("A", 1, 2), free("A", 3, null, null), read(null, 4, 5), read("A", 6, 7)])).not.toBeNull();
    expect(notLinearizable([take("A", 1, 2), free("A", 6, null, null), read(null, 4, 5)])).not.toBeNull();
  });
  test("whose freeing and taking were both never answered may have changed hands unseen", () => {
    const open = [free("A", 3, null, null), take("B", 3, null, null)];
    expect(notLinearizable([take("A", 1, 2), ...open, read("B", 4, 5), take("C", 6, 7, false)])).toBeNull();
    expect(notLinearizable([take("A", 1, 2), ...open, read("B", 4, 5), read("A", 6, 7)])).not.toBeNull();
  });
  test("that is refused while nobody holds it is wrong", () => expect(notLinearizable([take("A", 1, 2, false)])).not.toBeNull());
});

/** All orders, tried one by one. */
function explained(operations: readonly LockOperation[]): boolean {
  const go = (left: readonly LockOperation[], holder: string | null): boolean => {
    if (left.every(({ ended }) => ended === null)) return true;
    const first = Math.min(...left.map(({ ended }) => ended ?? Number.POSITIVE_INFINITY));
    return left.some((operation) => {
      if (operation.began > first) return false;
      const { asks, answer, ended } = operation;
      const rest = left.filter((other) => other !== operation);
      const may = asks.kind === "read" ? null : asks.kind === "take" ? holder === null || holder === asks.batch : holder === asks.batch;
      if (may === null) return answer !== null && "holder" in answer && answer.holder === holder && go(rest, holder);
      const after = asks.kind === "take" ? asks.batch : null;
      if (ended === null) return may && go(rest, after);
      const done = answer !== null && "done" in answer && answer.done;
      if (done) return may && go(rest, after);
      return (asks.kind === "take" ? holder !== null : !may) && go(rest, holder);
    });
  };
  return go(operations, null);
}

const operation: fc.Arbitrary<LockOperation> = fc
  .tuple(
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 5 }),
    fc.constantFrom("A", "B", "C"),
    fc.constantFrom("take", "take", "free", "free", "read", "none"),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([began, spent, batch, kind, done, open]) => {
    if (kind === "read" || kind === "none") return read(kind === "none" ? null : batch, began, began + spent);
    const ended = open && !done ? null : began + spent;
    return kind === "take" ? take(batch, began, ended, ended === null ? null : done) : free(batch, began, ended, ended === null ? null : done);
  });

test("the verdict is that of trying all orders", () => {
  let right = 0;
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 7 }), (operations) => {
      const expected = explained(operations);
      if (expected) right += 1;
      expect(notLinearizable(operations) === null).toBe(expected);
    }),
    { numRuns: 3000 },
  );
  expect(right).toBeGreaterThan(100);
});

test("a thousand operations by eight callers, every tenth never answered, are judged in the wink of an eye", () => {
  const operations: LockOperation[] = [];
  let holder: string | null = null;
  let chance = 7;
  const random = (below: number): number => {
    chance = (chance * 1_103_515_245 + 12_345) % 2_147_483_648;
    return chance % below;
  };
  for (let n = 0; n < 1000; n += 1) {
    const batch = `B-${random(8)}`;
    const [began, ended] = [n - random(8), n + random(8)];
    const kind = random(3);
    if (kind === 0) operations.push(read(holder, began, ended));
    else {
      const may: boolean = kind === 1 ? holder === null || holder === batch : holder === batch;
      if (may) holder = kind === 1 ? batch : null;
      const open = random(10) === 0;
      operations.push((kind === 1 ? take : free)(batch, began, open ? null : ended, open ? null : may));
    }
  }
  const start = performance.now();
  expect(notLinearizable(operations)).toBeNull();
  expect(notLinearizable([...operations, read("nobody knows", 1100, 1101)])).not.toBeNull();
  expect(performance.now() - start).toBeLessThan(2000);
});
