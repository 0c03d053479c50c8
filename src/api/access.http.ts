import type { FastifyRequest } from "fastify";
import { recordAct } from "../audit/act.store.ts";
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
  const recorded = new Map<string, number>();
  return async (request, site, object) => {
    const by = attributionOf(request);
    const access = JSON.stringify([by.actor, request.ip, site, object]);
    const now = performance.now();
    if (now - (recorded.get(access) ?? Number.NEGATIVE_INFINITY) < ONE_ACCESS_MS) return;
    recorded.delete(access);
    recorded.set(access, now);
    for (const oldest of recorded.keys()) {
      if (recorded.size <= KEPT) break;
      recorded.delete(oldest);
    }
    try {
      // what is searched for at a site that is not there is nowhere on record
      if ((await readAuditState(db, site)) === null) return;
      await db.transaction().execute((trx) => recordAct(trx, site, { type: "audit.read", object, old: null, new: null }, by));
    } catch (error) {
      recorded.delete(access);
      throw error;
    }
  };
}
