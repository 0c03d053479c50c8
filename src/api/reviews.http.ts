import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { BatchTrail } from "../review/batch-trail.ts";
import { type Concluded, concludeReview, listReviews, openReview, REVIEW_STATES, type Review, readBatchTrail, readReview } from "../review/review.store.ts";
import { attributionOf } from "./attribution.http.ts";
import { itemSchema } from "./audit.http.ts";
import type { RouteDeps } from "./deps.ts";
import { notFound, Problem } from "./problem.ts";
import { requestKeyOf, sayReplayed } from "./request-key.http.ts";
import { batchMustBeKept } from "./retention.http.ts";
import {
  ACT_PROBLEMS,
  actHeaders,
  cursorText,
  decodeCursor,
  GONE,
  json,
  listLimit,
  page,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  saying,
} from "./schemas.ts";
import { mustBeSigned } from "./signing.http.ts";

const severity = z.enum(["critical", "major", "minor"]);
const digestText = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "is no SHA-256 in hexadecimal")
  .describe("SHA-256 over the leaf hashes of the batch's entries, in order: what was seen.");

const trailSchema = z.object({
  batch: z.string(),
  entries: z.int().describe("How many entries change the batch's record. They are numbered from 1 without holes."),
  missing: z.array(z.int()).describe("Numbers that no entry bears; none in a sound record."),
  digest: digestText,
  catalogue: z.object({
    version: z.int(),
    rules: z.array(z.object({ rule: z.string(), severity, finds: z.string(), found: z.int() })).describe("Every rule that ran, also where it found nothing."),
  }),
  exceptions: z
    .array(z.object({ rule: z.string(), severity, sentence: z.string(), item: itemSchema }))
    .describe("The gravest first, then in the order of the record."),
});

const reviewSchema = z.object({
  site: z.string(),
  review: z.int().describe("The position of the act that opened it."),
  batch: z.string(),
  state: z.enum(REVIEW_STATES).describe("stale: the batch's record has changed since it was opened."),
  entries: z.int(),
  digest: digestText,
  catalogue: z.int().describe("The version of the rules that ran."),
  found: z.record(z.string(), z.int()).describe("How often each rule found something."),
  openedBy: z.string(),
  openedAt: z.string(),
  conclusion: z
    .object({
      conclusion: z.enum(["accepted", "objected"]),
      finding: z.string(),
      by: z.string(),
      at: z.string(),
      signed: z.string().nullable().describe("The signature, as it is printed."),
      void: z.boolean().describe("The record has changed since: the signature was for what it was."),
    })
    .nullable(),
});

const concludingSchema = z.strictObject({
  digest: digestText,
  conclusion: z.enum(["accepted", "objected"]),
  finding: saying(4_096).describe("What was found, in the reviewer's words."),
});

const trailView = (batch: string, { digest, ...trail }: BatchTrail): z.infer<typeof trailSchema> =>
  trailSchema.parse({ batch, ...trail, digest: digest.toString("hex") });
const reviewView = ({ digest, ...review }: Review): z.infer<typeof reviewSchema> => reviewSchema.parse({ ...review, digest: digest.toString("hex") });

/** QA's way into the audit log: a batch's trail with its exceptions first, and reviews of it on record. */
export function reviewRoutes(scope: FastifyInstance, { db, own, recordAccess }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();

  app.get(
    "/v1/sites/:site/batches/:batch/audit-trail",
    {
      schema: {
        operationId: "auditTrailOfBatch",
        summary: "A batch's audit trail, exceptions first",
        description:
          "Found by versioned rules; every rule that ran is named, also where it found nothing. The entries themselves: GET /v1/audit/entries?batch=….",
        tags: ["audit"],
        params: z.strictObject({ site: plantId, batch: plantId }),
        response: { 200: json(trailSchema, "The trail as it stands."), ...READ_PROBLEMS, ...GONE },
      },
    },
    async (request) => {
      const { site, batch } = request.params;
      await batchMustBeKept(db, site, batch, "entries");
      const trail = await db
        .transaction()
        .setIsolationLevel("repeatable read")
        .setAccessMode("read only")
        .execute((trx) => readBatchTrail(trx, site, batch));
      if (trail === null) throw notFound(`audit trail of batch ${batch} at site ${site}`);
      await recordAccess(request, site, `audit trail of batch ${batch}`);
      return trailView(batch, trail);
    },
  );

  app.post(
    "/v1/audit/reviews",
    {
      schema: {
        operationId: "openReview",
        summary: "Opens a review of a batch's audit trail as it stands",
        tags: ["audit"],
        headers: actHeaders,
        body: z.strictObject({ site: plantId, batch: plantId }),
        response: {
          201: json(z.object({ review: reviewSchema, trail: trailSchema }), "The review, and what is to be reviewed."),
          ...ACT_PROBLEMS,
          ...GONE,
        },
      },
    },
    async (request, reply) => {
      const { site, batch } = request.body;
      await batchMustBeKept(db, site, batch, "entries");
      const opened = await openReview(own, site, batch, attributionOf(request, site), requestKeyOf(request));
      if (opened === null) throw notFound(`audit trail of batch ${batch} at site ${site}`);
      const { review, trail, replayed } = opened;
      if (replayed) sayReplayed(reply);
      reply.code(201).header("location", `/v1/audit/sites/${site}/reviews/${review.review}`);
      return { review: reviewView(review), trail: trailView(batch, trail) };
    },
  );

  app.get(
    "/v1/audit/reviews",
    {
      schema: {
        operationId: "listReviews",
        summary: "Reviews of audit trails: open, concluded, stale",
        tags: ["audit"],
        querystring: z.strictObject({
          site: plantId.optional(),
          batch: plantId.optional(),
          state: z.enum(REVIEW_STATES).optional(),
          cursor: cursorText,
          limit: listLimit,
        }),
        response: { 200: json(page(reviewSchema), "A page of reviews, by site and position."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { cursor, limit, ...asked } = request.query;
      const after = decodeCursor(cursor, z.tuple([z.string(), positionNumber]));
      const rows = await listReviews(db, asked, after === null ? null : { site: after[0], review: after[1] }, limit + 1);
      const { items, cursor: next } = pageOf(rows, limit, ({ site, review }) => [site, review]);
      return { items: items.map(reviewView), cursor: next };
    },
  );

  const params = z.strictObject({ site: plantId, review: positionNumber });
  app.get(
    "/v1/audit/sites/:site/reviews/:review",
    {
      schema: {
        operationId: "getReview",
        summary: "A review, and where it stands",
        tags: ["audit"],
        params,
        response: { 200: json(reviewSchema, "The review."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, review } = request.params;
      const found = await readReview(db, site, review);
      if (found === null) throw notFound(`review ${review} at site ${site}`);
      return reviewView(found);
    },
  );

  app.post(
    "/v1/audit/sites/:site/reviews/:review/conclusion",
    {
      schema: {
        operationId: "concludeReview",
        summary: "Concludes a review, once, while what was reviewed is all there is",
        description: "The digest is the review's own: whoever concludes names what they have seen.",
        tags: ["audit"],
        headers: actHeaders,
        params,
        body: concludingSchema,
        response: { 200: json(reviewSchema, "The review, concluded."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      mustBeSigned(request);
      const { site, review } = request.params;
      const { digest, ...said } = request.body;
      const concluding = { ...said, digest: Buffer.from(digest, "hex") };
      const concluded = await concludeReview(own, site, review, concluding, attributionOf(request, site), requestKeyOf(request));
      if (concluded.kind === "refused") throw refusal(site, review, concluded);
      if (concluded.replayed) sayReplayed(reply);
      return reviewView(concluded.review);
    },
  );
}

function refusal(site: string, review: number, { because, review: found }: Extract<Concluded, { kind: "refused" }>): Problem {
  switch (because) {
    case "unknown":
      return notFound(`review ${review} at site ${site}`);
    case "stale":
      return new Problem(
        409,
        "REVIEW_STALE",
        `The record of batch ${found?.batch} has changed since review ${review} was opened over its first ${found?.entries} entries.`,
      );
    case "concluded":
      return new Problem(409, "REVIEW_CONCLUDED", `Review ${review} was concluded at ${found?.conclusion?.at} by ${found?.conclusion?.by}.`);
    case "digest":
      return new Problem(409, "REVIEW_OTHER", `Review ${review} is over entries with the digest ${found?.digest.toString("hex")}.`);
  }
}
