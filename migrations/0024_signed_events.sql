-- Events that are signed by whom their branch belongs to (docs/decisions/0018-signed-events.md). Keys, and what must be signed by them, stand in the revisions of parties: proposed and approved like
-- everything about them. Here is what takes a key away again, and what holds on each branch as it comes of the acts: the judge reads it with the source, whose version rises with it, so the
-- commit proves both.
-- Locks: none that anybody waits for (new tables).

-- Of one key, for good, in whatever revision it stands. Taking it away needs no second person.
create table party_key_revocations (
  site plant_id not null references sites,
  party text not null,
  kid text not null check (kid ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'),
  position bigint not null check (position >= 1),
  reason text not null check (reason ~ '\S'),
  revoked_by text not null check (revoked_by ~ '\S'),
  revoked_at timestamptz not null default clock_timestamp(),
  primary key (site, party, kid),
  unique (site, position)
);
create trigger append_only before update or delete on party_key_revocations for each row execute function refuse_change();
create trigger never_emptied before truncate on party_key_revocations for each statement execute function refuse_change();
grant select, insert on party_key_revocations to signalbox_runtime;

create table signing_branches (
  site plant_id not null references sites,
  line plant_id not null,
  equipment plant_id not null,
  party text not null,
  signing jsonb not null check (signing ->> 'party' = party and jsonb_typeof(signing -> 'keys') = 'array' and signing ? 'must'),
  primary key (site, line, equipment)
);
grant select, insert, delete on signing_branches to signalbox_runtime;
-- what is permitted is told in the world in which it would be judged, which is read for whoever asks
grant select on signing_branches to signalbox_reader;

do $$
declare
  name text;
begin
  foreach name in array array['party_key_revocations', 'signing_branches'] loop
    execute format('alter table %I enable row level security', name);
    execute format('create policy the_route on %I to signalbox_runtime using (true) with check (true)', name);
  end loop;
end $$;
create policy of_sites on signing_branches for select to signalbox_reader using (is_shown(site));
