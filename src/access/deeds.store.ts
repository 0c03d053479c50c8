import { sql } from "kysely";
import type { Db } from "../db/database.ts";

// Who did what, where it matters that another does what follows. What is found holds when the act is committed: it names the version of the batch that was seen, and each deed would have changed it.

/** Why somebody may not sign something, since they did what it is about; null: they did not. */
export async function readDeeds(
  db: Db,
  asked: { readonly path: string; readonly body: unknown; readonly site: string },
  actor: string,
): Promise<string | null> {
  const verifying = /^\/v1\/sites\/[^/]+\/batches\/([^/]+)\/steps\/([^/]+)\/commands$/.exec(asked.path);
  if (verifying !== null && Object(asked.body).command === "verify") {
    const [, batch = "", step = ""] = verifying.map(decodeURIComponent);
    const { rows } = await sql`select from signals g join audit_numbers n using (site, position)
      where n.site = ${asked.site} and n.batch = ${batch} and g.kind = 'command' and g.actor = ${actor} and g.body ->> 'step' = ${step} and g.body ->> 'command' <> 'comment'
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    return rows.length === 0 ? null : `You have performed step ${step} yourself; another person verifies it.`;
  }
  const concluding = /^\/v1\/audit\/sites\/[^/]+\/reviews\/(\d+)\/conclusion$/.exec(asked.path);
  if (concluding !== null) {
    const { rows } =
      await sql`select from audit_reviews r join audit_numbers n using (site, batch) join signals g on g.site = n.site and g.position = n.position
      where r.site = ${asked.site} and r.review = ${concluding[1]}::bigint and g.actor = ${actor}
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    return rows.length === 0 ? null : "You have acted in this batch yourself; another person reviews it.";
  }
  return null;
}
