-- A user of the broker that is a party of several sites (docs/decisions/0014-parties.md): a service and nothing else, put into force at one more site by a person who answers for every site, and with
-- one credential that was issued for all of them. Nobody of one site comes by another site's rights, nor replaces its credential, whatever the service above believes.
-- Locks: party_activations and party_credentials, exclusively, for a moment.

create function party_credentials_differ(p_party text) returns boolean language sql as $$
  select count(distinct coalesce(verifier, ''::bytea)) > 1 from parties_active where party = p_party
$$;

create function party_of_several_sites() returns trigger language plpgsql as $$
begin
  -- so that two sites do not overlook each other; as every change of a party begins
  perform pg_advisory_xact_lock(hashtext('signalbox.parties'));
  if not exists (select from parties_active where party = new.party and site <> new.site)
    or not exists (select from parties_active where party = new.party and site = new.site and position = new.position) then
    return null;
  end if;
  if exists (select from parties_active where party = new.party and content ->> 'kind' <> 'service') then
    raise exception 'the name % is that of a party of another site', new.party using errcode = '23514', constraint = 'one_name_one_party';
  end if;
  if not exists (select from person_grants where 'person:' || person = new.activated_by and site is null and role in ('engineer', 'admin')) then
    raise exception '% does not answer for every site, of which % is a service', new.activated_by, new.party using errcode = '23514', constraint = 'answers_for_every_site';
  end if;
  if party_credentials_differ(new.party) then
    raise exception 'service % has another credential at another site', new.party using errcode = '23514', constraint = 'one_service_one_credential';
  end if;
  return null;
end $$;
create trigger of_several_sites after insert on party_activations for each row execute function party_of_several_sites();

create function party_credential_of_several_sites() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('signalbox.parties'));
  if party_credentials_differ(new.party) then
    raise exception 'service % would have another credential at another site', new.party using errcode = '23514', constraint = 'one_service_one_credential';
  end if;
  return null;
end $$;
-- at the end, when it was issued at all of them
create constraint trigger of_several_sites after insert on party_credentials deferrable initially deferred for each row execute function party_credential_of_several_sites();
