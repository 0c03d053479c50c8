import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";

// How far each MES has taken the outcomes of a site over, by its own word (docs/decisions/0019-confirmations-and-status.md). It changes nothing of the record, and is in no entry of its log.

export interface Confirmation {
  readonly machine: string;
  /** Of the record when it was confirmed. */
  readonly generation: number;
  /** All outcomes up to and with it were taken over; after a restore, as far as they still stand. */
  readonly position: number;
  readonly at: string;
  /** How many outcomes have been handed out behind it; COUNTED stands for so many or more. */
  readonly behind: number;
}

/** Outcomes that are counted at most: whoever asked for nothing for years costs no more. */
export const COUNTED = 100_000;

/** The confirmations of a site by machine, or that of one. */
export async function readConfirmations(db: Db, site: string, machine: string | null = null): Promise<readonly Confirmation[]> {
  const { rows } = await sql<Omit<Confirmation, "position"> & { position: bigint }>`
    select c.machine, c.generation, c.stands as position, to_char(c.confirmed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
      (select count(*)::int from (select from outcomes o where o.site = c.site and o.position > c.stands and o.position <= c.shown limit ${COUNTED}) as open) as behind
    from (select *, still_standing(site, generation, position) as stands, shown_position(site) as shown from outcome_confirmations) as c
    where c.site = ${site} and (${machine}::text is null or c.machine = ${machine}) order by c.machine`.execute(db);
  return rows.map((row) => ({ ...row, position: safePosition(row.position) }));
}

/** Up to where outcomes of a site are handed out. */
export async function readHandedOut(db: Db, site: string): Promise<number> {
  const { rows } = await sql<{ position: bigint }>`select shown_position(${site}) as position`.execute(db);
  return safePosition(rows[0]?.position ?? 0n);
}

/** Confirms the outcomes of a site up to a position of the record's present generation, and gives what is confirmed now: that, or more, where more was confirmed before, which stays. */
export async function confirmOutcomes(db: Db, site: string, machine: string, generation: number, position: number): Promise<Confirmation> {
  await sql`insert into outcome_confirmations as c (site, machine, generation, position) values (${site}, ${machine}, ${generation}, ${position})
    on conflict (site, machine) do update set generation = excluded.generation, position = excluded.position, confirmed_at = clock_timestamp()
    where (c.generation, c.position) <> (excluded.generation, excluded.position) and excluded.position >= still_standing(c.site, c.generation, c.position)`.execute(
    db,
  );
  const [now] = await readConfirmations(db, site, machine);
  if (now === undefined) throw new Error(`what ${machine} confirmed at site ${site} is not there`);
  return now;
}
