// The world as values, from the shape in which the database gave it.
import type { BatchState, ContextLock, EquipmentState, EvidenceItem, StepState } from "../authorise/execution-context.ts";
import { decode } from "../decode/decode.ts";
import type { Delivery } from "../receive/delivery.ts";
import { type KnownId, type Ref, type SourceState, WAITING, type WaitingEvent } from "../sequence/source-state.ts";
import type { Definitions } from "./definitions.store.ts";
import { keptOf } from "./in-hand.ts";
import type { EventInHand } from "./signal.ts";
import { numberKey, timeKey, type WorldData, windowKey } from "./world-data.ts";
import { askFor, EVERY_STEP, NotRead, type WorldRequest } from "./world-request.ts";
import type { BatchRow, StoredSignal, WaitingRow, WorldRows } from "./world-rows.ts";

export interface WorldReader {
  readonly site: string;
  readonly shard: string;
  readonly prefix: string;
  readonly maxBytes: number;
}

/** What was asked for and is not there is on the map as null. */
export function assembleWorld(at: WorldReader, request: WorldRequest, rows: WorldRows, definitions: Definitions): WorldData {
  const world = nothingFound(at, request, rows);
  for (const row of rows.sources) {
    world.sources.set(row.source, sourceOf(row));
    const siblings = world.sourcesOfEquipment.get(row.equipment);
    if (siblings !== undefined) world.sourcesOfEquipment.set(row.equipment, [...siblings, row.source]);
  }
  addIds(world, request, rows);
  addNumbers(world, rows);
  addWaiting(world, at, request, rows);
  for (const row of rows.batches) world.batches.set(row.batch, batchOf(row, definitions));
  for (const row of rows.orders) world.jobOrders.set(row.order, row.batch);
  for (const row of rows.equipment) world.equipment.set(row.equipment, equipmentOf(row));
  for (const row of rows.awaited) world.awaited.set(row.awaited, row.version);
  for (const row of rows.streams) world.streams.set(row.stream, { stream: row.stream, line: row.line, sequence: row.sequence, openedOn: row.opened_on });
  addOpenEvents(world, at, rows);
  for (const name of request.recipes) world.recipes.set(name, definitions.recipes.get(name) ?? null);
  for (const name of request.machines) world.machines.set(name, definitions.machines.get(name) ?? null);
  for (const row of rows.batches) for (const name of [row.batch_machine, row.step_machine]) world.machines.set(name, definitions.machines.get(name) ?? null);
  for (const row of rows.stations_at) world.stationsAt.set(timeKey(row.source, row.at), { station: row.station, ended: row.ended });
  for (const row of rows.stations) world.stations.set(row.station, row);
  for (const row of rows.performances) world.performances.set(row.position, row.performed_by);
  for (const row of rows.keys) world.keys.set(row.key, { request: row.request, bodyDigest: row.digest, answer: row.answer, position: row.position });
  return world;
}

function nothingFound(at: WorldReader, request: WorldRequest, rows: WorldRows): WorldData {
  return {
    site: at.site,
    shard: at.shard,
    now: rows.now,
    waitingBytesOfShard: rows.waiting_bytes,
    sources: asked(request.sources),
    ids: new Map(),
    numbers: new Map(),
    conflicts: new Map(),
    waitingAt: new Map(),
    waitingNext: new Map(),
    waitingNumbers: new Map([...request.waitingNumbers].map((source) => [source, []])),
    batches: asked(rows.wanted_batches),
    jobOrders: asked(request.jobOrders),
    equipment: asked(rows.wanted_equipment),
    sourcesOfEquipment: new Map(
      [...request.equipment, ...rows.batches.flatMap(({ batch, roles }) => (request.sourcesOf.has(batch) ? Object.values(roles) : []))].map((equipment) => [
        equipment,
        [],
      ]),
    ),
    awaited: new Map([
      ...[...request.awaited].map((key): [string, number] => [key, 0]),
      ...rows.wanted_batches.map((batch): [string, number] => [`batch:${batch}`, 0]),
    ]),
    streams: asked([...request.streams, ...rows.wanted_batches.map((b) => `batch/${b}`), ...rows.wanted_equipment.map((e) => `equipment/${e}`)]),
    deferrals: asked(request.deferrals),
    waitingFor: new Map(),
    quarantine: asked(request.quarantine),
    exceptions: new Map([...request.exceptions].map((position) => [position, []])),
    recipes: asked(request.recipes),
    machines: asked(request.machines),
    keys: asked(request.keys),
    stationsAt: asked([...request.stationsAt].flatMap(([source, times]) => [...times].map((at) => timeKey(source, at)))),
    stations: new Map(),
    performances: asked(request.performances),
  };
}

type EvidenceRows = NonNullable<BatchRow["steps"][number]["evidence"]>;

const asked = <K, V>(keys: Iterable<K>): Map<K, V | null> => new Map([...keys].map((key): [K, V | null] => [key, null]));

function sourceOf(row: WorldRows["sources"][number]): SourceState {
  return {
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
    ...(row.signing === null ? {} : { signing: row.signing }),
  };
}

function addIds(world: WorldData, request: WorldRequest, rows: WorldRows): void {
  for (const [name, hashes] of request.ids) {
    const source = world.sources.get(name);
    if (source != null) for (const hash of hashes) world.ids.set(`${source.key} ${hash}`, null);
  }
  for (const row of rows.ids) {
    const source = world.sources.get(row.source);
    if (source == null) continue;
    const last = row.elsewhere ?? row.latest;
    const latest = last.position === null ? { position: row.position, round: 1, status: "deferred", code: null } : { ...last, position: last.position };
    const known: KnownId = {
      position: row.elsewhere?.event ?? row.position,
      digest: row.digest,
      digestVersion: row.version,
      latest: { position: latest.position, round: latest.round, status: latest.status, code: latest.code },
      waitsAt: row.waits === null ? null : { epoch: BigInt(row.waits.epoch), sequence: BigInt(row.waits.sequence) },
    };
    world.ids.set(`${source.key} ${row.hash}`, known);
    for (const conflict of row.conflicts) world.conflicts.set(`${source.key} ${row.hash} ${conflict.digest}`, conflict.position);
    if (known.waitsAt !== null) {
      const key = numberKey(source.key, source.incarnation, known.waitsAt.epoch, known.waitsAt.sequence);
      world.waitingAt.set(key, {
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
}

function addNumbers(world: WorldData, rows: WorldRows): void {
  for (const row of rows.numbers) {
    const source = world.sources.get(row.source);
    if (source == null) continue;
    const key = numberKey(source.key, source.incarnation, BigInt(row.epoch), BigInt(row.sequence));
    world.numbers.set(key, row.position);
    world.waitingAt.set(
      key,
      row.waiting === null ? null : waitingOf(source.key, source.incarnation, row.epoch, { ...row.waiting, key: source.key, sequence: row.sequence }),
    );
  }
}

function addWaiting(world: WorldData, at: WorldReader, request: WorldRequest, rows: WorldRows): void {
  for (const [window, { source, after }] of request.waitingNext)
    if (world.sources.get(source) != null) world.waitingNext.set(window, { after, reaches: null, events: [] });
  for (const row of rows.windows) {
    const events = row.events.map((w) => ({ ...waitingOf(w.key, row.incarnation, row.epoch, w), event: eventOf(at, w.signal) }));
    const key = windowKey(row, row.epoch);
    const full = events.length === WAITING.slice;
    world.waitingNext.set(key, { after: request.waitingNext.get(key)?.after ?? -1n, reaches: full ? (events.at(-1)?.sequence ?? null) : null, events });
  }
  for (const row of rows.all_waiting)
    world.waitingNumbers.set(row.source, [...(world.waitingNumbers.get(row.source) ?? []), waitingOf(row.key, row.incarnation, row.epoch, row)]);
}

function addOpenEvents(world: WorldData, at: WorldReader, rows: WorldRows): void {
  const waitingFor = new Map<string, Set<Ref>>();
  for (const row of rows.deferrals) {
    world.deferrals.set(row.position, {
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
    for (const key of row.waits) {
      const waiting = waitingFor.get(key);
      if (waiting === undefined) waitingFor.set(key, new Set([row.position]));
      else waiting.add(row.position);
    }
  }
  for (const [key, positions] of waitingFor) world.waitingFor.set(key, positions);
  for (const row of rows.exceptions) world.exceptions.set(row.position, [...(world.exceptions.get(row.position) ?? []), row]);
  for (const row of rows.quarantine) {
    world.quarantine.set(row.position, {
      position: row.position,
      version: row.version,
      round: row.round,
      code: row.code,
      batch: row.batch,
      judgedIn: row.judged_in,
      event: eventOf(at, row.signal),
    });
  }
}

function waitingOf(sourceKey: string, incarnation: number, epoch: string, row: WaitingRow): WaitingEvent {
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
function eventOf(at: WorldReader, row: StoredSignal): EventInHand {
  const delivery = deliveryOf(row);
  const said = decode(delivery, { prefix: at.prefix, maxBytes: at.maxBytes });
  return keptOf(delivery, said, row.received_at, at.prefix, row.performed_by);
}

function deliveryOf(row: StoredSignal): Delivery {
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

function batchOf(row: BatchRow, definitions: Definitions): BatchState {
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
    signed: row.disposition_stage === null || row.disposition_before === null ? null : { stage: row.disposition_stage, before: row.disposition_before },
    openedOn: row.opened_on,
    facts: row.facts,
    createdAt: utc(row.created_at),
    startedAt: utcOrNull(row.started_at),
    endedAt: utcOrNull(row.ended_at),
    closedAt: utcOrNull(row.closed_at),
    asked: row.asked,
    openDeferrals: row.open_deferrals,
    openQuarantine: row.open_quarantine,
    openExceptions: row.open_exceptions,
    superseded: [],
    steps: row.steps.map(
      (step): StepState =>
        withEvidence(
          row.batch,
          {
            step: step.step,
            attempt: step.attempt,
            ordinal: step.ordinal,
            state: step.state,
            startedAt: utcOrNull(step.started_at),
            startClock:
              step.start_source === null || step.start_epoch === null || step.start_time === null
                ? null
                : { sourceKey: step.start_source, epoch: step.start_epoch, time: step.start_time },
            endedAt: utcOrNull(step.ended_at),
          },
          step.evidence === null
            ? null
            : standing(step.evidence).map(
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
                  ...(item.accepted ? { accepted: true } : {}),
                }),
              ),
        ),
    ),
  };
}

/** A step with its evidence. Null: nothing of the group is about it, so that it is rarely looked at, and its evidence, most of what a batch holds, is read when it is. */
export function withEvidence(batch: string, step: Omit<StepState, "evidence">, evidence: readonly EvidenceItem[] | null): StepState {
  if (evidence !== null) return { ...step, evidence };
  return {
    ...step,
    get evidence(): readonly EvidenceItem[] {
      throw new NotRead(`the evidence of step ${step.step} of batch ${batch}`, (r) => askFor(r.evidence, batch, EVERY_STEP));
    },
  };
}

/** Evidence that no later one has superseded. */
function standing(evidence: EvidenceRows): EvidenceRows {
  const superseded = new Set(evidence.flatMap(({ evidence: name, supersedes }) => (supersedes === null ? [] : [`${name} ${supersedes}`])));
  return superseded.size === 0 ? evidence : evidence.filter(({ evidence: name, position }) => !superseded.has(`${name} ${position}`));
}

function equipmentOf(row: WorldRows["equipment"][number]): EquipmentState {
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

/** A timestamp as Postgres writes it into JSON, in the one form in which the service tells times: UTC with all six decimals. */
const utc = (text: string): string => {
  const [whole = "", fraction = ""] = text.replace(/[+-]00:00$|Z$/, "").split(".");
  return `${whole}.${fraction.padEnd(6, "0")}Z`;
};
const utcOrNull = (text: string | null): string | null => (text === null ? null : utc(text));
