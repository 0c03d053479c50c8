import { type RawBuilder, sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

// Where in the record what a search of the audit trail asks for can stand, by the indexes of what is rare (migration 0035): the names of sources, people and acts are few, and of reasons those are
// indexed that are not the same of most events. What is found may not fit; what fits is found.

export type Direction = "asc" | "desc";

/** From one position to another, with both. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** What is searched for: all of it must hold. Of who, what and why a part; of a key all of it. */
export interface Asked {
  readonly site: string;
  readonly who?: string | undefined;
  readonly what?: string | undefined;
  readonly why?: string | undefined;
  readonly key?: { readonly of: Named | "why"; readonly text: string } | undefined;
}
export type Named = "who" | "what";

/** What fits stands at some of these, and nowhere else. */
interface Places {
  /** Of events, by their source or type, and by the code of their verdicts. */
  readonly sources?: readonly string[];
  readonly types?: readonly string[];
  readonly codes?: readonly string[];
  /** Of diagnoses, by their source. */
  readonly diagnosed?: readonly string[];
  /** Of what no device said; and who performed what one said. */
  readonly actors?: readonly string[];
  readonly persons?: readonly string[];
  /** What the log calls what is no event. */
  readonly told?: readonly string[];
  /** Later rounds, of which the service speaks itself; and what could not be read. */
  readonly later?: boolean;
  readonly unread?: boolean;
  readonly positions?: readonly number[];
}

interface Rare {
  readonly places: Places;
  /** The first positions from the side of the span where the search begins. */
  readonly found: readonly number[];
  /** Whether these are all. */
  readonly all: boolean;
}

/** Positions that are brought at once. */
export const AT_ONCE = 512;
/** What holds of more names, or in more reasons, is not rare; of more names than are known somebody makes them up. It is looked for among all that there is. */
const KNOWN_NAMES = 2_000;
const RARE = { names: 32, reasons: 1_000 } as const;
/** Shorter words are not indexed. */
const SHORTEST = 3;

/** Left out of the indexes, as migrations 0034 and 0035 say. */
const MEASUREMENT = "signalbox.step.evidence.v1";
export const ACCEPTED = "Accepted.";
const DUPLICATE = "DUP_EXACT";
const AGAIN = ["accepted", "accepted with exception", "duplicate", "rejected", "observed", "deferred", "quarantined"].map(
  (status) => `The same event had arrived before and is ${status}; nothing was done again.`,
);
const ITSELF = "signalbox";
const UNREADABLE = "unreadable";

/** The rarest of what is asked; null: nothing of it is rare. */
export async function rarestOf(db: Db, asked: Asked, span: Span, direction: Direction): Promise<Rare | null> {
  let rarest: { readonly rare: Rare; readonly reach: number } | null = null;
  for (const find of [ofKey, ofWhy, ofWhat, ofWho]) {
    const places = await find(db, asked, span);
    if (places === null) continue;
    const found = await positionsAt(db, asked.site, places, span, direction);
    const all = found.length < AT_ONCE;
    // all that there are reach farthest, and the farther the fewer they are
    const reach = all ? Number.MAX_SAFE_INTEGER - found.length : Math.abs((found.at(-1) ?? 0) - (found[0] ?? 0));
    if (rarest === null || reach > rarest.reach) rarest = { rare: { places, found, all }, reach };
    if (found.length === 0) break;
  }
  return rarest?.rare ?? null;
}

/** The next positions from one side of a span, in order. Of a name only its own index gives the order that is asked for: Postgres would else go along all positions for one that it takes for frequent. */
export async function positionsAt(db: Db, site: string, places: Places, { first, last }: Span, direction: Direction): Promise<readonly number[]> {
  const way = sql.raw(direction);
  const within = sql`position between ${first} and ${last} order by position ${way} limit ${AT_ONCE}`;
  const eachOf = (names: readonly string[] | undefined, table: string, column: string, more = sql``): readonly RawBuilder<unknown>[] =>
    names === undefined || names.length === 0
      ? []
      : [
          sql`select p.position from unnest(${names}::text[]) as n (name) cross join lateral
            (select position from ${sql.table(table)} where site = ${site} and ${sql.ref(column)} between n.name and n.name ${more}
              and position between ${first} and ${last} order by ${sql.ref(column)} ${way}, position ${way} limit ${AT_ONCE}) as p`,
        ];
  const { sources, types, codes, diagnosed, actors, persons, told = [], later = false, unread = false, positions = [] } = places;
  const branches = [
    ...eachOf(sources, "verdicts", "source"),
    ...eachOf(types, "verdicts", "type", sql`and type <> ${sql.lit(MEASUREMENT)}`),
    ...eachOf(codes, "verdicts", "code"),
    ...eachOf(diagnosed, "signals", "source", sql`and kind = 'diag'`),
    ...eachOf(actors, "signals", "actor"),
    ...eachOf(persons, "performances", "person"),
    ...(told.length > 0 ? [sql`select positions_told(${site}, ${told}::text[], ${first}, ${last}, ${direction === "desc"}, ${AT_ONCE})`] : []),
    ...(later ? [sql`(select position from verdicts where site = ${site} and round > 1 and ${within})`] : []),
    ...(unread ? [sql`(select position from verdicts where site = ${site} and (source is null or type is null) and ${within})`] : []),
    ...(positions.length > 0 ? [sql`select p from unnest(${positions}::bigint[]) as p where p between ${first} and ${last}`] : []),
  ];
  if (branches.length === 0) return [];
  const { rows } = await sql<{ position: string }>`
    select position::text from (select distinct position from (${sql.join(branches, sql` union all `)}) as branches (position)) as found
    order by found.position ${way} limit ${AT_ONCE}`.execute(db);
  return rows.map(({ position }) => safePosition(position));
}

/** By whom, or under what names, what is asked may stand in the log, each once and in order; null: there are too many. */
export async function keysOf(db: Db, { site, who, what }: Asked, of: Named, direction: Direction, from: string | null): Promise<readonly string[] | null> {
  const known =
    of === "who" ? [namesIn("verdicts", "source", site), registered(site), namesIn("signals", "actor", site)] : [namesIn("verdicts", "type", site), told(site)];
  const always = of === "who" ? [ITSELF] : [MEASUREMENT, UNREADABLE];
  // who performed something is no key, and may be whom is asked for
  const part = of === "what" ? what : who !== undefined && (await performersOf(db, site, who))?.length === 0 ? who : undefined;
  const way = sql.raw(direction);
  const beyond = from === null ? sql`true` : direction === "asc" ? sql`name >= ${from}` : sql`name <= ${from}`;
  const held = part === undefined ? sql`true` : sql`strpos(lower(name), lower(${part})) > 0`;
  const { rows } = await sql<{ name: string }>`
    select name from (${sql.join(
      [...known, sql`select unnest(${always}::text[])`].map((names) => sql`(${names})`),
      sql` union `,
    )}) as names (name)
    where ${beyond} and ${held} order by name ${way} limit ${KNOWN_NAMES + 1}`.execute(db);
  return rows.length > KNOWN_NAMES ? null : rows.map(({ name }) => name);
}

async function ofKey(db: Db, { site, key, why }: Asked): Promise<Places | null> {
  if (key === undefined || key.text === MEASUREMENT) return null;
  const names = [key.text];
  // of a reason that does not hold what is asked nothing fits
  if (key.of === "why") return why === undefined || (await holding(db, why, sql`select unnest(${names}::text[])`))?.length === 1 ? null : {};
  if (key.of === "what") return { types: names, told: names, unread: key.text === UNREADABLE };
  const itself = key.text === ITSELF;
  return { sources: names, actors: names, diagnosed: names, told: itself ? await due(db, site) : [], later: itself, unread: itself };
}

async function ofWho(db: Db, { site, who }: Asked): Promise<Places | null> {
  if (who === undefined) return null;
  const [sources, diagnosed, actors, persons, itself] = [
    await holding(db, who, namesIn("verdicts", "source", site)),
    await holding(db, who, registered(site)),
    await holding(db, who, namesIn("signals", "actor", site)),
    await performersOf(db, site, who),
    await holding(db, who, sql`select ${ITSELF}::text`),
  ];
  if (sources === null || diagnosed === null || actors === null || persons === null) return null;
  if (itself?.length !== 1) return { sources, diagnosed, actors, persons };
  return { sources, diagnosed, actors, persons, told: await due(db, site), later: true, unread: true };
}

async function ofWhat(db: Db, { site, what }: Asked): Promise<Places | null> {
  if (what === undefined) return null;
  const always = await holding(db, what, sql`select unnest(${[MEASUREMENT, UNREADABLE]}::text[])`);
  // of the type of most events there are many
  if (always === null || always.includes(MEASUREMENT)) return null;
  const [types, acts] = [await holding(db, what, namesIn("verdicts", "type", site)), await holding(db, what, told(site))];
  return types === null || acts === null ? null : { types, told: acts, unread: always.includes(UNREADABLE) };
}

async function ofWhy(db: Db, { site, why }: Asked, { first, last }: Span): Promise<Places | null> {
  if (why === undefined || [...why].length < SHORTEST) return null;
  const always = await holding(db, why, sql`select unnest(${[ACCEPTED, ...AGAIN]}::text[])`);
  if (always === null || always.includes(ACCEPTED)) return null;
  const { rows } = await sql<{ position: string }>`
    select position::text from positions_saying(${site}, ${why}, ${first}, ${last}, ${RARE.reasons + 1}) as position`.execute(db);
  if (rows.length > RARE.reasons) return null;
  return { codes: always.length > 0 ? [why, DUPLICATE] : [why], positions: rows.map(({ position }) => safePosition(position)) };
}

/** Those of some names that hold a part; null: there are too many, of them or of all. */
async function holding(db: Db, part: string, names: RawBuilder<unknown>, before = ""): Promise<readonly string[] | null> {
  const { rows } = await sql<{ known: number; held: readonly string[] }>`
    select count(*)::int as known, coalesce(array_agg(name) filter (where strpos(lower(${before} || name), lower(${part})) > 0), '{}') as held
    from (select name from (${names}) as all_names (name) limit ${KNOWN_NAMES + 1}) as names`.execute(db);
  const { known = 0, held = [] } = rows[0] ?? {};
  return known > KNOWN_NAMES || held.length > RARE.names ? null : held;
}

/** What a column holds at a site, each once: from one to the next by its index, however many rows have it. */
function namesIn(table: "verdicts" | "signals" | "performances", column: "source" | "type" | "actor" | "person", site: string): RawBuilder<unknown> {
  const name = sql.ref(column);
  const indexed = column === "type" ? sql`type <> ${sql.lit(MEASUREMENT)}` : sql`${name} is not null`;
  const next = (more: RawBuilder<unknown>): RawBuilder<unknown> =>
    sql`(select ${name} as name from ${sql.table(table)} where site = ${site} and ${indexed} ${more} order by ${name} limit 1)`;
  return sql`with recursive names (name) as (${next(sql``)} union all select ${next(sql`and ${name} > names.name`)} from names where names.name is not null)
    select name from names where name is not null`;
}

const performersOf = (db: Db, site: string, part: string): Promise<readonly string[] | null> =>
  holding(db, part, namesIn("performances", "person", site), "person:");
const registered = (site: string): RawBuilder<unknown> => sql`select source from sources where site = ${site}`;
/** What fell due: nobody said it. */
const due = async (db: Db, site: string): Promise<readonly string[]> => (await holding(db, ".due", told(site))) ?? [];
const told = (site: string): RawBuilder<unknown> => sql`select names_told(${site})`;
