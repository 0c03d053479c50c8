import { sql } from "kysely";
import { type Attribution, recordAct } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { ACTS, type PartName, type SitePart } from "./part.ts";

/** A bundle of a site's positions that was verified and put away. */
export interface Archive extends PartName {
  readonly site: string;
  /** The position of the act that tells of it. */
  readonly archive: number;
  readonly from: number;
  readonly to: number;
  /** Of its SHA256SUMS, in hexadecimal. */
  readonly sha256: string;
  readonly by: string;
  readonly at: string;
}

/** Puts an archive on record; gives its number. */
export async function recordArchive(
  db: Db,
  { class: name, part, site, from, to, sha256 }: Omit<Archive, "archive" | "by" | "at">,
  by: Attribution,
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const act = { type: ACTS.archived, object: `positions ${from} to ${to}`, old: null, new: { class: name, part, from, to, sha256 } };
    const archive = await recordAct(trx, site, act, by);
    await sql`insert into record_archives (site, archive, class, part, from_position, to_position, sums_sha256, archived_by)
      values (${site}, ${archive}, ${name}, ${part}, ${from}, ${to}, decode(${sha256}, 'hex'), ${by.actor})`.execute(trx);
    return archive;
  });
}

/** The archives that have something of a range of positions, the latest first. */
export async function readArchives(db: Db, { site, from, to }: Pick<SitePart, "site" | "from" | "to">): Promise<readonly Archive[]> {
  const { rows } = await sql<Omit<Archive, "archive" | "from" | "to"> & { archive: bigint; from: bigint; to: bigint }>`
    select site, archive, class, part, from_position as from, to_position as to, encode(sums_sha256, 'hex') as sha256, archived_by as by, archived_at as at
    from record_archives where site = ${site} and from_position <= ${to} and to_position >= ${from} order by archive desc`.execute(db);
  return rows.map((row) => ({ ...row, archive: safePosition(row.archive), from: safePosition(row.from), to: safePosition(row.to) }));
}

/** The first position of a site in a partition that none of these archives has; null: they have all. */
export async function firstUncovered(
  db: Db,
  { class: name, part }: PartName,
  { site, from, to }: SitePart,
  archives: readonly Archive[],
): Promise<number | null> {
  const covered = sql`exists (select from record_archives a where a.site = ${site} and a.archive = any(${archives.map(({ archive }) => archive)}::bigint[])
    and t.position between a.from_position and a.to_position)`;
  const positions =
    name === "positions"
      ? sql`select generate_series(${from}::bigint, ${to}::bigint) as position`
      : sql`select position from facts where tableoid = to_regclass(${`public.facts_${part}`}) and site = ${site}
          union all select position from outcomes where tableoid = to_regclass(${`public.outcomes_${part}`}) and site = ${site}`;
  const { rows } = await sql<{ first: bigint | null }>`select min(t.position) as first from (${positions}) as t where not ${covered}`.execute(db);
  const first = rows[0]?.first ?? null;
  return first === null ? null : safePosition(first);
}
