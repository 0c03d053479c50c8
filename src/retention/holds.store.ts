import { sql } from "kysely";
import { type Attribution, recordAct } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { ACTS, KEPT_DAYS, type RetentionClass } from "./part.ts";
import { RetentionRefused } from "./parts.store.ts";

/** Nothing of it is disposed of as long as it is held: all of a site, a batch, or a range of positions. */
export type Held = { readonly batch: string } | { readonly from: number; readonly to: number } | null;

export interface LegalHold {
  readonly site: string;
  /** The position of the act by which it was placed. */
  readonly hold: number;
  readonly batch: string | null;
  readonly from: number | null;
  readonly to: number | null;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
  readonly released: { readonly position: number; readonly reason: string; readonly by: string; readonly at: string } | null;
}

type Why = Attribution & { readonly reason: string };

/** Places a legal hold, on record; gives its number. */
export async function placeHold(db: Db, site: string, held: Held, by: Why): Promise<number> {
  return db.transaction().execute(async (trx) => {
    await mustBeSite(trx, site);
    const batch = held !== null && "batch" in held ? held.batch : null;
    const [from, to] = held !== null && "from" in held ? [held.from, held.to] : [null, null];
    if (batch !== null && (await sql`select from batches where site = ${site} and batch = ${batch}`.execute(trx)).rows.length === 0)
      throw new RetentionRefused(`Site ${site} has no batch ${batch}.`);
    const object = batch !== null ? `batch ${batch}` : from !== null ? `positions ${from} to ${to}` : `site ${site}`;
    const hold = await recordAct(trx, site, { type: ACTS.held, object, old: null, new: { batch, from, to } }, by);
    await sql`insert into legal_holds (site, hold, batch, from_position, to_position, reason, placed_by)
      values (${site}, ${hold}, ${batch}, ${from}, ${to}, ${by.reason}, ${by.actor})`.execute(trx);
    return hold;
  });
}

/** Releases a legal hold, on record; gives the position. */
export async function releaseHold(db: Db, site: string, hold: number, by: Why): Promise<number> {
  return db.transaction().execute(async (trx) => {
    // the site's head is locked with the act; until then two may release the same
    await sql`select from sites where site = ${site} for update`.execute(trx);
    const found = (await readHolds(trx, site)).find((one) => one.hold === hold);
    if (found === undefined) throw new RetentionRefused(`Site ${site} has no legal hold ${hold}.`);
    if (found.released !== null) throw new RetentionRefused(`Legal hold ${hold} of site ${site} was released at position ${found.released.position}.`);
    const position = await recordAct(trx, site, { type: ACTS.released, object: `legal hold ${hold}`, old: { hold }, new: null }, by);
    await sql`insert into legal_hold_releases (site, hold, position, reason, released_by) values (${site}, ${hold}, ${position}, ${by.reason}, ${by.actor})`.execute(
      trx,
    );
    return position;
  });
}

/** All legal holds of a site, in order. */
export async function readHolds(db: Db, site: string): Promise<readonly LegalHold[]> {
  const { rows } = await sql<{
    hold: bigint;
    batch: string | null;
    from: bigint | null;
    to: bigint | null;
    reason: string;
    by: string;
    at: string;
    released: { readonly position: number; readonly reason: string; readonly by: string; readonly at: string } | null;
  }>`
    select h.hold, h.batch, h.from_position as from, h.to_position as to, h.reason, h.placed_by as by, h.placed_at as at,
      case when r.hold is not null then jsonb_build_object('position', r.position, 'reason', r.reason, 'by', r.released_by, 'at',
        to_char(r.released_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) end as released
    from legal_holds h left join legal_hold_releases r on r.site = h.site and r.hold = h.hold where h.site = ${site} order by h.hold`.execute(db);
  const maybe = (position: bigint | null): number | null => (position === null ? null : safePosition(position));
  return rows.map((row) => ({ site, ...row, hold: safePosition(row.hold), from: maybe(row.from), to: maybe(row.to) }));
}

/** Sets for how many days a class of a site is kept at least, on record; gives the position, null where it is set so already. */
export async function setKeptDays(db: Db, site: string, name: RetentionClass, days: number, by: Why): Promise<number | null> {
  return db.transaction().execute(async (trx) => {
    await mustBeSite(trx, site);
    await sql`select from sites where site = ${site} for update`.execute(trx);
    const before = await readKeptDays(trx, site, name);
    if (before === days) return null;
    await sql`insert into retention_rules (site, class, keep_days) values (${site}, ${name}, ${days})
      on conflict (site, class) do update set keep_days = excluded.keep_days`.execute(trx);
    const act = { type: ACTS.kept, object: `class ${name}`, old: { class: name, keepDays: before }, new: { class: name, keepDays: days } };
    return recordAct(trx, site, act, by);
  });
}

export async function readKeptDays(db: Db, site: string, name: RetentionClass): Promise<number> {
  const { rows } = await sql<{ days: number }>`select keep_days as days from retention_rules where site = ${site} and class = ${name}`.execute(db);
  return rows[0]?.days ?? KEPT_DAYS;
}

async function mustBeSite(db: Db, site: string): Promise<void> {
  if ((await sql`select from sites where site = ${site}`.execute(db)).rows.length === 0) throw new RetentionRefused(`There is no site ${site}.`);
}
