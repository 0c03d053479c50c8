import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

const UTC = sql.raw(`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`);

export interface AttemptRow {
  readonly step: string;
  readonly attempt: number;
  readonly state: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

/** Every attempt of every step, in the order of the recipe. */
export async function readAttempts(db: Db, site: string, batch: string): Promise<readonly AttemptRow[]> {
  const { rows } = await sql<AttemptRow>`
    select step, attempt, state, to_char(started_at at time zone 'utc', ${UTC}) as "startedAt", to_char(ended_at at time zone 'utc', ${UTC}) as "endedAt"
    from steps where site = ${site} and batch = ${batch} order by ordinal, step, attempt`.execute(db);
  return rows;
}

export interface EvidenceRow {
  readonly step: string;
  readonly attempt: number;
  readonly evidence: string;
  readonly position: number;
  /** The position of what took its place; null: it is in force. */
  readonly supersededBy: number | null;
  readonly value: string | null;
  readonly unit: string | null;
  readonly within: boolean | null;
  readonly low: string | null;
  readonly high: string | null;
  readonly recordedAt: string;
}

/** All evidence of a batch, in order, also what was corrected since. */
export async function readEvidenceOfBatch(db: Db, site: string, batch: string): Promise<readonly EvidenceRow[]> {
  const { rows } = await sql<Omit<EvidenceRow, "position" | "supersededBy"> & { position: string; supersededBy: string | null }>`
    select e.step, e.attempt, e.evidence, e.position::text as position, e.value, e.unit, e.within, e.low, e.high, to_char(e.recorded_at at time zone 'utc', ${UTC}) as "recordedAt",
      (select min(n.position)::text from evidence n where n.site = e.site and n.batch = e.batch and n.step = e.step and n.attempt = e.attempt and n.evidence = e.evidence
        and n.supersedes = e.position) as "supersededBy"
    from evidence e where e.site = ${site} and e.batch = ${batch} order by e.position, e.evidence`.execute(db);
  return rows.map((row) => ({
    ...row,
    position: safePosition(row.position),
    supersededBy: row.supersededBy === null ? null : safePosition(row.supersededBy),
  }));
}

/** Where each exception of a batch was resolved, by its id; those that are open are left out. */
export async function readResolutions(db: Db, site: string, batch: string): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ id: string; position: string }>`
    select site || '.' || position || '.' || ordinal as id, resolved_position::text as position
    from exceptions where site = ${site} and batch = ${batch} and resolved_position is not null`.execute(db);
  return new Map(rows.map(({ id, position }) => [id, safePosition(position)]));
}

/**
 * The entries of the commands that were about a batch, in order: only there stands what was answered to each. None from before the log began. A person's decision about a quarantined
 * event names the event alone, so it is found by what it brought about.
 */
export async function readCommandEntries(db: Db, site: string, batch: string): Promise<readonly { readonly position: number; readonly entry: Buffer }[]> {
  const { rows } = await sql<{ position: string; entry: Buffer }>`
    select p.position::text as position, e.entry
    from (select position from audit_numbers where site = ${site} and batch = ${batch}
      union select cause_position from verdicts where site = ${site} and batch = ${batch} and cause_position is not null) as p
    join signals g on g.site = ${site} and g.position = p.position and g.kind = 'command'
    join audit_entries e on e.site = ${site} and e.position = p.position order by p.position`.execute(db);
  return rows.map(({ position, entry }) => ({ position: safePosition(position), entry }));
}

export interface CauseRow {
  readonly kind: string;
  readonly source: string | null;
  readonly actor: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly body: Readonly<Record<string, unknown>> | null;
  /** As the event says it. */
  readonly eventTime: string | null;
  /** Whose session was open at the device's station. */
  readonly performedBy: { readonly person: string; readonly station: string; readonly session: number } | null;
}

/**
 * Who or what brought about what stands at each of these positions: the signal there, or the event whose later round it is. `decided`: rather what had the event judged again, where there
 * was something. Each is looked up by its key: with `offset` Postgres makes no join of it, and takes the position that was computed for a column. What is computed it would keep from the index
 * until the row's policy was asked, and read all signals.
 */
export async function readCauses(db: Db, site: string, positions: readonly number[], decided: boolean): Promise<ReadonlyMap<number, CauseRow>> {
  const at = decided ? sql`coalesce(v.cause_position, v.event_position, p.position)` : sql`coalesce(v.event_position, p.position)`;
  const performed = decided ? sql`a.position` : sql`p.position`;
  const { rows } = await sql<CauseRow & { position: string }>`
    select p.position::text as position, g.kind, g.source, g.actor, g.event_id as "eventId", g.type, g.body, v.event_time as "eventTime",
      case when pb.position is null then null else jsonb_build_object('person', pb.person, 'station', pb.station, 'session', pb.session) end as "performedBy"
    from unnest(${[...new Set(positions)]}::bigint[]) as p (position)
      left join lateral (select event_position, cause_position, event_time from verdicts where site = ${site} and position = p.position offset 0) as v on true
      cross join lateral (select ${at} as position offset 0) as a
      left join lateral (select position, person, station, session from performances where site = ${site} and position = ${performed} offset 0) as pb on true
      cross join lateral (select kind, source, actor, event_id, type, body from signals where site = ${site} and position = a.position offset 0) as g`.execute(
    db,
  );
  return new Map(rows.map(({ position, ...row }) => [safePosition(position), row]));
}

/** Deliveries that a sentence can be made of; the rest of a long one would not be shown anyway. */
const READABLE_BYTES = 16_384;

/** The deliveries at some positions, byte by byte, as far as they are kept and short. */
export async function readDeliveries(db: Db, site: string, positions: readonly number[]): Promise<ReadonlyMap<number, Buffer>> {
  const { rows } = await sql<{ position: string; raw: Buffer }>`
    select position::text as position, raw from signals
    where site = ${site} and position = any(${[...new Set(positions)]}::bigint[]) and length(raw) <= ${READABLE_BYTES}`.execute(db);
  return new Map(rows.map(({ position, raw }) => [safePosition(position), raw]));
}

export interface LastRound {
  readonly position: number;
  readonly status: string;
  readonly code: string | null;
}

/** What has become of events until now, by the position of their first round. */
export async function readLastRounds(db: Db, site: string, events: readonly number[]): Promise<ReadonlyMap<number, LastRound>> {
  const { rows } = await sql<{ event: string; position: string; status: string; code: string | null }>`
    select distinct on (event_position) event_position::text as event, position::text as position, status, code
    from verdicts where site = ${site} and event_position = any(${[...new Set(events)]}::bigint[]) order by event_position, round desc`.execute(db);
  return new Map(rows.map(({ event, position, ...row }) => [safePosition(event), { ...row, position: safePosition(position) }]));
}

export interface AsOf {
  readonly position: number;
  readonly time: string;
  /** Entries that change the batch's record; they are numbered without holes. */
  readonly entries: number;
  readonly signed: number;
}

/** As of when a record is: the site's last position, and up to where it is signed. */
export async function readAsOf(db: Db, site: string, batch: string): Promise<AsOf> {
  const { rows } = await sql<{ position: string; time: string; entries: string; signed: string | null }>`
    select s.position::text as position, to_char(clock_timestamp() at time zone 'utc', ${UTC}) as time, signed_position(s.site)::text as signed,
      (select coalesce(max(n.number), 0)::text from audit_numbers n where n.site = s.site and n.batch = ${batch}) as entries
    from sites s where s.site = ${site}`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error(`site ${site} was there and is gone`);
  return { position: safePosition(row.position), time: row.time, entries: safePosition(row.entries), signed: safePosition(row.signed ?? "0") };
}
