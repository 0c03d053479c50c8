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
  /** Of one that needs a second person's approval: the position behind which it has it; null: it has none. Absent: it was in force as soon as it was there. */
  readonly inForceSince?: number | null;
}

/** Where a site's own acts tell of definitions, by object. */
export interface DefinitionActs {
  readonly registered: ReadonlyMap<string, number>;
  readonly approved: ReadonlyMap<string, number>;
}

/** Acts that tell of definitions. */
export const DEFINITION_ACTS = ["recipe.registered", "state-machine.registered", "recipe.approved", "state-machine.approved"] as const;

/** Of acts in the order of the record, those that tell of definitions. */
export function definitionActs(acts: readonly { readonly type: string; readonly object: string; readonly position: number }[]): DefinitionActs {
  const of = (end: string): ReadonlyMap<string, number> =>
    new Map(acts.flatMap(({ type, object, position }) => (type.endsWith(end) ? [[object, position] as const] : [])));
  return { registered: of(".registered"), approved: of(".approved") };
}

/** Definitions are every site's. Where no act of the site tells when one came, or was approved, its own time does. */
export async function readPublished(trx: Db, site: string, { registered, approved }: DefinitionActs): Promise<readonly Published[]> {
  const before = (time: string) =>
    sql`coalesce((select max(c.last_position) from commits c where c.site = ${site} and c.committed_at < ${sql.ref(time)}), 0)::float8`;
  const { rows } = await sql<
    Omit<Published, "since" | "inForceSince"> & { readonly before: number; readonly proposed: boolean; readonly approval: number | null }
  >`
    select d.kind, d.name, d.hash, d.content, d.proposed_by is not null as proposed, ${before("d.registered_at")} as before,
      case when d.approved_at is not null then ${before("d.approved_at")} end as approval from (
      select 'recipe' as kind, r.recipe || '@' || r.revision as name, encode(r.hash, 'hex') as hash, r.content, r.registered_at, r.proposed_by, a.approved_at
        from recipes r left join recipe_approvals a on a.recipe = r.recipe and a.revision = r.revision
      union all select 'state machine', m.name || '@' || m.revision, encode(m.hash, 'hex'), m.content, m.registered_at, m.proposed_by, a.approved_at
        from state_machines m left join state_machine_approvals a on a.name = m.name and a.revision = m.revision) d order by 1, 2`.execute(trx);
  return rows.map(({ before: came, proposed, approval, ...row }) => {
    const object = `${row.kind} ${row.name}`;
    const inForceSince = approval === null ? null : (approved.get(object) ?? approval);
    return { ...row, since: registered.get(object) ?? came, ...(proposed ? { inForceSince } : {}) };
  });
}
