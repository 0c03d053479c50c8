import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { recordAct } from "./act.store.ts";
import type { SignedCheckpoint } from "./signer-options.ts";

/** Begins the next log of a site when the one that was signed last has as many entries as the site is set to; the first entry of the next says so. Gives whether it did. */
export async function rotateLog(db: Db, site: string, { log, size, root }: SignedCheckpoint): Promise<boolean> {
  // looked at without a lock first, since it is asked with every checkpoint
  const due = await sql`select from sites where site = ${site} and rotate_after <= ${size}`.execute(db);
  if (due.rows.length === 0) return false;
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ first: string | null }>`select begin_next_log(${site}, ${log})::text as first`.execute(trx);
    if (rows[0]?.first == null) return false;
    const act = { type: "audit.log.rotated", object: `log ${log + 1}`, old: { log, signed: { size, root: root.toString("hex") } }, new: { log: log + 1 } };
    await recordAct(trx, site, act, { actor: "signalbox", from: "signer", reason: `${size} entries of log ${log} are signed` });
    return true;
  });
}
