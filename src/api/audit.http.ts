import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { parseEntry, trailItem } from "../audit/entry.ts";
import { leafHash } from "../audit/hash.ts";
import { putAuditSettings, readAuditState, readCheckpoint } from "../audit/settings.store.ts";
import { readEntry, searchTrail, TRAIL_ORDERS } from "../audit/trail.store.ts";
import { attributionOf } from "./attribution.http.ts";
import type { ApiDeps } from "./deps.ts";
import { notFound } from "./problem.ts";
import {
  BODY_PROBLEMS,
  cursorText,
  decodeCursor,
  instantText,
  json,
  listLimit,
  page,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  reasonHeaders,
  text,
} from "./schemas.ts";

export const itemSchema = z.object({
  position: z.int(),
  generation: z.int(),
  time: z.string(),
  batches: z.record(z.string(), z.int()).describe("The number that each batch gives to every entry that changes its record, without holes."),
  who: z.object({ kind: z.enum(["person", "device", "system"]), name: z.string() }),
  what: z.string(),
  object: z.string().nullable(),
  result: z.string(),
  code: z.string().nullable(),
  why: z.string().nullable(),
  from: z.string().nullable(),
  changes: z.array(z.object({ what: z.string(), old: z.unknown(), new: z.unknown() })),
});

const entrySchema = itemSchema.extend({
  entry: z.string().describe("The entry's bytes, base64: what is hashed."),
  leafHash: z.string().describe("SHA-256 of a zero byte and the entry, base64 (RFC 6962 section 2.1)."),
});

const settingsSchema = z.strictObject({
  publishAfter: z.enum(["commit", "checkpoint"]).describe("checkpoint: topic, feed, stream and mirrors stop at what is signed."),
  unsignedLimit: z
    .int()
    .min(1_000)
    .max(1_000_000_000)
    .default(100_000)
    .describe("With checkpoint: so many positions are decided beyond what is signed, then deciding waits."),
  rotateAfter: z.int().min(1_000).max(1_000_000_000).default(10_000_000).describe("A log with so many entries ends, and the next one begins."),
});
const stateSchema = z.object({
  publishAfter: z.enum(["commit", "checkpoint"]),
  unsignedLimit: z.int(),
  rotateAfter: z.int(),
  position: z.int().describe("The last position."),
  signed: z.int().describe("Up to and with this position everything is signed."),
});

const part = z.string().min(1).max(256).optional();
const search = z.strictObject({
  site: plantId,
  batch: plantId.optional(),
  who: part.describe("Part of a name: of a person, a source, or signalbox."),
  what: part.describe("Part of an event's type, a command or an act."),
  why: part.describe("Part of a reason, or a code."),
  from: instantText.optional().describe("Recorded at or after."),
  to: instantText.optional().describe("Recorded before."),
  order: z.enum(TRAIL_ORDERS).default("when"),
  direction: z.enum(["asc", "desc"]).default("asc"),
  cursor: cursorText,
  limit: listLimit,
});
const at = z.strictObject({ site: plantId, position: positionNumber });

/** The audit trail: searched by who, what, when and why; each entry with the bytes that are proven. */
export function auditRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;

  app.get(
    "/v1/audit/entries",
    {
      schema: {
        operationId: "searchAudit",
        summary: "The audit trail of a site, by who, what, when and why",
        tags: ["audit"],
        querystring: search,
        response: { 200: json(page(itemSchema), "A page of entries, in the order asked for."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { cursor, limit, order, direction, ...asked } = request.query;
      const after = decodeCursor(cursor, z.tuple([z.string(), positionNumber]));
      const rows = await searchTrail(db, asked, order, direction, after === null ? null : { key: after[0], position: after[1] }, limit + 1);
      const { items, cursor: next } = pageOf(rows, limit, ({ key, position }) => [key, position]);
      return { items: items.map(({ entry }) => itemSchema.parse(trailItem(parseEntry(entry)))), cursor: next };
    },
  );

  app.get(
    "/v1/audit/sites/:site/checkpoint",
    {
      schema: {
        operationId: "getCheckpoint",
        summary: "The latest checkpoint of a site's audit log, a signed note",
        description: "As it is published, retained, on site/{site}/audit/checkpoint. Whoever keeps one can tell later whether the log was cut or rewritten.",
        tags: ["audit"],
        params: z.strictObject({ site: plantId }),
        response: { 200: text("text/plain", "The note."), ...READ_PROBLEMS },
      },
    },
    async (request, reply) => {
      const note = await readCheckpoint(db, request.params.site);
      if (note === null) throw notFound(`checkpoint of site ${request.params.site}`);
      return reply.type("text/plain; charset=utf-8").send(note);
    },
  );

  app.get(
    "/v1/audit/sites/:site",
    {
      schema: {
        operationId: "getAuditState",
        summary: "How far a site's record is signed, and what it shows",
        tags: ["audit"],
        params: z.strictObject({ site: plantId }),
        response: { 200: json(stateSchema, "How far it is signed."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const state = await readAuditState(db, request.params.site);
      if (state === null) throw notFound(`site ${request.params.site}`);
      return state;
    },
  );
  app.put(
    "/v1/audit/sites/:site",
    {
      schema: {
        operationId: "putAuditSettings",
        summary: "Sets what a site shows: all that is committed, or only what is signed",
        tags: ["audit"],
        headers: reasonHeaders,
        params: z.strictObject({ site: plantId }),
        body: settingsSchema,
        response: { 200: json(stateSchema, "As it is set now."), ...BODY_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      if (!(await putAuditSettings(db, site, request.body, attributionOf(request)))) throw notFound(`site ${site}`);
      const state = await readAuditState(db, site);
      if (state === null) throw new Error(`site ${site} was there and is gone`);
      return state;
    },
  );

  app.get(
    "/v1/audit/sites/:site/entries/:position",
    {
      schema: {
        operationId: "getAuditEntry",
        summary: "One entry of the audit log, in words and as the bytes that are hashed",
        tags: ["audit"],
        params: at,
        response: { 200: json(entrySchema, "The entry."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, position } = request.params;
      const entry = await readEntry(db, site, position);
      if (entry === null) throw notFound(`audit entry ${position} of site ${site}`);
      return entrySchema.parse({ ...trailItem(parseEntry(entry)), entry: entry.toString("base64"), leafHash: leafHash(entry).toString("base64") });
    },
  );
}
