import type { TestDatabase } from "../support/postgres.ts";
import { postmaster, type Written, written } from "./database.ts";
import { mostMemory, processorSeconds } from "./processor.ts";
import { now } from "./wire.ts";

// What a part has cost from one moment to another.

/** What is measured, and what it runs with. */
export interface Measured {
  /** The processes between the two hops. */
  readonly pids: readonly number[];
  /** The other processes, by what they are. */
  readonly others: () => Readonly<Record<string, number>>;
  readonly database: TestDatabase | null;
}

interface Moment {
  readonly at: number;
  readonly processor: ReadonlyMap<string, number>;
  readonly written: Written | null;
}

export async function moment({ pids, others, database }: Measured): Promise<Moment> {
  const used = (processes: readonly number[]): number => processes.reduce((sum, process) => sum + processorSeconds(process), 0);
  const parts = { ...(database === null ? {} : { postgres: postmaster(database) }), ...others() };
  return {
    written: database === null ? null : await written(database),
    at: now(),
    processor: new Map([["subject", used(pids)], ...Object.entries(parts).map(([name, process]) => [name, used([process])] as const)]),
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
  /** The most memory that each process of the subject has held since it started, in MiB, together; null: it has none. */
  readonly memoryMiB: number | null;
}

export function cost({ pids }: Measured, from: Moment, to: Moment, events: number): Cost {
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
    memoryMiB: pids.length === 0 ? null : pids.reduce((sum, pid) => sum + mostMemory(pid), 0),
  };
}

/** Of service and Postgres together, per 1,000 events. */
export const decidingSeconds = ({ processor }: Cost): number => (processor["subject"] ?? 0) + (processor["postgres"] ?? 0);
