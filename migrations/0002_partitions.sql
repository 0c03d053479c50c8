-- Partitions ahead of need. The runtime role owns nothing, so it asks for them through this function; a missing partition fails the start, not a commit at night.
-- Locks: creating a partition takes a brief ACCESS EXCLUSIVE lock on its parent only to attach; called at start and when a site's head nears the end of its range.

create function ensure_partitions(reached bigint) returns integer
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  span constant bigint := 1000000;
  made integer := 0;
  part bigint;
  month date;
  parent text;
begin
  perform pg_advisory_xact_lock(hashtext('signalbox.partitions'));
  foreach parent in array array['signals', 'verdicts'] loop
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

select ensure_partitions(0);
