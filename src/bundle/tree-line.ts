import type { Subtree } from "../audit/frontier.ts";
import { HASH_BYTES, type Hash } from "../audit/hash.ts";
import { subtreesOf } from "../audit/tree.ts";

/**
 * A line of `tree.txt`: the root of a full subtree, in hexadecimal. The lines of a log cover its tree from the left to the right without holes, so together they give its root; a
 * line of level 0 with a position is the leaf of the entry there.
 */
export interface TreeLine {
  readonly subtree: Subtree;
  readonly hash: Hash;
  readonly position: number | null;
}

const LINE = /^([0-9]{1,2}) ([0-9]{1,16}) ([0-9a-f]{64})(?: ([1-9][0-9]{0,15}))?$/;

export const writeTreeLine = ({ subtree, hash, position }: TreeLine): string =>
  `${subtree.level} ${subtree.index} ${hash.toString("hex")}${position === null ? "" : ` ${position}`}\n`;

/** Null: it is none. */
export function readTreeLine(text: string): TreeLine | null {
  const [, level, index, hex, position] = LINE.exec(text) ?? [];
  if (hex === undefined) return null;
  const hash = Buffer.from(hex, "hex");
  return hash.length === HASH_BYTES
    ? { subtree: { level: Number(level), index: Number(index) }, hash, position: position === undefined ? null : Number(position) }
    : null;
}

/** The full subtrees between two chosen leaves, or before the first and behind the last. */
export const between = (begin: number, end: number): readonly Subtree[] => (begin < end ? subtreesOf({ begin, end }) : []);
