import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

/** Of `term` and `owner` the database knows who may commit; of `untilMs` it alone knows the time. */
export interface Holder {
  readonly owner: string;
  readonly term: number;
}

export type Taken =
  /** The shard is ours under this term. */
  | { readonly kind: "taken"; readonly term: number }
  /** Somebody holds it, for so many milliseconds yet. */
  | { readonly kind: "held"; readonly by: Holder; readonly leftMs: number };

/** An owner that has not renewed for this long may be followed by another. */
export const LEASE_MS = 2_500;

/** A process's connections bear its name, so that whoever follows it can end them. */
export const applicationName = (owner: string): string => `signalbox ${owner}`;

/** What it locks, ends and raises stands in migration 0008. */
export async function takeShard(db: Db, shard: string, owner: string): Promise<Taken> {
  const { rows } = await sql<{ taken: boolean; holder: string; term: string; left_ms: number }>`
    select taken, holder, term::text, left_ms from take_shard(${shard}, ${owner}, ${LEASE_MS})`.execute(db);
  const row = rows[0];
  if (row === undefined) throw new Error(`nobody could say who holds shard ${shard}`);
  const term = safePosition(row.term);
  // held by ourselves: we took it before, and the answer was lost
  return row.taken || row.holder === owner ? { kind: "taken", term } : { kind: "held", by: { owner: row.holder, term }, leftMs: row.left_ms };
}

/** Keeps a shard; false: its term is over. A lease that has lapsed without anybody taking the shard is simply renewed. */
export async function renewLease(db: Db, shard: string, owner: string, term: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update shard_leases set lease_until = clock_timestamp() + make_interval(secs => ${LEASE_MS / 1000})
    where shard = ${shard} and owner = ${owner} and term = ${term} and exists (select from shards where shard = ${shard} and term = ${term})`.execute(db);
  return numAffectedRows === 1n;
}

/** Gives a shard up, so that another need not wait for the lease to lapse. */
export async function releaseLease(db: Db, shard: string, owner: string, term: number): Promise<void> {
  await sql`update shard_leases set owner = null, lease_until = null where shard = ${shard} and owner = ${owner} and term = ${term}`.execute(db);
}

/** Who owns what, for people. Before the database is migrated there is nothing to say. */
export async function readLeases(
  db: Db,
): Promise<
  readonly { readonly shard: string; readonly owner: string | null; readonly term: number; readonly ageSeconds: number | null; readonly lapsed: boolean }[]
> {
  const there = await sql<{ there: boolean }>`select to_regclass('public.shard_leases') is not null as there`.execute(db);
  if (there.rows[0]?.there !== true) return [];
  const { rows } = await sql<{ shard: string; owner: string | null; term: string; age: number | null; lapsed: boolean }>`
    select s.shard, l.owner, s.term::text, (extract(epoch from clock_timestamp() - lease_until) + ${LEASE_MS / 1000})::double precision as age,
      coalesce(lease_until <= clock_timestamp(), true) as lapsed
    from public.shards s left join public.shard_leases l on l.shard = s.shard order by s.shard`.execute(db);
  return rows.map(({ shard, owner, term, age, lapsed }) => ({ shard, owner, term: safePosition(term), ageSeconds: age, lapsed }));
}
