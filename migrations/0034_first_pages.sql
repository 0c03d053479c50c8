-- The first page of a list stays fast however much is stored: what is rare is found by an index of its own, which costs nothing where it is not.
--
-- Lists of verdicts are cut by positions, which times follow (position_at, migration 0010), so the index by time is not needed any more: an event keeps as many indexes as it had.
-- Locks: verdicts exclusively while their indexes are made, so nothing is decided meanwhile: some seconds for each million of verdicts. The others for a moment.

drop index verdicts_by_time;
-- an id without its source
create index verdicts_by_id on verdicts using hash (event_id);
-- what was not simply accepted; what is neither a measurement; what belongs together
create index verdicts_by_status on verdicts (site, status, position) where status <> 'accepted';
create index verdicts_by_type on verdicts (site, type, position) where type <> 'signalbox.step.evidence.v1';
create index verdicts_by_correlation on verdicts (site, correlation, position) where correlation is not null;
-- batches that are not closed yet
create index batches_at_work on batches (site, execution, batch) where execution <> 'closed';

-- Partitions ahead of need, as in migration 0010; now they are made apart and joined to their table, so that nobody who reads or writes it is waited for, and nobody waits.
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
      made := made + ensure_partition(parent, 'p' || part, (part * span)::text, ((part + 1) * span)::text);
    end loop;
  end loop;
  foreach parent in array array['facts', 'outcomes'] loop
    -- what belongs to no batch stands in a partition of its own, which no retention drops
    made := made + ensure_partition(parent, 'standing', '2000-01-01', '2000-01-02');
    for ahead in -1 .. 3 loop
      month := (date_trunc('month', (clock_timestamp() at time zone 'utc')) + make_interval(months => ahead))::date;
      made := made + ensure_partition(parent, to_char(month, 'YYYY_MM'), month::text, (month + interval '1 month')::date::text);
    end loop;
  end loop;
  return made;
end $$;

create function ensure_partition(p_parent text, p_part text, p_from text, p_to text) returns integer
  language plpgsql set search_path = public, pg_temp as $$
declare
  v_name constant text := p_parent || '_' || p_part;
begin
  if to_regclass(format('%I', v_name)) is not null then
    return 0;
  end if;
  execute format('create table %I (like %I including defaults including constraints)', v_name, p_parent);
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', p_parent, v_name, p_from, p_to);
  execute format('grant select, insert on %I to signalbox_runtime', v_name);
  return 1;
end $$;
revoke execute on function ensure_partition(text, text, text, text) from public;
