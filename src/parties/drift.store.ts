import { hash } from "node:crypto";
import { sql } from "kysely";
import { recordAct } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import type { Drift } from "./mosquitto-acl.ts";

// Drift on record: once when it begins, or becomes another one, and once when it ends, however often it is looked at and by however many replicas.

const BEGUN = "parties.drift";
const ENDED = "parties.drift-ended";
const BY = "signalbox";
/** Lines of a drift that are on record one by one; beyond, their number and digest. */
const TOLD = 100;

/** What the broker's file is called on record; what it differs by is the act's content. */
export const ACL_FILE = "broker's ACL file";
export const branchText = (line: string, equipment: string): string => `events on line ${line}, equipment ${equipment}`;

/** A drift as it is told; null: there is none. */
export interface Told {
  readonly reason: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export function toldOf({ more, less }: Drift): Told {
  const digest = hash("sha256", JSON.stringify([more, less]), "hex");
  return {
    reason: `The broker's ACL file has ${more.length} lines more and ${less.length} lines less than the registry.`,
    content: { digest, moreLines: more.length, lessLines: less.length, more: more.slice(0, TOLD), less: less.slice(0, TOLD) },
  };
}

/** Puts on record how something stands, unless it stands so on record already; whether anything was recorded. */
export async function recordDrift(db: Db, site: string, object: string, told: Told | null): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    // behind the lock of the site's head nobody else records the same meanwhile
    await sql`select from sites where site = ${site} for update`.execute(trx);
    const before = await lastOf(trx, site, object);
    if (told === null ? before === null : JSON.stringify(before) === JSON.stringify(sorted(told.content))) return false;
    const by = { actor: BY, from: null, reason: told?.reason ?? "The broker and the registry agree again." };
    await recordAct(trx, site, { type: told === null ? ENDED : BEGUN, object, old: null, new: told === null ? null : sorted(told.content) }, by);
    return true;
  });
}

/** Objects whose drift has begun on record and has not ended. */
export async function openDrifts(db: Db, site: string): Promise<readonly string[]> {
  const { rows } = await sql<{ object: string }>`
    select object from (
      select distinct on (body ->> 'object') body ->> 'object' as object, type from signals
      where site = ${site} and actor = ${BY} and kind = 'act' and type in (${BEGUN}, ${ENDED}) order by body ->> 'object', position desc
    ) as last where type = ${BEGUN} order by object`.execute(db);
  return rows.map(({ object }) => object);
}

async function lastOf(trx: Db, site: string, object: string): Promise<unknown> {
  const { rows } = await sql<{ type: string; made: Readonly<Record<string, unknown>> | null }>`
    select type, body -> 'new' as made from signals
    where site = ${site} and actor = ${BY} and kind = 'act' and type in (${BEGUN}, ${ENDED}) and body ->> 'object' = ${object} order by position desc limit 1`.execute(
    trx,
  );
  const [last] = rows;
  return last === undefined || last.type === ENDED || last.made === null ? null : sorted(last.made);
}

/** jsonb keeps no order of keys. */
const sorted = (content: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
