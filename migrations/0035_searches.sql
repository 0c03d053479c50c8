-- What few rows tell of is found by few rows, also where nothing is found: an event by its number alone, and entries of the audit log by who, what or why.
--
-- Which sites are shown is asked once in a statement, and no longer once for each row. Postgres took the answer for a rare one, expected one row where there were hundreds, and read and sorted all
-- that there was before it gave a page.
--
-- An event costs one more index entry, for its number; what is no event, or was refused, some more. The index by source now begins with the site, as all others, so that the sources of a site
-- can be told from it.
-- Locks: verdicts and signals, against writing, while their indexes are made: some seconds for each million. All tables that have a site for a moment.

create function every_site_is_shown() returns boolean language sql stable parallel safe as $$ select current_setting('signalbox.sites', true) = '*' $$;
create function sites_shown() returns text[] language sql stable parallel safe as $$ select string_to_array(current_setting('signalbox.sites', true), ',') $$;

do $$
declare
  name text;
begin
  for name in select c.relname from pg_policy p join pg_class c on c.oid = p.polrelid where p.polname = 'of_sites' and pg_get_expr(p.polqual, p.polrelid) like 'is_shown(%'
  loop
    execute format('alter policy of_sites on %I using ((select every_site_is_shown()) or site = any ((select sites_shown())::text[]))', name);
  end loop;
end $$;

create index verdicts_by_sequence on verdicts (site, sequence, position) where sequence is not null;
-- which stretches of the record tell of a line, a step or an epoch at all: no entry for an event, but a few bytes for each thousand of them, from when Postgres has summarised them
create index verdicts_by_stretch on verdicts using brin (line text_bloom_ops (n_distinct_per_range = 64), step text_bloom_ops (n_distinct_per_range = 128), epoch int8_bloom_ops (n_distinct_per_range = 128))
  with (pages_per_range = 128, autosummarize = on);
create index verdicts_of_source on verdicts (site, source, position) where source is not null;
drop index verdicts_by_source;
alter index verdicts_of_source rename to verdicts_by_source;
-- what neither its source nor its type finds in the audit log
create index verdicts_later on verdicts (site, position) where round > 1;
create index verdicts_unread on verdicts (site, position) where source is null or type is null;

-- What the audit log calls what is no event, as the view `audit_trail` (migration 0010).
create function told_as(p_kind text, p_type text, p_body jsonb) returns text language sql immutable parallel safe as $$
  select case p_kind when 'command' then regexp_replace(p_body ->> 'kind', 'command$', coalesce(p_body ->> 'command', 'command'))
    when 'tick' then (p_body ->> 'tick') || '.due' when 'diag' then 'diagnosis' else coalesce(p_type, 'unreadable') end
$$;
create index signals_by_what on signals (site, told_as(kind, type, body), position) where kind <> 'event';
create index signals_diagnosed on signals (site, source, position) where kind = 'diag';

-- Every three characters in a row: a text that lacks one of those of a word does not hold the word. A long text, of which there are few, has none but the empty one: to take it apart costs far more.
create function threes_of(p_text text) returns text[] language sql immutable strict parallel safe as $$
  select case when length(p_text) > 256 then array['']
    else array(select distinct substr(small, n, 3) from lower(p_text) as small, generate_series(1, length(small) - 2) as n) end
$$;
-- What is said of most events is left out: it is the same of all of them. Little is kept for later, so that no commit sorts in much.
create index verdicts_by_reason on verdicts using gin (threes_of(reason)) with (gin_pending_list_limit = 256)
  where reason <> 'Accepted.' and reason not like 'The same event had arrived before %';
create index signals_by_reason on signals using gin (threes_of(body ->> 'reason')) with (gin_pending_list_limit = 256) where body ->> 'reason' is not null;

-- The policies of rows keep these indexes from whoever reads for others, since what is computed might tell of rows that are not shown. So it is asked by functions, which look first whose site it is.
create function is_asked_of(p_site text) returns boolean language sql stable as $$
  select current_setting('role') <> 'signalbox_reader' or every_site_is_shown() or p_site = any (sites_shown())
$$;

-- What a site's log calls what is no event: each name once.
create function names_told(p_site text) returns setof text language sql stable security definer set search_path = public, pg_temp as $$
  with recursive names (name) as (
    (select told_as(kind, type, body) from signals where is_asked_of(p_site) and site = p_site and kind <> 'event' order by told_as(kind, type, body) limit 1)
    union all
    select (select told_as(kind, type, body) from signals where site = p_site and kind <> 'event' and told_as(kind, type, body) > n.name order by told_as(kind, type, body) limit 1)
      from names n where n.name is not null
  ) select name from names where name is not null
$$;

-- Where what is no event has one of these names: the first of them, or the last. `between`, and the order by what is the same of all: Postgres would else go along all positions for a name
-- that it takes for frequent.
create function positions_told(p_site text, p_names text[], p_first bigint, p_last bigint, p_backwards boolean, p_limit bigint) returns setof bigint
  language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if not is_asked_of(p_site) then
    return;
  end if;
  return query execute format('select p.position from unnest($2) as n (name) cross join lateral (select position from signals
      where site = $1 and kind <> ''event'' and told_as(kind, type, body) between n.name and n.name and position between $3 and $4 order by told_as(kind, type, body) %1$s, position %1$s limit $5) as p
    order by p.position %1$s limit $5', case when p_backwards then 'desc' else 'asc' end) using p_site, p_names, p_first, p_last, p_limit;
end $$;

-- Where a part of a reason was said that is not the same of all events, in no order: all of them, or so many.
create function positions_saying(p_site text, p_part text, p_first bigint, p_last bigint, p_limit bigint) returns setof bigint
  language sql stable security definer set search_path = public, pg_temp set enable_seqscan = off set enable_indexscan = off as $$
  with said as materialized (
    select v.position from verdicts v
      where v.site = p_site and v.reason <> 'Accepted.' and v.reason not like 'The same event had arrived before %'
        and (threes_of(v.reason) @> threes_of(p_part) or threes_of(v.reason) @> array['']) and strpos(lower(v.reason), lower(p_part)) > 0 and v.position + 0 between p_first and p_last
    union all
    select g.position from signals g
      where g.site = p_site and g.body ->> 'reason' is not null
        and (threes_of(g.body ->> 'reason') @> threes_of(p_part) or threes_of(g.body ->> 'reason') @> array['']) and strpos(lower(g.body ->> 'reason'), lower(p_part)) > 0 and g.position + 0 between p_first and p_last
  ) select position from said where is_asked_of(p_site) limit p_limit
$$;

do $$
declare
  name text;
begin
  foreach name in array array['names_told(text)', 'positions_told(text, text[], bigint, bigint, boolean, bigint)', 'positions_saying(text, text, bigint, bigint, bigint)'] loop
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to signalbox_runtime, signalbox_reader', name);
  end loop;
end $$;

drop function is_shown(text);
