import { type RawBuilder, sql } from "kysely";
import { leavesOf } from "../audit/log.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { COMMIT_COLUMNS } from "./commit-rows.ts";
import type { CheckpointRow, DefinitionApprovalRow, DefinitionRow, EntryRow, LogRow, Restore, RowAt, SaidDisposed, SiteRecord, TileRow } from "./record.ts";
import { type Columns, isDropped, type Told } from "./told-rows.ts";

/** Rows that a cursor brings at once; a signal's may weigh 256 KiB each. */
const FETCH = 256;
/** And of rows that are small. */
const FETCH_SMALL = 2_048;

/**
 * Gives the record of a site as of one moment to whoever looks at it, through cursors: however long the record, little of it is held at a time. Reads only, locks nothing; null: there
 * is no such site.
 */
export async function readRecord<T>(db: Db, site: string, look: (record: SiteRecord, trx: Db) => Promise<T>): Promise<T | null> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (trx) => {
      // a cursor that sorts may think for long before its first row, and whoever looks may think between two
      await sql`select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`.execute(trx);
      const record = await openRecord(trx, site);
      return record === null ? null : look(record, trx);
    });
}

async function openRecord(trx: Db, site: string): Promise<SiteRecord | null> {
  const heads = await sql<{ position: bigint; generation: number; now: string }>`
    select position, generation, clock_timestamp() as now from sites where site = ${site}`.execute(trx);
  const [head] = heads.rows;
  if (head === undefined) return null;
  const logs = await sql<{ log: number; origin: string; first: bigint; generation: number; why: string }>`
    select log, origin, first_position as first, generation, why from audit_logs where site = ${site} order by log`.execute(trx);
  const restores = await sql<{ generation: number; previous: number; position: bigint }>`
    select generation, previous, position from restores where site = ${site} order by position, generation`.execute(trx);
  const first = logs.rows[0]?.first ?? 1n;
  const disposed = await saidDisposed(trx, site);
  const ends = await sql<{ log: number; firstIndex: bigint; hashes: Buffer }>`
    select log, first_index as "firstIndex", hashes from disposed_leaves where site = ${site} order by log, first_index`.execute(trx);
  let cursors = 0;

  async function* cursor<T extends object>(statement: RawBuilder<T>, fetch = FETCH): AsyncGenerator<T> {
    cursors += 1;
    const name = sql.ref(`verify_${cursors}`);
    await sql`declare ${name} no scroll cursor for ${statement}`.execute(trx);
    for (;;) {
      const { rows } = await sql<T>`fetch ${sql.lit(fetch)} from ${name}`.execute(trx);
      yield* rows;
      if (rows.length < fetch) break;
    }
    await sql`close ${name}`.execute(trx);
  }

  // what belongs to no source of a site that there is belongs to nobody: every site says so
  const ofOurSources = sql`source_key not in (select source_key from sources where site in (select site from sites where site <> ${site}))`;

  return {
    site,
    head: { position: safePosition(head.position), generation: head.generation },
    now: head.now,
    logs: logs.rows.map((row): LogRow => ({ ...row, first: safePosition(row.first) })),
    restores: restores.rows.map((row): Restore => ({ ...row, position: safePosition(row.position) })),
    disposed,
    ends: ends.rows.map((row) => ({ ...row, firstIndex: safePosition(row.firstIndex) })),
    async *leaves(log, from, to) {
      for await (const { leaf } of leavesOf(trx, site, log, from, to)) yield leaf;
    },
    async *entries() {
      for await (const { position, entry } of cursor(
        sql<{
          position: bigint;
          entry: Buffer;
        }>`select position, entry from audit_entries where site = ${site} and position > ${disposed.positions} order by position`,
      ))
        yield { position: safePosition(position), bytes: entry } satisfies EntryRow;
    },
    async *rows({ table, columns, bySite }: Told) {
      const ofSite = bySite ? sql`site = ${site}` : ofOurSources;
      const from = isDropped(table) && disposed.positions >= first ? disposed.positions + 1 : first;
      for await (const row of cursor(
        sql<Columns & { readonly position: bigint }>`
          select ${sql.join(["position", ...columns].map((name) => sql.ref(name)))} from ${sql.table(table)} where ${ofSite} and position >= ${from} order by position`,
      ))
        yield { position: safePosition(row.position), row } satisfies RowAt;
    },
    commits: () =>
      cursor(
        sql<Columns>`select ${sql.join(COMMIT_COLUMNS.map((name) => sql.ref(name)))} from commits
          where site = ${site} and first_position >= ${first} order by first_position, last_position`,
        FETCH_SMALL,
      ),
    standing: ({ table, key, columns, of }) =>
      cursor(
        sql<Columns>`select ${sql.join(columns.map((name) => sql.ref(name)))} from ${sql.table(table)}
          where ${of === "site" ? sql`site = ${site}` : ofOurSources} order by ${sql.join(key.map((name) => sql.ref(name)))}`,
        FETCH_SMALL,
      ),
    async definitions() {
      const { rows } = await sql<DefinitionRow>`
        select 'recipes' as table, recipe as name, revision, encode(hash, 'hex') as hash, content, registered_at as registered, proposed_by as "proposedBy" from recipes
        union all select 'state_machines', name, revision, encode(hash, 'hex'), content, registered_at, proposed_by from state_machines order by 1, 2, 3`.execute(
        trx,
      );
      const { rows: approvals } = await sql<DefinitionApprovalRow>`
        select 'recipe_approvals' as table, recipe as name, revision, proposed_by as "proposedBy", approved_by as "approvedBy", signature, approved_at as approved from recipe_approvals
        union all select 'state_machine_approvals', name, revision, proposed_by, approved_by, signature, approved_at from state_machine_approvals order by 1, 2, 3`.execute(
        trx,
      );
      return { definitions: rows, approvals };
    },
    async *checkpoints(log) {
      for await (const { size, root, note } of cursor(
        sql<{ size: bigint; root: Buffer; note: string }>`select size, root, note from audit_checkpoints where site = ${site} and log = ${log} order by size`,
      ))
        yield { size: safePosition(size), root, note } satisfies CheckpointRow;
    },
    async *tiles(log) {
      for await (const { level, n, hashes } of cursor(
        sql<{ level: number; n: bigint; hashes: Buffer }>`
          select level, n, hashes from audit_tiles where site = ${site} and log = ${log} order by (n + 1) * 256::numeric ^ (level + 1), level`,
      ))
        yield { level, n: safePosition(n), hashes } satisfies TileRow;
    },
  };
}

async function saidDisposed(trx: Db, site: string): Promise<SaidDisposed> {
  const { rows } = await sql<{ positions: bigint; batches: string[] | null }>`
    select disposed_position(${site}) as positions,
      (select array_agg(distinct part order by part) from disposals where site = ${site} and class = 'batches') as batches`.execute(trx);
  const positions = safePosition(rows[0]?.positions ?? 0n);
  const returned = await sql<{ table: string; position: bigint | null }>`
    select 'audit_entries' as table, min(position) as position from audit_entries where site = ${site} and position <= ${positions}
    union all select 'signals', min(position) from signals where site = ${site} and position <= ${positions}
    union all select 'verdicts', min(position) from verdicts where site = ${site} and position <= ${positions}`.execute(trx);
  return {
    positions,
    batches: rows[0]?.batches ?? [],
    returned: returned.rows.flatMap(({ table, position }) => (position === null ? [] : [{ table, position: safePosition(position) }])),
  };
}
