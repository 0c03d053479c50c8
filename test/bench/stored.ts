import type { TestDatabase } from "../support/postgres.ts";
import { capacityOf } from "./capacity.ts";
import { columns, places } from "./columns.ts";
import { startDatabase, written } from "./database.ts";
import { type Filling, fill } from "./fill.ts";
import { sleep } from "./load.ts";
import { type Cost, decidingSeconds } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { Stand } from "./stand.ts";
import { type Page, timePages } from "./stored-pages.ts";

// What changes when much is stored: how many events the service takes on top of it beside an empty database, turn about; how long the first page of every list takes; what it weighs, and what
// keeping it in order costs.

export interface OfStored {
  readonly filling: Filling;
  readonly sharedBuffersMiB: number;
  readonly databaseMiB: number;
  /** Bytes of each event, by table with its indexes. */
  readonly bytes: Readonly<Record<string, number>>;
  readonly rounds: readonly { readonly empty: Cost; readonly stored: Cost }[];
  /** The slowest first. */
  readonly pages: readonly Page[];
  readonly vacuumSeconds: number;
  /** How often autovacuum ran on a table while it was measured, where it did. */
  readonly autovacuums: Readonly<Record<string, number>>;
  readonly unanswered: number;
}

const MIB = 1 << 20;
const SIGNED_MS = 500;

export async function ofStored(
  options: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "rounds" | "events">,
  say: (text: string) => void,
): Promise<OfStored> {
  const database = await startDatabase();
  const filling = await fill(database, { events: options.events }, say).catch(async (error: unknown) => {
    await database.drop();
    throw error;
  });
  return onTopOf(database, filling, options, say);
}

/** The same of a database that is filled already, which is gone afterwards. */
export async function onTopOf(
  database: TestDatabase,
  filling: Filling,
  { seed, seconds, warmUp, rounds: count }: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "rounds">,
  say: (text: string) => void,
): Promise<OfStored> {
  const { tables } = await written(database);
  const bytes = Object.fromEntries([...tables].map(([name, size]) => [name, size / filling.events] as const).sort(([, a], [, b]) => b - a));
  const full = await Stand.start({ seed, database }, say);
  const empty = await Stand.start({ seed }, say);
  try {
    await signed(full, say);
    const pages = await timePages(full.services[0]?.url ?? "", database, say);
    const before = await autovacuums(database);
    const rounds: { readonly empty: Cost; readonly stored: Cost }[] = [];
    for (let round = 0; round < count; round += 1)
      rounds.push({
        empty: await capacityOf(empty, { seconds, warmUp }, (text) => say(`empty: ${text}`)),
        stored: await capacityOf(full, { seconds, warmUp }, (text) => say(`stored: ${text}`)),
      });
    const after = await autovacuums(database);
    const began = performance.now();
    await database.query("vacuum (analyze)");
    return {
      filling,
      sharedBuffersMiB: (await numberOf(database, "select setting::float8 * 8192 from pg_settings where name = 'shared_buffers'")) / MIB,
      databaseMiB: (await numberOf(database, "select pg_database_size(current_database())::float8")) / MIB,
      bytes,
      rounds,
      pages,
      vacuumSeconds: (performance.now() - began) / 1_000,
      autovacuums: Object.fromEntries(
        Object.entries(after).flatMap(([table, runs]) => (runs > (before[table] ?? 0) ? [[table, runs - (before[table] ?? 0)]] : [])),
      ),
      unanswered: full.unanswered + empty.unanswered,
    };
  } finally {
    await empty.end();
    await full.end();
  }
}

/** The signer signs what was filled before anything is measured. */
async function signed({ database }: Stand, say: (text: string) => void): Promise<void> {
  const began = performance.now();
  while ((await numberOf(database, "select (position - signed_position(site))::float8 from sites")) > 0) await sleep(SIGNED_MS);
  say(`all is signed after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
}

async function numberOf(database: TestDatabase, text: string): Promise<number> {
  const [row = {}] = await database.query(text);
  return Number(Object.values(row)[0]);
}

async function autovacuums(database: TestDatabase): Promise<Readonly<Record<string, number>>> {
  const rows = await database.query("select relname, (autovacuum_count + autoanalyze_count)::int as runs from pg_stat_user_tables");
  return Object.fromEntries(rows.map(({ relname, runs }) => [String(relname), Number(runs)]));
}

/** Of what the empty database takes, how much the filled one does: in events a second, and in what an event costs of processor time. */
export function ratioOf({ rounds }: OfStored): { readonly throughput: number; readonly processor: number } {
  const ratios = rounds.map(({ empty, stored }) => ({
    throughput: stored.eventsPerSecond / empty.eventsPerSecond,
    processor: decidingSeconds(empty) / decidingSeconds(stored),
  }));
  const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  return { throughput: middle(ratios.map(({ throughput }) => throughput)), processor: middle(ratios.map(({ processor }) => processor)) };
}

/** So many of the slowest pages are told. */
const SLOWEST = 20;

export function tellStored(stored: OfStored): string[] {
  const { filling, sharedBuffersMiB, databaseMiB, bytes, rounds, pages, vacuumSeconds, autovacuums } = stored;
  const { throughput, processor } = ratioOf(stored);
  const all = Object.values(bytes).reduce((sum, size) => sum + size, 0);
  return [
    `\nOn top of ${places(filling.events)} stored events, ${places(databaseMiB)} MiB, of which ${places(sharedBuffersMiB)} are shared buffers: events a second, and processor seconds of service and Postgres per 1,000`,
    columns([
      ["", "empty", "stored", "empty, s", "stored, s"],
      ...rounds.map(({ empty, stored }, n) => [
        `round ${n + 1}`,
        places(empty.eventsPerSecond),
        places(stored.eventsPerSecond),
        places(decidingSeconds(empty), 3),
        places(decidingSeconds(stored), 3),
      ]),
    ]),
    `of the empty database's: ${places(throughput * 100)} % of the events a second, ${places(processor * 100)} % of the events for the same processor time`,
    `\nThe first page of every list: ${pages.length} were asked for; the slowest, in milliseconds`,
    columns([["", "median", "99 %"], ...pages.slice(0, SLOWEST).map(({ path, p50, p99 }) => [path, places(p50, 1), places(p99, 1)])]),
    "\nBytes of each stored event, by table with its indexes",
    columns([...Object.entries(bytes).flatMap(([name, size]) => (size < 1 ? [] : [[name, places(size)]])), ["together", places(all)]]),
    `\nA vacuum of all of it took ${places(vacuumSeconds, 1)} s; autovacuum ran on ${Object.keys(autovacuums).join(", ") || "nothing"}`,
  ];
}
