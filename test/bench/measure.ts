import type { TestDatabase } from "../support/postgres.ts";
import { postmaster, type Written, written } from "./database.ts";
import { mostMemory, processorSeconds } from "./processor.ts";
import { now } from "./wire.ts";

// What a part has cost from one moment to another.

/** What is measured, and what it runs with. */
export interface Measured {
  /** The process between the two hops; null: there is none. */
  readonly pid: number | null;
  /** The other processes, by what they are. */
  readonly others: () => Readonly<Record<string, number>>;
  readonly database: TestDatabase | null;
}

interface Moment {
  readonly at: number;
  readonly processor: ReadonlyMap<string, number>;
  readonly written: Written | null;
}

export async function moment({ pid, others, database }: Measured): Promise<Moment> {
  const pids = { ...(pid === null ? {} : { subject: pid }), ...(database === null ? {} : { postgres: postmaster(database) }), ...others() };
  return {
    written: database === null ? null : await written(database),
    at: now(),
    processor: new Map(Object.entries(pids).map(([name, process]) => [name, processorSeconds(process)])),
  };
}

export interface Cost {
  readonly seconds: number;
  readonly events: number;
  readonly eventsPerSecond: number;
  /** Processor seconds per 1,000 events. */
  readonly processor: Readonly<Record<string, number>>;
  /** Of each event. */
  readonly walBytes: number | null;
  readonly walSyncs: number | null;
  readonly diskBytes: Readonly<Record<string, number>> | null;
  readonly diskBytesInAll: number | null;
  /** The most memory that the subject has held since it started, in MiB. */
  readonly memoryMiB: number | null;
}

export function cost({ pid }: Measured, from: Moment, to: Moment, events: number): Cost {
  const seconds = (to.at - from.at) / 1_000;
  const apiece = (before: number | undefined, after: number | undefined): number => ((after ?? 0) - (before ?? 0)) / events;
  const tables =
    from.written === null || to.written === null
      ? null
      : [...to.written.tables]
          .map(([name, bytes]) => [name, apiece(from.written?.tables.get(name), bytes)] as const)
          .filter(([, bytes]) => bytes > 0)
          .sort(([, a], [, b]) => b - a);
  return {
    seconds,
    events,
    eventsPerSecond: events / seconds,
    processor: Object.fromEntries([...to.processor].map(([name, used]) => [name, apiece(from.processor.get(name), used) * 1_000])),
    walBytes: to.written === null ? null : apiece(from.written?.walBytes, to.written.walBytes),
    walSyncs: to.written === null ? null : apiece(from.written?.walSyncs, to.written.walSyncs),
    diskBytes: tables === null ? null : Object.fromEntries(tables),
    diskBytesInAll: tables === null ? null : tables.reduce((sum, [, bytes]) => sum + bytes, 0),
    memoryMiB: pid === null ? null : mostMemory(pid),
  };
}
