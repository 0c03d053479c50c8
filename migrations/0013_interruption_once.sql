-- An interruption is counted once, whoever counted it. The shard's last sign of receiving moves on in the commit that moves the due times on, and by as much: an owner that lost its
-- shard, or died, between that commit and its next sign had left the same silence to be counted again by the next.
-- Locks: none that lasts. The function is as in 0010 otherwise.
create or replace function settle(p_site text, p_shard text, p_term bigint, p_group uuid, p_count integer, p jsonb, p_raw bytea[], p_correlation bytea[], p_entries text[])
  returns table (base bigint, generation integer, recorded_at timestamptz)
  language plpgsql as $$
#variable_conflict use_column
declare
  v record;
begin
  select * into v from settle_rows(p_site, p_shard, p_term, p_group, p_count, p, p_raw, p_correlation);
  -- who promised to show only what is signed does not go on for ever without a signer
  if exists (select from sites where site = p_site and publish_after = 'checkpoint' and position - signed_position(site) > unsigned_limit) then
    raise exception 'more than % positions of site % are not signed', (select unsigned_limit from sites where site = p_site), p_site using errcode = 'SB004';
  end if;
  if p ? 'interruption_ms' then
    update shard_beats set received_until = received_until + make_interval(secs => (p ->> 'interruption_ms')::double precision / 1000.0) where shard = p_shard;
  end if;
  perform append_entries(p_site, p_shard, p_term, v.base, v.generation, v.recorded_at, p_entries, p -> 'entry_batches');
  return query select v.base, v.generation, v.recorded_at;
end $$;
