import { type RawBuilder, sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { OutcomeRow, VerdictRow } from "../publish/messages.ts";
import { OUTCOME_COLUMNS, outcomeRow, VERDICT_COLUMNS, VERDICT_JOINS, verdictRow } from "../publish/relay.store.ts";
import { DISPOSES } from "../review/review.store.ts";

const UTC = sql.raw(`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`);

export interface EventFilter {
  readonly status?: string | undefined;
  readonly code?: string | undefined;
  readonly site?: string | undefined;
  readonly line?: string | undefined;
  readonly equipment?: string | undefined;
  readonly batch?: string | undefined;
  readonly step?: string | undefined;
  readonly source?: string | undefined;
  readonly id?: string | undefined;
  readonly epoch?: string | undefined;
  readonly sequence?: string | undefined;
  readonly type?: string | undefined;
  readonly correlation?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Only the last round of each event. */
  readonly latest?: boolean | undefined;
}

/** Verdicts in position order, by site and position. Each site by itself: every index begins with it. */
export async function listVerdicts(
  db: Db,
  filter: EventFilter,
  after: { readonly site: string; readonly position: number } | null,
  limit: number,
): Promise<readonly VerdictRow[]> {
  const sites = await listSites(db);
  const rows: VerdictRow[] = [];
  // behind a site that is none there is nothing
  const begins = after === null ? 0 : sites.indexOf(after.site);
  for (const site of begins < 0 ? [] : sites.slice(begins)) {
    if ((filter.site ?? site) !== site) continue;
    rows.push(...(await verdictsOfSite(db, site, filter, site === after?.site ? after.position : null, limit - rows.length)));
    if (rows.length >= limit) break;
  }
  return rows;
}

/** Says nothing to the planner, which would take what fits for rare, look at all that is left, and sort it. */
const hidden = (condition: RawBuilder<unknown>): RawBuilder<unknown> => sql`case when ${condition} then true end`;

/** The type of most events; what is of another is found by an index of its own (migration 0034). */
const MEASUREMENT = "signalbox.step.evidence.v1";

/** Behind and before which position of a site everything stands that was recorded between two times. */
async function between(db: Db, site: string, { from, to }: EventFilter): Promise<{ readonly after: string; readonly before: string }> {
  const all = { after: "0", before: "9223372036854775807" };
  if (from === undefined && to === undefined) return all;
  const { rows } = await sql<{ after: string | null; before: string | null }>`
    select position_at(${site}, ${from ?? null}::timestamptz)::text as after,
      (select min(g.position)::text from signals g where g.site = ${site} and g.position > (select position_at(${site}, ${to ?? null}::timestamptz)) and ${to !== undefined}) as before`.execute(
    db,
  );
  return { after: rows[0]?.after ?? all.after, before: rows[0]?.before ?? all.before };
}

async function verdictsOfSite(db: Db, site: string, filter: EventFilter, after: number | null, limit: number): Promise<readonly VerdictRow[]> {
  const where = [sql`v.site = ${site}`];
  if (after !== null) where.push(sql`v.position > ${after}`);
  const equal = (column: string, value: string | undefined): void => {
    if (value !== undefined) where.push(sql`${sql.ref(`v.${column}`)} = ${value}`);
  };
  // a code mostly says the status too, and Postgres would take both for rarer than each
  if (filter.code === undefined) equal("status", filter.status);
  else if (filter.status !== undefined) where.push(hidden(sql`v.status = ${filter.status}`));
  for (const [column, value] of [
    ["code", filter.code],
    ["line", filter.line],
    ["equipment", filter.equipment],
    ["batch", filter.batch],
    ["step", filter.step],
    ["source", filter.source],
    ["event_id", filter.id],
    ["type", filter.type],
    ["correlation", filter.correlation],
  ] as const)
    equal(column, value);
  // as the indexes of what is rare say it
  if (filter.status !== undefined && filter.status !== "accepted") where.push(sql`v.status <> 'accepted'`);
  if (filter.type !== undefined && filter.type !== MEASUREMENT) where.push(sql`v.type <> ${sql.lit(MEASUREMENT)}`);
  if (filter.epoch !== undefined) where.push(sql`v.epoch = ${filter.epoch}::bigint`);
  if (filter.sequence !== undefined) where.push(sql`v.sequence = ${filter.sequence}::bigint`);
  // Times never go back along positions, by which the record is kept: between which they lie is found first, so that the planner knows how many those are. What is said of the time itself is hidden.
  const { after: since, before: until } = await between(db, site, filter);
  if (filter.from !== undefined) where.push(sql`v.position > ${since}`, hidden(sql`v.recorded_at >= ${filter.from}::timestamptz`));
  if (filter.to !== undefined) where.push(sql`v.position < ${until}`, hidden(sql`v.recorded_at < ${filter.to}::timestamptz`));
  // looked up for each row, and not joined with all others
  if (filter.latest === true)
    where.push(
      hidden(
        sql`(select later.position from verdicts later where later.site = v.site and later.event_position = v.event_position and later.round > v.round limit 1) is null`,
      ),
    );
  const { rows } = await sql<Parameters<typeof verdictRow>[0]>`
    select ${VERDICT_COLUMNS} from verdicts v ${VERDICT_JOINS} where ${sql.join(where, sql` and `)} order by v.position limit ${limit}`.execute(db);
  return rows.map(verdictRow);
}

/** All rounds of the event that a position belongs to, in order; empty: there is none. */
export async function readRounds(db: Db, site: string, generation: number, position: number): Promise<readonly VerdictRow[]> {
  const { rows } = await sql<Parameters<typeof verdictRow>[0]>`
    select ${VERDICT_COLUMNS} from verdicts x join verdicts v on v.site = x.site and v.event_position = x.event_position ${VERDICT_JOINS}
    where x.site = ${site} and x.position = ${position} and x.generation = ${generation} order by v.round`.execute(db);
  return rows.map(verdictRow);
}

export interface StoredSignal {
  readonly topic: string | null;
  readonly raw: Buffer | null;
  readonly rawLength: number | null;
  readonly receivedAt: string;
  readonly protocol: string | null;
  readonly contentType: string | null;
  readonly userProperties: readonly (readonly [string, string])[] | null;
  /** Null: nothing was known of it. */
  readonly provenance: unknown;
  /** By which key it was signed; null: by none. */
  readonly signed: unknown;
}

export async function readSignal(db: Db, site: string, position: number): Promise<StoredSignal | null> {
  const { rows } = await sql<StoredSignal>`
    select topic, raw, raw_length as "rawLength", to_char(received_at at time zone 'utc', ${UTC}) as "receivedAt", protocol, content_type as "contentType", user_properties as "userProperties", body -> 'provenance' as provenance, body -> 'signed' as signed
    from signals where site = ${site} and position = ${position}`.execute(db);
  return rows[0] ?? null;
}

export interface SignedView {
  readonly position: number;
  readonly what: string;
  readonly signature: unknown;
  /** What has voided it; null: it is in force, or never was. */
  readonly voidedBy: { readonly position: number; readonly at: string; readonly who: string; readonly what: string } | null;
}

/**
 * What was signed at a site behind a position, in its order: of one record, by one person, or all. Void is a word on a batch's disposition, or the conclusion of a review, when what it was about has
 * changed since.
 */
export async function listSignatures(
  db: Db,
  site: string,
  { record, person }: { readonly record: string | null; readonly person: string | null },
  after: number,
  limit: number,
): Promise<readonly SignedView[]> {
  const { rows } = await sql<SignedView>`
    select g.position::float8 as position, coalesce(g.type, g.body ->> 'command', g.body ->> 'kind', g.kind) as what, g.body -> 'signature' as signature,
      (select jsonb_build_object('position', t.position, 'at', to_char(t.recorded_at at time zone 'utc', ${UTC}), 'who', t.who, 'what', t.what) from audit_trail t
        where t.site = g.site and t.position = changed.position) as "voidedBy"
    from signals g left join lateral (
      -- what was refused was never in force
      select min(f.position) as position from batches b join facts f on f.opened_on = b.opened_on and f.site = b.site and f.batch = b.batch
        where g.kind = 'command' and g.body ->> 'command' = any(${["recommend", ...DISPOSES]}::text[]) and b.site = g.site and b.batch = g.body ->> 'batch'
          and f.kind = 'disposition.voided' and f.position > g.position and exists (select from facts d where d.opened_on = b.opened_on and d.site = g.site and d.position = g.position)
      union all
      select changed_behind(r.site, r.batch, r.entries) from audit_reviews r
        where g.kind = 'act' and g.type = 'review.concluded' and r.site = g.site and r.review = (g.body -> 'old' ->> 'review')::bigint
    ) as changed on changed.position is not null
    where g.site = ${site} and g.position > ${after} and g.actor is not null and g.body -> 'signature' is not null
      and (${record}::text is null or g.body -> 'signature' -> 'record' ->> 'what' = ${record})
      and (${person}::text is null or g.actor = 'person:' || ${person}) order by g.position limit ${limit}`.execute(db);
  return rows;
}

export interface FactView {
  readonly position: number;
  readonly ordinal: number;
  readonly kind: string;
  readonly batch: string | null;
  readonly number: number | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly equipment: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  readonly recordedAt: string;
}

const FACT_COLUMNS = sql`position::text as position, ordinal, kind, batch, number::text as number, step, attempt, equipment, from_state as "from", to_state as "to", data,
  to_char(recorded_at at time zone 'utc', ${UTC}) as "recordedAt"`;

type RawFact = Omit<FactView, "position" | "number"> & { readonly position: string; readonly number: string | null };
const factView = (row: RawFact): FactView => ({ ...row, position: safePosition(row.position), number: row.number === null ? null : safePosition(row.number) });

export async function readFacts(db: Db, site: string, positions: readonly number[]): Promise<readonly FactView[]> {
  const { rows } =
    await sql<RawFact>`select ${FACT_COLUMNS} from facts where site = ${site} and position = any(${positions}::bigint[]) order by facts.position, ordinal`.execute(
      db,
    );
  return rows.map(factView);
}

export async function readFactsOfBatch(db: Db, site: string, batch: string): Promise<readonly FactView[]> {
  const { rows } = await sql<RawFact>`
    select ${FACT_COLUMNS} from facts where site = ${site} and batch = ${batch}
      and opened_on = (select opened_on from batches where site = ${site} and batch = ${batch}) order by facts.number`.execute(db);
  return rows.map(factView);
}

/** How many rounds about a batch ended with which status. */
export async function countVerdictsOfBatch(db: Db, site: string, batch: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ status: string; rounds: number }>`
    select status, count(*)::int as rounds from verdicts where site = ${site} and batch = ${batch} group by status`.execute(db);
  return Object.fromEntries(rows.map(({ status, rounds }) => [status, rounds]));
}

/** The positions at which anything was decided about a batch, after one of them, in order. */
export async function readPositionsOfBatch(db: Db, site: string, batch: string, after: number, limit: number): Promise<readonly number[]> {
  const { rows } = await sql<{ position: string }>`
    select position::text as position from (
      (select position from verdicts where site = ${site} and batch = ${batch} and position > ${after} order by position limit ${limit})
      union
      (select distinct position from facts where site = ${site} and batch = ${batch} and position > ${after}
        and opened_on = (select opened_on from batches where site = ${site} and batch = ${batch}) order by position limit ${limit})
    ) told order by told.position limit ${limit}`.execute(db);
  return rows.map(({ position }) => safePosition(position));
}

export async function readVerdictsAt(db: Db, site: string, positions: readonly number[]): Promise<readonly VerdictRow[]> {
  const { rows } = await sql<Parameters<typeof verdictRow>[0]>`
    select ${VERDICT_COLUMNS} from verdicts v ${VERDICT_JOINS} where v.site = ${site} and v.position = any(${positions}::bigint[]) order by v.position`.execute(
    db,
  );
  return rows.map(verdictRow);
}

export async function readOutcomesAt(db: Db, site: string, positions: readonly number[]): Promise<readonly OutcomeRow[]> {
  const { rows } = await sql<Parameters<typeof outcomeRow>[0]>`
    select ${OUTCOME_COLUMNS} from outcomes o join streams s on s.site = o.site and s.stream = o.stream where o.site = ${site} and o.position = any(${positions}::bigint[]) order by o.position, o.ordinal`.execute(
    db,
  );
  return rows.map(outcomeRow);
}

/** Outcomes after a position that may be shown, whole positions only: the last position of a full page is finished. */
export async function readOutcomesAfter(db: Db, site: string, stream: string | null, after: number, limit: number): Promise<readonly OutcomeRow[]> {
  // one stream is found by its key, in which positions rise with numbers; all of a site by position
  const of =
    stream === null ? sql`true` : sql`o.stream = ${stream} and o.opened_on = (select opened_on from streams where site = ${site} and stream = ${stream})`;
  const order = stream === null ? sql`o.position` : sql`o.sequence`;
  const { rows } = await sql<Parameters<typeof outcomeRow>[0]>`
    with page as (select o.position from outcomes o where o.site = ${site} and o.position > ${after} and o.position <= (select shown_position(${site})) and ${of} order by ${order} limit ${limit})
    select ${OUTCOME_COLUMNS} from outcomes o join streams s on s.site = o.site and s.stream = o.stream
    where o.site = ${site} and o.position > ${after} and o.position <= (select max(position) from page) and ${of} order by o.position, o.ordinal`.execute(db);
  return rows.map(outcomeRow);
}

export async function readOutcomesOfStream(db: Db, site: string, stream: string, afterSequence: number, limit: number): Promise<readonly OutcomeRow[]> {
  const { rows } = await sql<Parameters<typeof outcomeRow>[0]>`
    select ${OUTCOME_COLUMNS} from outcomes o join streams s on s.site = o.site and s.stream = o.stream
    where o.site = ${site} and o.stream = ${stream} and o.opened_on = s.opened_on and o.sequence > ${afterSequence} and o.position <= (select shown_position(${site})) order by o.sequence limit ${limit}`.execute(
    db,
  );
  return rows.map(outcomeRow);
}

/** Where a feed stands: the site's generation and head, and up to where what was read in an earlier generation still stands (null: all of it). */
export interface Standing {
  readonly generation: number;
  readonly head: number;
  readonly stands: number | null;
}

/** `of`: the generation of whoever reads; each restore since then has cut, and the deepest cut counts. */
export async function readStanding(db: Db, site: string, of: number): Promise<Standing> {
  const { rows } = await sql<{ generation: number; head: string; stands: string | null }>`
    select s.generation, s.position::text as head, (select min(r.position)::text from restores r where r.site = s.site and r.generation > ${of}::bigint) as stands
    from sites s where s.site = ${site}`.execute(db);
  const row = rows[0];
  if (row === undefined) throw new Error(`site ${site} was there and is gone`);
  return { generation: row.generation, head: safePosition(row.head), stands: row.stands === null ? null : safePosition(row.stands) };
}

/** The last number of a stream up to and with a position; 0: none. */
export async function readLastOfStream(db: Db, site: string, stream: string, upTo: number): Promise<number> {
  const { rows } = await sql<{ last: string }>`
    select coalesce(max(o.sequence), 0)::text as last from outcomes o join streams s on s.site = o.site and s.stream = o.stream
    where o.site = ${site} and o.stream = ${stream} and o.opened_on = s.opened_on and o.position <= least(${upTo}, (select shown_position(${site})))`.execute(
    db,
  );
  return safePosition(rows[0]?.last ?? "0");
}

export async function listSites(db: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ site: string }>`select site from sites order by site`.execute(db);
  return rows.map(({ site }) => site);
}

export async function listBatches(
  db: Db,
  site: string,
  execution: string | null,
  after: string | null,
  limit: number,
): Promise<
  readonly {
    readonly batch: string;
    readonly jobOrder: string;
    readonly line: string;
    readonly recipe: string;
    readonly execution: string;
    readonly disposition: string;
    readonly createdAt: string;
  }[]
> {
  const { rows } = await sql<{ batch: string; jobOrder: string; line: string; recipe: string; execution: string; disposition: string; createdAt: string }>`
    select batch, job_order as "jobOrder", line, recipe || '@' || revision as recipe, execution, disposition, to_char(created_at at time zone 'utc', ${UTC}) as "createdAt"
    from batches where site = ${site} and ${executed(execution)} and (${after}::text is null or batch > ${after}) order by batch limit ${limit}`.execute(db);
  return rows;
}

/** As the index of those that are not closed says it (migration 0034). */
const executed = (execution: string | null) =>
  execution === null ? sql`true` : execution === "closed" ? sql`execution = 'closed'` : sql`execution = ${execution} and execution <> 'closed'`;

export interface LockView {
  readonly id: string;
  readonly site: string;
  readonly equipment: string;
  readonly kind: string;
  readonly batch: string;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly role: string;
  readonly locked: string;
  readonly token: number;
  readonly since: string;
  readonly freedAt: string | null;
}

const LOCK_COLUMNS = sql`site || '.' || equipment || '.' || token as id, site, equipment, kind, batch, step, attempt, role, locked, token::int as token,
  to_char(taken_at at time zone 'utc', ${UTC}) as since, to_char(freed_at at time zone 'utc', ${UTC}) as "freedAt"`;

export async function listLocks(
  db: Db,
  filter: {
    readonly id?: string | undefined;
    readonly site?: string | undefined;
    readonly equipment?: string | undefined;
    readonly batch?: string | undefined;
  },
): Promise<readonly LockView[]> {
  const { rows } = await sql<LockView>`
    select ${LOCK_COLUMNS} from context_locks where freed_at is null and (${filter.site ?? null}::text is null or site = ${filter.site ?? null})
      and (${filter.id ?? null}::text is null or site || '.' || equipment || '.' || token = ${filter.id ?? null})
      and (${filter.equipment ?? null}::text is null or equipment = ${filter.equipment ?? null}) and (${filter.batch ?? null}::text is null or batch = ${filter.batch ?? null})
    order by site, equipment, token limit 1000`.execute(db);
  return rows;
}

/** Every lock that a batch has held or holds. */
export async function readLocksOfBatch(db: Db, site: string, batch: string): Promise<readonly LockView[]> {
  const { rows } =
    await sql<LockView>`select ${LOCK_COLUMNS} from context_locks where site = ${site} and batch = ${batch} order by taken_at, equipment, token`.execute(db);
  return rows;
}

/** A lock by its id, open or freed: an answer that was given may be asked for again after the lock has gone. Of those that share an id, since names have points in them, the first that is open. */
export async function readLock(db: Db, id: string): Promise<LockView | null> {
  const token = /\.(\d{1,18})$/.exec(id)?.[1];
  if (token === undefined) return null;
  const { rows } = await sql<LockView>`
    select ${LOCK_COLUMNS} from context_locks where token = ${token}::bigint and site || '.' || equipment || '.' || token = ${id} order by freed_at is not null, site`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** Which context an equipment worked in, and when: closed and open windows that touch the span. */
export async function listWindows(
  db: Db,
  filter: { readonly site?: string | undefined; readonly equipment: string; readonly from: string | null; readonly to: string | null },
): Promise<readonly LockView[]> {
  const { rows } = await sql<LockView>`
    select ${LOCK_COLUMNS} from context_locks where equipment = ${filter.equipment} and site in (select s.site from sites s where ${filter.site ?? null}::text is null or s.site = ${filter.site ?? null})
      and (${filter.to}::timestamptz is null or taken_at < ${filter.to}::timestamptz) and (${filter.from}::timestamptz is null or freed_at is null or freed_at > ${filter.from}::timestamptz)
    order by taken_at, token limit 1000`.execute(db);
  return rows;
}

export interface SourceView {
  readonly source: string;
  readonly site: string;
  readonly line: string;
  readonly equipment: string;
  readonly device: string | null;
  readonly numbering: boolean;
  readonly revoked: boolean;
  readonly connection: string | null;
  readonly incarnation: number;
  readonly epoch: string | null;
  readonly through: string;
  readonly highest: string;
  readonly missing: readonly { readonly epoch: string; readonly from: string; readonly to: string }[];
  readonly waiting: number;
  readonly deferred: number;
  readonly parked: string | null;
  readonly parkedAt: string | null;
  readonly gapSince: string | null;
  readonly gap: string | null;
  readonly version: number;
}

const SOURCE_COLUMNS = sql`s.source, s.site, s.line, s.equipment, s.device, s.numbering, s.revoked, s.connection, s.incarnation, s.epoch::text as epoch, s.through::text as through, s.highest::text as highest,
  coalesce((select jsonb_agg(jsonb_build_object('epoch', m.epoch::text, 'from', m.first::text, 'to', m.last::text)) from missing_numbers(s.source_key, 16) m), '[]') as missing,
  s.waiting_count as waiting, (select count(*)::int from deferrals d where d.source_key = s.source_key) as deferred, s.parked,
  to_char(s.parked_at at time zone 'utc', ${UTC}) as "parkedAt", to_char(s.gap_since at time zone 'utc', ${UTC}) as "gapSince",
  case when s.gap_position is not null then s.site || '.' || s.gap_position when s.parked_position is not null then s.site || '.' || s.parked_position end as gap, s.version::int as version`;

export async function readSource(db: Db, source: string): Promise<SourceView | null> {
  const { rows } = await sql<SourceView>`select ${SOURCE_COLUMNS} from sources s where s.source = ${source}`.execute(db);
  return rows[0] ?? null;
}

/** Open gaps and parked sources, with or without missing numbers, by site and name. */
export async function listGaps(
  db: Db,
  { site, id }: { readonly site: string | null; readonly id: string | null },
  after: string | null,
  limit: number,
): Promise<readonly SourceView[]> {
  const { rows } = await sql<SourceView>`
    select * from (
      select ${SOURCE_COLUMNS} from sources s where (s.gap_since is not null or s.parked is not null) and (${site}::text is null or s.site = ${site})
        and (${after}::text is null or s.source > ${after})
    ) as gaps where ${id}::text is null or gap = ${id} order by source limit ${limit}`.execute(db);
  return rows;
}

/**
 * The source whose gap or parking a position is or was: a gap that has closed is still known by what opened it, so that an answer about it can be given again.
 * Whether it is open is for the judge to say.
 */
export async function readGap(db: Db, site: string, position: number): Promise<string | null> {
  const { rows } = await sql<{ source: string }>`
    select source from sources where site = ${site} and (gap_position = ${position} or parked_position = ${position})
    union all
    select coalesce(g.source, g.body ->> 'source') from signals g where g.site = ${site} and g.position = ${position} and coalesce(g.source, g.body ->> 'source') is not null
    limit 1`.execute(db);
  return rows[0]?.source ?? null;
}

export interface QuarantineView {
  readonly site: string;
  readonly position: number;
  readonly generation: number;
  readonly round: number;
  readonly code: string;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly batch: string | null;
  readonly since: string;
}

export async function listQuarantine(
  db: Db,
  filter: { readonly site?: string | undefined; readonly batch?: string | undefined },
  after: { readonly site: string; readonly position: number } | null,
  limit: number,
): Promise<readonly QuarantineView[]> {
  const { rows } = await sql<Omit<QuarantineView, "position"> & { position: string }>`
    select q.site, q.position::text as position, g.generation, q.round, q.code, q.source, g.event_id as "eventId", g.type, q.batch, to_char(q.since at time zone 'utc', ${UTC}) as since
    from quarantine q join signals g on g.site = q.site and g.position = q.position
    where q.resolved_at is null and (${filter.site ?? null}::text is null or q.site = ${filter.site ?? null}) and (${filter.batch ?? null}::text is null or q.batch = ${filter.batch ?? null})
      and (${after?.site ?? null}::text is null or (q.site, q.position) > (${after?.site ?? ""}, ${after?.position ?? 0})) order by q.site, q.position limit ${limit}`.execute(
    db,
  );
  return rows.map((row) => ({ ...row, position: safePosition(row.position) }));
}

export interface ExceptionView {
  readonly id: string;
  readonly site: string;
  readonly position: number;
  readonly ordinal: number;
  readonly code: string;
  readonly reason: string;
  readonly source: string | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly openedAt: string;
  readonly resolvedAt: string | null;
  readonly disposition: "continue" | "rework" | "abort" | null;
  readonly linked: string | null;
}

export async function listExceptions(
  db: Db,
  filter: { readonly site?: string | undefined; readonly batch?: string | undefined; readonly open?: boolean | undefined; readonly id?: string | undefined },
  after: { readonly site: string; readonly position: number; readonly ordinal: number } | null,
  limit: number,
): Promise<readonly ExceptionView[]> {
  const named = exceptionNamed(filter.id ?? "");
  const { rows } = await sql<Omit<ExceptionView, "position"> & { position: string }>`
    select site || '.' || position || '.' || ordinal as id, site, position::text as position, ordinal, code, reason, source, batch, step, attempt,
      to_char(opened_at at time zone 'utc', ${UTC}) as "openedAt", to_char(resolved_at at time zone 'utc', ${UTC}) as "resolvedAt", disposition, linked
    from exceptions where (${filter.id ?? null}::text is null or (site = ${named.site} and exceptions.position = ${named.position}::bigint and ordinal = ${named.ordinal}::integer)) and (${filter.site ?? null}::text is null or site = ${filter.site ?? null})
      and ${filter.batch === undefined ? sql`true` : sql`batch = ${filter.batch} and site in (select s.site from sites s)`}
      and (${filter.open ?? null}::boolean is null or (resolved_at is null) = ${filter.open ?? true})
      and (${after?.site ?? null}::text is null or (site, position, ordinal) > (${after?.site ?? ""}, ${after?.position ?? 0}, ${after?.ordinal ?? 0}))
    order by site, exceptions.position, ordinal limit ${limit}`.execute(db);
  return rows.map((row) => ({ ...row, position: safePosition(row.position) }));
}

/** Where an exception stands on record, by its id. */
export async function findException(db: Db, id: string): Promise<{ readonly site: string; readonly position: number; readonly ordinal: number } | null> {
  const named = exceptionNamed(id);
  const { rows } =
    await sql`select from exceptions where site = ${named.site} and position = ${named.position}::bigint and ordinal = ${named.ordinal}::integer`.execute(db);
  return rows.length === 0 ? null : { site: named.site, position: Number(named.position), ordinal: Number(named.ordinal) };
}

function exceptionNamed(id: string): { readonly site: string; readonly position: string; readonly ordinal: string } {
  const [, site = "", position = "0", ordinal = "0"] = /^(.{1,64})\.(\d{1,15})\.(\d{1,4})$/.exec(id) ?? [];
  return { site, position, ordinal };
}
