-- What a trigger asks, it asks of the record: a temporary table of the same name stood before it, and the role that the service runs as could make one, and so be refused nothing that rests on other
-- rows (docs/decisions/0016-signed-acts.md). Now such a table stands behind, and nobody but the owner makes one here.
-- Locks: none that anybody waits for.

do $$ declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prorettype = 'trigger'::regtype
      and not exists (select from unnest(p.proconfig) as setting where setting like 'search_path=%')
  loop
    execute format('alter function %s set search_path = public, pg_temp', v_function);
  end loop;
  execute format('revoke temporary on database %I from public', current_database());
end $$;
