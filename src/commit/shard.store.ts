import { sql } from "kysely";
import { type Db, FIXED } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { Tick } from "../decide/signal.ts";

export async function listShards(db: Db): Promise<readonly { readonly shard: string; readonly site: string }[]> {
  const { rows } = await sql<{ shard: string; site: string }>`select shard, site from shards order by shard`.execute(db);
  return rows;
}

/** The branches of a site that have registered sources. */
export async function listBranches(db: Db, site: string): Promise<readonly { readonly site: string; readonly line: string; readonly equipment: string }[]> {
  const { rows } = await sql<{
    site: string;
    line: string;
    equipment: string;
  }>`select distinct site, line, equipment from sources where site = ${site} order by line, equipment`.execute(db);
  return rows;
}

/** Milliseconds since the shard was last known to receive; null when it never was. */
export async function silentFor(db: Db, shard: string): Promise<number | null> {
  const { rows } = await sql<{
    ms: number;
  }>`${sql.raw(FIXED)} select (extract(epoch from clock_timestamp() - received_until) * 1000)::double precision as ms from shard_beats where shard = ${shard}`.execute(
    db,
  );
  return rows[0]?.ms ?? null;
}

/** Notes that the shard receives. Whoever's term is over notes nothing: the silence of the new owner must not be hidden. */
export async function beat(db: Db, shard: string, term: number): Promise<void> {
  await sql`${sql.raw(FIXED)} insert into shard_beats (shard, received_until) select shard, clock_timestamp() from shards where shard = ${shard} and term = ${term}
    on conflict (shard) do update set received_until = excluded.received_until`.execute(db);
}

/** What has fallen due by the database's clock, and waiting events that have come next without anybody judging them (after a restart, or a resolution made elsewhere). */
export async function readDue(db: Db, at: { readonly site: string; readonly shard: string }, limit: number): Promise<readonly Tick[]> {
  const { rows } = await sql<{ tick: Tick }>`${sql.raw(FIXED)}
    select * from (
      (select jsonb_build_object('tick', 'patience', 'event', position) as tick from deferrals where shard = ${at.shard} and due_at <= clock_timestamp() order by due_at, position limit ${limit})
      union all
      (select jsonb_build_object('tick', 'gap', 'source', source) from sources where shard = ${at.shard} and gap_due_at <= clock_timestamp() and parked is null limit ${limit})
      union all
      (select jsonb_build_object('tick', 'expiry', 'source', s.source, 'incarnation', w.incarnation, 'epoch', w.epoch::text, 'sequence', w.sequence::text)
        from waiting w join sources s on s.source_key = w.source_key where w.site = ${at.site} and w.expires_at <= clock_timestamp() order by w.expires_at limit ${limit})
      union all
      (select jsonb_build_object('tick', 'drain', 'source', s.source) from sources s
        where s.shard = ${at.shard} and s.waiting_count > 0 and s.epoch is not null and (s.parked is null or s.parked in ('gap', 'waiting_full'))
          and exists (select from waiting w where w.source_key = s.source_key and w.incarnation = s.incarnation and w.epoch = s.epoch and w.sequence = s.through + 1) limit ${limit})
    ) due`.execute(db);
  return rows.map((row) => row.tick);
}

/** Deferred events, what waits, and the age of the oldest open one: what the gauges show. */
export async function readBacklog(
  db: Db,
  at: { readonly site: string; readonly shard: string },
): Promise<{
  readonly deferred: number;
  readonly waiting: number;
  readonly gaps: number;
  readonly parked: number;
  readonly quarantined: number;
  readonly relayLag: number;
}> {
  const { rows } = await sql<{ deferred: number; waiting: number; gaps: number; parked: number; quarantined: number; lag: string }>`
    select (select count(*)::int from deferrals where shard = ${at.shard}) as deferred,
      (select coalesce(sum(waiting_count), 0)::int from sources where shard = ${at.shard}) as waiting,
      (select count(*)::int from sources where shard = ${at.shard} and gap_since is not null) as gaps,
      (select count(*)::int from sources where shard = ${at.shard} and parked is not null) as parked,
      (select count(*)::int from quarantine where site = ${at.site} and resolved_at is null) as quarantined,
      (select (s.position - coalesce((select c.position from relay_cursors c where c.shard = ${at.shard}), 0))::text from sites s where s.site = ${at.site}) as lag`.execute(
    db,
  );
  const row = rows[0];
  return {
    deferred: row?.deferred ?? 0,
    waiting: row?.waiting ?? 0,
    gaps: row?.gaps ?? 0,
    parked: row?.parked ?? 0,
    quarantined: row?.quarantined ?? 0,
    relayLag: safePosition(row?.lag ?? "0"),
  };
}

/** The positions of the site's head, so that partitions are made ahead of need. */
export async function readHead(db: Db, site: string): Promise<{ readonly position: number; readonly generation: number }> {
  const { rows } = await sql<{ position: string; generation: number }>`select position::text, generation from sites where site = ${site}`.execute(db);
  return { position: safePosition(rows[0]?.position ?? "0"), generation: rows[0]?.generation ?? 1 };
}

export async function ensurePartitions(db: Db, reached: number): Promise<number> {
  const { rows } = await sql<{ made: number }>`select ensure_partitions(${reached}) as made`.execute(db);
  return rows[0]?.made ?? 0;
}

/** The database's clock: RFC 3339, UTC, microseconds. */
export async function databaseNow(db: Db): Promise<string> {
  const { rows } = await sql<{ now: string }>`select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`.execute(db);
  const row = rows[0];
  if (row === undefined) throw new Error("the database did not tell its time");
  return row.now;
}
