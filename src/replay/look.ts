// The world of a group, looked up in the record as the judge asks for it: nothing is read beforehand, and nothing twice.
import type { WorldData } from "../decide/world-data.ts";
import type { WorldRequest } from "../decide/world-request.ts";
import {
  allWaitingIn,
  batchIn,
  deferralIn,
  equipmentIn,
  exceptionsIn,
  idIn,
  performanceIn,
  quarantineIn,
  sourceIn,
  stationAtIn,
  stationIn,
  waitingOf,
  windowIn,
} from "./read.ts";
import type { SourceRow } from "./rows.ts";
import type { SiteRecord } from "./site-record.ts";

/** A map in which there is what can be looked up. */
class Straight<K, V> extends Map<K, V> {
  protected readonly look: (key: K) => V | undefined;

  constructor(look: (key: K) => V | undefined) {
    super();
    this.look = look;
  }

  override get(key: K): V | undefined {
    return this.look(key);
  }

  override has(key: K): boolean {
    return this.get(key) !== undefined;
  }
}

/** What has to be put together is kept for whoever asks again. */
class Looked<K, V> extends Straight<K, V> {
  readonly #kept = new Map<K, V>();

  override get(key: K): V | undefined {
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const found = this.look(key);
    if (found !== undefined) this.#kept.set(key, found);
    return found;
  }
}

/**
 * The world as the judge sees it. Only what waits of a source is asked for as the service asks for it: how much of it is judged in one commit depends on how much was read.
 */
export function lookInto(record: SiteRecord, request: WorldRequest): WorldData {
  const { definitions } = record;
  const waitingNext: WorldData["waitingNext"] = new Map();
  for (const [key, wanted] of request.waitingNext) {
    const window = windowIn(record, wanted);
    if (window !== null) waitingNext.set(key, window);
  }
  return {
    site: record.site,
    shard: record.site,
    now: record.clock,
    waitingBytesOfShard: record.waitingBytes,
    sources: new Looked((name) => some(record.sources.get(name), (row) => sourceIn(record, row))),
    ids: new Looked((key) => ofSource(record, key, (source, hash) => idIn(record, source, hash))),
    numbers: new Straight((key) => record.numbers.get(key) ?? null),
    conflicts: new Straight((key) => record.conflicts.get(key)),
    waitingAt: new Looked((key) => some(record.waiting.get(key), waitingOf)),
    waitingNext,
    waitingNumbers: new Looked((name) => some(record.sources.get(name), (row) => allWaitingIn(record, row)) ?? []),
    batches: new Looked((name) => batchIn(record, name)),
    jobOrders: new Straight((order) => record.batchesByOrder.get(order) ?? null),
    equipment: new Looked((name) => equipmentIn(record, name)),
    sourcesOfEquipment: new Looked((name) => [...(record.sourcesOfEquipment.get(name) ?? [])].sort(byKey).map(({ source }) => source)),
    awaited: new Straight((key) => record.awaited.get(key) ?? 0),
    streams: new Looked((stream) => some(record.streams.get(stream), (head) => ({ stream, ...head }))),
    deferrals: new Looked((position) => deferralIn(record, position)),
    waitingFor: new Straight((key) => record.waitingFor.get(key)),
    quarantine: new Looked((position) => quarantineIn(record, position)),
    exceptions: new Looked((position) => exceptionsIn(record, position)),
    recipes: new Straight((name) => definitions.recipe(name)),
    machines: new Straight((name) => definitions.machine(name)),
    keys: new Straight((key) => record.answers.get(key) ?? null),
    stationsAt: new Straight((key) => stationAtIn(record, key.slice(0, key.lastIndexOf(" ")), key.slice(key.lastIndexOf(" ") + 1))),
    stations: new Looked((name) => stationIn(record, name)),
    performances: new Looked((position) => performanceIn(record, position)),
  };
}

const byKey = (a: SourceRow, b: SourceRow): number => Number(a.key) - Number(b.key);

const some = <T, U>(found: T | undefined, as: (found: T) => U): U | null => (found === undefined ? null : as(found));

/** A key that begins with a source's. */
function ofSource<T>(record: SiteRecord, key: string, as: (source: SourceRow, rest: string) => T): T | null {
  const at = key.indexOf(" ");
  return some(record.sourcesByKey.get(key.slice(0, at)), (source) => as(source, key.slice(at + 1)));
}
