import { sql } from "kysely";
import { type Attribution, recordAct } from "../audit/act.store.ts";
import { type RequestKey, readAnswer } from "../audit/request-key.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

// Statuses as systems of record bring them. Each change is an act in the site's log, in the same transaction as its row; what says nothing new is neither.

/** What a status is of. */
export interface StatusOf {
  readonly site: string;
  readonly kind: string;
  readonly id: string;
}

export interface Brought {
  readonly status: string;
  /** UTC; null: for good. */
  readonly validUntil: string | null;
  /** Of the document in the system of record. */
  readonly reference: string | null;
}

export interface Status extends Brought {
  readonly version: number;
  readonly reason: string | null;
  readonly by: string;
  readonly at: string;
  readonly position: number;
  /** Whether `validUntil` has passed, by the database's clock at `asOf`. */
  readonly lapsed: boolean;
  readonly asOf: string;
}

export type Bringing =
  | { readonly kind: "brought" | "unchanged" | "brought before"; readonly status: Status }
  /** What the caller saw last is not what stands; 0: there is none. */
  | { readonly kind: "stale"; readonly version: number };

const UTC = sql.raw(`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`);
const utc = (time: ReturnType<typeof sql>) => sql<string>`to_char((${time}) at time zone 'utc', ${UTC})`;

/** What was brought of something before a version, the last one first. */
export async function readStatuses(db: Db, { site, kind, id }: StatusOf, before: number | null, limit: number): Promise<readonly Status[]> {
  const { rows } = await sql<Omit<Status, "position"> & { position: bigint }>`
    select version, status, ${utc(sql`valid_until`)} as "validUntil", reference, reason, brought_by as by, ${utc(sql`brought_at`)} as at, position,
      coalesce(valid_until <= now.now, false) as lapsed, ${utc(sql`now.now`)} as "asOf"
    from statuses, (select clock_timestamp() as now) as now
    where site = ${site} and kind = ${kind} and id = ${id} and (${before}::bigint is null or version < ${before}::bigint) order by version desc limit ${limit}`.execute(
    db,
  );
  return rows.map((row) => ({ ...row, position: safePosition(row.position) }));
}

/**
 * Puts on record what a feed says of something, unless it says nothing new. Locks what the status is of against other feeds, and with the act the site's head. `ifVersion`: what the caller saw last.
 */
export async function bringStatus(
  db: Db,
  of: StatusOf,
  { status, validUntil, reference }: Brought,
  by: Attribution,
  { key, ifVersion }: { readonly key: RequestKey | null; readonly ifVersion: number | null },
): Promise<Bringing> {
  const { site, kind, id } = of;
  return db.transaction().execute(async (trx): Promise<Bringing> => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`status of ${kind} ${id} at ${site}`}, 0))`.execute(trx);
    const [last] = await readStatuses(trx, of, null, 1);
    const answered = await readAnswer(trx, site, key);
    if (last !== undefined && answered !== null) return { kind: "brought before", status: last };
    if (ifVersion !== null && ifVersion !== (last?.version ?? 0)) return { kind: "stale", version: last?.version ?? 0 };
    const until = await sql<{ at: string | null }>`select ${utc(sql`${validUntil}::timestamptz`)} as at`.execute(trx);
    const made = { kind, id, version: (last?.version ?? 0) + 1, status, validUntil: until.rows[0]?.at ?? null, reference };
    if (last !== undefined && isSame(last, made, by.reason)) return { kind: "unchanged", status: last };
    if (key !== null) {
      // of something else it may have been asked at the same time: behind the site's head it stands or not
      await sql`select from sites where site = ${site} for update`.execute(trx);
      await readAnswer(trx, site, key);
    }
    const old = last === undefined ? null : { kind, id, version: last.version, status: last.status, validUntil: last.validUntil, reference: last.reference };
    const position = await recordAct(
      trx,
      site,
      { type: "status.brought", object: `${kind} ${id}`, old, new: made },
      by,
      key === null ? null : { asked: key, answer: { kind: "recorded" } },
    );
    await sql`insert into statuses (site, position, kind, id, version, status, valid_until, reference, reason, brought_by, brought_at)
      select site, position, ${kind}, ${id}, ${made.version}, ${status}, ${made.validUntil}::timestamptz, ${reference}, ${by.reason}, actor, recorded_at
      from signals where site = ${site} and position = ${position}`.execute(trx);
    const [now] = await readStatuses(trx, of, null, 1);
    if (now === undefined) throw new Error(`the status of ${kind} ${id} is on record and is not there`);
    return { kind: "brought", status: now };
  });
}

const isSame = (last: Status, made: Brought, reason: string | null): boolean =>
  last.status === made.status && last.validUntil === made.validUntil && last.reference === made.reference && last.reason === reason;
