-- missing_numbers of 0005 counted past the largest number that a source may use (2^63 - 1) and failed there; this one counts in numerics.
-- Locks: none.

create or replace function missing_numbers(p_source_key bigint, p_limit integer) returns table (epoch bigint, first bigint, last bigint)
  language sql stable as $$
  with source as (select * from sources where source_key = p_source_key),
  there as (
    select w.epoch, w.sequence::numeric as first, w.sequence::numeric as last from waiting w join source s on w.source_key = s.source_key and w.incarnation = s.incarnation
      where w.expires_at is null and (s.epoch is null or w.epoch > s.epoch or (w.epoch = s.epoch and w.sequence > s.through))
    union all
    select k.epoch, k.first, k.last from skipped_ranges k join source s on k.source_key = s.source_key and k.incarnation = s.incarnation and k.epoch = s.epoch and k.last > s.through
    union all
    select s.epoch, s.through, s.through from source s where s.epoch is not null
    union all
    select distinct w.epoch, 0::numeric, 0::numeric from waiting w join source s on w.source_key = s.source_key and w.incarnation = s.incarnation
      where w.expires_at is null and (s.epoch is null or w.epoch > s.epoch)
    union all
    select s.epoch, s.highest::numeric + 1, s.highest::numeric + 1 from source s where s.highest > s.through
  ),
  runs as (select t.epoch, max(t.last) over (partition by t.epoch order by t.first, t.last) as reached, lead(t.first) over (partition by t.epoch order by t.first, t.last) as next from there t)
  select r.epoch, (r.reached + 1)::bigint, (r.next - 1)::bigint from runs r where r.next > r.reached + 1 order by r.epoch, r.reached limit p_limit
$$;
