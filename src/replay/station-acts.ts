// Acts about stations: what belongs to them, and who is at them.
import { z } from "zod";
import type { SessionRow, StationRow } from "./rows.ts";
import { listAt, type SiteRecord } from "./site-record.ts";

const registered = z.object({ station: z.string(), line: z.string(), title: z.string().nullable(), idleSeconds: z.int() });
const bound = z.object({ station: z.string(), source: z.string(), at: z.string() });
const opened = z.object({ station: z.string(), person: z.string(), idleSeconds: z.int(), at: z.string() });
const continued = z.object({ station: z.string(), session: z.int(), at: z.string() });
const ended = z.object({ station: z.string(), session: z.int(), why: z.string(), at: z.string() });

const ACTS = {
  "station.registered"(record, said) {
    const { station, ...rest } = registered.parse(said);
    if (record.stations.has(station)) return `station ${station} is registered twice`;
    record.stations.set(station, { station, version: 1, ...rest });
    return null;
  },
  "station.changed"(record, said) {
    const { station, title, idleSeconds } = registered.parse(said);
    return changed(record, station, (row) => Object.assign(row, { title, idleSeconds }));
  },
  "station.device.bound"(record, said) {
    const { station, source, at } = bound.parse(said);
    const row = record.sources.get(source);
    if (row === undefined) return `source ${source} is at station ${station} and is not registered`;
    const before = listAt(record.bindingsOf, source);
    if (before.some(({ unbound }) => unbound === null || at < unbound.at)) return `source ${source} is at two stations`;
    before.push({ source, station, position: record.position, boundAt: at, unbound: null });
    row.version += 1;
    return changed(record, station);
  },
  "station.device.unbound"(record, said) {
    const { station, source, at } = bound.parse(said);
    const [row, binding] = [record.sources.get(source), record.bindingsOf.get(source)?.at(-1)];
    if (row === undefined || binding === undefined || binding.station !== station || binding.unbound !== null)
      return `source ${source} is not at station ${station}`;
    binding.unbound = { at, position: record.position };
    row.version += 1;
    return changed(record, station);
  },
  "session.opened"(record, said) {
    const { station, person, idleSeconds, at } = opened.parse(said);
    const before = listAt(record.sessionsAt, station);
    const last = before.at(-1);
    if (last !== undefined && (last.ended === null || at < last.ended.at)) return `station ${station} has two sessions`;
    before.push({ session: record.position, station, person, idleSeconds, openedAt: at, seenAt: at, ended: null });
    return changed(record, station);
  },
  "session.continued"(record, said) {
    const { station, session, at } = continued.parse(said);
    return onOpen(record, station, session, (row) => {
      row.seenAt = at;
    });
  },
  "session.ended"(record, said, by) {
    const { station, session, why, at } = ended.parse(said);
    return onOpen(record, station, session, (row) => {
      row.ended = { at, position: record.position, why, by };
    });
  },
} satisfies Readonly<Record<string, (record: SiteRecord, said: unknown, by: string) => string | null>>;

export const isStationAct = (type: string | null): type is keyof typeof ACTS => type !== null && Object.hasOwn(ACTS, type);

/** What such an act changes; in words, what in it cannot be. The record stands at the act's position. */
export const applyStationAct = (record: SiteRecord, type: keyof typeof ACTS, said: unknown, by: string): string | null => ACTS[type](record, said, by);

function changed(record: SiteRecord, station: string, change: (row: StationRow) => void = () => {}): string | null {
  const row = record.stations.get(station);
  if (row === undefined) return `station ${station} changes and is not registered`;
  change(row);
  row.version += 1;
  return null;
}

function onOpen(record: SiteRecord, station: string, session: number, change: (row: SessionRow) => void): string | null {
  const last = record.sessionsAt.get(station)?.at(-1);
  if (last === undefined || last.session !== session || last.ended !== null) return `session ${session} at station ${station} is not open`;
  change(last);
  return changed(record, station);
}
