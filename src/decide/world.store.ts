import { sql } from "kysely";
import type { BatchState, ContextLock, EquipmentState, EvidenceItem, StepState } from "../authorise/execution-context.ts";
import type { Db } from "../db/database.ts";
import { decode } from "../decode/decode.ts";
import type { Delivery } from "../receive/delivery.ts";
import type { Recipe } from "../registry/recipe.ts";
import { parseRecipe } from "../registry/recipe.ts";
import type { KnownId, Parking, SourceState, WaitingEvent } from "../sequence/source-state.ts";
import { WAITING } from "../sequence/source-state.ts";
import { inHandOf } from "./in-hand.ts";
import type { EventInHand } from "./signal.ts";
import { type Definition, numberKey, type WorldData, windowKey } from "./world-data.ts";
import type { WorldRequest } from "./world-request.ts";

export interface WorldReader {
  readonly site: string;
  readonly shard: string;
  readonly prefix: string;
  readonly maxBytes: number;
}

/** Immutable definitions by name, kept for the life of the process. */
export interface Definitions {
  readonly recipes: Map<string, Definition & { readonly recipe: Recipe }>;
  readonly machines: Map<string, Definition>;
}

export const noDefinitions = (): Definitions => ({ recipes: new Map(), machines: new Map() });

/**
 * Reads the world that a group is judged in, outside any transaction, in one round trip. Nothing is locked: the commit proves that what was read still holds.
 * What was asked for and is not there is on the map as null.
 */
export async function readWorld(db: Db, at: WorldReader, request: WorldRequest, definitions: Definitions): Promise<WorldData> {
  const sources = [
    ...new Set([
      ...request.sources,
      ...request.ids.keys(),
      ...request.numbers.keys(),
      ...[...request.waitingNext.values()].map((w) => w.source),
      ...request.waitingNumbers,
    ]),
  ];
  const ids = [...request.ids].flatMap(([source, hashes]) => [...hashes].map((hash) => ({ source, hash })));
  const numbers = [...request.numbers].flatMap(([source, keys]) =>
    [...keys].map((key) => ({ source, epoch: key.slice(0, key.indexOf(".")), sequence: key.slice(key.indexOf(".") + 1) })),
  );
  const windows = [...request.waitingNext.values()].map((w) => ({
    source: w.source,
    incarnation: w.incarnation,
    epoch: w.epoch.toString(),
    after: w.after.toString(),
  }));
  const asked = JSON.stringify({
    sources,
    ids,
    numbers,
    windows,
    all_waiting: [...request.waitingNumbers],
    batches: [...request.batches],
    orders: [...request.jobOrders],
    equipment: [...request.equipment],
    awaited: [...request.awaited],
    streams: [...request.streams],
    deferrals: [...request.deferrals].filter((ref) => ref > 0),
    quarantine: [...request.quarantine].filter((ref) => ref > 0),
    keys: [...request.keys],
  });
  const { rows } = await sql<{ world: RawWorld }>`select ${readSql(at.site, at.shard, asked)} as world`.execute(db);
  const raw = rows[0]?.world;
  if (raw === undefined) throw new Error("the world came back empty");
  const recipeNames = [...new Set([...request.recipes, ...raw.batches.map((b) => `${b.recipe}@${b.revision}`)])];
  const machineNames = [...new Set([...request.machines, ...raw.batches.flatMap((b) => [b.batch_machine, b.step_machine])])];
  await readDefinitions(db, recipeNames, machineNames, definitions);
  return assemble(at, request, raw, definitions);
}

/** The statement behind a world: locks nothing. Big integers travel as text. */
const readSql = (site: string, shard: string, asked: string) => sql`(
  with asked as materialized (select ${asked}::jsonb as q),
  near_locks as materialized (
    select c.* from context_locks c, asked where c.site = ${site} and c.freed_at is null and c.equipment in (select jsonb_array_elements_text(q -> 'equipment'))
  ),
  wanted_batches as materialized (
    select jsonb_array_elements_text(q -> 'batches') as batch from asked union select batch from near_locks
    union select b.batch from batches b, asked where b.site = ${site} and b.job_order in (select jsonb_array_elements_text(q -> 'orders'))
  ),
  found_batches as materialized (select b.* from batches b join wanted_batches w on b.site = ${site} and b.batch = w.batch),
  wanted_equipment as materialized (
    select jsonb_array_elements_text(q -> 'equipment') as equipment from asked union select r.value from found_batches b, jsonb_each_text(b.roles) r
  ),
  wanted_sources as materialized (
    select s.* from sources s, asked where s.source in (select jsonb_array_elements_text(q -> 'sources'))
    union select s.* from sources s join wanted_equipment e on s.site = ${site} and s.equipment = e.equipment
  ),
  wanted_deferrals as materialized (
    select d.position from deferrals d, asked where d.site = ${site} and d.position in (select jsonb_array_elements_text(q -> 'deferrals')::bigint)
    union
    select w.position from deferral_waits w where w.site = ${site} and w.waits_for in (
      select 'batch:' || batch from wanted_batches union select 'equipment:' || equipment from wanted_equipment union select 'source:' || source from wanted_sources)
  )
  select jsonb_build_object(
    'now', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'waiting_bytes', (select coalesce(sum(waiting_bytes), 0)::bigint from sources where shard = ${shard}),
    'sources', (select coalesce(jsonb_agg(jsonb_build_object('key', s.source_key::text, 'source', s.source, 'site', s.site, 'line', s.line, 'equipment', s.equipment, 'device', s.device,
        'numbering', s.numbering, 'revoked', s.revoked, 'version', s.version, 'incarnation', s.incarnation, 'epoch', s.epoch::text, 'through', s.through::text, 'highest', s.highest::text,
        'gap_position', s.gap_position, 'gap_due_at', s.gap_due_at, 'parked', s.parked, 'parked_position', s.parked_position, 'reused', s.reused, 'waiting_count', s.waiting_count,
        'waiting_bytes', s.waiting_bytes, 'connection', s.connection, 'monotonic', s.monotonic,
        'skipped', (select coalesce(jsonb_agg(jsonb_build_object('first', k.first::text, 'last', k.last::text)), '[]') from skipped_ranges k
          where k.source_key = s.source_key and k.incarnation = s.incarnation and k.epoch = s.epoch and k.last > s.through),
        'deferred', (select jsonb_build_object('count', count(*), 'bytes', coalesce(sum(d.bytes), 0)) from deferrals d where d.source_key = s.source_key)
      )), '[]') from wanted_sources s),
    'ids', (select coalesce(jsonb_agg(jsonb_build_object('source', a.source, 'hash', a.hash, 'position', i.position, 'digest', encode(i.digest, 'hex'), 'version', i.digest_version,
        'latest', jsonb_build_object('position', l.position, 'round', l.round, 'status', l.status, 'code', l.code),
        'elsewhere', case when l.status = 'duplicate' and l.round > 1 then (select jsonb_build_object('position', w.position, 'round', w.round, 'status', w.status, 'code', w.code)
          from verdicts w where w.site = ${site} and w.event_position = l.first_position order by w.round desc limit 1) end,
        'waits', (select jsonb_build_object('epoch', w.epoch::text, 'sequence', w.sequence::text) from waiting w
          where w.source_key = i.source_key and w.id_hash = i.id_hash and w.position = i.position and not w.ahead and w.incarnation = s.incarnation limit 1),
        'conflicts', (select coalesce(jsonb_agg(jsonb_build_object('digest', encode(c.digest, 'hex'), 'position', c.position)), '[]') from event_conflicts c
          where c.source_key = i.source_key and c.id_hash = i.id_hash)
      )), '[]') from asked, jsonb_to_recordset(q -> 'ids') as a (source text, hash text) join sources s on s.source = a.source
        join event_ids i on i.source_key = s.source_key and i.id_hash = decode(a.hash, 'hex')
        left join lateral (select v.position, v.round, v.status, v.code, v.first_position from verdicts v where v.site = ${site} and v.event_position = i.position order by v.round desc limit 1) l on true),
    'numbers', (select coalesce(jsonb_agg(jsonb_build_object('source', a.source, 'epoch', a.epoch, 'sequence', a.sequence, 'position', n.position,
        'waiting', case when w.source_key is null then null else jsonb_build_object('position', w.position, 'id_hash', encode(w.id_hash, 'hex'), 'digest', encode(w.digest, 'hex'),
          'bytes', w.bytes, 'ahead', w.ahead) end)), '[]')
      from asked, jsonb_to_recordset(q -> 'numbers') as a (source text, epoch text, sequence text) join sources s on s.source = a.source
        left join event_numbers n on n.source_key = s.source_key and n.incarnation = s.incarnation and n.epoch = a.epoch::bigint and n.sequence = a.sequence::bigint
        left join waiting w on w.source_key = s.source_key and w.incarnation = s.incarnation and w.epoch = a.epoch::bigint and w.sequence = a.sequence::bigint),
    'windows', (select coalesce(jsonb_agg(jsonb_build_object('source', a.source, 'incarnation', a.incarnation, 'epoch', a.epoch, 'events', (
        select coalesce(jsonb_agg(jsonb_build_object('key', w.source_key::text, 'sequence', w.sequence::text, 'position', w.position, 'id_hash', encode(w.id_hash, 'hex'),
          'digest', encode(w.digest, 'hex'), 'bytes', w.bytes, 'ahead', w.ahead, 'signal', ${signalJson(sql`g`)}) order by w.sequence), '[]')
        from (select * from waiting w where w.source_key = s.source_key and w.incarnation = a.incarnation and w.epoch = a.epoch::bigint and w.sequence > a.after::bigint
              order by w.sequence limit ${WAITING.slice}) w
          join signals g on g.site = w.site and g.position = w.position))), '[]')
      from asked, jsonb_to_recordset(q -> 'windows') as a (source text, incarnation integer, epoch text, after text) join sources s on s.source = a.source),
    'all_waiting', (select coalesce(jsonb_agg(jsonb_build_object('source', s.source, 'key', w.source_key::text, 'incarnation', w.incarnation, 'epoch', w.epoch::text,
        'sequence', w.sequence::text, 'position', w.position, 'id_hash', encode(w.id_hash, 'hex'), 'digest', encode(w.digest, 'hex'), 'bytes', w.bytes, 'ahead', w.ahead)), '[]')
      from asked, sources s join waiting w on w.source_key = s.source_key and w.incarnation = s.incarnation and w.expires_at is null
      where s.source in (select jsonb_array_elements_text(q -> 'all_waiting'))),
    'batches', (select coalesce(jsonb_agg(to_jsonb(b) || jsonb_build_object('recipe_hash', encode(b.recipe_hash, 'hex'), 'batch_machine_hash', encode(b.batch_machine_hash, 'hex'),
        'step_machine_hash', encode(b.step_machine_hash, 'hex'), 'asked', encode(b.asked, 'hex'),
        'steps', (select jsonb_agg(to_jsonb(t) || jsonb_build_object('start_epoch', t.start_epoch::text, 'start_source', t.start_source::text, 'evidence',
            (select coalesce(jsonb_agg(to_jsonb(e) order by e.position), '[]') from evidence e
              where e.site = t.site and e.batch = t.batch and e.step = t.step and e.attempt = t.attempt
                and not exists (select from evidence n where n.site = e.site and n.batch = e.batch and n.step = e.step and n.attempt = e.attempt and n.evidence = e.evidence and n.supersedes = e.position)))
            order by t.ordinal)
          from (select distinct on (t.step) t.* from steps t where t.site = b.site and t.batch = b.batch order by t.step, t.attempt desc) t),
        'open_deferrals', (select count(*) from deferrals d where d.site = b.site and d.batch = b.batch),
        'open_quarantine', (select count(*) from quarantine z where z.site = b.site and z.batch = b.batch and z.resolved_at is null),
        'open_exceptions', (select count(*) from exceptions x where x.site = b.site and x.batch = b.batch and x.resolved_at is null))), '[]') from found_batches b),
    'equipment', (select coalesce(jsonb_agg(to_jsonb(e) || jsonb_build_object('state_epoch', e.state_epoch::text, 'state_sequence', e.state_sequence::text,
        'locks', (select coalesce(jsonb_agg(to_jsonb(c) order by c.token), '[]') from context_locks c where c.site = e.site and c.equipment = e.equipment and c.freed_at is null))), '[]')
      from equipment e join wanted_equipment w on e.site = ${site} and e.equipment = w.equipment),
    'awaited', (select coalesce(jsonb_agg(jsonb_build_object('awaited', w.awaited, 'version', w.version)), '[]') from asked, awaited w
      where w.site = ${site} and w.awaited in (select jsonb_array_elements_text(q -> 'awaited') union select 'batch:' || batch from wanted_batches)),
    'wanted_batches', (select coalesce(jsonb_agg(batch), '[]') from wanted_batches),
    'wanted_equipment', (select coalesce(jsonb_agg(equipment), '[]') from wanted_equipment),
    'streams', (select coalesce(jsonb_agg(jsonb_build_object('stream', t.stream, 'line', t.line, 'sequence', t.sequence, 'opened_on', t.opened_on)), '[]') from asked, streams t
      where t.site = ${site} and t.stream in (
        select jsonb_array_elements_text(q -> 'streams') union select 'batch/' || batch from wanted_batches union select 'equipment/' || equipment from wanted_equipment)),
    'deferrals', (select coalesce(jsonb_agg(jsonb_build_object('position', d.position, 'version', d.version, 'round', d.round, 'source_key', d.source_key::text, 'code', d.code, 'batch', d.batch,
        'step', d.step, 'moves', d.moves, 'behind', d.behind, 'signal', ${signalJson(sql`g`)},
        'waits', (select coalesce(jsonb_agg(x.waits_for), '[]') from deferral_waits x where x.site = d.site and x.position = d.position))), '[]')
      from deferrals d join wanted_deferrals w on d.site = ${site} and d.position = w.position join signals g on g.site = d.site and g.position = d.position),
    'quarantine', (select coalesce(jsonb_agg(jsonb_build_object('position', z.position, 'version', z.version, 'round', z.round, 'code', z.code, 'batch', z.batch,
        'signal', ${signalJson(sql`g`)})), '[]')
      from asked, quarantine z join signals g on g.site = z.site and g.position = z.position
      where z.site = ${site} and z.resolved_at is null and z.position in (select jsonb_array_elements_text(q -> 'quarantine')::bigint)),
    'orders', (select coalesce(jsonb_agg(jsonb_build_object('order', b.job_order, 'batch', b.batch)), '[]') from asked, batches b
      where b.site = ${site} and b.job_order in (select jsonb_array_elements_text(q -> 'orders'))),
    'keys', (select coalesce(jsonb_agg(jsonb_build_object('key', k.key, 'request', k.request, 'digest', encode(k.body_digest, 'hex'), 'answer', k.answer, 'position', k.position)), '[]')
      from asked, idempotency_keys k where k.site = ${site} and k.key in (select jsonb_array_elements_text(q -> 'keys')))
  ))`;

/** A stored delivery, enough to decode it again: the record holds each byte once. */
const signalJson = (
  g: ReturnType<typeof sql>,
) => sql`jsonb_build_object('topic', ${g}.topic, 'raw', encode(${g}.raw, 'base64'), 'raw_length', ${g}.raw_length, 'qos', ${g}.qos,
  'retained', ${g}.retained, 'protocol', ${g}.protocol, 'content_type', ${g}.content_type, 'response_topic', ${g}.response_topic, 'user_properties', ${g}.user_properties,
  'received_at', to_char(${g}.received_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))`;

async function readDefinitions(db: Db, recipes: readonly string[], machines: readonly string[], known: Definitions): Promise<void> {
  const newRecipes = recipes.filter((name) => !known.recipes.has(name));
  const newMachines = machines.filter((name) => !known.machines.has(name));
  if (newRecipes.length > 0) {
    const { rows } = await sql<{ name: string; hash: string; content: unknown }>`
      select recipe || '@' || revision as name, encode(hash, 'hex') as hash, content from recipes where recipe || '@' || revision = any(${newRecipes}::text[])`.execute(
      db,
    );
    for (const row of rows) known.recipes.set(row.name, { hash: row.hash, content: row.content, recipe: parseRecipe(row.content) });
  }
  if (newMachines.length > 0) {
    const { rows } = await sql<{ name: string; hash: string; content: unknown }>`
      select name || '@' || revision as name, encode(hash, 'hex') as hash, content from state_machines where name || '@' || revision = any(${newMachines}::text[])`.execute(
      db,
    );
    for (const row of rows) known.machines.set(row.name, { hash: row.hash, content: row.content });
  }
}

interface RawSignal {
  readonly topic: string;
  readonly raw: string | null;
  readonly raw_length: number;
  readonly qos: 0 | 1 | 2;
  readonly retained: boolean;
  readonly protocol: "5" | "3.1.1";
  readonly content_type: string | null;
  readonly response_topic: string | null;
  readonly user_properties: [string, string][] | null;
  readonly received_at: string;
}

interface RawWaiting {
  readonly key: string;
  readonly sequence: string;
  readonly position: number;
  readonly id_hash: string | null;
  readonly digest: string;
  readonly bytes: number;
  readonly ahead: boolean;
}

interface RawBatch {
  readonly batch: string;
  readonly version: number;
  readonly line: string;
  readonly job_order: string;
  readonly recipe: string;
  readonly revision: number;
  readonly recipe_hash: string;
  readonly batch_machine: string;
  readonly batch_machine_hash: string;
  readonly step_machine: string;
  readonly step_machine_hash: string;
  readonly quantity: string;
  readonly unit: string;
  readonly parameters: BatchState["parameters"];
  readonly roles: Record<string, string>;
  readonly execution: string;
  readonly disposition: string;
  readonly opened_on: string;
  readonly facts: number;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly closed_at: string | null;
  readonly asked: string;
  readonly open_deferrals: number;
  readonly open_quarantine: number;
  readonly open_exceptions: number;
  readonly steps: {
    readonly step: string;
    readonly attempt: number;
    readonly ordinal: number;
    readonly state: string;
    readonly started_at: string | null;
    readonly start_source: string | null;
    readonly start_epoch: string | null;
    readonly start_time: string | null;
    readonly ended_at: string | null;
    readonly evidence: {
      readonly evidence: string;
      readonly position: number;
      readonly supersedes: number | null;
      readonly event_id: string | null;
      readonly source: string | null;
      readonly value: string | null;
      readonly unit: string | null;
      readonly data: Record<string, unknown>;
      readonly within: boolean | null;
      readonly low: string | null;
      readonly high: string | null;
    }[];
  }[];
}

interface RawWorld {
  readonly now: string;
  readonly waiting_bytes: number;
  readonly sources: {
    readonly key: string;
    readonly source: string;
    readonly site: string;
    readonly line: string;
    readonly equipment: string;
    readonly device: string | null;
    readonly numbering: boolean;
    readonly revoked: boolean;
    readonly version: number;
    readonly incarnation: number;
    readonly epoch: string | null;
    readonly through: string;
    readonly highest: string;
    readonly gap_position: number | null;
    readonly gap_due_at: string | null;
    readonly parked: Parking | null;
    readonly parked_position: number | null;
    readonly reused: number;
    readonly waiting_count: number;
    readonly waiting_bytes: number;
    readonly connection: "online" | "offline" | null;
    readonly monotonic: Record<string, [string, string]>;
    readonly skipped: { readonly first: string; readonly last: string }[];
    readonly deferred: { readonly count: number; readonly bytes: number };
  }[];
  readonly ids: {
    readonly source: string;
    readonly hash: string;
    readonly position: number;
    readonly digest: string;
    readonly version: number;
    readonly latest: { readonly position: number | null; readonly round: number; readonly status: string; readonly code: string | null };
    readonly elsewhere: { readonly position: number; readonly round: number; readonly status: string; readonly code: string | null } | null;
    readonly waits: { readonly epoch: string; readonly sequence: string } | null;
    readonly conflicts: { readonly digest: string; readonly position: number }[];
  }[];
  readonly numbers: {
    readonly source: string;
    readonly epoch: string;
    readonly sequence: string;
    readonly position: number | null;
    readonly waiting: Omit<RawWaiting, "key" | "sequence"> | null;
  }[];
  readonly windows: {
    readonly source: string;
    readonly incarnation: number;
    readonly epoch: string;
    readonly events: (RawWaiting & { readonly signal: RawSignal })[];
  }[];
  readonly all_waiting: (RawWaiting & { readonly source: string; readonly incarnation: number; readonly epoch: string })[];
  readonly batches: RawBatch[];
  readonly equipment: {
    readonly equipment: string;
    readonly line: string;
    readonly class: string;
    readonly version: number;
    readonly token: number;
    readonly state: string | null;
    readonly state_epoch: string | null;
    readonly state_sequence: string | null;
    readonly locks: {
      readonly equipment: string;
      readonly kind: "allocation" | "engagement";
      readonly batch: string;
      readonly step: string | null;
      readonly attempt: number | null;
      readonly role: string;
      readonly locked: "step" | "batch";
      readonly token: number;
      readonly taken_position: number;
    }[];
  }[];
  readonly awaited: { readonly awaited: string; readonly version: number }[];
  readonly wanted_batches: string[];
  readonly wanted_equipment: string[];
  readonly streams: { readonly stream: string; readonly line: string | null; readonly sequence: number; readonly opened_on: string }[];
  readonly deferrals: {
    readonly position: number;
    readonly version: number;
    readonly round: number;
    readonly source_key: string;
    readonly code: string;
    readonly batch: string | null;
    readonly step: string | null;
    readonly moves: boolean;
    readonly behind: number | null;
    readonly signal: RawSignal;
    readonly waits: string[];
  }[];
  readonly quarantine: {
    readonly position: number;
    readonly version: number;
    readonly round: number;
    readonly code: string;
    readonly batch: string | null;
    readonly signal: RawSignal;
  }[];
  readonly orders: { readonly order: string; readonly batch: string }[];
  readonly keys: { readonly key: string; readonly request: string; readonly digest: string; readonly answer: unknown; readonly position: number }[];
}

function assemble(at: WorldReader, request: WorldRequest, raw: RawWorld, definitions: Definitions): WorldData {
  const data: WorldData = {
    site: at.site,
    shard: at.shard,
    now: raw.now,
    waitingBytesOfShard: raw.waiting_bytes,
    sources: asked(request.sources),
    ids: new Map(),
    numbers: new Map(),
    conflicts: new Map(),
    waitingAt: new Map(),
    waitingNext: new Map(),
    waitingNumbers: new Map([...request.waitingNumbers].map((source) => [source, []])),
    batches: asked(raw.wanted_batches),
    jobOrders: asked(request.jobOrders),
    equipment: asked(raw.wanted_equipment),
    sourcesOfEquipment: new Map(raw.wanted_equipment.map((equipment) => [equipment, []])),
    awaited: new Map([
      ...[...request.awaited].map((key): [string, number] => [key, 0]),
      ...raw.wanted_batches.map((batch): [string, number] => [`batch:${batch}`, 0]),
    ]),
    streams: asked([...request.streams, ...raw.wanted_batches.map((b) => `batch/${b}`), ...raw.wanted_equipment.map((e) => `equipment/${e}`)]),
    deferrals: asked(request.deferrals),
    waitingFor: new Map(),
    quarantine: asked(request.quarantine),
    recipes: asked(request.recipes),
    machines: asked(request.machines),
    keys: asked(request.keys),
  };
  const bySource = new Map<string, SourceState>();
  for (const row of raw.sources) {
    const source: SourceState = {
      key: row.key,
      source: row.source,
      site: row.site,
      line: row.line,
      equipment: row.equipment,
      device: row.device,
      numbering: row.numbering,
      revoked: row.revoked,
      version: row.version,
      incarnation: row.incarnation,
      epoch: row.epoch === null ? null : BigInt(row.epoch),
      through: BigInt(row.through),
      highest: BigInt(row.highest),
      gap: row.gap_position === null ? null : { position: row.gap_position, timer: row.gap_due_at === null ? "halted" : "kept" },
      gapDueAt: row.gap_due_at,
      skippedAhead: row.skipped.map((s) => ({ first: BigInt(s.first), last: BigInt(s.last) })),
      parked: row.parked === null ? null : { why: row.parked, position: row.parked_position ?? 0 },
      reused: row.reused,
      waitingCount: row.waiting_count,
      waitingBytes: row.waiting_bytes,
      deferredCount: row.deferred.count,
      deferredBytes: row.deferred.bytes,
      connection: row.connection,
      monotonic: row.monotonic,
    };
    bySource.set(row.source, source);
    data.sources.set(row.source, source);
    const siblings = data.sourcesOfEquipment.get(row.equipment);
    if (siblings !== undefined) data.sourcesOfEquipment.set(row.equipment, [...siblings, row.source]);
  }
  for (const [source, hashes] of request.ids) {
    const known = bySource.get(source);
    if (known !== undefined) for (const hash of hashes) data.ids.set(`${known.key} ${hash}`, null);
  }
  for (const row of raw.ids) {
    const source = bySource.get(row.source);
    if (source === undefined) continue;
    const last = row.elsewhere ?? row.latest;
    const latest = last.position === null ? { position: row.position, round: 1, status: "deferred", code: null } : { ...last, position: last.position };
    const known: KnownId = {
      position: row.position,
      digest: row.digest,
      digestVersion: row.version,
      latest: { position: latest.position, round: latest.round, status: latest.status, code: latest.code },
      waitsAt: row.waits === null ? null : { epoch: BigInt(row.waits.epoch), sequence: BigInt(row.waits.sequence) },
    };
    data.ids.set(`${source.key} ${row.hash}`, known);
    for (const conflict of row.conflicts) data.conflicts.set(`${source.key} ${row.hash} ${conflict.digest}`, conflict.position);
    if (known.waitsAt !== null) {
      const key = numberKey(source.key, source.incarnation, known.waitsAt.epoch, known.waitsAt.sequence);
      data.waitingAt.set(key, {
        sourceKey: source.key,
        incarnation: source.incarnation,
        ...known.waitsAt,
        position: row.position,
        idHash: row.hash,
        digest: row.digest,
        bytes: 0,
        ahead: false,
      });
    }
  }
  for (const row of raw.numbers) {
    const source = bySource.get(row.source);
    if (source === undefined) continue;
    const key = numberKey(source.key, source.incarnation, BigInt(row.epoch), BigInt(row.sequence));
    data.numbers.set(key, row.position);
    data.waitingAt.set(
      key,
      row.waiting === null ? null : waitingOf(source.key, source.incarnation, row.epoch, { ...row.waiting, key: source.key, sequence: row.sequence }),
    );
  }
  for (const [window, { source, after }] of request.waitingNext) if (bySource.has(source)) data.waitingNext.set(window, { after, reaches: null, events: [] });
  for (const row of raw.windows) {
    const events = row.events.map((w) => ({ ...waitingOf(w.key, row.incarnation, row.epoch, w), event: eventOf(at, w.signal) }));
    const key = windowKey(row, row.epoch);
    const full = events.length === WAITING.slice;
    data.waitingNext.set(key, { after: request.waitingNext.get(key)?.after ?? -1n, reaches: full ? (events.at(-1)?.sequence ?? null) : null, events });
  }
  for (const row of raw.all_waiting)
    data.waitingNumbers.set(row.source, [...(data.waitingNumbers.get(row.source) ?? []), waitingOf(row.key, row.incarnation, row.epoch, row)]);
  for (const row of raw.batches) data.batches.set(row.batch, batchOf(row, definitions));
  for (const row of raw.orders) data.jobOrders.set(row.order, row.batch);
  for (const row of raw.equipment) data.equipment.set(row.equipment, equipmentOf(row));
  for (const row of raw.awaited) data.awaited.set(row.awaited, row.version);
  for (const row of raw.streams) data.streams.set(row.stream, { stream: row.stream, line: row.line, sequence: row.sequence, openedOn: row.opened_on });
  for (const row of raw.deferrals) {
    data.deferrals.set(row.position, {
      position: row.position,
      version: row.version,
      round: row.round,
      sourceKey: row.source_key,
      code: row.code,
      batch: row.batch,
      step: row.step,
      moves: row.moves,
      behind: row.behind,
      waits: row.waits,
      event: eventOf(at, row.signal),
    });
    for (const key of row.waits) data.waitingFor.set(key, new Set([...(data.waitingFor.get(key) ?? []), row.position]));
  }
  for (const row of raw.quarantine) {
    data.quarantine.set(row.position, {
      position: row.position,
      version: row.version,
      round: row.round,
      code: row.code,
      batch: row.batch,
      event: eventOf(at, row.signal),
    });
  }
  for (const name of request.recipes) data.recipes.set(name, definitions.recipes.get(name) ?? null);
  for (const name of request.machines) data.machines.set(name, definitions.machines.get(name) ?? null);
  for (const row of raw.batches) for (const name of [row.batch_machine, row.step_machine]) data.machines.set(name, definitions.machines.get(name) ?? null);
  for (const row of raw.keys) data.keys.set(row.key, { request: row.request, bodyDigest: row.digest, answer: row.answer, position: row.position });
  return data;
}

const asked = <K, V>(keys: Iterable<K>): Map<K, V | null> => new Map([...keys].map((key): [K, V | null] => [key, null]));

function waitingOf(sourceKey: string, incarnation: number, epoch: string, row: RawWaiting): WaitingEvent {
  return {
    sourceKey,
    incarnation,
    epoch: BigInt(epoch),
    sequence: BigInt(row.sequence),
    position: row.position,
    idHash: row.id_hash,
    digest: row.digest,
    bytes: row.bytes,
    ahead: row.ahead,
  };
}

/** A stored delivery is decoded again, by the same code that decoded it first. */
function eventOf(at: WorldReader, row: RawSignal): EventInHand {
  const delivery = deliveryOf(row);
  const said = decode(delivery, { prefix: at.prefix, maxBytes: at.maxBytes });
  return inHandOf(delivery, said, row.received_at, at.prefix);
}

function deliveryOf(row: RawSignal): Delivery {
  return {
    topic: row.topic,
    payload: Buffer.from(row.raw ?? "", "base64"),
    fullLength: row.raw_length,
    qos: row.qos,
    retained: row.retained,
    dup: false,
    protocol: row.protocol,
    contentType: row.content_type,
    responseTopic: row.response_topic,
    correlationData: null,
    userProperties: row.user_properties ?? [],
  };
}

function batchOf(row: RawBatch, definitions: Definitions): BatchState {
  const recipe = definitions.recipes.get(`${row.recipe}@${row.revision}`);
  if (recipe === undefined) throw new Error(`recipe ${row.recipe}@${row.revision} of batch ${row.batch} is not registered`);
  return {
    batch: row.batch,
    version: row.version,
    line: row.line,
    jobOrder: row.job_order,
    recipe: recipe.recipe,
    recipeHash: row.recipe_hash,
    batchMachine: row.batch_machine,
    batchMachineHash: row.batch_machine_hash,
    stepMachine: row.step_machine,
    stepMachineHash: row.step_machine_hash,
    quantity: row.quantity,
    unit: row.unit,
    parameters: row.parameters,
    roles: row.roles,
    execution: row.execution,
    disposition: row.disposition,
    openedOn: row.opened_on,
    facts: row.facts,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    closedAt: row.closed_at,
    asked: row.asked,
    openDeferrals: row.open_deferrals,
    openQuarantine: row.open_quarantine,
    openExceptions: row.open_exceptions,
    steps: row.steps.map(
      (step): StepState => ({
        step: step.step,
        attempt: step.attempt,
        ordinal: step.ordinal,
        state: step.state,
        startedAt: step.started_at,
        startClock:
          step.start_source === null || step.start_epoch === null || step.start_time === null
            ? null
            : { sourceKey: step.start_source, epoch: step.start_epoch, time: step.start_time },
        endedAt: step.ended_at,
        evidence: step.evidence.map(
          (item): EvidenceItem => ({
            evidence: item.evidence,
            position: item.position,
            supersedes: item.supersedes,
            eventId: item.event_id,
            source: item.source,
            value: item.value,
            unit: item.unit,
            data: item.data,
            within: item.within,
            low: item.low,
            high: item.high,
          }),
        ),
      }),
    ),
  };
}

function equipmentOf(row: RawWorld["equipment"][number]): EquipmentState {
  return {
    equipment: row.equipment,
    line: row.line,
    class: row.class,
    version: row.version,
    token: row.token,
    state: row.state,
    stateEpoch: row.state_epoch === null ? null : BigInt(row.state_epoch),
    stateSequence: row.state_sequence === null ? null : BigInt(row.state_sequence),
    locks: row.locks.map(
      (lock): ContextLock => ({
        equipment: lock.equipment,
        kind: lock.kind,
        batch: lock.batch,
        step: lock.step,
        attempt: lock.attempt,
        role: lock.role,
        locked: lock.locked,
        token: lock.token,
        takenAt: lock.taken_position,
      }),
    ),
  };
}
