import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import type { Subtree } from "./frontier.ts";
import { type Hash, leafHash } from "./hash.ts";
import type { Log } from "./signer.ts";
import { type InTile, inTile, rootInTile, TILE_WIDTH } from "./tiles.ts";
import { consistencyRanges, inclusionRanges, type Range, rootOf, subtreesOf } from "./tree.ts";

/** Proofs of one log out of its tiles and entries. Whoever gets one verifies it against a checkpoint: an altered tile makes a proof that does not hold, never a false one. */
export interface ProofReader {
  /** That the entry with this index is in the tree of `size` leaves; null: not all that it takes is in the database. Throws a RangeError when there is no such leaf. */
  inclusion(index: number, size: number): Promise<readonly Hash[] | null>;
  /** That the tree of `first` leaves is the beginning of the one of `second`; null as above. Throws a RangeError unless 0 < first <= second. */
  consistency(first: number, second: number): Promise<readonly Hash[] | null>;
  /** The roots of full subtrees, in the order in which they are asked for; null as above. */
  roots(subtrees: readonly Subtree[]): Promise<readonly Hash[] | null>;
}

/**
 * A reader keeps the roots of tiles that it has put together, 32 bytes for 256 entries, of the tiles above that are not full yet: at most 255 a level. So it is kept as long as its
 * log is asked for, and makes these roots once.
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

  async function leaves(begin: number, end: number): Promise<readonly Hash[]> {
    const { rows } = await sql<{ entry: Buffer }>`
      select entry from audit_entries where site = ${site} and position >= ${log.first + begin} and position < ${log.first + end} order by position`.execute(
      db,
    );
    return rows.map(({ entry }) => leafHash(entry));
  }

  async function rootsOfTiles(level: number, begin: number, end: number): Promise<readonly Hash[]> {
    const wanted = Array.from({ length: end - begin }, (_, i) => ({ level, n: begin + i }));
    const tiles = await readTiles(wanted.filter(({ n }) => !roots.has(`${level}:${n}`)));
    for (const [place, hashes] of tiles) roots.set(place, rootInTile(hashes, 0, TILE_WIDTH));
    return wanted.flatMap(({ n }) => roots.get(`${level}:${n}`) ?? []);
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
