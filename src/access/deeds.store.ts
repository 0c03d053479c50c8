import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { proposerOf } from "../registry/governed.store.ts";
import { DISPOSES, listReviews } from "../review/review.store.ts";
import { definitionIn } from "./signed-acts.ts";

// Who did what, where it matters that another does what follows. What is found holds when the act is committed: it names the version of the batch that was seen, and each deed would have changed it.

/** Why a batch cannot be disposed of by quality yet; null: production has recommended it, and a review of all that is on record was concluded. */
export async function readUnreviewed(db: Db, site: string, batch: string): Promise<string | null> {
  const { rows } = await sql`select from batches where site = ${site} and batch = ${batch} and disposition_stage is not null`.execute(db);
  if (rows.length === 0) return "Production has not recommended it, or its record has changed since: a supervisor signs that first.";
  const reviews = await listReviews(db, { site, batch }, null, MOST_REVIEWS);
  if (reviews.some(({ state }) => state === "open")) return "A review of it is open: it is concluded first.";
  const last = reviews.at(-1);
  if (last === undefined) return "Nobody has reviewed its audit trail.";
  if (last.state === "stale") return "Its review is stale, since the record has changed: what was added is reviewed first.";
  return last.conclusion?.conclusion === "accepted" ? null : "Its review objected.";
}

/** What a person does in a step. */
const PERFORMS: readonly string[] = ["start", "evidence", "correct", "complete", "pause", "resume"];

/** More of one batch than anybody opens. */
const MOST_REVIEWS = 10_000;

/** Why somebody may not sign something, since they did what it is about; null: they did not. */
export async function readDeeds(
  db: Db,
  asked: { readonly path: string; readonly body: unknown; readonly site: string | null },
  actor: string,
): Promise<string | null> {
  const approving = definitionIn(asked.path);
  if (approving !== null) {
    const own = (await proposerOf(db, approving.kind, approving.name, approving.revision)) === actor;
    return own ? `You have registered ${approving.kind} ${approving.name}@${approving.revision} yourself; another person approves it.` : null;
  }
  const { site } = asked;
  if (site === null) return null;
  const verifying = /^\/v1\/sites\/[^/]+\/batches\/([^/]+)\/steps\/([^/]+)\/commands$/.exec(asked.path);
  if (verifying !== null && Object(asked.body).command === "verify") {
    const [, batch = "", step = ""] = verifying.map(decodeURIComponent);
    const { rows } = await sql`select from signals g join audit_numbers n using (site, position)
      where n.site = ${asked.site} and n.batch = ${batch} and g.kind = 'command' and g.actor = ${actor} and g.body ->> 'step' = ${step} and g.body ->> 'command' <> 'comment'
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    return rows.length === 0 && !(await hasPerformed(db, { site, batch, step }, actor))
      ? null
      : `You have performed step ${step} yourself; another person verifies it.`;
  }
  if (verifying !== null && Object(asked.body).command === "rework") {
    const [, batch = "", step = ""] = verifying.map(decodeURIComponent);
    const { rows } = await sql`select from signals g join audit_numbers n using (site, position)
      where n.site = ${asked.site} and n.batch = ${batch} and g.kind = 'command' and g.actor = ${actor} and g.body ->> 'step' = ${step} and g.body ->> 'command' = any(${PERFORMS}::text[])
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    return rows.length === 0 && !(await hasPerformed(db, { site, batch, step }, actor))
      ? null
      : `You have performed step ${step} yourself; another person has it done again.`;
  }
  const amending = /^\/v1\/sites\/[^/]+\/batches\/([^/]+)\/commands$/.exec(asked.path);
  if (amending !== null && Object(asked.body).command === "amend") {
    const { rows } = await sql`select from batches b join signals g using (site)
      where b.site = ${asked.site} and b.batch = ${decodeURIComponent(amending[1] ?? "")} and g.kind = 'act' and g.type = 'recipe.registered' and g.actor = ${actor}
        and g.body ->> 'object' = 'recipe ' || b.recipe || '@' || ${String(Object(asked.body).revision)}::text limit 1`.execute(db);
    return rows.length === 0 ? null : "You have registered that revision yourself; another person puts it in force.";
  }
  const disposing = /^\/v1\/sites\/[^/]+\/batches\/([^/]+)\/commands$/.exec(asked.path);
  if (disposing !== null && DISPOSES.has(Object(asked.body).command)) {
    const batch = decodeURIComponent(disposing[1] ?? "");
    const { rows } = await sql`select from signals g join audit_numbers n using (site, position)
      where n.site = ${site} and n.batch = ${batch} and g.actor = ${actor}
        -- whose word is void since the record has changed may give it anew
        and not (g.kind = 'command' and g.body ->> 'command' = any(${[...DISPOSES]}::text[]))
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    return rows.length === 0 && !(await hasPerformed(db, { site, batch, step: null }, actor))
      ? null
      : "You have acted in this batch yourself; another person disposes of it.";
  }
  const excepting = /^\/v1\/exceptions\/.{1,64}\.(\d{1,15})\.(\d{1,4})\/resolution$/.exec(asked.path);
  if (excepting !== null) {
    // whoever has disposed of another exception of the batch has not acted in it by that
    const { rows } =
      await sql`select from exceptions x join audit_numbers n on n.site = x.site and n.batch = x.batch join signals g on g.site = n.site and g.position = n.position
      where x.site = ${asked.site} and x.position = ${excepting[1]}::bigint and x.ordinal = ${excepting[2]}::integer and g.actor = ${actor}
        and not (g.kind = 'command' and g.body ->> 'kind' = 'exception.resolve')
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    return rows.length === 0 ? null : "You have acted in this batch yourself; another person disposes of its exceptions.";
  }
  const concluding = /^\/v1\/audit\/sites\/[^/]+\/reviews\/(\d+)\/conclusion$/.exec(asked.path);
  if (concluding !== null) {
    const { rows } =
      await sql`select from audit_reviews r join audit_numbers n using (site, batch) join signals g on g.site = n.site and g.position = n.position
      where r.site = ${asked.site} and r.review = ${concluding[1]}::bigint and g.actor = ${actor}
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position) limit 1`.execute(db);
    const reviewed = await sql<{ batch: string }>`select batch from audit_reviews where site = ${asked.site} and review = ${concluding[1]}::bigint`.execute(db);
    const batch = reviewed.rows[0]?.batch ?? "";
    return rows.length === 0 && !(await hasPerformed(db, { site, batch, step: null }, actor))
      ? null
      : "You have acted in this batch yourself; another person reviews it.";
  }
  return null;
}

/** Whether somebody was at the station when a device reported what came to be a fact of a batch, or of one of its steps: then they did it. The database refuses the same (migration 0020). */
async function hasPerformed(
  db: Db,
  { site, batch, step }: { readonly site: string; readonly batch: string; readonly step: string | null },
  actor: string,
): Promise<boolean> {
  const { rows } = await sql`select from performances p join audit_numbers n using (site, position)
    where n.site = ${site} and n.batch = ${batch} and 'person:' || p.person = ${actor}
      and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position and (${step}::text is null or f.step = ${step})) limit 1`.execute(
    db,
  );
  return rows.length > 0;
}
