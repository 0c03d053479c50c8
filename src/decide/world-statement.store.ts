// The statements that read a world.
import { sql } from "kysely";
import { WAITING } from "../sequence/source-state.ts";
import { EVERY_STEP, GOING_ON } from "./world-request.ts";

/**
 * Locks nothing: the commit proves that what was read still holds. What it gives is in `world-rows.ts`. What is deferred is gone through once, not once a source: few are at a time, but as many pages as
 * lately were lie there until the next vacuum.
 */
export const worldStatement = (site: string, shard: string, asked: string) => sql`(
  with asked as materialized (select ${asked}::jsonb as q),
  near_locks as materialized (
    select c.* from asked, jsonb_array_elements_text(q -> 'equipment') a (equipment)
      cross join lateral (select * from context_locks c where c.site = ${site} and c.equipment = a.equipment and c.freed_at is null ${BY_KEY}) c
  ),
  wanted_batches as materialized (
    select jsonb_array_elements_text(q -> 'batches') as batch from asked union select batch from near_locks
    union select b.batch from asked, jsonb_array_elements_text(q -> 'orders') a (job_order)
      cross join lateral (select b.batch from batches b where b.site = ${site} and b.job_order = a.job_order ${BY_KEY}) b
  ),
  found_batches as materialized (
    select b.* from wanted_batches w cross join lateral (select * from batches b where b.site = ${site} and b.batch = w.batch ${BY_KEY}) b),
  wanted_equipment as materialized (
    select jsonb_array_elements_text(q -> 'equipment') as equipment from asked union select r.value from found_batches b, jsonb_each_text(b.roles) r
  ),
  source_keys as materialized (
    select s.source_key from asked, jsonb_array_elements_text(q -> 'sources') a (source)
      cross join lateral (select source_key from sources s where s.source = a.source ${BY_KEY}) s
    union select s.source_key from (
        select jsonb_array_elements_text(q -> 'equipment') as equipment from asked
        union all select r.value from asked, found_batches b, jsonb_each_text(b.roles) r where q -> 'sources_of' ? b.batch) e
      cross join lateral (select source_key from sources s where s.site = ${site} and s.equipment = e.equipment ${BY_KEY}) s
  ),
  wanted_sources as materialized (
    select s.* from source_keys k cross join lateral (select * from sources s where s.source_key = k.source_key ${BY_KEY}) s
  ),
  deferred as materialized (
    select d.source_key, count(*) as count, sum(d.bytes) as bytes from deferrals d where d.source_key = any(array(select source_key from source_keys)) group by d.source_key
  ),
  wanted_deferrals as materialized (
    select a.position::bigint as position from asked, jsonb_array_elements_text(q -> 'deferrals') a (position)
    union
    select w.position from (
      select 'batch:' || batch as waits_for from wanted_batches union select 'equipment:' || equipment from wanted_equipment union select 'source:' || source from wanted_sources) a
      cross join lateral (select w.position from deferral_waits w where w.site = ${site} and w.waits_for = a.waits_for ${BY_KEY}) w
  ),
  found_stations as materialized (
    select a.source, t.at, t.at::timestamptz as instant, d.station
    from asked, jsonb_each(case when exists (select from station_devices where site = ${site}) then q -> 'stations_at' else '{}' end) a (source, times)
      cross join lateral (select * from station_devices d where d.site = ${site} and d.source = a.source ${BY_KEY}) d
      cross join lateral jsonb_array_elements_text(a.times) t (at)
    where d.bound_at <= t.at::timestamptz and (d.unbound_at is null or t.at::timestamptz < d.unbound_at)
  )
  select json_build_object(
    'now', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'waiting_bytes', (select coalesce(sum(waiting_bytes), 0)::bigint from sources where shard = ${shard} and waiting_bytes > 0),
    'sources', (select coalesce(json_agg(json_build_object('key', s.source_key::text, 'source', s.source, 'site', s.site, 'line', s.line, 'equipment', s.equipment, 'device', s.device,
        'numbering', s.numbering, 'revoked', s.revoked, 'version', s.version, 'incarnation', s.incarnation, 'epoch', s.epoch::text, 'through', s.through::text, 'highest', s.highest::text,
        'gap_position', s.gap_position, 'gap_due_at', s.gap_due_at, 'parked', s.parked, 'parked_position', s.parked_position, 'reused', s.reused, 'waiting_count', s.waiting_count,
        'waiting_bytes', s.waiting_bytes, 'connection', s.connection, 'monotonic', s.monotonic,
        'signing', (select g.signing from signing_branches g where g.site = s.site and g.line = s.line and g.equipment = s.equipment),
        'skipped', (select coalesce(json_agg(json_build_object('first', k.first::text, 'last', k.last::text) order by k.first), '[]') from skipped_ranges k
          where k.source_key = s.source_key and k.incarnation = s.incarnation and k.epoch = s.epoch and k.last > s.through),
        'deferred', (select json_build_object('count', coalesce(sum(d.count), 0), 'bytes', coalesce(sum(d.bytes), 0)) from deferred d where d.source_key = s.source_key)
      ) order by s.source_key), '[]') from wanted_sources s),
    'ids', (select coalesce(json_agg(json_build_object('source', a.source, 'hash', h.hash, 'position', i.position, 'digest', encode(i.digest, 'hex'), 'version', i.digest_version,
        'latest', json_build_object('position', l.position, 'round', l.round, 'status', l.status, 'code', l.code),
        'elsewhere', case when l.status = 'duplicate' and l.round > 1 then (select json_build_object('event', w.event_position, 'position', w.position, 'round', w.round, 'status', w.status,
          'code', w.code) from ${ROUNDS} w where w.site = ${site} and w.event_position = l.first_position order by w.round desc limit 1) end,
        'waits', (select json_build_object('epoch', w.epoch::text, 'sequence', w.sequence::text) from waiting w
          where w.source_key = i.source_key and w.id_hash = i.id_hash and w.position = i.position and not w.ahead and w.incarnation = s.incarnation limit 1),
        'conflicts', (select coalesce(json_agg(json_build_object('digest', encode(c.digest, 'hex'), 'position', c.position) order by c.position, c.digest), '[]') from event_conflicts c
          where c.source_key = i.source_key and c.id_hash = i.id_hash)
      )), '[]') from asked, jsonb_each(q -> 'ids') a (source, hashes) join wanted_sources s on s.source = a.source cross join lateral jsonb_array_elements_text(a.hashes) h (hash)
        cross join lateral (select * from event_ids i where i.source_key = s.source_key and i.id_hash = decode(h.hash, 'hex') ${BY_KEY}) i
        left join lateral (select v.position, v.round, v.status, v.code, v.first_position from ${ROUNDS} v where v.site = ${site} and v.event_position = i.position order by v.round desc limit 1) l on true),
    'numbers', (select coalesce(json_agg(json_build_object('source', a.source, 'epoch', e.epoch, 'sequence', m.sequence, 'position', n.position,
        'waiting', case when w.source_key is null then null else json_build_object('position', w.position, 'id_hash', encode(w.id_hash, 'hex'), 'digest', encode(w.digest, 'hex'),
          'bytes', w.bytes, 'ahead', w.ahead) end)), '[]')
      from asked, jsonb_each(q -> 'numbers') a (source, epochs) join wanted_sources s on s.source = a.source
        cross join lateral jsonb_each(a.epochs) e (epoch, sequences) cross join lateral jsonb_array_elements_text(e.sequences) m (sequence)
        left join lateral (select n.position from event_numbers n
          where n.source_key = s.source_key and n.incarnation = s.incarnation and n.epoch = e.epoch::bigint and n.sequence = m.sequence::bigint ${BY_KEY}) n on true
        left join lateral (select * from waiting w
          where w.source_key = s.source_key and w.incarnation = s.incarnation and w.epoch = e.epoch::bigint and w.sequence = m.sequence::bigint ${BY_KEY}) w on true),
    'batches', (select coalesce(json_agg(b), '[]') from (
        select b.batch, b.version, b.line, b.job_order, b.recipe, b.revision, encode(b.recipe_hash, 'hex') as recipe_hash, b.batch_machine, encode(b.batch_machine_hash, 'hex') as batch_machine_hash,
          b.step_machine, encode(b.step_machine_hash, 'hex') as step_machine_hash, b.quantity, b.unit, b.parameters, b.roles, b.execution, b.disposition, b.disposition_stage, b.disposition_before,
          b.opened_on, b.facts, b.created_at, b.started_at, b.ended_at, b.closed_at, encode(b.asked, 'hex') as asked,
          (select json_agg(t order by t.ordinal) from (
            select distinct on (t.step) t.step, t.attempt, t.ordinal, t.state, t.started_at, t.start_source::text as start_source, t.start_epoch::text as start_epoch, t.start_time, t.ended_at,
              case when w.named ?| array[t.step, ${EVERY_STEP}]
                or t.ended_at is null and (w.named is null or w.named ? ${GOING_ON} or t.started_at is null or d.open > 0 or t.step = any(w.engaged)) then (select coalesce(json_agg(e order by e.position), '[]') from (
                select e.evidence, e.position, e.supersedes, e.event_id, e.source, e.value, e.unit, e.data, e.within, e.low, e.high, e.within is false and ${ACCEPTED} as accepted
                from evidence e where e.site = t.site and e.batch = t.batch and e.step = t.step and e.attempt = t.attempt) e) end as evidence
            from steps t where t.site = ${site} and t.batch = b.batch order by t.step, t.attempt desc) t) as steps,
          d.open as open_deferrals,
          (select count(*) from quarantine z where z.site = b.site and z.batch = b.batch and z.resolved_at is null) as open_quarantine,
          (select count(*) from exceptions x where x.site = b.site and x.batch = b.batch and x.resolved_at is null) as open_exceptions
        from found_batches b cross join lateral (select count(*) as open from deferrals d where d.site = b.site and d.batch = b.batch) d
          cross join lateral (select q -> 'evidence' -> b.batch as named, array(select l.step from near_locks l where l.batch = b.batch) as engaged from asked) w) b),
    'equipment', (select coalesce(json_agg(e), '[]') from (
        select e.equipment, e.line, e.class, e.version, e.token, e.state, e.state_epoch::text as state_epoch, e.state_sequence::text as state_sequence,
          (select coalesce(json_agg(c order by c.token), '[]') from (
            select c.equipment, c.kind, c.batch, c.step, c.attempt, c.role, c.locked, c.token, c.taken_position
            from context_locks c where c.site = ${site} and c.equipment = e.equipment and c.freed_at is null) c) as locks
        from wanted_equipment w cross join lateral (select * from equipment e where e.site = ${site} and e.equipment = w.equipment ${BY_KEY}) e) e),
    'awaited', (select coalesce(json_agg(json_build_object('awaited', w.awaited, 'version', w.version)), '[]')
      from (select a.awaited from asked, jsonb_array_elements_text(q -> 'awaited') a (awaited) union select 'batch:' || batch from wanted_batches) a
        cross join lateral (select * from awaited w where w.site = ${site} and w.awaited = a.awaited ${BY_KEY}) w),
    'wanted_batches', (select coalesce(json_agg(batch), '[]') from wanted_batches),
    'wanted_equipment', (select coalesce(json_agg(equipment), '[]') from wanted_equipment),
    'streams', (select coalesce(json_agg(json_build_object('stream', t.stream, 'line', t.line, 'sequence', t.sequence, 'opened_on', t.opened_on)), '[]')
      from (select a.stream from asked, jsonb_array_elements_text(q -> 'streams') a (stream)
          union select 'batch/' || batch from wanted_batches union select 'equipment/' || equipment from wanted_equipment) a
        cross join lateral (select * from streams t where t.site = ${site} and t.stream = a.stream ${BY_KEY}) t),
    'deferrals', (select coalesce(json_agg(json_build_object('position', d.position, 'version', d.version, 'round', d.round, 'source_key', d.source_key::text, 'code', d.code, 'batch', d.batch,
        'step', d.step, 'moves', d.moves, 'behind', d.behind, 'signal', ${signalJson(sql`g`)},
        'waits', (select coalesce(json_agg(x.waits_for order by x.waits_for), '[]') from deferral_waits x where x.site = d.site and x.position = d.position))), '[]')
      from wanted_deferrals w cross join lateral (select * from deferrals d where d.site = ${site} and d.position = w.position ${BY_KEY}) d
        cross join lateral (select * from signals g where g.site = d.site and g.position = d.position ${BY_KEY}) g),
    'stations_at', (select coalesce(json_agg(json_build_object('source', f.source, 'at', f.at, 'station', f.station,
        'ended', (select json_build_object('session', s.session, 'person', s.person) from station_sessions s
          where s.site = ${site} and s.station = f.station and s.opened_at <= f.instant and f.instant < s.ended_at))), '[]') from found_stations f),
    'stations', (select coalesce(json_agg(json_build_object('station', t.station, 'version', t.version,
        'open', (select json_build_object('session', s.session, 'person', s.person, 'openedAt', ${utc(sql`s.opened_at`)}, 'seenAt', ${utc(sql`s.seen_at`)}, 'idleSeconds', s.idle_seconds)
          from station_sessions s where s.site = t.site and s.station = t.station and s.ended_at is null))), '[]')
      from stations t where t.site = ${site} and t.station in (select station from found_stations))
  ))`;

/** What is asked for by name alone and rarely, as a statement of its own: Postgres makes ready all that stands in one, and one event alone would pay for that. Nothing of it is asked by most groups. */
export const rarelyStatement = (site: string, asked: string) => sql`(
  with asked as materialized (select ${asked}::jsonb as q)
  select json_build_object(
    'windows', (select coalesce(json_agg(json_build_object('source', a.source, 'incarnation', a.incarnation, 'epoch', a.epoch, 'events', (
        select coalesce(json_agg(json_build_object('key', w.source_key::text, 'sequence', w.sequence::text, 'position', w.position, 'id_hash', encode(w.id_hash, 'hex'),
          'digest', encode(w.digest, 'hex'), 'bytes', w.bytes, 'ahead', w.ahead, 'signal', ${signalJson(sql`g`)}) order by w.sequence), '[]')
        from (select * from waiting w where w.source_key = s.source_key and w.incarnation = a.incarnation and w.epoch = a.epoch::bigint and w.sequence > a.after::bigint
              order by w.sequence limit ${WAITING.slice}) w
          cross join lateral (select * from signals g where g.site = w.site and g.position = w.position ${BY_KEY}) g))), '[]')
      from asked, jsonb_to_recordset(q -> 'windows') as a (source text, incarnation integer, epoch text, after text)
        cross join lateral (select s.source_key from sources s where s.source = a.source ${BY_KEY}) s),
    'all_waiting', (select coalesce(json_agg(json_build_object('source', s.source, 'key', w.source_key::text, 'incarnation', w.incarnation, 'epoch', w.epoch::text,
        'sequence', w.sequence::text, 'position', w.position, 'id_hash', encode(w.id_hash, 'hex'), 'digest', encode(w.digest, 'hex'), 'bytes', w.bytes, 'ahead', w.ahead) order by w.source_key, w.epoch, w.sequence), '[]')
      from asked, jsonb_array_elements_text(q -> 'all_waiting') a (source)
        cross join lateral (select * from sources s where s.source = a.source ${BY_KEY}) s
        cross join lateral (select * from waiting w where w.source_key = s.source_key and w.incarnation = s.incarnation and w.expires_at is null ${BY_KEY}) w),
    'orders', (select coalesce(json_agg(json_build_object('order', b.job_order, 'batch', b.batch)), '[]') from asked, jsonb_array_elements_text(q -> 'orders') a (job_order)
      cross join lateral (select b.job_order, b.batch from batches b where b.site = ${site} and b.job_order = a.job_order ${BY_KEY}) b),
    'quarantine', (select coalesce(json_agg(json_build_object('position', z.position, 'version', z.version, 'round', z.round, 'code', z.code, 'batch', z.batch,
        'judged_in', json_build_object('batch', v.batch, 'step', v.step, 'attempt', v.attempt), 'signal', ${signalJson(sql`g`)})), '[]')
      from asked, jsonb_array_elements_text(q -> 'quarantine') a (position)
        cross join lateral (select * from quarantine z where z.site = ${site} and z.position = a.position::bigint and z.resolved_at is null ${BY_KEY}) z
        cross join lateral (select * from signals g where g.site = z.site and g.position = z.position ${BY_KEY}) g
        cross join lateral (select * from verdicts v where v.site = z.site and v.event_position = z.position and v.round = z.round ${BY_KEY}) v),
    'exceptions', (select coalesce(json_agg(json_build_object('position', x.position, 'ordinal', x.ordinal, 'code', x.code, 'batch', x.batch, 'step', x.step, 'attempt', x.attempt,
        'resolved', x.resolved_at is not null, 'disposition', x.disposition,
        'quarantined', exists (select from quarantine z where z.site = x.site and z.position = x.event_position and z.resolved_at is null)) order by x.position, x.ordinal), '[]')
      from asked, jsonb_array_elements_text(q -> 'exceptions') a (position)
        cross join lateral (select * from exceptions x where x.site = ${site} and x.position = a.position::bigint ${BY_KEY}) x),
    'performances', (select coalesce(json_agg(json_build_object('position', p.position, 'performed_by', ${PERFORMED_BY})), '[]') from asked, jsonb_array_elements_text(q -> 'performances') a (position)
      cross join lateral (select * from performances p where p.site = ${site} and p.position = a.position::bigint ${BY_KEY}) p),
    'keys', (select coalesce(json_agg(json_build_object('key', k.key, 'request', k.request, 'digest', encode(k.body_digest, 'hex'), 'answer', k.answer, 'position', k.position)), '[]')
      from asked, jsonb_array_elements_text(q -> 'keys') a (key)
        cross join lateral (select * from idempotency_keys k where k.site = ${site} and k.key = a.key ${BY_KEY}) k)
  ))`;

/**
 * Each row is looked up by its key, whatever Postgres believes of the tables' sizes: with this, what stands inside is no join that it may turn round. A plan that was made while there was little, or before there were
 * statistics, would read all that a site ever recorded.
 */
const BY_KEY = sql.raw("offset 0");

const utc = (time: ReturnType<typeof sql>) => sql`to_char(${time} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Who performed what was decided, as the judge holds it. */
const PERFORMED_BY = sql`json_build_object('person', p.person, 'station', p.station, 'session', p.session, 'at', ${utc(sql`p.performed_at`)}, 'clock', p.clock)`;

/** Whether quality has let evidence that lies outside go on: by a disposition of each exception that it opened. */
const ACCEPTED = sql`(select coalesce(bool_and(x.disposition is not distinct from 'continue'), false) from exceptions x
  where x.site = e.site and x.position = e.position and x.batch = e.batch and x.step = e.step)`;

/** Rounds of events, also those of which only this is kept, since they were disposed of. */
const ROUNDS = sql`(select site, position, event_position, round, status, code, first_position from verdicts
  union all select site, position, event_position, round, status, code, first_position from disposed_verdicts)`;

/** A stored delivery, enough to decode it again: the record holds each byte once. */
const signalJson = (
  g: ReturnType<typeof sql>,
) => sql`json_build_object('topic', ${g}.topic, 'raw', encode(${g}.raw, 'base64'), 'raw_length', ${g}.raw_length, 'qos', ${g}.qos,
  'retained', ${g}.retained, 'protocol', ${g}.protocol, 'content_type', ${g}.content_type, 'response_topic', ${g}.response_topic, 'user_properties', ${g}.user_properties,
  'received_at', ${utc(sql`${g}.received_at`)}, 'performed_by', (select ${PERFORMED_BY} from performances p where p.site = ${g}.site and p.position = ${g}.position))`;
