-- How far an MES has taken the outcomes over, by its own word (docs/decisions/0019-confirmations-and-status.md). It changes nothing of the record, so it is no act and has no position; it only goes on.
-- The database itself refuses one that goes back, one beyond what is handed out, and one of another generation than the record's.
-- Locks: none that anybody waits for (a new table).

create table outcome_confirmations (
  site plant_id not null references sites,
  machine person_id not null references machines,
  -- of the record when it was confirmed: what a restore cut off behind that is confirmed no more
  generation integer not null check (generation >= 1),
  -- all outcomes up to and with it
  position bigint not null check (position >= 0),
  confirmed_at timestamptz not null default clock_timestamp(),
  primary key (site, machine)
);

-- Up to where something stands that was confirmed in a generation: each restore since then has cut.
create function still_standing(p_site text, p_generation integer, p_position bigint) returns bigint language sql stable parallel safe as $$
  select least(p_position, (select min(r.position) from restores r where r.site = p_site and r.generation > p_generation))
$$;

create function confirmation_goes_on() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' and ((new.site, new.machine) <> (old.site, old.machine) or new.generation < old.generation
      or new.position < still_standing(old.site, old.generation, old.position)) then
    raise exception '% has confirmed the outcomes of site % up to % already', old.machine, old.site, old.position using errcode = '23514', constraint = 'confirmation_goes_on';
  end if;
  if not exists (select from sites s where s.site = new.site and s.generation = new.generation and new.position <= shown_position(s.site)) then
    raise exception 'site % has handed out no outcomes up to % of generation %', new.site, new.position, new.generation using errcode = '23514', constraint = 'confirmed_as_handed_out';
  end if;
  return new;
end $$;
create trigger goes_on before insert or update on outcome_confirmations for each row execute function confirmation_goes_on();
create trigger never_deleted before delete on outcome_confirmations for each row execute function refuse_change();
create trigger never_emptied before truncate on outcome_confirmations for each statement execute function refuse_change();

grant select, insert, update on outcome_confirmations to signalbox_runtime;
grant select on outcome_confirmations to signalbox_reader;
alter table outcome_confirmations enable row level security;
create policy the_route on outcome_confirmations to signalbox_runtime using (true) with check (true);
create policy of_sites on outcome_confirmations for select to signalbox_reader using (is_shown(site));
