-- Parties at the broker (docs/decisions/0014-parties.md): who may publish and subscribe what, in revisions that one person proposes and another approves. What is in force is the last
-- activation of a party that no revocation follows.
-- Every row comes of an act in the audit log, and is known by the act's position; nothing is ever changed. The database itself refuses an approval by who proposed, by nobody known, or of what
-- was revoked since, and an activation of what nobody approved.
-- Locks: none that anybody waits for (new tables).

create table party_revisions (
  site plant_id not null references sites,
  -- the user name at the broker
  party text not null check (party ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'),
  revision integer not null check (revision >= 1),
  position bigint not null check (position >= 1),
  content jsonb not null check (content ->> 'kind' in ('device', 'gateway', 'service', 'dashboard', 'mes') and content ->> 'owner' ~ '^person:\S+$' and jsonb_typeof(content -> 'may') = 'array'),
  proposed_by text not null check (proposed_by ~ '\S'),
  proposed_at timestamptz not null default clock_timestamp(),
  primary key (site, party, revision),
  -- so that an approval is one of what was proposed by whom it says
  unique (site, party, revision, proposed_by),
  unique (site, position)
);

create table party_approvals (
  site plant_id not null,
  party text not null,
  revision integer not null,
  position bigint not null check (position >= 1),
  proposed_by text not null check (proposed_by ~ '^person:\S'),
  approved_by text not null check (approved_by ~ '^person:\S'),
  approved_at timestamptz not null default clock_timestamp(),
  primary key (site, party, revision),
  foreign key (site, party, revision, proposed_by) references party_revisions (site, party, revision, proposed_by),
  unique (site, position),
  check (approved_by <> proposed_by)
);

create table party_activations (
  site plant_id not null,
  party text not null,
  revision integer not null,
  position bigint not null check (position >= 1),
  activated_by text not null check (activated_by ~ '^person:\S'),
  activated_at timestamptz not null default clock_timestamp(),
  primary key (site, party, revision),
  foreign key (site, party, revision) references party_approvals,
  unique (site, position)
);

-- Of a party as a whole: its credential with it, and whatever was proposed before. Taking rights away needs no second person.
create table party_revocations (
  site plant_id not null references sites,
  party text not null,
  position bigint not null check (position >= 1),
  reason text not null check (reason ~ '\S'),
  revoked_by text not null check (revoked_by ~ '\S'),
  revoked_at timestamptz not null default clock_timestamp(),
  primary key (site, party, position),
  unique (site, position)
);

-- The last one counts, unless the party was revoked since. What is kept fits the password and does not give it.
create table party_credentials (
  site plant_id not null references sites,
  party text not null,
  position bigint not null check (position >= 1),
  verifier bytea not null check (convert_from(verifier, 'UTF8') ~ '^\$7\$[0-9]+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+$'),
  issued_by text not null check (issued_by ~ '\S'),
  issued_at timestamptz not null default clock_timestamp(),
  primary key (site, party, position),
  unique (site, position)
);

-- Access reviews: that somebody saw the report, and which.
create table party_reviews (
  site plant_id not null references sites,
  review bigint not null check (review >= 1),
  digest bytea not null check (length(digest) = 32),
  parties integer not null check (parties >= 0),
  conflicts integer not null check (conflicts >= 0),
  finding text not null check (finding ~ '\S'),
  reviewed_by text not null check (reviewed_by ~ '^person:\S'),
  reviewed_at timestamptz not null default clock_timestamp(),
  primary key (site, review)
);

-- What was revoked stays revoked: only what is proposed afterwards can be approved and activated; and an older revision never comes back over a newer one.
create function party_stands() returns trigger language plpgsql as $$
begin
  if exists (select from party_revisions r join party_revocations v on v.site = r.site and v.party = r.party and v.position > r.position
      where r.site = new.site and r.party = new.party and r.revision = new.revision) then
    raise exception 'revision % of party % was revoked', new.revision, new.party using errcode = '23514';
  end if;
  if tg_table_name = 'party_activations' and exists (select from party_activations a where a.site = new.site and a.party = new.party and a.revision > new.revision) then
    raise exception 'party % has a newer revision than %', new.party, new.revision using errcode = '23514';
  end if;
  return new;
end $$;
create trigger stands before insert on party_approvals for each row execute function party_stands();
create trigger stands before insert on party_activations for each row execute function party_stands();

do $$
declare
  name text;
begin
  foreach name in array array['party_revisions', 'party_approvals', 'party_activations', 'party_revocations', 'party_credentials', 'party_reviews'] loop
    execute format('create trigger append_only before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to signalbox_runtime', name);
    -- nothing of it is read for others: verifiers are among it, and whoever asks is asked first whether they may
    execute format('alter table %I enable row level security', name);
    execute format('create policy the_route on %I to signalbox_runtime using (true) with check (true)', name);
  end loop;
end $$;

-- Which revision of each party is in force, if one is, and what stands beside it; with the rights of whoever asks.
create view parties_active with (security_invoker = true) as
  select distinct on (a.site, a.party) a.site, a.party, a.revision, a.position, r.content,
    p.proposed_by, p.approved_by, p.approved_at, a.activated_by, a.activated_at,
    c.verifier, c.position as credential_position
  from party_activations a
  join party_revisions r using (site, party, revision)
  join party_approvals p using (site, party, revision)
  left join lateral (select max(position) as position from party_revocations v where v.site = a.site and v.party = a.party) v on true
  left join lateral (select verifier, position from party_credentials c where c.site = a.site and c.party = a.party and c.position > coalesce(v.position, 0)
    order by position desc limit 1) c on true
  where a.position > coalesce(v.position, 0)
  order by a.site, a.party, a.position desc;
grant select on parties_active to signalbox_runtime;
