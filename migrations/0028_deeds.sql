-- Whoever decides about a batch's quarantined events, or gives up what its equipment may have said, has acted in it; and nobody concludes the review or disposes of the exceptions of a batch in which
-- they acted, decides about what they performed themselves, or amends a batch to a revision of their own; and no batch is disposed of past its review (docs/decisions/0016-signed-acts.md). The service refuses all of it before anything is signed
-- (src/access/deeds.store.ts); the triggers here are the last word, about what is written from now on.
-- Locks: signals, against writing, while an index of what is signed is built over it, and quarantine likewise; signals, facts, exceptions and audit_review_conclusions, against writing, for a moment.

-- Signatures are few among signals.
create index signals_signed on signals (site, position) where actor is not null and body -> 'signature' is not null;

create index quarantine_by_batch on quarantine (site, batch) where batch is not null;

-- Which commands decided about a batch without naming it, and about which of its steps.
create function decisions_about(p_site text, p_batch text) returns table ("position" bigint, step text) language sql stable as $$
  -- what was judged or rejected because of one
  select g.position, v.step
    from verdicts v join signals g on g.site = v.site and g.position = v.cause_position
    where v.site = p_site and v.batch = p_batch and v.cause_position is not null and g.kind = 'command'
      and g.body ->> 'kind' in ('quarantine.resolve', 'gap.resolve', 'source.succession')
  union
  -- a report that named no batch: what is decided about it names none either, but in whose context it was is known of its quarantine, and its step of the exception that it opened
  select g.position, (select x.step from exceptions x where x.site = q.site and x.event_position = q.position and x.step is not null order by x.position limit 1)
    from quarantine q join verdicts v on v.site = q.site and v.position = q.resolved_position join signals g on g.site = v.site and g.position = v.cause_position
    where q.site = p_site and q.batch = p_batch and g.kind = 'command' and g.body ->> 'kind' = 'quarantine.resolve'
  union
  -- numbers that one gave up of a source that spoke of equipment of the batch, at any time from where the gap began
  select g.position, l.step
    from context_locks l join sources s on s.site = l.site and s.equipment = l.equipment join skipped_ranges k on k.source_key = s.source_key
      join signals g on g.site = l.site and g.position = k.position
    where l.site = p_site and l.batch = p_batch and g.kind = 'command' and l.taken_position < g.position
      and coalesce(l.freed_position, g.position) >= coalesce((g.body ->> 'gap')::bigint, g.position)
$$;

-- What somebody did in a batch, and in which of its steps and attempts. An act counts when something came of it; a comment performs, decides and changes nothing, and is none.
create function deeds_in(p_site text, p_batch text, p_actor text) returns table (deed text, step text, attempt integer) language sql stable as $$
  -- what they asked for, and came to be a fact; of what followed in other steps the attempt is another one's
  select coalesce(g.body ->> 'command', g.body ->> 'kind'), g.body ->> 'step', case when f.step = g.body ->> 'step' then f.attempt end
    from batches b join facts f on f.opened_on = b.opened_on and f.site = b.site and f.batch = b.batch join signals g on g.site = f.site and g.position = f.position
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

-- The position that changed a batch's record first behind so many of its entries; null: none did. Quality's word on the batch and its closing follow a review, and change nothing of what was reviewed.
create function changed_behind(p_site text, p_batch text, p_entries bigint) returns bigint language sql stable as $$
  select n.position from audit_numbers n where n.site = p_site and n.batch = p_batch and n.number > p_entries
    and not exists (select from signals g where g.site = n.site and g.position = n.position and g.kind = 'command' and g.body ->> 'command' in ('release', 'conditional', 'reject', 'close'))
  order by n.number limit 1
$$;

-- Of a review: its conclusion is about all there is, and by somebody who did not act in the batch.
create function reviewed_by_others() returns trigger language plpgsql as $$
declare
  v record;
begin
  -- whoever concludes holds the site's head, so that nothing goes on record between looking and concluding
  perform from sites where site = new.site for update;
  select r.batch, r.entries into v from audit_reviews r where r.site = new.site and r.review = new.review;
  if changed_behind(new.site, v.batch, v.entries) is not null then
    raise exception 'the record of batch % has changed since review % was opened', v.batch, new.review using errcode = '23514', constraint = 'reviewed_as_it_is';
  end if;
  if new.concluded_by like 'person:%' and exists (select from deeds_in(new.site, v.batch, new.concluded_by)) then
    raise exception '% has acted in batch %, whose review they conclude', new.concluded_by, v.batch using errcode = '23514', constraint = 'reviewed_by_others';
  end if;
  return new;
end $$;
create trigger by_others before insert on audit_review_conclusions for each row execute function reviewed_by_others();

-- Of a batch: quality's word is given when the last review of all that is on record was concluded as accepted, and none is open. The version of the batch, which each commit proves, says nothing of reviews.
create function disposed_of_as_reviewed() returns trigger language plpgsql as $$
begin
  if exists (select from audit_reviews r where r.site = new.site and r.batch = new.batch and changed_behind(r.site, r.batch, r.entries) is null
      and not exists (select from audit_review_conclusions c where c.site = r.site and c.review = r.review))
    or not exists (select from audit_reviews r join audit_review_conclusions c using (site, review)
      where r.site = new.site and r.batch = new.batch and c.conclusion = 'accepted' and changed_behind(r.site, r.batch, r.entries) is null
        and not exists (select from audit_reviews later where later.site = r.site and later.batch = r.batch and later.review > r.review)) then
    raise exception 'a review of batch % is missing, open, stale or objects', new.batch using errcode = '23514', constraint = 'disposed_of_as_reviewed';
  end if;
  return new;
end $$;
create trigger as_reviewed before insert on facts for each row
  when (new.kind = 'disposition.signed' and new.data ->> 'stage' = 'disposed') execute function disposed_of_as_reviewed();

-- Whether an exception was opened by what somebody asked for or performed, whatever batch it is of.
create function opened_exception(p_site text, p_position bigint, p_event_position bigint, p_actor text) returns boolean language sql stable as $$
  select exists (select from signals g where g.site = p_site and g.position = p_position and g.actor = p_actor)
    or exists (select from performances p where p.site = p_site and p.position in (p_position, p_event_position) and 'person:' || p.person = p_actor)
$$;

-- Which deeds in a batch bar whoever did them from disposing of an exception of it. To have disposed of others, or decided about events of the batch, is none: an event in quarantine is an exception too.
-- To have verified is one only of the very step and attempt that it is about: who else would be left, in a plant of few, to conclude the review?
create function deeds_against_disposing(p_site text, p_batch text, p_step text, p_attempt integer, p_actor text) returns table (deed text, step text) language sql stable as $$
  select d.deed, d.step from deeds_in(p_site, p_batch, p_actor) d
    where d.deed not in ('exception.resolve', 'quarantine.resolve', 'gap.resolve', 'source.succession')
      and (d.deed <> 'verify' or (d.step = p_step and d.attempt = coalesce(p_attempt, d.attempt)))
$$;

-- Of an exception: it is disposed of once, by the command that says so, signed by a person who did nothing that bars them and by whom it was not opened.
create function exception_disposed_of_by_others() returns trigger language plpgsql as $$
declare
  v_by text;
begin
  select g.actor into v_by from signals g where g.site = new.site and g.position = new.resolved_position and g.kind = 'command' and g.body ->> 'kind' = 'exception.resolve'
    and (g.body ->> 'position')::bigint = new.position and (g.body ->> 'ordinal')::integer = new.ordinal and g.actor like 'person:%' and g.body -> 'signature' is not null;
  if old.disposition is not null then
    raise exception 'exception %.% is disposed of already', new.position, new.ordinal using errcode = '23514', constraint = 'disposed_of_once';
  end if;
  if v_by is null then
    raise exception 'exception %.% is disposed of by a signed command', new.position, new.ordinal using errcode = '23514', constraint = 'disposed_of_by_signature';
  end if;
  if exists (select from deeds_against_disposing(new.site, new.batch, new.step, new.attempt, v_by))
    or opened_exception(new.site, new.position, new.event_position, v_by) then
    raise exception '% has acted in what exception %.% is about', v_by, new.position, new.ordinal using errcode = '23514', constraint = 'disposed_of_by_others';
  end if;
  return new;
end $$;
create trigger by_others before update on exceptions for each row
  when (new.disposition is distinct from old.disposition or new.linked is distinct from old.linked) execute function exception_disposed_of_by_others();

-- Of an event: whoever performed what it reports decides neither that it counts nor that it does not.
create function nobody_decides_about_own_report() returns trigger language plpgsql as $$
begin
  if exists (select from performances p where p.site = new.site and p.position = (new.body ->> 'event')::bigint and 'person:' || p.person = new.actor) then
    raise exception '% has performed what event % reports', new.actor, new.body ->> 'event' using errcode = '23514', constraint = 'nobody_decides_about_own_report';
  end if;
  return new;
end $$;
create trigger decided_by_others before insert on signals for each row
  when (new.kind = 'command' and new.body ->> 'kind' = 'quarantine.resolve' and new.actor like 'person:%' and new.body ? 'signature')
  execute function nobody_decides_about_own_report();

-- Of a recipe: whoever proposed a revision, at whichever site, puts it in force by no amendment.
create function nobody_amends_to_own_revision() returns trigger language plpgsql as $$
begin
  if exists (select from batches b join recipes r on r.recipe = b.recipe and r.revision = (new.body ->> 'revision')::integer
      where b.site = new.site and b.batch = new.body ->> 'batch' and r.proposed_by = new.actor) then
    raise exception '% has proposed revision % themselves', new.actor, new.body ->> 'revision' using errcode = '23514', constraint = 'nobody_amends_to_own_revision';
  end if;
  return new;
end $$;
create trigger amended_by_others before insert on signals for each row
  when (new.kind = 'command' and new.body ->> 'command' = 'amend' and new.actor like 'person:%' and new.body ? 'signature')
  execute function nobody_amends_to_own_revision();
