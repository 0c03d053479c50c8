import { type Checkpoint, type CheckpointRefusal, openCheckpoint } from "./checkpoint.ts";
import { openNote } from "./note.ts";
import { parseVerifierKey, type VerifierKey } from "./note-key.ts";

/** The keys of a site's signer in the order in which they were introduced. The last signs now; with the others only what came before can be verified. */
export type KeyRing = readonly [VerifierKey, ...VerifierKey[]];

export type RingRefusal =
  | CheckpointRefusal
  /** Signed by an earlier key alone: whoever has it may be a thief. */
  | "retired-key";

export type Accepted =
  | { readonly kind: "accepted"; readonly checkpoint: Checkpoint; readonly ring: KeyRing }
  | { readonly kind: "refused"; readonly because: RingRefusal };

const INTRODUCES = "key ";

/**
 * The extension line by which a checkpoint introduces the key that signs from then on. It names the key in full, since a signature names only four bytes of its hash; so
 * whoever holds the first key can follow all others through the notes alone. (Extension lines are opaque to other verifiers: C2SP tlog-checkpoint, "Note text", 4.)
 */
export const introductionOf = (key: VerifierKey): string => `${INTRODUCES}${key.text}`;

/**
 * Takes the next checkpoint in order. The key that signs now must have signed it. A key that it introduces signs from then on if it has signed this one too: the new key by the
 * old one's word, and by its own. Otherwise nothing is introduced, which is how a crash between the two signatures leaves it.
 */
export function acceptCheckpoint(note: Uint8Array, ring: KeyRing): Accepted {
  const opened = openCheckpoint(note, ring);
  if (opened.kind === "refused") return opened;
  const { checkpoint, by } = opened;
  const now = currentKey(ring);
  if (!by.some(({ text }) => text === now.text)) return { kind: "refused", because: "retired-key" };
  const introduced = introducedBy(checkpoint, note);
  return { kind: "accepted", checkpoint, ring: introduced === null || introduced.text === now.text ? ring : [...ring, introduced] };
}

export const currentKey = (ring: KeyRing): VerifierKey => ring[ring.length - 1] ?? ring[0];

function introducedBy({ extensions }: Checkpoint, note: Uint8Array): VerifierKey | null {
  const [line, another] = extensions.filter((extension) => extension.startsWith(INTRODUCES));
  if (line === undefined || another !== undefined) return null;
  const key = parseVerifierKey(line.slice(INTRODUCES.length));
  return typeof key === "string" || openNote(note, [key]).kind === "refused" ? null : key;
}
