-- Whoever reads over REST sees the rows of their own sites alone, and the database sees to it: such reads are done as `signalbox_reader`, whose policies let through what belongs to the sites that
-- the transaction names in `signalbox.sites` (separated by commas; `*`: all of them). Where it names none, nothing is seen. The route itself works as before, as `signalbox_runtime`.
-- The role is made by whoever makes roles; `migrate` says how where the owner may not.
-- Locks: every table with a site, exclusively, for a moment.

-- Also of sites that are yet to come; null where nothing is named, which is true of no row.
create function is_shown(p_site text) returns boolean language sql stable parallel safe as $$
  select current_setting('signalbox.sites', true) = '*' or p_site = any (string_to_array(current_setting('signalbox.sites', true), ','))
$$;

do $$
declare
  name text;
begin
  for name in select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'site' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relname not in ('person_grants', 'machine_grants')
  loop
    execute format('alter table %I enable row level security', name);
    execute format('create policy the_route on %I to signalbox_runtime using (true) with check (true)', name);
    execute format('create policy of_sites on %I for select to signalbox_reader using (is_shown(site))', name);
    execute format('grant select on %I to signalbox_reader', name);
  end loop;
  -- what a source has of its own has no site beside it
  foreach name in array array['skipped_ranges', 'event_ids', 'event_numbers', 'event_conflicts'] loop
    execute format('alter table %I enable row level security', name);
    execute format('create policy the_route on %I to signalbox_runtime using (true) with check (true)', name);
    execute format('create policy of_sites on %I for select to signalbox_reader using (exists (select from sources s where s.source_key = %I.source_key))', name, name);
    execute format('grant select on %I to signalbox_reader', name);
  end loop;
end $$;

-- Definitions are everybody's.
grant select on recipes, state_machines, migrations to signalbox_reader;

-- A view reads with the rights of whoever made it unless it is told not to.
alter view audit_trail set (security_invoker = true);
grant select on audit_trail to signalbox_reader;
