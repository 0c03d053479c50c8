import type { Subtree } from "./frontier.ts";
import { EMPTY_ROOT, type Hash, nodeHash } from "./hash.ts";

/** A tree put together from the roots of full subtrees that cover it from the left to the right without holes; of it, as of a frontier, only the right edge is kept. */
export class Cover {
  private count = 0;
  private readonly edge: { readonly level: number; readonly root: Hash }[] = [];

  /** Leaves that are covered. */
  get size(): number {
    return this.count;
  }

  /** Whether a subtree begins where the cover ends, so that it may be put there. */
  fits({ level, index }: Subtree): boolean {
    return index * 2 ** level === this.count && this.count + 2 ** level <= Number.MAX_SAFE_INTEGER;
  }

  /** Throws a RangeError when the subtree does not begin where the cover ends. */
  put(subtree: Subtree, root: Hash): void {
    if (!this.fits(subtree)) throw new RangeError(`subtree ${subtree.level}:${subtree.index} does not follow on ${this.count} leaves`);
    let { level } = subtree;
    let whole = root;
    for (let left = this.edge.at(-1); left?.level === level; left = this.edge.at(-1)) {
      this.edge.pop();
      whole = nodeHash(left.root, whole);
      level += 1;
    }
    this.edge.push({ level, root: whole });
    this.count += 2 ** subtree.level;
  }

  /** The root of the tree at its size. */
  root(): Hash {
    return this.edge.length === 0 ? EMPTY_ROOT : this.edge.map(({ root }) => root).reduceRight((right, left) => nodeHash(left, right));
  }
}
