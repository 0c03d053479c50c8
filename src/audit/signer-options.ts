import type { Anchor } from "./anchors.ts";
import type { Hash } from "./hash.ts";
import type { KeyRing } from "./key-ring.ts";
import type { SigningKey } from "./note-key.ts";
import type { Break, Held, Look, Refused } from "./signer.ts";
import type { SignerFiles } from "./signer-state.file.ts";
import type { SignerState } from "./signer-state.ts";
import type { Tile } from "./tiles.ts";

// What a signer is given, what its steps come to, and where it stands between them.

/** What a step wants to see of the database, all of one moment. */
export interface Ask {
  /** The log that is signed now; null: not known yet. */
  readonly log: number | null;
  /** Entries behind this position; null: none. */
  readonly after: number | null;
  /** Entries to be looked at again: positions from, to and with. */
  readonly again: readonly (readonly [from: number, to: number])[];
  /** Up to this position there are no entries any more, but the leaves that were kept of them; none: 0. */
  readonly disposed?: number;
}

export interface Shown extends Look {
  /** The size of the log's last checkpoint in the database; 0: none. Says what is still to be handed over, and is believed in nothing else. */
  readonly handed: number;
}

export interface SignedCheckpoint {
  readonly log: number;
  readonly size: number;
  readonly root: Hash;
  readonly note: string;
}

export interface SignerOptions {
  readonly files: SignerFiles;
  look(ask: Ask): Promise<Shown>;
  /** Writes a checkpoint and the tiles that it filled, all or nothing. What is there already is left. */
  hand(checkpoint: SignedCheckpoint, tiles: readonly Tile[]): Promise<void>;
  /** The key that signs; with a second one, that one is introduced by the next checkpoint and signs from then on. */
  readonly keys: readonly [SigningKey, ...SigningKey[]];
  /** The keys that the first note of the mirror may be by, where there is no state; by default the first of `keys`. */
  readonly trust?: KeyRing;
  /** Begin with a log that has entries but no anchor, or with an empty mirror. Whoever says so vouches for what is there. */
  readonly adopt?: boolean;
  /** The logs of which somebody told the signer that they begin with a restore. */
  readonly breaks?: readonly Break[];
  /** Up to which position somebody told the signer that entries were disposed of; 0: of none. */
  disposed?(): Promise<number>;
}

export type Step =
  | Refused
  /** A checkpoint counts: it is in the mirror and in the database. `position` is the last that it covers, `last` the last that had an entry. */
  | ({ readonly kind: "signed"; readonly position: number; readonly last: number } & SignedCheckpoint)
  /** Nothing is new since this checkpoint; null: nothing was signed yet. */
  | { readonly kind: "idle"; readonly checkpoint: SignedCheckpoint | null; readonly position: number }
  /** On the way to the last anchor: so many leaves of so many. */
  | { readonly kind: "following"; readonly log: number; readonly size: number; readonly of: number }
  /** All of a log is signed, or as much as a restore has left; the next one comes. */
  | { readonly kind: "ended"; readonly log: number; readonly how: "complete" | "broken"; readonly next: number };

/** Taking leaves from the database up to the last anchor. */
export interface Following {
  readonly at: "following";
  readonly held: Held;
  readonly anchors: readonly Anchor[];
  /** Whether the mirror ends within a note. */
  readonly torn: boolean;
  /** As it will be saved once the last anchor is reached. */
  readonly state: SignerState;
}

/** Signing what is new: the files say what `state` says. */
export interface Signing {
  readonly at: "signing";
  readonly held: Held;
  readonly state: SignerState;
  /** The tiles that were filled since a size, for the time until they are handed over. */
  readonly filled: { readonly since: number; readonly tiles: readonly Tile[] } | null;
}
