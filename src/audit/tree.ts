import type { Subtree } from "./frontier.ts";
import { EMPTY_ROOT, type Hash, nodeHash } from "./hash.ts";

// Proofs of a Merkle tree of any size (RFC 6962 section 2.1), from the roots of its full subtrees. Which subtrees a proof needs is told first (`inclusionRanges`,
// `consistencyRanges`, `subtreesOf`), so that whoever keeps them elsewhere reads them all at once; there are O(log n) of them.
// Sizes and indexes are safe integers: up to 2^53 - 1.

/** Leaves from `begin` to before `end`, as the RFC's D[begin:end]. */
export interface Range {
  readonly begin: number;
  readonly end: number;
}

/** Gives the root of a full subtree. */
export type SubtreeHashes = (subtree: Subtree) => Hash;

/**
 * The ranges whose roots prove that leaf `index` is in the tree of `size` leaves, in the order of the proof (RFC 6962 section 2.1.1: PATH). Throws a RangeError when there is
 * no such leaf; in a tree of size 0 there is none.
 */
export function inclusionRanges(index: number, size: number): readonly Range[] {
  if (!isCount(index) || !isCount(size) || index >= size) throw new RangeError(`there is no leaf ${index} in a tree of ${size}`);
  const ranges: Range[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + split(end - begin);
    if (index < middle) {
      ranges.push({ begin: middle, end });
      end = middle;
    } else {
      ranges.push({ begin, end: middle });
      begin = middle;
    }
  }
  return ranges.reverse();
}

/**
 * The ranges whose roots prove that the tree of `first` leaves is the beginning of the tree of `second` leaves (RFC 6962 section 2.1.2: PROOF); none when they are equal.
 * Throws a RangeError unless 0 < first <= second: every tree begins with the empty one, so a proof from size 0 would prove nothing.
 */
export function consistencyRanges(first: number, second: number): readonly Range[] {
  if (!isCount(first) || !isCount(second) || first === 0 || first > second)
    throw new RangeError(`a tree of ${second} cannot be shown to begin with one of ${first}`);
  const ranges: Range[] = [];
  let begin = 0;
  let end = second;
  while (first !== end) {
    const middle = begin + split(end - begin);
    if (first <= middle) {
      ranges.push({ begin: middle, end });
      end = middle;
    } else {
      ranges.push({ begin, end: middle });
      begin = middle;
    }
  }
  // whoever verifies knows the root of the first tree; a part of it they must be given
  if (begin > 0) ranges.push({ begin, end });
  return ranges.reverse();
}

/** The full subtrees of a range, from left to right: each as large as fits. Of the whole tree: its frontier. */
export function subtreesOf({ begin, end }: Range): readonly Subtree[] {
  const subtrees: Subtree[] = [];
  let at = begin;
  while (at < end) {
    let level = 0;
    let width = 1;
    while (at % (width * 2) === 0 && at + width * 2 <= end) {
      width *= 2;
      level += 1;
    }
    subtrees.push({ level, index: at / width });
    at += width;
  }
  return subtrees;
}

/**
 * The root of a range that is a tree of its own, as the ranges above are and those that begin at 0 (RFC 6962 section 2.1: MTH): its full subtrees put together from the
 * right. Throws a RangeError on another range, whose subtrees do not fall in size from left to right; no tree has its root.
 */
export function rootOf(range: Range, hashes: SubtreeHashes): Hash {
  const subtrees = subtreesOf(range);
  if (subtrees.some(({ level }, i) => level >= (subtrees[i - 1]?.level ?? Number.POSITIVE_INFINITY)))
    throw new RangeError(`leaves ${range.begin} to ${range.end} are no tree of their own`);
  return subtrees.length === 0 ? EMPTY_ROOT : subtrees.map(hashes).reduceRight((right, left) => nodeHash(left, right));
}

export const inclusionProof = (index: number, size: number, hashes: SubtreeHashes): readonly Hash[] =>
  inclusionRanges(index, size).map((range) => rootOf(range, hashes));

export const consistencyProof = (first: number, second: number, hashes: SubtreeHashes): readonly Hash[] =>
  consistencyRanges(first, second).map((range) => rootOf(range, hashes));

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

/** The largest power of two smaller than `n` (RFC 6962 section 2.1: k). */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}
