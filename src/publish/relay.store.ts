import { sql } from "kysely";
import { readCheckpoint } from "../audit/settings.store.ts";
import { type Db, FIXED } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { CursorRow, OutcomeRow, VerdictRow } from "./messages.ts";

export interface Publishable {
  readonly verdicts: readonly (VerdictRow & { readonly responseTopic: string | null; readonly correlationData: Uint8Array | null })[];
  readonly outcomes: readonly OutcomeRow[];
  /** Everything up to and with this position has been read. */
  readonly through: number;
  /** Up to here everything is committed. */
  readonly committed: number;
  /** Up to here it may be shown: all that is committed, or what a signer has signed, as the site is set. */
  readonly shown: number;
  /** The site is set to show what is committed. Whoever sets it otherwise takes a position for it. */
  readonly atOnce: boolean;
}

/** Refusals alone leave out what was accepted or known at once; every round that follows a published one is told. */
export type ToldVerdicts = "all" | "refusals";

/** What the relay reads and writes of its shard. */
export interface RelayStore {
  /** `told`: of which verdicts. `known`: so far it is known to be committed, and likely to be shown: that is read without asking first. */
  readPublishable(after: number, limit: number, told: ToldVerdicts, known: number): Promise<Publishable>;
  /** Verdicts alone, of positions that are known to be committed and may be shown. */
  readVerdicts(after: number, through: number, told: ToldVerdicts): Promise<Publishable["verdicts"]>;
  readCursor(): Promise<number>;
  moveCursor(position: number): Promise<void>;
  readCursors(sources: readonly string[] | null): Promise<readonly CursorRow[]>;
  readBatchMirrors(batches: readonly string[] | null): Promise<readonly BatchMirror[]>;
  readExpiredMirrors(): Promise<readonly { readonly site: string; readonly line: string; readonly batch: string }[]>;
  /** The signed note over the latest checkpoint; null: nothing was signed yet. */
  readCheckpoint(): Promise<string | null>;
}

export function relayStore(db: Db, at: { readonly site: string; readonly shard: string; readonly term: number }): RelayStore {
  return {
    readPublishable: (after, limit, told, known) => readPublishable(db, at, after, limit, told, known),
    readVerdicts: (after, through, told) => readVerdicts(db, at, after, through, told),
    readCursor: () => readRelayCursor(db, at.shard),
    moveCursor: (position) => moveRelayCursor(db, at, position),
    readCursors: (sources) => readCursors(db, at.shard, sources),
    readBatchMirrors: (batches) => readBatchMirrors(db, at, batches),
    readExpiredMirrors: () => readExpiredMirrors(db, at.shard),
    readCheckpoint: () => readCheckpoint(db, at.site),
  };
}

const UTC = sql.raw(`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`);

/** The columns of a verdict as messages and REST show it; `v` is the round, `f` the first of a duplicate, `e` the event's first round; `pb` who performed it; `fd` and `ed` what is kept of these when they were disposed of. */
export const VERDICT_COLUMNS = sql`
  v.site, v.generation, v.position::text as position, v.event_position::text as "eventPosition", coalesce(e.generation, ed.generation, v.generation) as "eventGeneration", v.round, v.status, v.final, v.code,
  v.reason, v.next, v.remedy, v.verdict_topic_line as "topicLine", v.verdict_topic_equipment as "topicEquipment", v.source, v.event_id as "eventId", v.type, v.epoch::text as epoch,
  v.sequence::text as sequence, v.batch, v.step, v.attempt, v.context_from as "contextFrom", v.correlation,
  nullif(split_part(v.traceparent, E'\\n', 1), '') as traceparent, nullif(split_part(v.traceparent, E'\\n', 2), '') as tracestate, v.cause_position::text as cause, v.ahead, v.flags, v.explanation,
  to_char(v.recorded_at at time zone 'utc', ${UTC}) as "recordedAt",
  case when v.first_position is null then null else jsonb_build_object('position', v.first_position, 'generation', coalesce(f.generation, fd.generation), 'status', coalesce(f.status, fd.status),
    'code', coalesce(f.code, fd.code)) end as first,
  case when pb.position is null then null else jsonb_build_object('person', pb.person, 'station', pb.station, 'session', pb.session,
    'at', to_char(pb.performed_at at time zone 'utc', ${UTC}), 'clock', pb.clock) end as "performedBy"`;

/**
 * What a round refers to is looked up by its position. With `limit` Postgres makes no other join of it; and only the key gives the order that is asked for, while where it has no statistics any index
 * that begins with the site looks as good to it, and would have it read all that a site recorded for each duplicate.
 */
export const VERDICT_JOINS = sql`
  left join performances pb on pb.site = v.site and pb.position = v.position
  left join lateral (select f.generation, f.status, f.code from verdicts f
    where f.site = v.site and f.position between v.first_position and v.first_position order by f.position limit 1) f on true
  left join disposed_verdicts fd on fd.site = v.site and fd.position = v.first_position
  left join lateral (select e.generation from verdicts e
    where v.round > 1 and e.site = v.site and e.position between v.event_position and v.event_position order by e.position limit 1) e on true
  left join disposed_verdicts ed on ed.site = v.site and ed.position = case when v.round > 1 then v.event_position end`;

type RawVerdict = Omit<VerdictRow, "position" | "eventPosition" | "cause"> & {
  readonly position: string;
  readonly eventPosition: string;
  readonly cause: string | null;
};

export function verdictRow<R extends RawVerdict>(
  row: R,
): Omit<R, "position" | "eventPosition" | "cause"> & { position: number; eventPosition: number; cause: number | null } {
  return {
    ...row,
    position: safePosition(row.position),
    eventPosition: safePosition(row.eventPosition),
    cause: row.cause === null ? null : safePosition(row.cause),
  };
}

/** The columns of an outcome `o` on the stream `s`. A correction supersedes what told of the evidence that it replaces. */
export const OUTCOME_COLUMNS = sql`
  o.site, o.stream, s.line, o.sequence::text as sequence, o.generation, o.position::text as position, o.ordinal, o.type, o.event_time as "eventTime", o.causation, o.correlation,
  nullif(split_part(o.traceparent, E'\\n', 1), '') as traceparent, nullif(split_part(o.traceparent, E'\\n', 2), '') as tracestate,
  coalesce(o.supersedes, case when o.type = 'evidence.corrected' then (
    select p.generation || '.' || p.sequence from evidence c join outcomes p on p.site = c.site and p.position = c.supersedes and p.opened_on = o.opened_on and p.stream = o.stream
    where c.site = o.site and c.batch = substr(o.stream, 7) and c.position = o.position and p.type in ('evidence.recorded', 'evidence.corrected') limit 1) end) as supersedes, o.data, to_char(o.recorded_at at time zone 'utc', ${UTC}) as "recordedAt"`;

type RawOutcome = Omit<OutcomeRow, "position" | "sequence"> & { readonly position: string; readonly sequence: string };

export const outcomeRow = (row: RawOutcome): OutcomeRow => ({ ...row, position: safePosition(row.position), sequence: safePosition(row.sequence) });

type At = { readonly site: string; readonly shard: string };

/** What a shard is to publish after a position, in position order, at most `limit` positions. Commit order is position order, so nothing appears behind what was read. */
async function readPublishable(db: Db, at: At, after: number, limit: number, told: ToldVerdicts, known: number): Promise<Publishable> {
  const likely = Math.min(known, after + limit);
  const [{ committed, shown, atOnce }, read] = await Promise.all([readShown(db, at.site), likely > after ? readBetween(db, at, after, likely, told) : null]);
  if (read !== null && likely <= shown) return { ...read, through: likely, committed, shown, atOnce };
  const through = Math.min(shown, after + limit);
  if (through <= after) return { verdicts: [], outcomes: [], through: after, committed, shown, atOnce };
  return { ...(await readBetween(db, at, after, through, told)), through, committed, shown, atOnce };
}

async function readShown(db: Db, site: string): Promise<Pick<Publishable, "committed" | "shown" | "atOnce">> {
  const { rows } = await sql<{ committed: string; shown: string; atOnce: boolean }>`${sql.raw(FIXED)}
    select position::text as committed, (case when publish_after = 'commit' then position else shown_position(site) end)::text as shown, publish_after = 'commit' as "atOnce" from sites where site = ${site}`.execute(
    db,
  );
  const row = rows[0];
  return { committed: safePosition(row?.committed ?? "0"), shown: safePosition(row?.shown ?? "0"), atOnce: row?.atOnce ?? false };
}

async function readBetween(db: Db, at: At, after: number, through: number, told: ToldVerdicts): Promise<Pick<Publishable, "verdicts" | "outcomes">> {
  const [verdicts, outcomes] = await Promise.all([readVerdicts(db, at, after, through, told), readOutcomes(db, at.site, after, through)]);
  return { verdicts, outcomes };
}

async function readVerdicts(db: Db, at: At, after: number, through: number, told: ToldVerdicts): Promise<Publishable["verdicts"]> {
  const { rows } = await sql<RawVerdict & { responseTopic: string | null; correlationData: Uint8Array | null }>`${sql.raw(FIXED)}
    select ${VERDICT_COLUMNS}, g.response_topic as "responseTopic", g.correlation_data as "correlationData"
    from verdicts v ${VERDICT_JOINS}
      left join lateral (select g.response_topic, g.correlation_data from signals g where g.site = v.site and g.position = v.event_position offset 0) g on true
    where v.site = ${at.site} and v.shard = ${at.shard} and v.position > ${after} and v.position <= ${through}
      and (${told === "all"} or v.round > 1 or v.status not in ('accepted', 'duplicate'))
    order by v.position`.execute(db);
  return rows.map(verdictRow);
}

async function readOutcomes(db: Db, site: string, after: number, through: number): Promise<readonly OutcomeRow[]> {
  const { rows } = await sql<RawOutcome>`${sql.raw(FIXED)}
    select ${OUTCOME_COLUMNS} from outcomes o cross join lateral (select s.line from streams s where s.site = o.site and s.stream = o.stream offset 0) s
    where o.site = ${site} and o.position > ${after} and o.position <= ${through} order by o.position, o.ordinal`.execute(db);
  return rows.map(outcomeRow);
}

async function readRelayCursor(db: Db, shard: string): Promise<number> {
  const { rows } = await sql<{ position: string }>`select position::text from relay_cursors where shard = ${shard}`.execute(db);
  return safePosition(rows[0]?.position ?? "0");
}

/**
 * Moves the relay's cursor, only forward, and only under the term that holds. Losing this write only publishes a little again; and one that slips in beside a change of
 * owner tells the truth all the same, since the broker had acknowledged what it counts.
 */
async function moveRelayCursor(db: Db, at: { readonly shard: string; readonly term: number }, position: number): Promise<void> {
  await sql`${sql.raw(FIXED)} insert into relay_cursors (shard, position) select shard, ${position}::bigint from shards where shard = ${at.shard} and term = ${at.term}
    on conflict (shard) do update set position = greatest(relay_cursors.position, excluded.position)`.execute(db);
}

/** The cursors of sources (all of the shard's when none are named), each with at most 16 missing ranges. */
async function readCursors(db: Db, shard: string, sources: readonly string[] | null): Promise<readonly CursorRow[]> {
  const named = sources === null ? sql`` : sql`and s.source = any(${sources}::text[])`;
  const { rows } = await sql<Omit<CursorRow, "version"> & { version: string }>`${sql.raw(FIXED)}
    select s.site, s.line, s.equipment, s.device, s.source, h.generation, s.version::text as version, s.epoch::text as epoch, s.through::text as through, s.highest::text as highest,
      s.parked is not null as parked, to_char(clock_timestamp() at time zone 'utc', ${UTC}) as "changedAt",
      coalesce((select jsonb_agg(jsonb_build_object('epoch', m.epoch::text, 'from', m.first::text, 'to', m.last::text)) from missing_numbers(s.source_key, 16) m), '[]') as missing
    from sources s join sites h on h.site = s.site
    where s.shard = ${shard} and s.numbering ${named}
    order by s.source`.execute(db);
  return rows.map((row) => ({ ...row, version: safePosition(row.version) }));
}

export interface BatchMirror {
  readonly site: string;
  readonly line: string;
  readonly batch: string;
  readonly version: number;
  readonly generation: number;
  readonly time: string;
  readonly state: Readonly<Record<string, unknown>>;
}

/** The mirrors of batches (all that are shown when none are named): open ones, and closed ones for seven days. */
async function readBatchMirrors(
  db: Db,
  at: { readonly site: string; readonly shard: string },
  batches: readonly string[] | null,
): Promise<readonly BatchMirror[]> {
  // those that are named each by its key: without statistics Postgres would go through all that the site has
  const from =
    batches === null
      ? sql`batches`
      : sql`unnest(${batches}::text[]) n (batch) cross join lateral (select * from batches b where b.site = ${at.site} and b.batch = n.batch offset 0)`;
  const { rows } = await sql<Omit<BatchMirror, "version"> & { version: string }>`${sql.raw(FIXED)}
    select b.site, b.line, b.batch, b.version::text as version, h.generation, to_char(clock_timestamp() at time zone 'utc', ${UTC}) as time,
      jsonb_build_object('batch', b.batch, 'jobOrder', b.job_order, 'recipe', b.recipe || '@' || b.revision, 'execution', b.execution, 'disposition', b.disposition,
        'steps', (select coalesce(jsonb_agg(jsonb_build_object('step', t.step, 'attempt', t.attempt, 'state', t.state) order by t.ordinal), '[]')
          from (select distinct on (step) * from steps where site = b.site and batch = b.batch order by step, attempt desc) t)) as state
    from ${from} b join sites h on h.site = b.site
    where b.site = ${at.site} and b.shard = ${at.shard} and (b.closed_at is null or b.closed_at > clock_timestamp() - interval '7 days')
    order by b.batch`.execute(db);
  return rows.map((row) => ({ ...row, version: safePosition(row.version) }));
}

/** Batches whose mirror is to go: closed more than seven days ago, and not so long that it must have gone already. */
async function readExpiredMirrors(db: Db, shard: string): Promise<readonly { readonly site: string; readonly line: string; readonly batch: string }[]> {
  const { rows } = await sql<{ site: string; line: string; batch: string }>`
    select site, line, batch from batches where shard = ${shard} and closed_at <= clock_timestamp() - interval '7 days' and closed_at > clock_timestamp() - interval '37 days'`.execute(
    db,
  );
  return rows;
}
