import { EMPTY_ROOT, type Hash, nodeHash } from "./hash.ts";

/** The root of the full subtree of 2^level leaves that begins at leaf index × 2^level. Level 0: a leaf. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/**
 * A tree of which only the right edge is kept: the roots of its largest full subtrees, one for each bit of its size, which is all that is needed to append leaves and to
 * tell the root (a compact range that begins at leaf 0). Appending costs one hash a leaf on average, the root one hash a subtree.
 */
export class Frontier {
  private count = 0;
  private edge: Hash[] = [];

  /** Leaves in the tree. */
  get size(): number {
    return this.count;
  }

  /**
   * Appends a leaf hash. `completed` is told of every subtree that this leaf fills, smallest first, the leaf itself among them. Throws a RangeError at 2^53 - 1 leaves.
   */
  append(leaf: Hash, completed?: (subtree: Subtree, root: Hash) => void): void {
    if (this.count >= Number.MAX_SAFE_INTEGER) throw new RangeError("the tree is full");
    let root = leaf;
    let level = 0;
    let index = this.count;
    completed?.({ level, index }, root);
    // an odd index is the right child of a subtree whose left child is the last of the edge
    for (; index % 2 === 1; level += 1) {
      const left = this.edge.pop();
      if (left === undefined) throw new Error("a frontier lacks a subtree that its size demands");
      root = nodeHash(left, root);
      index = (index - 1) / 2;
      completed?.({ level: level + 1, index }, root);
    }
    this.edge.push(root);
    this.count += 1;
  }

  /** The root of the tree at its size (RFC 6962 section 2.1: MTH); of an empty tree SHA-256 of nothing. */
  root(): Hash {
    return this.edge.length === 0 ? EMPTY_ROOT : this.edge.reduceRight((right, left) => nodeHash(left, right));
  }

  /** Another frontier of the same tree: what is appended to one does not change the other. */
  copy(): Frontier {
    const other = new Frontier();
    other.count = this.count;
    other.edge = [...this.edge];
    return other;
  }
}
