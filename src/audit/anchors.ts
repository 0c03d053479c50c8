import { disposedIn } from "./disposed-line.ts";
import type { Hash } from "./hash.ts";
import { acceptCheckpoint, type KeyRing } from "./key-ring.ts";
import { readMirror } from "./mirror.ts";
import {
  type Break,
  beganInItsPlace,
  brokenOff,
  type Held,
  isTold,
  type Log,
  type Look,
  nextLeaves,
  nextLog,
  type Refused,
  refused,
  refuseForeign,
  refuseGap,
  refuseShorter,
} from "./signer.ts";
import type { TiledTree } from "./tiles.ts";

// A signer that has no state, or an older one than its anchors, takes the leaves from the database, and believes them only as far as they give every anchored root.

export interface Anchor {
  readonly size: number;
  readonly root: Hash;
  /** The signed note. */
  readonly note: string;
}

export interface Anchors {
  readonly kind: "anchors";
  /** In the order of their sizes, each size once. */
  readonly anchors: readonly Anchor[];
  /** The keys that the notes introduced, behind those that were known. */
  readonly ring: KeyRing;
  /** Up to which position entries were disposed of, as the notes say; 0: of none. */
  readonly disposed: number;
  /** Whether the mirror ends within a note. */
  readonly torn: boolean;
}

/**
 * The anchors that a mirror of one log holds, each verified, with the keys that follow each other through them. Refuses a whole note that somebody else signed or altered, one of
 * another log, and two that contradict each other.
 */
export function readAnchors(text: string, origin: string, ring: KeyRing): Anchors | Refused {
  const { notes, torn } = readMirror(text);
  const anchors = new Map<number, Anchor>();
  let keys = ring;
  let disposed = 0;
  for (const note of notes) {
    const accepted = acceptCheckpoint(Buffer.from(note), keys);
    if (accepted.kind === "refused") {
      const stranger = accepted.because === "unknown-key" || accepted.because === "retired-key";
      return refused(stranger ? "unknown-key" : "mirror-disagrees", null, null, `A note in the mirror of ${origin} is refused (${accepted.because}).`);
    }
    const { size, root } = accepted.checkpoint;
    if (accepted.checkpoint.origin !== origin)
      return refused("mirror-disagrees", null, null, `The mirror of ${origin} holds a note of ${accepted.checkpoint.origin}.`);
    if (anchors.get(size)?.root.equals(root) === false)
      return refused("mirror-disagrees", null, null, `The mirror of ${origin} holds two roots for size ${size}.`);
    anchors.set(size, { size, root, note });
    keys = accepted.ring;
    disposed = Math.max(disposed, disposedIn(accepted.checkpoint));
  }
  return { kind: "anchors", anchors: [...anchors.values()].sort((one, other) => one.size - other.size), ring: keys, disposed, torn };
}

export type Followed =
  | Refused
  | {
      readonly kind: "followed";
      readonly leaves: readonly Hash[];
      readonly tree: TiledTree;
      /** The last anchor that was reached and agreed; null: none yet. */
      readonly agreed: Anchor | null;
      /** Whether there is no anchor further on that the log can reach. */
      readonly done: boolean;
      /** The next log, where it begins before the last anchor: nothing more may be signed of this one, since more was signed before. */
      readonly brokenBy: Log | null;
    };

/**
 * Takes the next entries as leaves, up to the last anchor. The root at each anchored size on the way must be the anchor's. Where the log was broken off by a restore, of which the
 * signer was told (`breaks`), the anchors behind the break are not asked. `anchors` begins with what the signer itself signed, if it has a state.
 */
export function follow(held: Held, anchors: readonly Anchor[], look: Look, breaks: readonly Break[]): Followed {
  const { log } = held;
  const instead = beganInItsPlace(log, look.logs, breaks);
  if (instead !== null) return { kind: "followed", leaves: [], tree: held.tree, agreed: null, done: true, brokenBy: instead };
  const foreign = refuseForeign(log, look.logs);
  if (foreign !== null) return foreign;
  const next = nextLog(log, look.logs);
  const end = next?.first ?? Number.POSITIVE_INFINITY;
  const last = anchors.at(-1)?.size ?? 0;
  const brokenBy = end < log.first + last ? next : null;
  if (brokenBy !== null && !isTold(breaks, brokenBy)) return brokenOff(log, brokenBy, last);
  const wanted = anchors.filter(({ size }) => size > held.tree.size && log.first + size <= end);
  const target = wanted.at(-1)?.size ?? held.tree.size;
  const shorter = refuseShorter(log, log.first + target, look.last);
  if (shorter !== null) return shorter;
  const from = log.first + held.tree.size;
  const entries = nextLeaves(look, log.first + target);
  const gap = refuseGap(log, from, log.first + target - 1, entries);
  if (gap !== null) return gap;

  const tree = held.tree.copy();
  const roots = new Map(wanted.map((anchor) => [anchor.size, anchor]));
  const leaves: Hash[] = [];
  let agreed: Anchor | null = null;
  for (const { position, leaf } of entries) {
    leaves.push(leaf);
    tree.append(leaf);
    const anchor = roots.get(tree.size);
    if (anchor === undefined) continue;
    if (!tree.root().equals(anchor.root)) {
      const before = anchors.filter(({ size }) => size < anchor.size).at(-1)?.size ?? 0;
      return refused(
        "anchor-disagrees",
        log,
        null,
        `${entryBetween(log.first + before, position)} is not the one that was signed: the anchor there holds another root.`,
      );
    }
    agreed = anchor;
  }
  return { kind: "followed", leaves, tree, agreed, done: tree.size === target, brokenBy };
}

/** An anchor says of all entries behind the one before it that one is wrong, not which. */
const entryBetween = (from: number, to: number): string => (from === to ? `The entry at position ${to}` : `An entry at a position from ${from} to ${to}`);
