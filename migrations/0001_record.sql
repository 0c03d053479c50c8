-- The record: what arrived, what was decided, what is true, and who may say so.
--
-- Why these shapes. Positions are contiguous per site and given by the site's head row, which is locked last in every commit; so order of positions, order of
-- commits and order of visibility are one. Uniqueness that a promise rests on lives in narrow hash-partitioned tables (event_ids, event_numbers), never on a
-- time-partitioned one. What belongs to a batch is partitioned by the day the batch was opened, which never changes; deliveries and verdicts by position.
-- Rows that may change carry a version; a commit names the version it read of each. Everything else is append-only by grant and by trigger (0003).
-- Locks: creates only; safe at any time.

create extension if not exists btree_gist;

create domain plant_id as text check (value ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$');

create table sites (
  site plant_id primary key,
  generation integer not null default 1 check (generation >= 1),
  position bigint not null default 0 check (position >= 0),
  created_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- One writer at a time: the term rises with each change of owner, and every commit proves the term it was made under.
create table shards (
  shard plant_id primary key,
  site plant_id not null references sites,
  term bigint not null default 0,
  owner text,
  taken_at timestamptz
) with (fillfactor = 50);

-- When the shard was last known to receive; what was due meanwhile is moved on by the interruption. Apart from shards: commits hold that row shared.
create table shard_beats (
  shard plant_id primary key references shards,
  received_until timestamptz not null
) with (fillfactor = 50);

-- How far a shard's outcomes and verdicts are published: acknowledged by the broker up to and with this position.
create table relay_cursors (
  shard plant_id primary key references shards,
  position bigint not null default 0
) with (fillfactor = 50);

create table equipment (
  site plant_id not null references sites,
  equipment plant_id not null,
  line plant_id not null,
  class plant_id not null,
  title text,
  version bigint not null default 1,
  -- the last fencing token given out for this equipment
  token bigint not null default 0,
  -- what the equipment last said of its own state, by PackML name where it has one
  state text,
  state_epoch bigint,
  state_sequence bigint,
  primary key (site, equipment)
) with (fillfactor = 60);

create table sources (
  source_key bigint generated always as identity primary key,
  site plant_id not null,
  source text not null unique,
  line plant_id not null,
  equipment plant_id not null,
  device plant_id,
  shard plant_id not null references shards,
  numbering boolean not null default true,
  revoked boolean not null default false,
  version bigint not null default 1,
  -- rises when a replaced device begins to count again: numbers are unique within it, ids for good
  incarnation integer not null default 1 check (incarnation >= 1),
  -- the cursor: every number of `epoch` up to and with `through` is decided or skipped; nothing was ever heard while epoch is null
  epoch bigint check (epoch >= 0),
  through bigint not null default 0 check (through >= 0),
  highest bigint not null default 0,
  -- an open gap: since when, by which position, and when it parks the source
  gap_position bigint,
  gap_since timestamptz,
  gap_due_at timestamptz,
  parked text check (parked in ('gap', 'waiting_full', 'counter_back', 'poison')),
  parked_position bigint,
  parked_at timestamptz,
  -- reused numbers in a row: two park the source
  reused integer not null default 0,
  waiting_count integer not null default 0 check (waiting_count >= 0),
  waiting_bytes bigint not null default 0 check (waiting_bytes >= 0),
  connection text check (connection in ('online', 'offline')),
  -- the last number of each type whose order is monotonic: { type: [epoch, sequence] }
  monotonic jsonb not null default '{}',
  foreign key (site, equipment) references equipment,
  check (highest >= through),
  check ((gap_since is null) = (gap_position is null)),
  check ((parked is null) = (parked_at is null))
) with (fillfactor = 50);
create index sources_due on sources (shard, gap_due_at) where gap_due_at is not null;
create index sources_troubled on sources (site) where gap_since is not null or parked is not null;

-- Numbers that were given up: skipped by a person or a declared loss, below a baseline, or open when their epoch ended.
create table skipped_ranges (
  source_key bigint not null references sources,
  incarnation integer not null,
  epoch bigint not null,
  first bigint not null,
  last bigint not null,
  reason text not null check (reason in ('baseline', 'lost', 'resolved', 'epoch_ended', 'succession')),
  position bigint not null,
  primary key (source_key, incarnation, epoch, first),
  check (first <= last)
);

-- Identity. The two unique keys on which "at most once" rests.
create table event_ids (
  source_key bigint not null,
  id_hash bytea not null,
  digest bytea not null,
  digest_version smallint not null,
  position bigint not null,
  primary key (source_key, id_hash)
) partition by hash (source_key);

create table event_numbers (
  source_key bigint not null,
  incarnation integer not null,
  epoch bigint not null,
  sequence bigint not null,
  position bigint not null,
  primary key (source_key, incarnation, epoch, sequence)
) partition by hash (source_key);

do $$
begin
  for part in 0..7 loop
    execute format('create table event_ids_%s partition of event_ids for values with (modulus 8, remainder %s)', part, part);
    execute format('create table event_numbers_%s partition of event_numbers for values with (modulus 8, remainder %s)', part, part);
  end loop;
end $$;

-- The same id with other content: a conflict is judged once per digest, and repeated after that.
create table event_conflicts (
  source_key bigint not null references sources,
  id_hash bytea not null,
  digest bytea not null,
  position bigint not null,
  primary key (source_key, id_hash, digest)
);

-- Early events, durably kept until their number is next. `ahead`: acted already, only the number is still to be taken.
create table waiting (
  source_key bigint not null references sources,
  incarnation integer not null,
  epoch bigint not null,
  sequence bigint not null,
  site plant_id not null,
  position bigint not null,
  id_hash bytea,
  digest bytea not null,
  bytes integer not null,
  ahead boolean not null,
  -- set when the epoch of a waiting event has ended: until then a copy in the new epoch may be judged in its stead
  expires_at timestamptz,
  primary key (source_key, incarnation, epoch, sequence)
);
create index waiting_expiry on waiting (site, expires_at) where expires_at is not null;
create index waiting_ids on waiting (source_key, id_hash);

-- Signals: every delivery, command and tick that was settled, as it was, with its place in the site's one order.
create table signals (
  site plant_id not null,
  position bigint not null check (position > 0),
  generation integer not null,
  shard plant_id not null,
  kind text not null check (kind in ('event', 'command', 'tick', 'diag')),
  source_key bigint,
  source text,
  event_id text,
  type text,
  epoch bigint,
  sequence bigint,
  digest bytea,
  topic text,
  qos smallint,
  retained boolean,
  protocol text,
  content_type text,
  response_topic text,
  correlation_data bytea,
  user_properties jsonb,
  -- bytes as they came; `raw_length` is their true length, and `raw` only their head when the service refused them for their size
  raw bytea,
  raw_length integer,
  received_at timestamptz not null,
  -- commands: who asks, on what, what; ticks: what fell due
  actor text,
  body jsonb,
  recorded_at timestamptz not null,
  primary key (site, position),
  check ((kind in ('event', 'diag')) = (topic is not null)),
  check ((kind in ('command', 'tick')) = (body is not null))
) partition by range (position);

-- Verdicts: one row for each round of each event. Exactly one round is final; the database holds what is still open in deferrals and quarantine.
create table verdicts (
  site plant_id not null,
  position bigint not null,
  generation integer not null,
  shard plant_id not null,
  -- the position at which the event was first settled: all rounds of an event share it
  event_position bigint not null,
  round integer not null check (round >= 1),
  status text not null check (status in ('accepted', 'accepted_with_exception', 'duplicate', 'rejected', 'observed', 'deferred', 'quarantined')),
  final boolean not null,
  code text,
  -- what refused it: the form, the speaker, the order, the state, a guard
  refused_by text check (refused_by in ('form', 'speaker', 'order', 'state', 'guard', 'service')),
  reason text not null,
  next text not null check (next in ('none', 'wait', 'resend', 'correct', 'ask')),
  remedy text,
  -- the event in words, repeated here so that lists need one table
  line text,
  equipment text,
  verdict_topic_equipment text,
  verdict_topic_line text,
  source text,
  event_id text,
  type text,
  epoch bigint,
  sequence bigint,
  batch text,
  step text,
  attempt integer,
  context_from text check (context_from in ('claim', 'lock', 'none')),
  correlation text,
  traceparent text,
  first_position bigint,
  cause_position bigint,
  ahead boolean not null,
  flags text[] not null,
  facts smallint not null check (facts >= 0),
  explanation jsonb,
  event_time text,
  recorded_at timestamptz not null,
  primary key (site, position),
  check (final = (status not in ('deferred', 'quarantined'))),
  check ((status in ('accepted', 'accepted_with_exception')) = (facts > 0)),
  check (status in ('accepted', 'duplicate') or code is not null),
  check (status <> 'duplicate' or first_position is not null),
  check ((round = 1) = (event_position = position)),
  -- a rejection by state or guard says which guard failed and what would have been permitted
  check (
    not (status = 'rejected' and refused_by in ('state', 'guard'))
    or (jsonb_typeof(explanation -> 'permitted') = 'array' and jsonb_path_exists(explanation, '$.guards[*] ? (@.ok == false)'))
  )
) partition by range (position);
create index verdicts_rounds on verdicts (site, event_position);
create index verdicts_by_batch on verdicts (site, batch, position) where batch is not null;
create index verdicts_by_source on verdicts (source, position) where source is not null;
create index verdicts_by_code on verdicts (site, code, position) where code is not null;
create index verdicts_by_equipment on verdicts (site, equipment, position) where equipment is not null;
create index verdicts_by_time on verdicts (site, recorded_at);

create table recipes (
  recipe plant_id not null,
  revision integer not null check (revision >= 1),
  hash bytea not null,
  content jsonb not null,
  registered_at timestamptz not null default clock_timestamp(),
  primary key (recipe, revision)
);

create table state_machines (
  name text not null,
  revision integer not null check (revision >= 1),
  hash bytea not null,
  content jsonb not null,
  registered_at timestamptz not null default clock_timestamp(),
  primary key (name, revision)
);

create table batches (
  site plant_id not null references sites,
  batch plant_id not null,
  shard plant_id not null references shards,
  version bigint not null check (version >= 1),
  line plant_id not null,
  job_order text not null,
  recipe plant_id not null,
  revision integer not null,
  recipe_hash bytea not null,
  batch_machine text not null,
  batch_machine_hash bytea not null,
  step_machine text not null,
  step_machine_hash bytea not null,
  quantity text not null,
  unit text not null,
  -- the parameters in force: { name: { value, unit } }, scaled to the batch's quantity
  parameters jsonb not null,
  -- which equipment plays which role: { role: equipment }
  roles jsonb not null,
  execution text not null,
  disposition text not null,
  opened_on date not null,
  facts bigint not null default 0,
  created_at timestamptz not null,
  started_at timestamptz,
  ended_at timestamptz,
  closed_at timestamptz,
  -- digest of the job order as asked: the same content again is the same batch
  asked bytea not null,
  primary key (site, batch),
  unique (site, job_order),
  foreign key (recipe, revision) references recipes,
  check ((execution in ('complete', 'stopped', 'aborted', 'cancelled', 'closed')) = (ended_at is not null)),
  check ((execution = 'closed') = (closed_at is not null)),
  check (execution not in ('running', 'paused', 'complete') or started_at is not null)
) with (fillfactor = 60);

create table steps (
  site plant_id not null,
  batch plant_id not null,
  step plant_id not null,
  attempt integer not null check (attempt >= 1),
  ordinal integer not null,
  state text not null,
  started_at timestamptz,
  -- the clock on which the start was told: minimum and maximum durations compare one clock only
  start_source bigint,
  start_epoch bigint,
  start_time text,
  ended_at timestamptz,
  primary key (site, batch, step, attempt),
  foreign key (site, batch) references batches,
  check ((state in ('complete', 'skipped', 'stopped', 'aborted', 'superseded')) = (ended_at is not null)),
  check (state not in ('in_progress', 'paused', 'awaiting_verification', 'complete') or started_at is not null),
  check (state not in ('pending', 'ready') or started_at is null)
) with (fillfactor = 60);

-- What was recorded for a step's evidence slots. Never changed: a correction is a new row that supersedes.
create table evidence (
  site plant_id not null,
  batch plant_id not null,
  step plant_id not null,
  attempt integer not null,
  evidence plant_id not null,
  position bigint not null,
  supersedes bigint,
  event_id text,
  source text,
  value text,
  unit text,
  data jsonb not null,
  within boolean,
  low text,
  high text,
  recorded_at timestamptz not null,
  primary key (site, batch, step, attempt, evidence, position),
  foreign key (site, batch, step, attempt) references steps
);

-- The context lock: allocation (a unit belongs to a batch) and engagement (a step attempt works with it in a role).
create table context_locks (
  lock bigint generated always as identity primary key,
  site plant_id not null,
  equipment plant_id not null,
  kind text not null check (kind in ('allocation', 'engagement')),
  batch plant_id not null,
  step plant_id,
  attempt integer,
  role plant_id not null,
  locked text not null check (locked in ('step', 'batch')),
  token bigint not null,
  taken_at timestamptz not null,
  taken_position bigint not null,
  freed_at timestamptz,
  freed_position bigint,
  foreign key (site, equipment) references equipment,
  foreign key (site, batch) references batches,
  unique (site, equipment, token),
  check ((kind = 'engagement') = (step is not null and attempt is not null)),
  check ((freed_at is null) = (freed_position is null)),
  -- an equipment works for one batch at a time
  constraint one_batch_per_equipment exclude using gist (site with =, equipment with =, batch with <>) where (freed_at is null)
);
-- and, where it is locked for a step, for one step attempt at a time
create unique index one_step_per_equipment on context_locks (site, equipment) where freed_at is null and kind = 'engagement' and locked = 'step';
create unique index one_allocation_per_equipment on context_locks (site, equipment) where freed_at is null and kind = 'allocation';
create unique index one_engagement_per_role on context_locks (site, batch, step, attempt, role) where freed_at is null and kind = 'engagement';
create index context_locks_of_batch on context_locks (site, batch);

-- What several deferred events wait for and that does not exist yet (a batch, an equipment): its row is the place where the two sides meet.
create table awaited (
  site plant_id not null references sites,
  awaited text not null,
  version bigint not null default 1,
  primary key (site, awaited)
);

-- Deferred events: settled, with number and id, and open until what they wait for comes or their patience ends.
create table deferrals (
  site plant_id not null,
  position bigint not null,
  shard plant_id not null,
  source_key bigint not null references sources,
  version bigint not null default 1,
  round integer not null,
  code text not null,
  batch text,
  step text,
  moves boolean not null,
  behind bigint,
  bytes integer not null,
  due_at timestamptz not null,
  primary key (site, position)
);
create index deferrals_due on deferrals (shard, due_at);

create table deferral_waits (
  site plant_id not null,
  waits_for text not null,
  position bigint not null,
  primary key (site, waits_for, position),
  foreign key (site, position) references deferrals on delete cascade
);

-- Quarantined events: a person decides.
create table quarantine (
  site plant_id not null,
  position bigint not null,
  version bigint not null default 1,
  round integer not null,
  code text not null,
  source text,
  batch text,
  since timestamptz not null,
  resolved_at timestamptz,
  resolved_position bigint,
  resolution text check (resolution in ('reprocess', 'reject')),
  primary key (site, position),
  check ((resolved_at is null) = (resolution is null))
);
create index quarantine_open on quarantine (site, position) where resolved_at is null;
create index quarantine_of_batch on quarantine (site, batch) where resolved_at is null and batch is not null;

-- Exceptions: what must be disposed of before a batch is closed.
create table exceptions (
  site plant_id not null,
  position bigint not null,
  ordinal smallint not null,
  -- the event or source that it is about; a resolved event takes its exceptions with it
  event_position bigint,
  code text not null,
  reason text not null,
  source text,
  batch text,
  step text,
  attempt integer,
  opened_at timestamptz not null,
  resolved_at timestamptz,
  resolved_position bigint,
  primary key (site, position, ordinal)
);
create index exceptions_open on exceptions (site, batch) where resolved_at is null;
create index exceptions_of_event on exceptions (site, event_position);

-- Facts: what the service decided is true, each with the move it made.
create table facts (
  opened_on date not null,
  site plant_id not null,
  position bigint not null,
  ordinal smallint not null,
  kind text not null,
  batch text,
  -- contiguous per batch: the n-th fact of the batch
  number bigint,
  step text,
  attempt integer,
  equipment text,
  from_state text,
  to_state text,
  state_machine text,
  data jsonb not null,
  recorded_at timestamptz not null,
  primary key (opened_on, site, position, ordinal),
  check ((batch is null) = (number is null))
) partition by range (opened_on);
create unique index facts_of_batch on facts (opened_on, site, batch, number) where batch is not null;
create index facts_by_position on facts (site, position);

-- Outcome streams and what was published on them, numbered without holes.
create table streams (
  site plant_id not null references sites,
  stream text not null,
  shard plant_id not null references shards,
  line plant_id,
  opened_on date not null,
  sequence bigint not null default 0,
  primary key (site, stream)
) with (fillfactor = 60);

create table outcomes (
  opened_on date not null,
  site plant_id not null,
  stream text not null,
  sequence bigint not null check (sequence >= 1),
  position bigint not null,
  ordinal smallint not null,
  generation integer not null,
  shard plant_id not null,
  type text not null,
  event_time text,
  causation text,
  correlation text,
  traceparent text,
  supersedes text,
  data jsonb not null,
  recorded_at timestamptz not null,
  primary key (opened_on, site, stream, sequence)
) partition by range (opened_on);
create index outcomes_by_position on outcomes (site, position, ordinal);

-- What a caller asked under a key and what was answered, in the commit that did it.
create table idempotency_keys (
  site plant_id not null,
  key text not null,
  request text not null,
  body_digest bytea not null,
  answer jsonb not null,
  position bigint not null,
  recorded_at timestamptz not null,
  primary key (site, key)
);

-- Which groups are committed: asked after a lost reply, before anything is decided again.
create table commits (
  site plant_id not null,
  group_id uuid primary key,
  shard plant_id not null,
  term bigint not null,
  first_position bigint not null,
  last_position bigint not null,
  committed_at timestamptz not null
);
create index commits_by_position on commits (site, first_position);
