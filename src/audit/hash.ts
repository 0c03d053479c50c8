import { hash } from "node:crypto";

// The two hashes of a Merkle tree (RFC 6962 section 2.1, RFC 9162 section 2.1.1). A leaf and a node begin with different bytes, so that no entry can pass for a node.

/** SHA-256: 32 bytes. */
export type Hash = Buffer;

export const HASH_BYTES = 32;

const LEAF = 0x00;
const NODE = 0x01;

// Hashing is the signer's and the verifier's whole work, and is synchronous: one place to put the bytes together serves every call. Asking for text and reading it back is
// twice as fast as asking for a Buffer, which is made anew with memory of its own for each.
const node = Buffer.alloc(1 + 2 * HASH_BYTES, NODE);
let leaf = Buffer.alloc(1 + 16_384, LEAF);

export const sha256 = (bytes: Uint8Array): Hash => Buffer.from(hash("sha256", bytes, "hex"), "hex");

/** The root of a tree without leaves. */
export const EMPTY_ROOT: Hash = sha256(Buffer.alloc(0));

/** SHA-256(0x00 ‖ entry), the entry's bytes as they are stored. */
export function leafHash(entry: Uint8Array): Hash {
  if (leaf.length < 1 + entry.length) leaf = Buffer.alloc(1 + 2 * entry.length, LEAF);
  leaf.set(entry, 1);
  return sha256(leaf.subarray(0, 1 + entry.length));
}

/** SHA-256(0x01 ‖ left ‖ right). Throws a RangeError when a side is not 32 bytes: what came before would fill the place of what is missing. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Hash {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError(`a node has two hashes of ${HASH_BYTES} bytes`);
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256(node);
}
