import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Frontier, type Subtree } from "../../../src/audit/frontier.ts";
import { type Hash, leafHash, nodeHash } from "../../../src/audit/hash.ts";
import { consistencyProof, consistencyRanges, inclusionProof, inclusionRanges, rootOf, subtreesOf } from "../../../src/audit/tree.ts";
import { refuseConsistency, refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { recursiveTree } from "./recursive-tree.ts";
import { turn } from "./turn.ts";

// Promise: the tree is RFC 6962's, its proofs prove what they say, and nothing else passes for one.
// Attack: every size to 300 against the RFC's own recursive definition; any single bit turned; sizes beyond 32 bits.

const SIZES = 300;
const entries = Array.from({ length: SIZES }, (_, i) => Buffer.from(`entry ${i} ${"x".repeat(i % 70)}`));
const rfc = recursiveTree(entries);

/** Every subtree that a frontier told of, by its place. */
const told = new Map<string, Hash>();
grow(({ level, index }, root) => told.set(`${level}:${index}`, root));

/** Appends all entries to a new frontier; gives one of each size. */
function grow(completed?: (subtree: Subtree, root: Hash) => void): readonly Frontier[] {
  const growing = new Frontier();
  const frontiers = [growing.copy()];
  for (const entry of entries) {
    growing.append(leafHash(entry), completed);
    frontiers.push(growing.copy());
  }
  return frontiers;
}

function subtree({ level, index }: Subtree): Hash {
  const root = told.get(`${level}:${index}`);
  if (root === undefined) throw new Error(`nobody told of subtree ${level}:${index}`);
  return root;
}

const leaf = (index: number): Hash => subtree({ level: 0, index });
const root = (size: number): Hash => rootOf({ begin: 0, end: size }, subtree);

describe("every tree to 300 leaves", () => {
  test("has the root of the RFC's definition, at the frontier and from its full subtrees", () => {
    for (const [size, frontier] of grow().entries()) {
      expect(frontier.size).toBe(size);
      expect(frontier.root()).toEqual(rfc.root(0, size));
      expect(root(size)).toEqual(rfc.root(0, size));
    }
  });

  test("tells of each of its full subtrees once, smallest first", () => {
    const seen: string[] = [];
    const growing = new Frontier();
    for (let i = 0; i < 8; i += 1) growing.append(leaf(i), ({ level, index }) => seen.push(`${level}:${index}`));
    expect(seen).toEqual(["0:0", "0:1", "1:0", "0:2", "0:3", "1:1", "2:0", "0:4", "0:5", "1:2", "0:6", "0:7", "1:3", "2:1", "3:0"]);
    for (const [place, hash] of told) {
      const [level = 0, index = 0] = place.split(":").map(Number);
      expect(hash).toEqual(rfc.root(index * 2 ** level, (index + 1) * 2 ** level));
    }
  });

  test("gives for each leaf the RFC's path, which proves it", () => {
    for (let size = 1; size <= SIZES; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const proof = inclusionProof(index, size, subtree);
        if (!same(proof, rfc.path(index, size))) expect(proof).toEqual(rfc.path(index, size));
        const refused = refuseInclusion({ index, size, leaf: leaf(index), proof, root: root(size) });
        if (refused !== null) expect({ index, size, refused }).toEqual(null);
      }
    }
  });

  test("gives to each larger tree the RFC's proof of consistency, which proves it", () => {
    for (let second = 1; second <= SIZES; second += 1) {
      for (let first = 1; first <= second; first += 1) {
        const proof = consistencyProof(first, second, subtree);
        if (!same(proof, rfc.proof(first, second))) expect(proof).toEqual(rfc.proof(first, second));
        const refused = refuseConsistency({ first, second, firstRoot: root(first), secondRoot: root(second), proof });
        if (refused !== null) expect({ first, second, refused }).toEqual(null);
      }
    }
  });
});

const same = (one: readonly Buffer[], other: readonly Buffer[]): boolean => Buffer.concat([...one]).equals(Buffer.concat([...other]));

describe("with any single bit turned", () => {
  const pair = fc
    .tuple(fc.integer({ min: 1, max: SIZES }), fc.integer({ min: 1, max: SIZES }))
    .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const);

  test("no leaf, path, root or index of a proof of inclusion passes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: SIZES }), fc.nat(), fc.nat(), (size, anywhere, bit) => {
        const index = anywhere % size;
        const proof = inclusionProof(index, size, subtree);
        const [turnedLeaf, turnedRoot, ...path] = turn([leaf(index), root(size), ...proof], bit);
        if (turnedLeaf === undefined || turnedRoot === undefined) throw new Error("nothing was turned");
        expect(refuseInclusion({ index, size, leaf: turnedLeaf, proof: path, root: turnedRoot })).toBe("another-root");
        const elsewhere = Number(BigInt(index) ^ (1n << BigInt(bit % 53)));
        expect(refuseInclusion({ index: elsewhere, size, leaf: leaf(index), proof, root: root(size) })).not.toBe(null);
      }),
      { numRuns: 2_000 },
    );
  });

  test("no root and no hash of a proof of consistency passes", () => {
    fc.assert(
      fc.property(pair, fc.nat(), ([first, second], bit) => {
        const proof = consistencyProof(first, second, subtree);
        const [firstRoot, secondRoot, ...path] = turn([root(first), root(second), ...proof], bit);
        if (firstRoot === undefined || secondRoot === undefined) throw new Error("nothing was turned");
        expect(refuseConsistency({ first, second, firstRoot, secondRoot, proof: path })).toMatch(/^another-(first-)?root$/);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a proof is refused by name", () => {
  const size = 7;
  const proof = inclusionProof(3, size, subtree);
  const whole = { index: 3, size, leaf: leaf(3), proof, root: root(size) };
  const grown = { first: 3, second: size, firstRoot: root(3), secondRoot: root(size), proof: consistencyProof(3, size, subtree) };

  test.each([
    ["an index at the size", { index: size }, "no-such-place"],
    ["an index below 0", { index: -1 }, "no-such-place"],
    ["an index that is no whole number", { index: 0.5 }, "no-such-place"],
    ["a size beyond what a number can count", { size: 2 ** 53 }, "no-such-place"],
    ["a leaf that is too short", { leaf: leaf(3).subarray(1) }, "not-a-hash"],
    ["a hash that is too long", { proof: [Buffer.concat([leaf(2), leaf(2)]), ...proof.slice(1)] }, "not-a-hash"],
    ["a path that lacks its end", { proof: proof.slice(0, -1) }, "proof-too-short"],
    ["no path", { proof: [] }, "proof-too-short"],
    ["a path that goes on", { proof: [...proof, leaf(0)] }, "proof-too-long"],
    ["the root of another tree", { root: root(6) }, "another-root"],
    ["a root that is cut", { root: root(size).subarray(0, 31) }, "another-root"],
  ] as const)("inclusion: %s", (_, change, refusal) => {
    expect(refuseInclusion(whole)).toBe(null);
    expect(refuseInclusion({ ...whole, ...change })).toBe(refusal);
  });

  test.each([
    ["sizes that fall", { first: 8 }, "no-such-place"],
    ["a first size below 0", { first: -1 }, "no-such-place"],
    ["a second size beyond what a number can count", { second: 2 ** 53 }, "no-such-place"],
    ["a first size that is no whole number", { first: 2.5 }, "no-such-place"],
    ["size 0, whatever the proof", { first: 0 }, "size-zero"],
    ["size 0 and size 0", { first: 0, second: 0, proof: [] }, "size-zero"],
    ["one size and a proof", { first: size, firstRoot: root(size) }, "proof-too-long"],
    ["one size and two roots", { first: size, proof: [] }, "another-root"],
    ["no proof", { proof: [] }, "proof-too-short"],
    ["a proof that lacks its end", { proof: grown.proof.slice(0, -1) }, "proof-too-short"],
    ["a proof that goes on", { proof: [...grown.proof, leaf(0)] }, "proof-too-long"],
    ["a hash that is too short", { proof: [...grown.proof.slice(0, -1), leaf(0).subarray(1)] }, "not-a-hash"],
    ["a first hash that is too short", { proof: [leaf(0).subarray(1), ...grown.proof.slice(1)] }, "not-a-hash"],
    ["a full first tree whose root is no hash", { first: 4, firstRoot: root(4).subarray(1), proof: consistencyProof(4, size, subtree) }, "not-a-hash"],
    ["a full first tree and no proof", { first: 4, firstRoot: root(4), proof: [] }, "proof-too-short"],
    ["the first root of another tree", { firstRoot: root(2) }, "another-first-root"],
    ["the second root of another tree", { secondRoot: root(6) }, "another-root"],
  ] as const)("consistency: %s", (_, change, refusal) => {
    expect(refuseConsistency(grown)).toBe(null);
    expect(refuseConsistency({ ...grown, ...change })).toBe(refusal);
  });
});

describe("what cannot be asked", () => {
  test.each([
    [0, 0],
    [7, 7],
    [-1, 7],
    [0.5, 7],
    [0, 2 ** 53],
  ])("is the path of leaf %d in a tree of %d", (index, size) => expect(() => inclusionRanges(index, size)).toThrow(RangeError));

  test.each([
    [0, 0],
    [0, 7],
    [8, 7],
    [-1, 7],
    [1.5, 7],
    [1, 2 ** 53],
  ])("is a proof from size %d to %d", (first, second) => expect(() => consistencyRanges(first, second)).toThrow(RangeError));

  test("is the root of leaves that are no tree of their own", () => {
    expect(() => rootOf({ begin: 1, end: 4 }, subtree)).toThrow(RangeError);
    expect(() => rootOf({ begin: 2, end: 6 }, subtree)).toThrow(RangeError);
    expect(rootOf({ begin: 4, end: 7 }, subtree)).toEqual(rfc.root(4, 7));
  });

  test("is a node of anything but two hashes", () => {
    expect(() => nodeHash(leaf(0), leaf(1).subarray(1))).toThrow(RangeError);
    expect(() => nodeHash(leaf(0).subarray(1), leaf(1))).toThrow(RangeError);
  });
});

describe("a tree of more leaves than 32 bits count", () => {
  // every leaf is the same, so each full subtree of a level has the same root, and the tree needs no leaves to be there
  const levels = [leafHash(Buffer.from("same"))];
  for (let level = 1; level < 53; level += 1) levels.push(nodeHash(levels[level - 1] ?? Buffer.alloc(0), levels[level - 1] ?? Buffer.alloc(0)));
  const anySubtree = ({ level }: Subtree): Hash => levels[level] ?? Buffer.alloc(0);
  const size = 2 ** 53 - 1;

  test.each([0, 2 ** 31, 2 ** 32 + 1, 2 ** 52, size - 1])("proves leaf %d", (index) => {
    const proof = inclusionProof(index, size, anySubtree);
    const whole = { index, size, leaf: anySubtree({ level: 0, index }), proof, root: rootOf({ begin: 0, end: size }, anySubtree) };
    expect(refuseInclusion(whole)).toBe(null);
    expect(refuseInclusion({ ...whole, leaf: whole.root })).toBe("another-root");
    expect(refuseInclusion({ ...whole, proof: proof.slice(1) })).toBe("proof-too-short");
  });

  test.each([1, 2 ** 31, 2 ** 32 + 1, 2 ** 52, size - 1])("proves that it begins with %d leaves", (first) => {
    const proof = consistencyProof(first, size, anySubtree);
    const grown = {
      first,
      second: size,
      firstRoot: rootOf({ begin: 0, end: first }, anySubtree),
      secondRoot: rootOf({ begin: 0, end: size }, anySubtree),
      proof,
    };
    expect(refuseConsistency(grown)).toBe(null);
    expect(refuseConsistency({ ...grown, firstRoot: grown.secondRoot })).not.toBe(null);
    expect(refuseConsistency({ ...grown, secondRoot: grown.firstRoot })).toBe("another-root");
    expect(refuseConsistency({ ...grown, proof: proof.slice(0, -1) })).toBe("proof-too-short");
  });

  test("needs few subtrees for a proof, each of them once", () => {
    const places = inclusionRanges(2 ** 32 + 1, size).flatMap((range) => subtreesOf(range).map(({ level, index }) => `${level}:${index}`));
    expect(places.length).toBeLessThan(2 * 53);
    expect(new Set(places).size).toBe(places.length);
  });
});

test("appending to a copy leaves the tree it was copied from as it was", () => {
  const tree = new Frontier();
  tree.append(leaf(0));
  const copy = tree.copy();
  copy.append(leaf(1));
  expect([tree.size, copy.size]).toEqual([1, 2]);
  expect(tree.root()).toEqual(root(1));
  expect(copy.root()).toEqual(root(2));
});
