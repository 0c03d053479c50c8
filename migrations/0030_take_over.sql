-- Equipment is taken over by the signature of a person who does not work with it themselves (docs/decisions/0016-signed-acts.md). The service refuses anything else before
-- (src/decide/command-take-over.ts, src/access/deeds.store.ts); the trigger here is the last word.
-- Locks: facts, against writing, for a moment.

-- Which deeds bar whoever did them from taking over what is held by a step, or by a batch as a whole: who works there is who would take it from themselves.
create function deeds_under_lock(p_site text, p_batch text, p_step text, p_attempt integer, p_actor text) returns table (deed text, step text) language sql stable as $$
  select d.deed, d.step from deeds_in(p_site, p_batch, p_actor) d
    where case when p_step is null then d.step is null and d.deed in ('start', 'performed')
      else d.step = p_step and coalesce(d.attempt, p_attempt) = p_attempt and d.deed in ('start', 'evidence', 'correct', 'complete', 'pause', 'resume', 'performed') end
$$;

create function taken_over_by_others() returns trigger language plpgsql set search_path = public, pg_temp as $$
declare
  v_by text;
begin
  select g.actor into v_by from signals g where g.site = new.site and g.position = new.position and g.kind = 'command' and g.body ->> 'kind' = 'lock.takeover'
    and g.actor like 'person:%' and g.body -> 'signature' is not null;
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
