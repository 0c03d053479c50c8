-- What a group costs does not grow with what is stored, once more: Postgres may turn round a join of a group's rows with a table, and read all of the table, where it has no statistics or those of a
-- smaller one. Here each row is looked for by its key: `offset 0` leaves nothing to turn round, and keys in an array are looked up one by one, whatever is believed of the table. And of an entry's first
-- line only what differs from entry to entry is made for each.
-- Locks: none.

create or replace function verdicts_have_their_facts() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  if exists (
    select from fresh v
    left join (
      select g.site, f.position, count(*) as facts
      from (select site, min(position) as first, max(position) as last from fresh group by site) g
      cross join lateral (
        select f.position from facts f where f.site = g.site and f.position between g.first and g.last and f.kind <> 'disposition.voided' offset 0) f
      group by g.site, f.position
    ) f on f.site = v.site and f.position = v.position
    where v.facts <> coalesce(f.facts, 0)
  ) then
    raise exception 'a verdict and its facts do not agree' using errcode = '23514';
  end if;
  return null;
end $$;

-- As before (migration 0010), to the byte.
create or replace function append_entries(p_site text, p_shard text, p_term bigint, p_base bigint, p_generation integer, p_now timestamptz, p_entries text[], p_batches jsonb)
  returns void language plpgsql as $$
declare
  v_before text := format('{"site":%s,"position":', to_json(p_site));
  v_after text := format(',"generation":%s,"time":"%s","shard":%s,"term":%s,"base":%s,"batches":', p_generation, to_char(p_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    to_json(p_shard), p_term, p_base);
begin
  insert into audit_numbers (site, batch, number, position)
    select p_site, r.batch, last.number + row_number() over (partition by r.batch order by r.ref desc), place(p_base, r.ref)
    from (select batch from jsonb_to_recordset(coalesce(p_batches, '[]')) as r (batch text) group by batch) named
      cross join lateral (select from batches b where b.site = p_site and b.batch = named.batch offset 0) b
      cross join lateral (select coalesce(max(n.number), 0) as number from audit_numbers n where n.site = p_site and n.batch = named.batch offset 0) last
      join jsonb_to_recordset(coalesce(p_batches, '[]')) as r (ref bigint, batch text) on r.batch = named.batch;
  insert into audit_entries (site, position, entry)
    select p_site, p_base + e.n, convert_to(v_before || (p_base + e.n) || v_after
        -- in the order of the key by which they are found: sorting for each entry costs more than all the rest of its line
        || coalesce((select json_object_agg(n.batch, n.number) from (
            select n.batch, n.number from audit_numbers n where n.site = p_site and n.position = p_base + e.n order by n.batch) n)::text, '{}')
      || E'}\n' || e.body, 'UTF8')
    from unnest(p_entries) with ordinality as e (body, n);
end $$;

-- As before (migration 0004), but that the rows which a group locks and changes are found by their keys.
create or replace function settle_rows(p_site text, p_shard text, p_term bigint, p_group uuid, p_count integer, p jsonb, p_raw bytea[], p_correlation bytea[])
  returns table (base bigint, generation integer, recorded_at timestamptz)
  language plpgsql as $$
#variable_conflict use_column
declare
  v_base bigint;
  v_generation integer;
  v_now timestamptz;
  v_expected integer;
  v_found integer;
  v_sources bigint[] := array(select a.key from jsonb_to_recordset(p -> 'sources') as a (key bigint));
  v_batches text[] := array(select a.batch from jsonb_to_recordset(p -> 'batches') as a (batch text));
  v_equipment text[] := array(select a.equipment from jsonb_to_recordset(p -> 'equipment') as a (equipment text));
  v_streams text[] := array(select a.stream from jsonb_to_recordset(p -> 'streams') as a (stream text));
begin
  perform 1 from shards where shard = p_shard and term = p_term for share;
  if not found then
    raise exception 'shard % is no longer owned under term %', p_shard, p_term using errcode = 'SB002';
  end if;

  if p ? 'sources' then
    select count(*) into v_found from (
      select 1 from sources s join jsonb_to_recordset(p -> 'sources') as a (key bigint, version bigint) on s.source_key = a.key and s.version = a.version
      where s.source_key = any(v_sources) order by s.source_key for update of s) as locked;
    if v_found <> jsonb_array_length(p -> 'sources') then
      raise exception 'a source has moved on' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'batches' then
    select count(*) into v_found from (
      select 1 from batches b join jsonb_to_recordset(p -> 'batches') as a (batch text, version bigint) on b.site = p_site and b.batch = a.batch and b.version = a.version
      where b.batch = any(v_batches) order by b.batch for update of b) as locked;
    select count(*) into v_expected from jsonb_to_recordset(p -> 'batches') as a (batch text, version bigint) where a.version > 0;
    if v_found <> v_expected
      or exists (select from batches b join jsonb_to_recordset(p -> 'batches') as a (batch text, version bigint) on b.site = p_site and b.batch = a.batch
        where b.batch = any(v_batches) and a.version = 0) then
      raise exception 'a batch has moved on' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'equipment' then
    select count(*) into v_found from (
      select 1 from equipment e join jsonb_to_recordset(p -> 'equipment') as a (equipment text, version bigint)
        on e.site = p_site and e.equipment = a.equipment and e.version = a.version
      where e.equipment = any(v_equipment) order by e.equipment for update of e) as locked;
    if v_found <> jsonb_array_length(p -> 'equipment') then
      raise exception 'equipment has moved on' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'awaited' then
    insert into awaited (site, awaited, version)
      select p_site, a.awaited, 0 from jsonb_to_recordset(p -> 'awaited') as a (awaited text, version bigint) where a.version = 0 order by a.awaited
      on conflict do nothing;
    select count(*) into v_found from (
      select 1 from awaited w join jsonb_to_recordset(p -> 'awaited') as a (awaited text, version bigint)
        on w.site = p_site and w.awaited = a.awaited and w.version = a.version
      order by w.awaited for update of w) as locked;
    if v_found <> jsonb_array_length(p -> 'awaited') then
      raise exception 'something awaited has come' using errcode = 'SB001';
    end if;
    update awaited w set version = w.version + 1 from jsonb_to_recordset(p -> 'awaited') as a (awaited text) where w.site = p_site and w.awaited = a.awaited;
  end if;

  if p ? 'judged_deferrals' then
    select count(*) into v_found from (
      select 1 from deferrals d join jsonb_to_recordset(p -> 'judged_deferrals') as a (position bigint, version bigint)
        on d.site = p_site and d.position = a.position and d.version = a.version
      order by d.position for update of d) as locked;
    if v_found <> jsonb_array_length(p -> 'judged_deferrals') then
      raise exception 'a deferred event has been settled elsewhere' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'judged_quarantine' then
    select count(*) into v_found from (
      select 1 from quarantine q join jsonb_to_recordset(p -> 'judged_quarantine') as a (position bigint, version bigint)
        on q.site = p_site and q.position = a.position and q.version = a.version and q.resolved_at is null
      order by q.position for update of q) as locked;
    if v_found <> jsonb_array_length(p -> 'judged_quarantine') then
      raise exception 'a quarantined event has been resolved elsewhere' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'streams' then
    insert into streams (site, stream, shard, line, opened_on, sequence)
      select p_site, n.stream, p_shard, n.line, n.opened_on, 0
      from jsonb_to_recordset(p -> 'streams') as n (stream text, expected bigint, line text, opened_on date) where n.expected = 0 order by n.stream
      on conflict do nothing;
    select count(*) into v_found from (
      select 1 from streams s join jsonb_to_recordset(p -> 'streams') as n (stream text, expected bigint) on s.site = p_site and s.stream = n.stream and s.sequence = n.expected
      where s.stream = any(v_streams) order by s.stream for update of s) as locked;
    if v_found <> jsonb_array_length(p -> 'streams') then
      raise exception 'an outcome stream has moved on' using errcode = 'SB001';
    end if;
    update streams s set sequence = n.sequence from jsonb_to_recordset(p -> 'streams') as n (stream text, sequence bigint)
      where s.site = p_site and s.stream = any(v_streams) and s.stream = n.stream;
  end if;

  update sites s set position = s.position + p_count where s.site = p_site returning s.position - p_count, s.generation into v_base, v_generation;
  v_now := clock_timestamp();

  insert into commits (site, group_id, shard, term, first_position, last_position, committed_at)
    values (p_site, p_group, p_shard, p_term, v_base + 1, v_base + p_count, v_now);

  if p ? 'signals' then
    insert into signals (site, position, generation, shard, kind, source_key, source, event_id, type, epoch, sequence, digest, topic, qos, retained, protocol, content_type,
        response_topic, correlation_data, user_properties, raw, raw_length, received_at, actor, body, recorded_at)
      select p_site, place(v_base, r.ref), v_generation, p_shard, r.kind, r.source_key, r.source, r.event_id, r.type, r.epoch, r.sequence, decode(r.digest, 'hex'), r.topic, r.qos,
        r.retained, r.protocol, r.content_type, r.response_topic, p_correlation[r.n], r.user_properties, p_raw[r.n], r.raw_length, r.received_at, r.actor, r.body, v_now
      from jsonb_to_recordset(p -> 'signals') as r (ref bigint, n integer, kind text, source_key bigint, source text, event_id text, type text, epoch bigint, sequence bigint,
        digest text, topic text, qos smallint, retained boolean, protocol text, content_type text, response_topic text, user_properties jsonb, raw_length integer,
        received_at timestamptz, actor text, body jsonb);
  end if;

  if p ? 'ids' then
    insert into event_ids (source_key, id_hash, digest, digest_version, position)
      select r.source_key, decode(r.id_hash, 'hex'), decode(r.digest, 'hex'), r.digest_version, place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'ids') as r (source_key bigint, id_hash text, digest text, digest_version smallint, ref bigint);
  end if;
  if p ? 'numbers' then
    insert into event_numbers (source_key, incarnation, epoch, sequence, position)
      select r.source_key, r.incarnation, r.epoch, r.sequence, place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'numbers') as r (source_key bigint, incarnation integer, epoch bigint, sequence bigint, ref bigint);
  end if;
  if p ? 'conflicts' then
    insert into event_conflicts (source_key, id_hash, digest, position)
      select r.source_key, decode(r.id_hash, 'hex'), decode(r.digest, 'hex'), place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'conflicts') as r (source_key bigint, id_hash text, digest text, ref bigint);
  end if;
  if p ? 'skipped' then
    insert into skipped_ranges (source_key, incarnation, epoch, first, last, reason, position)
      select r.source_key, r.incarnation, r.epoch, r.first, r.last, r.reason, place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'skipped') as r (source_key bigint, incarnation integer, epoch bigint, first bigint, last bigint, reason text, ref bigint);
  end if;
  if p ? 'waiting_gone' then
    delete from waiting w using jsonb_to_recordset(p -> 'waiting_gone') as r (source_key bigint, incarnation integer, epoch bigint, sequence bigint)
      where w.source_key = r.source_key and w.incarnation = r.incarnation and w.epoch = r.epoch and w.sequence = r.sequence;
    get diagnostics v_found = row_count;
    if v_found <> jsonb_array_length(p -> 'waiting_gone') then
      raise exception 'a waiting event is no longer there' using errcode = 'SB001';
    end if;
  end if;
  if p ? 'waiting' then
    insert into waiting (source_key, incarnation, epoch, sequence, site, position, id_hash, digest, bytes, ahead)
      select r.source_key, r.incarnation, r.epoch, r.sequence, p_site, place(v_base, r.ref), decode(r.id_hash, 'hex'), decode(r.digest, 'hex'), r.bytes, r.ahead
      from jsonb_to_recordset(p -> 'waiting') as r (source_key bigint, incarnation integer, epoch bigint, sequence bigint, ref bigint, id_hash text, digest text, bytes integer, ahead boolean);
  end if;
  -- a waiting event that its cursor has passed (its epoch ended, or a baseline lies above it) stays open for the gap limit, so that a copy may be judged in its stead
  if p ? 'waiting_expires' then
    update waiting w set expires_at = v_now + make_interval(secs => r.ms / 1000.0)
      from jsonb_to_recordset(p -> 'waiting_expires') as r (source_key bigint, incarnation integer, epoch bigint, through bigint, ms double precision)
      where w.source_key = r.source_key and w.expires_at is null and (w.incarnation < r.incarnation
        or (w.incarnation = r.incarnation and (w.epoch < r.epoch or (w.epoch = r.epoch and w.sequence <= r.through))));
  end if;

  if p ? 'sources' then
    update sources s set version = s.version + 1, incarnation = r.incarnation, epoch = r.epoch, through = r.through, highest = r.highest,
        gap_position = case r.gap when 'none' then null when 'open' then place(v_base, r.gap_ref) else s.gap_position end,
        gap_since = case r.gap when 'none' then null when 'open' then v_now else s.gap_since end,
        gap_due_at = case r.gap when 'none' then null when 'keep' then s.gap_due_at when 'halted' then null else v_now + make_interval(secs => r.gap_ms / 1000.0) end,
        parked = r.parked,
        parked_position = case when r.parked is null then null when r.parked_ref < 0 then place(v_base, r.parked_ref) else s.parked_position end,
        parked_at = case when r.parked is null then null when r.parked_ref < 0 then v_now else s.parked_at end,
        reused = r.reused, waiting_count = r.waiting_count, waiting_bytes = r.waiting_bytes, connection = r.connection, monotonic = r.monotonic
      from jsonb_to_recordset(p -> 'sources') as r (key bigint, changed boolean, incarnation integer, epoch bigint, through bigint, highest bigint, gap text, gap_ref bigint, gap_ms double precision,
        parked text, parked_ref bigint, reused integer, waiting_count integer, waiting_bytes bigint, connection text, monotonic jsonb)
      where r.changed and s.source_key = any(v_sources) and s.source_key = r.key;
  end if;

  if p ? 'batches' then
    insert into batches (site, batch, shard, version, line, job_order, recipe, revision, recipe_hash, batch_machine, batch_machine_hash, step_machine, step_machine_hash,
        quantity, unit, parameters, roles, execution, disposition, opened_on, facts, created_at, started_at, ended_at, closed_at, asked)
      select p_site, r.batch, p_shard, 1, r.line, r.job_order, r.recipe, r.revision, decode(r.recipe_hash, 'hex'), r.batch_machine, decode(r.batch_machine_hash, 'hex'), r.step_machine,
        decode(r.step_machine_hash, 'hex'), r.quantity, r.unit, r.parameters, r.roles, r.execution, r.disposition, r.opened_on, r.facts, r.created_at, r.started_at, r.ended_at,
        r.closed_at, decode(r.asked, 'hex')
      from jsonb_to_recordset(p -> 'batches') as r (batch text, version bigint, changed boolean, line text, job_order text, recipe text, revision integer, recipe_hash text, batch_machine text,
        batch_machine_hash text, step_machine text, step_machine_hash text, quantity text, unit text, parameters jsonb, roles jsonb, execution text, disposition text, opened_on date,
        facts bigint, created_at timestamptz, started_at timestamptz, ended_at timestamptz, closed_at timestamptz, asked text)
      where r.version = 0 and r.changed;
    update batches b set version = b.version + 1, quantity = r.quantity, unit = r.unit, roles = r.roles, parameters = r.parameters, execution = r.execution, disposition = r.disposition, facts = r.facts,
        started_at = r.started_at, ended_at = r.ended_at, closed_at = r.closed_at
      from jsonb_to_recordset(p -> 'batches') as r (batch text, version bigint, changed boolean, quantity text, unit text, roles jsonb, parameters jsonb, execution text, disposition text, facts bigint,
        started_at timestamptz, ended_at timestamptz, closed_at timestamptz)
      where b.site = p_site and b.batch = any(v_batches) and b.batch = r.batch and r.version > 0 and r.changed;
  end if;
  if p ? 'steps' then
    insert into steps (site, batch, step, attempt, ordinal, state, started_at, start_source, start_epoch, start_time, ended_at)
      select p_site, r.batch, r.step, r.attempt, r.ordinal, r.state, r.started_at, r.start_source, r.start_epoch, r.start_time, r.ended_at
      from jsonb_to_recordset(p -> 'steps') as r (batch text, step text, attempt integer, ordinal integer, state text, started_at timestamptz, start_source bigint, start_epoch bigint,
        start_time text, ended_at timestamptz)
      on conflict (site, batch, step, attempt) do update
        set state = excluded.state, started_at = excluded.started_at, start_source = excluded.start_source, start_epoch = excluded.start_epoch, start_time = excluded.start_time,
          ended_at = excluded.ended_at;
  end if;
  if p ? 'equipment' then
    update equipment e set version = e.version + 1, token = r.token, state = r.state, state_epoch = r.state_epoch, state_sequence = r.state_sequence
      from jsonb_to_recordset(p -> 'equipment') as r (equipment text, changed boolean, token bigint, state text, state_epoch bigint, state_sequence bigint)
      where r.changed and e.site = p_site and e.equipment = any(v_equipment) and e.equipment = r.equipment;
  end if;
  if p ? 'locks_freed' then
    update context_locks c set freed_at = v_now, freed_position = place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'locks_freed') as r (equipment text, token bigint, ref bigint)
      where c.site = p_site and c.equipment = any(array(select f.equipment from jsonb_to_recordset(p -> 'locks_freed') as f (equipment text))) and c.equipment = r.equipment and c.token = r.token
        and c.freed_at is null;
    get diagnostics v_found = row_count;
    if v_found <> jsonb_array_length(p -> 'locks_freed') then
      raise exception 'a context lock was freed elsewhere' using errcode = 'SB001';
    end if;
  end if;
  if p ? 'locks' then
    insert into context_locks (site, equipment, kind, batch, step, attempt, role, locked, token, taken_at, taken_position, freed_at, freed_position)
      select p_site, r.equipment, r.kind, r.batch, r.step, r.attempt, r.role, r.locked, r.token, v_now, place(v_base, r.ref), case when r.freed_ref is null then null else v_now end,
        place(v_base, r.freed_ref)
      from jsonb_to_recordset(p -> 'locks') as r (equipment text, kind text, batch text, step text, attempt integer, role text, locked text, token bigint, ref bigint, freed_ref bigint);
  end if;
  if p ? 'evidence' then
    insert into evidence (site, batch, step, attempt, evidence, position, supersedes, event_id, source, value, unit, data, within, low, high, recorded_at)
      select p_site, r.batch, r.step, r.attempt, r.evidence, place(v_base, r.ref), place(v_base, r.supersedes), r.event_id, r.source, r.value, r.unit, r.data, r.within, r.low, r.high, v_now
      from jsonb_to_recordset(p -> 'evidence') as r (batch text, step text, attempt integer, evidence text, ref bigint, supersedes bigint, event_id text, source text, value text, unit text,
        data jsonb, within boolean, low text, high text);
  end if;

  if p ? 'deferrals_gone' then
    delete from deferrals d using jsonb_to_recordset(p -> 'deferrals_gone') as r (position bigint) where d.site = p_site and d.position = r.position;
  end if;
  if p ? 'deferrals' then
    insert into deferrals (site, position, shard, source_key, round, code, batch, step, moves, behind, bytes, due_at)
      select p_site, place(v_base, r.ref), p_shard, r.source_key, r.round, r.code, r.batch, r.step, r.moves, place(v_base, r.behind), r.bytes, v_now + make_interval(secs => r.ms / 1000.0)
      from jsonb_to_recordset(p -> 'deferrals') as r (ref bigint, source_key bigint, round integer, code text, batch text, step text, moves boolean, behind bigint, bytes integer, ms double precision);
    insert into deferral_waits (site, waits_for, position)
      select p_site, w.waits_for, place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'deferrals') as r (ref bigint, waits jsonb), jsonb_array_elements_text(r.waits) as w (waits_for);
  end if;
  -- still open, and waiting for more than before
  if p ? 'deferrals_kept' then
    update deferrals d set version = d.version + 1, batch = r.batch, step = r.step
      from jsonb_to_recordset(p -> 'deferrals_kept') as r (position bigint, batch text, step text) where d.site = p_site and d.position = r.position;
    insert into deferral_waits (site, waits_for, position)
      select p_site, w.waits_for, r.position
      from jsonb_to_recordset(p -> 'deferrals_kept') as r (position bigint, waits jsonb), jsonb_array_elements_text(r.waits) as w (waits_for)
      on conflict do nothing;
  end if;
  if p ? 'quarantine_resolved' then
    update quarantine q set version = q.version + 1, resolved_at = v_now, resolved_position = place(v_base, r.ref), resolution = r.resolution
      from jsonb_to_recordset(p -> 'quarantine_resolved') as r (position bigint, ref bigint, resolution text) where q.site = p_site and q.position = r.position;
  end if;
  if p ? 'quarantine' then
    insert into quarantine (site, position, round, code, source, batch, since)
      select p_site, place(v_base, r.ref), r.round, r.code, r.source, r.batch, v_now
      from jsonb_to_recordset(p -> 'quarantine') as r (ref bigint, round integer, code text, source text, batch text)
      -- judged again by a person and still in doubt: the entry opens again, with its next round
      on conflict (site, position) do update
        set version = quarantine.version + 1, round = excluded.round, code = excluded.code, since = excluded.since, resolved_at = null, resolved_position = null, resolution = null;
  end if;
  if p ? 'exceptions' then
    insert into exceptions (site, position, ordinal, event_position, code, reason, source, batch, step, attempt, opened_at)
      select p_site, place(v_base, r.ref), r.ordinal, place(v_base, r.event_ref), r.code, r.reason, r.source, r.batch, r.step, r.attempt, v_now
      from jsonb_to_recordset(p -> 'exceptions') as r (ref bigint, ordinal smallint, event_ref bigint, code text, reason text, source text, batch text, step text, attempt integer);
  end if;
  if p ? 'exceptions_resolved' then
    update exceptions e set resolved_at = v_now, resolved_position = place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'exceptions_resolved') as r (event_position bigint, ref bigint)
      -- what the resolving round itself opens stays open
      where e.site = p_site and e.event_position = place(v_base, r.event_position) and e.position < place(v_base, r.ref) and e.resolved_at is null;
  end if;

  if p ? 'facts' then
    insert into facts (opened_on, site, position, ordinal, kind, batch, number, step, attempt, equipment, from_state, to_state, state_machine, data, recorded_at)
      select r.opened_on, p_site, place(v_base, r.ref), r.ordinal, r.kind, r.batch, r.number, r.step, r.attempt, r.equipment, r.from_state, r.to_state, r.state_machine, r.data, v_now
      from jsonb_to_recordset(p -> 'facts') as r (opened_on date, ref bigint, ordinal smallint, kind text, batch text, number bigint, step text, attempt integer, equipment text,
        from_state text, to_state text, state_machine text, data jsonb);
  end if;
  if p ? 'verdicts' then
    insert into verdicts (site, position, generation, shard, event_position, round, status, final, code, refused_by, reason, next, remedy, line, equipment, verdict_topic_line,
        verdict_topic_equipment, source, event_id, type, epoch, sequence, batch, step, attempt, context_from, correlation, traceparent, first_position, cause_position, ahead, flags, facts,
        explanation, event_time, recorded_at)
      select p_site, place(v_base, r.ref), v_generation, p_shard, place(v_base, r.event_ref), r.round, r.status, r.final, r.code, r.refused_by, r.reason, r.next, r.remedy, r.line, r.equipment,
        r.topic_line, r.topic_equipment, r.source, r.event_id, r.type, r.epoch, r.sequence, r.batch, r.step, r.attempt, r.context_from, r.correlation, r.traceparent,
        place(v_base, r.first_ref), place(v_base, r.cause_ref), r.ahead, r.flags, r.facts, r.explanation, r.event_time, v_now
      from jsonb_to_recordset(p -> 'verdicts') as r (ref bigint, event_ref bigint, round integer, status text, final boolean, code text, refused_by text, reason text, next text, remedy text,
        line text, equipment text, topic_line text, topic_equipment text, source text, event_id text, type text, epoch bigint, sequence bigint, batch text, step text, attempt integer,
        context_from text, correlation text, traceparent text, first_ref bigint, cause_ref bigint, ahead boolean, flags text[], facts smallint, explanation jsonb, event_time text);
  end if;
  if p ? 'outcomes' then
    insert into outcomes (opened_on, site, stream, sequence, position, ordinal, generation, shard, type, event_time, causation, correlation, traceparent, supersedes, data, recorded_at)
      select r.opened_on, p_site, r.stream, r.sequence, place(v_base, r.ref), r.ordinal, v_generation, p_shard, r.type, r.event_time, r.causation, r.correlation, r.traceparent, r.supersedes,
        r.data, v_now
      from jsonb_to_recordset(p -> 'outcomes') as r (opened_on date, stream text, sequence bigint, ref bigint, ordinal smallint, type text, event_time text, causation text, correlation text,
        traceparent text, supersedes text, data jsonb);
  end if;
  if p ? 'answers' then
    insert into idempotency_keys (site, key, request, body_digest, answer, position, recorded_at)
      select p_site, r.key, r.request, decode(r.body_digest, 'hex'), r.answer, place(v_base, r.ref), v_now
      from jsonb_to_recordset(p -> 'answers') as r (key text, request text, body_digest text, answer jsonb, ref bigint);
  end if;

  -- no due time passes while a shard does not receive: its first commit afterwards moves them all on
  if p ? 'interruption_ms' then
    update deferrals d set due_at = d.due_at + make_interval(secs => (p ->> 'interruption_ms')::double precision / 1000.0), version = d.version + 1
      where d.shard = p_shard and d.position <= v_base;
    update sources s set gap_due_at = s.gap_due_at + make_interval(secs => (p ->> 'interruption_ms')::double precision / 1000.0), version = s.version + 1
      where s.shard = p_shard and s.gap_due_at is not null;
    update waiting w set expires_at = w.expires_at + make_interval(secs => (p ->> 'interruption_ms')::double precision / 1000.0)
      where w.site = p_site and w.expires_at is not null;
  end if;

  return query select v_base, v_generation, v_now;
end $$;
