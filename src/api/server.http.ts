import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import Fastify, { type FastifyInstance } from "fastify";
import { hasZodFastifySchemaValidationErrors, jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { Db } from "../db/database.ts";
import { failure } from "../db/failure.ts";
import type { Machines } from "../decide/machines.ts";
import type { Definitions } from "../decide/world.store.ts";
import { type Drive, Unavailable } from "../drive.ts";
import type { Log } from "../ops/log.ts";
import { batchRoutes } from "./batches.http.ts";
import { documentRoutes } from "./documents.http.ts";
import { eventRoutes } from "./events.http.ts";
import { operationRoutes } from "./operations.http.ts";
import { outcomeRoutes } from "./outcomes.http.ts";
import { Problem, type ProblemDocument } from "./problem.ts";
import { registryRoutes } from "./registry.http.ts";
import { sourceRoutes } from "./sources.http.ts";

export interface ApiDeps {
  readonly db: Db;
  readonly log: Log;
  readonly machines: Machines;
  readonly definitions: Definitions;
  readonly prefix: string;
  readonly version: string;
  readonly maxBytes: number;
  drive(site: string): Pick<Drive, "command" | "dryRun"> | undefined;
  /** A site was registered: its shard is started. */
  siteRegistered(site: string): Promise<void>;
  health(): Promise<{ readonly ready: boolean; readonly checks: readonly { readonly check: string; readonly ok: boolean; readonly detail: string }[] }>;
  metrics(): Promise<string>;
  /** Calls the listener after each commit; returns how to stop that. */
  onCommitted(listener: () => void): () => void;
}

/** The REST interface with the documents it serves. Nothing listens until `listen` is called. */
export async function createApi(deps: ApiDeps): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    bodyLimit: 1024 * 1024,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 300 },
    ajv: { customOptions: { removeAdditional: false } },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Signalbox",
        version: deps.version,
        description:
          "What was accepted or refused, exactly why, and what to do next. Times are UTC. Lists are ordered by position; a page never splits a position.",
        license: { name: "Apache-2.0" },
      },
    },
    transform: jsonSchemaTransform,
  });
  await app.register(swaggerUi, { routePrefix: "/docs" });

  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, deps.log);
    void reply
      .code(problem.document.status)
      .headers(problem.headers)
      .type("application/problem+json")
      .serializer(JSON.stringify)
      .send({ ...problem.document, instance: request.url.split("?")[0] } satisfies ProblemDocument);
  });
  app.setNotFoundHandler((request, reply) => {
    const { document } = new Problem(404, "NOT_FOUND", `There is no ${request.method} ${request.url.split("?")[0]}.`);
    void reply
      .code(404)
      .type("application/problem+json")
      .serializer(JSON.stringify)
      .send({ ...document, instance: request.url.split("?")[0] });
  });

  for (const routes of [eventRoutes, batchRoutes, outcomeRoutes, sourceRoutes, operationRoutes, registryRoutes, documentRoutes]) {
    await app.register(async (scope) => routes(scope, deps));
  }
  return app;
}

function problemOf(error: unknown, log: Log): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Unavailable)
    return new Problem(503, "SYS_UNAVAILABLE", "The service cannot decide this now; nothing was done. Try again.", {}, { "retry-after": "2" });
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map(({ instancePath, message }) => ({ pointer: instancePath, detail: message ?? "is not valid" }));
    return new Problem(
      400,
      "REQUEST_INVALID",
      `The request's ${error.validationContext ?? "content"} is not valid: ${errors[0]?.pointer ?? ""} ${errors[0]?.detail ?? ""}`.trim(),
      { errors },
    );
  }
  const status = typeof error === "object" && error !== null && "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : 500;
  if (status === 413) return new Problem(413, "REQUEST_TOO_LARGE", "The request's body is too large.");
  if (status === 415) return new Problem(415, "REQUEST_MEDIA_TYPE", "Bodies are application/json.");
  if (status >= 400 && status < 500) return new Problem(status, "REQUEST_INVALID", error instanceof Error ? error.message : "The request cannot be read.");
  const { kind, known } = failure(error);
  if (known && (kind === "everyone" || kind === "moved"))
    return new Problem(503, "SYS_UNAVAILABLE", "The database does not answer; try again.", {}, { "retry-after": "2" });
  log.error({ err: error }, "a request failed");
  return new Problem(500, "SYS_INTERNAL", "The service failed on this request.");
}
