-- leases: who owns a shard, until when. The term on `shards` is what fences; the lease only says when somebody else may raise it. Times are the database's.
-- Apart from shards: commits hold that row shared, and a renewal must wait for nobody's commit.
-- Locks: brief, on a new table. `take_shard` locks the lease first, the shard's row second; settle never looks at leases.

create table shard_leases (
  shard plant_id primary key references shards,
  -- fits behind "signalbox " into an application_name, which holds 63 bytes
  owner text check (owner ~ '^[A-Za-z0-9._-]{1,48}$'),
  term bigint not null default 0,
  lease_until timestamptz,
  check ((owner is null) = (lease_until is null))
) with (fillfactor = 50);

grant select, insert, update on shard_leases to signalbox_runtime;

-- Takes a shard whose lease has lapsed, was released or never was; otherwise says who holds it under which term, and for how many milliseconds yet.
-- Half a lease is enough where the owner has no connection left: it was killed, or cut off. A server that has just started knows nobody yet, and tells nothing by that.
-- One call, so that whoever is stopped in the middle of it holds no lock.
create function take_shard(p_shard text, p_owner text, p_ttl_ms integer)
  returns table (taken boolean, holder text, term bigint, left_ms double precision)
  language plpgsql set lock_timeout = '2s' as $$
#variable_conflict use_column
declare
  v_ttl interval := make_interval(secs => p_ttl_ms / 1000.0);
  v_before text;
  v_term bigint;
begin
  insert into shard_leases (shard) values (p_shard) on conflict do nothing;
  select owner into v_before from shard_leases l
    where shard = p_shard and (owner is null or lease_until <= clock_timestamp()
      or (lease_until <= clock_timestamp() + v_ttl / 2 and pg_postmaster_start_time() < clock_timestamp() - v_ttl
        and not exists (select from pg_stat_activity a where a.application_name = 'signalbox ' || l.owner)))
    for update;
  if not found then
    return query select false, owner, l.term, greatest(0, extract(epoch from lease_until - clock_timestamp()) * 1000)::double precision from shard_leases l where shard = p_shard;
    return;
  end if;

  -- What the former owner has open would hold locks for as long as it is stopped. Its commits are ended too: each is undone, or was made and stays.
  if v_before <> p_owner then
    perform pg_terminate_backend(pid) from pg_stat_activity where application_name = 'signalbox ' || v_before and usename = session_user;
  end if;

  -- waits for commits in flight; from here on every other is refused
  update shards s set term = s.term + 1, owner = p_owner, taken_at = clock_timestamp() where s.shard = p_shard returning s.term into v_term;
  update shard_leases l set owner = p_owner, term = v_term, lease_until = clock_timestamp() + v_ttl where l.shard = p_shard;
  return query select true, p_owner, v_term, p_ttl_ms::double precision;
end $$;

grant execute on function take_shard(text, text, integer) to signalbox_runtime;
