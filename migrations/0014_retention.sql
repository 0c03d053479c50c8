-- Retention (docs/decisions/0012-retention.md): by record class, with legal hold. What is dropped are partitions, after an archive of each site's part of it was made and is on record;
-- `dispose_of` is the only way, and refuses whatever must not be dropped. What later questions still rest on stays: the leaf hashes in full tiles, and of an ended log's last tile, which is
-- not full, those in `disposed_leaves`; and of each verdict what a repeated event is answered with.
-- Every row here comes of an act in the audit log, and is known by the act's position. The runtime role reads; only the tables' owner writes and drops.
-- Locks: none that anybody waits for (new tables and functions). `dispose_of` itself waits for whoever reads what it drops, and others wait for it: its caller sets a lock_timeout.

-- For how many days something is kept at least; without a row ten years.
create table retention_rules (
  site plant_id not null references sites,
  class text not null check (class in ('positions', 'batches')),
  keep_days integer not null check (keep_days >= 1),
  primary key (site, class)
);

create table legal_holds (
  site plant_id not null references sites,
  hold bigint not null check (hold >= 1),
  -- all of the site, a batch, or a range of positions
  batch plant_id,
  from_position bigint check (from_position >= 1),
  to_position bigint,
  reason text not null check (reason ~ '\S'),
  placed_by text not null check (placed_by ~ '\S'),
  placed_at timestamptz not null default clock_timestamp(),
  primary key (site, hold),
  foreign key (site, batch) references batches,
  check ((from_position is null) = (to_position is null)),
  check (to_position >= from_position),
  check (batch is null or from_position is null)
);
create table legal_hold_releases (
  site plant_id not null,
  hold bigint not null,
  position bigint not null check (position > hold),
  reason text not null check (reason ~ '\S'),
  released_by text not null check (released_by ~ '\S'),
  released_at timestamptz not null default clock_timestamp(),
  primary key (site, hold),
  foreign key (site, hold) references legal_holds
);

-- Bundles that were made of a partition's positions, verified, and put away. The digest is that of SHA256SUMS, which has every other file's.
create table record_archives (
  site plant_id not null references sites,
  archive bigint not null check (archive >= 1),
  class text not null check (class in ('positions', 'batches')),
  part text not null,
  from_position bigint not null check (from_position >= 1),
  to_position bigint not null check (to_position >= from_position),
  sums_sha256 bytea not null check (length(sums_sha256) = 32),
  archived_by text not null check (archived_by ~ '\S'),
  archived_at timestamptz not null default clock_timestamp(),
  primary key (site, archive),
  check (archive > to_position)
);

create table disposals (
  site plant_id not null references sites,
  disposal bigint not null check (disposal >= 1),
  class text not null check (class in ('positions', 'batches')),
  part text not null,
  from_position bigint not null,
  to_position bigint not null check (to_position >= from_position),
  reason text not null check (reason ~ '\S'),
  disposed_by text not null check (disposed_by ~ '\S'),
  disposed_at timestamptz not null default clock_timestamp(),
  primary key (site, disposal),
  check (disposal > to_position)
);

-- What an event that comes again is answered with, and what its messages name: of verdicts that were disposed of.
create table disposed_verdicts (
  site plant_id not null,
  position bigint not null,
  event_position bigint not null,
  generation integer not null,
  round integer not null,
  status text not null,
  code text,
  first_position bigint,
  primary key (site, position)
);
create index disposed_verdicts_rounds on disposed_verdicts (site, event_position);

-- Leaf hashes, one behind the other, of an ended log's last tile, which is kept nowhere else since it is not full.
create table disposed_leaves (
  site plant_id not null,
  log integer not null,
  first_index bigint not null check (first_index >= 0),
  hashes bytea not null check (length(hashes) between 32 and 255 * 32 and length(hashes) % 32 = 0),
  primary key (site, log, first_index),
  foreign key (site, log) references audit_logs
);

do $$
declare
  name text;
begin
  foreach name in array array['retention_rules', 'legal_holds', 'legal_hold_releases', 'record_archives', 'disposals', 'disposed_verdicts', 'disposed_leaves'] loop
    if name <> 'retention_rules' then
      execute format('create trigger append_only before update or delete on %I for each row execute function refuse_change()', name);
    end if;
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select on %I to signalbox_runtime', name);
  end loop;
end $$;

-- The last position up to which what was received and decided is disposed of; 0: nothing is. Always from the first one on, since the oldest goes first.
create function disposed_position(p_site text) returns bigint language sql stable parallel safe as $$
  select coalesce(max(to_position), 0) from disposals where site = p_site and class = 'positions'
$$;
grant execute on function disposed_position(text) to signalbox_runtime;

-- The partitions that there are, by class, with their bounds as the catalogue has them: positions, or days on which batches were opened.
create function retention_parts() returns table (class text, part text, low text, high text) language sql stable set search_path = public, pg_temp as $$
  select p.class, substr(c.relname::text, length(p.parent) + 2), b[1], b[2]
  from (values ('positions', 'audit_entries'), ('batches', 'facts')) as p (class, parent)
  join pg_inherits i on i.inhparent = to_regclass('public.' || p.parent)
  join pg_class c on c.oid = i.inhrelid and c.relname <> p.parent || '_standing'
  cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''?([^'')]+)''?\) TO \(''?([^'')]+)''?\)') as b
$$;

-- The sites that have something in a partition: from which position to which, and since when it would be disposed of: when it has been kept for so many days since its last entry, and since the
-- last batch of which it tells was closed.
create function retention_sites(p_class text, p_part text) returns table (site text, from_position bigint, to_position bigint, newest timestamptz, due timestamptz)
  language plpgsql stable set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  v_low text;
  v_high text;
begin
  select low, high into v_low, v_high from retention_parts() where class = p_class and part = p_part;
  if not found then
    raise exception 'there is no partition % of class %', p_part, p_class using errcode = 'SB005';
  end if;
  return query
    with held as (
      select s.site, least(e.first, g.first, v.first) as first, greatest(e.last, g.last, v.last) as last, null::timestamptz as ends
      from sites s,
        lateral (select min(position) as first, max(position) as last from audit_entries where p_class = 'positions' and site = s.site
          and position >= case when p_class = 'positions' then v_low::bigint end and position < case when p_class = 'positions' then v_high::bigint end) as e,
        lateral (select min(position) as first, max(position) as last from signals where p_class = 'positions' and site = s.site
          and position >= case when p_class = 'positions' then v_low::bigint end and position < case when p_class = 'positions' then v_high::bigint end) as g,
        lateral (select min(position) as first, max(position) as last from verdicts where p_class = 'positions' and site = s.site
          and position >= case when p_class = 'positions' then v_low::bigint end and position < case when p_class = 'positions' then v_high::bigint end) as v
      union all
      select site, min(position), max(position), case when p_class = 'batches' then v_high::timestamptz end from (
        select site, position from facts where p_class = 'batches'
          and opened_on >= case when p_class = 'batches' then v_low::date end and opened_on < case when p_class = 'batches' then v_high::date end
        union all
        select site, position from outcomes where p_class = 'batches'
          and opened_on >= case when p_class = 'batches' then v_low::date end and opened_on < case when p_class = 'batches' then v_high::date end) as t
      group by site
    ), aged as (
      select h.site, h.first, h.last, greatest(h.ends,
        (select committed_at from commits c where c.site = h.site and c.first_position <= h.last order by c.first_position desc limit 1),
        (select recorded_at from signals g where g.site = h.site and g.position <= h.last order by g.position desc limit 1),
        (select max(b.closed_at) from batches b where b.site = h.site and case when p_class = 'positions'
          then exists (select from audit_numbers n where n.site = b.site and n.batch = b.batch and n.position between h.first and h.last)
          else b.opened_on >= v_low::date and b.opened_on < v_high::date end)) as newest
      from held h where h.first is not null
    )
    select a.site::text, a.first, a.last, a.newest,
      a.newest + make_interval(days => coalesce((select keep_days from retention_rules r where r.site = a.site and r.class = p_class), 3653))
    from aged a order by 1;
end $$;

-- What stands in the way of disposing of a partition, site by site; nothing: it may be. `hold`: the legal hold that does.
create function retention_obstacles(p_class text, p_part text) returns table (site text, obstacle text, detail text, hold bigint)
  language plpgsql stable set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  r record;
  v_low text;
  v_high text;
  v_batches text[];
begin
  select low, high into v_low, v_high from retention_parts() where class = p_class and part = p_part;
  for r in select * from retention_sites(p_class, p_part) loop
    v_batches := array(
      select b.batch from batches b where b.site = r.site and case when p_class = 'positions'
        then exists (select from audit_numbers n where n.site = b.site and n.batch = b.batch and n.position between r.from_position and r.to_position)
        else b.opened_on >= v_low::date and b.opened_on < v_high::date end order by b.batch);

    return query select r.site, 'kept', format('is kept until %s', to_char(r.due at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), null::bigint
      where r.due > clock_timestamp();
    return query select r.site, 'held', format('is under legal hold %s: %s', h.hold, h.reason), h.hold from legal_holds h
      where h.site = r.site and not exists (select from legal_hold_releases l where l.site = h.site and l.hold = h.hold)
        and case when h.batch is not null then h.batch = any (v_batches)
          else h.from_position is null or (h.from_position <= r.to_position and h.to_position >= r.from_position) end
      order by h.hold;
    return query select r.site, 'not closed', format('batch %s is not closed', b.batch), null::bigint from batches b
      where b.site = r.site and b.batch = any (v_batches) and b.closed_at is null order by b.batch limit 10;
    return query select r.site, 'open', o.what, null::bigint from (
        select position, format('an event is deferred (position %s)', position) as what from deferrals d where d.site = r.site and
          case when p_class = 'positions' then d.position between r.from_position and r.to_position else d.batch = any (v_batches) end
        union all
        select position, format('an event waits for the numbers before it (position %s)', position) from waiting w
          where w.site = r.site and p_class = 'positions' and w.position between r.from_position and r.to_position
        union all
        select position, format('an event is quarantined (position %s)', position) from quarantine q where q.site = r.site and q.resolved_at is null and
          case when p_class = 'positions' then q.position between r.from_position and r.to_position else q.batch = any (v_batches) end
        union all
        select position, format('an exception is not resolved (position %s)', position) from exceptions x where x.site = r.site and x.resolved_at is null and
          case when p_class = 'positions' then x.position between r.from_position and r.to_position else x.batch = any (v_batches) end
        union all
        select coalesce(gap_position, parked_position), format('source %s has a gap, or is parked', source) from sources s
          where s.site = r.site and p_class = 'positions' and (s.gap_position between r.from_position and r.to_position or s.parked_position between r.from_position and r.to_position)
        union all
        select review, format('review %s of batch %s is not concluded', review, batch) from audit_reviews v where v.site = r.site
          and (v.batch = any (v_batches) or (p_class = 'positions' and v.review between r.from_position and r.to_position))
          and not exists (select from audit_review_conclusions c where c.site = v.site and c.review = v.review)
      ) as o (position, what) order by o.position limit 10;
    return query select r.site, 'not published', format('shard %s has published up to position %s', h.shard, coalesce(c.position, 0)), null::bigint
      from shards h left join relay_cursors c on c.shard = h.shard where h.site = r.site and coalesce(c.position, 0) < r.to_position;
    return query select r.site, 'not signed', format('is signed up to position %s', coalesce(signed_position(r.site), 0)), null::bigint
      where coalesce(signed_position(r.site), 0) < r.to_position;
    -- what is archived is proven by its entries; from before the log there are none
    return query select r.site, 'before the log', format('begins before the audit log, at position %s', r.from_position), null::bigint
      where r.from_position < coalesce((select min(first_position) from audit_logs l where l.site = r.site), 9223372036854775807);

    if p_class = 'positions' then
      return query select r.site, 'not full', format('the site stands at position %s, within it', s.position), null::bigint
        from sites s where s.site = r.site and s.position < v_high::bigint - 1;
      return query select r.site, 'not the oldest', format('partition %s is older', t.part), null::bigint
        from retention_parts() t where case when t.class = 'positions' then t.low::bigint < v_low::bigint
          and exists (select from signals g where g.site = r.site and g.position >= t.low::bigint and g.position < t.high::bigint) end limit 1;
      return query select r.site, 'no tile', format('log %s has no full tile %s of leaf hashes', m.log, m.n), null::bigint from retention_tiles(r.site, r.from_position, r.to_position) m
        where not m.there and not m.ends limit 1;
      return query select r.site, 'not archived', 'no archive of it is on record', null::bigint
        where not exists (select from record_archives a where a.site = r.site and a.from_position <= r.from_position and a.to_position >= r.to_position);
    else
      return query select r.site, 'not archived', format('position %s is in no archive on record', min(t.position)), null::bigint from (
          select position from facts where site = r.site and opened_on >= v_low::date and opened_on < v_high::date
          union all select position from outcomes where site = r.site and opened_on >= v_low::date and opened_on < v_high::date) as t
        where not exists (select from record_archives a where a.site = r.site and t.position between a.from_position and a.to_position)
        having count(*) > 0;
    end if;
  end loop;
end $$;

-- The tiles of leaf hashes that a range of positions needs, log by log, and from which leaf to which. `ends`: the log ended within this one, so that it never becomes full.
create function retention_tiles(p_site text, p_from bigint, p_to bigint)
  returns table (log integer, first_position bigint, n bigint, first_index bigint, last_index bigint, there boolean, ends boolean)
  language sql stable set search_path = public, pg_temp as $$
  select l.log, l.first_position, g.tile, greatest(l.a, g.tile * 256), least(l.b, g.tile * 256 + 255),
    exists (select from audit_tiles t where t.site = p_site and t.log = l.log and t.level = 0 and t.n = g.tile),
    l.next is not null and g.tile = (l.next - l.first_position) / 256
  from (
    select log, first_position, next, greatest(p_from, first_position) - first_position as a, least(p_to, coalesce(next - 1, p_to)) - first_position as b
    from (select log, first_position, lead(first_position) over (order by log) as next from audit_logs where site = p_site) as all_logs
    where first_position <= p_to and coalesce(next, p_to + 1) > p_from
  ) as l, generate_series(l.a / 256, l.b / 256) as g (tile)
  where l.a <= l.b
$$;

-- Disposes of a partition. Each site that has something in it must have said so by the last entry of its log, in this transaction; and nothing may stand in the way.
create function dispose_of(p_class text, p_part text) returns void language plpgsql set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  r record;
  t record;
  v_act record;
  v_low text;
  v_high text;
  v_what text;
  v_parent text;
begin
  if p_class = 'positions' then
    lock table signals, verdicts, audit_entries in access exclusive mode;
  else
    lock table facts, outcomes in access exclusive mode;
  end if;
  select low, high into v_low, v_high from retention_parts() where class = p_class and part = p_part;
  select string_agg(format('site %s: %s', o.site, o.detail), '; ') into v_what from (select * from retention_obstacles(p_class, p_part) limit 10) as o;
  if v_what is not null then
    raise exception 'partition % of class % is not to be disposed of: %', p_part, p_class, v_what using errcode = 'SB005';
  end if;
  if not exists (select from retention_sites(p_class, p_part)) then
    raise exception 'there is nothing in partition % of class %', p_part, p_class using errcode = 'SB005';
  end if;

  for r in select * from retention_sites(p_class, p_part) loop
    select g.position, g.actor, g.body into v_act from sites s join signals g on g.site = s.site and g.position = s.position
      where s.site = r.site and g.kind = 'act' and g.type = 'record.disposed' and g.xmin::text = mod(pg_current_xact_id()::text::numeric, 4294967296)::text
        and g.body #>> '{new,class}' = p_class and g.body #>> '{new,part}' = p_part
        and (g.body #>> '{new,from}')::bigint = r.from_position and (g.body #>> '{new,to}')::bigint = r.to_position;
    if not found then
      raise exception 'the last entry of site % does not tell that positions % to % of partition % are disposed of', r.site, r.from_position, r.to_position, p_part using errcode = 'SB005';
    end if;
    insert into disposals (site, disposal, class, part, from_position, to_position, reason, disposed_by)
      values (r.site, v_act.position, p_class, p_part, r.from_position, r.to_position, v_act.body ->> 'reason', v_act.actor);
    continue when p_class = 'batches';

    for t in select * from retention_tiles(r.site, r.from_position, r.to_position) loop
      select count(*) as entries, string_agg(sha256('\x00'::bytea || e.entry), ''::bytea order by e.position) as leaves into v_act from audit_entries e
        where e.site = r.site and e.position between t.first_position + t.first_index and t.first_position + t.last_index;
      if v_act.entries <> t.last_index - t.first_index + 1 or (t.there and v_act.leaves <> (select substr(hashes, ((t.first_index % 256) * 32 + 1)::integer, length(v_act.leaves))
          from audit_tiles where site = r.site and log = t.log and level = 0 and n = t.n)) then
        raise exception 'site %: entries from position % on are not those whose hashes were kept; verify the record', r.site, t.first_position + t.first_index using errcode = 'SB005';
      end if;
      if not t.there then
        insert into disposed_leaves (site, log, first_index, hashes) values (r.site, t.log, t.first_index, v_act.leaves);
      end if;
    end loop;
    insert into disposed_verdicts (site, position, event_position, generation, round, status, code, first_position)
      select site, position, event_position, generation, round, status, code, first_position from verdicts
      where site = r.site and position between r.from_position and r.to_position;
  end loop;

  if p_class = 'positions' then
    foreach v_parent in array array['signals', 'verdicts', 'audit_entries'] loop
      execute format('drop table %I', v_parent || '_' || p_part);
      -- empty again: a site that is registered later begins at its first position
      execute format('create table %I partition of %I for values from (%s) to (%s)', v_parent || '_' || p_part, v_parent, v_low, v_high);
      execute format('grant select, insert on %I to signalbox_runtime', v_parent || '_' || p_part);
    end loop;
  else
    foreach v_parent in array array['facts', 'outcomes'] loop
      execute format('drop table %I', v_parent || '_' || p_part);
    end loop;
  end if;
end $$;

do $$
declare
  name text;
begin
  foreach name in array array['retention_parts()', 'retention_sites(text, text)', 'retention_obstacles(text, text)', 'retention_tiles(text, bigint, bigint)', 'dispose_of(text, text)'] loop
    execute format('revoke all on function %s from public', name);
  end loop;
end $$;
