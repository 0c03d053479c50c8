-- What a commit need not ask. Making a statement ready costs an event that comes alone as much as the rows that it writes: what is new to be made, and what is merely proved, the document tells by itself.
-- And before a site has statistics Postgres would rather go through all its batches than look for those of a list, each time, until a plan is made anew. Here each row is looked for by its key, which
-- `offset 0` leaves nothing to turn round. What is locked stays where it is: there it is changed.
-- As before (migration 0033) otherwise; rows are locked in the order of their keys, as before.
-- Locks: none.

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
  v_new_batches boolean := jsonb_path_exists(p, '$.batches[*] ? (@.version == 0)');
begin
  perform 1 from shards where shard = p_shard and term = p_term for share;
  if not found then
    raise exception 'shard % is no longer owned under term %', p_shard, p_term using errcode = 'SB002';
  end if;

  if p ? 'sources' then
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'sources') as r (key bigint, version bigint) order by key) a
      cross join lateral (select s.version from sources s where s.source_key = a.key offset 0 for update) s where s.version = a.version;
    if v_found <> jsonb_array_length(p -> 'sources') then
      raise exception 'a source has moved on' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'batches' then
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'batches') as r (batch text, version bigint) order by batch) a
      cross join lateral (select b.version from batches b where b.site = p_site and b.batch = a.batch offset 0 for update) b where b.version = a.version;
    v_expected := jsonb_array_length(p -> 'batches');
    if v_new_batches then
      select count(*) into v_expected from jsonb_to_recordset(p -> 'batches') as a (batch text, version bigint) where a.version > 0;
      if exists (select from jsonb_to_recordset(p -> 'batches') as a (batch text, version bigint)
        cross join lateral (select from batches b where b.site = p_site and b.batch = a.batch offset 0) b where a.version = 0) then
        raise exception 'a batch has moved on' using errcode = 'SB001';
      end if;
    end if;
    if v_found <> v_expected then
      raise exception 'a batch has moved on' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'equipment' then
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'equipment') as r (equipment text, version bigint) order by equipment) a
      cross join lateral (select e.version from equipment e where e.site = p_site and e.equipment = a.equipment offset 0 for update) e where e.version = a.version;
    if v_found <> jsonb_array_length(p -> 'equipment') then
      raise exception 'equipment has moved on' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'awaited' then
    if jsonb_path_exists(p, '$.awaited[*] ? (@.version == 0)') then
      insert into awaited (site, awaited, version)
        select p_site, a.awaited, 0 from jsonb_to_recordset(p -> 'awaited') as a (awaited text, version bigint) where a.version = 0 order by a.awaited
        on conflict do nothing;
    end if;
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'awaited') as r (awaited text, version bigint) order by awaited) a
      cross join lateral (select w.version from awaited w where w.site = p_site and w.awaited = a.awaited offset 0 for update) w where w.version = a.version;
    if v_found <> jsonb_array_length(p -> 'awaited') then
      raise exception 'something awaited has come' using errcode = 'SB001';
    end if;
    update awaited w set version = w.version + 1 from jsonb_to_recordset(p -> 'awaited') as a (awaited text)
      cross join lateral (select k.ctid from awaited k where k.site = p_site and k.awaited = a.awaited offset 0) k where w.ctid = k.ctid;
  end if;

  if p ? 'judged_deferrals' then
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'judged_deferrals') as r (position bigint, version bigint) order by position) a
      cross join lateral (select d.version from deferrals d where d.site = p_site and d.position = a.position offset 0 for update) d where d.version = a.version;
    if v_found <> jsonb_array_length(p -> 'judged_deferrals') then
      raise exception 'a deferred event has been settled elsewhere' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'judged_quarantine' then
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'judged_quarantine') as r (position bigint, version bigint) order by position) a
      cross join lateral (select q.version, q.resolved_at from quarantine q where q.site = p_site and q.position = a.position offset 0 for update) q
      where q.version = a.version and q.resolved_at is null;
    if v_found <> jsonb_array_length(p -> 'judged_quarantine') then
      raise exception 'a quarantined event has been resolved elsewhere' using errcode = 'SB001';
    end if;
  end if;

  if p ? 'streams' then
    if jsonb_path_exists(p, '$.streams[*] ? (@.expected == 0)') then
      insert into streams (site, stream, shard, line, opened_on, sequence)
        select p_site, n.stream, p_shard, n.line, n.opened_on, 0
        from jsonb_to_recordset(p -> 'streams') as n (stream text, expected bigint, line text, opened_on date) where n.expected = 0 order by n.stream
        on conflict do nothing;
    end if;
    select count(*) into v_found from (select * from jsonb_to_recordset(p -> 'streams') as r (stream text, expected bigint) order by stream) n
      cross join lateral (select s.sequence from streams s where s.site = p_site and s.stream = n.stream offset 0 for update) s where s.sequence = n.expected;
    if v_found <> jsonb_array_length(p -> 'streams') then
      raise exception 'an outcome stream has moved on' using errcode = 'SB001';
    end if;
    update streams s set sequence = n.sequence from jsonb_to_recordset(p -> 'streams') as n (stream text, sequence bigint)
      cross join lateral (select k.ctid from streams k where k.site = p_site and k.stream = n.stream offset 0) k where s.ctid = k.ctid;
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
      cross join lateral (select k.ctid from sources k where k.source_key = r.key offset 0) k
      where r.changed and s.ctid = k.ctid;
  end if;

  if p ? 'batches' then
    if v_new_batches then
      insert into batches (site, batch, shard, version, line, job_order, recipe, revision, recipe_hash, batch_machine, batch_machine_hash, step_machine, step_machine_hash,
          quantity, unit, parameters, roles, execution, disposition, opened_on, facts, created_at, started_at, ended_at, closed_at, asked)
        select p_site, r.batch, p_shard, 1, r.line, r.job_order, r.recipe, r.revision, decode(r.recipe_hash, 'hex'), r.batch_machine, decode(r.batch_machine_hash, 'hex'), r.step_machine,
          decode(r.step_machine_hash, 'hex'), r.quantity, r.unit, r.parameters, r.roles, r.execution, r.disposition, r.opened_on, r.facts, r.created_at, r.started_at, r.ended_at,
          r.closed_at, decode(r.asked, 'hex')
        from jsonb_to_recordset(p -> 'batches') as r (batch text, version bigint, changed boolean, line text, job_order text, recipe text, revision integer, recipe_hash text, batch_machine text,
          batch_machine_hash text, step_machine text, step_machine_hash text, quantity text, unit text, parameters jsonb, roles jsonb, execution text, disposition text, opened_on date,
          facts bigint, created_at timestamptz, started_at timestamptz, ended_at timestamptz, closed_at timestamptz, asked text)
        where r.version = 0 and r.changed;
    end if;
    update batches b set version = b.version + 1, quantity = r.quantity, unit = r.unit, roles = r.roles, parameters = r.parameters, execution = r.execution, disposition = r.disposition, facts = r.facts,
        started_at = r.started_at, ended_at = r.ended_at, closed_at = r.closed_at
      from jsonb_to_recordset(p -> 'batches') as r (batch text, version bigint, changed boolean, quantity text, unit text, roles jsonb, parameters jsonb, execution text, disposition text, facts bigint,
        started_at timestamptz, ended_at timestamptz, closed_at timestamptz)
      cross join lateral (select k.ctid from batches k where k.site = p_site and k.batch = r.batch offset 0) k
      where r.version > 0 and r.changed and b.ctid = k.ctid;
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
  if jsonb_path_exists(p, '$.equipment[*] ? (@.changed == true)') then
    update equipment e set version = e.version + 1, token = r.token, state = r.state, state_epoch = r.state_epoch, state_sequence = r.state_sequence
      from jsonb_to_recordset(p -> 'equipment') as r (equipment text, changed boolean, token bigint, state text, state_epoch bigint, state_sequence bigint)
      cross join lateral (select k.ctid from equipment k where k.site = p_site and k.equipment = r.equipment offset 0) k
      where r.changed and e.ctid = k.ctid;
  end if;
  if p ? 'locks_freed' then
    update context_locks c set freed_at = v_now, freed_position = place(v_base, r.ref)
      from jsonb_to_recordset(p -> 'locks_freed') as r (equipment text, token bigint, ref bigint)
      cross join lateral (select k.ctid from context_locks k where k.site = p_site and k.equipment = r.equipment and k.token = r.token and k.freed_at is null offset 0) k
      where c.ctid = k.ctid;
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

  base := v_base;
  generation := v_generation;
  recorded_at := v_now;
  return next;
end $$;
