import { createHash } from "node:crypto";

// The tree of RFC 6962 section 2.1 as the RFC defines it, by recursion over D[begin:end], and nothing of ours: what the tests hold the tree of src/audit against.

const sha256 = (...parts: readonly Uint8Array[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

export interface RecursiveTree {
  /** MTH(D[begin:end]). */
  root(begin: number, end: number): Buffer;
  /** PATH(index, D[0:size]). */
  path(index: number, size: number): readonly Buffer[];
  /** PROOF(first, D[0:second]). */
  proof(first: number, second: number): readonly Buffer[];
}

export function recursiveTree(entries: readonly Uint8Array[]): RecursiveTree {
  const known = new Map<string, Buffer>();
  const nothing = Buffer.alloc(0);

  function root(begin: number, end: number): Buffer {
    const key = `${begin}:${end}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make(begin, end);
    known.set(key, made);
    return made;
  }

  function make(begin: number, end: number): Buffer {
    const n = end - begin;
    if (n === 0) return sha256(nothing);
    if (n === 1) return sha256(Buffer.of(0), entries[begin] ?? nothing);
    const k = largestPowerOfTwoBelow(n);
    return sha256(Buffer.of(1), root(begin, begin + k), root(begin + k, end));
  }

  function path(m: number, begin: number, end: number): readonly Buffer[] {
    const n = end - begin;
    if (n === 1) return [];
    const k = largestPowerOfTwoBelow(n);
    return m < k ? [...path(m, begin, begin + k), root(begin + k, end)] : [...path(m - k, begin + k, end), root(begin, begin + k)];
  }

  function subproof(m: number, begin: number, end: number, whole: boolean): readonly Buffer[] {
    const n = end - begin;
    if (m === n) return whole ? [] : [root(begin, end)];
    const k = largestPowerOfTwoBelow(n);
    return m <= k ? [...subproof(m, begin, begin + k, whole), root(begin + k, end)] : [...subproof(m - k, begin + k, end, false), root(begin, begin + k)];
  }

  return {
    root,
    path: (index, size) => path(index, 0, size),
    proof: (first, second) => subproof(first, 0, second, true),
  };
}

const largestPowerOfTwoBelow = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));
