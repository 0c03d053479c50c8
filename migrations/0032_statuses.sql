-- Statuses that systems of record bring: of a scale, a lot, a room (docs/decisions/0019-confirmations-and-status.md). A feed is granted for one kind and brings no other; each change is an act in the log
-- of the site, and a row here that is known by the act's position. Nothing is decided on one in this release, and none is of what this service decides about itself.
-- Whoever was granted `feed` before was granted no kind, and brings nothing until they are granted it anew; such grants stay as they are.
-- Locks: machine_grants, exclusively, for a moment.

create domain status_kind as text check (value ~ '^[a-z][a-z0-9_-]{0,63}$' and value not in ('batch', 'step', 'recipe', 'state-machine', 'exception', 'gap', 'quarantine', 'review', 'signature', 'disposition'));
create domain status_name as text check (value ~ '^[a-z][a-z0-9_-]{0,63}$');

alter table machine_grants
  add column kind status_kind,
  add constraint feed_of_a_kind check ((role = 'feed') = (kind is not null)) not valid,
  add constraint feed_of_one_kind exclude using gist (machine with =, kind with <>);

create table statuses (
  site plant_id not null references sites,
  -- of the act that brought it
  position bigint not null check (position >= 1),
  kind status_kind not null,
  id plant_id not null,
  -- 1, 2, 3, …: the last one stands
  version integer not null check (version >= 1),
  status status_name not null,
  valid_until timestamptz,
  -- of the document in the system of record
  reference text check (reference ~ '\S' and length(reference) <= 256),
  reason text check (reason ~ '\S' and length(reason) <= 1024),
  brought_by text not null check (brought_by ~ '^machine:\S'),
  brought_at timestamptz not null,
  primary key (site, position),
  unique (site, kind, id, version)
);

create function status_follows() returns trigger language plpgsql set search_path = public, pg_temp as $$
declare
  v_last record;
begin
  select version, position into v_last from statuses s where s.site = new.site and s.kind = new.kind and s.id = new.id order by s.version desc limit 1;
  if new.version <> coalesce(v_last.version, 0) + 1 or new.position <= coalesce(v_last.position, 0) then
    raise exception 'version % of % % of site % does not follow the one before', new.version, new.kind, new.id, new.site using errcode = '23514';
  end if;
  if not exists (select from signals g where g.site = new.site and g.position = new.position and g.kind = 'act' and g.type = 'status.brought' and g.actor = new.brought_by) then
    raise exception 'position % of site % tells of no status that % brought', new.position, new.site, new.brought_by using errcode = '23514';
  end if;
  if not exists (select from machine_grants g where 'machine:' || g.machine = new.brought_by and g.kind = new.kind and (g.site is null or g.site = new.site)) then
    raise exception '% brings no % at site %', new.brought_by, new.kind, new.site using errcode = '23514', constraint = 'status_of_its_feed';
  end if;
  return new;
end $$;
create trigger follows before insert on statuses for each row execute function status_follows();
create trigger append_only before update or delete on statuses for each row execute function refuse_change();
create trigger never_emptied before truncate on statuses for each statement execute function refuse_change();

grant select, insert on statuses to signalbox_runtime;
grant select on statuses to signalbox_reader;
alter table statuses enable row level security;
create policy the_route on statuses to signalbox_runtime using (true) with check (true);
create policy of_sites on statuses for select to signalbox_reader using (is_shown(site));
