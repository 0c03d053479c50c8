import { hash } from "node:crypto";
import type { Fact } from "../decide/facts.ts";
import type { FactRow, Rows, SignalRow } from "../decide/rows.ts";
import type { Settlement } from "../decide/settle.ts";
import type { Verdict } from "../decide/verdict.ts";
import type { Assumed, World } from "../decide/world.ts";
import { DIGEST_VERSION } from "../decode/digest.ts";
import type { Delivery } from "../receive/delivery.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { WAITING } from "../sequence/source-state.ts";
import { entriesOf } from "./entries.ts";

type Json = Readonly<Record<string, unknown>>;

/** One settlement as the database takes it: what it assumed and what it writes in one document, and beside it the bytes of its deliveries and the audit entry of each position. */
export interface SettlementDocument {
  readonly positions: number;
  /** The document before it becomes text: for who writes it where no text is needed. What Postgres cannot hold in text still stands in it. */
  readonly written: Json;
  /** Made when it is asked for, as the entries are. */
  readonly document: string;
  readonly raws: readonly (Buffer | null)[];
  readonly correlations: readonly (Buffer | null)[];
  readonly entries: readonly string[];
}

/** Of a delivery that was refused for its size only this much is kept. */
export const HEAD_BYTES = 1024;

export function documentOf(settlement: Settlement, maxBytes: number): SettlementDocument {
  const { world, rows, positions } = settlement;
  const raws: (Buffer | null)[] = [];
  const correlations: (Buffer | null)[] = [];
  const lists: Record<string, readonly Json[]> = {
    ...assumptions(world),
    signals: rows.signals.map((row) => signalOf(row, raws, correlations, maxBytes)),
    ids: rows.ids.map((r) => ({ source_key: r.sourceKey, id_hash: r.idHash, digest: r.digest, digest_version: DIGEST_VERSION, ref: r.ref })),
    numbers: rows.numbers.map((r) => ({ source_key: r.sourceKey, incarnation: r.incarnation, epoch: text(r.epoch), sequence: text(r.sequence), ref: r.ref })),
    conflicts: rows.conflicts.map((r) => ({ source_key: r.sourceKey, id_hash: r.idHash, digest: r.digest, ref: r.ref })),
    skipped: rows.skipped.map((r) => ({
      source_key: r.sourceKey,
      incarnation: r.incarnation,
      epoch: text(r.epoch),
      first: text(r.first),
      last: text(r.last),
      reason: r.reason,
      ref: r.ref,
    })),
    waiting_expires: rows.waitingExpires.map((r) => ({
      source_key: r.sourceKey,
      incarnation: r.incarnation,
      epoch: text(r.epoch),
      through: text(r.through),
      ms: WAITING.gapLimitMs,
    })),
    signed: signedOf(world),
    amended: factsOf(rows, "batch.amended").map(({ batch, recipe: { recipe, revision }, recipeHash, from }) => ({
      batch,
      recipe,
      revision,
      recipe_hash: recipeHash,
      from,
    })),
    steps: stepsOf(world.assumed, world),
    evidence: factsOf(rows, "evidence.recorded").map(evidenceOf),
    ...locksOf(rows),
    ...openEvents(world, rows),
    exceptions: rows.exceptions.map((r) => ({
      ref: r.ref,
      ordinal: r.ordinal,
      event_ref: r.event,
      code: r.code,
      reason: r.reason,
      source: r.source,
      batch: r.batch,
      step: r.step,
      attempt: r.attempt,
    })),
    exceptions_disposed: rows.exceptionsDisposed.map((r) => ({
      position: r.position,
      ordinal: r.ordinal,
      ref: r.ref,
      disposition: r.disposition,
      linked: r.linked,
    })),
    exceptions_resolved: rows.exceptionsResolved.map((r) => ({ event_position: r.event, ref: r.ref })),
    facts: rows.facts.map(factOf),
    verdicts: rows.verdicts.map((v) => ({
      ref: v.ref,
      event_ref: v.event,
      round: v.round,
      status: v.status,
      final: v.status !== "deferred" && v.status !== "quarantined",
      code: v.code,
      refused_by: v.refusedBy,
      reason: v.reason,
      next: v.next,
      remedy: v.remedy,
      line: v.line,
      equipment: v.equipment,
      topic_line: v.branch.line,
      topic_equipment: v.branch.equipment,
      source: v.source,
      event_id: v.eventId,
      type: v.type,
      epoch: text(v.epoch),
      sequence: text(v.sequence),
      batch: v.batch,
      step: v.step,
      attempt: v.attempt,
      context_from: v.contextFrom,
      correlation: v.correlation,
      traceparent: v.traceparent,
      first_ref: v.first,
      cause_ref: v.cause,
      ahead: v.ahead,
      flags: v.flags,
      facts: v.facts,
      explanation: v.explanation,
      event_time: v.eventTime,
    })),
    outcomes: rows.outcomes.map((o) => ({
      opened_on: o.openedOn,
      stream: o.stream,
      sequence: o.sequence,
      ref: o.ref,
      ordinal: o.ordinal,
      type: o.type,
      event_time: o.eventTime,
      causation: o.causation,
      correlation: o.correlation,
      traceparent: o.traceparent,
      data: o.data,
    })),
    performances: rows.verdicts.flatMap(performanceOf),
    answers: rows.answers.map((a) => ({ key: a.key, request: a.request, body_digest: a.bodyDigest, answer: a.answer, ref: a.ref })),
  };
  const { bodies, batches } = entriesOf(settlement, lists);
  const filled = Object.fromEntries(Object.entries({ ...lists, entry_batches: batches }).filter(([, list]) => list.length > 0));
  const written = { ...filled, ...(rows.interruptionMs > 0 ? { interruption_ms: rows.interruptionMs } : {}) };
  return {
    positions,
    written,
    get document() {
      return storable(written);
    },
    raws,
    correlations,
    get entries() {
      return bodies.map(storable);
    },
  };
}

/** What nobody performed has no row: an entry says as much as it did before there were sessions. */
function performanceOf({ ref, event, performedBy }: Verdict): readonly Json[] {
  if (performedBy === null) return [];
  const { person, station, session, at, clock } = performedBy;
  return [{ ref, event_ref: event, person, station, session, performed_at: at, clock }];
}

/** Big integers travel as text. */
const text = (integer: bigint | null): string | null => integer?.toString() ?? null;

/** How JSON spells what Postgres cannot hold in text: NUL and lone surrogates. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/** A document as JSON. What Postgres cannot hold in text is shown as the replacement character, the raw bytes stay as they came; asking each value costs more than the rest, so it is done where it must. */
export function storable(document: Json): string {
  const asItIs = JSON.stringify(document);
  // a search for two characters is much faster than one for a pattern, and mostly finds nothing
  return asItIs.includes("\\u") && UNSTORABLE.test(asItIs)
    ? JSON.stringify(document, (_, value: unknown) => (typeof value === "string" ? wellFormed(value) : value))
    : asItIs;
}

export const wellFormed = (text: string): string => (text.isWellFormed() && !text.includes("\0") ? text : text.toWellFormed().replaceAll("\0", "\uFFFD"));

function assumptions(world: World): Record<string, readonly Json[]> {
  const { assumed } = world;
  const sources = found(world.read.sources, namesIn(assumed, "sources", assumed.sources.keys())).map(([name, before]) => {
    const now = assumed.sources.get(name);
    const changed = now !== undefined || assumed.raised("sources").has(name);
    return { key: before.key, version: before.version, changed, ...(changed ? sourceOf(now ?? before) : {}) };
  });
  const batches = namesIn(assumed, "batches", assumed.batches.keys()).map((name) => {
    const before = world.read.batches.get(name);
    const now = assumed.batches.get(name);
    const changed = now !== undefined || assumed.raised("batches").has(name);
    const batch = now ?? before;
    return {
      batch: name,
      version: before?.version ?? 0,
      changed,
      ...(changed && batch != null
        ? {
            line: batch.line,
            job_order: batch.jobOrder,
            recipe: batch.recipe.recipe,
            revision: batch.recipe.revision,
            recipe_hash: batch.recipeHash,
            batch_machine: batch.batchMachine,
            batch_machine_hash: batch.batchMachineHash,
            step_machine: batch.stepMachine,
            step_machine_hash: batch.stepMachineHash,
            quantity: batch.quantity,
            unit: batch.unit,
            parameters: batch.parameters,
            roles: batch.roles,
            execution: batch.execution,
            disposition: batch.disposition,
            opened_on: batch.openedOn,
            facts: batch.facts,
            created_at: batch.createdAt,
            started_at: batch.startedAt,
            ended_at: batch.endedAt,
            closed_at: batch.closedAt,
            asked: batch.asked,
          }
        : {}),
    };
  });
  const equipment = found(world.read.equipment, namesIn(assumed, "equipment", assumed.equipment.keys())).map(([name, before]) => {
    const now = assumed.equipment.get(name);
    const changed = now !== undefined || assumed.raised("equipment").has(name);
    const { token, state, stateEpoch, stateSequence } = now ?? before;
    return { equipment: name, version: before.version, changed, token, state, state_epoch: text(stateEpoch), state_sequence: text(stateSequence) };
  });
  // an absent batch matters to the commit only when somebody defers on it or creates it; a mere look at it proves nothing and locks nothing
  const awaitedNames = new Set([
    ...assumed.raised("awaited"),
    ...[...assumed.batches.keys()].filter((b) => world.read.batches.get(b) === null).map((b) => `batch:${b}`),
  ]);
  const awaited = [...awaitedNames].map((key) => ({ awaited: String(key), version: world.read.awaited.get(String(key)) ?? 0 }));
  const streams = [...assumed.streams.values()].map((now) => ({
    stream: now.stream,
    expected: world.read.streams.get(now.stream)?.sequence ?? 0,
    sequence: now.sequence,
    opened_on: now.openedOn,
    line: now.line,
  }));
  const stations = found(world.read.stations, [...assumed.looked("stations")].map(String).sort()).map(([station, { version }]) => {
    const now = assumed.stations.get(station)?.open ?? null;
    return { station, version, changed: now !== null, session: now?.session ?? null, seen_at: now?.seenAt ?? null };
  });
  const versionOf = ([position, { version }]: readonly [Ref, { readonly version: number }]) => ({ position, version });
  const deferrals = found(world.read.deferrals, [...assumed.looked("deferrals")].map(Number)).map(versionOf);
  const quarantine = found(world.read.quarantine, [...assumed.looked("quarantine")].map(Number)).map(versionOf);
  return { stations, sources, batches, equipment, awaited, streams, judged_deferrals: deferrals, judged_quarantine: quarantine };
}

/** What was looked at and what was changed; whose version is raised was looked at. */
function namesIn(assumed: Assumed, kind: "sources" | "batches" | "equipment", changed: Iterable<string>): string[] {
  return [...new Set([...[...assumed.looked(kind)].map(String), ...changed])].sort();
}

/** The rows among those asked for that were there when the world was read. */
const found = <K, V>(read: ReadonlyMap<K, V | null>, asked: readonly K[]): (readonly [K, V])[] =>
  asked.flatMap((key) => {
    const row = read.get(key);
    return row == null ? [] : [[key, row] as const];
  });

function sourceOf(now: SourceState): Json {
  const gap =
    now.gap === null ? "none" : now.gap.position < 0 ? "open" : now.gap.timer === "restarted" ? "progress" : now.gap.timer === "halted" ? "halted" : "keep";
  return {
    incarnation: now.incarnation,
    epoch: text(now.epoch),
    through: text(now.through),
    highest: text(now.highest),
    gap,
    gap_ref: now.gap?.position ?? null,
    gap_ms: WAITING.gapLimitMs,
    parked: now.parked?.why ?? null,
    parked_ref: now.parked?.position ?? null,
    reused: now.reused,
    waiting_count: now.waitingCount,
    waiting_bytes: now.waitingBytes,
    connection: now.connection,
    monotonic: now.monotonic,
  };
}

function signalOf(row: SignalRow, raws: (Buffer | null)[], correlations: (Buffer | null)[], maxBytes: number): Json {
  const { delivery } = row;
  const n = raws.length + 1;
  const raw = delivery === null ? null : rawOf(delivery, maxBytes);
  raws.push(raw);
  correlations.push(delivery?.correlationData == null ? null : Buffer.from(delivery.correlationData));
  return {
    ref: row.ref,
    n,
    kind: row.kind,
    source_key: row.sourceKey,
    source: row.source,
    event_id: row.eventId,
    type: row.type,
    epoch: text(row.epoch),
    sequence: text(row.sequence),
    digest: row.digest,
    topic: delivery?.topic ?? null,
    qos: delivery?.qos ?? null,
    retained: delivery?.retained ?? null,
    protocol: delivery?.protocol ?? null,
    content_type: delivery?.contentType ?? null,
    response_topic: delivery?.responseTopic ?? null,
    user_properties: delivery === null || delivery.userProperties.length === 0 ? null : delivery.userProperties,
    raw_length: delivery === null ? null : (delivery.fullLength ?? delivery.payload.byteLength),
    raw_sha256: raw === null ? null : hash("sha256", raw, "hex"),
    correlation_data: delivery?.correlationData == null ? null : Buffer.from(delivery.correlationData).toString("base64"),
    received_at: row.receivedAt,
    actor: row.actor,
    body: row.body,
  };
}

function rawOf(delivery: Delivery, maxBytes: number): Buffer {
  const { payload } = delivery;
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength > maxBytes ? HEAD_BYTES : payload.byteLength);
}

/** Batches of which a signature about their disposition has come into force, or ceased to be. */
function signedOf({ assumed, read }: World): readonly Json[] {
  return [...assumed.batches.values()].flatMap(({ batch, signed }) => {
    const before = read.batches.get(batch)?.signed ?? null;
    return before?.stage === signed?.stage && before?.before === signed?.before
      ? []
      : [{ batch, stage: signed?.stage ?? null, before: signed?.before ?? null }];
  });
}

/** Step attempts that are not in the state in which they were read; their times change only with it. */
function stepsOf(assumed: Assumed, world: World): readonly Json[] {
  return [...assumed.batches.values()].flatMap((batch) => {
    const before = new Map((world.read.batches.get(batch.batch)?.steps ?? []).map((step) => [`${step.step} ${step.attempt}`, step]));
    return [...batch.superseded, ...batch.steps]
      .filter((step) => {
        const was = before.get(`${step.step} ${step.attempt}`);
        return was?.state !== step.state;
      })
      .map((step) => ({
        batch: batch.batch,
        step: step.step,
        attempt: step.attempt,
        ordinal: step.ordinal,
        state: step.state,
        started_at: step.startedAt,
        start_source: step.startClock?.sourceKey ?? null,
        start_epoch: step.startClock?.epoch ?? null,
        start_time: step.startClock?.time ?? null,
        ended_at: step.endedAt,
      }));
  });
}

type OfKind<K extends Fact["kind"]> = Extract<Fact, { readonly kind: K }>;

const factsOf = <K extends Fact["kind"]>(rows: Rows, kind: K): readonly OfKind<K>[] =>
  rows.facts.map(({ fact }) => fact).filter((fact): fact is OfKind<K> => fact.kind === kind);

const evidenceOf = ({ batch, step, attempt, item }: OfKind<"evidence.recorded">): Json => ({
  batch,
  step,
  attempt,
  evidence: item.evidence,
  ref: item.position,
  supersedes: item.supersedes,
  event_id: item.eventId,
  source: item.source,
  value: item.value,
  unit: item.unit,
  data: item.data,
  within: item.within,
  low: item.low,
  high: item.high,
});

/** Locks taken and freed; one that is both within the group goes in as history. */
function locksOf(rows: Rows): { locks: readonly Json[]; locks_freed: readonly Json[] } {
  const taken = new Map<string, Record<string, unknown>>();
  const freed: Json[] = [];
  for (const { fact, ref } of rows.facts) {
    if (fact.kind === "lock.taken") {
      const { equipment, kind, batch, step, attempt, role, locked, token, takenAt } = fact.lock;
      taken.set(`${equipment} ${token}`, { equipment, kind, batch, step, attempt, role, locked, token, ref: takenAt, freed_ref: null });
    } else if (fact.kind === "lock.freed") {
      const fresh = taken.get(`${fact.lock.equipment} ${fact.lock.token}`);
      if (fresh === undefined) freed.push({ equipment: fact.lock.equipment, token: fact.lock.token, ref });
      else fresh["freed_ref"] = ref;
    }
  }
  return { locks: [...taken.values()], locks_freed: freed };
}

/** Deferred, waiting and quarantined events that came to be open or ceased to be. */
function openEvents(world: World, rows: Rows): Record<string, readonly Json[]> {
  const { assumed } = world;
  const patience = new Map(rows.patience.map(({ event, ms }) => [event, ms]));
  const deferrals: Json[] = [];
  const kept: Json[] = [];
  const gone: Json[] = [];
  for (const [position, deferral] of assumed.deferrals) {
    if (deferral === null) {
      if (position > 0) gone.push({ position });
      continue;
    }
    if (world.read.deferrals.get(position) != null) {
      kept.push({ position, batch: deferral.batch, step: deferral.step, waits: deferral.waits });
      continue;
    }
    deferrals.push({
      ref: position,
      source_key: deferral.sourceKey,
      round: deferral.round,
      code: deferral.code,
      batch: deferral.batch,
      step: deferral.step,
      moves: deferral.moves,
      behind: deferral.behind,
      bytes: deferral.event.bytes,
      ms: patience.get(position) ?? 0,
      waits: deferral.waits,
    });
  }
  const waiting = [...assumed.waiting.values()].map((w) => ({
    source_key: w.sourceKey,
    incarnation: w.incarnation,
    epoch: text(w.epoch),
    sequence: text(w.sequence),
    ref: w.position,
    id_hash: w.idHash,
    digest: w.digest,
    bytes: w.bytes,
    ahead: w.ahead,
  }));
  const waitingGone = [...assumed.waitingGone].map((key) => {
    const [sourceKey = "", rest = ""] = key.split(" ");
    const [incarnation, epoch, sequence] = rest.split(".");
    return { source_key: sourceKey, incarnation: Number(incarnation), epoch, sequence };
  });
  return {
    deferrals,
    deferrals_kept: kept,
    deferrals_gone: gone,
    waiting,
    waiting_gone: waitingGone,
    quarantine: rows.quarantined.map((q) => ({ ref: q.event, round: q.round, code: q.code, source: q.source, batch: q.batch })),
    quarantine_resolved: rows.quarantineResolved.map((r) => ({ position: r.event, ref: r.ref, resolution: r.resolution })),
  };
}

function factOf(row: FactRow): Json {
  const { fact } = row;
  return { opened_on: row.openedOn, ref: row.ref, ordinal: row.ordinal, kind: fact.kind, number: row.number, ...factColumns(fact) };
}

function factColumns(fact: Fact): Json {
  switch (fact.kind) {
    case "batch.created":
      return {
        batch: fact.batch.batch,
        to_state: fact.batch.execution,
        state_machine: fact.batch.batchMachine,
        data: {
          recipe: `${fact.batch.recipe.recipe}@${fact.batch.recipe.revision}`,
          jobOrder: fact.batch.jobOrder,
          quantity: fact.batch.quantity,
          unit: fact.batch.unit,
          roles: fact.batch.roles,
        },
      };
    case "batch.moved":
      return {
        batch: fact.batch,
        from_state: fact.from.execution,
        to_state: fact.to.execution,
        data: { by: fact.by, from: fact.from, to: fact.to, at: fact.at },
      };
    case "exception.disposed": {
      const { batch, step, attempt, exception, disposition, linked } = fact;
      return { batch, step, attempt, data: { exception, disposition, linked } };
    }
    case "disposition.signed":
      return { batch: fact.batch, data: { stage: fact.stage, before: fact.before } };
    case "disposition.voided":
      return { batch: fact.batch, from_state: fact.from, to_state: fact.to, data: { stage: fact.stage } };
    case "batch.updated":
      return { batch: fact.batch, data: { before: fact.before, quantity: fact.quantity, unit: fact.unit, roles: fact.roles } };
    case "batch.amended":
      return {
        batch: fact.batch,
        from_state: fact.from,
        to_state: `${fact.recipe.recipe}@${fact.recipe.revision}`,
        data: { recipeHash: fact.recipeHash, parameters: fact.parameters },
      };
    case "step.moved":
      return { batch: fact.batch, step: fact.step, attempt: fact.attempt, from_state: fact.from, to_state: fact.to, data: { by: fact.by, at: fact.at } };
    case "step.reopened":
      return { batch: fact.batch, step: fact.step, attempt: fact.attempt, to_state: fact.state, data: { linked: fact.linked } };
    case "evidence.recorded":
      return {
        batch: fact.batch,
        step: fact.step,
        attempt: fact.attempt,
        data: { evidence: fact.item.evidence, value: fact.item.value, unit: fact.item.unit, within: fact.item.within },
      };
    case "lock.taken":
    case "lock.freed": {
      const { equipment, batch, step, attempt, kind, role, token } = fact.lock;
      return { batch, step, attempt, equipment, data: { kind, role, token } };
    }
    case "equipment.stated":
      return { equipment: fact.equipment, from_state: fact.from, to_state: fact.to, data: fact.data };
    case "reported":
      return { batch: fact.batch, step: fact.step, attempt: fact.attempt, equipment: fact.equipment, data: { type: fact.type, ...fact.data } };
  }
}
