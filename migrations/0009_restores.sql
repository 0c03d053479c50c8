-- Restores. Behind the head of a backup that is restored, positions, verdict ids and outcome numbers are given a second time, and those given before stand nowhere any more.
-- Consumers tell them apart by the generation. It rises only together with a row that says where the record was cut, by whom and why; so of every earlier generation it is
-- known how far what was read in it still stands.
-- Locks: sites, exclusively, for a moment (a trigger).

create table restores (
  site plant_id not null references sites,
  -- the generation that begins with the restore, and the one that the backup was of; between them lie those that the backup does not know of
  generation integer not null,
  previous integer not null check (previous >= 1),
  -- the head as it was restored: what stands up to and with it is as it was
  position bigint not null check (position >= 0),
  reason text not null check (reason ~ '\S'),
  recorded_by text not null check (recorded_by ~ '\S'),
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (site, generation),
  check (generation > previous)
);

create trigger append_only before update or delete on restores for each row execute function refuse_change();
create trigger never_emptied before truncate on restores for each statement execute function refuse_change();
grant select on restores to signalbox_runtime;

create function generation_rises_by_a_restore() returns trigger language plpgsql as $$
begin
  if not exists (
    select from restores r where r.site = new.site and r.generation = new.generation and r.previous = old.generation and r.position = new.position
  ) then
    raise exception 'the generation of site % rises only by a recorded restore', new.site using errcode = 'SB003';
  end if;
  return new;
end $$;
create trigger generation_rises before update of generation on sites
  for each row when (old.generation is distinct from new.generation) execute function generation_rises_by_a_restore();
