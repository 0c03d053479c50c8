import { type RawBuilder, sql } from "kysely";
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

/** More of one batch than anybody opens. */
const MOST_REVIEWS = 10_000;

interface Asked {
  readonly path: string;
  readonly body: unknown;
  readonly site: string | null;
}

/** Why somebody may not sign something, since they did what it is about; null: they did not. */
export async function readDeeds(db: Db, { path, body, site }: Asked, actor: string): Promise<string | null> {
  const approving = definitionIn(path);
  if (approving !== null) {
    const { kind, name, revision } = approving;
    return (await proposerOf(db, kind, name, revision)) === actor
      ? `You have registered ${kind} ${name}@${revision} yourself; another person approves it.`
      : null;
  }
  if (site === null) return null;
  const command = Object(body).command;
  const [, batch = null, step = null] = (OF_BATCH.exec(path) ?? []).map((part) => (part === undefined ? null : decodeURIComponent(part)));
  if (batch !== null && step !== null && Object.hasOwn(OF_STEPS, command)) {
    const { acts, another } = OF_STEPS[command as keyof typeof OF_STEPS];
    return (await hasActed(db, { site, batch, step, acts }, actor)) ? `You have performed step ${step} yourself; another person ${another}.` : null;
  }
  if (batch !== null && step === null && command === "amend") {
    const { rows } = await sql`select from batches b join signals g using (site)
      where b.site = ${site} and b.batch = ${batch} and g.kind = 'act' and g.type = 'recipe.registered' and g.actor = ${actor}
        and g.body ->> 'object' = 'recipe ' || b.recipe || '@' || ${String(Object(body).revision)}::text limit 1`.execute(db);
    return rows.length === 0 ? null : "You have registered that revision yourself; another person puts it in force.";
  }
  // whose word is void since the record has changed may give it anew
  if (batch !== null && step === null && DISPOSES.has(command))
    return (await hasActed(db, { site, batch, step, acts: sql`not (g.kind = 'command' and g.body ->> 'command' = any(${[...DISPOSES]}::text[]))` }, actor))
      ? "You have acted in this batch yourself; another person disposes of it."
      : null;
  // the same address in other characters is the same act
  const address = decodeURIComponent(path);
  const excepting = OF_EXCEPTION.exec(address);
  if (excepting !== null) {
    const [, position, ordinal] = excepting;
    const of = await batchIn(db, sql`exceptions where site = ${site} and position = ${position}::bigint and ordinal = ${ordinal}::integer`);
    // whoever has disposed of another exception of the batch has not acted in it by that
    const acts = sql`not (g.kind = 'command' and g.body ->> 'kind' = 'exception.resolve')`;
    return (await hasActed(db, { site, batch: of, step: null, acts }, actor))
      ? "You have acted in this batch yourself; another person disposes of its exceptions."
      : null;
  }
  const concluding = OF_REVIEW.exec(address);
  if (concluding !== null) {
    const of = await batchIn(db, sql`audit_reviews where site = ${site} and review = ${concluding[1]}::bigint`);
    return (await hasActed(db, { site, batch: of, step: null, acts: ANY }, actor)) ? "You have acted in this batch yourself; another person reviews it." : null;
  }
  return null;
}

const OF_BATCH = /^\/v1\/sites\/[^/]+\/batches\/([^/]+)(?:\/steps\/([^/]+))?\/commands$/;
const OF_EXCEPTION = /^\/v1\/exceptions\/.{1,64}\.(\d{1,15})\.(\d{1,4})\/resolution$/;
const OF_REVIEW = /^\/v1\/audit\/sites\/[^/]+\/reviews\/(\d+)\/conclusion$/;

const ANY = sql`true`;
/** What in a step bars whoever did it from an act, and what another person then does. */
const OF_STEPS = {
  verify: { acts: sql`g.body ->> 'command' <> 'comment'`, another: "verifies it" },
  rework: { acts: sql`g.body ->> 'command' in ('start', 'evidence', 'correct', 'complete', 'pause', 'resume')`, another: "has it done again" },
} as const;

async function batchIn(db: Db, row: RawBuilder<unknown>): Promise<string | null> {
  const { rows } = await sql<{ batch: string | null }>`select batch from ${row}`.execute(db);
  return rows[0]?.batch ?? null;
}

/**
 * Whether of what somebody did something came to be a fact of a batch, or of one of its steps: by a signal of theirs that counts (`acts`, over `g`), or because they were at the station whose device
 * reported it. The database refuses the latter too (migration 0020).
 */
async function hasActed(
  db: Db,
  { site, batch, step, acts }: { readonly site: string; readonly batch: string | null; readonly step: string | null; readonly acts: RawBuilder<unknown> },
  actor: string,
): Promise<boolean> {
  const { rows } = await sql`
    select from signals g join audit_numbers n using (site, position)
      where n.site = ${site} and n.batch = ${batch} and g.actor = ${actor} and (${step}::text is null or (g.kind = 'command' and g.body ->> 'step' = ${step})) and ${acts}
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position)
    union all
    select from performances p join audit_numbers n using (site, position)
      where n.site = ${site} and n.batch = ${batch} and 'person:' || p.person = ${actor}
        and exists (select from facts f where f.site = n.site and f.batch = n.batch and f.position = n.position and (${step}::text is null or f.step = ${step}))
    limit 1`.execute(db);
  return rows.length > 0;
}
