import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { type Attribution, recordAct } from "./act.store.ts";

/** What a site shows, and how far it goes on without a signer. */
export interface AuditSettings {
  /** `commit`: what is committed is shown. `checkpoint`: only what is signed. */
  readonly publishAfter: "commit" | "checkpoint";
  /** With `checkpoint`: so many positions may be decided beyond what is signed; then deciding waits for the signer. */
  readonly unsignedLimit: number;
  /** A log with so many entries ends, and the next one begins. */
  readonly rotateAfter: number;
}

export interface AuditState extends AuditSettings {
  readonly position: number;
  readonly signed: number;
}

/** null: there is no such site. */
export async function readAuditState(db: Db, site: string): Promise<AuditState | null> {
  const { rows } = await sql<{ publishAfter: AuditSettings["publishAfter"]; unsignedLimit: bigint; rotateAfter: bigint; position: bigint; signed: bigint }>`
    select publish_after as "publishAfter", unsigned_limit as "unsignedLimit", rotate_after as "rotateAfter", position, signed_position(site) as signed from sites where site = ${site}`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) return null;
  const { publishAfter, unsignedLimit, rotateAfter, position, signed } = row;
  return {
    publishAfter,
    unsignedLimit: safePosition(unsignedLimit),
    rotateAfter: safePosition(rotateAfter),
    position: safePosition(position),
    signed: safePosition(signed),
  };
}

/** What is committed and not shown, since the site shows only what is signed: how many positions, and for how many seconds the oldest of them. null: there is none. */
export async function readHeldBack(db: Db, site: string): Promise<{ readonly positions: number; readonly seconds: number } | null> {
  const { rows } = await sql<{ positions: bigint; seconds: number }>`
    select s.position - e.position + 1 as positions,
      extract(epoch from clock_timestamp() - (split_part(convert_from(e.entry, 'UTF8'), E'\n', 1)::json ->> 'time')::timestamptz)::float8 as seconds
    from sites s join audit_entries e on e.site = s.site and e.position = shown_position(s.site) + 1 where s.site = ${site} and s.publish_after = 'checkpoint'`.execute(
    db,
  );
  const [row] = rows;
  return row === undefined ? null : { positions: safePosition(row.positions), seconds: row.seconds };
}

/** Sets what a site shows, on record. Gives false when there is no such site. */
export async function putAuditSettings(db: Db, site: string, next: AuditSettings, by: Attribution): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    await sql`select from sites where site = ${site} for update`.execute(trx);
    const before = await readAuditState(trx, site);
    if (before === null) return false;
    const { publishAfter, unsignedLimit, rotateAfter } = before;
    if (publishAfter === next.publishAfter && unsignedLimit === next.unsignedLimit && rotateAfter === next.rotateAfter) return true;
    await sql`update sites set publish_after = ${next.publishAfter}, unsigned_limit = ${next.unsignedLimit}, rotate_after = ${next.rotateAfter} where site = ${site}`.execute(
      trx,
    );
    await recordAct(trx, site, { type: "audit.settings.changed", object: `site ${site}`, old: { publishAfter, unsignedLimit, rotateAfter }, new: next }, by);
    return true;
  });
}

/** The signed note over the latest checkpoint of a site; null: nothing was signed yet. */
export async function readCheckpoint(db: Db, site: string): Promise<string | null> {
  const { rows } = await sql<{ note: string }>`select note from audit_checkpoints where site = ${site} order by log desc, size desc limit 1`.execute(db);
  return rows[0]?.note ?? null;
}
