import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { sourceText } from "../decode/topic.ts";
import { command } from "./command.http.ts";
import type { ApiDeps } from "./deps.ts";
import { invalid, notFound } from "./problem.ts";
import { listGaps, readGap, readSource } from "./reads.store.ts";
import {
  COMMAND_PROBLEMS,
  cursorText,
  decodeCursor,
  idempotencyHeaders,
  json,
  listLimit,
  page,
  pageOf,
  plantId,
  READ_PROBLEMS,
  reason,
  whole,
} from "./schemas.ts";

const sourceSchema = z.object({
  source: z.string(),
  site: z.string(),
  line: z.string(),
  equipment: z.string(),
  device: z.string().nullable(),
  numbering: z.boolean(),
  revoked: z.boolean(),
  connection: z.string().nullable(),
  incarnation: z.int(),
  epoch: z.string().nullable(),
  through: z.string(),
  highest: z.string(),
  missing: z.array(z.object({ epoch: z.string(), from: z.string(), to: z.string() })),
  waiting: z.int(),
  deferred: z.int(),
  parked: z.string().nullable(),
  parkedAt: z.string().nullable(),
  gapSince: z.string().nullable(),
  gap: z.string().nullable().describe("The id of its open gap or parking, for /v1/gaps."),
  version: z.int(),
});

const done = z.object({
  position: z.int().describe("Where the command stands in the site's order."),
  source: sourceSchema.describe("The source as it is now."),
});

export function sourceRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;

  async function find(source: string) {
    const found = await readSource(db, source);
    if (found === null) throw notFound(`source ${source}`);
    return sourceSchema.parse(found);
  }

  const ofEquipment = z.strictObject({ site: plantId, line: plantId, equipment: plantId });
  const ofDevice = ofEquipment.extend({ device: plantId });
  for (const [path, params, name] of [
    ["/v1/sources/:site/:line/:equipment", ofEquipment, "Source"],
    ["/v1/sources/:site/:line/:equipment/:device", ofDevice, "DeviceSource"],
  ] as const) {
    app.get(
      path,
      {
        schema: {
          operationId: `get${name}`,
          summary: "How far a source is decided, and what it lacks",
          tags: ["sources"],
          params,
          response: { 200: json(sourceSchema, "The source; its version is the ETag."), ...READ_PROBLEMS },
        },
      },
      async (request, reply) => {
        const source = await find(sourceText(request.params));
        void reply.header("etag", `"${source.version}"`);
        return source;
      },
    );
    app.post(
      `${path}/succession`,
      {
        schema: {
          operationId: `succeed${name}`,
          summary: "Lets a replaced device begin to count anew; the ids it has used stay known",
          tags: ["sources"],
          headers: idempotencyHeaders,
          params,
          body: z.strictObject({ reason }),
          response: { 200: json(done, "Done."), ...COMMAND_PROBLEMS },
        },
      },
      async (request, reply) => {
        const source = sourceText(request.params);
        await find(source);
        const { position } = await command(deps, request.params.site, request, reply, { kind: "source.succession", source, reason: request.body.reason });
        return { position, source: await find(source) };
      },
    );
  }

  app.get(
    "/v1/gaps",
    {
      schema: {
        operationId: "listGaps",
        summary: "Open gaps and parked sources, with or without missing numbers",
        tags: ["sources"],
        querystring: z.strictObject({
          open: z.enum(["true"]).default("true"),
          site: plantId.optional(),
          id: z.string().max(128).optional().describe("The gap alone."),
          cursor: cursorText,
          limit: listLimit,
        }),
        response: { 200: json(page(sourceSchema), "The open ones; a gap that closed is history, found in the events."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { cursor, limit, site, id } = request.query;
      const after = decodeCursor(cursor, z.tuple([z.string().regex(/^[!-~]{1,512}$/)]));
      const found = pageOf(await listGaps(db, { site: site ?? null, id: id ?? null }, after?.[0] ?? null, limit + 1), limit, ({ source }) => [source]);
      return { ...found, items: found.items.map((row) => sourceSchema.parse(row)) };
    },
  );

  app.post(
    "/v1/gaps/:id/resolution",
    {
      schema: {
        operationId: "resolveGap",
        summary: "Says how a source with a gap goes on: wait on, skip what is missing, or rebase",
        tags: ["sources"],
        headers: idempotencyHeaders,
        params: z.strictObject({ id: z.string().max(128) }),
        body: z.strictObject({
          action: z.enum(["wait", "skip", "rebase"]),
          epoch: whole.optional(),
          sequence: whole.optional().describe("skip: up to and with this number; rebase: the next number."),
          reason,
        }),
        response: { 200: json(done, "Done."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const [, site, position] = /^(.{1,64})\.(\d{1,16})$/.exec(request.params.id) ?? [];
      const source = site === undefined ? null : await readGap(db, site, Number(position));
      if (site === undefined || source === null) throw notFound(`open gap ${request.params.id}`);
      const { action, epoch, sequence, reason: why } = request.body;
      if (action === "rebase" && sequence === undefined)
        throw invalid("To rebase, say which number comes next.", [{ pointer: "/sequence", detail: "is missing" }]);
      const answer = await command(deps, site, request, reply, {
        kind: "gap.resolve",
        source,
        gap: Number(position),
        action,
        epoch: epoch === undefined ? null : BigInt(epoch),
        sequence: sequence === undefined ? null : BigInt(sequence),
        reason: why,
      });
      return { position: answer.position, source: await find(source) };
    },
  );
}
