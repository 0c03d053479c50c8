import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { canonicalJson } from "../registry/canonical.ts";
import type { Definition } from "./manifest.ts";

/** What deciding a record again needs beside its entries and deliveries. */
export interface Beside {
  /** Every definition that is registered, with its content as it is hashed. */
  readonly definitions: readonly (Definition & { readonly content: string })[];
  readonly sources: Readonly<Record<string, string>>;
}

/** Null: the site had begun before its log, so that its entries do not tell how it began. */
export async function readBeside(trx: Db, site: string): Promise<Beside | null> {
  const whole = await sql<{ whole: boolean }>`
    select l.first_position = 1 and s.created_at >= (select applied_at from migrations where number = ${AUDIT_LOG}) as whole
    from sites s join audit_logs l on l.site = s.site and l.log = 1 where s.site = ${site}`.execute(trx);
  if (whole.rows[0]?.whole !== true) return null;
  const definitions = await sql<Omit<Definition, "since"> & { content: unknown; since: number }>`
    select d.kind, d.name, d.sha256, d.content, coalesce(
      (select min(g.position) from signals g where g.site = ${site} and g.kind = 'act' and g.type = replace(d.kind, ' ', '-') || '.registered' and g.body ->> 'object' = d.kind || ' ' || d.name),
      (select max(c.last_position) from commits c where c.site = ${site} and c.committed_at < d.registered_at), 0)::float8 as since
    from (
      select 'recipe' as kind, recipe || '@' || revision as name, encode(hash, 'hex') as sha256, content, registered_at from recipes
      union all select 'state machine', name || '@' || revision, encode(hash, 'hex'), content, registered_at from state_machines) d order by 1, 2`.execute(trx);
  const sources = await sql<{ source: string; key: string }>`select source, source_key::text as key from sources where site = ${site} order by source`.execute(
    trx,
  );
  return {
    definitions: definitions.rows.map(({ content, ...row }) => ({ ...row, content: canonicalJson(content) })),
    sources: Object.fromEntries(sources.rows.map(({ source, key }) => [source, key])),
  };
}

/** The migration that began the audit logs. */
const AUDIT_LOG = 10;
