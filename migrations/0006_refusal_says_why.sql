-- The check of 0001 on refusals passes where the permitted list or the guards are missing, since a check that comes out unknown refuses nothing. This one counts what is
-- missing as false.
-- Locks: verdicts, exclusively, while its rows are read once.

alter table verdicts add constraint refusal_says_why check (
  not (status = 'rejected' and refused_by in ('state', 'guard'))
  or coalesce(jsonb_typeof(explanation -> 'permitted') = 'array' and jsonb_path_exists(explanation, '$.guards[*] ? (@.ok == false)'), false)
);
