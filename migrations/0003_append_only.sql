-- Append-only twice: the runtime role has no right to change the record, and a trigger refuses it to everybody else who is not a superuser switching triggers off.
-- And the rows of one settlement are tied: a verdict that accepts has its fact, in the same commit.
-- Locks: brief, on empty or small tables.

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the record is append-only: % on % refused', tg_op, tg_table_name using errcode = 'SB003';
end $$;

do $$
declare
  name text;
begin
  foreach name in array array['signals', 'verdicts', 'facts', 'outcomes', 'evidence', 'event_ids', 'event_numbers', 'event_conflicts', 'skipped_ranges', 'recipes', 'state_machines', 'idempotency_keys', 'commits'] loop
    execute format('create trigger append_only before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to signalbox_runtime', name);
  end loop;
  foreach name in array array['sites', 'shards', 'shard_beats', 'relay_cursors', 'equipment', 'sources', 'batches', 'steps', 'context_locks', 'awaited', 'streams', 'exceptions', 'quarantine'] loop
    execute format('grant select, insert, update on %I to signalbox_runtime', name);
  end loop;
  foreach name in array array['waiting', 'deferrals', 'deferral_waits'] loop
    execute format('grant select, insert, update, delete on %I to signalbox_runtime', name);
  end loop;
end $$;

-- Every accepted verdict has at least one fact at its position, and as many as it says.
create function verdicts_have_their_facts() returns trigger language plpgsql as $$
begin
  if exists (
    select from fresh v
    where v.facts <> (select count(*) from facts f where f.site = v.site and f.position = v.position)
  ) then
    raise exception 'a verdict and its facts do not agree' using errcode = '23514';
  end if;
  return null;
end $$;
create trigger facts_agree after insert on verdicts referencing new table as fresh for each statement execute function verdicts_have_their_facts();

-- An event whose last round is open stands in deferrals, waiting or quarantine; one whose last round is final stands in none of them.
create function open_events_are_on_record() returns trigger language plpgsql as $$
begin
  if exists (
    select from (select distinct on (site, event_position) * from fresh order by site, event_position, round desc) v
    where (v.status = 'deferred' and not exists (select from deferrals d where d.site = v.site and d.position = v.event_position)
                                 and not exists (select from waiting w where w.site = v.site and w.position = v.event_position))
       or (v.status = 'quarantined' and not exists (select from quarantine q where q.site = v.site and q.position = v.event_position and q.resolved_at is null))
       or (v.final and exists (select from deferrals d where d.site = v.site and d.position = v.event_position))
       or (v.final and exists (select from quarantine q where q.site = v.site and q.position = v.event_position and q.resolved_at is null))
  ) then
    raise exception 'an event''s last round and its open entry do not agree' using errcode = '23514';
  end if;
  return null;
end $$;
create trigger open_events_agree after insert on verdicts referencing new table as fresh for each statement execute function open_events_are_on_record();
create index waiting_by_position on waiting (site, position);

grant select on migrations to signalbox_runtime;
grant usage on schema public to signalbox_runtime;
