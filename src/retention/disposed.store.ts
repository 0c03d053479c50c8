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

async function disposalsWhere(db: Db, site: string, holds: ReturnType<typeof sql>): Promise<readonly Disposal[]> {
  const { rows } = await sql<Omit<Disposal, "disposal" | "from" | "to"> & { disposal: bigint; from: bigint; to: bigint }>`
    select d.site, d.disposal, d.class, d.part, d.from_position as from, d.to_position as to, d.reason, d.disposed_by as by, d.disposed_at as at
    from disposals d where d.site = ${site} and ${holds} order by d.disposal`.execute(db);
  return rows.map((row) => ({ ...row, disposal: safePosition(row.disposal), from: safePosition(row.from), to: safePosition(row.to) }));
}
