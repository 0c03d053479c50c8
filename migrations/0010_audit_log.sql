-- The audit log (docs/decisions/0009-audit-log.md): at each position one entry, whose bytes are the record and are hashed as they stand; how far a signer has signed
-- them; and acts, by which what is registered, read, exported and reviewed takes positions too. Positions from before this migration have no entry.
-- Locks: sites and signals, exclusively, for a moment (constraints that hold for every row there is, and triggers).

-- A site has logs 1, 2, 3, …; one ends where the next begins. The leaf of a position has the index position - first_position.
create table audit_logs (
  site plant_id not null references sites,
  log integer not null check (log >= 1),
  generation integer not null,
  first_position bigint not null check (first_position >= 1),
  -- the name by which a signed note tells this log from every other
  origin text not null check (origin ~ '^[!-~]+$'),
  why text not null check (why in ('begin', 'rotation', 'restore')),
  opened_at timestamptz not null default clock_timestamp(),
  primary key (site, log)
);

create table audit_entries (
  site plant_id not null,
  position bigint not null check (position > 0),
  -- two lines of JSON; never parsed to be hashed
  entry bytea not null,
  primary key (site, position)
) partition by range (position);

-- The n-th entry that changes the record of a batch: without holes, so a batch's entries are known to be all.
create table audit_numbers (
  site plant_id not null,
  batch plant_id not null,
  number bigint not null check (number >= 1),
  position bigint not null,
  primary key (site, batch, number),
  unique (site, position, batch)
);

-- What the signer has signed, and the tree's hashes in full tiles of 256, so that readers can give proofs. Nothing the signer does rests on these.
create table audit_checkpoints (
  site plant_id not null,
  log integer not null,
  size bigint not null check (size >= 1),
  root bytea not null check (length(root) = 32),
  note text not null,
  signed_at timestamptz not null default clock_timestamp(),
  primary key (site, log, size),
  foreign key (site, log) references audit_logs
);
create table audit_tiles (
  site plant_id not null,
  log integer not null,
  level smallint not null check (level >= 0),
  n bigint not null check (n >= 0),
  hashes bytea not null check (length(hashes) = 256 * 32),
  primary key (site, log, level, n),
  foreign key (site, log) references audit_logs
);

do $$
declare
  name text;
begin
  foreach name in array array['audit_logs', 'audit_entries', 'audit_numbers', 'audit_checkpoints', 'audit_tiles'] loop
    execute format('create trigger append_only before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
  end loop;
end $$;
grant select on audit_logs to signalbox_runtime;
grant select, insert on audit_entries, audit_numbers, audit_checkpoints, audit_tiles to signalbox_runtime;

-- Every site has its first log from the beginning.
create function begin_audit_log() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into audit_logs (site, log, generation, first_position, origin, why) values (new.site, 1, new.generation, new.position + 1, 'signalbox/' || new.site || '/1', 'begin');
  return null;
end $$;
insert into audit_logs (site, log, generation, first_position, origin, why) select site, 1, generation, position + 1, 'signalbox/' || site || '/1', 'begin' from sites;
create trigger begins_its_log after insert on sites for each row execute function begin_audit_log();

-- What a site publishes: all that is committed, or only what is signed. Beyond the limit of unsigned positions nothing is decided any more where it is `checkpoint`.
alter table sites
  add column publish_after text not null default 'commit' check (publish_after in ('commit', 'checkpoint')),
  add column unsigned_limit bigint not null default 100000 check (unsigned_limit >= 1000);

-- The last position up to which everything is signed.
create function signed_position(p_site text) returns bigint language sql stable parallel safe as $$
  select l.first_position - 1 + coalesce((select max(c.size) from audit_checkpoints c where c.site = l.site and c.log = l.log), 0)
  from audit_logs l where l.site = p_site order by (exists (select from audit_checkpoints c where c.site = l.site and c.log = l.log)) desc, l.log desc limit 1
$$;

-- The last position that may be shown outside.
create function shown_position(p_site text) returns bigint language sql stable parallel safe as $$
  select case when publish_after = 'commit' then position else least(position, signed_position(site)) end from sites where site = p_site
$$;

-- Appends the entries of the positions behind `p_base`, in order. The site's head is locked by whoever calls; that orders the numbers of a batch too.
-- `p_batches`: whose record each entry changes, [{ ref, batch }]; a batch that there is not has no record.
create function append_entries(p_site text, p_shard text, p_term bigint, p_base bigint, p_generation integer, p_now timestamptz, p_entries text[], p_batches jsonb)
  returns void language plpgsql as $$
begin
  insert into audit_numbers (site, batch, number, position)
    select p_site, r.batch, (select coalesce(max(n.number), 0) from audit_numbers n where n.site = p_site and n.batch = r.batch)
        + row_number() over (partition by r.batch order by r.ref desc), place(p_base, r.ref)
    from jsonb_to_recordset(coalesce(p_batches, '[]')) as r (ref bigint, batch text)
    where exists (select from batches b where b.site = p_site and b.batch = r.batch);
  insert into audit_entries (site, position, entry)
    select p_site, p_base + e.n, convert_to(format('{"site":%s,"position":%s,"generation":%s,"time":"%s","shard":%s,"term":%s,"base":%s,"batches":%s}',
        to_json(p_site), p_base + e.n, p_generation, to_char(p_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), to_json(p_shard), p_term, p_base, 
        coalesce((select json_object_agg(n.batch, n.number order by n.batch) from audit_numbers n where n.site = p_site and n.position = p_base + e.n), '{}'))
      || E'\n' || e.body, 'UTF8')
    from unnest(p_entries) with ordinality as e (body, n);
end $$;

-- One group's commit, as before (migration 0004, which now is `settle_rows`), with an entry for each of its positions.
alter function settle(text, text, bigint, uuid, integer, jsonb, bytea[], bytea[]) rename to settle_rows;
create function settle(p_site text, p_shard text, p_term bigint, p_group uuid, p_count integer, p jsonb, p_raw bytea[], p_correlation bytea[], p_entries text[])
  returns table (base bigint, generation integer, recorded_at timestamptz)
  language plpgsql as $$
#variable_conflict use_column
declare
  v record;
begin
  select * into v from settle_rows(p_site, p_shard, p_term, p_group, p_count, p, p_raw, p_correlation);
  -- who promised to show only what is signed does not go on for ever without a signer
  if exists (select from sites where site = p_site and publish_after = 'checkpoint' and position - signed_position(site) > unsigned_limit) then
    raise exception 'more than % positions of site % are not signed', (select unsigned_limit from sites where site = p_site), p_site using errcode = 'SB004';
  end if;
  perform append_entries(p_site, p_shard, p_term, v.base, v.generation, v.recorded_at, p_entries, p -> 'entry_batches');
  return query select v.base, v.generation, v.recorded_at;
end $$;

-- A position without its entry would be a hole in the log: no commit moves the head past one.
create function positions_have_their_entries() returns trigger language plpgsql as $$
begin
  if (select count(*) from audit_entries e where e.site = new.site and e.position > old.position and e.position <= new.position) <> new.position - old.position then
    raise exception 'positions % to % of site % have no entry each', old.position + 1, new.position, new.site using errcode = '23514';
  end if;
  return null;
end $$;
create constraint trigger entries_agree after update of position on sites deferrable initially deferred
  for each row when (new.position <> old.position) execute function positions_have_their_entries();

-- Acts: what is registered, set, read, exported or reviewed; on record like a signal, at a position of its own, without a verdict.
alter table signals drop constraint signals_kind_check;
alter table signals add constraint signals_kind_check check (kind in ('event', 'command', 'tick', 'diag', 'act'));
alter table signals drop constraint signals_check1;
alter table signals add constraint signals_body_check check ((kind in ('command', 'tick', 'act')) = (body is not null));
alter table signals add constraint signals_act_check check (kind <> 'act' or (actor is not null and type is not null));
create index signals_by_actor on signals (site, actor, position) where actor is not null;

create function record_act(p_site text, p_actor text, p_type text, p_body jsonb, p_batches text[], p_entry text) returns bigint language plpgsql as $$
declare
  v_position bigint;
  v_generation integer;
  v_shard text;
  v_now timestamptz;
begin
  update sites s set position = s.position + 1 where s.site = p_site returning s.position, s.generation into v_position, v_generation;
  if not found then
    raise exception 'there is no site %', p_site using errcode = '23503';
  end if;
  v_now := clock_timestamp();
  select min(shard) into v_shard from shards where site = p_site;
  insert into signals (site, position, generation, shard, kind, type, received_at, actor, body, recorded_at)
    values (p_site, v_position, v_generation, v_shard, 'act', p_type, v_now, p_actor, p_body, v_now);
  perform append_entries(p_site, v_shard, 0, v_position - 1, v_generation, v_now, array[p_entry],
    (select jsonb_agg(jsonb_build_object('ref', -1, 'batch', b)) from unnest(p_batches) as b));
  return v_position;
end $$;

grant execute on function settle(text, text, bigint, uuid, integer, jsonb, bytea[], bytea[], text[]) to signalbox_runtime;
grant execute on function record_act(text, text, text, jsonb, text[], text) to signalbox_runtime;

-- The audit trail as it is searched: one row for each position, who, what and why. Entries are what counts; this only finds them.
create view audit_trail as
  select g.site, g.position, g.recorded_at, coalesce(g.actor, g.source, 'signalbox') as who,
    case g.kind when 'command' then regexp_replace(g.body ->> 'kind', 'command$', coalesce(g.body ->> 'command', 'command'))
      when 'tick' then (g.body ->> 'tick') || '.due' when 'diag' then 'diagnosis' else coalesce(g.type, v.type, 'unreadable') end as what,
    coalesce(g.body ->> 'reason', v.reason) as why, v.code
  from signals g left join verdicts v on v.site = g.site and v.position = g.position
  union all
  select v.site, v.position, v.recorded_at, 'signalbox', coalesce(v.type, 'unreadable'), v.reason, v.code
  from verdicts v where v.round > 1 and not exists (select from signals g where g.site = v.site and g.position = v.position);
grant select on audit_trail to signalbox_runtime;

-- The last position before which every signal was recorded earlier than a time; times never go back along positions.
create function position_at(p_site text, p_time timestamptz) returns bigint language plpgsql stable as $$
declare
  low bigint := 0;
  high bigint := (select position from sites where site = p_site);
  middle bigint;
begin
  while low < high loop
    middle := (low + high) / 2;
    if (select recorded_at from signals where site = p_site and position > middle order by position limit 1) < p_time then
      low := middle + 1;
    else
      high := middle;
    end if;
  end loop;
  return low;
end $$;
grant execute on function position_at(text, timestamptz) to signalbox_runtime;

-- Partitions ahead of need, now of the entries too.
create or replace function ensure_partitions(reached bigint) returns integer
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  span constant bigint := 1000000;
  made integer := 0;
  part bigint;
  month date;
  parent text;
begin
  perform pg_advisory_xact_lock(hashtext('signalbox.partitions'));
  foreach parent in array array['signals', 'verdicts', 'audit_entries'] loop
    for part in 0 .. (reached / span) + 2 loop
      if to_regclass(format('%I', parent || '_p' || part)) is null then
        execute format('create table %I partition of %I for values from (%s) to (%s)', parent || '_p' || part, parent, part * span, (part + 1) * span);
        execute format('grant select, insert on %I to signalbox_runtime', parent || '_p' || part);
        made := made + 1;
      end if;
    end loop;
  end loop;
  foreach parent in array array['facts', 'outcomes'] loop
    -- what belongs to no batch stands in a partition of its own, which no retention drops
    if to_regclass(format('%I', parent || '_standing')) is null then
      execute format('create table %I partition of %I for values from (%L) to (%L)', parent || '_standing', parent, '2000-01-01', '2000-01-02');
      execute format('grant select, insert on %I to signalbox_runtime', parent || '_standing');
      made := made + 1;
    end if;
    for ahead in -1 .. 3 loop
      month := (date_trunc('month', (clock_timestamp() at time zone 'utc')) + make_interval(months => ahead))::date;
      if to_regclass(format('%I', parent || to_char(month, '_YYYY_MM'))) is null then
        execute format('create table %I partition of %I for values from (%L) to (%L)', parent || to_char(month, '_YYYY_MM'), parent, month, (month + interval '1 month')::date);
        execute format('grant select, insert on %I to signalbox_runtime', parent || to_char(month, '_YYYY_MM'));
        made := made + 1;
      end if;
    end loop;
  end loop;
  return made;
end $$;
select ensure_partitions((select coalesce(max(position), 0) from sites));
