import { HASH_BYTES, nodeHash } from "./hash.ts";

/** Why a proof does not hold. */
export type ProofRefusal =
  /** There is no such leaf, or no such tree: an index at or beyond the size, a size that falls, a number that is none. */
  | "no-such-place"
  /** A tree of size 0 proves nothing: every tree begins with it. */
  | "size-zero"
  | "proof-too-short"
  | "proof-too-long"
  /** Something in the proof is not 32 bytes. */
  | "not-a-hash"
  /** The proof leads to another root than the one given. */
  | "another-root"
  /** The proof of consistency leads to another first root than the one given: the history was changed. */
  | "another-first-root";

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

export interface Consistency {
  readonly first: number;
  readonly second: number;
  readonly firstRoot: Uint8Array;
  readonly secondRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * Whether a leaf is in a tree, by RFC 9162 section 2.1.3.2, whose names and steps this follows; null: it is. In a tree of size 0 there is no leaf.
 * Trees of nearby sizes may share a path, so the size is not proved by it: take size and root from a signed checkpoint, which binds them to each other.
 */
export function refuseInclusion({ index, size, leaf, proof, root }: Inclusion): ProofRefusal | null {
  if (!isCount(index) || !isCount(size) || index >= size) return "no-such-place";
  if (![leaf, ...proof].every(isHash)) return "not-a-hash";
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of proof) {
    if (sn === 0) return "proof-too-long";
    if (odd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      r = nodeHash(r, p);
    }
    fn = half(fn);
    sn = half(sn);
  }
  if (sn !== 0) return "proof-too-short";
  return same(r, root) ? null : "another-root";
}

/**
 * Whether a tree is the beginning of another, by RFC 9162 section 2.1.4.2, whose names and steps this follows; null: it is. Two trees of one size must have one root, and
 * the proof must be empty. From size 0 nothing is ever proved: a caller that knows no tree yet has nothing to compare, and must not take that for a proof.
 */
export function refuseConsistency({ first, second, firstRoot, secondRoot, proof }: Consistency): ProofRefusal | null {
  if (!isCount(first) || !isCount(second) || first > second) return "no-such-place";
  if (first === 0) return "size-zero";
  if (first === second) return proof.length > 0 ? "proof-too-long" : same(firstRoot, secondRoot) ? null : "another-root";
  // a first tree that is a full subtree of the second is not sent: the verifier has its root
  const [seed, ...rest] = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  if (proof.length === 0 || seed === undefined) return "proof-too-short";
  if (![seed, ...rest].every(isHash)) return "not-a-hash";
  let fn = first - 1;
  let sn = second - 1;
  while (odd(fn)) {
    fn = half(fn);
    sn = half(sn);
  }
  let fr = seed;
  let sr = seed;
  for (const c of rest) {
    if (sn === 0) return "proof-too-long";
    if (odd(fn) || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!odd(fn) && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      sr = nodeHash(sr, c);
    }
    fn = half(fn);
    sn = half(sn);
  }
  if (sn !== 0) return "proof-too-short";
  if (!same(fr, firstRoot)) return "another-first-root";
  return same(sr, secondRoot) ? null : "another-root";
}

// sizes may be larger than the 32 bits of JavaScript's bit operations
const odd = (n: number): boolean => n % 2 === 1;
const half = (n: number): number => Math.floor(n / 2);
const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
const isHash = (bytes: Uint8Array): boolean => bytes.length === HASH_BYTES;
const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

function isPowerOfTwo(n: number): boolean {
  let k = n;
  while (!odd(k)) k = half(k);
  return k === 1;
}
