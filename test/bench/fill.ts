import pg from "pg";
import type { TestDatabase } from "../support/postgres.ts";
import { countOf, dayOf, hashOf, type Known, literal, momentOf, type Seen, textOf } from "./fill-pattern.ts";
import { decideTurns, EVENTS_OF_A_CELL, type Turns } from "./fill-turns.ts";
import { CELLS, SITE } from "./plan.ts";

// A record of millions of events, as the service would have left it, that nobody had to live through: some turns of the plant are decided and committed by its own code, the further ones are
// stamped from them by SQL, as sets. What a stamp must say differently is found by comparing the turns that were decided (fill-pattern.ts); that it says it rightly is what `signalbox verify`
// finds, which decides everything again.

export interface Filling {
  readonly events: number;
  readonly positions: number;
  readonly turns: number;
  /** RFC 3339. */
  readonly from: string;
  readonly to: string;
}

export interface FillOptions {
  /** At least so many stored events. */
  readonly events: number;
  readonly cells?: number;
  /** How long ago the record begins; it ends now. */
  readonly days?: number;
}

/** The first is unlike the others, which begin where something is already; three show what is the same between them. */
const DECIDED = 4;
const LOOKED_AT = [1, 2, 3];
const DAY_MS = 86_400_000;
/** Rows that one statement makes. */
const ROWS_AT_ONCE = 60_000;

type Db = pg.Client;
type Place = { readonly turn: number; readonly cell: number };

interface Table {
  readonly table: string;
  /** The position at which a row was written; null: it is of a batch, by its name. */
  readonly position: string | null;
  readonly order: string;
  /** Rows of a batch alone. */
  readonly where?: string;
}

const TABLES: readonly Table[] = [
  { table: "signals", position: "position", order: "position" },
  { table: "event_ids", position: "position", order: "position" },
  { table: "event_numbers", position: "position", order: "position" },
  { table: "verdicts", position: "position", order: "position" },
  { table: "batches", position: null, order: "batch" },
  { table: "awaited", position: null, order: "awaited" },
  { table: "steps", position: null, order: "batch, ordinal, attempt" },
  { table: "evidence", position: "position", order: "position" },
  { table: "context_locks", position: "taken_position", order: "taken_position, lock" },
  { table: "quarantine", position: "position", order: "position" },
  { table: "exceptions", position: "position", order: "position, ordinal" },
  { table: "facts", position: "position", order: "position, ordinal" },
  { table: "streams", position: null, order: "stream", where: "stream like 'batch/F-%'" },
  { table: "outcomes", position: "position", order: "position, ordinal" },
  { table: "audit_numbers", position: "position", order: "position" },
  { table: "audit_entries", position: "position", order: "position" },
  { table: "commits", position: "first_position", order: "first_position" },
];
/** Rows that there are already, by what they are called, and that go on. */
const GOES_ON = [
  { table: "sites", key: "site" },
  { table: "equipment", key: "equipment" },
  { table: "sources", key: "source" },
  { table: "streams", key: "stream" },
] as const;

interface Column {
  readonly name: string;
  readonly type: string;
}

/** Fills a fresh database with a record that ends now. */
export async function fill(database: TestDatabase, { events, cells = CELLS, days = 30 }: FillOptions, say: (text: string) => void): Promise<Filling> {
  const turns = Math.max(DECIDED + 1, Math.ceil(events / (cells * EVENTS_OF_A_CELL)));
  const stepMs = Math.floor((days * DAY_MS) / turns);
  const from = Date.now() - turns * stepMs;
  const begins = (turn: number): number => from + turn * stepMs;
  const client = await session(database);
  try {
    await makeMonths(client, from);
    const standing = new Map<number, Standing>();
    const before = await counts(client);
    const decided = await decideTurns(database, {
      cells,
      turns: DECIDED,
      begins,
      after: async (turn) => void standing.set(turn, await stands(client)),
    });
    await allIsStamped(client, before);
    say(`${DECIDED} turns are decided: ${decided.ends[DECIDED]} positions`);
    const known: Known = { ...decided, begins };
    const statements = await stampsOf(client, decided, known);
    const last = (decided.ends[DECIDED] ?? 0) + (turns - DECIDED) * ((decided.ends[DECIDED] ?? 0) - (decided.ends[DECIDED - 1] ?? 0));
    await client.query("select ensure_partitions($1)", [last]);
    await sideBySide(database, statements, { first: DECIDED, last: turns - 1, atOnce: Math.max(1, Math.floor(ROWS_AT_ONCE / (last / turns))) }, say);
    await goOn(client, standing, known, turns - 1);
    await client.query("insert into relay_cursors (shard, position) values ($1, $2) on conflict (shard) do update set position = excluded.position", [
      SITE,
      last,
    ]);
    await client.query("drop schema clock cascade");
    await client.query("alter role signalbox_owner reset search_path");
    await client.query("vacuum (analyze)");
    return {
      events: turns * cells * EVENTS_OF_A_CELL,
      positions: last,
      turns,
      from: new Date(from).toISOString(),
      to: new Date(begins(turns)).toISOString(),
    };
  } finally {
    await client.end();
  }
}

async function session(database: TestDatabase): Promise<Db> {
  const client = new pg.Client({ connectionString: database.superUrl });
  await client.connect();
  // triggers and foreign keys have seen the turns that are copied; what is planned is large, and stays the same
  await client.query(
    "set session_replication_role = replica; set synchronous_commit = off; set work_mem = '128MB'; set jit = off; set plan_cache_mode = force_generic_plan",
  );
  return client;
}

interface Stamp {
  readonly name: string;
  readonly text: string;
}

interface Span {
  readonly first: number;
  readonly last: number;
  /** Turns that one statement makes. */
  readonly atOnce: number;
}

/** Tables side by side: an entry is dearer than all others of an event. */
async function sideBySide(database: TestDatabase, stamps: readonly Stamp[], span: Span, say: (text: string) => void): Promise<void> {
  const middle = Math.floor((span.first + span.last) / 2);
  const lanes = [["audit_entries"], ["signals", "event_ids", "event_numbers"], ["verdicts"], ["outcomes", "streams", "audit_numbers"]];
  const others = stamps.map(({ name }) => name).filter((name) => !lanes.flat().includes(name));
  await Promise.all(
    [...lanes, others].flatMap((tables) =>
      [
        { ...span, last: middle },
        { ...span, first: middle + 1 },
      ].map((half) =>
        stamp(
          database,
          stamps.filter(({ name }) => tables.includes(name)),
          half,
          (turn) => say(`${tables[0]}: turn ${turn} of ${half.last}`),
        ),
      ),
    ),
  );
}

async function stamp(database: TestDatabase, stamps: readonly Stamp[], { first, last, atOnce }: Span, done: (turn: number) => void): Promise<void> {
  const client = await session(database);
  try {
    for (let turn = first; turn <= last; turn += atOnce) {
      const until = Math.min(last, turn + atOnce - 1);
      for (const stamp of stamps) await client.query({ ...stamp, values: [turn, until] });
      done(until);
    }
  } finally {
    await client.end();
  }
}

/** What belongs to a batch stands in the month in which it was opened. */
async function makeMonths(client: Db, from: number): Promise<void> {
  const month = new Date(`${new Date(from).toISOString().slice(0, 7)}-01T00:00:00Z`);
  await client.query("set role signalbox_owner");
  while (month.getTime() < Date.now()) {
    const first = month.toISOString().slice(0, 10);
    month.setUTCMonth(month.getUTCMonth() + 1);
    const name = first.slice(0, 7).replace("-", "_");
    for (const table of ["facts", "outcomes"])
      await client.query(
        `create table if not exists ${table}_${name} partition of ${table} for values from ('${first}') to ('${month.toISOString().slice(0, 10)}')`,
      );
  }
  await client.query("reset role");
}

/** What each column holds as text: times with microseconds, bytes as the text that they are of or in hex. */
function shownAs({ name, type }: Column): string {
  if (type === "timestamp with time zone") return `to_char(${name} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  if (type === "bytea") return IS_TEXT.has(name) ? `convert_from(${name}, 'UTF8')` : `encode(${name}, 'hex')`;
  return `${name}::text`;
}
const IS_TEXT: ReadonlySet<string> = new Set(["raw", "entry"]);

function expressionOf({ name, type }: Column, seen: readonly Seen[], known: Known): string {
  if (seen.every(({ text }) => text === null)) return `null::${type}`;
  if (name === "raw_length") return OWN_LENGTH;
  if (COUNTED.test(type)) return `${countOf(seen)}::${type}`;
  if (type === "timestamp with time zone") return momentOf(seen);
  if (type === "date" && seen.every(({ text }) => text !== STANDING)) return `${dayOf(seen, known)}::date`;
  if (type === "bytea" && !IS_TEXT.has(name)) return `(${hashOf(seen, known)})::bytea`;
  const written = textOf(seen, known);
  return type === "bytea" ? `convert_to(${written}, 'UTF8')` : `(${written})::${type}`;
}
/** As long as the row's own delivery. */
const OWN_LENGTH = "octet_length(raw)";
const COUNTED = /^(bigint|integer|smallint)$/;
/** The day of what belongs to no batch. */
const STANDING = "2000-01-01";

async function columnsOf(client: Db, table: string): Promise<readonly Column[]> {
  const { rows } = await client.query(
    `select attname as name, format_type(atttypid, null) as type from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' and (attidentity = '' or attname <> 'lock') order by attnum`,
    [table],
  );
  return rows;
}

/** One statement for each table, which makes the rows of the turns from $1 to $2. */
async function stampsOf(client: Db, turns: Turns, known: Known): Promise<readonly Stamp[]> {
  const places = await placesOf(client, turns);
  const stamps: Stamp[] = [];
  for (const table of TABLES) stamps.push({ name: table.table, text: await stampOf(client, table, places, known) });
  return stamps;
}

async function stampOf(client: Db, { table, position, order, where }: Table, places: (position: number) => Place | null, known: Known): Promise<string> {
  const columns = await columnsOf(client, table);
  const shown = columns.map((column) => `${shownAs(column)} as "${column.name}"`).join(", ");
  const { rows } = await client.query(
    `select ${position ?? "null"} as "row at", ${shown} from ${table} ${where === undefined ? "" : `where ${where}`} order by ${order
      .split(", ")
      // as they are, and not as they are shown
      .map((name) => `${table}.${name}`)
      .join(", ")}`,
  );
  /** By what it is in its cell's turn: the same in each. */
  const slots = new Map<number, { readonly place: Place; readonly row: Record<string, string | null> }[]>();
  const reached = new Map<string, number>();
  for (const row of rows) {
    const place = position === null ? placeOf(row["batch"] ?? row["stream"] ?? row["awaited"]) : places(Number(row["row at"]));
    if (place === null || !LOOKED_AT.includes(place.turn)) continue;
    const key = `${place.turn} ${table === "commits" ? 0 : place.cell}`;
    const slot = reached.get(key) ?? 0;
    reached.set(key, slot + 1);
    slots.set(slot, [...(slots.get(slot) ?? []), { place: table === "commits" ? { ...place, cell: 0 } : place, row }]);
  }
  const sizes = new Set([...slots.values()].map((slot) => slot.length));
  if (sizes.size !== 1) throw new Error(`the turns differ in their rows of ${table}: ${[...sizes]}`);
  const [seen = 0] = sizes;
  const branches = [...slots.values()].map((slot) => {
    const values = columns.map((column) => {
      if (column.name === "group_id") return "gen_random_uuid()";
      try {
        return expressionOf(
          column,
          slot.map(({ place, row }) => ({ ...place, text: row[column.name] ?? null })),
          known,
        );
      } catch (error) {
        throw new Error(`${table}.${column.name}: ${error instanceof Error ? error.message : error}`);
      }
    });
    const raw = values[columns.findIndex(({ name }) => name === "raw")];
    return `select ${values.map((value, n) => `${value === OWN_LENGTH ? `octet_length(${raw})` : value} as "${columns[n]?.name}"`).join(", ")} from places`;
  });
  const names = columns.map(({ name }) => `"${name}"`).join(", ");
  return `with places as materialized (select turn, cell from generate_series($1::bigint, $2) as turn, generate_series(0::bigint, ${seen / LOOKED_AT.length - 1}) as cell)
    insert into ${table} (${names}) select ${names} from (${branches.join(" union all ")}) as rows order by ${position ?? order}`;
}

/** Which cell's turn a position belongs to. */
async function placesOf(client: Db, { ends }: Turns): Promise<(position: number) => Place | null> {
  const { rows } = await client.query(`select position, batch from audit_numbers union select position, source from verdicts where source is not null
    union select g.position, n.batch from signals g join audit_numbers n on n.position = (g.body ->> 'event')::bigint`);
  const cells = new Map<number, number>();
  for (const { position, batch } of rows) {
    const [, cell] = /^F-(\d+)-/.exec(batch) ?? /-(\d+)$/.exec(batch) ?? [];
    cells.set(Number(position), Number(cell) - 1);
  }
  return (position) => {
    const turn = ends.findIndex((end) => position <= end) - 1;
    const cell = cells.get(position);
    if (turn < 0) return null;
    if (cell === undefined) throw new Error(`nobody knows whose position ${position} is`);
    return { turn, cell };
  };
}

function placeOf(name: string | null | undefined): Place | null {
  const [, cell, turn] = /F-(\d+)-(\d+)$/.exec(name ?? "") ?? [];
  return cell === undefined || turn === undefined ? null : { turn: Number(turn) - 1, cell: Number(cell) - 1 };
}

type Row = Readonly<Record<string, string | null>>;
/** Rows that go on, by their table. */
type Standing = ReadonlyMap<string, readonly Row[]>;

async function stands(client: Db): Promise<Standing> {
  const all = new Map<string, readonly Row[]>();
  for (const { table, key } of GOES_ON) {
    const columns = await columnsOf(client, table);
    const { rows } = await client.query(
      `select ${columns.map((column) => `${shownAs(column)} as "${column.name}"`).join(", ")} from ${table} ${table === "streams" ? "where stream not like 'batch/F-%'" : ""} order by ${key}`,
    );
    all.set(table, rows);
  }
  return all;
}

/** Brings them to where they stand at the end of a turn. */
async function goOn(client: Db, standing: ReadonlyMap<number, Standing>, known: Known, turn: number): Promise<void> {
  for (const { table, key } of GOES_ON) {
    const columns = await columnsOf(client, table);
    const looked = LOOKED_AT.map((turn) => ({ turn, rows: standing.get(turn)?.get(table) ?? [] }));
    for (const [n, row] of (looked[0]?.rows ?? []).entries()) {
      const changed = columns.flatMap((column) => {
        const seen = looked.map(({ turn, rows }) => ({ turn, cell: 0, text: rows[n]?.[column.name] ?? null }));
        return seen.every(({ text }) => text === seen[0]?.text) ? [] : [`"${column.name}" = ${expressionOf(column, seen, known)}`];
      });
      if (changed.length > 0)
        await client.query(
          `update ${table} set ${changed.join(", ")} from (select ${turn}::bigint as turn, 0::bigint as cell) as at where ${key} = ${literal(row[key] ?? "")}`,
        );
    }
  }
}

/** A table that nobody stamps must not have grown. */
async function allIsStamped(client: Db, before: ReadonlyMap<string, number>): Promise<void> {
  const known = new Set<string>([...TABLES, ...GOES_ON].map(({ table }) => table));
  const set = new Set(["recipes", "state_machines", "shards", "audit_logs"]);
  for (const [table, rows] of await counts(client))
    if (!known.has(table) && !set.has(table) && rows !== before.get(table)) throw new Error(`${table} has rows, and nobody stamps them`);
}

async function counts(client: Db): Promise<ReadonlyMap<string, number>> {
  const { rows } = await client.query(
    "select relname as table from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by relname",
  );
  const all = new Map<string, number>();
  for (const { table } of rows) all.set(table, Number((await client.query(`select count(*) from ${table}`)).rows[0]?.count));
  return all;
}
