import { type Hash, leafHash } from "./hash.ts";
import type { Tile, TiledTree } from "./tiles.ts";

// What the signer makes of a look at the database: values in, a decision out. It believes what it has signed, and compares the database with it; never the other way round.

/** A log of a site, as the database tells of it. It ends where the next one begins. */
export interface Log {
  /** 1, 2, 3, … */
  readonly log: number;
  readonly origin: string;
  /** Position of its first entry. Leaf `index` is the entry at position `first + index`. */
  readonly first: number;
}

/** That a log begins with a restore, as somebody told the signer. */
export interface Break {
  readonly log: number;
  /** Position of its first entry. */
  readonly first: number;
}

export interface Entry {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** What the database showed at one moment. */
export interface Look {
  /** All logs of the site, in order. */
  readonly logs: readonly Log[];
  /** The last position that has an entry; 0: none. */
  readonly last: number;
  /** Entries that were signed, and are looked at again. */
  readonly again: readonly Entry[];
  /** Leaves of entries that were disposed of, where the next ones would be; before `next`. Believed only as far as they give an anchored root, or by whoever adopts the log. */
  readonly kept?: readonly Remembered[];
  /** Entries behind the signed ones, in position order; as many as one step takes. */
  readonly next: readonly Entry[];
}

export interface Held {
  readonly log: Log;
  readonly tree: TiledTree;
}

/** A leaf that the signer has kept, and where its entry must stand. */
export interface Remembered {
  readonly position: number;
  readonly leaf: Hash;
}

export type SignerRefusal =
  /** The log is not in the database, or is another one there, and nobody has told the signer of a restore. */
  | "foreign-log"
  /** The database ends before what was signed: it was cut off, or is a backup. */
  | "shrunken"
  /** A signed entry is not the one that was signed. */
  | "diverging"
  /** A signed entry is not there. */
  | "missing"
  /** The next entry does not follow on the last: a position is left out. */
  | "gap"
  /** The next log begins before the end of what was signed of this one, as after a restore, and nobody has told the signer that this is meant. */
  | "broken-off"
  /** There are entries, but neither a state of one's own nor an anchor to begin from. */
  | "no-anchor"
  /** The entries do not give the root that an anchor holds. */
  | "anchor-disagrees"
  /** The mirror does not hold what was written to it, or holds something else. */
  | "mirror-disagrees"
  /** The private key of the key that signs now is not at hand, or somebody signed with another. */
  | "unknown-key"
  /** The signer's own files contradict each other. */
  | "damaged-state";

export interface Refused {
  readonly kind: "refused";
  readonly because: SignerRefusal;
  readonly log: number | null;
  /** The first position that is wrong, where one is known. */
  readonly position: number | null;
  /** For people: what was expected, and what is there. */
  readonly detail: string;
}

export type Decision =
  | Refused
  /** Grown by these leaves, to be signed. */
  | { readonly kind: "sign"; readonly leaves: readonly Hash[]; readonly tree: TiledTree; readonly tiles: readonly Tile[] }
  /** Nothing is new. */
  | { readonly kind: "idle" }
  /** All of this log is signed, or as much as a restore has left; the next one has begun. */
  | { readonly kind: "ended"; readonly how: "complete" | "broken"; readonly next: Log };

export const refused = (because: SignerRefusal, log: Log | null, position: number | null, detail: string): Refused => ({
  kind: "refused",
  because,
  log: log?.log ?? null,
  position,
  detail,
});

/** The log that begins where this one ends. */
export const nextLog = (log: Log, logs: readonly Log[]): Log | null => logs.find(({ log: number }) => number > log.log) ?? null;

export const isTold = (breaks: readonly Break[], { log, first }: Log): boolean => breaks.some((told) => told.log === log && told.first === first);

/** The log that began with a restore of a backup which is older than this whole log, so that this one is not in the database any more; null: there is none, or nobody told of it. */
export function beganInItsPlace(log: Log, logs: readonly Log[], breaks: readonly Break[]): Log | null {
  const next = logs.some(({ log: number }) => number === log.log) ? null : nextLog(log, logs);
  return next !== null && isTold(breaks, next) ? next : null;
}

/** How many steps it takes to look at every leaf of a log again, while the log does not grow. At two a second: half an hour. */
const SCRUB_STEPS = 3_600;
/**
 * Of each step at least so many, that a small log is seen again within seconds; and at most so many: to look at entries again must not cost more the more there are of them. Of 5,000,000 it takes
 * some three hours.
 */
const SCRUB_LEAVES = { least: 64, most: 256 } as const;

/** The leaves [begin, end) that a step looks at again, beside the last one, and where the next step goes on. `from`: the first whose entry was not disposed of. */
export function lookAgain(size: number, at: number, from = 0): { readonly begin: number; readonly end: number; readonly next: number } {
  const begin = Math.min(size, at < size && at >= from ? at : from);
  const end = Math.min(size, begin + Math.min(SCRUB_LEAVES.most, Math.max(SCRUB_LEAVES.least, Math.ceil(size / SCRUB_STEPS))));
  return { begin, end, next: end === size ? 0 : end };
}

/**
 * Whether to sign. Nothing is signed while the database shows less than what was signed, or something else at a place that was, unless the signer was told that this is where a
 * restore begins; the first such place is named.
 */
export function decide(held: Held, remembered: readonly Remembered[], look: Look, breaks: readonly Break[]): Decision {
  const { log, tree } = held;
  const instead = beganInItsPlace(log, look.logs, breaks);
  if (instead !== null) return { kind: "ended", how: "broken", next: instead };
  const foreign = refuseForeign(log, look.logs);
  if (foreign !== null) return foreign;
  const next = nextLog(log, look.logs);
  const end = next?.first ?? Number.POSITIVE_INFINITY;
  const signedEnd = log.first + tree.size;
  if (end < signedEnd && next !== null && !isTold(breaks, next)) return brokenOff(log, next, tree.size);
  const stands = Math.min(signedEnd, end);
  const changed =
    refuseShorter(log, stands, look.last) ??
    refuseChanged(
      look.logs,
      remembered.filter(({ position }) => position < stands),
      look.again,
    );
  if (changed !== null) return changed;
  if (next !== null && end <= signedEnd) return { kind: "ended", how: end < signedEnd ? "broken" : "complete", next };

  const entries = nextLeaves(look, end);
  const gap = refuseGap(log, signedEnd, Math.min(end - 1, look.last), entries);
  if (gap !== null) return gap;
  if (entries.length === 0) return { kind: "idle" };
  const grown = tree.copy();
  const leaves = entries.map(({ leaf }) => leaf);
  return { kind: "sign", leaves, tree: grown, tiles: leaves.flatMap((leaf) => grown.append(leaf)) };
}

/** The log must stand where it stood, under the name that is signed, and the next one must be the next. */
export function refuseForeign(log: Log, logs: readonly Log[]): Refused | null {
  const there = logs.find(({ log: number }) => number === log.log);
  if (there === undefined) return refused("foreign-log", log, null, `Log ${log.log} is not in the database.`);
  if (there.origin !== log.origin || there.first !== log.first)
    return refused(
      "foreign-log",
      log,
      null,
      `Log ${log.log} is ${log.origin} from position ${log.first}; in the database it is ${there.origin} from position ${there.first}.`,
    );
  const next = nextLog(log, logs);
  if (next !== null && next.log !== log.log + 1) return refused("foreign-log", log, next.first, `After log ${log.log} comes log ${next.log} in the database.`);
  return null;
}

/** Entries must stand up to before `end`, if any of this log was signed at all: what is before a log need not be there. */
export const refuseShorter = (log: Log, end: number, last: number): Refused | null =>
  end <= log.first || last >= end - 1
    ? null
    : refused(
        "shrunken",
        log,
        last + 1,
        `Signed up to position ${end - 1}; the last entry in the database is at ${last}. A restore from a backup is put on record with: signalbox restored.`,
      );

export const brokenOff = (log: Log, next: Log, size: number): Refused =>
  refused(
    "broken-off",
    log,
    next.first,
    `Log ${next.log} begins at position ${next.first}, but log ${log.log} was signed up to ${log.first + size - 1}, and nobody told the signer that this is meant. A restore from a backup is put on record with: signalbox restored.`,
  );

/** The leaves that come next, before a position. */
export const nextLeaves = ({ kept = [], next }: Pick<Look, "kept" | "next">, end: number): readonly Remembered[] =>
  [...kept, ...next.map(({ position, bytes }) => ({ position, leaf: leafHash(bytes) }))].filter(({ position }) => position < end);

/** The next entries must follow on each other from `from` on, and there must be one when `last` is not before it. */
export function refuseGap(log: Log, from: number, last: number, entries: readonly { readonly position: number }[]): Refused | null {
  const at = entries.findIndex(({ position }, i) => position !== from + i);
  if (at === -1 && (entries.length > 0 || last < from)) return null;
  const left = from + Math.max(0, at);
  return refused("gap", log, left, `No entry at position ${left}, but there are some behind it.`);
}

/** `logs`: what is looked at again may be of one that has ended. */
function refuseChanged(logs: readonly Log[], remembered: readonly Remembered[], again: readonly Entry[]): Refused | null {
  const there = new Map(again.map(({ position, bytes }) => [position, bytes]));
  for (const { position, leaf } of [...remembered].sort((one, other) => one.position - other.position)) {
    const log = logs.findLast(({ first }) => first <= position) ?? null;
    const bytes = there.get(position);
    if (bytes === undefined) return refused("missing", log, position, `The entry at position ${position} was signed and is not there.`);
    const now = leafHash(bytes);
    if (!now.equals(leaf))
      return refused(
        "diverging",
        log,
        position,
        `The entry at position ${position} was signed as leaf ${leaf.toString("hex")} and is ${now.toString("hex")} now.`,
      );
  }
  return null;
}
