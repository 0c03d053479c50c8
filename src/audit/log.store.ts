import { type RawBuilder, sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { Entry, Log } from "./signer.ts";
import type { Ask, Shown, SignedCheckpoint } from "./signer-options.ts";
import type { Tile } from "./tiles.ts";

/** What one step takes of new entries: so many, and so many bytes, but one entry whatever it weighs. */
const ENTRIES = 4_096;
const BYTES = 8 * 1024 * 1024;

interface RawEntry {
  readonly position: bigint;
  readonly entry: Buffer;
}

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
export async function lookAtLog(db: Db, site: string, { log, after, again }: Ask): Promise<Shown> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (trx) => {
      const logs = await readLogs(trx, site);
      const last = await sql<{ position: bigint }>`select position from audit_entries where site = ${site} order by position desc limit 1`.execute(trx);
      const seen = again.map(([from, to]) => sql`position between ${from} and ${to}`);
      const handed = await sql<{ size: bigint }>`select coalesce(max(size), 0) as size from audit_checkpoints where site = ${site} and log = ${log}`.execute(
        trx,
      );
      return {
        logs,
        last: safePosition(last.rows[0]?.position ?? 0n),
        again:
          seen.length === 0 ? [] : await entries(trx, sql`select position, entry from audit_entries where site = ${site} and (${sql.join(seen, sql` or `)})`),
        next: after === null ? [] : await entries(trx, entriesAfter(site, after)),
        handed: safePosition(handed.rows[0]?.size ?? 0n),
      };
    });
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

const entriesAfter = (site: string, after: number): RawBuilder<RawEntry> => sql`
  select position, entry from (
    select position, entry, sum(octet_length(entry)) over (order by position) - octet_length(entry) as before
    from (select position, entry from audit_entries where site = ${site} and position > ${after} order by position limit ${ENTRIES}) as behind
  ) as weighed where before < ${BYTES} order by position`;

async function entries(db: Db, statement: RawBuilder<RawEntry>): Promise<readonly Entry[]> {
  const { rows } = await statement.execute(db);
  return rows.map(({ position, entry }) => ({ position: safePosition(position), bytes: entry }));
}
