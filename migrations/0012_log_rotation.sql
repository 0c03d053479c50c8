-- Audit logs rotate: with so many entries the present log ends and the next begins, so that verifying one stays cheap. Whoever signs begins it, and the first entry of the next log says so.
-- Locks: sites, exclusively, for a moment (a column).

alter table sites add column rotate_after bigint not null default 10000000 check (rotate_after >= 1000);

-- Begins the log after `p_log` behind the site's head, if that is the last one and has as many entries as the site is set to. Gives its first position; null: it is not time.
create function begin_next_log(p_site text, p_log integer) returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_site sites;
  v_log audit_logs;
begin
  select * into v_site from sites where site = p_site for update;
  select * into v_log from audit_logs where site = p_site order by log desc limit 1;
  if v_log.log is distinct from p_log or v_site.position - v_log.first_position + 1 < v_site.rotate_after then
    return null;
  end if;
  insert into audit_logs (site, log, generation, first_position, origin, why)
    values (p_site, p_log + 1, v_site.generation, v_site.position + 1, format('signalbox/%s/%s', p_site, p_log + 1), 'rotation');
  return v_site.position + 1;
end $$;
revoke all on function begin_next_log(text, integer) from public;
grant execute on function begin_next_log(text, integer) to signalbox_runtime;
