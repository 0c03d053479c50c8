import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Subtree } from "../../../src/audit/frontier.ts";
import { type Hash, leafHash } from "../../../src/audit/hash.ts";
import { inTile, rootInTile, type Tile, TiledTree } from "../../../src/audit/tiles.ts";
import { consistencyProof, inclusionProof, rootOf } from "../../../src/audit/tree.ts";
import { refuseConsistency, refuseInclusion } from "../../../src/audit/verify-proof.ts";

// Promise: the tiles of a tree are those of C2SP tlog-tiles, and with the hashes of those that are not full they give every proof.
// 70,000 leaves are that document's example: 273 full tiles of level 0, one of level 1, and 112, 17 and 1 hashes in tiles that are not full.

const SIZE = 70_000;
const leaves = Array.from({ length: SIZE }, (_, i) => leafHash(Buffer.from(String(i))));
const tree = new TiledTree();
const tiles = new Map<string, Tile>();
const order: string[] = [];
for (const leaf of leaves) {
  for (const tile of tree.append(leaf)) {
    tiles.set(`${tile.level}:${tile.n}`, tile);
    order.push(`${tile.level}:${tile.n}`);
  }
}

const known = new Map<string, Hash>();

function subtree(place: Subtree): Hash {
  const name = `${place.level}:${place.index}`;
  const hash = known.get(name) ?? readSubtree(place);
  known.set(name, hash);
  return hash;
}

/** As a reader would: from a full tile, or from what the tile would be made of. */
function readSubtree(place: Subtree): Hash {
  const { level, n, from, count } = inTile(place);
  const tile = tiles.get(`${level}:${n}`);
  if (tile !== undefined) return rootInTile(tile.hashes, from, count);
  const made = Array.from({ length: count }, (_, i) => {
    const at = n * 256 + from + i;
    if (level === 0) return leaves[at] ?? Buffer.alloc(0);
    const below = tiles.get(`${level - 1}:${at}`);
    return below === undefined ? Buffer.alloc(0) : rootInTile(below.hashes, 0, 256);
  });
  return rootInTile(Buffer.concat(made), 0, count);
}

test("the tiles of 70,000 leaves are those of the standard's example, each given when it is full", () => {
  expect(tree.size).toBe(SIZE);
  expect(order).toEqual([...Array.from({ length: 256 }, (_, n) => `0:${n}`), "1:0", ...Array.from({ length: 17 }, (_, n) => `0:${256 + n}`)]);
  expect([...tiles.values()].every(({ hashes }) => hashes.length === 8_192)).toBe(true);
  expect(tiles.get("0:3")?.hashes).toEqual(Buffer.concat(leaves.slice(768, 1_024)));
});

test("a tile of level 1 holds the roots of the tiles below it", () => {
  const above = tiles.get("1:0")?.hashes ?? Buffer.alloc(0);
  for (const n of [0, 1, 255])
    expect(above.subarray(n * 32, n * 32 + 32)).toEqual(rootOf({ begin: n * 256, end: n * 256 + 256 }, ({ level, index }) => leafOf(level, index)));
});

const leafOf = (level: number, index: number): Hash =>
  level === 0 ? (leaves[index] ?? Buffer.alloc(0)) : rootInTile(Buffer.concat(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)), 0, 2 ** level);

test("with them every proof can be given", () => {
  const root = tree.root();
  expect(rootOf({ begin: 0, end: SIZE }, subtree)).toEqual(root);
  fc.assert(
    fc.property(fc.nat({ max: SIZE - 1 }), (index) => {
      const proof = inclusionProof(index, SIZE, subtree);
      expect(refuseInclusion({ index, size: SIZE, leaf: leaves[index] ?? root, proof, root })).toBe(null);
      const first = index + 1;
      const firstRoot = rootOf({ begin: 0, end: first }, subtree);
      expect(refuseConsistency({ first, second: SIZE, firstRoot, secondRoot: root, proof: consistencyProof(first, SIZE, subtree) })).toBe(null);
    }),
    { numRuns: 100 },
  );
});

describe("where a subtree stands", () => {
  test.each([
    [
      { level: 0, index: 0 },
      { level: 0, n: 0, from: 0, count: 1 },
    ],
    [
      { level: 0, index: 700 },
      { level: 0, n: 2, from: 188, count: 1 },
    ],
    [
      { level: 7, index: 3 },
      { level: 0, n: 1, from: 128, count: 128 },
    ],
    [
      { level: 8, index: 3 },
      { level: 1, n: 0, from: 3, count: 1 },
    ],
    [
      { level: 9, index: 200 },
      { level: 1, n: 1, from: 144, count: 2 },
    ],
    [
      { level: 16, index: 2 ** 34 },
      { level: 2, n: 2 ** 26, from: 0, count: 1 },
    ],
  ])("%j", (place, where) => expect(inTile(place)).toEqual(where));

  test("must be there", () => {
    expect(() => rootInTile(Buffer.alloc(64), 2, 1)).toThrow(RangeError);
    expect(() => rootInTile(Buffer.alloc(64), 1, 2)).toThrow(RangeError);
    expect(() => rootInTile(Buffer.alloc(80), 2, 1)).toThrow(RangeError);
  });
});

test("appending to a copy leaves the tree it was copied from as it was", () => {
  const one = new TiledTree();
  for (const leaf of leaves.slice(0, 255)) one.append(leaf);
  const other = one.copy();
  const last = leaves[255] ?? Buffer.alloc(0);
  expect(other.append(last)).toEqual([tiles.get("0:0")]);
  expect([one.size, other.size]).toEqual([255, 256]);
  expect(one.append(last)).toEqual([tiles.get("0:0")]);
  expect(one.root()).toEqual(other.root());
});
