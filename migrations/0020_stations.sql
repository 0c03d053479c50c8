-- Stations and sessions (docs/decisions/0015-stations.md): which devices belong to a station, who was at it from when to when, and what was done by whom because of that.
-- Stations, what belongs to them and their sessions come of acts in the audit log; only how long a session was seen moves with the route. A performance is written with the decision that it is of.
-- The database itself refuses a device at two stations, two sessions at one station, a session that goes on after it was idle too long, and a performance by anybody but the session's person.
-- Locks: sources, against changes, for a moment (an index that holds for every row there is).

create unique index sources_of_a_site on sources (site, source);

create table stations (
  site plant_id not null references sites,
  station plant_id not null,
  -- rises with everything that changes here, at its devices or at its sessions: what the judge saw is proven by it
  version bigint not null default 1,
  line plant_id not null,
  title text,
  idle_seconds integer not null check (idle_seconds between 1 and 43200),
  primary key (site, station)
);

create table station_devices (
  site plant_id not null,
  source text not null,
  -- of the act that bound it
  position bigint not null check (position >= 1),
  station plant_id not null,
  bound_at timestamptz not null,
  unbound_at timestamptz check (unbound_at > bound_at),
  unbound_position bigint check (unbound_position > position),
  primary key (site, source, position),
  foreign key (site, source) references sources (site, source),
  foreign key (site, station) references stations,
  check ((unbound_at is null) = (unbound_position is null)),
  constraint one_station_per_device exclude using gist (site with =, source with =, tstzrange(bound_at, unbound_at) with &&)
);
create index station_devices_by_station on station_devices (site, station);

create table station_sessions (
  site plant_id not null,
  -- the position of the act that opened it
  session bigint not null check (session >= 1),
  station plant_id not null,
  person person_id not null references people,
  -- as the station's limit was when it was opened
  idle_seconds integer not null check (idle_seconds >= 1),
  opened_at timestamptz not null,
  -- when something was last heard of its person or of its devices
  seen_at timestamptz not null check (seen_at >= opened_at),
  ended_at timestamptz check (ended_at > seen_at),
  ended_position bigint check (ended_position > session),
  ended_why text check (ended_why in ('closed', 'taken over', 'idle')),
  ended_by text,
  primary key (site, session),
  foreign key (site, station) references stations,
  check (num_nulls(ended_at, ended_position, ended_why, ended_by) in (0, 4)),
  -- nobody is at a station longer than they were seen there and the limit
  check (ended_at <= seen_at + make_interval(secs => idle_seconds)),
  check (ended_why <> 'idle' or ended_at = seen_at + make_interval(secs => idle_seconds)),
  constraint one_session_per_station exclude using gist (site with =, station with =, tstzrange(opened_at, ended_at) with &&)
);
-- what a performance names is one session, at its station and of its person
create unique index station_sessions_whole on station_sessions (site, session, station, person);
create index station_sessions_by_station on station_sessions (site, station, opened_at);
create index station_sessions_open on station_sessions (site, station) where ended_at is null;

-- Who performed what was decided at a position, by the session that was open when it was done: at each round of an event that has a performer. What has none has none for good.
create table performances (
  site plant_id not null,
  position bigint not null check (position >= 1),
  -- of the event's first round, at which the performer was found
  event_position bigint not null check (event_position <= position),
  person person_id not null,
  station plant_id not null,
  session bigint not null,
  performed_at timestamptz not null,
  -- which clock tells so: the device's, or that of the service at the event's arrival
  clock text not null check (clock in ('device', 'arrival')),
  primary key (site, position),
  foreign key (site, session, station, person) references station_sessions (site, session, station, person)
);
create index performances_by_person on performances (site, person, position);

create function device_is_bound_once() returns trigger language plpgsql as $$
begin
  if old.unbound_at is not null or (to_jsonb(new) - array['unbound_at', 'unbound_position']) <> (to_jsonb(old) - array['unbound_at', 'unbound_position']) then
    raise exception 'that % was at station % does not change', old.source, old.station using errcode = '23514', constraint = 'device_is_bound_once';
  end if;
  return new;
end $$;
create trigger bound_once before update on station_devices for each row execute function device_is_bound_once();

create function session_goes_on() returns trigger language plpgsql as $$
begin
  if old.ended_at is not null or new.seen_at < old.seen_at or (to_jsonb(new) - array['seen_at', 'ended_at', 'ended_position', 'ended_why', 'ended_by'])
      <> (to_jsonb(old) - array['seen_at', 'ended_at', 'ended_position', 'ended_why', 'ended_by']) then
    raise exception 'session % at station % is as it was, or over', old.session, old.station using errcode = '23514', constraint = 'session_goes_on';
  end if;
  if new.seen_at > old.seen_at and new.seen_at >= old.seen_at + make_interval(secs => old.idle_seconds) then
    raise exception 'session % at station % was idle too long to go on', old.session, old.station using errcode = '23514', constraint = 'session_was_idle';
  end if;
  return new;
end $$;
create trigger goes_on before update on station_sessions for each row execute function session_goes_on();

-- A performance lies within its session, and its device was at the station then; later rounds say what the first did.
create function performed_in_session() returns trigger language plpgsql as $$
begin
  if new.position = new.event_position then
    if not exists (select from station_sessions s where s.site = new.site and s.session = new.session and s.opened_at <= new.performed_at
        and new.performed_at < coalesce(s.ended_at, s.seen_at + make_interval(secs => s.idle_seconds))) then
      raise exception 'position % was performed outside session %', new.position, new.session using errcode = '23514', constraint = 'performed_in_session';
    end if;
    if not exists (select from signals g join station_devices d on d.site = g.site and d.source = g.source and d.station = new.station
        where g.site = new.site and g.position = new.position and d.bound_at <= new.performed_at and (d.unbound_at is null or new.performed_at < d.unbound_at)) then
      raise exception 'position % was performed by no device of station %', new.position, new.station using errcode = '23514', constraint = 'performed_by_device';
    end if;
  elsif not exists (select from performances f where f.site = new.site and f.position = new.event_position
      and (f.person, f.station, f.session, f.performed_at, f.clock) = (new.person, new.station, new.session, new.performed_at, new.clock)) then
    raise exception 'position % was performed as its first round was not', new.position using errcode = '23514', constraint = 'performed_as_first';
  end if;
  return new;
end $$;
create trigger within_session before insert on performances for each row execute function performed_in_session();

-- Nobody verifies, disposes of or reviews what they performed: the last word on what the service refuses before (src/access/deeds.store.ts).
create function nobody_judges_own_performance() returns trigger language plpgsql as $$
begin
  if exists (select from performances p join facts f using (site, position)
      where p.site = new.site and 'person:' || p.person = new.actor and f.batch = new.body ->> 'batch'
        and (new.body ->> 'command' <> 'verify' or f.step = new.body ->> 'step')) then
    raise exception '% has performed what they % here', new.actor, new.body ->> 'command' using errcode = '23514', constraint = 'nobody_judges_own_performance';
  end if;
  return new;
end $$;
create trigger judged_by_others before insert on signals for each row
  when (new.kind = 'command' and new.body ->> 'command' in ('verify', 'release', 'conditional', 'reject') and new.actor like 'person:%' and new.body ? 'signature')
  execute function nobody_judges_own_performance();

do $$
declare
  name text;
begin
  foreach name in array array['stations', 'station_devices', 'station_sessions', 'performances'] loop
    execute format('create trigger never_deleted before delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to signalbox_runtime', name);
    execute format('alter table %I enable row level security', name);
    execute format('create policy the_route on %I to signalbox_runtime using (true) with check (true)', name);
    execute format('create policy of_sites on %I for select to signalbox_reader using (is_shown(site))', name);
    execute format('grant select on %I to signalbox_reader', name);
  end loop;
end $$;
create trigger append_only before update on performances for each row execute function refuse_change();
grant update on stations, station_devices, station_sessions to signalbox_runtime;

-- A group's commit as in 0013, with the stations that the judge looked at. They are locked before everything else, by name: whoever opens or ends a session holds its station and then the site's head,
-- so whoever waits for a station must hold nothing yet.
create or replace function settle(p_site text, p_shard text, p_term bigint, p_group uuid, p_count integer, p jsonb, p_raw bytea[], p_correlation bytea[], p_entries text[])
  returns table (base bigint, generation integer, recorded_at timestamptz)
  language plpgsql as $$
#variable_conflict use_column
declare
  v record;
  v_found integer;
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
  if p ? 'performances' then
    insert into performances (site, position, event_position, person, station, session, performed_at, clock)
      select p_site, place(v.base, r.ref), place(v.base, r.event_ref), r.person, r.station, r.session, r.performed_at, r.clock
      from jsonb_to_recordset(p -> 'performances') as r (ref bigint, event_ref bigint, person text, station text, session bigint, performed_at timestamptz, clock text)
      order by place(v.base, r.ref);
  end if;
  perform append_entries(p_site, p_shard, p_term, v.base, v.generation, v.recorded_at, p_entries, p -> 'entry_batches');
  return query select v.base, v.generation, v.recorded_at;
end $$;
