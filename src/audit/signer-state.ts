import { z } from "zod";
import { HASH_BYTES, type Hash } from "./hash.ts";
import type { KeyRing } from "./key-ring.ts";
import { parseVerifierKey } from "./note-key.ts";
import type { Log } from "./signer.ts";

/** What a signer keeps of a log beside its leaves: up to where it signed, with what, and where it stands with its mirror. */
export interface SignerState {
  readonly log: Log;
  readonly size: number;
  readonly root: Hash;
  /** The last checkpoint; null: nothing was signed yet. */
  readonly note: string | null;
  /** Bytes of the mirror, the last checkpoint the last of them. */
  readonly mirrorBytes: number;
  readonly ring: KeyRing;
  /** The leaf from which the next step looks again. */
  readonly scrub: number;
  /** Up to which position entries were disposed of; 0: of none. */
  readonly disposed: number;
  /** How far the checkpoints of this log have said so. */
  readonly said: number;
  /** Whether the next log has begun, and how this one ended. */
  readonly ended: "complete" | "broken" | null;
}

const count = z.int().min(0);
const key = z.string().transform((text, context) => {
  const read = parseVerifierKey(text);
  if (typeof read !== "string") return read;
  context.addIssue(read);
  return z.NEVER;
});

const shape = z.strictObject({
  version: z.literal(1),
  log: z.int().min(1),
  origin: z.string().min(1),
  first: z.int().min(1),
  size: count,
  root: z.base64().transform((text) => Buffer.from(text, "base64")),
  note: z.string().nullable(),
  mirrorBytes: count,
  keys: z.tuple([key], key),
  scrub: count,
  // states from before there were disposals
  disposed: count.default(0),
  said: count.default(0),
  ended: z.enum(["complete", "broken"]).nullable(),
});

/** Null when the text is not what `writeState` writes. */
export function readState(text: string): SignerState | null {
  const read = shape.safeParse(jsonOf(text));
  if (!read.success || read.data.root.length !== HASH_BYTES) return null;
  const { version, log, origin, first, keys, ...rest } = read.data;
  return { log: { log, origin, first }, ring: keys, ...rest };
}

export const writeState = ({ log, root, ring, ...rest }: SignerState): string =>
  `${JSON.stringify({ version: 1, ...log, ...rest, root: root.toString("base64"), keys: ring.map(({ text }) => text) }, null, 2)}\n`;

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
