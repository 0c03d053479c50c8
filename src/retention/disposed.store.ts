import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { RetentionClass } from "./part.ts";

export interface Disposal {
  readonly site: string;
  /** The position of the act that tells of it. */
  readonly disposal: number;
  readonly class: RetentionClass;
  readonly part: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
}

/** All disposals of a site, in order. */
export const readDisposals = (db: Db, site: string): Promise<readonly Disposal[]> => disposalsWhere(db, site, sql`true`);

/** The disposal with which what stood at a position went; null: none. */
export async function disposalAt(db: Db, site: string, position: number): Promise<Disposal | null> {
  return (await disposalsWhere(db, site, sql`d.class = 'positions' and ${position} between d.from_position and d.to_position`))[0] ?? null;
}

/** The first disposal, of a class or any, with which something of a batch's record went; null: all of it is there. */
export async function disposalOfBatch(db: Db, site: string, batch: string, name: RetentionClass | null): Promise<Disposal | null> {
  const touched = sql`case d.class
    when 'positions' then exists (select from audit_numbers n where n.site = d.site and n.batch = ${batch} and n.position between d.from_position and d.to_position)
    else exists (select from batches b where b.site = d.site and b.batch = ${batch} and to_char(b.opened_on, 'YYYY_MM') = d.part) end`;
  return (await disposalsWhere(db, site, sql`(${name}::text is null or d.class = ${name}) and ${touched}`))[0] ?? null;
}

/** Up to which position outcomes of batches may have been disposed of, and the entry that tells of it last; null: none were. */
export async function disposedOutcomes(db: Db, site: string): Promise<{ readonly through: number; readonly disposal: number } | null> {
  const all = await disposalsWhere(db, site, sql`d.class = 'batches'`);
  const last = all.at(-1);
  return last === undefined ? null : { through: Math.max(...all.map(({ to }) => to)), disposal: last.disposal };
}

async function disposalsWhere(db: Db, site: string, holds: ReturnType<typeof sql>): Promise<readonly Disposal[]> {
  const { rows } = await sql<Omit<Disposal, "disposal" | "from" | "to"> & { disposal: bigint; from: bigint; to: bigint }>`
    select d.site, d.disposal, d.class, d.part, d.from_position as from, d.to_position as to, d.reason, d.disposed_by as by, d.disposed_at as at
    from disposals d where d.site = ${site} and ${holds} order by d.disposal`.execute(db);
  return rows.map((row) => ({ ...row, disposal: safePosition(row.disposal), from: safePosition(row.from), to: safePosition(row.to) }));
}
