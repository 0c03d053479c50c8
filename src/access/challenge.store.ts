import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import type { Challenge } from "./signature.ts";

/** How long somebody may look at what they are about to sign. */
export const CHALLENGE_SECONDS = 120;

export async function keepChallenge(db: Db, challenge: Challenge, digest: Buffer): Promise<void> {
  await sql`insert into signature_challenges
      (challenge, person, site, path, body, role, meaning, reason, shown, record, record_digest, record_tag, digest, created_at, expires_at)
    values (${challenge.challenge}, ${challenge.person}, ${challenge.site}, ${challenge.path}, ${JSON.stringify(challenge.body)}::jsonb, ${challenge.role}, ${challenge.meaning},
      ${challenge.reason}, ${challenge.shown}, ${challenge.record}, decode(${challenge.recordSha256}, 'hex'), ${challenge.recordTag}, ${digest},
      ${challenge.createdAt}::timestamptz, ${challenge.expiresAt}::timestamptz)`.execute(db);
}

export interface Kept {
  readonly challenge: Challenge;
  readonly digest: Buffer;
  readonly used: boolean;
  readonly expired: boolean;
}

/** A challenge of a person's; null: they have none by this name, whoever else may. */
export async function readChallenge(db: Db, challenge: string, person: string): Promise<Kept | null> {
  const { rows } = await sql<Challenge & { digest: Buffer; used: boolean; expired: boolean }>`
    select challenge, person, site, path, body, role, meaning, reason, shown, record, encode(record_digest, 'hex') as "recordSha256", record_tag as "recordTag",
      to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt", to_char(expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "expiresAt",
      digest, used_at is not null as used, expires_at <= clock_timestamp() as expired
    from signature_challenges where challenge = ${challenge} and person = ${person}`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  const { digest, used, expired, ...kept } = row;
  return { challenge: kept, digest, used, expired };
}

/** Uses a challenge up, before what it signs is done: whatever becomes of that, it is never used again. Null: it was used, or has ended, by now; otherwise when, in UTC. */
export async function useChallenge(db: Db, challenge: string, evidence: { readonly idToken: string; readonly key: unknown } | null): Promise<string | null> {
  const { rows } = await sql<{ at: string }>`
    update signature_challenges set used_at = clock_timestamp(), id_token = ${evidence?.idToken ?? null}, id_token_key = ${evidence === null ? null : JSON.stringify(evidence.key)}::jsonb
    where challenge = ${challenge} and used_at is null and expires_at > clock_timestamp()
    returning to_char(used_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at`.execute(db);
  return rows[0]?.at ?? null;
}
