import type { Checkpoint } from "../audit/checkpoint.ts";
import { acceptCheckpoint, type KeyRing, type RingRefusal } from "../audit/key-ring.ts";
import { parseVerifierKey, type VerifierKey } from "../audit/note-key.ts";

// Whom a verifier believes: the keys that it was handed, and those that one of them introduced. Never a key that the database shows.

/** The keys that were handed over, in the order in which they signed. */
export type Given = readonly [VerifierKey, ...VerifierKey[]];

/** Keys as people keep them: one verifier key a line. A string says what is wrong. */
export function readKeys(text: string): Given | string {
  const keys: VerifierKey[] = [];
  for (const line of text
    .split(/\r?\n/)
    .map((one) => one.trim())
    .filter((one) => one !== "")) {
    const key = parseVerifierKey(line);
    if (typeof key === "string") return `"${line.slice(0, 80)}" is no verifier key (${key}): it is one line of the form name+id+base64, as in signer.vkey.`;
    keys.push(key);
  }
  const [first, ...more] = keys;
  return first === undefined ? "There is no key in it." : [first, ...more];
}

/** What to ask oneself when nothing is signed by a key that was given. */
export const WHICH_KEY = "Is it this site's key? Where the key was replaced, give the first one, or all in the order in which they signed.";

export type NoteRead =
  | { readonly kind: "signed"; readonly checkpoint: Checkpoint }
  /** Signed by nobody who is known. `impostor`: behind what was signed by somebody who is, and by no key that was introduced. */
  | { readonly kind: "stranger"; readonly impostor: boolean }
  | { readonly kind: "refused"; readonly because: RingRefusal };

/** Reads the notes of one log in the order of their sizes, and follows the keys that they introduce. */
export class Trust {
  private ring: KeyRing;
  private readonly given: Given;
  /** Whether anything was signed by somebody known so far. */
  believes = false;

  constructor(given: Given) {
    this.given = given;
    this.ring = [given[0]];
  }

  read(note: string): NoteRead {
    const bytes = Buffer.from(note);
    // a signer that began anew after a restore has a key of its own, which was handed over and not introduced
    const rings: KeyRing[] = [
      this.ring,
      ...this.given.filter((key) => !this.ring.some(({ text }) => text === key.text)).map((key): KeyRing => [...this.ring, key]),
    ];
    let because: RingRefusal = "unknown-key";
    for (const ring of rings) {
      const read = acceptCheckpoint(bytes, ring);
      if (read.kind === "accepted") {
        this.ring = read.ring;
        this.believes = true;
        return { kind: "signed", checkpoint: read.checkpoint };
      }
      if (because === "unknown-key") because = read.because;
    }
    if (because !== "unknown-key") return { kind: "refused", because };
    // before the first that is believed there may be those of a key that has signed earlier and was not handed over
    return { kind: "stranger", impostor: this.believes };
  }
}

/** The origin and size that a note claims, unverified: to put notes in order before they are read. */
export function claimOf(note: string): { readonly origin: string; readonly size: number } | null {
  const [origin, size] = note.split("\n");
  return origin === undefined || size === undefined || !/^\d{1,16}$/.test(size) ? null : { origin, size: Number(size) };
}
