-- Nobody approves their own revision (docs/decisions/0013-access.md): a recipe or state machine that a person registers is in force for new batches only after another person approved it, by their
-- signature. Who proposed it stands in its row, and is nobody where nobody signed in yet; such a row, and every row from before this migration, is in force as it stands, and there is nobody to have
-- proposed it.
-- Locks: recipes and state machines, exclusively, for a moment.

alter table recipes add column proposed_by text check (proposed_by ~ '^person:\S'),
  -- so that an approval is one of what was proposed by whom it says
  add unique (recipe, revision, proposed_by);
alter table state_machines add column proposed_by text check (proposed_by ~ '^person:\S'),
  add unique (name, revision, proposed_by);

create table recipe_approvals (
  recipe plant_id not null,
  revision integer not null,
  proposed_by text not null,
  approved_by text not null check (approved_by ~ '^person:\S'),
  -- whole, as it stands in the entry of the act
  signature jsonb not null check (signature ->> 'signature' is not null),
  approved_at timestamptz not null default clock_timestamp(),
  primary key (recipe, revision),
  foreign key (recipe, revision, proposed_by) references recipes (recipe, revision, proposed_by),
  check (approved_by <> proposed_by)
);
create table state_machine_approvals (
  name text not null,
  revision integer not null,
  proposed_by text not null,
  approved_by text not null check (approved_by ~ '^person:\S'),
  signature jsonb not null check (signature ->> 'signature' is not null),
  approved_at timestamptz not null default clock_timestamp(),
  primary key (name, revision),
  foreign key (name, revision, proposed_by) references state_machines (name, revision, proposed_by),
  check (approved_by <> proposed_by)
);

-- Where somebody administers the system, no recipe comes into force without anybody having proposed it. State machines may: those that a new version ships are published by the service itself.
create function recipe_is_proposed() returns trigger language plpgsql as $$
begin
  if new.proposed_by is null and is_claimed() then
    raise exception 'recipe %@% is proposed by nobody', new.recipe, new.revision using errcode = '23514', constraint = 'recipe_is_proposed';
  end if;
  return new;
end $$;
create trigger is_proposed before insert on recipes for each row execute function recipe_is_proposed();

do $$
declare
  name text;
begin
  foreach name in array array['recipe_approvals', 'state_machine_approvals'] loop
    execute format('create trigger append_only before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to signalbox_runtime', name);
    -- definitions are everybody's, and so is who approved them
    execute format('grant select on %I to signalbox_reader', name);
  end loop;
end $$;

-- Approving a definition concerns every site, so its challenge is of none.
alter table signature_challenges alter column site drop not null;
