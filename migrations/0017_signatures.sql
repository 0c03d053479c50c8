-- Electronic signatures (docs/decisions/0013-access.md): what a person is about to sign, as it was shown to them. The signature itself is part of the act that it signs, in its row and its audit
-- entry, and cannot be parted from it (21 CFR 11.70); here is what was asked, that it was used once, and by which evidence the signer proved who they are.
-- Locks: none that anybody waits for (a new table).
create table signature_challenges (
  challenge text primary key check (challenge ~ '^[a-z2-7]{26}$'),
  person person_id not null references people,
  site plant_id not null references sites,
  -- the act as it will be done
  path text not null,
  body jsonb not null,
  role text not null,
  meaning text not null check (meaning ~ '\S'),
  reason text not null check (reason ~ '\S'),
  shown text not null,
  -- what of, and SHA-256 of it as it stood; its entity tag, by which the act proves that it still stands so
  record text not null,
  record_digest bytea not null check (length(record_digest) = 32),
  record_tag text,
  digest bytea not null check (length(digest) = 32),
  created_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > created_at),
  used_at timestamptz check (used_at <= expires_at),
  -- by a provider: its word, and the key that signed it, since keys rotate
  id_token text,
  id_token_key jsonb,
  check (id_token is null or used_at is not null)
);
create function refuse_second_use() returns trigger language plpgsql as $$
begin
  if old.used_at is not null or (to_jsonb(new) - array['used_at', 'id_token', 'id_token_key']) <> (to_jsonb(old) - array['used_at', 'id_token', 'id_token_key']) then
    raise exception 'challenge % is used once, as it was made', old.challenge using errcode = '23514', constraint = 'challenge_once';
  end if;
  return new;
end $$;
create trigger used_once before update on signature_challenges for each row execute function refuse_second_use();
create trigger never_deleted before delete on signature_challenges for each row execute function refuse_change();
create trigger never_emptied before truncate on signature_challenges for each statement execute function refuse_change();
grant select, insert, update on signature_challenges to signalbox_runtime;
alter table signature_challenges enable row level security;
create policy the_route on signature_challenges to signalbox_runtime using (true) with check (true);
