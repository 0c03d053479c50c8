import type { FastifyRequest } from "fastify";
import { type Act, type Attribution, recordAct } from "../audit/act.store.ts";
import { readAuditState } from "../audit/settings.store.ts";
import type { Db } from "../db/database.ts";
import { attributionOf } from "./attribution.http.ts";

/** For so long, what one caller reads of one thing is one access, however often it is asked for. */
const ONE_ACCESS_MS = 15 * 60_000;
/** Accesses that are kept in mind; of one that is not any more, the next is on record again. */
const KEPT = 10_000;

/** Puts on record that somebody read something of the record, before it is handed out: `record of batch B-1`. */
export type RecordsAccess = (request: FastifyRequest, site: string, object: string) => Promise<void>;

export function accessRecorder(db: Db): RecordsAccess {
  const accesses = new Map<string, { readonly at: number; readonly recorded: Promise<boolean> }>();
  return async (request, site, object) => {
    const by = attributionOf(request, site);
    const access = JSON.stringify([by.actor, request.ip, site, object]);
    const known = accesses.get(access);
    const now = performance.now();
    // who asks meanwhile waits until it is on record too
    if (known !== undefined && now - known.at < ONE_ACCESS_MS) return void (await known.recorded);
    const recorded = record(site, { type: "audit.read", object, old: null, new: null }, by);
    accesses.delete(access);
    accesses.set(access, { at: now, recorded });
    for (const oldest of accesses.keys()) {
      if (accesses.size <= KEPT) break;
      accesses.delete(oldest);
    }
    // what did not come on record is asked for anew
    const done = await recorded.catch((error: unknown) => {
      accesses.delete(access);
      throw error;
    });
    if (!done) accesses.delete(access);
  };

  /** False: there is no such site, so there is nothing to read and nowhere to record it. */
  async function record(site: string, act: Act, by: Attribution): Promise<boolean> {
    if ((await readAuditState(db, site)) === null) return false;
    await db.transaction().execute((trx) => recordAct(trx, site, act, by));
    return true;
  }
}
