-- Reviews of the audit trail: what was looked at, as of which position, the digest of it, and what whoever looked found. Both parts are acts too, at positions of their own, without a number of
-- the batch: a review changes no record.
-- Locks: none that anybody waits for (new tables).

create table audit_reviews (
  site plant_id not null references sites,
  -- the position of the act that opened it
  review bigint not null check (review >= 1),
  batch plant_id not null,
  -- how many entries change the batch's record, and SHA-256 over their leaf hashes in order
  entries bigint not null check (entries >= 1),
  digest bytea not null check (length(digest) = 32),
  catalogue integer not null check (catalogue >= 1),
  -- how often each rule of the catalogue found something
  found jsonb not null,
  opened_by text not null check (opened_by ~ '\S'),
  opened_at timestamptz not null default clock_timestamp(),
  primary key (site, review),
  foreign key (site, batch) references batches
);
create index audit_reviews_by_batch on audit_reviews (site, batch, review);

create table audit_review_conclusions (
  site plant_id not null,
  review bigint not null,
  position bigint not null check (position > review),
  conclusion text not null check (conclusion in ('accepted', 'objected')),
  finding text not null check (finding ~ '\S'),
  concluded_by text not null check (concluded_by ~ '\S'),
  concluded_at timestamptz not null default clock_timestamp(),
  primary key (site, review),
  foreign key (site, review) references audit_reviews
);

do $$
declare
  name text;
begin
  foreach name in array array['audit_reviews', 'audit_review_conclusions'] loop
    execute format('create trigger append_only before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to signalbox_runtime', name);
  end loop;
end $$;
