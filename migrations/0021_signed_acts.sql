-- What a person signs about a batch's disposition holds while the record is as it was (docs/decisions/0016-signed-acts.md).
-- Locks: adding columns without a default locks batches for a moment; the functions are as in 0003 and 0020 otherwise.

-- Whose signature about the disposition is in force, and what the disposition goes back to when it is void.
alter table batches
  add column disposition_stage text check (disposition_stage in ('recommended', 'disposed')),
  add column disposition_before text,
  add constraint signed_as_a_whole check ((disposition_stage is null) = (disposition_before is null));

-- What a person has said of an exception, and under which record of the quality system.
alter table exceptions
  add column disposition text check (disposition in ('continue', 'rework', 'abort')),
  add column linked text,
  add constraint disposed_of_as_a_whole check ((disposition is null) = (linked is null) and (disposition is null or resolved_at is not null));

-- Every accepted verdict has at least one fact at its position, and as many as it says. That a signature is void is no fact of the event: it comes of whatever changes the record.
create or replace function verdicts_have_their_facts() returns trigger language plpgsql as $$
begin
  if exists (
    select from fresh v
    where v.facts <> (select count(*) from facts f where f.site = v.site and f.position = v.position and f.kind <> 'disposition.voided')
  ) then
    raise exception 'a verdict and its facts do not agree' using errcode = '23514';
  end if;
  return null;
end $$;

create or replace function settle(p_site text, p_shard text, p_term bigint, p_group uuid, p_count integer, p jsonb, p_raw bytea[], p_correlation bytea[], p_entries text[])
  returns table (base bigint, generation integer, recorded_at timestamptz)
  language plpgsql as $$
#variable_conflict use_column
declare
  v record;
  v_found bigint;
begin
  if p ? 'stations' then
    select count(*) into v_found from (
      select 1 from stations s join jsonb_to_recordset(p -> 'stations') as a (station text, version bigint) on s.site = p_site and s.station = a.station and s.version = a.version
      order by s.station for update of s) as locked;
    if v_found <> jsonb_array_length(p -> 'stations') then
      raise exception 'a station has moved on' using errcode = 'SB001';
    end if;
    update stations s set version = s.version + 1 from jsonb_to_recordset(p -> 'stations') as a (station text, changed boolean)
      where a.changed and s.site = p_site and s.station = a.station;
    update station_sessions s set seen_at = a.seen_at from jsonb_to_recordset(p -> 'stations') as a (changed boolean, session bigint, seen_at timestamptz)
      where a.changed and s.site = p_site and s.session = a.session;
  end if;
  select * into v from settle_rows(p_site, p_shard, p_term, p_group, p_count, p, p_raw, p_correlation);
  -- who promised to show only what is signed does not go on for ever without a signer
  if exists (select from sites where site = p_site and publish_after = 'checkpoint' and position - signed_position(site) > unsigned_limit) then
    raise exception 'more than % positions of site % are not signed', (select unsigned_limit from sites where site = p_site), p_site using errcode = 'SB004';
  end if;
  if p ? 'interruption_ms' then
    update shard_beats set received_until = received_until + make_interval(secs => (p ->> 'interruption_ms')::double precision / 1000.0) where shard = p_shard;
  end if;
  -- the batches are locked and their versions are raised already
  if p ? 'signed' then
    update batches b set disposition_stage = r.stage, disposition_before = r.before
      from jsonb_to_recordset(p -> 'signed') as r (batch text, stage text, before text) where b.site = p_site and b.batch = r.batch;
  end if;
  -- the last of a batch: within a group it may be amended more than once, from one to the next
  if p ? 'amended' then
    update batches b set recipe = r.recipe, revision = r.revision, recipe_hash = decode(r.recipe_hash, 'hex')
      from (select distinct on (batch) * from rows from (jsonb_to_recordset(p -> 'amended') as (batch text, recipe text, revision integer, recipe_hash text)) with ordinality as a
        (batch, recipe, revision, recipe_hash, n) order by batch, n desc) r
      where b.site = p_site and b.batch = r.batch;
  end if;
  if p ? 'exceptions_disposed' then
    update exceptions x set resolved_at = v.recorded_at, resolved_position = place(v.base, r.ref), disposition = r.disposition, linked = r.linked
      from jsonb_to_recordset(p -> 'exceptions_disposed') as r (position bigint, ordinal smallint, ref bigint, disposition text, linked text)
      where x.site = p_site and x.position = r.position and x.ordinal = r.ordinal and x.resolved_at is null;
    get diagnostics v_found = row_count;
    if v_found <> jsonb_array_length(p -> 'exceptions_disposed') then
      raise exception 'an exception was disposed of elsewhere' using errcode = 'SB001';
    end if;
  end if;
  if p ? 'performances' then
    insert into performances (site, position, event_position, person, station, session, performed_at, clock)
      select p_site, place(v.base, r.ref), place(v.base, r.event_ref), r.person, r.station, r.session, r.performed_at, r.clock
      from jsonb_to_recordset(p -> 'performances') as r (ref bigint, event_ref bigint, person text, station text, session bigint, performed_at timestamptz, clock text)
      order by place(v.base, r.ref);
  end if;
  perform append_entries(p_site, p_shard, p_term, v.base, v.generation, v.recorded_at, p_entries, p -> 'entry_batches');
  return query select v.base, v.generation, v.recorded_at;
end $$;
