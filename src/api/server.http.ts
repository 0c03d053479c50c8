import type { Socket } from "node:net";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors, jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { z } from "zod";
import { KeyReused } from "../audit/request-key.store.ts";
import { failure } from "../db/failure.ts";
import { pointerOf } from "../decode/json.ts";
import { Unavailable } from "../drive.ts";
import type { Log } from "../ops/log.ts";
import { StandingBy } from "../shard.ts";
import { accessRecorder } from "./access.http.ts";
import { auditRoutes } from "./audit.http.ts";
import { batchRecordRoutes } from "./batch-record.http.ts";
import { batchRoutes } from "./batches.http.ts";
import { keepBody } from "./body.http.ts";
import { readBody } from "./body.ts";
import { setBounds } from "./bounds.http.ts";
import { confirmationRoutes } from "./confirmations.http.ts";
import type { ApiDeps, RouteDeps } from "./deps.ts";
import { documentRoutes } from "./documents.http.ts";
import { eventRoutes } from "./events.http.ts";
import { exportRoutes } from "./exports.http.ts";
import { faultInWords } from "./fault.ts";
import { guard } from "./guard.http.ts";
import { lastWord } from "./last-word.ts";
import { oidcRoutes } from "./oidc.http.ts";
import { operationRoutes } from "./operations.http.ts";
import { outcomeRoutes } from "./outcomes.http.ts";
import { partyRoutes } from "./parties.http.ts";
import { peopleRoutes } from "./people.http.ts";
import { invalid, keyReused, notFound, Problem, type ProblemDocument, standingBy, unavailable } from "./problem.ts";
import { registryRoutes } from "./registry.http.ts";
import { retentionRoutes } from "./retention.http.ts";
import { reviewRoutes } from "./reviews.http.ts";
import { signInRoutes } from "./sign-in.http.ts";
import { setSignInBounds } from "./sign-in-bounds.http.ts";
import { signatureRoutes } from "./signatures.http.ts";
import { sourceRoutes } from "./sources.http.ts";
import { stationRoutes } from "./stations.http.ts";
import { statusRoutes } from "./statuses.http.ts";

const BODY_LIMIT = 1024 * 1024;
/** By then all of a request has come: a connection that sends a byte now and then is nobody's. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Judges an event as it was written, whose numbers are for the judge to refuse. */
const DRY_RUN = "/v1/events/dry-run";

/** The REST interface with the documents it serves, over HTTPS where there is a certificate. Nothing listens until `listen` is called. */
export async function createApi(
  deps: ApiDeps,
  tls: { readonly cert: string; readonly key: string } | null = null,
  requestsPerSecond = 0,
): Promise<FastifyInstance> {
  const app = Fastify({
    ...(tls === null ? {} : { https: { cert: tls.cert, key: tls.key, minVersion: "TLSv1.2" as const } }),
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 300 },
    // addresses that no router can read (%zz) are answered like every other wrong request
    frameworkErrors: (error, request, reply) => answerProblem(problemOf(error, deps.log), request, reply),
    clientErrorHandler: answerUnread,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, async (request: FastifyRequest, bytes: Buffer) => {
    // packed bodies are not unpacked, and what says that it is packed is not read as if it were not
    if ((request.headers["content-encoding"] ?? "identity") !== "identity")
      throw new Problem(415, "REQUEST_MEDIA_TYPE", "Bodies are sent as they are, without a content encoding.");
    const body = readBody(bytes, { anyNumber: request.routeOptions.url === DRY_RUN });
    if (!body.ok) throw invalid(body.detail, body.errors);
    keepBody(request, body.json);
    return body.value;
  });
  // what Postgres cannot hold as text can name nothing that is on record; in bodies readBody has refused it already
  app.addHook("preValidation", async (request) => {
    for (const [where, named] of [
      ["path", request.params],
      ["query", request.query],
    ] as const) {
      for (const [name, value] of Object.entries(z.record(z.string(), z.unknown()).catch({}).parse(named))) {
        if (typeof value === "string" && value.includes("\u0000"))
          throw invalid(`The ${where} holds what is no text.`, [{ pointer: `/${name}`, detail: "holds NUL" }]);
      }
    }
  });
  const bounds = await setBounds(app, { tls: tls !== null, requestsPerSecond });
  const askAgain = guard(app, deps.access);
  if (requestsPerSecond > 0) setSignInBounds(app);
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
    transform: withHeaders,
  });
  await app.register(swaggerUi, { routePrefix: "/docs" });

  // what fails because whoever asked is gone is nobody's fault
  const logFor = (request: FastifyRequest): Pick<Log, "error"> => (request.socket.destroyed ? { error: deps.log.debug.bind(deps.log) } : deps.log);
  app.setErrorHandler((error, request, reply) => answerProblem(problemOf(error, logFor(request)), request, reply));
  app.setNotFoundHandler({ preHandler: [...bounds] }, (request, reply) => answerProblem(notFound(`${request.method} ${pathOf(request)}`), request, reply));

  const given: RouteDeps = { ...deps, recordAccess: accessRecorder(deps.own), askAgain };
  for (const routes of [
    signInRoutes,
    oidcRoutes,
    peopleRoutes,
    signatureRoutes,
    eventRoutes,
    batchRoutes,
    batchRecordRoutes,
    outcomeRoutes,
    confirmationRoutes,
    sourceRoutes,
    operationRoutes,
    registryRoutes,
    auditRoutes,
    retentionRoutes,
    reviewRoutes,
    exportRoutes,
    partyRoutes,
    stationRoutes,
    statusRoutes,
    documentRoutes,
  ]) {
    await app.register((scope, _options, done) => {
      routes(scope, given);
      done();
    });
  }
  return app;
}

const headed = z.looseObject({ headers: z.record(z.string(), z.unknown()) });

/** The transformer forgets which headers an answer has that comes in several types. */
const withHeaders: typeof jsonSchemaTransform = (document) => {
  const transformed = jsonSchemaTransform(document);
  const responses = z.record(z.string(), z.unknown()).catch({}).parse(document.schema?.response);
  for (const [status, response] of Object.entries(responses)) {
    const read = headed.safeParse(response);
    const made: unknown = Object(transformed.schema["response"])[status];
    if (read.success && typeof made === "object" && made !== null) Object.assign(made, { headers: read.data.headers });
  }
  return transformed;
};

const pathOf = (request: FastifyRequest): string => request.url.split("?")[0] ?? "";

function answerProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
  void reply
    .code(problem.document.status)
    .headers(problem.headers)
    .type("application/problem+json")
    .serializer(JSON.stringify)
    .send({ ...problem.document, instance: pathOf(request) } satisfies ProblemDocument);
}

/** What is no HTTP, or more of it than is read, reaches no route: the problem that it is goes onto the connection, which ends. */
function answerUnread(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code !== "ECONNRESET" && socket.writable) {
    const { document } =
      error.code === "HPE_HEADER_OVERFLOW"
        ? new Problem(431, "REQUEST_TOO_LARGE", "The request's address and headers are too long.")
        : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? new Problem(408, "REQUEST_INVALID", "The request did not come to its end in time.")
          : new Problem(400, "REQUEST_INVALID", "The request cannot be read: it is not HTTP.");
    const text = JSON.stringify(document);
    const head = [`HTTP/1.1 ${document.status} ${document.title}`, "content-type: application/problem+json", `content-length: ${Buffer.byteLength(text)}`];
    socket.write(`${head.join("\r\n")}\r\nconnection: close\r\n\r\n${text}`);
  }
  socket.destroy(error);
}

const unknownKeys = z.looseObject({ keys: z.array(z.string()) });

/** Where a schema was not met, by JSON pointer; what nobody knows is named one by one. */
function placesOf(
  path: string,
  params: Readonly<Record<string, unknown>>,
  code: string,
  message: string,
): readonly { readonly pointer: string; readonly detail: string }[] {
  const at = path === "/" ? "" : path;
  const unknown = unknownKeys.safeParse(params);
  return unknown.success
    ? unknown.data.keys.map((key) => ({ pointer: `${at}${pointerOf([key])}`, detail: "is not known here" }))
    : [{ pointer: at, detail: faultInWords({ ...params, code, message }) }];
}

/** What went wrong, as the caller may know it: the request's own fault with its place, everyone's fault without inner details. */
function problemOf(error: unknown, log: Pick<Log, "error">): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StandingBy) return standingBy(error.owner);
  if (error instanceof Unavailable) return unavailable();
  if (error instanceof KeyReused) return keyReused();
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.flatMap(({ instancePath, params, keyword, message }) => placesOf(instancePath, params, keyword, message ?? ""));
    const [first] = errors;
    return invalid(`The request's ${error.validationContext ?? "content"} is not valid: ${first?.pointer ?? ""} ${first?.detail ?? ""}`.trim(), errors);
  }
  const status = typeof error === "object" && error !== null && "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : 500;
  if (status === 413) return new Problem(413, "REQUEST_TOO_LARGE", `The request's body has more than ${BODY_LIMIT} bytes.`);
  if (status === 415) return new Problem(415, "REQUEST_MEDIA_TYPE", "Bodies are application/json.");
  if (status >= 400 && status < 500) return new Problem(400, "REQUEST_INVALID", error instanceof Error ? error.message : "The request cannot be read.");
  const refused = lastWord(error);
  if (refused !== null) return refused;
  const { kind, known, code } = failure(error);
  if (known && (kind === "everyone" || kind === "moved")) return unavailable();
  if (known && code?.startsWith("22") === true) return invalid("The request holds a value that cannot be stored.", []);
  log.error({ err: error }, "a request failed");
  return new Problem(500, "SYS_INTERNAL", "The service failed on this request.");
}
