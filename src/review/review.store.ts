import { sql } from "kysely";
import { type AnsweredAct, type Attribution, recordAct } from "../audit/act.store.ts";
import { signatureInWords } from "../audit/entry.ts";
import { type RequestKey, readAnswer } from "../audit/request-key.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { type BatchTrail, batchTrail } from "./batch-trail.ts";
import { CATALOGUE_VERSION } from "./exception-rules.ts";

/** Where a review stands. Stale: the batch's record has changed since it was opened, so what was reviewed is not all. */
export type ReviewState = "open" | "concluded" | "stale";
export const REVIEW_STATES = ["open", "concluded", "stale"] as const;

export interface Review {
  readonly site: string;
  /** The position of the act that opened it. */
  readonly review: number;
  readonly batch: string;
  readonly state: ReviewState;
  /** Entries that changed the batch's record when it was opened, and SHA-256 over their leaf hashes. */
  readonly entries: number;
  readonly digest: Buffer;
  readonly catalogue: number;
  readonly found: Readonly<Record<string, number>>;
  readonly openedBy: string;
  readonly openedAt: string;
  readonly conclusion: {
    readonly conclusion: "accepted" | "objected";
    readonly finding: string;
    readonly by: string;
    readonly at: string;
    /** The signature, as it is printed; null: it was not signed. */
    readonly signed: string | null;
    /** The record has changed since: what was signed is not what there is. */
    readonly void: boolean;
  } | null;
}

/**
 * A batch's audit trail as it stands, or as it stood when a review was opened, with what the rules find in it; null: there is no such batch, or nothing of it is in the log. Best within
 * one snapshot.
 */
export async function readBatchTrail(db: Db, site: string, batch: string, then: Pick<Review, "review" | "entries"> | null = null): Promise<BatchTrail | null> {
  const [entries, before] = then === null ? [null, null] : [then.entries, then.review];
  const { rows: own } = await sql<{ position: bigint; entry: Buffer }>`
    select n.position, e.entry from audit_numbers n join audit_entries e on e.site = n.site and e.position = n.position
    where n.site = ${site} and n.batch = ${batch} and (${entries}::bigint is null or n.number <= ${entries}) order by n.number`.execute(db);
  const [first, last] = [own[0], own.at(-1)];
  if (first === undefined || last === undefined) return null;
  // what a person decided about one of its events or about what its equipment said has no number of the batch either
  const { rows: meanwhile } = await sql<{ entry: Buffer }>`
    select e.entry from (
      select g.position from signals g where g.site = ${site} and g.actor is not null and g.kind = 'act' and g.position > ${first.position}
        and (g.position < ${last.position} or exists (select from batches b where b.site = g.site and b.batch = ${batch} and (b.closed_at is null
          or b.closed_at > (select r.opened_at from audit_reviews r where r.site = b.site and r.review = ${before}::bigint))))
      union
      select d.position from decisions_about(${site}, ${batch}) d
    ) as m join audit_entries e on e.site = ${site} and e.position = m.position
    where (${before}::bigint is null or m.position < ${before})
      and not exists (select from audit_numbers n where n.site = ${site} and n.batch = ${batch} and n.position = m.position)
    order by m.position`.execute(db);
  return batchTrail(
    batch,
    own.map(({ entry }) => entry),
    meanwhile.map(({ entry }) => entry),
  );
}

/** Quality's word on a batch. */
export const DISPOSES: ReadonlySet<string> = new Set(["release", "conditional", "reject"]);

export interface Opened {
  readonly review: Review;
  readonly trail: BatchTrail;
  /** It had been opened under the same key: this is how it was then. */
  readonly replayed: boolean;
}

/** Opens a review of a batch's audit trail as it stands, on record, once under a key; null: there is nothing to review. */
export async function openReview(db: Db, site: string, batch: string, by: Attribution, asked: RequestKey | null): Promise<Opened | null> {
  return db.transaction().execute(async (trx) => {
    // the site's head orders it among commits: nothing of the batch goes on record between looking and opening
    await sql`select from sites where site = ${site} for update`.execute(trx);
    const before = await readAnswer(trx, site, asked);
    if (before !== null) {
      const review = await reviewAt(trx, site, before.position);
      const seen = await readBatchTrail(trx, site, batch, review);
      return seen && { review: { ...review, state: "open", conclusion: null }, trail: seen, replayed: true };
    }
    const trail = await readBatchTrail(trx, site, batch);
    if (trail === null) return null;
    const found = Object.fromEntries(trail.catalogue.rules.map(({ rule, found: times }) => [rule, times]));
    const digest = trail.digest.toString("hex");
    const act = { type: "review.opened", object: `batch ${batch}`, old: null, new: { entries: trail.entries, digest, catalogue: CATALOGUE_VERSION, found } };
    const position = await recordAct(trx, site, act, by, recordedUnder(asked));
    await sql`insert into audit_reviews (site, review, batch, entries, digest, catalogue, found, opened_by)
      values (${site}, ${position}, ${batch}, ${trail.entries}, ${trail.digest}, ${CATALOGUE_VERSION}, ${JSON.stringify(found)}::jsonb, ${by.actor})`.execute(
      trx,
    );
    return { review: await reviewAt(trx, site, position), trail, replayed: false };
  });
}

const recordedUnder = (asked: RequestKey | null): AnsweredAct | null => (asked === null ? null : { asked, answer: { kind: "recorded" } });

async function reviewAt(trx: Db, site: string, position: number): Promise<Review> {
  const review = await readReview(trx, site, position);
  if (review === null) throw new Error(`review ${position} of site ${site} is on record and is not there`);
  return review;
}

export interface Concluding {
  /** As the review says it: whoever concludes names what they have seen. */
  readonly digest: Buffer;
  readonly conclusion: "accepted" | "objected";
  readonly finding: string;
}

export type Concluded =
  | { readonly kind: "concluded"; readonly review: Review; readonly replayed: boolean }
  | { readonly kind: "refused"; readonly because: "unknown" | "stale" | "concluded" | "digest"; readonly review: Review | null };

/** Concludes a review, once, and only while what was reviewed is all there is. */
export async function concludeReview(
  db: Db,
  site: string,
  review: number,
  { digest, conclusion, finding }: Concluding,
  by: Attribution,
  asked: RequestKey | null,
): Promise<Concluded> {
  return db.transaction().execute(async (trx): Promise<Concluded> => {
    await sql`select from sites where site = ${site} for update`.execute(trx);
    const before = await readReview(trx, site, review);
    if (before === null) return { kind: "refused", because: "unknown", review: null };
    // as it was answered then, whatever has come since
    if ((await readAnswer(trx, site, asked)) !== null)
      return {
        kind: "concluded",
        review: { ...before, state: "concluded", conclusion: before.conclusion && { ...before.conclusion, void: false } },
        replayed: true,
      };
    if (before.conclusion !== null) return { kind: "refused", because: "concluded", review: before };
    if (before.state === "stale") return { kind: "refused", because: "stale", review: before };
    if (!before.digest.equals(digest)) return { kind: "refused", because: "digest", review: before };
    const act = { type: "review.concluded", object: `batch ${before.batch}`, old: { review, digest: digest.toString("hex") }, new: { conclusion, finding } };
    const position = await recordAct(trx, site, act, by, recordedUnder(asked));
    await sql`insert into audit_review_conclusions (site, review, position, conclusion, finding, concluded_by)
      values (${site}, ${review}, ${position}, ${conclusion}, ${finding}, ${by.actor})`.execute(trx);
    return { kind: "concluded", review: await reviewAt(trx, site, review), replayed: false };
  });
}

export const readReview = async (db: Db, site: string, review: number): Promise<Review | null> => (await listReviews(db, { site, review }, null, 1))[0] ?? null;

export interface ReviewSearch {
  readonly site?: string | undefined;
  readonly batch?: string | undefined;
  readonly review?: number | undefined;
  readonly state?: ReviewState | undefined;
}

/** Reviews by site and position. `after`: the last of the page before. */
export async function listReviews(
  db: Db,
  { site, batch, review, state }: ReviewSearch,
  after: { readonly site: string; readonly review: number } | null,
  limit: number,
): Promise<readonly Review[]> {
  const { rows } = await sql<{
    site: string;
    review: bigint;
    batch: string;
    state: ReviewState;
    entries: bigint;
    digest: Buffer;
    catalogue: number;
    found: Readonly<Record<string, number>>;
    opened_by: string;
    opened_at: string;
    conclusion: "accepted" | "objected" | null;
    finding: string | null;
    concluded_by: string | null;
    concluded_at: string | null;
    signature: unknown;
  }>`
    select * from (
      select r.*, c.conclusion, c.finding, c.concluded_by, c.concluded_at,
        (select g.body -> 'signature' from signals g where g.site = c.site and g.position = c.position) as signature,
        case when changed_behind(r.site, r.batch, r.entries) is not null then 'stale' when c.review is null then 'open' else 'concluded' end as state
      from audit_reviews r left join audit_review_conclusions c on c.site = r.site and c.review = r.review
      where (${site ?? null}::text is null or r.site = ${site ?? null}) and (${batch ?? null}::text is null or r.batch = ${batch ?? null})
        and (${review ?? null}::bigint is null or r.review = ${review ?? null})
    ) as reviews
    where (${state ?? null}::text is null or state = ${state ?? null})
      and (${after === null} or (site, review) > (${after?.site ?? ""}, ${after?.review ?? 0}::bigint))
    order by site, review limit ${limit}`.execute(db);
  return rows.map((row) => ({
    site: row.site,
    review: safePosition(row.review),
    batch: row.batch,
    state: row.state,
    entries: safePosition(row.entries),
    digest: row.digest,
    catalogue: row.catalogue,
    found: row.found,
    openedBy: row.opened_by,
    openedAt: row.opened_at,
    conclusion:
      row.conclusion === null
        ? null
        : {
            conclusion: row.conclusion,
            finding: row.finding ?? "",
            by: row.concluded_by ?? "",
            at: row.concluded_at ?? "",
            signed: signatureInWords(row.signature),
            void: row.state === "stale",
          },
  }));
}
