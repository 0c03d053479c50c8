import { type RawBuilder, sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { ACCEPTED, type Asked, AT_ONCE, type Direction, keysOf, positionsAt, rarestOf, type Span } from "./trail-places.store.ts";

/** What a search of the audit trail asks for; all of it must hold. */
export interface TrailSearch {
  readonly site: string;
  readonly batch?: string | undefined;
  /** Part of a name: of a person, a source, or `signalbox`; of a person also what they performed at a station. */
  readonly who?: string | undefined;
  /** Part of a type, command or act. */
  readonly what?: string | undefined;
  /** Part of a reason, or a code. */
  readonly why?: string | undefined;
  /** Recorded at or after, and before; UTC. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** At positions from the one to the other. */
  readonly positions?: { readonly from: number; readonly to: number } | undefined;
}

export const TRAIL_ORDERS = ["when", "who", "what", "why"] as const;
export type TrailOrder = (typeof TRAIL_ORDERS)[number];

export interface Found {
  readonly position: number;
  /** By what it was put in order; "" for the order of positions. */
  readonly key: string;
  readonly entry: Buffer;
}

/**
 * Entries of the audit log that fit a search, put in order by what was asked, then by position; of a reason by what it begins with. What is searched are the columns of the record; what is
 * given are the entries' own bytes.
 */
export async function searchTrail(
  db: Db,
  search: TrailSearch,
  order: TrailOrder,
  direction: Direction,
  after: After | null,
  limit: number,
): Promise<readonly Found[]> {
  if (order !== "when") return sorted(db, search, order, direction, after, limit);
  const found: Found[] = [];
  for await (const row of walkTrail(db, search, direction, after?.position ?? null, limit)) if (found.push(row) >= limit) break;
  return found;
}

/** Positions that are looked at in one statement: at first, and at most, where little is found. */
const LOOKED_AT = { first: AT_ONCE, most: 16_384 } as const;

/**
 * What fits a search, in the order of positions, from one side to the other. Looks at some positions at a time, by the index that they have: what was recorded together stands together,
 * and no statement goes through the whole record. Where few positions can fit, only those are looked at. `most`: so many are taken of one look. `within`: the
 * span of the search, for whoever knows it: where times stand has to be found.
 */
export async function* walkTrail(
  db: Db,
  search: TrailSearch & Asked,
  direction: Direction,
  after: number | null = null,
  most: number = LOOKED_AT.most,
  within: Span | null = null,
): AsyncGenerator<Found> {
  const span = within ?? (await spanOf(db, search));
  let first = Math.max(span.first, direction === "asc" && after !== null ? after + 1 : 1);
  let last = Math.min(span.last, direction === "desc" && after !== null ? after - 1 : span.last);
  const rare = search.batch === undefined ? await rarestOf(db, search, { first, last }, direction) : null;
  let next = rare?.found;
  for (let width: number = LOOKED_AT.first; first <= last; ) {
    if (search.batch !== undefined) next = await numbered(db, search.site, search.batch, { first, last }, direction);
    else if (rare !== null) next ??= await positionsAt(db, search.site, rare.places, { first, last }, direction);
    const looked = next === undefined ? windowOf(first, last, width, direction) : onlyAt(next);
    next = undefined;
    if (looked === null) return;
    const rows = await look(db, search, looked, direction, most);
    yield* rows;
    // a look that was full has more
    const end = rows.length < most ? looked : { first: rows.at(-1)?.position ?? last, last: rows.at(-1)?.position ?? first };
    if (direction === "asc") first = end.last + 1;
    else last = end.first - 1;
    if (rows.length < width / 8) width = Math.min(width * 2, LOOKED_AT.most);
  }
}

interface Looked extends Span {
  /** Of all between them only these. */
  readonly only?: readonly number[];
}

const windowOf = (first: number, last: number, width: number, direction: Direction): Looked =>
  direction === "asc" ? { first, last: Math.min(last, first + width - 1) } : { first: Math.max(first, last - width + 1), last };

const onlyAt = (only: readonly number[]): Looked | null => (only.length === 0 ? null : { first: Math.min(...only), last: Math.max(...only), only });

/** The next positions that a batch has numbered; null: all of them. */
async function numbered(
  db: Db,
  site: string,
  batch: string,
  { first, last }: Span,
  direction: Direction,
  limit: number | null = LOOKED_AT.first,
): Promise<readonly number[]> {
  const { rows } = await sql<{ position: bigint }>`
    select position from audit_numbers where site = ${site} and batch = ${batch} and position between ${first} and ${last}
    order by number ${sql.raw(direction)} limit ${limit}`.execute(db);
  return rows.map(({ position }) => safePosition(position));
}

/** Between which positions all that a search is about must stand. Times never go back along positions. */
async function spanOf(db: Db, { site, from: since, to: until, positions }: TrailSearch): Promise<Span> {
  const [from, to] = [since ?? null, until ?? null];
  const { rows } = await sql<{ first: bigint; last: bigint }>`
    select case when ${from}::timestamptz is null then 1 else position_at(${site}, ${from}::timestamptz) + 1 end as first,
      coalesce((select min(g.position) - 1 from signals g where ${to}::timestamptz is not null and g.site = ${site} and g.position > position_at(${site}, ${to}::timestamptz)),
        (select position from sites where site = ${site}), 0) as last`.execute(db);
  const [row] = rows;
  return {
    first: Math.max(safePosition(row?.first ?? 1n), positions?.from ?? 1),
    last: Math.min(safePosition(row?.last ?? 0n), positions?.to ?? Number.MAX_SAFE_INTEGER),
  };
}

async function look(db: Db, search: TrailSearch & Asked, looked: Looked, direction: Direction, limit: number): Promise<readonly Found[]> {
  const { rows } = await sql<{ position: string; entry: Buffer }>`
    select p.position::text as position, e.entry from (
      select t.position from ${trailAt(search.site, looked)} as t where ${fits(search)} order by t.position ${sql.raw(direction)} limit ${limit}
    ) as p cross join lateral ${entryAt(search.site)} as e order by p.position ${sql.raw(direction)}`.execute(db);
  return rows.map((row) => ({ ...row, key: "", position: safePosition(row.position) }));
}

interface After {
  readonly key: string;
  readonly position: number;
}

/** In the order of a name: one name after the other, each in the order of positions. What is rare, of a batch or within a short time is put in order as it is. */
async function sorted(
  db: Db,
  search: TrailSearch,
  order: Exclude<TrailOrder, "when">,
  direction: Direction,
  after: After | null,
  limit: number,
): Promise<readonly Found[]> {
  const span = await spanOf(db, search);
  const rare = search.batch === undefined ? await rarestOf(db, search, span, direction) : null;
  const only = search.batch === undefined ? (rare?.all === true ? rare.found : null) : await numbered(db, search.site, search.batch, span, direction, null);
  if (only !== null) return sortedAtOnce(db, search, { ...span, only }, order, direction, after, limit);
  if (span.last - span.first < LOOKED_AT.most) return sortedAtOnce(db, search, span, order, direction, after, limit);
  const found: Found[] = [];
  if (order === "why") {
    for await (const row of walkReasons(db, search, span, direction, after, limit)) if (found.push(row) >= limit) break;
    return found;
  }
  const keys = await keysOf(db, search, order, direction, after?.key ?? null);
  if (keys === null) return sortedAtOnce(db, search, span, order, direction, after, limit);
  for (const text of keys)
    for await (const row of walkTrail(
      db,
      { ...search, key: { of: order, text } },
      direction,
      text === after?.key ? after.position : null,
      limit - found.length,
      span,
    )) {
      found.push({ ...row, key: text });
      if (found.length >= limit) return found;
    }
  return found;
}

/** In the order of reasons. That of most events is in no index (migration 0036): what stands there in the order is gone through in the order of positions. */
async function* walkReasons(db: Db, search: TrailSearch, span: Span, direction: Direction, after: After | null, limit: number): AsyncGenerator<Found> {
  const passed = after !== null && after.key !== ACCEPTED && (await isBeyond(db, after.key, ACCEPTED, direction));
  if (!passed) {
    if (after?.key !== ACCEPTED) yield* walkIndexed(db, search, span, direction, after, ACCEPTED, limit);
    const accepted = { ...search, key: { of: "why", text: ACCEPTED } } as const;
    for await (const row of walkTrail(db, accepted, direction, after?.key === ACCEPTED ? after.position : null, limit, span)) yield { ...row, key: ACCEPTED };
  }
  const last = direction === "asc" ? Number.MAX_SAFE_INTEGER : 0;
  yield* walkIndexed(db, search, span, direction, passed ? after : { key: ACCEPTED, position: last }, null, limit);
}

async function isBeyond(db: Db, key: string, other: string, direction: Direction): Promise<boolean> {
  const { rows } = await sql<{
    beyond: boolean;
  }>`select ${direction === "asc" ? sql`${key}::text > ${other}` : sql`${key}::text < ${other}`} as beyond`.execute(db);
  return rows[0]?.beyond === true;
}

/** By the indexes of reasons, behind one and before another: all that may stand next, of which what fits is brought. */
async function* walkIndexed(
  db: Db,
  search: TrailSearch,
  { first, last }: Span,
  direction: Direction,
  after: After | null,
  until: string | null,
  limit: number,
): AsyncGenerator<Found> {
  let behind = after;
  for (let width: number = LOOKED_AT.first; ; width = Math.min(width * 2, LOOKED_AT.most)) {
    const { rows } = await sql<{ key: string; position: string }>`select reason as key, position::text as position from next_in_order_of_reason(
      ${search.site}, ${behind?.key ?? null}, ${behind?.position ?? null}, ${until}, ${search.why ?? null}, ${first}, ${last}, ${direction === "desc"}, ${width})`.execute(
      db,
    );
    const looked = onlyAt(rows.map(({ position }) => safePosition(position)));
    if (looked === null) return;
    yield* await sortedAtOnce(db, search, looked, "why", direction, null, limit);
    const end = rows.at(-1);
    if (end === undefined || rows.length < width) return;
    behind = { key: end.key, position: safePosition(end.position) };
  }
}

/** Everything that fits is looked at, and only what is on the page is brought. */
async function sortedAtOnce(
  db: Db,
  search: TrailSearch,
  looked: Looked,
  order: Exclude<TrailOrder, "when">,
  direction: Direction,
  after: After | null,
  limit: number,
): Promise<readonly Found[]> {
  const key = KEYS[order];
  const [way, beyond] = [sql.raw(direction), sql.raw(direction === "asc" ? ">" : "<")];
  const { rows } = await sql<{ position: string; key: string; entry: Buffer }>`
    select p.position::text as position, p.key, e.entry from (
      select t.position, ${key} as key from ${trailAt(search.site, looked)} as t
      where ${fits(search)}
        and ${after === null ? sql`true` : sql`(${key}, t.position) ${beyond} (${after.key}, ${after.position}::bigint)`}
      order by key ${way}, t.position ${way} limit ${limit}
    ) as p cross join lateral ${entryAt(search.site)} as e order by p.key ${way}, p.position ${way}`.execute(db);
  return rows.map((row) => ({ ...row, position: safePosition(row.position) }));
}

/** Of what is on the page alone: without `offset` Postgres might read all entries, and join them. */
const entryAt = (site: string): RawBuilder<unknown> => sql`(select entry from audit_entries where site = ${site} and position = p.position offset 0)`;

/** Who, what and why, of a signal `g`, the verdict `v` at its position and who performed it, `p`; of a later round there is no signal. */
const TOLD = sql`'person:' || p.person as performer, coalesce(g.actor, g.source, 'signalbox') as who,
    case g.kind when 'command' then regexp_replace(g.body ->> 'kind', 'command$', coalesce(g.body ->> 'command', 'command'))
      when 'tick' then (g.body ->> 'tick') || '.due' when 'diag' then 'diagnosis' else coalesce(g.type, v.type, 'unreadable') end as what,
    coalesce(g.body ->> 'reason', v.reason) as why, v.code`;

/**
 * One row for each position, as the view `audit_trail` (migration 0010) has it and who performed it, with signals and verdicts alike held to the positions that are looked at. A condition on the view is
 * not carried over its outer join, and every verdict of the site would be read for each look. Of single positions each is looked up by itself: Postgres would else look all of them up for each join.
 */
function trailAt(site: string, { first, last, only }: Looked): RawBuilder<unknown> {
  if (only !== undefined)
    return sql`(
  select at.position, coalesce(g.recorded_at, v.recorded_at) as recorded_at, ${TOLD}
  from unnest(${only}::bigint[]) as at (position)
    left join lateral (select position, recorded_at, kind, type, actor, source, body from signals where site = ${site} and position = at.position offset 0) as g on true
    left join lateral (select round, recorded_at, type, reason, code from verdicts where site = ${site} and position = at.position offset 0) as v on true
    left join lateral (select person from performances where site = ${site} and position = at.position offset 0) as p on true
  where at.position between ${first} and ${last} and (g.position is not null or v.round > 1))`;
  const at = (position: RawBuilder<unknown>): RawBuilder<unknown> => sql`${position} between ${first} and ${last}`;
  return sql`(
  select g.position, g.recorded_at, ${TOLD}
  from signals g left join verdicts v on v.site = ${site} and v.position = g.position and ${at(sql`v.position`)}
    left join performances p on p.site = ${site} and p.position = g.position and ${at(sql`p.position`)}
  where g.site = ${site} and ${at(sql`g.position`)}
  union all
  select v.position, v.recorded_at, 'person:' || p.person, 'signalbox', coalesce(v.type, 'unreadable'), v.reason, v.code
  from verdicts v left join performances p on p.site = ${site} and p.position = v.position and ${at(sql`p.position`)} where v.site = ${site} and ${at(sql`v.position`)} and v.round > 1
    and not exists (select from signals g where g.site = ${site} and g.position = v.position))`;
}

/** By what a search is put in order; reasons as their indexes have them (migration 0036). */
const KEYS: Readonly<Record<Exclude<TrailOrder, "when">, RawBuilder<unknown>>> = { who: sql`t.who`, what: sql`t.what`, why: sql`reason_in_order(t.why)` };

/** What must hold of a row beside its position and its batch. */
const fits = ({
  who,
  what,
  why,
  from,
  to,
  key,
}: TrailSearch &
  Asked) => sql`${from === undefined ? sql`true` : sql`t.recorded_at >= ${from}::timestamptz`} and ${to === undefined ? sql`true` : sql`t.recorded_at < ${to}::timestamptz`}
  and ${who === undefined ? sql`true` : sql`(${holds(sql`t.who`, who)} or ${holds(sql`t.performer`, who)})`} and ${holds(sql`t.what`, what)} and ${why === undefined ? sql`true` : sql`(${holds(sql`t.why`, why)} or t.code = ${why})`}
  and ${key === undefined ? sql`true` : sql`${KEYS[key.of]} = ${key.text}`}`;

const holds = (column: RawBuilder<unknown>, part: string | undefined) =>
  part === undefined ? sql`true` : sql`strpos(lower(coalesce(${column}, '')), lower(${part})) > 0`;

/** The bytes of one entry; null: there is none at the position. */
export async function readEntry(db: Db, site: string, position: number): Promise<Buffer | null> {
  const { rows } = await sql<{ entry: Buffer }>`select entry from audit_entries where site = ${site} and position = ${position}`.execute(db);
  return rows[0]?.entry ?? null;
}
