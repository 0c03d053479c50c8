import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { parseVerdictId, verdictData, verdictId } from "../publish/messages.ts";
import { command } from "./command.http.ts";
import type { ApiDeps } from "./deps.ts";
import { verdictSchema } from "./message-schemas.ts";
import { notFound } from "./problem.ts";
import {
  type ExceptionView,
  findException,
  listExceptions,
  listLocks,
  listQuarantine,
  listWindows,
  type QuarantineView,
  readLock,
  readRounds,
} from "./reads.store.ts";
import {
  COMMAND_PROBLEMS,
  cursorText,
  decodeCursor,
  idempotencyHeaders,
  instantText,
  json,
  linked,
  listLimit,
  page,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  reason,
} from "./schemas.ts";

export const lockSchema = z.object({
  id: z.string(),
  site: z.string(),
  equipment: z.string(),
  kind: z.string().describe("allocation or engagement"),
  batch: z.string(),
  step: z.string().nullable(),
  attempt: z.int().nullable(),
  role: z.string(),
  locked: z.string(),
  token: z.int().describe("The fencing token."),
  since: z.string(),
  freedAt: z.string().nullable(),
});

export const quarantineSchema = z.object({
  id: z.string().describe("The event's first verdict."),
  site: z.string(),
  round: z.int(),
  code: z.string(),
  source: z.string().nullable(),
  eventId: z.string().nullable(),
  type: z.string().nullable(),
  batch: z.string().nullable(),
  since: z.string(),
});

export const exceptionSchema = z.object({
  id: z.string(),
  site: z.string(),
  position: z.int(),
  code: z.string(),
  reason: z.string(),
  source: z.string().nullable(),
  batch: z.string().nullable(),
  step: z.string().nullable(),
  attempt: z.int().nullable(),
  openedAt: z.string(),
  resolvedAt: z.string().nullable(),
  disposition: z
    .enum(["continue", "rework", "abort"])
    .nullable()
    .describe("What a person has signed that becomes of it; null: nothing yet, or it has ended with its event's quarantine."),
  linked: z.string().nullable().describe("The record in the quality system under which it was disposed of."),
});

export const quarantined = ({ position, generation, ...row }: QuarantineView): z.infer<typeof quarantineSchema> => ({
  id: verdictId(row.site, generation, position),
  ...row,
});
export const excepted = ({ ordinal: _, ...row }: ExceptionView): z.infer<typeof exceptionSchema> => row;

export function operationRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;

  app.get(
    "/v1/context-locks",
    {
      schema: {
        operationId: "listContextLocks",
        summary: "Which equipment is held by which batch and step now",
        tags: ["context"],
        querystring: z.strictObject({ id: z.string().max(200).optional(), site: plantId.optional(), equipment: plantId.optional(), batch: plantId.optional() }),
        response: { 200: json(z.object({ items: z.array(lockSchema) }), "The open locks."), ...READ_PROBLEMS },
      },
    },
    async (request) => ({ items: [...(await listLocks(db, request.query))] }),
  );

  app.post(
    "/v1/context-locks/:id/takeover",
    {
      schema: {
        operationId: "takeOverContextLock",
        summary: "Takes over a lock by a signature: the equipment is free, a step at work with it is paused, and what held it has an exception",
        tags: ["context"],
        headers: idempotencyHeaders,
        params: z.strictObject({ id: z.string().max(200) }),
        body: z.strictObject({ reason }),
        response: { 200: json(z.object({ position: z.int() }), "Done."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const lock = await readLock(db, request.params.id);
      if (lock === null) throw notFound(`lock ${request.params.id}`);
      const { position } = await command(deps, lock.site, request, reply, {
        kind: "lock.takeover",
        equipment: lock.equipment,
        token: lock.token,
        reason: request.body.reason,
      });
      return { position };
    },
  );

  app.get(
    "/v1/context-windows",
    {
      schema: {
        operationId: "listContextWindows",
        summary: "Which batch and step an equipment worked in, and when: what telemetry is joined with",
        tags: ["context"],
        querystring: z.strictObject({
          equipment: plantId,
          site: plantId.optional(),
          from: instantText.optional(),
          to: instantText.optional(),
        }),
        response: { 200: json(z.object({ items: z.array(lockSchema) }), "Windows that touch the span; an open one has no end."), ...READ_PROBLEMS },
      },
    },
    async (request) => ({ items: [...(await listWindows(db, { ...request.query, from: request.query.from ?? null, to: request.query.to ?? null }))] }),
  );

  app.get(
    "/v1/quarantine",
    {
      schema: {
        operationId: "listQuarantine",
        summary: "Events about which a person decides",
        tags: ["quarantine"],
        querystring: z.strictObject({ site: plantId.optional(), batch: plantId.optional(), cursor: cursorText, limit: listLimit }),
        response: {
          200: json(page(quarantineSchema), "A page, oldest first."),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { cursor, limit, ...filter } = request.query;
      const after = decodeCursor(cursor, z.tuple([plantId, positionNumber]));
      const rows = await listQuarantine(db, filter, after === null ? null : { site: after[0], position: after[1] }, limit + 1);
      const found = pageOf(rows, limit, ({ site, position }) => [site, position]);
      return { ...found, items: found.items.map(quarantined) };
    },
  );

  app.post(
    "/v1/quarantine/:id/resolution",
    {
      schema: {
        operationId: "resolveQuarantine",
        summary: "Has a quarantined event judged again now, or rejects it",
        tags: ["quarantine"],
        headers: idempotencyHeaders,
        params: z.strictObject({ id: z.string().max(128).describe("Any verdict of the event.") }),
        body: z.strictObject({ action: z.enum(["reprocess", "reject"]), reason }),
        response: { 200: json(verdictSchema, "The round that this brought about."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const id = parseVerdictId(request.params.id);
      const rounds = id === null ? [] : await readRounds(db, id.site, id.generation, id.position);
      const [first] = rounds;
      if (id === null || first === undefined) throw notFound(`verdict ${request.params.id}`);
      const { position } = await command(deps, id.site, request, reply, {
        kind: "quarantine.resolve",
        event: first.eventPosition,
        action: request.body.action,
        reason: request.body.reason,
      });
      const after = await readRounds(db, id.site, id.generation, id.position);
      return verdictSchema.parse(verdictData(after.find(({ cause }) => cause === position) ?? after.at(-1) ?? first));
    },
  );

  app.get(
    "/v1/exceptions",
    {
      schema: {
        operationId: "listExceptions",
        summary: "What must be disposed of before a batch is closed",
        tags: ["exceptions"],
        querystring: z.strictObject({
          site: plantId.optional(),
          batch: plantId.optional(),
          open: z.enum(["true", "false"]).optional(),
          id: z.string().max(128).optional(),
          cursor: cursorText,
          limit: listLimit,
        }),
        response: {
          200: json(page(exceptionSchema), "A page, oldest first."),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { cursor, limit, open, ...filter } = request.query;
      const after = decodeCursor(cursor, z.tuple([plantId, positionNumber, positionNumber]));
      const rows = await listExceptions(
        db,
        { ...filter, ...(open === undefined ? {} : { open: open === "true" }) },
        after === null ? null : { site: after[0], position: after[1], ordinal: after[2] },
        limit + 1,
      );
      const found = pageOf(rows, limit, ({ site, position, ordinal }) => [site, position, ordinal]);
      return { ...found, items: found.items.map(excepted) };
    },
  );

  app.post(
    "/v1/exceptions/:id/resolution",
    {
      schema: {
        operationId: "resolveException",
        summary: "Disposes of an exception; needs a signature",
        tags: ["exceptions"],
        headers: idempotencyHeaders,
        params: z.strictObject({ id: z.string().max(128) }),
        body: z.strictObject({
          disposition: z
            .enum(["continue", "rework", "abort"])
            .describe(
              "continue: it is let go on, and evidence that lies outside counts all the same; rework: its step is done again; abort: its step is aborted.",
            ),
          linked: linked.describe("The record in the quality system that it is decided in."),
          reason,
        }),
        response: { 200: json(z.object({ position: z.int() }), "Done."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const found = await findException(db, request.params.id);
      if (found === null) throw notFound(`exception ${request.params.id}`);
      const { site, ...exception } = found;
      const { position } = await command(deps, site, request, reply, { kind: "exception.resolve", ...exception, ...request.body });
      return { position };
    },
  );
}
