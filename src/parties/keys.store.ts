import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { KeyOnRecord } from "./conflicts.ts";

/** A signing key as a revision of a party has or had it. */
export interface KeyOfRevision extends KeyOnRecord {
  readonly revision: number;
  readonly validFrom: string | null;
  readonly validUntil: string | null;
  /** What took it away first: its own revocation, or its party's. */
  readonly revoked: { readonly by: string; readonly at: string; readonly reason: string; readonly position: number } | null;
}

interface KeyRow extends Omit<KeyOfRevision, "revoked"> {
  readonly position: bigint | null;
  readonly by: string | null;
  readonly at: string | null;
  readonly reason: string | null;
}

/** Every key that any revision of any party at any site ever had: all that are ever registered are few. */
export async function readKeysEver(db: Db): Promise<readonly KeyOfRevision[]> {
  const { rows } = await sql<KeyRow>`
    select site, party, revision, kid, public_key as "publicKey", valid_from as "validFrom", valid_until as "validUntil",
      revoked_position as position, revoked_by as by, revoked_at as at, reason
    from party_keys order by site, party, revision, kid`.execute(db);
  return rows.map(({ position, by, at, reason, ...key }) => ({
    ...key,
    revoked: position === null ? null : { by: by ?? "", at: at ?? "", reason: reason ?? "", position: safePosition(position) },
  }));
}
