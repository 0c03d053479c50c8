import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { canonicalJson } from "../registry/canonical.ts";
import { DEFINITION_ACTS, definitionActs, readPublished } from "../registry/published.store.ts";
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
  const acts = await sql<{ type: string; object: string; position: number }>`
    select type, body ->> 'object' as object, position::float8 as position from signals
    where site = ${site} and kind = 'act' and type = any(${DEFINITION_ACTS}::text[]) order by position`.execute(trx);
  const published = await readPublished(trx, site, definitionActs(acts.rows));
  const sources = await sql<{ source: string; key: string }>`select source, source_key::text as key from sources where site = ${site} order by source`.execute(
    trx,
  );
  return {
    definitions: published.map(({ hash, content, ...row }) => ({ ...row, sha256: hash, content: canonicalJson(content) })),
    sources: Object.fromEntries(sources.rows.map(({ source, key }) => [source, key])),
  };
}

/** The migration that began the audit logs. */
const AUDIT_LOG = 10;
