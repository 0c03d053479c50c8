import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { CODES } from "../decide/verdict.ts";
import { dataSchema } from "../decode/event-types.ts";
import { asyncApi } from "./asyncapi.ts";
import { REQUEST_CODES } from "./codes.ts";
import type { ApiDeps } from "./deps.ts";
import { sitesIn } from "./guard.http.ts";
import { typeIn } from "./registry.http.ts";
import { json, READ_PROBLEMS, text } from "./schemas.ts";

const document = z.record(z.string(), z.unknown());

export function documentRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const asynchronous = asyncApi({ version: deps.version, prefix: deps.prefix });

  app.get(
    "/openapi.json",
    { schema: { operationId: "openapi", summary: "This interface", tags: ["documents"], response: { 200: json(document, "OpenAPI 3.1."), ...READ_PROBLEMS } } },
    async () => document.parse(JSON.parse(JSON.stringify(scope.swagger()))),
  );
  app.get(
    "/asyncapi.json",
    {
      schema: {
        operationId: "asyncapi",
        summary: "What is read from and published to the broker",
        tags: ["documents"],
        response: { 200: json(document, "AsyncAPI 3.1."), ...READ_PROBLEMS },
      },
    },
    async () => ({ ...asynchronous }),
  );
  app.get(
    "/v1/codes",
    {
      schema: {
        operationId: "listCodes",
        summary: "Every code: what it means, whose it is, and whether the same event may be sent again",
        tags: ["documents"],
        response: {
          200: json(
            z.object({
              items: z.array(
                z.object({ code: z.string(), meaning: z.string(), owner: z.string(), next: z.string(), remedy: z.string(), mayResend: z.boolean() }),
              ),
            }),
            "The codes, append-only.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async () => ({
      items: Object.entries({ ...CODES, ...REQUEST_CODES }).map(([code, meaning]) => ({ code, ...meaning, mayResend: meaning.next === "resend" })),
    }),
  );
  app.get(
    "/v1/schemas/:type",
    {
      schema: {
        operationId: "getSchema",
        summary: "The JSON Schema of a type's data",
        tags: ["documents"],
        params: z.strictObject({ type: z.string().max(128) }),
        response: { 200: { description: "The schema.", content: { "application/schema+json": { schema: document } } }, ...READ_PROBLEMS },
      },
    },
    async (request, reply) => reply.type("application/schema+json").send(dataSchema(typeIn(request.params.type))),
  );

  const health = z.object({ ready: z.boolean(), checks: z.array(z.object({ check: z.string(), ok: z.boolean(), detail: z.string() })) });
  app.get(
    "/health/live",
    {
      schema: {
        operationId: "live",
        summary: "The process runs",
        tags: ["health"],
        response: { 200: json(z.object({ live: z.literal(true) }), "It does."), ...READ_PROBLEMS },
      },
    },
    async () => ({ live: true as const }),
  );
  const { 503: _, ...withoutUnready } = READ_PROBLEMS;
  app.get(
    "/health/ready",
    {
      schema: {
        operationId: "ready",
        summary: "Whether events are decided now, from what is so",
        tags: ["health"],
        response: { 200: json(health, "Ready."), 503: json(health, "Not ready, and why."), ...withoutUnready },
      },
    },
    async (request, reply) => {
      const found = await deps.health();
      // what is amiss, and where, is told to whoever may read of every site; where nobody administers this system, to everybody
      const checks = sitesIn(request) === "all" ? found.checks.map((check) => ({ ...check })) : [];
      return reply.code(found.ready ? 200 : 503).send({ ready: found.ready, checks });
    },
  );
  app.get(
    "/metrics",
    {
      schema: {
        operationId: "metrics",
        summary: "Metrics in Prometheus' text",
        tags: ["health"],
        response: { 200: text("text/plain", "The metrics."), ...READ_PROBLEMS },
      },
    },
    async (_request, reply) => reply.type("text/plain; version=0.0.4; charset=utf-8").send(await deps.metrics()),
  );
}
