-- What a group costs does not grow with what is stored: the check that verdicts have their facts looks at each partition of facts once a group and no longer once a verdict, and a batch that others refer to
-- is found by its own key. With both keys of batches beginning with the site, a database without statistics (the first minute of a plant) may take the wrong one and read every batch of the site
-- for each row that refers to one.
-- Locks: batches, while its second key is built anew.

create or replace function verdicts_have_their_facts() returns trigger language plpgsql as $$
begin
  if exists (
    select from fresh v
    left join (
      select f.site, f.position, count(*) as facts
      from (select site, min(position) as first, max(position) as last from fresh group by site) g
      join facts f on f.site = g.site and f.position between g.first and g.last and f.kind <> 'disposition.voided'
      group by f.site, f.position
    ) f on f.site = v.site and f.position = v.position
    where v.facts <> coalesce(f.facts, 0)
  ) then
    raise exception 'a verdict and its facts do not agree' using errcode = '23514';
  end if;
  return null;
end $$;

alter table batches drop constraint batches_site_job_order_key, add constraint batches_job_order_site_key unique (job_order, site);
