import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

/** The key under which something was asked, with what was asked: method, path, and a digest of the body. */
export interface RequestKey {
  readonly key: string;
  readonly request: string;
  /** SHA-256 in hexadecimal. */
  readonly bodyDigest: string;
}

/** The key stands for another request. */
export class KeyReused extends Error {}

/** What was answered under a key; null: nothing was. Behind the lock of the site's head it stays so. Throws KeyReused when something else was asked. */
export async function readAnswer(db: Db, site: string, asked: RequestKey | null): Promise<{ readonly position: number; readonly answer: unknown } | null> {
  if (asked === null) return null;
  const { rows } = await sql<{ request: string; digest: string; answer: unknown; position: bigint }>`
    select request, encode(body_digest, 'hex') as digest, answer, position from idempotency_keys where site = ${site} and key = ${asked.key}`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  if (row.request !== asked.request || row.digest !== asked.bodyDigest) throw new KeyReused();
  return { position: safePosition(row.position), answer: row.answer };
}

/** Keeps what was answered under a key, at the position of what was done. */
export async function keepAnswer(trx: Db, site: string, position: number, { key, request, bodyDigest }: RequestKey, answer: unknown): Promise<void> {
  await sql`insert into idempotency_keys (site, key, request, body_digest, answer, position, recorded_at)
    select ${site}, ${key}, ${request}, decode(${bodyDigest}, 'hex'), ${JSON.stringify(answer)}::jsonb, position, recorded_at
    from signals where site = ${site} and position = ${position}`.execute(trx);
}
