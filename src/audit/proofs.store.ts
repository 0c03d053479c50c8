import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { Subtree } from "./frontier.ts";
import { type Hash, leafHash } from "./hash.ts";
import { leavesOf } from "./log.store.ts";
import type { Log } from "./signer.ts";
import { type InTile, inTile, rootInTile, TILE_WIDTH } from "./tiles.ts";
import { consistencyRanges, inclusionRanges, type Range, rootOf, subtreesOf } from "./tree.ts";
import { refuseConsistency, refuseInclusion } from "./verify-proof.ts";

/** What was signed of a log, as the note itself says it. */
export interface NotedTree {
  readonly size: number;
  readonly root: Hash;
  readonly note: string;
}

/** A log with the latest of its checkpoints whose leaves are all still in the log: a restore may have cut off what was signed last. */
export interface SignedLog {
  readonly log: Log;
  /** The next log has begun: no more of this one is signed than `tree` says, except what is being signed now. */
  readonly ended: boolean;
  /** null: nothing of it is signed. */
  readonly tree: NotedTree | null;
}

/** The log that has a position, or the log with a number, or a site's last one; null: there is none. */
export async function readSignedLog(db: Db, site: string, which: { readonly position?: number; readonly log?: number | undefined }): Promise<SignedLog | null> {
  const { position = null, log = null } = which;
  const { rows } = await sql<{ log: number; origin: string; first: bigint; ended: boolean; note: string | null }>`
    select l.log, l.origin, l.first_position as first, l.next is not null as ended, c.note
    from (select log, origin, first_position, lead(first_position) over (order by log) as next from audit_logs where site = ${site}) as l
    left join lateral (select c.note from audit_checkpoints c where c.site = ${site} and c.log = l.log and c.size <= coalesce(l.next - l.first_position, c.size)
      order by c.size desc limit 1) c on true
    where (${position}::bigint is null or l.first_position <= ${position}) and (${log}::integer is null or l.log = ${log}) order by l.log desc limit 1`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) return null;
  const { origin, first, ended, note } = row;
  return { log: { log: row.log, origin, first: safePosition(first) }, ended, tree: note === null ? null : noted(note) };
}

/** The note over a log at a size; null: none is kept of that size. */
export async function readNoted(db: Db, site: string, log: number, size: number): Promise<NotedTree | null> {
  const { rows } = await sql<{ note: string }>`select note from audit_checkpoints where site = ${site} and log = ${log} and size = ${size}`.execute(db);
  return rows[0] === undefined ? null : noted(rows[0].note);
}

/** The notes by which keys were introduced up to a log, in order: through them whoever has the first public key finds the one that signs. */
export async function readIntroductions(db: Db, site: string, log: number): Promise<readonly string[]> {
  const { rows } = await sql<{ note: string }>`
    select note from audit_checkpoints where site = ${site} and log <= ${log} and strpos(note, E'\nkey ') > 0 order by log, size`.execute(db);
  return rows.map(({ note }) => note);
}

/** Size and root as the note's text has them (C2SP tlog-checkpoint): what stands in columns beside it is not signed. */
function noted(note: string): NotedTree {
  const [, size = "", root = ""] = note.split("\n");
  return { size: Number(size), root: Buffer.from(root, "base64"), note };
}

/** The leaf hash of an entry that was disposed of; null: it was not, or is not kept. */
export async function readKeptLeaf(db: Db, site: string, log: Log, position: number): Promise<Hash | null> {
  const { rows } = await sql<{ through: bigint }>`select disposed_position(${site}) as through`.execute(db);
  if (position > safePosition(rows[0]?.through ?? 0n)) return null;
  for await (const { leaf } of leavesOf(db, site, log, position, position)) return leaf;
  return null;
}

/** Proofs that were tried before they are given away. */
export interface Prover {
  /** That a leaf is in a tree; null: what the database has does not lead to the root that was signed. */
  inclusion(site: string, log: Log, leaf: Hash, index: number, tree: NotedTree): Promise<readonly Hash[] | null>;
  /** That a tree is the beginning of another. Of a size of which no note is kept the root is not known, and is left to whoever has it. */
  consistency(
    site: string,
    log: Log,
    first: number,
    second: number,
    noted: { readonly first: NotedTree | null; readonly second: NotedTree | null },
  ): Promise<readonly Hash[] | null>;
}

/** Logs whose readers are kept: whoever proves, proves of few. */
const KEPT_READERS = 64;

export function prover(db: Db): Prover {
  const readers = new Map<string, ProofReader>();

  /** A proof out of what a log's reader keeps. One that fails may come of a tile that was wrong when it was read, so the reader goes too. */
  async function proven(
    site: string,
    log: Log,
    read: (reader: ProofReader) => Promise<readonly Hash[] | null>,
    holds: (proof: readonly Hash[]) => boolean,
  ): Promise<readonly Hash[] | null> {
    const key = `${site} ${log.log} ${log.first}`;
    const reader = readers.get(key) ?? proofReader(db, site, log);
    if (readers.size >= KEPT_READERS && !readers.has(key)) readers.clear();
    readers.set(key, reader);
    const proof = await read(reader);
    if (proof !== null && holds(proof)) return proof;
    readers.delete(key);
    return null;
  }

  return {
    inclusion: (site, log, leaf, index, { size, root }) =>
      proven(
        site,
        log,
        (reader) => reader.inclusion(index, size),
        (proof) => refuseInclusion({ index, size, leaf, proof, root }) === null,
      ),
    consistency: (site, log, first, second, { first: one, second: other }) =>
      proven(
        site,
        log,
        (reader) => reader.consistency(first, second),
        (proof) => one === null || other === null || refuseConsistency({ first, second, firstRoot: one.root, secondRoot: other.root, proof }) === null,
      ),
  };
}

/** Proofs of one log out of its tiles and entries. Whoever gets one verifies it against a checkpoint: an altered tile makes a proof that does not hold, never a false one. */
export interface ProofReader {
  /** That the entry with this index is in the tree of `size` leaves; null: not all that it takes is in the database. Throws a RangeError when there is no such leaf. */
  inclusion(index: number, size: number): Promise<readonly Hash[] | null>;
  /** That the tree of `first` leaves is the beginning of the one of `second`; null as above. Throws a RangeError unless 0 < first <= second. */
  consistency(first: number, second: number): Promise<readonly Hash[] | null>;
  /** The roots of full subtrees, in the order in which they are asked for; null as above. */
  roots(subtrees: readonly Subtree[]): Promise<readonly Hash[] | null>;
}

/** Roots of tiles that a reader keeps. Of the tiles above that are not full it needs at most 255 a level; what fills while the log grows goes first. */
const KEPT_ROOTS = 1_024;

/**
 * A reader keeps the roots of tiles that it has put together, 32 bytes for 256 entries, of the tiles above that are not full yet. So it is kept as long as its log is asked for, and
 * makes these roots once.
 */
export function proofReader(db: Db, site: string, log: Log): ProofReader {
  const roots = new Map<string, Hash>();

  async function proof(ranges: readonly Range[]): Promise<readonly Hash[] | null> {
    const subtrees = ranges.flatMap(subtreesOf);
    const hashes = await rootsOf(subtrees);
    if (hashes === null) return null;
    const byPlace = new Map(subtrees.map((subtree, i) => [placeOf(subtree), hashes[i]]));
    return ranges.map((range) => rootOf(range, (subtree) => byPlace.get(placeOf(subtree)) ?? Buffer.alloc(0)));
  }

  /** One statement for the tiles, and one for what each tile is made of that is not full yet, of which there is one a level. */
  async function rootsOf(subtrees: readonly Subtree[]): Promise<readonly Hash[] | null> {
    const places = subtrees.map(inTile);
    const tiles = new Map<string, { readonly begin: number; readonly hashes: Buffer }>();
    for (const [place, hashes] of await readTiles(places)) tiles.set(place, { begin: 0, hashes });
    const found: Hash[] = [];
    for (const { level, n, from, count } of places) {
      const tile = tiles.get(`${level}:${n}`) ?? (await partOf(level, n, places));
      if (tile === null) return null;
      tiles.set(`${level}:${n}`, tile);
      found.push(rootInTile(tile.hashes, from - tile.begin, count));
    }
    return found;
  }

  /** As much as is asked for of a tile that is not full: the hashes of entries, or the roots of the full tiles below. Null when one is not there. */
  async function partOf(level: number, n: number, places: readonly InTile[]): Promise<{ readonly begin: number; readonly hashes: Buffer } | null> {
    const asked = places.filter((place) => place.level === level && place.n === n);
    const begin = Math.min(...asked.map(({ from }) => from));
    const end = Math.max(...asked.map(({ from, count }) => from + count));
    const first = n * TILE_WIDTH;
    const hashes = level === 0 ? await leaves(first + begin, first + end) : await rootsOfTiles(level - 1, first + begin, first + end);
    return hashes.length === end - begin ? { begin, hashes: Buffer.concat([...hashes]) } : null;
  }

  /** Of entries that were disposed of the hash is kept, and comes first. */
  async function leaves(begin: number, end: number): Promise<readonly Hash[]> {
    const { rows } = await sql<{ entry: Buffer }>`
      select entry from audit_entries where site = ${site} and position >= ${log.first + begin} and position < ${log.first + end} order by position`.execute(
      db,
    );
    const found = rows.map(({ entry }) => leafHash(entry));
    const gone = end - begin - found.length;
    if (gone === 0) return found;
    const kept: Hash[] = [];
    for await (const { leaf } of leavesOf(db, site, log, log.first + begin, log.first + begin + gone - 1)) kept.push(leaf);
    return [...kept, ...found];
  }

  async function rootsOfTiles(level: number, begin: number, end: number): Promise<readonly Hash[]> {
    const wanted = Array.from({ length: end - begin }, (_, i) => ({ level, n: begin + i }));
    const tiles = await readTiles(wanted.filter(({ n }) => !roots.has(`${level}:${n}`)));
    for (const [place, hashes] of tiles) roots.set(place, rootInTile(hashes, 0, TILE_WIDTH));
    const found = wanted.flatMap(({ n }) => roots.get(`${level}:${n}`) ?? []);
    for (const place of roots.keys()) {
      if (roots.size <= KEPT_ROOTS) break;
      roots.delete(place);
    }
    return found;
  }

  async function readTiles(places: readonly { readonly level: number; readonly n: number }[]): Promise<ReadonlyMap<string, Buffer>> {
    const wanted = [...new Map(places.map((place) => [`${place.level}:${place.n}`, place])).values()];
    const { rows } = await sql<{ level: number; n: bigint; hashes: Buffer }>`
      select t.level, t.n, t.hashes from unnest(${wanted.map(({ level }) => level)}::smallint[], ${wanted.map(({ n }) => n)}::bigint[]) as w (level, n)
      join audit_tiles t on t.site = ${site} and t.log = ${log.log} and t.level = w.level and t.n = w.n`.execute(db);
    return new Map(rows.map(({ level, n, hashes }) => [`${level}:${n}`, hashes]));
  }

  return {
    inclusion: async (index, size) => proof(inclusionRanges(index, size)),
    consistency: async (first, second) => proof(consistencyRanges(first, second)),
    roots: rootsOf,
  };
}

const placeOf = ({ level, index }: Subtree): string => `${level}:${index}`;
