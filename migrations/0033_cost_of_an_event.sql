-- What a group costs does not grow with what is stored, once more: Postgres may turn round a join of a group's rows with a table, and read all of the table, where it has no statistics or those of a
-- smaller one. Here each row is looked for by its key (`offset 0` leaves nothing to turn round). And of an entry's first line only what differs from entry to entry is made for each.
-- Locks: none.

create or replace function verdicts_have_their_facts() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  if exists (
    select from fresh v
    left join (
      select g.site, f.position, count(*) as facts
      from (select site, min(position) as first, max(position) as last from fresh group by site) g
      cross join lateral (
        select f.position from facts f where f.site = g.site and f.position between g.first and g.last and f.kind <> 'disposition.voided' offset 0) f
      group by g.site, f.position
    ) f on f.site = v.site and f.position = v.position
    where v.facts <> coalesce(f.facts, 0)
  ) then
    raise exception 'a verdict and its facts do not agree' using errcode = '23514';
  end if;
  return null;
end $$;

-- As before (migration 0010), to the byte.
create or replace function append_entries(p_site text, p_shard text, p_term bigint, p_base bigint, p_generation integer, p_now timestamptz, p_entries text[], p_batches jsonb)
  returns void language plpgsql as $$
declare
  v_before text := format('{"site":%s,"position":', to_json(p_site));
  v_after text := format(',"generation":%s,"time":"%s","shard":%s,"term":%s,"base":%s,"batches":', p_generation, to_char(p_now at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    to_json(p_shard), p_term, p_base);
begin
  insert into audit_numbers (site, batch, number, position)
    select p_site, r.batch, last.number + row_number() over (partition by r.batch order by r.ref desc), place(p_base, r.ref)
    from (select batch from jsonb_to_recordset(coalesce(p_batches, '[]')) as r (batch text) group by batch) named
      cross join lateral (select from batches b where b.site = p_site and b.batch = named.batch offset 0) b
      cross join lateral (select coalesce(max(n.number), 0) as number from audit_numbers n where n.site = p_site and n.batch = named.batch offset 0) last
      join jsonb_to_recordset(coalesce(p_batches, '[]')) as r (ref bigint, batch text) on r.batch = named.batch;
  insert into audit_entries (site, position, entry)
    select p_site, p_base + e.n, convert_to(v_before || (p_base + e.n) || v_after
        -- in the order of the key by which they are found: sorting for each entry costs more than all the rest of its line
        || coalesce((select json_object_agg(n.batch, n.number) from (
            select n.batch, n.number from audit_numbers n where n.site = p_site and n.position = p_base + e.n order by n.batch) n)::text, '{}')
      || E'}\n' || e.body, 'UTF8')
    from unnest(p_entries) with ordinality as e (body, n);
end $$;
