import { type RawBuilder, sql } from "kysely";
import { type Db, FIXED } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { SettlementDocument } from "./settlement.ts";

export interface Owner {
  readonly site: string;
  readonly shard: string;
  readonly term: number;
}

export interface Committed {
  /** Positions given: base + 1 to base + positions. */
  readonly base: number;
  readonly generation: number;
  readonly recordedAt: string;
}

/**
 * Commits a group in one round trip: proves what the judge assumed, then writes all of it or nothing. What it locks and in which order stands in migration 0004, what else it writes in 0010.
 * Throws what the database throws; whether it was the group's fault or everyone's is told by `db/failure.ts`.
 */
export async function commitGroup(db: Db, owner: Owner, group: string, settlement: Omit<SettlementDocument, "written">): Promise<Committed> {
  const { rows } = await sql<{ base: string; generation: number; recorded_at: string }>`${sql.raw(FIXED)}
    select base::text, generation, to_char(recorded_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as recorded_at
    from settle(${owner.site}, ${owner.shard}, ${owner.term}, ${group}::uuid, ${settlement.positions}, ${madeLate(() => settlement.document)}::jsonb, ${together(settlement.raws)}, ${together(settlement.correlations)},
      string_to_array(${madeLate(() => settlement.entries.join("\n"))}, E'\n'))`.execute(db);
  const row = rows[0];
  if (row === undefined) throw new Error("the commit came back without its position");
  return { base: safePosition(row.base), generation: row.generation, recordedAt: row.recorded_at };
}

/** A long text that the driver asks for when it writes it, and that nobody keeps: one that was kept until the commit returns would be collected as late as what lives for hours. */
const madeLate = (text: () => string): { toPostgres(): string } => ({ toPostgres: text });

/** Bytes as an array, sent end to end and cut there: as an array each would be written out as text and read again. Entries go as lines, since JSON has none within it. */
function together(parts: readonly (Buffer | null)[]): RawBuilder<unknown> {
  let from = 1;
  const places = parts.map((part) => {
    const place = { from, bytes: part?.byteLength ?? null };
    from += part?.byteLength ?? 0;
    return place;
  });
  const all = Buffer.concat(parts.filter((part) => part !== null));
  return sql`(select array_agg(substring(${all}::bytea from p.at for p.bytes) order by p.n)
    from unnest(${places.map((place) => place.from)}::integer[], ${places.map((place) => place.bytes)}::integer[]) with ordinality as p (at, bytes, n))`;
}

/** After a lost reply: whether the group is committed after all. */
export async function findGroup(db: Db, group: string): Promise<Committed | null> {
  const { rows } = await sql<{ base: string; generation: number; recorded_at: string }>`
    select (c.first_position - 1)::text as base, s.generation, to_char(c.committed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as recorded_at
    from commits c join sites s on s.site = c.site where c.group_id = ${group}::uuid`.execute(db);
  const row = rows[0];
  return row === undefined ? null : { base: safePosition(row.base), generation: row.generation, recordedAt: row.recorded_at };
}
