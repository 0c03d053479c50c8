import type { BatchState, EquipmentState } from "../authorise/execution-context.ts";
import type { PerformedBy, StationAt, StationState } from "../authorise/performer.ts";
import { byAge } from "../sequence/age.ts";
import type { KnownId, Ref, SourceState, WaitingEvent } from "../sequence/source-state.ts";
import { type Attempt, Changes } from "./changes.ts";
import type { ExceptionState } from "./exception.ts";
import { Numbers } from "./numbers.ts";
import { type Deferral, type Definition, type PriorAnswer, type QuarantineEntry, type StreamHead, timeKey, type WorldData } from "./world-data.ts";
import { askFor, NotRead } from "./world-request.ts";

type Kind = "sources" | "batches" | "equipment" | "awaited" | "streams" | "deferrals" | "quarantine" | "stations";

/**
 * The world a group is judged in: what was read, overlaid by what the group has changed so far. It keeps count of every mutable row that was looked at, since
 * the commit must prove each of them unchanged; and of every change, so that a signal whose judgement throws leaves no trace.
 */
export class World {
  readonly numbers: Numbers;
  readonly #data: WorldData;
  readonly #changes = new Changes();
  readonly #sources = new Map<string, SourceState>();
  readonly #batches = new Map<string, BatchState>();
  readonly #equipment = new Map<string, EquipmentState>();
  readonly #streams = new Map<string, StreamHead>();
  readonly #ids = new Map<string, KnownId>();
  readonly #conflicts = new Map<string, Ref>();
  readonly #deferrals = new Map<Ref, Deferral | null>();
  /** by source: how many deferred events this group opened and ended */
  readonly #deferred = new Map<string, { readonly count: number; readonly bytes: number }>();
  readonly #quarantineEnded = new Set<Ref>();
  readonly #exceptions = new Map<Ref, readonly ExceptionState[]>();
  readonly #answers = new Map<string, PriorAnswer>();
  readonly #jobOrders = new Map<string, string>();
  readonly #stations = new Map<string, StationState>();
  readonly #performances = new Map<Ref, PerformedBy | null>();
  /** every mutable row that was looked at */
  readonly #looked = new Map<Kind, Set<string | number>>();
  /** rows whose version rises though nothing of them changed, since somebody now waits for them */
  readonly #raised = new Map<Kind, Set<string>>();

  constructor(data: WorldData) {
    this.#data = data;
    this.numbers = new Numbers(data, this.#changes);
  }

  get read(): WorldData {
    return this.#data;
  }

  /** Runs `judge`; if it throws anything but a wish to read more, every change it made is taken back and the error is returned. */
  attempt<T>(judge: () => T): Attempt<T> {
    return this.#changes.attempt(judge);
  }

  source(source: string): SourceState | undefined {
    this.#look("sources", source);
    const changed = this.#sources.get(source);
    if (changed !== undefined) return changed;
    const read = this.#data.sources.get(source);
    if (read === undefined) throw new NotRead(`source ${source}`, (r) => r.sources.add(source));
    return read ?? undefined;
  }

  /** A source on whose branch events are signed. Where none are it is not looked at: whoever is given keys meanwhile signs what comes after that. */
  signingSource(source: string): SourceState | undefined {
    const read = this.#data.sources.get(source);
    if (read === undefined) throw new NotRead(`source ${source}`, (r) => r.sources.add(source));
    return read?.signing === undefined ? undefined : this.source(source);
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
    const read = this.#data.sourcesOfEquipment.get(equipment);
    if (read === undefined)
      throw new NotRead(`the sources of equipment ${equipment}`, (r) => {
        r.equipment.add(equipment);
        // what one signal of a group looks at others will, each of another batch, and each would have all of it read again
        for (const [name, batch] of this.#data.batches) if (batch !== null) r.sourcesOf.add(name);
      });
    return read;
  }

  id(source: SourceState, hash: string): KnownId | undefined {
    const key = `${source.key} ${hash}`;
    const fresh = this.#ids.get(key);
    if (fresh !== undefined) return fresh;
    const read = this.#data.ids.get(key);
    if (read === undefined) throw new NotRead(`id ${hash} of ${source.source}`, (r) => askFor(r.ids, source.source, hash));
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

  /** At which station a source was at a time; null: at none. Whoever binds it anew raises its version. */
  stationAt(source: string, at: string): StationAt | null {
    const read = this.#data.stationsAt.get(timeKey(source, at));
    if (read === undefined) throw new NotRead(`where ${source} was at ${at}`, (r) => askFor(r.stationsAt, source, at));
    return read;
  }

  /** A station at which a source was. */
  station(station: string): StationState {
    this.#look("stations", station);
    const found = this.#stations.get(station) ?? this.#data.stations.get(station);
    if (found == null) throw new Error(`station ${station}, at which a device was, is not there`);
    return found;
  }

  /** Who performed what an event tells of that came at a position. */
  performanceAt(position: Ref): PerformedBy | null {
    const found = this.#performances.get(position) ?? this.#data.performances.get(position);
    if (found === undefined && !this.#performances.has(position)) throw new NotRead(`the performer at ${position}`, (r) => r.performances.add(position));
    return found ?? null;
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
    if (this.#deferrals.size === 0 && !this.#data.waitingFor.has(key)) return NOBODY;
    const found = new Set<Ref>();
    for (const position of this.#data.waitingFor.get(key) ?? []) if (this.#deferrals.get(position) !== null) found.add(position);
    for (const [position, deferral] of this.#deferrals) if (deferral?.waits.includes(key)) found.add(position);
    return [...found].sort(byAge);
  }

  quarantined(position: Ref): QuarantineEntry | undefined {
    if (this.#quarantineEnded.has(position)) return undefined;
    const read = this.#data.quarantine.get(position);
    if (read === undefined) throw new NotRead(`quarantined event ${position}`, (r) => r.quarantine.add(position));
    if (read === null) return undefined;
    this.#look("quarantine", position);
    return read;
  }

  /** The exceptions that were opened at a position. Who disposes of one changes its batch too, whose version tells; of one without a batch the commit asks whether it is still open. */
  exceptionsAt(position: Ref): readonly ExceptionState[] {
    const changed = this.#exceptions.get(position);
    if (changed !== undefined) return changed;
    const read = this.#data.exceptions.get(position);
    if (read === undefined) throw new NotRead(`exceptions at ${position}`, (r) => r.exceptions.add(position));
    return read;
  }

  putSource(next: SourceState): void {
    this.#changes.set(this.#sources, next.source, next);
  }
  putBatch(next: BatchState): void {
    this.#changes.set(this.#batches, next.batch, next);
  }
  putEquipment(next: EquipmentState): void {
    this.#changes.set(this.#equipment, next.equipment, next);
  }
  putStream(next: StreamHead): void {
    this.#changes.set(this.#streams, next.stream, next);
  }
  putId(source: SourceState, hash: string, known: KnownId): void {
    this.#changes.set(this.#ids, `${source.key} ${hash}`, known);
  }
  putConflict(source: SourceState, hash: string, digest: string, at: Ref): void {
    this.#changes.set(this.#conflicts, `${source.key} ${hash} ${digest}`, at);
  }
  putJobOrder(jobOrder: string, batch: string): void {
    this.#changes.set(this.#jobOrders, jobOrder, batch);
  }
  /** Something was heard of a station. */
  hearStation(next: StationState): void {
    if (this.station(next.station) !== next) this.#changes.set(this.#stations, next.station, next);
  }
  putPerformance(at: Ref, performedBy: PerformedBy | null): void {
    this.#changes.set(this.#performances, at, performedBy);
  }
  putAnswer(key: string, answer: PriorAnswer): void {
    this.#changes.set(this.#answers, key, answer);
  }
  putDeferral(next: Deferral): void {
    if (this.#deferrals.get(next.position) == null && this.#data.deferrals.get(next.position) == null) this.#countDeferral(next, 1);
    this.#changes.set(this.#deferrals, next.position, next);
  }
  endDeferral(deferral: Deferral): void {
    this.#countDeferral(deferral, -1);
    this.#changes.set(this.#deferrals, deferral.position, null);
  }
  putExceptions(position: Ref, next: readonly ExceptionState[]): void {
    this.#changes.set(this.#exceptions, position, next);
  }
  endQuarantine(entry: QuarantineEntry): void {
    this.#changes.add(this.#quarantineEnded, entry.position);
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
      stations: this.#stations,
      waiting: this.numbers.waiting,
      waitingGone: this.numbers.waitingGone,
      deferrals: this.#deferrals,
    };
  }

  #countDeferral({ sourceKey, event }: Deferral, by: 1 | -1): void {
    const { count, bytes } = this.#deferred.get(sourceKey) ?? { count: 0, bytes: 0 };
    this.#changes.set(this.#deferred, sourceKey, { count: count + by, bytes: bytes + by * event.bytes });
  }

  #raise(kind: Kind, name: string): void {
    const set = this.#raised.get(kind) ?? new Set();
    this.#raised.set(kind, set);
    this.#changes.add(set, name);
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
}

export interface Assumed {
  looked(kind: Kind): ReadonlySet<string | number>;
  raised(kind: Kind): ReadonlySet<string | number>;
  readonly sources: ReadonlyMap<string, SourceState>;
  readonly batches: ReadonlyMap<string, BatchState>;
  readonly equipment: ReadonlyMap<string, EquipmentState>;
  readonly streams: ReadonlyMap<string, StreamHead>;
  readonly stations: ReadonlyMap<string, StationState>;
  readonly waiting: ReadonlyMap<string, WaitingEvent>;
  readonly waitingGone: ReadonlySet<string>;
  readonly deferrals: ReadonlyMap<Ref, Deferral | null>;
}

const NONE: ReadonlySet<string> = new Set();
const NOBODY: readonly Ref[] = [];

function split(key: string): [kind: string, name: string] {
  const at = key.indexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
}
