import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

/** What a search of the audit trail asks for; all of it must hold. */
export interface TrailSearch {
  readonly site: string;
  readonly batch?: string | undefined;
  /** Part of a name: of a person, a source, or `signalbox`. */
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
 * Entries of the audit log that fit a search, put in order by what was asked, then by position. What is searched are the columns of the record; what is given are the
 * entries' own bytes.
 */
export async function searchTrail(
  db: Db,
  search: TrailSearch,
  order: TrailOrder,
  direction: "asc" | "desc",
  after: { readonly key: string; readonly position: number } | null,
  limit: number,
): Promise<readonly Found[]> {
  const { site, batch = null, from = null, to = null, positions } = search;
  const key = { when: sql`''::text`, who: sql`t.who`, what: sql`t.what`, why: sql`coalesce(t.why, '')` }[order];
  const way = sql.raw(direction);
  // positions alone are in order already: nothing need be sorted that is not on the page
  const place = order === "when" ? sql`t.position` : sql`(${key}, t.position)`;
  const last = order === "when" ? sql`${after?.position ?? 0}::bigint` : sql`(${after?.key ?? ""}, ${after?.position ?? 0}::bigint)`;
  const beyond = sql.raw(direction === "asc" ? ">" : "<");
  const { rows } = await sql<{ position: string; key: string; entry: Buffer }>`
    select t.position::text as position, ${key} as key, e.entry
    from audit_trail t join audit_entries e on e.site = t.site and e.position = t.position
    where t.site = ${site}
      and (${batch}::text is null or t.position in (select n.position from audit_numbers n where n.site = ${site} and n.batch = ${batch}))
      and (${from}::timestamptz is null or (t.position >= position_at(${site}, ${from}::timestamptz) and t.recorded_at >= ${from}::timestamptz))
      and (${to}::timestamptz is null or (t.recorded_at < ${to}::timestamptz
        and t.position < coalesce((select min(g.position) from signals g where g.site = ${site} and g.position > position_at(${site}, ${to}::timestamptz)), 9223372036854775807)))
      and ${holds(sql`t.who`, search.who)} and ${holds(sql`t.what`, search.what)}
      and (${search.why ?? null}::text is null or ${holds(sql`t.why`, search.why)} or t.code = ${search.why ?? null})
      and ${positions === undefined ? sql`true` : sql`t.position between ${positions.from} and ${positions.to}`}
      and ${after === null ? sql`true` : sql`${place} ${beyond} ${last}`}
    order by ${order === "when" ? sql`` : sql`${key} ${way},`} t.position ${way} limit ${limit}`.execute(db);
  return rows.map((row) => ({ ...row, position: safePosition(row.position) }));
}

const holds = (column: ReturnType<typeof sql>, part: string | undefined) =>
  part === undefined ? sql`true` : sql`strpos(lower(coalesce(${column}, '')), lower(${part})) > 0`;

/** The bytes of one entry; null: there is none at the position. */
export async function readEntry(db: Db, site: string, position: number): Promise<Buffer | null> {
  const { rows } = await sql<{ entry: Buffer }>`select entry from audit_entries where site = ${site} and position = ${position}`.execute(db);
  return rows[0]?.entry ?? null;
}
