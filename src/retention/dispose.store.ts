import { sql } from "kysely";
import { type Attribution, recordAct } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { Archive } from "./archives.store.ts";
import { ACTS, type PartName, partText, type SitePart } from "./part.ts";
import { RetentionRefused } from "./parts.store.ts";

/** What a site's disposal came to. */
export interface Disposed extends PartName {
  readonly site: string;
  /** The position of the act that tells of it. */
  readonly disposal: number;
  readonly from: number;
  readonly to: number;
}

/** How long it waits at most for whoever reads what is to go; everybody else waits behind it meanwhile. */
const LOCK_MS = 5_000;

/**
 * Disposes of a partition, as the tables' owner: in one transaction an act of each site, the rows that tell of it, and the drop, which the database itself refuses where something stands in
 * the way. `tell` is told of each site last, before it is committed: a signer that knows of a disposal which there is not refuses nothing that it should.
 */
export async function disposeOf(
  db: Db,
  part: PartName,
  sites: readonly (SitePart & { readonly archives: readonly Archive[] })[],
  by: Attribution & { readonly reason: string },
  tell: (disposed: Disposed) => Promise<void>,
): Promise<readonly Disposed[]> {
  try {
    return await unlessInACircle(() =>
      db.transaction().execute(async (trx) => {
        await sql`select set_config('lock_timeout', ${String(LOCK_MS)}, true), set_config('statement_timeout', '0', true)`.execute(trx);
        // before the sites' heads are locked: a commit in flight has its rows first, and its head last
        await (part.class === "positions"
          ? sql`lock table signals, verdicts, audit_entries in access exclusive mode`
          : sql`lock table facts, outcomes in access exclusive mode`
        ).execute(trx);
        const disposed: Disposed[] = [];
        for (const { site, from, to, archives } of sites) {
          const before = await disposedBefore(trx, site);
          const all = part.class === "positions" ? { ...before, positions: to } : { ...before, batches: [...before.batches, part.part] };
          const said = { class: part.class, part: part.part, from, to, archives: archives.map(({ archive, sha256 }) => ({ archive, sha256 })), disposed: all };
          const disposal = await recordAct(
            trx,
            site,
            { type: ACTS.disposed, object: `${partText(part)}, positions ${from} to ${to}`, old: null, new: said },
            by,
          );
          disposed.push({ ...part, site, disposal, from, to });
        }
        await sql`select dispose_of(${part.class}, ${part.part})`.execute(trx);
        for (const one of disposed) await tell(one);
        return disposed;
      }),
    );
  } catch (error) {
    const { code, message } = Object(error);
    if (code === "SB005") throw new RetentionRefused(`Refused by the database: ${message}.`);
    if (code === "55P03" || code === "40P01")
      throw new RetentionRefused("Somebody reads what is to be disposed of, such as a verification. Nothing was done; try again later.");
    throw error;
  }
}

/** Whoever reads several of the tables may have locked them in another order; then one of the two is broken off, and nothing was done. */
async function unlessInACircle<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 5; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || Object(error).code !== "40P01") throw error;
    }
  }
}

/** All that is disposed of, once more in each act: whoever has the last one knows of the earlier ones, which may be disposed of themselves. */
async function disposedBefore(trx: Db, site: string): Promise<{ readonly positions: number; readonly batches: readonly string[] }> {
  const { rows } = await sql<{ positions: bigint; batches: string[] | null }>`
    select disposed_position(${site}) as positions,
      (select array_agg(distinct part order by part) from disposals where site = ${site} and class = 'batches') as batches`.execute(trx);
  return { positions: safePosition(rows[0]?.positions ?? 0n), batches: rows[0]?.batches ?? [] };
}
