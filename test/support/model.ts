import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { BatchState, ContextLock, EquipmentState, StepState } from "../../src/authorise/execution-context.ts";
import type { PerformedBy } from "../../src/authorise/performer.ts";
import { documentOf, type SettlementDocument } from "../../src/commit/settlement.ts";
import { withEvidence } from "../../src/decide/assemble-world.ts";
import type { CommandAnswer } from "../../src/decide/command-answer.ts";
import { eventSignal } from "../../src/decide/in-hand.ts";
import { createMachines, type Machines } from "../../src/decide/machines.ts";
import type { Settlement } from "../../src/decide/settle.ts";
import type { Branch, Command, CommandSignal, Signal, Tick } from "../../src/decide/signal.ts";
import { type Definition, numberKey, timeKey, type WorldData } from "../../src/decide/world-data.ts";
import { EVERY_STEP, GOING_ON, type WorldRequest } from "../../src/decide/world-request.ts";
import { decode } from "../../src/decode/decode.ts";
import type { Delivery } from "../../src/receive/delivery.ts";
import { canonicalJson } from "../../src/registry/canonical.ts";
import { parseRecipe } from "../../src/registry/recipe.ts";
import { asJsonb } from "../../src/replay/jsonb.ts";
import { judgeIn } from "../../src/replay/judge.ts";
import {
  allWaitingIn,
  batchIn,
  deferralIn,
  equipmentIn,
  exceptionsIn,
  idIn,
  numberIn,
  openLocksIn,
  performanceIn,
  quarantineIn,
  sourceIn,
  stationAtIn,
  stationIn,
  waitingOf,
  waitingUnder,
  windowIn,
} from "../../src/replay/read.ts";
import { refuse } from "../../src/replay/refuse.ts";
import { registerEquipment, registerSource } from "../../src/replay/registry.ts";
import type { EvidenceRow, LockRow, SkippedRow, SourceRow } from "../../src/replay/rows.ts";
import { type Commit, SiteRecord } from "../../src/replay/site-record.ts";
import { write } from "../../src/replay/write.ts";
import type { Explained, Written } from "../../src/replay/written.ts";
import type { SourceState } from "../../src/sequence/source-state.ts";

// What tests need on top of the record in memory (src/replay): it is read as the service reads, by request, and what is read is frozen; it keeps every verdict, fact and outcome;
// time passes in it; and what a commit leaves behind is compared with what the judge believed. It takes the very document that the real commit takes, so that what the document
// forgets is missing here too.

export const MAX_BYTES = 262_144;

export interface ModelOptions {
  readonly site: string;
  readonly recipes: readonly { readonly recipe: string; readonly revision: number }[];
  /** Of those, and of the state machines, by name@revision: which nobody has approved yet. */
  readonly awaiting?: readonly string[];
  readonly equipment: readonly { readonly equipment: string; readonly line: string; readonly class: string }[];
  /** Beside the one numbering source that each equipment has. */
  readonly sources?: readonly { readonly equipment: string; readonly device?: string; readonly numbering?: boolean; readonly revoked?: boolean }[];
  /** Stands between the fold and its state machines, so that a guard may fail. */
  readonly machines?: (machines: Machines) => Machines;
  /** Milliseconds since 1970 at which the model's clock begins. */
  readonly now?: number;
  /** Whether a commit goes through its text, what is read is frozen, and what is left behind compared with what the judge believed. On unless speed matters more. */
  readonly careful?: boolean;
}

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
  readonly performedBy: PerformedBy | null;
  /** RFC 3339. */
  readonly recordedAt: string;
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
  readonly eventTime: string | null;
  readonly causation: string | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
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

/** As the registry does. */
export const hashOf = (content: unknown): string => createHash("sha256").update(canonicalJson(content)).digest("hex");

function shippedMachines(): Map<string, Definition> {
  const root = new URL("../../state-machines/", import.meta.url);
  const found = new Map<string, Definition>();
  for (const kind of ["batch", "step"]) {
    for (const file of readdirSync(new URL(`${kind}/`, root)).filter((name) => /\.v\d+\.json$/.test(name))) {
      // what a state permits is named in the order of its machine's keys, which is that of jsonb
      const content: { name: string; revision: number } = asJsonb(JSON.parse(readFileSync(new URL(`${kind}/${file}`, root), "utf8")));
      found.set(`${content.name}@${content.revision}`, { hash: hashOf(content), content });
    }
  }
  return found;
}

const SHIPPED = shippedMachines();
/** Compiled once for all models: they keep nothing but what they compiled. */
const MACHINES = createMachines((name) => SHIPPED.get(name));

export class Model extends SiteRecord {
  readonly options: ModelOptions;
  readonly machines: Machines;
  readonly verdicts: VerdictRow[] = [];
  readonly facts: FactRow[] = [];
  readonly outcomes: OutcomeRow[] = [];
  /** Everything that took a position, in its order: what a replay is fed with. */
  readonly record: Recorded[] = [];
  readonly #rounds = new Map<number, VerdictRow[]>();
  readonly #known = new Set<string>();

  constructor(options: ModelOptions) {
    const awaits = (name: string) => (options.awaiting?.includes(name) ? ({ awaitsApproval: true } as const) : {});
    const recipes = new Map(
      options.recipes.map((content) => {
        const name = `${content.recipe}@${content.revision}`;
        return [name, { hash: hashOf(content), content, recipe: freeze(parseRecipe(content)), ...awaits(name) }];
      }),
    );
    const machineOf = (name: string): Definition | null => {
      const shipped = SHIPPED.get(name);
      return shipped === undefined ? null : { ...shipped, ...awaits(name) };
    };
    super(
      options.site,
      { recipe: (name) => recipes.get(name) ?? null, machine: machineOf },
      { prefix: "", maxBytes: MAX_BYTES },
      options.now ?? Date.parse("2026-11-22T08:00:00.000Z"),
    );
    this.options = options;
    this.machines = options.machines?.(MACHINES) ?? MACHINES;
    for (const equipment of options.equipment) registerEquipment(this, equipment);
    for (const { equipment, device, numbering, revoked } of options.sources ?? [])
      registerSource(this, { equipment, device: device ?? null, numbering: numbering ?? true, revoked: revoked ?? false });
  }

  get locks(): readonly LockRow[] {
    return [...this.locksByToken.values()];
  }

  get evidence(): readonly EvidenceRow[] {
    return [...this.evidenceOfStep.values()].flat();
  }

  get skipped(): readonly SkippedRow[] {
    return [...this.skippedOfSource.values()].flat().sort((a, b) => a.position - b.position);
  }

  // ---- reading, as world.store.ts does

  read(request: WorldRequest): WorldData {
    for (const names of [request.sources, request.batches, request.equipment, request.streams, request.jobOrders, request.keys])
      for (const name of names) if (typeof name !== "string") refuse(`asked for what has no name: ${String(name)}`);
    for (const { epoch } of request.waitingNext.values()) if (typeof epoch !== "bigint") refuse("asked for what waits in no epoch");
    const near = [...request.equipment].flatMap((name) => openLocksIn(this, name));
    const ofOrders = [...request.jobOrders].flatMap((order) => this.batchesByOrder.get(order) ?? []);
    const batches = new Set([...request.batches, ...near.map((lock) => lock.batch), ...ofOrders]);
    const found = [...batches].flatMap((name) => this.batches.get(name) ?? []);
    const equipment = new Set([...request.equipment, ...found.flatMap((batch) => Object.values(batch.roles))]);
    const named = new Set([
      ...request.sources,
      ...request.ids.keys(),
      ...request.numbers.keys(),
      ...[...request.waitingNext.values()].map((w) => w.source),
      ...request.waitingNumbers,
    ]);
    const withSources = new Set([...request.equipment, ...found.flatMap(({ batch, roles }) => (request.sourcesOf.has(batch) ? Object.values(roles) : []))]);
    const sources = [...this.sources.values()].filter((source) => named.has(source.source) || withSources.has(source.equipment));
    const keys = [...[...batches].map((b) => `batch:${b}`), ...[...equipment].map((e) => `equipment:${e}`), ...sources.map((s) => `source:${s.source}`)];
    const deferrals = new Set([...request.deferrals, ...keys.flatMap((key) => [...(this.waitingFor.get(key) ?? [])])]);
    const times = [...request.stationsAt].flatMap(([source, asked]) => [...asked].map((at) => ({ source, at })));
    const stationsAt = new Map(times.map(({ source, at }) => [timeKey(source, at), stationAtIn(this, source, at)]));
    const data: WorldData = {
      site: this.site,
      shard: this.site,
      now: this.clock,
      waitingBytesOfShard: [...this.sources.values()].reduce((bytes, s) => bytes + s.waitingBytes, 0),
      sources: asked(request.sources),
      ids: new Map(),
      numbers: new Map(),
      conflicts: new Map(),
      waitingAt: new Map(),
      waitingNext: new Map(),
      waitingNumbers: new Map([...request.waitingNumbers].map((source) => [source, []])),
      batches: new Map([...batches].map((name) => [name, asAsked(batchIn(this, name), request, near)])),
      jobOrders: new Map([...request.jobOrders].map((order) => [order, this.batchesByOrder.get(order) ?? null])),
      equipment: new Map([...equipment].map((name) => [name, equipmentIn(this, name)])),
      sourcesOfEquipment: new Map([...withSources].map((name) => [name, (this.sourcesOfEquipment.get(name) ?? []).map((s) => s.source)])),
      awaited: new Map([...request.awaited, ...[...batches].map((b) => `batch:${b}`)].map((key) => [key, this.awaited.get(key) ?? 0])),
      streams: asked([...request.streams, ...[...batches].map((b) => `batch/${b}`), ...[...equipment].map((e) => `equipment/${e}`)]),
      deferrals: asked(request.deferrals),
      waitingFor: new Map(),
      quarantine: new Map([...request.quarantine].map((position) => [position, quarantineIn(this, position)])),
      exceptions: new Map([...request.exceptions].map((position) => [position, exceptionsIn(this, position)])),
      recipes: new Map([...request.recipes].map((name) => [name, this.definitions.recipe(name)])),
      machines: new Map([...request.machines, ...found.flatMap((b) => [b.batchMachine, b.stepMachine])].map((name) => [name, this.definitions.machine(name)])),
      keys: new Map([...request.keys].map((key) => [key, this.answers.get(key) ?? null])),
      stationsAt,
      stations: new Map([...stationsAt.values()].flatMap((there) => (there === null ? [] : [[there.station, stationIn(this, there.station)]]))),
      performances: new Map([...request.performances].map((position) => [position, performanceIn(this, position)])),
    };
    for (const row of sources) data.sources.set(row.source, sourceIn(this, row));
    for (const [name, hashes] of request.ids) for (const hash of hashes) this.#readId(data, this.sources.get(name), hash);
    for (const [name, pairs] of request.numbers) for (const pair of pairs) this.#readNumber(data, this.sources.get(name), pair);
    for (const [key, wanted] of request.waitingNext) {
      const window = windowIn(this, wanted);
      if (window !== null) data.waitingNext.set(key, window);
    }
    for (const name of request.waitingNumbers) {
      const source = this.sources.get(name);
      if (source !== undefined) data.waitingNumbers.set(name, allWaitingIn(this, source));
    }
    for (const stream of data.streams.keys()) {
      const head = this.streams.get(stream);
      if (head !== undefined) data.streams.set(stream, { stream, ...head });
    }
    for (const position of deferrals) {
      const deferral = deferralIn(this, position);
      if (deferral === null) continue;
      data.deferrals.set(position, deferral);
      for (const key of deferral.waits) data.waitingFor.set(key, new Set([...(data.waitingFor.get(key) ?? []), position]));
    }
    return this.options.careful === false ? data : freeze(data);
  }

  #readId(data: WorldData, source: SourceRow | undefined, hash: string): void {
    if (source === undefined) return;
    const key = `${source.key} ${hash}`;
    data.ids.set(key, null);
    const known = idIn(this, source, hash);
    if (known === null) return;
    data.ids.set(key, known);
    const waits = waitingUnder(this, source, hash);
    if (waits !== null) data.waitingAt.set(numberKey(source.key, source.incarnation, waits.epoch, waits.sequence), waitingOf(waits));
    for (const digest of this.conflictsOfId.get(key) ?? []) data.conflicts.set(`${key} ${digest}`, this.conflicts.get(`${key} ${digest}`) ?? 0);
  }

  #readNumber(data: WorldData, source: SourceRow | undefined, pair: string): void {
    if (source === undefined) return;
    const [epoch = "", sequence = ""] = pair.split(".");
    const { key, taken, waiting } = numberIn(this, source, BigInt(epoch), BigInt(sequence));
    data.numbers.set(key, taken);
    data.waitingAt.set(key, waiting);
  }

  rounds(event: number): readonly VerdictRow[] {
    return this.#rounds.get(event) ?? [];
  }

  openLocks(equipment: string): readonly ContextLock[] {
    return openLocksIn(this, equipment);
  }

  batch(name: string): BatchState | null {
    return batchIn(this, name);
  }

  /** What stands open about a source, by its name. */
  source(name: string): SourceState {
    const row = this.sources.get(name);
    if (row === undefined) throw new Error(`no source ${name}`);
    return sourceIn(this, row);
  }

  /** Whether an event has a verdict, or any delivery of it: what an acknowledgement rests on. */
  knows(source: string, id: string): boolean {
    return this.#known.has(`${source} ${id}`);
  }

  judge(signals: readonly Signal[]): Settlement {
    return judgeIn((request) => this.read(request), this.machines, signals);
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
    return eventSignal(delivery, decoded, this.clock, "");
  }

  command(command: Command, more: Partial<CommandSignal> = {}): CommandSignal {
    return {
      kind: "command",
      command,
      actor: "unattributed",
      role: null,
      signature: null,
      from: null,
      ifVersion: null,
      key: null,
      receivedAt: this.clock,
      ...more,
    };
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
  apply(document: SettlementDocument): number {
    const p: Written = this.options.careful === false ? Object(document.written) : JSON.parse(document.document);
    const commit = write(this, p, document.positions, document.raws);
    for (const r of p.facts ?? []) this.facts.push(factRow(r, commit));
    for (const r of p.verdicts ?? []) {
      const performed = p.performances?.find(({ ref }) => ref === r.ref);
      const row = verdictRow(r, commit, performed === undefined ? null : performerOf(performed));
      this.verdicts.push(row);
      this.#known.add(`${row.source} ${row.eventId}`);
      this.#rounds.set(row.event, [...this.rounds(row.event), row]);
    }
    for (const r of p.outcomes ?? []) {
      const { ref, stream, sequence, ordinal, type, event_time: eventTime, causation, correlation, traceparent, data } = r;
      this.outcomes.push({
        stream,
        sequence,
        position: commit.place(ref),
        ordinal,
        type,
        eventTime,
        causation,
        correlation,
        traceparent,
        data,
        recordedAt: commit.at,
      });
    }
    return commit.base;
  }

  /** Every position is a signal's or a round's; what is on record comes again in a replay. */
  #keepRecord(settlement: Settlement, group: readonly Signal[], place: (ref: number) => number): void {
    const { signals, verdicts } = settlement.rows;
    const taken = new Set([...signals.map((s) => s.ref), ...verdicts.map((v) => v.ref)]);
    if (taken.size !== settlement.positions || ![...taken].every((ref) => ref < 0 && -ref <= settlement.positions)) refuse("positions with holes");
    if (new Set(signals.map((s) => s.ref)).size !== signals.length) refuse("two signals at one position");
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
        // in no order: who counts on looks whether some range holds the next number
        skippedAhead: s.skippedAhead.filter((r) => r.last > s.through).sort((a, b) => (a.first < b.first ? -1 : 1)),
      });
      same(seen(expected), seen(now), `source ${name}`);
      const row = this.sources.get(name);
      const waits = [...this.waiting.values()].filter((w) => w.sourceKey === row?.key && w.incarnation === row.incarnation && w.expiresAt === null);
      if (waits.length !== now.waitingCount) refuse(`${name} counts ${now.waitingCount} waiting and has ${waits.length}`);
      if (waits.reduce((bytes, w) => bytes + w.bytes, 0) !== now.waitingBytes) refuse(`${name} counts other bytes than wait`);
    }
    for (const [name, expected] of assumed.batches) {
      const now = this.batch(name);
      if (now === null) refuse(`batch ${name} is not there`);
      // of what was not read nothing can have been changed
      const unread = new Set(expected.steps.filter(isUnread).map(({ step }) => step));
      const seen = (b: BatchState) => ({
        ...b,
        version: 0,
        recipe: null,
        superseded: [],
        steps: b.steps.map((s) => ({
          ...Object.fromEntries(Object.entries(Object.getOwnPropertyDescriptors(s)).map(([field, { value }]) => [field, value])),
          evidence: unread.has(s.step)
            ? []
            : s.evidence.map((e) => ({ ...e, position: place(e.position), supersedes: e.supersedes === null ? null : place(e.supersedes) })),
        })),
      });
      same(seen(expected), seen(now), `batch ${name}`);
    }
    for (const [name, expected] of assumed.equipment) {
      const now = equipmentIn(this, name);
      if (now === null) refuse(`equipment ${name} is not there`);
      const seen = (e: EquipmentState) => ({ ...e, version: 0, locks: e.locks.map((l) => ({ ...l, takenAt: place(l.takenAt) })) });
      same(seen(expected), seen(now), `equipment ${name}`);
    }
    for (const waiting of this.waiting.values())
      if (this.numbers.has(numberKey(waiting.sourceKey, waiting.incarnation, waiting.epoch, waiting.sequence))) refuse("what waits has its number already");
  }

  /** The answers of the commands among some settlements, in order. */
  static answers(settlements: readonly Settlement[]): readonly CommandAnswer[] {
    return settlements.flatMap((s) => [...s.answers.values()].map(({ answer }) => answer));
  }
}

export const createModel = (options: ModelOptions): Model => new Model(options);

function factRow(r: NonNullable<Written["facts"]>[number], { place }: Commit): FactRow {
  return {
    position: place(r.ref),
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
  };
}

function verdictRow(r: NonNullable<Written["verdicts"]>[number], { place, maybe, at }: Commit, performedBy: PerformedBy | null): VerdictRow {
  return {
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
    performedBy,
    branch: { line: r.topic_line, equipment: r.topic_equipment },
    recordedAt: at,
  };
}

const performerOf = ({ person, station, session, performed_at: at, clock }: NonNullable<Written["performances"]>[number]): PerformedBy => ({
  person,
  station,
  session,
  at,
  clock,
});

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

const asked = <K, V>(keys: Iterable<K>): Map<K, V | null> => new Map([...keys].map((key): [K, V | null] => [key, null]));

function isOf(signal: Signal, row: Settlement["rows"]["signals"][number]): boolean {
  if (signal.kind !== row.kind) return false;
  if (signal.kind === "event" || signal.kind === "diag") return signal.delivery === row.delivery;
  return (
    inWords(
      signal.kind === "command"
        ? {
            ...signal.command,
            ifVersion: signal.ifVersion,
            ...(signal.from === null ? {} : { from: signal.from }),
            ...(signal.role === null ? {} : { role: signal.role }),
            ...(signal.signature === null ? {} : { signature: signal.signature }),
          }
        : signal.tick,
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
  // what has a getter was not read
  for (const { value: inner } of Object.values(Object.getOwnPropertyDescriptors(value))) freeze(inner);
  return Object.freeze(value);
}

const isUnread = (step: StepState): boolean => Object.getOwnPropertyDescriptor(step, "evidence")?.get !== undefined;

/** Of which steps the evidence is there, as the database reads it. */
function asAsked(batch: BatchState | null, request: WorldRequest, near: readonly ContextLock[]): BatchState | null {
  if (batch === null) return null;
  const named = request.evidence.get(batch.batch);
  const all = named === undefined || named.has(GOING_ON) || batch.openDeferrals > 0;
  return {
    ...batch,
    steps: batch.steps.map(({ evidence, ...step }) => {
      const engaged = near.some((lock) => lock.batch === batch.batch && lock.step === step.step);
      const goesOn = step.endedAt === null && (all || step.startedAt === null || engaged);
      return withEvidence(batch.batch, step, named?.has(step.step) === true || named?.has(EVERY_STEP) === true || goesOn ? evidence : null);
    }),
  };
}
