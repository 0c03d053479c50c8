import { type RawBuilder, sql } from "kysely";
import type { Copied } from "../db/copy-out.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { HASH_BYTES } from "./hash.ts";
import type { Entry, Log, Remembered } from "./signer.ts";
import type { Ask, Shown, SignedCheckpoint } from "./signer-options.ts";
import { TILE_WIDTH, type Tile } from "./tiles.ts";

/** What one step takes of new entries: so many, and so many bytes, but one entry whatever it weighs. */
const ENTRIES = 4_096;
const BYTES = 8 * 1024 * 1024;

/** All logs of a site, in order. */
export async function readLogs(db: Db, site: string): Promise<readonly Log[]> {
  const { rows } = await sql<{ log: number; origin: string; first: bigint }>`
    select log, origin, first_position as first from audit_logs where site = ${site} order by log`.execute(db);
  return rows.map(({ log, origin, first }) => ({ log, origin, first: safePosition(first) }));
}

/**
 * What the signer wants to see, all of one moment: a log that begins between two statements would put entries into the wrong one. Locks nothing; reads entries by the primary key of
 * their partition.
 */
export async function lookAtLog(db: Db, site: string, { log, after, again, disposed = 0 }: Ask): Promise<Shown> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (trx) => {
      const logs = await readLogs(trx, site);
      const last = await sql<{ position: bigint }>`select position from audit_entries where site = ${site} order by position desc limit 1`.execute(trx);
      const seen = again.map(([from, to]) => sql`position between ${sql.lit(from)} and ${sql.lit(to)}`);
      const handed = await sql<{ size: bigint }>`select coalesce(max(size), 0) as size from audit_checkpoints where site = ${site} and log = ${log}`.execute(
        trx,
      );
      const kept =
        after === null || after >= disposed
          ? []
          : await keptLeaves(
              trx,
              site,
              logs.find((one) => one.log === log),
              after + 1,
              disposed,
            );
      // what follows on leaves that were kept is looked at with the step that has taken the last of them; where none were, the entries are there, or are missed
      const reached = kept.at(-1)?.position;
      const behind = reached === undefined ? after : reached < disposed ? null : reached;
      return {
        logs,
        ...(kept.length === 0 ? {} : { kept }),
        last: safePosition(last.rows[0]?.position ?? 0n),
        again:
          seen.length === 0
            ? []
            : await entries(trx, sql`select position, entry from audit_entries where site = ${sql.lit(site)} and (${sql.join(seen, sql` or `)})`),
        next: behind === null ? [] : await entries(trx, entriesAfter(site, behind)),
        handed: safePosition(handed.rows[0]?.size ?? 0n),
      };
    });
}

/** Leaf hashes of a log's positions from the one to the other, as many as one step takes, as far as they were kept without holes. */
async function keptLeaves(db: Db, site: string, log: Log | undefined, from: number, to: number): Promise<readonly Remembered[]> {
  if (log === undefined) return [];
  const found: Remembered[] = [];
  for await (const leaf of leavesOf(db, site, log, from, Math.min(to, from + ENTRIES - 1))) found.push(leaf);
  return found;
}

/** Tiles that are read at once. */
const TILES = 64;

/** The leaf hashes of a log's positions from the one to the other, out of full tiles and what was kept of an ended log's last one; ends where one is not there. */
export async function* leavesOf(db: Db, site: string, { log, first }: Log, from: number, to: number): AsyncGenerator<Remembered> {
  for (let index = Math.max(0, from - first); first + index <= to; ) {
    const n = Math.floor(index / TILE_WIDTH);
    const { rows } = await sql<{ begin: bigint; hashes: Buffer }>`
      select n * ${TILE_WIDTH} as begin, hashes from audit_tiles where site = ${site} and log = ${log} and level = 0 and n >= ${n} and n < ${n + TILES}
      union all
      select first_index, hashes from disposed_leaves where site = ${site} and log = ${log} and first_index >= ${n * TILE_WIDTH} and first_index < ${(n + TILES) * TILE_WIDTH}
      order by 1`.execute(db);
    const before = index;
    for (const { begin, hashes } of rows) {
      const at = index - safePosition(begin);
      for (let i = at; at >= 0 && i < hashes.length / HASH_BYTES && first + index <= to; i += 1) {
        yield { position: first + index, leaf: hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES) };
        index += 1;
      }
    }
    if (index === before) return;
  }
}

/** Writes a checkpoint and the tiles that it filled, all or nothing. What is there already is left: it was written before a reply was lost. */
export async function handCheckpoint(db: Db, site: string, { log, size, root, note }: SignedCheckpoint, tiles: readonly Tile[]): Promise<void> {
  await db.transaction().execute(async (trx) => {
    for (const { level, n, hashes } of tiles)
      await sql`insert into audit_tiles (site, log, level, n, hashes) values (${site}, ${log}, ${level}, ${n}, ${hashes}) on conflict do nothing`.execute(trx);
    await sql`insert into audit_checkpoints (site, log, size, root, note) values (${site}, ${log}, ${size}, ${root}, ${note}) on conflict do nothing`.execute(
      trx,
    );
  });
}

const entriesAfter = (site: string, after: number): RawBuilder<unknown> => sql`
  select position, entry from (
    select position, entry, sum(octet_length(entry)) over (order by position) - octet_length(entry) as before
    from (select position, entry from audit_entries where site = ${sql.lit(site)} and position > ${sql.lit(after)} order by position limit ${sql.lit(ENTRIES)}) as behind
  ) as weighed where before < ${sql.lit(BYTES)} order by position`;

/** The bytes as they stand, which is what is signed. */
async function entries(db: Db, statement: RawBuilder<unknown>): Promise<readonly Entry[]> {
  const { rows } = await sql<Copied>`copy (${statement}) to stdout (format binary)`.execute(db);
  return rows.map(([position, bytes]) => {
    if (position == null || bytes == null) throw new Error("an entry came without its position or its bytes");
    return { position: safePosition(position.readBigInt64BE()), bytes };
  });
}
