import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { mayBring } from "../access/principal.ts";
import { bringStatus, readStatuses, type Status } from "../registry/status.store.ts";
import { isStatusKind, STATUS_NAME } from "../registry/status.ts";
import { attributionOf } from "./attribution.http.ts";
import { versionIn } from "./command.http.ts";
import type { RouteDeps } from "./deps.ts";
import { machineIn } from "./guard.http.ts";
import { notFound, Problem, stale } from "./problem.ts";
import { listSites } from "./reads.store.ts";
import { headerOf, requestKeyOf, sayReplayed } from "./request-key.http.ts";
import {
  COMMAND_PROBLEMS,
  cursorText,
  decodeCursor,
  idempotencyHeaders,
  instantText,
  json,
  linked,
  listLimit,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  reason,
  reasonHeaders,
} from "./schemas.ts";

const PATH = "/v1/sites/:site/status/:kind/:id";

/** What a feed may be for. */
export const statusKind = z
  .string()
  .regex(STATUS_NAME, "is no kind of status")
  .refine(isStatusKind, "is what this service decides itself")
  .describe("Lower case, such as calibration or lot; never of what this service decides itself.");
const statusName = z.string().regex(STATUS_NAME, "is no status").describe("As the system of record names it, in lower case: current, overdue, released.");

const broughtSchema = z.object({
  version: z.int().describe("1, 2, 3, …: the entity tag."),
  status: z.string(),
  validUntil: z.string().nullable(),
  reference: z.string().nullable().describe("Of the document in the system of record."),
  reason: z.string().nullable(),
  by: z.string().describe("The machine that brought it."),
  at: z.string(),
  position: z.int().describe("Of the entry that tells of it."),
});
const of = { site: z.string(), kind: z.string(), id: z.string() };
const standing = {
  stands: broughtSchema.describe("What was brought last."),
  lapsed: z.boolean().describe("Whether its validUntil has passed, by the clock of the record at asOf. Nobody need have said so."),
  asOf: z.string(),
};
const statusSchema = z.object({ ...of, ...standing });
const statusesSchema = z.object({
  ...statusSchema.shape,
  items: z.array(broughtSchema).describe("All that was ever brought, the last first."),
  cursor: z.string().nullable().describe("For the next page; null on the last."),
});

const content = z.strictObject({
  status: statusName,
  validUntil: instantText.optional(),
  reference: linked.optional(),
  reason: reason.optional().describe("Why, as the system of record gives it."),
});

/** Statuses that systems of record bring: what was said of a scale, a lot, a room, when and by which machine. Nothing is decided on one. */
export function statusRoutes(scope: FastifyInstance, { db: readable, own: db }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const params = z.strictObject({ site: plantId, kind: statusKind, id: plantId });
  const tags = ["registry"];

  app.get(
    PATH,
    {
      schema: {
        operationId: "getStatus",
        summary: "The status of something as its system of record brought it, and all that was brought before",
        tags,
        params,
        querystring: z.strictObject({ cursor: cursorText, limit: listLimit }),
        response: { 200: json(statusesSchema, "What stands, and a page of what was brought."), ...READ_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, kind, id } = request.params;
      const { cursor, limit } = request.query;
      const before = decodeCursor(cursor, z.tuple([positionNumber]));
      const [now] = await readStatuses(readable, request.params, null, 1);
      if (now === undefined) throw notFound(`status of ${kind} ${id} at site ${site}`);
      const page = pageOf(await readStatuses(readable, request.params, before?.[0] ?? null, limit + 1), limit, ({ version }) => [version]);
      void reply.header("etag", `"${now.version}"`);
      return statusesSchema.parse({ site, kind, id, ...standsAs(now), ...page });
    },
  );

  app.put(
    PATH,
    {
      schema: {
        operationId: "putStatus",
        summary: "Brings the status of something, as a feed of its kind",
        description:
          "On record with what was before, who, when and from where. The same content again is the same version and writes nothing. It is what a system of record says and no decision of this service: it approves, releases and holds nothing.",
        tags,
        params,
        headers: z.looseObject({ ...reasonHeaders.shape, ...idempotencyHeaders.shape }),
        body: content,
        response: { 200: json(statusSchema, "The status, brought, or as it stood already."), 201: json(statusSchema, "The first one."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, kind, id } = request.params;
      mustBring(request, site, kind);
      if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
      const { status, validUntil = null, reference = null, reason: why } = request.body;
      const by = attributionOf(request, site);
      const brought = await bringStatus(
        db,
        request.params,
        { status, validUntil, reference },
        { ...by, reason: why ?? by.reason },
        { key: requestKeyOf(request), ifVersion: versionIn(headerOf(request, "if-match")) },
      );
      if (brought.kind === "stale") throw stale(brought.version);
      if (brought.kind === "brought before") sayReplayed(reply);
      const { version } = brought.status;
      reply.code(brought.kind === "brought" && version === 1 ? 201 : 200).header("etag", `"${version}"`);
      return statusSchema.parse({ site, kind, id, ...standsAs(brought.status) });
    },
  );
}

/** A feed brings the one kind for which it was granted, and says so before it learns whether there is one. */
function mustBring(request: FastifyRequest, site: string, kind: string): void {
  const machine = machineIn(request);
  if (!mayBring(machine, kind, site))
    throw new Problem(403, "STATUS_OTHER_KIND", `machine ${machine.id} brings no status of kind ${kind} here: a feed is granted for one kind.`);
}

const standsAs = (status: Status) => ({ stands: status, lapsed: status.lapsed, asOf: status.asOf });
