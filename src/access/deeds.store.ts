import { type RawBuilder, sql } from "kysely";
import type { Db } from "../db/database.ts";
import { proposerOf } from "../registry/governed.store.ts";
import { DISPOSES, listReviews } from "../review/review.store.ts";
import { definitionIn } from "./signed-acts.ts";

// Who did what, where it matters that another does what follows (docs/access.md). What is found holds when the act is committed: an act on a batch names the version that was seen, which each deed would
// have changed, and whatever was done in spite of this is refused by the database (migrations 0019, 0020, 0028 and 0030).

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
    const deed = await deedIn(db, { site, batch, step, acts }, actor);
    return deed && `You have acted in step ${step} yourself (${deed}); another person ${another}.`;
  }
  if (batch !== null && step === null && command === "amend") {
    const recipe = await recipeOf(db, site, batch);
    const own = recipe !== null && (await proposerOf(db, "recipe", recipe, Number(Object(body).revision))) === actor;
    return own ? "You have registered that revision yourself; another person puts it in force." : null;
  }
  // whose word is void since the record has changed may give it anew
  if (batch !== null && step === null && DISPOSES.has(command)) {
    const deed = await deedIn(db, { site, batch, step, acts: sql`d.deed <> all(${[...DISPOSES]}::text[])` }, actor);
    return deed && `You have acted in this batch yourself (${deed}); another person disposes of it.`;
  }
  // the same address in other characters is the same act
  const address = decodeURIComponent(path);
  const excepting = OF_EXCEPTION.exec(address);
  if (excepting !== null) {
    const of = await exceptionAt(db, site, { position: excepting[1] ?? "", ordinal: excepting[2] ?? "" }, actor);
    if (of?.opened === true) return "What opened the exception was asked for or performed by you; another person disposes of it.";
    return of?.deed == null ? null : `You have acted in what the exception is about yourself (${inWords(of.deed, of.step)}); another person disposes of it.`;
  }
  const concluding = OF_REVIEW.exec(address);
  if (concluding !== null) {
    const of = await batchReviewed(db, site, concluding[1] ?? "");
    const deed = await deedIn(db, { site, batch: of, step: null, acts: ANY }, actor);
    return deed && `You have acted in this batch yourself (${deed}); another person reviews it.`;
  }
  const takingOver = OF_LOCK.exec(address);
  if (takingOver !== null) {
    const deed = await deedOfHolder(db, site, takingOver[1] ?? "", actor);
    return deed && `You work with it yourself (${deed}); another person takes it over.`;
  }
  const deciding = OF_QUARANTINE.exec(address);
  if (deciding !== null)
    return (await hasPerformed(db, site, deciding[1] ?? "", actor))
      ? "You have performed yourself what that event reports; another person decides about it."
      : null;
  return null;
}

const OF_BATCH = /^\/v1\/sites\/[^/]+\/batches\/([^/]+)(?:\/steps\/([^/]+))?\/commands$/;
const OF_EXCEPTION = /^\/v1\/exceptions\/.{1,64}\.(\d{1,15})\.(\d{1,4})\/resolution$/;
const OF_REVIEW = /^\/v1\/audit\/sites\/[^/]+\/reviews\/(\d+)\/conclusion$/;
const OF_LOCK = /^\/v1\/context-locks\/([^/]+)\/takeover$/;
const OF_QUARANTINE = /^\/v1\/quarantine\/.{1,64}\.\d{1,9}\.(\d{1,16})\/resolution$/;

const ANY = sql`true`;
/** What in a step bars whoever did it from an act, and what another person then does. Who only decided which reports of a step count has not performed it. */
const OF_STEPS = {
  verify: { acts: ANY, another: "verifies it" },
  rework: { acts: sql`d.deed in ('start', 'evidence', 'correct', 'complete', 'pause', 'resume', 'performed')`, another: "has it done again" },
} as const;

async function recipeOf(db: Db, site: string, batch: string): Promise<string | null> {
  const { rows } = await sql<{ recipe: string }>`select recipe from batches where site = ${site} and batch = ${batch}`.execute(db);
  return rows[0]?.recipe ?? null;
}

async function batchReviewed(db: Db, site: string, review: string): Promise<string | null> {
  const { rows } = await sql<{ batch: string }>`select batch from audit_reviews where site = ${site} and review = ${review}::bigint`.execute(db);
  return rows[0]?.batch ?? null;
}

/** Of an exception: whether what opened it was asked for or performed by somebody, and what they did that bars them from disposing of it; null: there is none. */
async function exceptionAt(
  db: Db,
  site: string,
  { position, ordinal }: { readonly position: string; readonly ordinal: string },
  actor: string,
): Promise<{ readonly opened: boolean; readonly deed: string | null; readonly step: string | null } | null> {
  const { rows } = await sql<{ opened: boolean; deed: string | null; step: string | null }>`
    select opened_exception(x.site, x.position, x.event_position, ${actor}) as opened, d.deed, d.step from exceptions x
    left join lateral (select * from deeds_against_disposing(x.site, x.batch, x.step, x.attempt, ${actor}) order by deed, step limit 1) d on true
    where x.site = ${site} and x.position = ${position}::bigint and x.ordinal = ${ordinal}::integer`.execute(db);
  return rows[0] ?? null;
}

/** What somebody did under a lock, or under one that goes with it, that bars them from taking it over, in words; null: nothing. */
async function deedOfHolder(db: Db, site: string, lock: string, actor: string): Promise<string | null> {
  const { rows } = await sql<{ deed: string; step: string | null }>`
    select d.deed, d.step from context_locks l
      join context_locks t on t.site = l.site and t.equipment = l.equipment and t.batch = l.batch and (t.token = l.token or (l.kind = 'allocation' and t.freed_at is null))
      cross join lateral deeds_under_lock(t.site, t.batch, t.step, t.attempt, ${actor}) d
    where l.site = ${site} and l.site || '.' || l.equipment || '.' || l.token = ${lock} order by d.deed limit 1`.execute(db);
  return rows[0] === undefined ? null : inWords(rows[0].deed, rows[0].step);
}

/** Whether somebody was at the station whose device reported an event, any of whose rounds is named. */
async function hasPerformed(db: Db, site: string, position: string, actor: string): Promise<boolean> {
  const { rows } = await sql`
    select from verdicts v join performances p on p.site = v.site and p.position = v.event_position
    where v.site = ${site} and v.position = ${position}::bigint and 'person:' || p.person = ${actor}`.execute(db);
  return rows.length > 0;
}

/** What somebody did in a batch, or in one of its steps, that counts (`acts`, over `d`), in words; null: nothing. */
async function deedIn(
  db: Db,
  { site, batch, step, acts }: { readonly site: string; readonly batch: string | null; readonly step: string | null; readonly acts: RawBuilder<unknown> },
  actor: string,
): Promise<string | null> {
  const { rows } = await sql<{ deed: string; step: string | null }>`
    select d.deed, d.step from deeds_in(${site}, ${batch}, ${actor}) as d where (${step}::text is null or d.step = ${step}) and ${acts}
    order by d.deed, d.step limit 1`.execute(db);
  return rows[0] === undefined ? null : inWords(rows[0].deed, rows[0].step);
}

/** By its command, as the audit trail names it. */
const inWords = (deed: string, step: string | null): string => (step === null ? deed : `${deed} in step ${step}`);
