import { Frontier, type Subtree } from "./frontier.ts";
import { HASH_BYTES, type Hash, nodeHash } from "./hash.ts";

// Tiles (C2SP tlog-tiles, "Merkle Tree"): 256 consecutive hashes of every eighth level of the tree. Tile n of level l holds the roots of the subtrees n × 256 to n × 256 + 255 of
// tree level 8 × l; at level 0 these are leaf hashes.

const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;

export interface Tile {
  readonly level: number;
  readonly n: number;
  /** 256 hashes, 8,192 bytes. A tile that is not full is not kept: whoever needs it has what it is made of. */
  readonly hashes: Buffer;
}

/** Where in which tile the hashes stand of which a subtree's root is made. */
export interface InTile {
  readonly level: number;
  readonly n: number;
  readonly from: number;
  /** A power of two; 1: the root itself stands there. */
  readonly count: number;
}

export function inTile({ level, index }: Subtree): InTile {
  const height = level % TILE_HEIGHT;
  const count = 2 ** height;
  const first = index * count;
  return { level: (level - height) / TILE_HEIGHT, n: Math.floor(first / TILE_WIDTH), from: first % TILE_WIDTH, count };
}

/** The root of a full subtree, from the hashes `from` to `from + count` of a tile; `count` is a power of two. Throws a RangeError when they are not all there. */
export function rootInTile(hashes: Buffer, from: number, count: number): Hash {
  let row = Array.from({ length: count }, (_, i) => hashes.subarray((from + i) * HASH_BYTES, (from + i + 1) * HASH_BYTES));
  while (row.length > 1) row = pairs(row);
  const [root] = row;
  if (root?.length !== HASH_BYTES) throw new RangeError(`hashes ${from} to ${from + count} are not in the tile`);
  return root;
}

function pairs(row: readonly Hash[]): Hash[] {
  const above: Hash[] = [];
  for (let i = 0; i + 1 < row.length; i += 2) above.push(nodeHash(row[i] ?? Buffer.alloc(0), row[i + 1] ?? Buffer.alloc(0)));
  return above;
}

/** A tree that is only appended to, and gives each tile when its last leaf fills it. It keeps its frontier and what tiles are not full, less than 8 KiB a tile level. */
export class TiledTree {
  private frontier = new Frontier();
  private partial: Hash[][] = [];

  get size(): number {
    return this.frontier.size;
  }

  root(): Hash {
    return this.frontier.root();
  }

  /** Appends a leaf hash and returns the tiles that it fills, lowest level first. */
  append(leaf: Hash): readonly Tile[] {
    const full: Tile[] = [];
    this.frontier.append(leaf, ({ level, index }, root) => {
      if (level % TILE_HEIGHT !== 0) return;
      const tileLevel = level / TILE_HEIGHT;
      this.partial[tileLevel] ??= [];
      const hashes = this.partial[tileLevel];
      hashes.push(root);
      if (hashes.length < TILE_WIDTH) return;
      full.push({ level: tileLevel, n: Math.floor(index / TILE_WIDTH), hashes: Buffer.concat(hashes) });
      this.partial[tileLevel] = [];
    });
    return full;
  }

  /** Another tree of the same leaves: what is appended to one does not change the other. */
  copy(): TiledTree {
    const other = new TiledTree();
    other.frontier = this.frontier.copy();
    other.partial = this.partial.map((hashes) => [...hashes]);
    return other;
  }
}
