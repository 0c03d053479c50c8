-- Entries of the audit log in the order of their reasons, page by page, without looking at all of them; and the exceptions of a batch, also those that are resolved.
--
-- Put in order is what a reason begins with: more no index could hold. "Accepted." is left out, which is the reason of most events; where it stands in the order, entries are read in the order of
-- their positions, which is the same. An event that is simply accepted costs no entry.
-- Locks: verdicts and signals, against writing, and facts altogether, while their indexes are made: a second or two for each million.

create function reason_in_order(p_reason text) returns text language sql immutable parallel safe as $$ select left(coalesce(p_reason, ''), 256) $$;
create index verdicts_in_order_of_reason on verdicts (site, reason_in_order(reason), position) where reason <> 'Accepted.';
create index signals_in_order_of_reason on signals (site, reason_in_order(body ->> 'reason'), position) where kind <> 'event';
create index exceptions_of_batch on exceptions (site, batch, position, ordinal) where batch is not null;

-- What may stand next in that order, behind a reason and a position and before the next reason that is given (null: from its beginning, to its end), of what holds a part or has it as its code (null: of
-- all). Both indexes are gone along side by side. It is asked by a function for the same cause as in migration 0035.
create function next_in_order_of_reason(p_site text, p_reason text, p_position bigint, p_until text, p_part text, p_first bigint, p_last bigint, p_backwards boolean, p_limit bigint)
  returns table (reason text, "position" bigint)
  language plpgsql stable security definer set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
declare
  v_way constant text := case when p_backwards then 'desc' else 'asc' end;
  v_wanted constant text := ' and position between $6 and $7'
    || case when p_reason is null then '' when p_backwards then ' and (%1$s, position) < ($2, $3)' else ' and (%1$s, position) > ($2, $3)' end
    || case when p_until is null then '' when p_backwards then ' and %1$s > $4' else ' and %1$s < $4' end
    || case when p_part is null then '' else ' and (strpos(lower(%2$s), lower($5)) > 0 or %3$s = $5)' end
    || ' order by %1$s %4$s, position %4$s limit $8';
begin
  if not is_asked_of(p_site) then
    return;
  end if;
  return query execute format('select reason, position from (
      (select reason_in_order(reason) as reason, position from verdicts where site = $1 and reason <> ''Accepted.'' %1$s)
      union all
      (select reason_in_order(body ->> ''reason'') as reason, position from signals where site = $1 and kind <> ''event'' %2$s)) as told order by reason %3$s, position %3$s limit $8',
      format(v_wanted, 'reason_in_order(reason)', 'reason', 'code', v_way), format(v_wanted, 'reason_in_order(body ->> ''reason'')', 'body ->> ''reason''', 'null', v_way), v_way)
    using p_site, p_reason, p_position, p_until, p_part, p_first, p_last, p_limit;
end $$;
revoke execute on function next_in_order_of_reason(text, text, bigint, text, text, bigint, bigint, boolean, bigint) from public;
grant execute on function next_in_order_of_reason(text, text, bigint, text, text, bigint, bigint, boolean, bigint) to signalbox_runtime, signalbox_reader;

-- Facts are found by site and position by the index of their key itself, which had the day in front: an event keeps one index less.
alter table facts drop constraint facts_pkey, add constraint facts_pkey primary key (site, position, ordinal, opened_on);
drop index facts_by_position;
