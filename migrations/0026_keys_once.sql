-- A signing key stands for one party for good (docs/decisions/0018-signed-events.md): what has ever stood in a revision of a party is no other party's, at no site; and what was revoked, by itself or with
-- its party, never comes back. Asked where parties are changed, and here again.
-- What stands already is left as it stands: the access review tells of it.
-- Locks: none that anybody waits for.

-- Every key of every revision there ever was, and what took it away first, if something has; with the rights of whoever asks.
create view party_keys with (security_invoker = true) as
  select r.site, r.party, r.revision, r.position, k.kid, k."publicKey" as public_key, k."validFrom" as valid_from, k."validUntil" as valid_until,
    v.position as revoked_position, v.revoked_at, v.revoked_by, v.reason
  from party_revisions r
  cross join lateral jsonb_to_recordset(r.content -> 'signing' -> 'keys') as k (kid text, "publicKey" text, "validFrom" text, "validUntil" text)
  left join lateral (
    select o.position, o.revoked_at, o.revoked_by, o.reason from party_key_revocations o where o.site = r.site and o.party = r.party and o.kid = k.kid
    union all
    select w.position, w.revoked_at, w.revoked_by, w.reason from party_revocations w where w.site = r.site and w.party = r.party and w.position > r.position
    order by position limit 1) v on true;
grant select on party_keys to signalbox_runtime;

create function keys_stand_once() returns trigger language plpgsql as $$
declare
  v_content jsonb;
  v_kid text;
begin
  -- parties of all sites are changed one after the other, as the service does it: otherwise two could be given one key at once
  perform pg_advisory_xact_lock(hashtext('signalbox.parties'));
  v_content := coalesce(to_jsonb(new) -> 'content', (select content from party_revisions r where r.site = new.site and r.party = new.party and r.revision = new.revision));
  select k.kid into v_kid
    from jsonb_to_recordset(v_content -> 'signing' -> 'keys') as k (kid text, "publicKey" text)
    join party_keys known on case
      when known.site = new.site and known.party = new.party
        then (known.kid = k.kid) <> (known.public_key = k."publicKey") or (known.kid = k.kid and known.revoked_position is not null)
      else known.public_key = k."publicKey" end
    limit 1;
  -- of whom it is else is not told: that may be another site's
  if found then
    raise exception 'key % of party % was revoked, or is another one''s', v_kid, new.party using errcode = '23514', constraint = 'key_stands_once';
  end if;
  return new;
end $$;
create trigger keys_once before insert on party_revisions for each row execute function keys_stand_once();
create trigger keys_once before insert on party_approvals for each row execute function keys_stand_once();
create trigger keys_once before insert on party_activations for each row execute function keys_stand_once();
