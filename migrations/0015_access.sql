-- Who may do what (docs/decisions/0013-access.md): people and machines, kept apart by tables of their own; what each may, by role and site; how they prove who they are. No row holds a secret:
-- passwords as argon2id, API keys and sessions as a hash under a key that is not in the database. Each change is an act in the log of every site that it concerns.
-- Locks: none that anybody waits for (new tables).

create domain person_id as text check (value ~ '^[a-z0-9][a-z0-9._-]{0,63}$');

-- One row for one individual, for ever: never changed, never given to another (21 CFR 11.100(a)).
create table people (
  person person_id primary key,
  -- `local`, or who vouches for them (OpenID Connect), and the name by which they are known there; never an e-mail address
  issuer text not null check (issuer ~ '\S'),
  subject text not null check (subject ~ '\S'),
  -- as it is printed beside a signature
  name text not null check (name ~ '\S' and length(name) <= 128),
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  unique (issuer, subject)
);

-- What changes of a person: whether they may sign in, and with which password.
create table person_standings (
  person person_id primary key references people,
  active boolean not null default true,
  password text check (password like '$argon2id$%'),
  -- the password was set by somebody else: nothing is open to it but to change it
  temporary boolean not null default false,
  failed integer not null default 0 check (failed >= 0),
  locked_until timestamptz
);

create table person_grants (
  person person_id not null references people,
  role text not null check (role in ('integrator', 'operator', 'supervisor', 'qa_reviewer', 'qa_approver', 'engineer', 'admin', 'auditor')),
  -- null: every site
  site plant_id references sites,
  granted_by text not null,
  granted_at timestamptz not null default clock_timestamp(),
  unique nulls not distinct (person, role, site),
  -- nobody widens their own rights
  check (granted_by <> 'person:' || person)
);

create table machines (
  machine person_id primary key,
  owner person_id not null references people,
  purpose text not null check (purpose ~ '\S'),
  active boolean not null default true,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp()
);
create table machine_grants (
  machine person_id not null references machines,
  -- no role of a machine can sign or dispose
  role text not null check (role in ('integrator', 'mes', 'feed')),
  site plant_id references sites,
  granted_by text not null,
  granted_at timestamptz not null default clock_timestamp(),
  unique nulls not distinct (machine, role, site)
);
create table api_keys (
  api_key text primary key check (api_key ~ '^[a-z2-7]{12}$'),
  machine person_id not null references machines,
  hash bytea not null check (length(hash) = 32),
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null check (expires_at > created_at),
  revoked_at timestamptz,
  revoked_by text,
  check ((revoked_at is null) = (revoked_by is null))
);
create index api_keys_by_machine on api_keys (machine);

-- Somebody who signed in, until they sign out, stay away too long, or the session's time is over.
create table sign_ins (
  hash bytea primary key check (length(hash) = 32),
  person person_id not null references people,
  method text not null check (method in ('password', 'oidc')),
  since timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  ended_at timestamptz
);
create index sign_ins_by_person on sign_ins (person) where ended_at is null;

-- One person never holds two roles that check each other.
create function refuse_conflicting_roles() returns trigger language plpgsql as $$
begin
  -- two grants at once see each other
  perform pg_advisory_xact_lock(hashtextextended('grants of ' || new.person, 0));
  if exists (
    select from person_grants g
    join (values ('admin', 'qa_reviewer'), ('admin', 'qa_approver'), ('admin', 'operator'), ('admin', 'supervisor'), ('operator', 'qa_reviewer'), ('operator', 'qa_approver'),
      ('supervisor', 'qa_reviewer'), ('supervisor', 'qa_approver'), ('integrator', 'qa_reviewer'), ('integrator', 'qa_approver'), ('engineer', 'qa_reviewer'), ('engineer', 'qa_approver'),
      ('auditor', 'operator'), ('auditor', 'supervisor'), ('auditor', 'qa_reviewer'), ('auditor', 'qa_approver'), ('auditor', 'engineer'), ('auditor', 'admin')) as c (one, other)
      on (c.one, c.other) in ((new.role, g.role), (g.role, new.role))
    where g.person = new.person and (g.site is null or new.site is null or g.site = new.site)
  ) then
    raise exception '% cannot hold % beside what they hold', new.person, new.role using errcode = '23514', constraint = 'roles_that_check_each_other';
  end if;
  return new;
end $$;
create trigger duties_are_apart before insert or update on person_grants for each row execute function refuse_conflicting_roles();

create trigger append_only before update or delete on people for each row execute function refuse_change();
do $$
declare
  name text;
begin
  foreach name in array array['people', 'person_standings', 'person_grants', 'machines', 'machine_grants', 'api_keys', 'sign_ins'] loop
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
  end loop;
end $$;
grant select, insert on people to signalbox_runtime;
grant select, insert, update on person_standings, machines, api_keys, sign_ins to signalbox_runtime;
grant select, insert, delete on person_grants, machine_grants to signalbox_runtime;

-- Whether somebody administers this system. Until then nobody is asked who they are where only the machine itself can ask, and everything is done by nobody in particular.
create function is_claimed() returns boolean language sql stable as $$
  select exists (select from person_grants g join person_standings s using (person) where g.role = 'admin' and g.site is null and s.active)
$$;
