-- Equipment is taken over by the signature of a person who does not work with it themselves, and who has acted in the step from which it was taken (docs/decisions/0016-signed-acts.md). The service
-- refuses anything else before (src/decide/command-take-over.ts, src/access/deeds.store.ts); the trigger here is the last word on what is told of a take-over.
-- Locks: facts, against writing, for a moment.

-- As in 0028; whoever takes equipment over has acted in the step that worked with it, which the command does not name.
create or replace function deeds_in(p_site text, p_batch text, p_actor text) returns table (deed text, step text, attempt integer) language sql stable as $$
  -- what they asked for, and came to be a fact; of what followed in other steps the attempt is another one's
  select coalesce(g.body ->> 'command', g.body ->> 'kind'), a.step, case when f.step = a.step then f.attempt end
    from batches b join facts f on f.opened_on = b.opened_on and f.site = b.site and f.batch = b.batch join signals g on g.site = f.site and g.position = f.position
      cross join lateral (select case when g.body ->> 'kind' = 'lock.takeover' then f.step else g.body ->> 'step' end as step) a
    where b.site = p_site and b.batch = p_batch and g.actor = p_actor and g.body ->> 'command' is distinct from 'comment'
  union all
  -- what a device reported while they were at its station
  select 'performed', f.step, f.attempt
    from batches b join facts f on f.opened_on = b.opened_on and f.site = b.site and f.batch = b.batch join performances p on p.site = f.site and p.position = f.position
    where b.site = p_site and b.batch = p_batch and 'person:' || p.person = p_actor
  union all
  -- what they decided about it
  select g.body ->> 'kind', d.step, null::integer from decisions_about(p_site, p_batch) d join signals g on g.site = p_site and g.position = d.position where g.actor = p_actor
$$;

-- Which deeds bar whoever did them from taking over what is held by a step, or by a batch as a whole: who works there is who would take it from themselves.
create function deeds_under_lock(p_site text, p_batch text, p_step text, p_attempt integer, p_actor text) returns table (deed text, step text) language sql stable as $$
  select d.deed, d.step from deeds_in(p_site, p_batch, p_actor) d
    where case when p_step is null then d.step is null and d.deed in ('start', 'performed')
      else d.step = p_step and coalesce(d.attempt, p_attempt) = p_attempt and d.deed in ('start', 'evidence', 'correct', 'complete', 'pause', 'resume', 'performed') end
$$;

-- What is told of is one lock of the equipment that was signed for: the very one, or one that goes with the allocation that was.
create function taken_over_by_others() returns trigger language plpgsql set search_path = public, pg_temp as $$
declare
  v_by text;
begin
  select g.actor into v_by
    from signals g
      join context_locks l on l.site = g.site and l.equipment = g.body ->> 'equipment' and l.token = (g.body ->> 'token')::bigint
      join context_locks t on t.site = l.site and t.equipment = l.equipment and t.batch = l.batch and (t.token = l.token or l.kind = 'allocation')
    where g.site = new.site and g.position = new.position and g.kind = 'command' and g.body ->> 'kind' = 'lock.takeover'
      and g.actor like 'person:%' and jsonb_typeof(g.body -> 'signature') = 'object'
      and t.equipment = new.equipment and t.token = (new.data ->> 'token')::bigint
      and (t.batch, coalesce(t.step, ''), coalesce(t.attempt, 0)) = (new.batch, coalesce(new.step, ''), coalesce(new.attempt, 0));
  if v_by is null then
    raise exception '% is taken over by a signed command', new.equipment using errcode = '23514', constraint = 'taken_over_by_signature';
  end if;
  if exists (select from deeds_under_lock(new.site, new.batch, new.step, new.attempt, v_by)) then
    raise exception '% works with % themselves', v_by, new.equipment using errcode = '23514', constraint = 'taken_over_by_others';
  end if;
  return new;
end $$;
create trigger taken_over before insert on facts for each row
  when (new.kind = 'reported' and new.data ->> 'type' = 'context.taken-over') execute function taken_over_by_others();
