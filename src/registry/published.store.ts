import { sql } from "kysely";
import type { Db } from "../db/database.ts";

/** A published revision, and the position of a site behind which it is there: 0 for what is older than the site's record. */
export interface Published {
  readonly kind: "recipe" | "state machine";
  /** With its revision. */
  readonly name: string;
  /** SHA-256, hexadecimal. */
  readonly hash: string;
  readonly content: unknown;
  readonly since: number;
}

/** Definitions are every site's. `registered` has the positions of the site's own acts, by what they published; where no act tells when one came, its own time does. */
export async function readPublished(trx: Db, site: string, registered: ReadonlyMap<string, number>): Promise<readonly Published[]> {
  const { rows } = await sql<Omit<Published, "since"> & { readonly before: number }>`
    select d.kind, d.name, d.hash, d.content, coalesce((select max(c.last_position) from commits c where c.site = ${site} and c.committed_at < d.registered_at), 0)::float8 as before from (
      select 'recipe' as kind, recipe || '@' || revision as name, encode(hash, 'hex') as hash, content, registered_at from recipes
      union all select 'state machine', name || '@' || revision, encode(hash, 'hex'), content, registered_at from state_machines) d order by 1, 2`.execute(trx);
  return rows.map(({ before, ...row }) => ({ ...row, since: registered.get(`${row.kind} ${row.name}`) ?? before }));
}
