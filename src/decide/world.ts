import type { BatchState, EquipmentState } from "../authorise/execution-context.ts";
import type { KnownId, Ref, SourceState, WaitingEvent } from "../sequence/source-state.ts";
import type { EventInHand } from "./signal.ts";

/** A deferred event: settled, acknowledged, and open until what it waits for comes or its patience ends. */
export interface Deferral {
  readonly position: Ref;
  readonly version: number;
  readonly round: number;
  readonly sourceKey: string;
  readonly code: string;
  readonly batch: string | null;
  readonly step: string | null;
  /** Whether it moves its step, so that later events of its source that move the same step wait behind it. */
  readonly moves: boolean;
  readonly behind: Ref | null;
  readonly waits: readonly string[];
  readonly event: EventInHand;
}

export interface QuarantineEntry {
  readonly position: Ref;
  readonly version: number;
  readonly round: number;
  readonly code: string;
  readonly batch: string | null;
  readonly event: EventInHand;
}

export interface StreamHead {
  readonly stream: string;
  readonly line: string | null;
  readonly sequence: number;
  readonly openedOn: string;
}

export interface Definition {
  readonly hash: string;
  readonly content: unknown;
}

export interface PriorAnswer {
  readonly request: string;
  readonly bodyDigest: string;
  readonly answer: unknown;
  readonly position: Ref;
}

/** What to read before the group can be judged; names only. */
export interface WorldRequest {
  readonly sources: Set<string>;
  /** source → hashes of ids */
  readonly ids: Map<string, Set<string>>;
  /** source → "epoch.sequence" */
  readonly numbers: Map<string, Set<string>>;
  /** sources of which the waiting events that come next are wanted, with the events themselves */
  readonly waitingNext: Map<string, { source: string; incarnation: number; epoch: bigint; after: bigint }>;
  /** sources of which all waiting numbers are wanted */
  readonly waitingNumbers: Set<string>;
  readonly batches: Set<string>;
  readonly jobOrders: Set<string>;
  readonly equipment: Set<string>;
  readonly awaited: Set<string>;
  readonly streams: Set<string>;
  readonly deferrals: Set<Ref>;
  readonly quarantine: Set<Ref>;
  readonly recipes: Set<string>;
  readonly machines: Set<string>;
  readonly keys: Set<string>;
}

export function emptyRequest(): WorldRequest {
  return {
    sources: new Set(),
    ids: new Map(),
    numbers: new Map(),
    waitingNext: new Map(),
    waitingNumbers: new Set(),
    batches: new Set(),
    jobOrders: new Set(),
    equipment: new Set(),
    awaited: new Set(),
    streams: new Set(),
    deferrals: new Set(),
    quarantine: new Set(),
    recipes: new Set(),
    machines: new Set(),
    keys: new Set(),
  };
}

/** The world as it was read: null stands for "looked for, not there". What was not looked for is missing from the map. */
export interface WorldData {
  readonly site: string;
  readonly shard: string;
  /** The database's clock when the world was read. */
  readonly now: string;
  readonly waitingBytesOfShard: number;
  readonly sources: Map<string, SourceState | null>;
  readonly ids: Map<string, KnownId | null>;
  readonly numbers: Map<string, Ref | null>;
  readonly conflicts: Map<string, Ref>;
  readonly waitingAt: Map<string, WaitingEvent | null>;
  /** by source, incarnation and epoch: what waits behind a number, nearest first, as far as `reaches` (null: to the end) */
  readonly waitingNext: Map<string, WaitingWindow>;
  readonly waitingNumbers: Map<string, readonly WaitingEvent[]>;
  readonly batches: Map<string, BatchState | null>;
  readonly jobOrders: Map<string, string | null>;
  readonly equipment: Map<string, EquipmentState | null>;
  /** equipment → its sources */
  readonly sourcesOfEquipment: Map<string, readonly string[]>;
  readonly awaited: Map<string, number>;
  readonly streams: Map<string, StreamHead | null>;
  readonly deferrals: Map<Ref, Deferral | null>;
  /** what is waited for → the deferred events that wait for it */
  readonly waitingFor: Map<string, ReadonlySet<Ref>>;
  readonly quarantine: Map<Ref, QuarantineEntry | null>;
  readonly recipes: Map<string, Definition | null>;
  readonly machines: Map<string, Definition | null>;
  readonly keys: Map<string, PriorAnswer | null>;
}

export interface WaitingWindow {
  readonly after: bigint;
  readonly reaches: bigint | null;
  readonly events: readonly (WaitingEvent & { readonly event: EventInHand | null })[];
}

/** Thrown when the judge looks at something that was not read: it is read then, and the group is judged from the start. */
export class NotRead extends Error {
  readonly add: (request: WorldRequest) => void;
  constructor(what: string, add: (request: WorldRequest) => void) {
    super(`${what} has not been read`);
    this.add = add;
  }
}

type Kind = "sources" | "batches" | "equipment" | "awaited" | "streams" | "deferrals" | "quarantine";

/**
 * The world a group is judged in: what was read, overlaid by what the group has changed so far. It keeps count of every mutable row that was looked at, since
 * the commit must prove each of them unchanged; and of every change, so that a signal whose judgement throws leaves no trace.
 */
export class World {
  readonly #data: WorldData;
  readonly #sources = new Map<string, SourceState>();
  readonly #batches = new Map<string, BatchState>();
  readonly #equipment = new Map<string, EquipmentState>();
  readonly #streams = new Map<string, StreamHead>();
  readonly #ids = new Map<string, KnownId>();
  readonly #numbers = new Map<string, Ref>();
  readonly #conflicts = new Map<string, Ref>();
  readonly #waiting = new Map<string, WaitingEvent & { event: EventInHand | null }>();
  readonly #waitingGone = new Set<string>();
  readonly #deferrals = new Map<Ref, Deferral | null>();
  /** by source: how many deferred events this group opened and ended */
  readonly #deferred = new Map<string, { readonly count: number; readonly bytes: number }>();
  readonly #quarantine = new Map<Ref, QuarantineEntry | null>();
  readonly #answers = new Map<string, PriorAnswer>();
  readonly #jobOrders = new Map<string, string>();
  /** every mutable row that was looked at */
  readonly #looked = new Map<Kind, Set<string | number>>();
  /** rows whose version rises though nothing of them changed, since somebody now waits for them */
  readonly #raised = new Map<Kind, Set<string>>();
  readonly #undo: (() => void)[] = [];

  constructor(data: WorldData) {
    this.#data = data;
  }

  get site(): string {
    return this.#data.site;
  }
  get shard(): string {
    return this.#data.shard;
  }
  get now(): string {
    return this.#data.now;
  }
  get read(): WorldData {
    return this.#data;
  }

  /** Runs `judge`; if it throws anything but a wish to read more, every change it made is taken back and the error is returned. */
  attempt<T>(judge: () => T): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown } {
    const mark = this.#undo.length;
    try {
      return { ok: true, value: judge() };
    } catch (error) {
      if (error instanceof NotRead) throw error;
      this.takeBack(mark);
      return { ok: false, error };
    }
  }

  get mark(): number {
    return this.#undo.length;
  }

  takeBack(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()?.();
  }

  source(source: string): SourceState | undefined {
    this.#look("sources", source);
    const changed = this.#sources.get(source);
    if (changed !== undefined) return changed;
    const read = this.#data.sources.get(source);
    if (read === undefined) throw new NotRead(`source ${source}`, (r) => r.sources.add(source));
    return read ?? undefined;
  }

  batch(batch: string): BatchState | undefined {
    const changed = this.#batches.get(batch);
    if (changed !== undefined) return changed;
    const read = this.#data.batches.get(batch);
    if (read === undefined) throw new NotRead(`batch ${batch}`, (r) => r.batches.add(batch));
    if (read === null) {
      this.#awaitedVersion(`batch:${batch}`);
      return undefined;
    }
    this.#look("batches", batch);
    return read;
  }

  equipment(equipment: string): EquipmentState | undefined {
    const changed = this.#equipment.get(equipment);
    if (changed !== undefined) return changed;
    const read = this.#data.equipment.get(equipment);
    if (read === undefined) throw new NotRead(`equipment ${equipment}`, (r) => r.equipment.add(equipment));
    if (read === null) return undefined;
    this.#look("equipment", equipment);
    return read;
  }

  sourcesOf(equipment: string): readonly string[] {
    return this.#data.sourcesOfEquipment.get(equipment) ?? [];
  }

  id(source: SourceState, hash: string): KnownId | undefined {
    const key = `${source.key} ${hash}`;
    const fresh = this.#ids.get(key);
    if (fresh !== undefined) return fresh;
    const read = this.#data.ids.get(key);
    if (read === undefined) throw new NotRead(`id ${hash} of ${source.source}`, (r) => addTo(r.ids, source.source, hash));
    return read ?? undefined;
  }

  /** What is known of an id so far, without reading for it. */
  knownId(source: SourceState, hash: string): KnownId | undefined {
    const key = `${source.key} ${hash}`;
    return this.#ids.get(key) ?? this.#data.ids.get(key) ?? undefined;
  }

  conflict(source: SourceState, hash: string, digest: string): Ref | undefined {
    const key = `${source.key} ${hash} ${digest}`;
    return this.#conflicts.get(key) ?? this.#data.conflicts.get(key);
  }

  /** Where a number of a source was taken, if it was. */
  number(source: SourceState, epoch: bigint, sequence: bigint): Ref | undefined {
    const key = numberKey(source.key, source.incarnation, epoch, sequence);
    const fresh = this.#numbers.get(key);
    if (fresh !== undefined || this.#countsAnew(source)) return fresh;
    const read = this.#data.numbers.get(key);
    if (read === undefined)
      throw new NotRead(`number ${epoch}.${sequence} of ${source.source}`, (r) => addTo(r.numbers, source.source, `${epoch}.${sequence}`));
    return read ?? undefined;
  }

  waitingAt(source: SourceState, epoch: bigint, sequence: bigint): WaitingEvent | undefined {
    const key = numberKey(source.key, source.incarnation, epoch, sequence);
    if (this.#waitingGone.has(key)) return undefined;
    const fresh = this.#waiting.get(key);
    if (fresh !== undefined || this.#countsAnew(source)) return fresh;
    if (this.#nobodyWaited(source, epoch, sequence)) return undefined;
    const window = this.#data.waitingNext.get(windowKey(source, epoch));
    if (window !== undefined && covers(window, sequence)) return window.events.find((w) => w.sequence === sequence);
    const read = this.#data.waitingAt.get(key);
    if (read === undefined)
      throw new NotRead(`number ${epoch}.${sequence} of ${source.source}`, (r) => addTo(r.numbers, source.source, `${epoch}.${sequence}`));
    return read ?? undefined;
  }

  /** The waiting event at a number, with the event itself. `undefined`: nobody waits there, as far as the window reaches. */
  waitingNext(source: SourceState, epoch: bigint, sequence: bigint): (WaitingEvent & { readonly event: EventInHand | null }) | undefined {
    const key = numberKey(source.key, source.incarnation, epoch, sequence);
    if (this.#waitingGone.has(key)) return undefined;
    const fresh = this.#waiting.get(key);
    if (fresh !== undefined) return fresh;
    if (this.#nobodyWaited(source, epoch, sequence)) return undefined;
    const window = this.#data.waitingNext.get(windowKey(source, epoch));
    if (window === undefined || sequence <= window.after) throw this.#wantsWindow(source, epoch, sequence - 1n);
    return window.events.find((w) => w.sequence === sequence);
  }

  /** Whether a number lies beyond what was read of a source's waiting events: then the next commit goes on there. */
  beyondWindow(source: SourceState, epoch: bigint, sequence: bigint): boolean {
    const window = this.#data.waitingNext.get(windowKey(source, epoch));
    return window !== undefined && window.reaches !== null && sequence > window.reaches;
  }

  /** The waiting events of a source behind a number, nearest first, as far as one window reaches. */
  waitingAfter(source: SourceState, epoch: bigint, sequence: bigint): readonly (WaitingEvent & { readonly event: EventInHand | null })[] {
    const window =
      source.waitingCount === 0 || this.#nobodyWaited(source, epoch, sequence + 1n) ? NO_WINDOW : this.#data.waitingNext.get(windowKey(source, epoch));
    if (window === undefined || window.after > sequence) throw this.#wantsWindow(source, epoch, sequence);
    const fresh = [...this.#waiting.values()].filter((w) => w.sourceKey === source.key && w.incarnation === source.incarnation && w.epoch === epoch);
    const gone = (w: WaitingEvent): boolean => this.#waitingGone.has(numberKey(w.sourceKey, w.incarnation, w.epoch, w.sequence));
    return [...window.events.filter((w) => !gone(w)), ...fresh].filter((w) => w.sequence > sequence);
  }

  /** Whether nothing at all waited ahead of a source when the world was read: then what waits there now came with this group. */
  #nobodyWaited(source: SourceState, epoch: bigint, sequence: bigint): boolean {
    const read = this.#data.sources.get(source.source);
    if (read == null || read.waitingCount > 0 || read.incarnation !== source.incarnation) return false;
    return read.epoch === null || epoch > read.epoch || (epoch === read.epoch && sequence > read.through);
  }

  /** Whether the source began to count anew within this group: then none of its numbers was known before. */
  #countsAnew(source: SourceState): boolean {
    const read = this.#data.sources.get(source.source);
    return read != null && source.incarnation > read.incarnation;
  }

  /** A window only ever grows towards lower numbers, so that two wishes never take turns in undoing each other. */
  #wantsWindow(source: SourceState, epoch: bigint, after: bigint): NotRead {
    const { source: name, incarnation } = source;
    return new NotRead(`what waits at ${name}`, (r) => {
      const asked = r.waitingNext.get(windowKey(source, epoch));
      r.waitingNext.set(windowKey(source, epoch), {
        source: name,
        incarnation,
        epoch,
        after: asked === undefined || after < asked.after ? after : asked.after,
      });
    });
  }

  /** All waiting events of a source, without the events themselves. */
  allWaiting(source: SourceState): readonly WaitingEvent[] {
    const fresh = [...this.#waiting.values()].filter((w) => w.sourceKey === source.key && w.incarnation === source.incarnation);
    const before = this.#data.sources.get(source.source);
    if (before === undefined || before === null || before.waitingCount === 0 || this.#countsAnew(source)) return fresh;
    const read = this.#data.waitingNumbers.get(source.source);
    if (read === undefined) throw new NotRead(`what waits at ${source.source}`, (r) => r.waitingNumbers.add(source.source));
    return [...read.filter((w) => !this.#waitingGone.has(numberKey(w.sourceKey, w.incarnation, w.epoch, w.sequence))), ...fresh];
  }

  get waitingBytesOfShard(): number {
    let bytes = this.#data.waitingBytesOfShard;
    for (const [name, now] of this.#sources) bytes += now.waitingBytes - (this.#data.sources.get(name)?.waitingBytes ?? 0);
    return bytes;
  }

  stream(stream: string): StreamHead | undefined {
    const changed = this.#streams.get(stream);
    if (changed !== undefined) return changed;
    const read = this.#data.streams.get(stream);
    if (read === undefined) throw new NotRead(`stream ${stream}`, (r) => r.streams.add(stream));
    return read ?? undefined;
  }

  batchOfOrder(jobOrder: string): string | undefined {
    const fresh = this.#jobOrders.get(jobOrder);
    if (fresh !== undefined) return fresh;
    const read = this.#data.jobOrders.get(jobOrder);
    if (read === undefined) throw new NotRead(`job order ${jobOrder}`, (r) => r.jobOrders.add(jobOrder));
    return read ?? undefined;
  }

  recipe(name: string): Definition | undefined {
    const read = this.#data.recipes.get(name);
    if (read === undefined) throw new NotRead(`recipe ${name}`, (r) => r.recipes.add(name));
    return read ?? undefined;
  }

  machine(name: string): Definition | undefined {
    const read = this.#data.machines.get(name);
    if (read === undefined) throw new NotRead(`state machine ${name}`, (r) => r.machines.add(name));
    return read ?? undefined;
  }

  answer(key: string): PriorAnswer | undefined {
    const fresh = this.#answers.get(key);
    if (fresh !== undefined) return fresh;
    const read = this.#data.keys.get(key);
    if (read === undefined) throw new NotRead(`idempotency key ${key}`, (r) => r.keys.add(key));
    return read ?? undefined;
  }

  /** How many deferred events of a source are open by now, and their bytes. */
  deferred(source: SourceState): { readonly count: number; readonly bytes: number } {
    const here = this.#deferred.get(source.key);
    return { count: source.deferredCount + (here?.count ?? 0), bytes: source.deferredBytes + (here?.bytes ?? 0) };
  }

  /** A batch's version as it stands after what this group has done to it so far: whoever saw an older one did not see that. */
  batchVersion(batch: string): number {
    const before = this.#data.batches.get(batch)?.version ?? 0;
    return this.#batches.has(batch) || this.#raised.get("batches")?.has(batch) === true ? before + 1 : before;
  }

  /** The open deferred event at a position. */
  deferral(position: Ref): Deferral | undefined {
    const changed = this.#deferrals.get(position);
    if (changed !== undefined) return changed ?? undefined;
    const read = this.#data.deferrals.get(position);
    if (read === undefined) throw new NotRead(`deferred event ${position}`, (r) => r.deferrals.add(position));
    if (read === null) return undefined;
    this.#look("deferrals", position);
    return read;
  }

  /** The open deferred events that wait for something, oldest first. */
  waitingFor(key: string): readonly Ref[] {
    const found = new Set<Ref>();
    for (const position of this.#data.waitingFor.get(key) ?? []) if (this.#deferrals.get(position) !== null) found.add(position);
    for (const [position, deferral] of this.#deferrals) if (deferral?.waits.includes(key)) found.add(position);
    return [...found].sort(byAge);
  }

  quarantined(position: Ref): QuarantineEntry | undefined {
    const changed = this.#quarantine.get(position);
    if (changed !== undefined) return changed ?? undefined;
    const read = this.#data.quarantine.get(position);
    if (read === undefined) throw new NotRead(`quarantined event ${position}`, (r) => r.quarantine.add(position));
    if (read === null) return undefined;
    this.#look("quarantine", position);
    return read;
  }

  putSource(next: SourceState): void {
    this.#set(this.#sources, next.source, next);
  }
  putBatch(next: BatchState): void {
    this.#set(this.#batches, next.batch, next);
  }
  putEquipment(next: EquipmentState): void {
    this.#set(this.#equipment, next.equipment, next);
  }
  putStream(next: StreamHead): void {
    this.#set(this.#streams, next.stream, next);
  }
  putId(source: SourceState, hash: string, known: KnownId): void {
    this.#set(this.#ids, `${source.key} ${hash}`, known);
  }
  putNumber(source: SourceState, epoch: bigint, sequence: bigint, at: Ref): void {
    this.#set(this.#numbers, numberKey(source.key, source.incarnation, epoch, sequence), at);
  }
  putConflict(source: SourceState, hash: string, digest: string, at: Ref): void {
    this.#set(this.#conflicts, `${source.key} ${hash} ${digest}`, at);
  }
  putJobOrder(jobOrder: string, batch: string): void {
    this.#set(this.#jobOrders, jobOrder, batch);
  }
  putAnswer(key: string, answer: PriorAnswer): void {
    this.#set(this.#answers, key, answer);
  }
  putWaiting(waiting: WaitingEvent & { event: EventInHand | null }): void {
    const key = numberKey(waiting.sourceKey, waiting.incarnation, waiting.epoch, waiting.sequence);
    this.#set(this.#waiting, key, waiting);
  }
  /** A waiting event leaves: it is judged, or its number is taken. */
  endWaiting(waiting: WaitingEvent): void {
    const key = numberKey(waiting.sourceKey, waiting.incarnation, waiting.epoch, waiting.sequence);
    if (this.#waiting.has(key)) {
      const before = this.#waiting.get(key);
      this.#waiting.delete(key);
      this.#undo.push(() => before !== undefined && this.#waiting.set(key, before));
      return;
    }
    this.#waitingGone.add(key);
    this.#undo.push(() => this.#waitingGone.delete(key));
  }
  putDeferral(next: Deferral): void {
    if (this.#deferrals.get(next.position) == null && this.#data.deferrals.get(next.position) == null) this.#countDeferral(next, 1);
    this.#set(this.#deferrals, next.position, next);
  }
  endDeferral(deferral: Deferral): void {
    this.#countDeferral(deferral, -1);
    this.#set(this.#deferrals, deferral.position, null);
  }
  putQuarantine(next: QuarantineEntry): void {
    this.#set(this.#quarantine, next.position, next);
  }
  endQuarantine(entry: QuarantineEntry): void {
    this.#set(this.#quarantine, entry.position, null);
  }

  /** Raises the version of what somebody now waits for, so that whoever changes it sees who waits. */
  raise(waitsFor: string): void {
    const [kind, name] = split(waitsFor);
    if (kind === "batch") {
      if (this.batch(name) === undefined) this.#raise("awaited", waitsFor);
      else this.#raise("batches", name);
    } else if (kind === "equipment") {
      if (this.equipment(name) !== undefined) this.#raise("equipment", name);
    } else if (this.source(name) !== undefined) this.#raise("sources", name);
  }

  /** Looked-at, changed and raised rows, for the commit. */
  get assumed(): Assumed {
    return {
      looked: (kind) => this.#looked.get(kind) ?? NONE,
      raised: (kind) => this.#raised.get(kind) ?? NONE,
      sources: this.#sources,
      batches: this.#batches,
      equipment: this.#equipment,
      streams: this.#streams,
      waiting: this.#waiting,
      waitingGone: this.#waitingGone,
      deferrals: this.#deferrals,
      quarantine: this.#quarantine,
    };
  }

  #countDeferral({ sourceKey, event }: Deferral, by: 1 | -1): void {
    const { count, bytes } = this.#deferred.get(sourceKey) ?? { count: 0, bytes: 0 };
    this.#set(this.#deferred, sourceKey, { count: count + by, bytes: bytes + by * event.bytes });
  }

  #raise(kind: Kind, name: string): void {
    const set = this.#raised.get(kind) ?? new Set();
    this.#raised.set(kind, set);
    if (set.has(name)) return;
    set.add(name);
    this.#undo.push(() => set.delete(name));
  }

  #look(kind: Kind, name: string | number): void {
    const set = this.#looked.get(kind) ?? new Set();
    this.#looked.set(kind, set);
    set.add(name);
  }

  #awaitedVersion(key: string): void {
    this.#look("awaited", key);
    if (!this.#data.awaited.has(key)) throw new NotRead(`what waits for ${key}`, (r) => r.awaited.add(key));
  }

  #set<K, V>(map: Map<K, V>, key: K, value: V): void {
    const had = map.has(key);
    const before = map.get(key);
    map.set(key, value);
    this.#undo.push(() => {
      if (had && before !== undefined) map.set(key, before);
      else map.delete(key);
    });
  }
}

export interface Assumed {
  looked(kind: Kind): ReadonlySet<string | number>;
  raised(kind: Kind): ReadonlySet<string | number>;
  readonly sources: ReadonlyMap<string, SourceState>;
  readonly batches: ReadonlyMap<string, BatchState>;
  readonly equipment: ReadonlyMap<string, EquipmentState>;
  readonly streams: ReadonlyMap<string, StreamHead>;
  readonly waiting: ReadonlyMap<string, WaitingEvent>;
  readonly waitingGone: ReadonlySet<string>;
  readonly deferrals: ReadonlyMap<Ref, Deferral | null>;
  readonly quarantine: ReadonlyMap<Ref, QuarantineEntry | null>;
}

const NONE: ReadonlySet<string> = new Set();

/** Oldest first: positions already given by their number, then those of this group in their order. */
export function byAge(a: Ref, b: Ref): number {
  if (a > 0 && b > 0) return a - b;
  if (a < 0 && b < 0) return b - a;
  return a > 0 ? -1 : 1;
}

const NO_WINDOW: WaitingWindow = { after: -1n, reaches: null, events: [] };

export const windowKey = (source: { readonly source: string; readonly incarnation: number }, epoch: bigint | string): string =>
  `${source.source} ${source.incarnation} ${epoch}`;

const covers = (window: WaitingWindow, sequence: bigint): boolean => sequence > window.after && (window.reaches === null || sequence <= window.reaches);

/** Numbers are unique within a source's incarnation and epoch. */
export const numberKey = (sourceKey: string, incarnation: number, epoch: bigint, sequence: bigint): string =>
  `${sourceKey} ${incarnation}.${epoch}.${sequence}`;

function split(key: string): [kind: string, name: string] {
  const at = key.indexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
}

function addTo(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key) ?? new Set();
  map.set(key, set);
  set.add(value);
}
