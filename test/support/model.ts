import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { BatchState, ContextLock, EquipmentState, EvidenceItem, StepState } from "../../src/authorise/execution-context.ts";
import { documentOf, type SettlementDocument } from "../../src/commit/settlement.ts";
import type { CommandAnswer } from "../../src/decide/commands.ts";
import { inHandOf } from "../../src/decide/in-hand.ts";
import { createMachines, type Machines } from "../../src/decide/machines.ts";
import { requestFor, widen } from "../../src/decide/request.ts";
import { type Settlement, settle } from "../../src/decide/settle.ts";
import type { Branch, Command, CommandSignal, EventInHand, Signal, Tick } from "../../src/decide/signal.ts";
import { type Definition, numberKey, type WorldData } from "../../src/decide/world-data.ts";
import { NotRead, type WorldRequest } from "../../src/decide/world-request.ts";
import { decode } from "../../src/decode/decode.ts";
import type { Delivery } from "../../src/receive/delivery.ts";
import { parseRecipe, type Recipe } from "../../src/registry/recipe.ts";
import type { Parking, SourceState, WaitingEvent } from "../../src/sequence/source-state.ts";
import { WAITING } from "../../src/sequence/source-state.ts";

// The database as the fold sees it, in memory: what migration 0004 writes and what world.store.ts reads, with the constraints of 0001 and 0003 as assertions. It
// takes the very document that the real commit takes, so that what the document forgets is missing here too.

export const MAX_BYTES = 262_144;

export interface ModelOptions {
  readonly site: string;
  readonly recipes: readonly { readonly recipe: string; readonly revision: number }[];
  readonly equipment: readonly { readonly equipment: string; readonly line: string; readonly class: string }[];
  /** Beside the one numbering source that each equipment has. */
  readonly sources?: readonly { readonly equipment: string; readonly device?: string; readonly numbering?: boolean; readonly revoked?: boolean }[];
  /** Stands between the fold and its state machines, so that a guard may fail. */
  readonly machines?: (machines: Machines) => Machines;
  /** Milliseconds since 1970 at which the model's clock begins. */
  readonly now?: number;
  /** Whether what is read is frozen, and what is left behind compared with what the judge believed. On unless speed matters more. */
  readonly careful?: boolean;
}

interface SourceRow {
  key: string;
  source: string;
  line: string;
  equipment: string;
  device: string | null;
  numbering: boolean;
  revoked: boolean;
  version: number;
  incarnation: number;
  epoch: bigint | null;
  through: bigint;
  highest: bigint;
  gapPosition: number | null;
  gapDueAt: number | null;
  parked: Parking | null;
  parkedPosition: number | null;
  reused: number;
  waitingCount: number;
  waitingBytes: number;
  connection: "online" | "offline" | null;
  monotonic: SourceState["monotonic"];
}

interface WaitingRow extends WaitingEvent {
  expiresAt: number | null;
}

interface DeferralRow {
  position: number;
  version: number;
  round: number;
  sourceKey: string;
  code: string;
  batch: string | null;
  step: string | null;
  moves: boolean;
  behind: number | null;
  bytes: number;
  dueAt: number;
  waits: Set<string>;
}

interface QuarantineRow {
  position: number;
  version: number;
  round: number;
  code: string;
  source: string | null;
  batch: string | null;
  resolution: "reprocess" | "reject" | null;
}

export interface ExceptionRow {
  readonly position: number;
  readonly event: number | null;
  readonly code: string;
  readonly reason: string;
  readonly source: string | null;
  readonly batch: string | null;
  resolved: boolean;
}

type BatchRow = Omit<BatchState, "steps" | "recipe" | "openDeferrals" | "openQuarantine" | "openExceptions"> & { readonly recipeName: string };
type StepRow = Omit<StepState, "evidence"> & { readonly batch: string };
type EvidenceRow = EvidenceItem & { readonly batch: string; readonly step: string; readonly attempt: number };
type LockRow = ContextLock & { freed: number | null };
type Equipment = Omit<EquipmentState, "locks">;

export interface VerdictRow {
  readonly position: number;
  readonly event: number;
  readonly round: number;
  readonly status: string;
  readonly final: boolean;
  readonly code: string | null;
  readonly refusedBy: string | null;
  readonly reason: string;
  readonly next: string;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly epoch: string | null;
  readonly sequence: string | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly contextFrom: string;
  readonly first: number | null;
  readonly cause: number | null;
  readonly ahead: boolean;
  readonly flags: readonly string[];
  readonly facts: number;
  readonly explanation: Explained | null;
  readonly branch: Branch;
  /** RFC 3339. */
  readonly recordedAt: string;
}

interface Explained {
  readonly state?: string | null;
  readonly permitted?: readonly string[];
  readonly guards?: readonly { readonly guard: string; readonly ok: boolean; readonly code?: string; readonly expected?: string; readonly actual?: string }[];
  readonly today?: { readonly status: string; readonly code: string | null };
}

export interface FactRow {
  readonly position: number;
  readonly ordinal: number;
  readonly kind: string;
  readonly batch: string | null;
  readonly number: number | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly equipment: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface OutcomeRow {
  readonly stream: string;
  readonly sequence: number;
  readonly position: number;
  readonly ordinal: number;
  readonly type: string;
  readonly causation: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  /** RFC 3339. */
  readonly recordedAt: string;
}

/** A signal as it went on record, at its first position. */
export interface Recorded {
  readonly position: number;
  readonly signal: Signal;
  readonly committedAt: number;
}

/** What a version that moved on (SB001), or a unique key that somebody else took (23505), does to a commit. */
export class Moved extends Error {}

// What a settlement's document says, list by list, as jsonb_to_recordset reads it.
interface Doc {
  sources?: {
    key: string;
    version: number;
    changed: boolean;
    incarnation: number;
    epoch: string | null;
    through: string;
    highest: string;
    gap: "none" | "open" | "progress" | "halted" | "keep";
    gap_ref: number | null;
    gap_ms: number;
    parked: Parking | null;
    parked_ref: number | null;
    reused: number;
    waiting_count: number;
    waiting_bytes: number;
    connection: "online" | "offline" | null;
    monotonic: SourceState["monotonic"];
  }[];
  batches?: {
    batch: string;
    version: number;
    changed: boolean;
    line: string;
    job_order: string;
    recipe: string;
    revision: number;
    recipe_hash: string;
    batch_machine: string;
    batch_machine_hash: string;
    step_machine: string;
    step_machine_hash: string;
    quantity: string;
    unit: string;
    parameters: BatchState["parameters"];
    roles: BatchState["roles"];
    execution: string;
    disposition: string;
    opened_on: string;
    facts: number;
    created_at: string;
    started_at: string | null;
    ended_at: string | null;
    closed_at: string | null;
    asked: string;
  }[];
  equipment?: {
    equipment: string;
    version: number;
    changed: boolean;
    token: number;
    state: string | null;
    state_epoch: string | null;
    state_sequence: string | null;
  }[];
  awaited?: { awaited: string; version: number }[];
  judged_deferrals?: { position: number; version: number }[];
  judged_quarantine?: { position: number; version: number }[];
  streams?: { stream: string; expected: number; sequence: number; opened_on: string; line: string | null }[];
  signals?: {
    ref: number;
    kind: string;
    n: number;
    topic: string | null;
    qos: Delivery["qos"];
    retained: boolean;
    protocol: Delivery["protocol"];
    content_type: string | null;
    response_topic: string | null;
    user_properties: Delivery["userProperties"] | null;
    raw_length: number;
    received_at: string;
  }[];
  ids?: { source_key: string; id_hash: string; digest: string; ref: number }[];
  numbers?: { source_key: string; incarnation: number; epoch: string; sequence: string; ref: number }[];
  conflicts?: { source_key: string; id_hash: string; digest: string; ref: number }[];
  skipped?: { source_key: string; incarnation: number; epoch: string; first: string; last: string; reason: string; ref: number }[];
  waiting?: {
    source_key: string;
    incarnation: number;
    epoch: string;
    sequence: string;
    ref: number;
    id_hash: string | null;
    digest: string;
    bytes: number;
    ahead: boolean;
  }[];
  waiting_gone?: { source_key: string; incarnation: number; epoch: string; sequence: string }[];
  waiting_expires?: { source_key: string; incarnation: number; epoch: string; through: string; ms: number }[];
  steps?: {
    batch: string;
    step: string;
    attempt: number;
    ordinal: number;
    state: string;
    started_at: string | null;
    start_source: string | null;
    start_epoch: string | null;
    start_time: string | null;
    ended_at: string | null;
  }[];
  locks?: {
    equipment: string;
    kind: "allocation" | "engagement";
    batch: string;
    step: string | null;
    attempt: number | null;
    role: string;
    locked: "step" | "batch";
    token: number;
    ref: number;
    freed_ref: number | null;
  }[];
  locks_freed?: { equipment: string; token: number; ref: number }[];
  evidence?: {
    batch: string;
    step: string;
    attempt: number;
    evidence: string;
    ref: number;
    supersedes: number | null;
    event_id: string | null;
    source: string | null;
    value: string | null;
    unit: string | null;
    data: Record<string, unknown>;
    within: boolean | null;
    low: string | null;
    high: string | null;
  }[];
  deferrals?: {
    ref: number;
    source_key: string;
    round: number;
    code: string;
    batch: string | null;
    step: string | null;
    moves: boolean;
    behind: number | null;
    bytes: number;
    ms: number;
    waits: string[];
  }[];
  deferrals_kept?: { position: number; batch: string | null; step: string | null; waits: string[] }[];
  deferrals_gone?: { position: number }[];
  quarantine?: { ref: number; round: number; code: string; source: string | null; batch: string | null }[];
  quarantine_resolved?: { position: number; ref: number; resolution: "reprocess" | "reject" }[];
  exceptions?: { ref: number; ordinal: number; event_ref: number | null; code: string; reason: string; source: string | null; batch: string | null }[];
  exceptions_resolved?: { event_position: number; ref: number }[];
  facts?: {
    ref: number;
    ordinal: number;
    kind: string;
    batch?: string | null;
    number: number | null;
    step?: string | null;
    attempt?: number | null;
    equipment?: string | null;
    from_state?: string | null;
    to_state?: string | null;
    data: Record<string, unknown>;
  }[];
  verdicts?: {
    ref: number;
    event_ref: number;
    round: number;
    status: string;
    final: boolean;
    code: string | null;
    refused_by: string | null;
    reason: string;
    next: string;
    source: string | null;
    event_id: string | null;
    type: string | null;
    epoch: string | null;
    sequence: string | null;
    batch: string | null;
    step: string | null;
    attempt: number | null;
    context_from: string;
    first_ref: number | null;
    cause_ref: number | null;
    ahead: boolean;
    flags: string[];
    facts: number;
    explanation: Explained | null;
    topic_line: string | null;
    topic_equipment: string | null;
  }[];
  outcomes?: {
    stream: string;
    sequence: number;
    ref: number;
    ordinal: number;
    opened_on: string;
    type: string;
    causation: string | null;
    data: Record<string, unknown>;
  }[];
  answers?: { key: string; request: string; body_digest: string; answer: unknown; ref: number }[];
  interruption_ms?: number;
}

const hashOf = (content: unknown): string => createHash("sha256").update(JSON.stringify(content)).digest("hex");

/** Keys in the order in which jsonb gives them back, by length first: what a state permits is named in the order of its machine's keys. */
const asStored = (text: string): { name: string; revision: number } =>
  JSON.parse(text, (_, value) =>
    typeof value !== "object" || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(Object.entries(value).sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))),
  );

function shippedMachines(): Map<string, Definition> {
  const root = new URL("../../state-machines/", import.meta.url);
  const found = new Map<string, Definition>();
  for (const kind of ["batch", "step"]) {
    for (const file of readdirSync(new URL(`${kind}/`, root)).filter((name) => /\.v\d+\.json$/.test(name))) {
      const content: { name: string; revision: number } = asStored(readFileSync(new URL(`${kind}/${file}`, root), "utf8"));
      found.set(`${content.name}@${content.revision}`, { hash: hashOf(content), content });
    }
  }
  return found;
}

const SHIPPED = shippedMachines();
/** Compiled once for all models: they keep nothing but what they compiled. */
const MACHINES = createMachines((name) => SHIPPED.get(name));

function insist(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`the database refuses: ${what}`);
}

export const ENDED_BATCH = ["complete", "stopped", "aborted", "cancelled", "closed"];
const ENDED_STEP = ["complete", "skipped", "stopped", "aborted", "superseded"];

export class Model {
  readonly options: ModelOptions;
  readonly machines: Machines;
  now: number;
  position = 0;
  readonly sources = new Map<string, SourceRow>();
  readonly equipment = new Map<string, Equipment>();
  readonly batches = new Map<string, BatchRow>();
  readonly steps: StepRow[] = [];
  readonly evidence: EvidenceRow[] = [];
  readonly locks: LockRow[] = [];
  readonly awaited = new Map<string, number>();
  readonly deferrals = new Map<number, DeferralRow>();
  readonly quarantine = new Map<number, QuarantineRow>();
  readonly exceptions: ExceptionRow[] = [];
  readonly waiting = new Map<string, WaitingRow>();
  readonly ids = new Map<string, { position: number; digest: string }>();
  readonly numbers = new Map<string, number>();
  readonly conflicts = new Map<string, number>();
  readonly skipped: { sourceKey: string; incarnation: number; epoch: bigint; first: bigint; last: bigint; reason: string; position: number }[] = [];
  readonly deliveries = new Map<number, { delivery: Delivery; receivedAt: string }>();
  readonly verdicts: VerdictRow[] = [];
  readonly facts: FactRow[] = [];
  readonly outcomes: OutcomeRow[] = [];
  readonly streams = new Map<string, { sequence: number; line: string | null; openedOn: string }>();
  readonly answers = new Map<string, { request: string; bodyDigest: string; answer: unknown; position: number }>();
  /** Everything that took a position, in its order: what a replay is fed with. */
  readonly record: Recorded[] = [];
  readonly #rounds = new Map<number, VerdictRow[]>();
  readonly #positions = new Set<number>();
  readonly #known = new Set<string>();
  /** Stored deliveries, decoded again. */
  readonly #events = new Map<number, EventInHand>();
  readonly #factsAt = new Map<number, number>();
  readonly #factsOf = new Map<string, number>();
  readonly #outcomesOf = new Map<string, number>();
  readonly #byKey = new Map<string, SourceRow>();
  readonly #recipes = new Map<string, Definition & { recipe: Recipe }>();

  constructor(options: ModelOptions) {
    this.options = options;
    this.now = options.now ?? Date.parse("2026-11-22T08:00:00.000Z");
    this.machines = options.machines?.(MACHINES) ?? MACHINES;
    for (const content of options.recipes)
      this.#recipes.set(`${content.recipe}@${content.revision}`, { hash: hashOf(content), content, recipe: freeze(parseRecipe(content)) });
    for (const { equipment, line, class: className } of options.equipment) {
      this.equipment.set(equipment, { equipment, line, class: className, version: 1, token: 0, state: null, stateEpoch: null, stateSequence: null });
      this.#register(equipment, null, true, false);
    }
    for (const { equipment, device, numbering, revoked } of options.sources ?? [])
      this.#register(equipment, device ?? null, numbering ?? true, revoked ?? false);
  }

  #register(equipment: string, device: string | null, numbering: boolean, revoked: boolean): void {
    const line = this.equipment.get(equipment)?.line ?? "4";
    const source = `/site/${this.options.site}/line/${line}/eq/${equipment}${device === null ? "" : `/device/${device}`}`;
    const row: SourceRow = {
      key: String(this.sources.size + 1),
      source,
      line,
      equipment,
      device,
      numbering,
      revoked,
      version: 1,
      incarnation: 1,
      epoch: null,
      through: 0n,
      highest: 0n,
      gapPosition: null,
      gapDueAt: null,
      parked: null,
      parkedPosition: null,
      reused: 0,
      waitingCount: 0,
      waitingBytes: 0,
      connection: null,
      monotonic: {},
    };
    this.sources.set(source, row);
    this.#byKey.set(row.key, row);
  }

  /** The database's clock, RFC 3339 with microseconds. */
  get clock(): string {
    return instant(this.now);
  }

  // ---- reading, as world.store.ts does

  read(request: WorldRequest): WorldData {
    for (const names of [request.sources, request.batches, request.equipment, request.streams, request.jobOrders, request.keys])
      for (const name of names) insist(typeof name === "string", `asked for what has no name: ${String(name)}`);
    for (const { epoch } of request.waitingNext.values()) insist(typeof epoch === "bigint", "asked for what waits in no epoch");
    const nearLocks = this.locks.filter((lock) => lock.freed === null && request.equipment.has(lock.equipment));
    const ofOrders = [...this.batches.values()].filter((batch) => request.jobOrders.has(batch.jobOrder));
    const batches = new Set([...request.batches, ...nearLocks.map((lock) => lock.batch), ...ofOrders.map((b) => b.batch)]);
    const found = [...batches].flatMap((name) => this.batches.get(name) ?? []);
    const equipment = new Set([...request.equipment, ...found.flatMap((batch) => Object.values(batch.roles))]);
    const named = new Set([
      ...request.sources,
      ...request.ids.keys(),
      ...request.numbers.keys(),
      ...[...request.waitingNext.values()].map((w) => w.source),
      ...request.waitingNumbers,
    ]);
    const sources = [...this.sources.values()].filter((source) => named.has(source.source) || equipment.has(source.equipment));
    const keys = new Set([
      ...[...batches].map((b) => `batch:${b}`),
      ...[...equipment].map((e) => `equipment:${e}`),
      ...sources.map((s) => `source:${s.source}`),
    ]);
    const deferrals = [...this.deferrals.values()].filter((d) => request.deferrals.has(d.position) || [...d.waits].some((key) => keys.has(key)));
    const data: WorldData = {
      site: this.options.site,
      shard: this.options.site,
      now: this.clock,
      waitingBytesOfShard: [...this.sources.values()].reduce((bytes, s) => bytes + s.waitingBytes, 0),
      sources: asked(request.sources),
      ids: new Map(),
      numbers: new Map(),
      conflicts: new Map(),
      waitingAt: new Map(),
      waitingNext: new Map(),
      waitingNumbers: new Map([...request.waitingNumbers].map((source) => [source, []])),
      batches: asked(batches),
      jobOrders: asked(request.jobOrders),
      equipment: asked(equipment),
      sourcesOfEquipment: new Map([...equipment].map((name) => [name, [...this.sources.values()].filter((s) => s.equipment === name).map((s) => s.source)])),
      awaited: new Map([...request.awaited, ...[...batches].map((b) => `batch:${b}`)].map((key) => [key, this.awaited.get(key) ?? 0])),
      streams: asked([...request.streams, ...[...batches].map((b) => `batch/${b}`), ...[...equipment].map((e) => `equipment/${e}`)]),
      deferrals: asked(request.deferrals),
      waitingFor: new Map(),
      quarantine: asked(request.quarantine),
      recipes: new Map([...request.recipes].map((name) => [name, this.#recipes.get(name) ?? null])),
      machines: new Map([...request.machines, ...found.flatMap((b) => [b.batchMachine, b.stepMachine])].map((name) => [name, SHIPPED.get(name) ?? null])),
      keys: asked(request.keys),
    };
    for (const row of sources) data.sources.set(row.source, this.#sourceState(row));
    for (const [name, hashes] of request.ids) {
      const source = this.sources.get(name);
      if (source === undefined) continue;
      for (const hash of hashes) this.#readId(data, source, hash);
    }
    for (const [name, pairs] of request.numbers) {
      const source = this.sources.get(name);
      if (source === undefined) continue;
      for (const pair of pairs) {
        const [epoch = "", sequence = ""] = pair.split(".");
        const key = numberKey(source.key, source.incarnation, BigInt(epoch), BigInt(sequence));
        data.numbers.set(key, this.numbers.get(key) ?? null);
        const row = this.waiting.get(key);
        data.waitingAt.set(key, row === undefined ? null : waitingOf(row));
      }
    }
    for (const [window, { source: name, incarnation, epoch, after }] of request.waitingNext) {
      const source = this.sources.get(name);
      if (source === undefined) continue;
      const rows = [...this.waiting.values()]
        .filter((w) => w.sourceKey === source.key && w.incarnation === incarnation && w.epoch === epoch && w.sequence > after)
        .sort((a, b) => (a.sequence < b.sequence ? -1 : 1))
        .slice(0, WAITING.slice);
      data.waitingNext.set(window, {
        after,
        reaches: rows.length === WAITING.slice ? (rows.at(-1)?.sequence ?? null) : null,
        events: rows.map((w) => ({ ...waitingOf(w), event: this.#eventAt(w.position) })),
      });
    }
    for (const name of request.waitingNumbers) {
      const source = this.sources.get(name);
      if (source === undefined) continue;
      const rows = [...this.waiting.values()].filter((w) => w.sourceKey === source.key && w.incarnation === source.incarnation && w.expiresAt === null);
      data.waitingNumbers.set(name, rows.map(waitingOf));
    }
    for (const row of found) data.batches.set(row.batch, this.batch(row.batch));
    for (const row of ofOrders) data.jobOrders.set(row.jobOrder, row.batch);
    for (const name of equipment) {
      const row = this.equipment.get(name);
      if (row !== undefined) data.equipment.set(name, { ...row, locks: this.openLocks(name) });
    }
    for (const stream of data.streams.keys()) {
      const head = this.streams.get(stream);
      if (head !== undefined) data.streams.set(stream, { stream, ...head });
    }
    for (const row of deferrals) {
      const { dueAt: _, bytes: __, waits, ...rest } = row;
      data.deferrals.set(row.position, { ...rest, waits: [...waits], event: this.#eventAt(row.position) });
      for (const key of waits) data.waitingFor.set(key, new Set([...(data.waitingFor.get(key) ?? []), row.position]));
    }
    for (const position of request.quarantine) {
      const row = this.quarantine.get(position);
      if (row === undefined || row.resolution !== null) continue;
      const judgedIn = this.verdicts.find((verdict) => verdict.event === position && verdict.round === row.round);
      insist(judgedIn !== undefined, `the quarantined event at ${position} has a verdict`);
      data.quarantine.set(position, {
        position,
        version: row.version,
        round: row.round,
        code: row.code,
        batch: row.batch,
        judgedIn: { batch: judgedIn.batch, step: judgedIn.step, attempt: judgedIn.attempt },
        event: this.#eventAt(position),
      });
    }
    for (const key of request.keys) data.keys.set(key, this.answers.get(key) ?? null);
    return this.options.careful === false ? data : freeze(data);
  }

  #sourceState(row: SourceRow): SourceState {
    const { gapPosition, gapDueAt, parked, parkedPosition, ...rest } = row;
    const deferred = [...this.deferrals.values()].filter((d) => d.sourceKey === row.key);
    return {
      ...rest,
      site: this.options.site,
      gap: gapPosition === null ? null : { position: gapPosition, timer: gapDueAt === null ? "halted" : "kept" },
      gapDueAt: gapDueAt === null ? null : instant(gapDueAt),
      skippedAhead: this.skipped
        .filter((s) => s.sourceKey === row.key && s.incarnation === row.incarnation && s.epoch === row.epoch && s.last > row.through)
        .map(({ first, last }) => ({ first, last })),
      parked: parked === null ? null : { why: parked, position: parkedPosition ?? 0 },
      deferredCount: deferred.length,
      deferredBytes: deferred.reduce((bytes, d) => bytes + d.bytes, 0),
    };
  }

  #readId(data: WorldData, source: SourceRow, hash: string): void {
    const key = `${source.key} ${hash}`;
    const row = this.ids.get(key);
    data.ids.set(key, null);
    if (row === undefined) return;
    const rounds = this.rounds(row.position);
    const moved = rounds.findLast((v) => v.round > 1 && v.status === "duplicate");
    const latest = (moved?.first == null ? rounds : this.rounds(moved.first)).at(-1);
    const waits = [...this.waiting.values()].find(
      (w) => w.sourceKey === source.key && w.idHash === hash && w.position === row.position && !w.ahead && w.incarnation === source.incarnation,
    );
    data.ids.set(key, {
      position: moved?.first ?? row.position,
      digest: row.digest,
      digestVersion: 1,
      latest:
        latest === undefined
          ? { position: row.position, round: 1, status: "deferred", code: null }
          : { position: latest.position, round: latest.round, status: latest.status, code: latest.code },
      waitsAt: waits === undefined ? null : { epoch: waits.epoch, sequence: waits.sequence },
    });
    if (waits !== undefined) data.waitingAt.set(numberKey(source.key, source.incarnation, waits.epoch, waits.sequence), waitingOf(waits));
    for (const [conflict, position] of this.conflicts) if (conflict.startsWith(`${key} `)) data.conflicts.set(conflict, position);
  }

  #eventAt(position: number): EventInHand {
    const known = this.#events.get(position);
    if (known !== undefined) return known;
    const stored = this.deliveries.get(position);
    insist(stored !== undefined, `no delivery at ${position}`);
    const event = inHandOf(stored.delivery, decode(stored.delivery, { prefix: "", maxBytes: MAX_BYTES }), stored.receivedAt, "");
    this.#events.set(position, event);
    return event;
  }

  rounds(event: number): readonly VerdictRow[] {
    return this.#rounds.get(event) ?? [];
  }

  openLocks(equipment: string): ContextLock[] {
    return this.locks
      .filter((lock) => lock.equipment === equipment && lock.freed === null)
      .sort((a, b) => a.token - b.token)
      .map(({ freed: _, ...lock }) => lock);
  }

  /** A batch with the latest attempt of its steps and what is open about it. */
  batch(name: string): BatchState | null {
    const row = this.batches.get(name);
    if (row === undefined) return null;
    const { recipeName, ...rest } = row;
    const recipe = this.#recipes.get(recipeName)?.recipe;
    insist(recipe !== undefined, `recipe ${recipeName}`);
    const latest = new Map<string, StepRow>();
    for (const step of this.steps) {
      const known = latest.get(step.step);
      if (step.batch === name && (known === undefined || known.attempt < step.attempt)) latest.set(step.step, step);
    }
    return {
      ...rest,
      recipe,
      openDeferrals: [...this.deferrals.values()].filter((d) => d.batch === name).length,
      openQuarantine: [...this.quarantine.values()].filter((q) => q.batch === name && q.resolution === null).length,
      openExceptions: this.exceptions.filter((e) => e.batch === name && !e.resolved).length,
      steps: [...latest.values()]
        .sort((a, b) => a.ordinal - b.ordinal)
        .map(({ batch: _, ...step }) => {
          const all = this.evidence.filter((e) => e.batch === name && e.step === step.step && e.attempt === step.attempt);
          const inForce = all.filter((e) => !all.some((other) => other.evidence === e.evidence && other.supersedes === e.position));
          return { ...step, evidence: inForce.map(({ batch: __, step: ___, attempt: ____, ...item }) => item).sort((a, b) => a.position - b.position) };
        }),
    };
  }

  /** What stands open about a source, by its name. */
  source(name: string): SourceState {
    const row = this.sources.get(name);
    if (row === undefined) throw new Error(`no source ${name}`);
    return this.#sourceState(row);
  }

  /** Whether an event has a verdict, or any delivery of it: what an acknowledgement rests on. */
  knows(source: string, id: string): boolean {
    return this.#known.has(`${source} ${id}`);
  }

  // ---- judging, as pipeline.ts does

  judge(signals: readonly Signal[]): Settlement {
    const request = requestFor(signals);
    for (let reads = 1; ; reads += 1) {
      const world = this.read(request);
      if (reads < 200 && widen(request, world)) continue;
      try {
        return settle(world, this.machines, signals);
      } catch (error) {
        if (!(error instanceof NotRead) || reads >= 200) throw error;
        error.add(request);
      }
    }
  }

  /**
   * Routes signals in groups, whose sizes are taken in turn from `sizes`; what is left over from one commit comes before any later signal. Returns the settlements.
   */
  run(signals: readonly Signal[], sizes: readonly number[] = [1]): readonly Settlement[] {
    const settlements: Settlement[] = [];
    const queue = [...signals];
    let first: Signal[] = [];
    for (let n = 0, over = 0; queue.length + first.length > 0; n += 1) {
      const group = [...first, ...queue.splice(0, Math.max(first.length === 0 ? 1 : 0, sizes[n % sizes.length] ?? 1))];
      const settlement = this.judge(group);
      if (settlement.positions > 0) this.commit(settlement, group);
      settlements.push(settlement);
      first = settlement.followUps.map((tick) => this.tick(tick));
      over = first.length === 0 ? 0 : over + 1;
      if (over > 500) throw new Error("the left-overs never end");
    }
    return settlements;
  }

  // ---- signals

  delivery(topic: string, body: string | Uint8Array, more: Partial<Delivery> = {}): Delivery {
    return {
      topic,
      payload: typeof body === "string" ? new TextEncoder().encode(body) : body,
      qos: 1,
      retained: false,
      dup: false,
      protocol: "5",
      contentType: null,
      responseTopic: null,
      correlationData: null,
      userProperties: [],
      ...more,
    };
  }

  /** A delivery as the shard would take it now. */
  signal(delivery: Delivery): Signal {
    const decoded = decode(delivery, { prefix: "", maxBytes: MAX_BYTES });
    if (decoded.kind === "ignored") throw new Error(`ignored: ${decoded.why}`);
    if (decoded.kind === "diag") return { kind: "diag", delivery, diagnosis: decoded.diagnosis, receivedAt: this.clock };
    return { kind: "event", delivery, inHand: inHandOf(delivery, decoded, this.clock, "") };
  }

  command(command: Command, more: Partial<CommandSignal> = {}): CommandSignal {
    return { kind: "command", command, actor: "unattributed", from: null, ifVersion: null, key: null, receivedAt: this.clock, ...more };
  }

  tick(tick: Tick): Signal {
    return { kind: "tick", tick, receivedAt: this.clock };
  }

  /** What has fallen due, as readDue in shard.store.ts finds it. */
  due(): readonly Tick[] {
    const named = new Map([...this.sources.values()].map((s) => [s.key, s]));
    const waiting = [...this.waiting.values()];
    return [
      ...[...this.deferrals.values()]
        .filter((d) => d.dueAt <= this.now)
        .sort((a, b) => a.dueAt - b.dueAt || a.position - b.position)
        .map((d): Tick => ({ tick: "patience", event: d.position })),
      ...[...this.sources.values()]
        .filter((s) => s.gapDueAt !== null && s.gapDueAt <= this.now && s.parked === null)
        .map((s): Tick => ({ tick: "gap", source: s.source })),
      ...waiting
        .filter((w) => w.expiresAt !== null && w.expiresAt <= this.now)
        .sort((a, b) => (a.expiresAt ?? 0) - (b.expiresAt ?? 0))
        .map(
          (w): Tick => ({
            tick: "expiry",
            source: named.get(w.sourceKey)?.source ?? "",
            incarnation: w.incarnation,
            epoch: w.epoch.toString(),
            sequence: w.sequence.toString(),
          }),
        ),
      ...[...this.sources.values()]
        .filter(
          (s) =>
            s.waitingCount > 0 &&
            s.epoch !== null &&
            (s.parked === null || s.parked === "gap" || s.parked === "waiting_full") &&
            this.waiting.has(numberKey(s.key, s.incarnation, s.epoch, s.through + 1n)),
        )
        .map((s): Tick => ({ tick: "drain", source: s.source })),
    ];
  }

  /** Lets time pass; what falls due on the way is settled at its time. */
  pass(ms: number, sizes: readonly number[] = [1]): void {
    const end = this.now + ms;
    for (let n = 0; ; n += 1) {
      const times = [
        ...[...this.deferrals.values()].map((d) => d.dueAt),
        ...[...this.sources.values()].flatMap((s) => (s.parked === null ? (s.gapDueAt ?? []) : [])),
        ...[...this.waiting.values()].flatMap((w) => w.expiresAt ?? []),
      ].filter((time) => time <= end);
      const ticks = this.due();
      if (ticks.length > 0)
        this.run(
          ticks.map((tick) => this.tick(tick)),
          sizes,
        );
      else if (times.length === 0) break;
      this.now = Math.max(this.now, Math.min(end, ...times.filter((time) => time > this.now)));
      if (n > 2_000) throw new Error("what is due stays due");
    }
    this.now = end;
  }

  // ---- committing, as migration 0004 does

  commit(settlement: Settlement, group: readonly Signal[] = []): void {
    const base = this.apply(documentOf(settlement, MAX_BYTES));
    const place = (ref: number): number => (ref < 0 ? base - ref : ref);
    this.#keepRecord(settlement, group, place);
    if (this.options.careful !== false) this.#agrees(settlement, place);
  }

  /** What `settle()` does with the document of a settlement; returns the position after which its own begin. */
  apply({ document, positions, raws }: SettlementDocument): number {
    const p: Doc = JSON.parse(document);
    this.#prove(p);
    this.#unique(p);
    const base = this.position;
    const place = (ref: number): number => (ref < 0 ? base - ref : ref);
    const maybe = (ref: number | null | undefined): number | null => (ref == null ? null : place(ref));
    this.position += positions;
    const once = <K, V>(map: Map<K, V>, key: K, value: V, what: string): void => {
      insist(!map.has(key), `${what} ${String(key)} twice`);
      map.set(key, value);
    };

    for (const [stream, now] of (p.streams ?? []).map((s) => [s.stream, s] as const))
      this.streams.set(stream, {
        sequence: now.sequence,
        line: this.streams.get(stream)?.line ?? now.line,
        openedOn: this.streams.get(stream)?.openedOn ?? now.opened_on,
      });
    for (const r of p.signals ?? []) {
      if (r.topic !== null) this.deliveries.set(place(r.ref), { delivery: storedDelivery(r, raws[r.n - 1] ?? null), receivedAt: r.received_at });
    }
    for (const r of p.ids ?? []) once(this.ids, `${r.source_key} ${r.id_hash}`, { position: place(r.ref), digest: r.digest }, "id");
    for (const r of p.numbers ?? []) once(this.numbers, numberKey(r.source_key, r.incarnation, BigInt(r.epoch), BigInt(r.sequence)), place(r.ref), "number");
    for (const r of p.conflicts ?? []) once(this.conflicts, `${r.source_key} ${r.id_hash} ${r.digest}`, place(r.ref), "conflict");
    for (const r of p.skipped ?? []) {
      const row = {
        sourceKey: r.source_key,
        incarnation: r.incarnation,
        epoch: BigInt(r.epoch),
        first: BigInt(r.first),
        last: BigInt(r.last),
        reason: r.reason,
        position: place(r.ref),
      };
      insist(row.first <= row.last, "a range that ends before it begins");
      insist(
        !this.skipped.some(
          (s) => s.sourceKey === row.sourceKey && s.incarnation === row.incarnation && s.epoch === row.epoch && s.first <= row.last && row.first <= s.last,
        ),
        `numbers ${row.epoch}.${row.first} given up twice`,
      );
      this.skipped.push(row);
    }
    for (const r of p.waiting_gone ?? []) {
      if (!this.waiting.delete(numberKey(r.source_key, r.incarnation, BigInt(r.epoch), BigInt(r.sequence))))
        throw new Moved("a waiting event is no longer there");
    }
    for (const r of p.waiting ?? []) {
      const row: WaitingRow = {
        sourceKey: r.source_key,
        incarnation: r.incarnation,
        epoch: BigInt(r.epoch),
        sequence: BigInt(r.sequence),
        position: place(r.ref),
        idHash: r.id_hash,
        digest: r.digest,
        bytes: r.bytes,
        ahead: r.ahead,
        expiresAt: null,
      };
      once(this.waiting, numberKey(row.sourceKey, row.incarnation, row.epoch, row.sequence), row, "a waiting event at");
    }
    for (const r of p.waiting_expires ?? []) {
      for (const w of this.waiting.values()) {
        if (w.sourceKey !== r.source_key || w.expiresAt !== null) continue;
        const epoch = BigInt(r.epoch);
        if (w.incarnation < r.incarnation || (w.incarnation === r.incarnation && (w.epoch < epoch || (w.epoch === epoch && w.sequence <= BigInt(r.through)))))
          w.expiresAt = this.now + r.ms;
      }
    }
    for (const r of p.sources ?? []) if (r.changed) this.#writeSource(r, place);
    for (const r of p.batches ?? []) if (r.changed) this.#writeBatch(r);
    for (const r of p.steps ?? []) {
      const row: StepRow = {
        batch: r.batch,
        step: r.step,
        attempt: r.attempt,
        ordinal: r.ordinal,
        state: r.state,
        startedAt: r.started_at,
        startClock:
          r.start_source === null || r.start_epoch === null || r.start_time === null
            ? null
            : { sourceKey: r.start_source, epoch: r.start_epoch, time: r.start_time },
        endedAt: r.ended_at,
      };
      insist(ENDED_STEP.includes(row.state) === (row.endedAt !== null), `step ${row.step} is ${row.state} and ended ${row.endedAt}`);
      insist(
        !["in_progress", "paused", "awaiting_verification", "complete"].includes(row.state) || row.startedAt !== null,
        `step ${row.step} is ${row.state} and never began`,
      );
      insist(!["pending", "ready"].includes(row.state) || row.startedAt === null, `step ${row.step} is ${row.state} and has begun`);
      const at = this.steps.findIndex((s) => s.batch === row.batch && s.step === row.step && s.attempt === row.attempt);
      if (at < 0) this.steps.push(row);
      else this.steps[at] = row;
    }
    for (const r of p.equipment ?? []) {
      const row = this.equipment.get(r.equipment);
      if (row === undefined || !r.changed) continue;
      this.equipment.set(r.equipment, {
        ...row,
        version: row.version + 1,
        token: r.token,
        state: r.state,
        stateEpoch: r.state_epoch === null ? null : BigInt(r.state_epoch),
        stateSequence: r.state_sequence === null ? null : BigInt(r.state_sequence),
      });
    }
    for (const r of p.locks_freed ?? []) {
      const lock = this.locks.find((l) => l.equipment === r.equipment && l.token === r.token && l.freed === null);
      if (lock === undefined) throw new Moved("a context lock was freed elsewhere");
      lock.freed = place(r.ref);
    }
    for (const r of p.locks ?? []) this.#writeLock({ ...r, takenAt: place(r.ref), freed: maybe(r.freed_ref) });
    for (const r of p.evidence ?? []) {
      const position = place(r.ref);
      insist(
        !this.evidence.some((e) => e.batch === r.batch && e.step === r.step && e.attempt === r.attempt && e.evidence === r.evidence && e.position === position),
        `evidence ${r.evidence} twice at ${position}`,
      );
      const { ref: _, event_id: eventId, supersedes, ...rest } = r;
      this.evidence.push({ ...rest, position, eventId, supersedes: maybe(supersedes) });
    }
    for (const r of p.deferrals_gone ?? []) this.deferrals.delete(r.position);
    for (const r of p.deferrals ?? []) {
      once(
        this.deferrals,
        place(r.ref),
        {
          position: place(r.ref),
          version: 1,
          round: r.round,
          sourceKey: r.source_key,
          code: r.code,
          batch: r.batch,
          step: r.step,
          moves: r.moves,
          behind: maybe(r.behind),
          bytes: r.bytes,
          dueAt: this.now + r.ms,
          waits: new Set(r.waits),
        },
        "deferral",
      );
    }
    for (const r of p.deferrals_kept ?? []) {
      const row = this.deferrals.get(r.position);
      insist(row !== undefined, `no deferral at ${r.position}`);
      Object.assign(row, { version: row.version + 1, batch: r.batch, step: r.step });
      for (const key of r.waits) row.waits.add(key);
    }
    for (const r of p.quarantine_resolved ?? []) {
      const row = this.quarantine.get(r.position);
      insist(row !== undefined, `no quarantined event at ${r.position}`);
      Object.assign(row, { version: row.version + 1, resolution: r.resolution });
    }
    for (const r of p.quarantine ?? []) {
      const position = place(r.ref);
      const row = this.quarantine.get(position);
      if (row === undefined)
        this.quarantine.set(position, { position, version: 1, round: r.round, code: r.code, source: r.source, batch: r.batch, resolution: null });
      else Object.assign(row, { version: row.version + 1, round: r.round, code: r.code, resolution: null });
    }
    for (const r of p.exceptions ?? []) {
      insist(r.ordinal === this.exceptions.filter((e) => e.position === place(r.ref)).length + 1, `exception ${r.ordinal} at ${place(r.ref)} out of its place`);
      this.exceptions.push({
        position: place(r.ref),
        event: maybe(r.event_ref),
        code: r.code,
        reason: r.reason,
        source: r.source,
        batch: r.batch,
        resolved: false,
      });
    }
    for (const r of p.exceptions_resolved ?? []) {
      for (const e of this.exceptions) if (e.event === place(r.event_position) && e.position < place(r.ref)) e.resolved = true;
    }
    this.#writeFacts(p, place);
    this.#writeVerdicts(p, place, maybe);
    for (const r of p.outcomes ?? []) {
      const before = this.#outcomesOf.get(r.stream) ?? 0;
      insist(r.sequence === before + 1, `outcome ${r.sequence} of ${r.stream} after ${before}`);
      this.#outcomesOf.set(r.stream, r.sequence);
      this.outcomes.push({
        stream: r.stream,
        sequence: r.sequence,
        position: place(r.ref),
        ordinal: r.ordinal,
        type: r.type,
        causation: r.causation,
        data: r.data,
        recordedAt: this.clock,
      });
    }
    for (const r of p.answers ?? [])
      once(this.answers, r.key, { request: r.request, bodyDigest: r.body_digest, answer: r.answer, position: place(r.ref) }, "idempotency key");
    if (p.interruption_ms !== undefined) {
      for (const d of this.deferrals.values()) if (d.position <= base) Object.assign(d, { dueAt: d.dueAt + p.interruption_ms, version: d.version + 1 });
      for (const s of this.sources.values()) if (s.gapDueAt !== null) Object.assign(s, { gapDueAt: s.gapDueAt + p.interruption_ms, version: s.version + 1 });
      for (const w of this.waiting.values()) if (w.expiresAt !== null) w.expiresAt += p.interruption_ms;
    }
    return base;
  }

  #prove(p: Doc): void {
    for (const r of p.sources ?? []) if (this.#byKey.get(String(r.key))?.version !== r.version) throw new Moved(`source ${r.key} has moved on`);
    for (const r of p.batches ?? []) if ((this.batches.get(r.batch)?.version ?? 0) !== r.version) throw new Moved(`batch ${r.batch} has moved on`);
    for (const r of p.equipment ?? []) if (this.equipment.get(r.equipment)?.version !== r.version) throw new Moved(`equipment ${r.equipment} has moved on`);
    for (const r of p.awaited ?? []) {
      if ((this.awaited.get(r.awaited) ?? 0) !== r.version) throw new Moved(`${r.awaited} has come`);
      this.awaited.set(r.awaited, r.version + 1);
    }
    for (const r of p.judged_deferrals ?? [])
      if (this.deferrals.get(r.position)?.version !== r.version) throw new Moved("a deferred event has been settled elsewhere");
    for (const r of p.judged_quarantine ?? []) {
      const row = this.quarantine.get(r.position);
      if (row?.version !== r.version || row.resolution !== null) throw new Moved("a quarantined event has been resolved elsewhere");
    }
    for (const r of p.streams ?? []) if ((this.streams.get(r.stream)?.sequence ?? 0) !== r.expected) throw new Moved(`outcome stream ${r.stream} has moved on`);
  }

  /** The unique keys on which "at most once" rests. */
  #unique(p: Doc): void {
    for (const r of p.ids ?? []) if (this.ids.has(`${r.source_key} ${r.id_hash}`)) throw new Moved(`id ${r.id_hash} is taken`);
    for (const r of p.numbers ?? [])
      if (this.numbers.has(numberKey(r.source_key, r.incarnation, BigInt(r.epoch), BigInt(r.sequence))))
        throw new Moved(`number ${r.epoch}.${r.sequence} is taken`);
  }

  #writeSource(r: NonNullable<Doc["sources"]>[number], place: (ref: number) => number): void {
    const row = this.#byKey.get(String(r.key));
    insist(row !== undefined, `source ${r.key}`);
    const position = r.gap === "none" ? null : r.gap === "open" ? place(r.gap_ref ?? 0) : row.gapPosition;
    const dueAt = r.gap === "none" || r.gap === "halted" ? null : r.gap === "keep" ? row.gapDueAt : this.now + r.gap_ms;
    const fresh = r.parked !== null && r.parked_ref !== null && r.parked_ref < 0;
    Object.assign(row, {
      version: row.version + 1,
      incarnation: r.incarnation,
      epoch: r.epoch === null ? null : BigInt(r.epoch),
      through: BigInt(r.through),
      highest: BigInt(r.highest),
      gapPosition: position,
      gapDueAt: dueAt,
      parkedPosition: r.parked === null ? null : fresh ? place(r.parked_ref ?? 0) : row.parkedPosition,
      parked: r.parked,
      reused: r.reused,
      waitingCount: r.waiting_count,
      waitingBytes: r.waiting_bytes,
      connection: r.connection,
      monotonic: r.monotonic,
    });
    insist(row.through >= 0n && row.highest >= row.through, `${row.source} is through ${row.through} and its highest is ${row.highest}`);
    insist(row.waitingCount >= 0 && row.waitingBytes >= 0, `${row.source} has ${row.waitingCount} waiting`);
    insist((row.parked === null) === (row.parkedPosition === null), `${row.source} is parked nowhere`);
  }

  #writeBatch(r: NonNullable<Doc["batches"]>[number]): void {
    const before = this.batches.get(r.batch);
    const row: BatchRow =
      before === undefined
        ? {
            batch: r.batch,
            version: 1,
            line: r.line,
            jobOrder: r.job_order,
            recipeName: `${r.recipe}@${r.revision}`,
            recipeHash: r.recipe_hash,
            batchMachine: r.batch_machine,
            batchMachineHash: r.batch_machine_hash,
            stepMachine: r.step_machine,
            stepMachineHash: r.step_machine_hash,
            quantity: r.quantity,
            unit: r.unit,
            parameters: r.parameters,
            roles: r.roles,
            execution: r.execution,
            disposition: r.disposition,
            openedOn: r.opened_on,
            facts: r.facts,
            createdAt: r.created_at,
            startedAt: r.started_at,
            endedAt: r.ended_at,
            closedAt: r.closed_at,
            asked: r.asked,
          }
        : {
            ...before,
            version: before.version + 1,
            quantity: r.quantity,
            unit: r.unit,
            parameters: r.parameters,
            roles: r.roles,
            execution: r.execution,
            disposition: r.disposition,
            facts: r.facts,
            startedAt: r.started_at,
            endedAt: r.ended_at,
            closedAt: r.closed_at,
          };
    if (before === undefined) insist(![...this.batches.values()].some((b) => b.jobOrder === row.jobOrder), `job order ${row.jobOrder} twice`);
    insist(ENDED_BATCH.includes(row.execution) === (row.endedAt !== null), `batch ${row.batch} is ${row.execution} and ended ${row.endedAt}`);
    insist((row.execution === "closed") === (row.closedAt !== null), `batch ${row.batch} is ${row.execution} and closed ${row.closedAt}`);
    insist(!["running", "paused", "complete"].includes(row.execution) || row.startedAt !== null, `batch ${row.batch} is ${row.execution} and never started`);
    this.batches.set(r.batch, row);
  }

  #writeLock(lock: LockRow): void {
    const { equipment, kind, batch, step, attempt, role, locked, token, takenAt, freed } = lock;
    insist((kind === "engagement") === (step !== null && attempt !== null), `lock ${token} of ${equipment} is no ${kind}`);
    insist(!this.locks.some((l) => l.equipment === equipment && l.token === token), `token ${token} of ${equipment} twice`);
    if (freed === null) {
      const open = this.locks.filter((l) => l.freed === null);
      const here = open.filter((l) => l.equipment === equipment);
      insist(
        here.every((l) => l.batch === batch),
        `${equipment} works for two batches`,
      );
      insist(kind !== "allocation" || !here.some((l) => l.kind === "allocation"), `${equipment} is allocated twice`);
      insist(
        kind !== "engagement" || locked !== "step" || !here.some((l) => l.kind === "engagement" && l.locked === "step"),
        `${equipment} is engaged in two steps at once`,
      );
      insist(
        kind !== "engagement" || !open.some((l) => l.kind === "engagement" && l.batch === batch && l.step === step && l.attempt === attempt && l.role === role),
        `role ${role} of ${batch}/${step} is engaged twice`,
      );
    }
    this.locks.push({ equipment, kind, batch, step, attempt, role, locked, token, takenAt, freed });
  }

  #writeFacts(p: Doc, place: (ref: number) => number): void {
    for (const r of p.facts ?? []) {
      const position = place(r.ref);
      insist(r.ordinal === (this.#factsAt.get(position) ?? 0) + 1, `fact ${r.ordinal} at ${position} out of its place`);
      this.#factsAt.set(position, r.ordinal);
      insist((r.batch == null) === (r.number === null), "a fact of a batch has its number");
      if (r.batch != null) {
        const before = this.#factsOf.get(r.batch) ?? 0;
        insist(r.number === before + 1, `fact ${r.number} of ${r.batch} after ${before}`);
        this.#factsOf.set(r.batch, before + 1);
      }
      this.facts.push({
        position,
        ordinal: r.ordinal,
        kind: r.kind,
        batch: r.batch ?? null,
        number: r.number,
        step: r.step ?? null,
        attempt: r.attempt ?? null,
        equipment: r.equipment ?? null,
        from: r.from_state ?? null,
        to: r.to_state ?? null,
        data: r.data,
      });
    }
  }

  #writeVerdicts(p: Doc, place: (ref: number) => number, maybe: (ref: number | null) => number | null): void {
    for (const r of p.verdicts ?? []) {
      const row: VerdictRow = {
        position: place(r.ref),
        event: place(r.event_ref),
        round: r.round,
        status: r.status,
        final: r.final,
        code: r.code,
        refusedBy: r.refused_by,
        reason: r.reason,
        next: r.next,
        source: r.source,
        eventId: r.event_id,
        type: r.type,
        epoch: r.epoch,
        sequence: r.sequence,
        batch: r.batch,
        step: r.step,
        attempt: r.attempt,
        contextFrom: r.context_from,
        first: maybe(r.first_ref),
        cause: maybe(r.cause_ref),
        ahead: r.ahead,
        flags: r.flags,
        facts: r.facts,
        explanation: r.explanation,
        branch: { line: r.topic_line, equipment: r.topic_equipment },
        recordedAt: this.clock,
      };
      const what = `verdict ${row.position} (${row.status} ${row.code} of ${row.eventId})`;
      insist(!this.#positions.has(row.position), `${what}: two at one position`);
      insist(row.final === !["deferred", "quarantined"].includes(row.status), `${what}: final`);
      insist(["accepted", "accepted_with_exception"].includes(row.status) === row.facts > 0, `${what}: ${row.facts} facts`);
      insist(["accepted", "duplicate"].includes(row.status) || row.code !== null, `${what}: no code`);
      insist(row.status !== "duplicate" || row.first !== null, `${what}: a duplicate of nothing`);
      insist((row.round === 1) === (row.event === row.position), `${what}: round ${row.round}`);
      insist(
        !(row.status === "rejected" && (row.refusedBy === "state" || row.refusedBy === "guard")) ||
          (Array.isArray(row.explanation?.permitted) && row.explanation?.guards?.some((g) => !g.ok) === true),
        `${what}: not explained`,
      );
      insist(row.facts === (this.#factsAt.get(row.position) ?? 0), `${what}: a verdict and its facts do not agree`);
      const rounds = this.rounds(row.event);
      insist(row.round === rounds.length + 1, `${what}: round ${row.round} after ${rounds.length}`);
      insist(!rounds.some((v) => v.final), `${what}: a round after the final one`);
      this.verdicts.push(row);
      this.#known.add(`${row.source} ${row.eventId}`);
      this.#positions.add(row.position);
      this.#rounds.set(row.event, [...rounds, row]);
    }
    for (const event of new Set((p.verdicts ?? []).map((r) => place(r.event_ref)))) {
      const last = this.rounds(event).at(-1);
      if (last === undefined) continue;
      const waits = [...this.waiting.values()].some((w) => w.position === event && !w.ahead);
      const quarantined = this.quarantine.get(event);
      const inQuarantine = quarantined !== undefined && quarantined.resolution === null;
      const what = `${last.eventId}, ${last.status} ${last.code},`;
      insist(last.status !== "deferred" || this.deferrals.has(event) || waits, `${what} stands nowhere`);
      insist(last.status !== "quarantined" || inQuarantine, `${what} is in no quarantine`);
      insist(!last.final || (!this.deferrals.has(event) && !inQuarantine && !waits), `${what} is still open`);
    }
  }

  /** Every position is a signal's or a round's; what is on record comes again in a replay. */
  #keepRecord(settlement: Settlement, group: readonly Signal[], place: (ref: number) => number): void {
    const { signals, verdicts } = settlement.rows;
    const taken = new Set([...signals.map((s) => s.ref), ...verdicts.map((v) => v.ref)]);
    insist(taken.size === settlement.positions && [...taken].every((ref) => ref < 0 && -ref <= settlement.positions), "positions without holes");
    insist(new Set(signals.map((s) => s.ref)).size === signals.length, "two signals at one position");
    let next = 0;
    for (const row of [...signals].sort((a, b) => b.ref - a.ref)) {
      const at = group.findIndex((signal, n) => n >= next && isOf(signal, row));
      if (at < 0) continue;
      next = at + 1;
      const signal = group[at];
      if (signal !== undefined) this.record.push({ position: place(row.ref), signal, committedAt: this.now });
    }
  }

  /** What the judge believed to leave behind is what the database now holds. */
  #agrees(settlement: Settlement, place: (ref: number) => number): void {
    const { assumed } = settlement.world;
    for (const [name, expected] of assumed.sources) {
      const now = this.source(name);
      const seen = (s: SourceState) => ({
        epoch: s.epoch,
        through: s.through,
        highest: s.highest,
        gap: s.gap === null ? null : place(s.gap.position),
        halted: s.gap?.timer === "halted",
        parked: s.parked === null ? null : { why: s.parked.why, position: place(s.parked.position) },
        reused: s.reused,
        waitingCount: s.waitingCount,
        waitingBytes: s.waitingBytes,
        incarnation: s.incarnation,
        connection: s.connection,
        monotonic: s.monotonic,
        skippedAhead: s.skippedAhead.filter((r) => r.last > s.through),
      });
      same(seen(expected), seen(now), `source ${name}`);
      const row = this.sources.get(name);
      const waits = [...this.waiting.values()].filter((w) => w.sourceKey === row?.key && w.incarnation === row.incarnation && w.expiresAt === null);
      insist(waits.length === now.waitingCount, `${name} counts ${now.waitingCount} waiting and has ${waits.length}`);
      insist(waits.reduce((bytes, w) => bytes + w.bytes, 0) === now.waitingBytes, `${name} counts other bytes than wait`);
    }
    for (const [name, expected] of assumed.batches) {
      const now = this.batch(name);
      insist(now !== null, `batch ${name}`);
      const seen = (b: BatchState) => ({
        ...b,
        version: 0,
        recipe: null,
        steps: b.steps.map((s) => ({
          ...s,
          evidence: s.evidence.map((e) => ({ ...e, position: place(e.position), supersedes: e.supersedes === null ? null : place(e.supersedes) })),
        })),
      });
      same(seen(expected), seen(now), `batch ${name}`);
    }
    for (const [name, expected] of assumed.equipment) {
      const row = this.equipment.get(name);
      insist(row !== undefined, `equipment ${name}`);
      const seen = (e: EquipmentState) => ({ ...e, version: 0, locks: e.locks.map((l) => ({ ...l, takenAt: place(l.takenAt) })) });
      same(seen(expected), seen({ ...row, locks: this.openLocks(name) }), `equipment ${name}`);
    }
    for (const waiting of this.waiting.values())
      insist(!this.numbers.has(numberKey(waiting.sourceKey, waiting.incarnation, waiting.epoch, waiting.sequence)), "what waits has no number yet");
  }

  /** The answers of the commands among some settlements, in order. */
  static answers(settlements: readonly Settlement[]): readonly CommandAnswer[] {
    return settlements.flatMap((s) => [...s.answers.values()].map(({ answer }) => answer));
  }
}

export const createModel = (options: ModelOptions): Model => new Model(options);

/** Runs a record again, signal by signal in the order of positions, at the times of its commits. */
export function replay(model: Model): Model {
  const again = createModel({ ...model.options, now: model.record[0]?.committedAt ?? model.now });
  for (const { signal, committedAt } of model.record) {
    again.now = committedAt;
    const settlement = again.judge([signal]);
    if (settlement.positions > 0) again.commit(settlement, [signal]);
  }
  return again;
}

/** A delivery as it is read back. */
function storedDelivery(row: NonNullable<Doc["signals"]>[number], raw: Buffer | null): Delivery {
  return {
    topic: row.topic ?? "",
    payload: raw ?? new Uint8Array(),
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

const asked = <K, V>(keys: Iterable<K>): Map<K, V | null> => new Map([...keys].map((key): [K, V | null] => [key, null]));

const waitingOf = ({ expiresAt: _, ...waiting }: WaitingRow): WaitingEvent => waiting;

const instant = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

function isOf(signal: Signal, row: Settlement["rows"]["signals"][number]): boolean {
  if (signal.kind !== row.kind) return false;
  if (signal.kind === "event" || signal.kind === "diag") return signal.delivery === row.delivery;
  return (
    inWords(
      signal.kind === "command" ? { ...signal.command, ifVersion: signal.ifVersion, ...(signal.from === null ? {} : { from: signal.from }) } : signal.tick,
    ) === inWords(row.body)
  );
}

function same(expected: unknown, found: unknown, what: string): void {
  const a = inWords(expected);
  const b = inWords(found);
  if (a !== b) throw new Error(`${what} is not as the judge left it\n  judged: ${a}\n  stored: ${b}`);
}

const inWords = (value: unknown): string =>
  JSON.stringify(value, (_, v) => {
    if (typeof v === "bigint") return v.toString();
    if (typeof v !== "object" || v === null || Array.isArray(v)) return v;
    return Object.fromEntries(Object.entries(v).sort(([x], [y]) => (x < y ? -1 : 1)));
  });

const frozen = new WeakSet<object>();

/** Whoever changes what was read is found out at once. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || frozen.has(value) || ArrayBuffer.isView(value)) return value;
  frozen.add(value);
  if (value instanceof Map || value instanceof Set) {
    for (const inner of value.values()) freeze(inner);
    const refuse = (): never => {
      throw new Error("what was read is never changed");
    };
    Object.assign(value, { set: refuse, add: refuse, delete: refuse, clear: refuse });
    return value;
  }
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
