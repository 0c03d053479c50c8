import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { stepOf } from "../authorise/execution-context.ts";
import { batchView } from "../decide/batch-view.ts";
import { guardsFor } from "../decide/guards-for.ts";
import { permittedOfStep } from "../decide/judge-step.ts";
import type { BatchCommandName } from "../decide/signal.ts";
import { inFull } from "../decide/type-names.ts";
import { outcomeEvent, verdictData } from "../publish/messages.ts";
import { type LoadedBatch, readBatch } from "./batch.store.ts";
import { batchSchema, commandedSchema } from "./batch-schema.ts";
import { command, commandedBatch } from "./command.http.ts";
import type { ApiDeps } from "./deps.ts";
import { factSchema } from "./events.http.ts";
import { outcomeEventSchema, verdictSchema } from "./message-schemas.ts";
import { invalid, notFound } from "./problem.ts";
import {
  listBatches,
  listSites,
  readFacts,
  readLastOfStream,
  readOutcomesOfStream,
  readPositionsOfBatch,
  readStanding,
  readVerdictsAt,
} from "./reads.store.ts";
import { batchMustBeKept } from "./retention.http.ts";
import {
  COMMAND_PROBLEMS,
  cursorText,
  decodeCursor,
  FEED_PROBLEMS,
  GONE,
  generationNumber,
  idempotencyHeaders,
  json,
  linked,
  listLimit,
  page,
  pageOf,
  plantId,
  positionNumber,
  quantity,
  READ_PROBLEMS,
  reason,
  saying,
} from "./schemas.ts";
import { mustStand } from "./standing.ts";

const at = z.strictObject({ site: plantId, batch: plantId });
const stepAt = z.strictObject({ site: plantId, batch: plantId, step: plantId });
const BATCH_COMMANDS = [
  "release-to-floor",
  "revoke",
  "cancel",
  "start",
  "pause",
  "resume",
  "stop",
  "abort",
  "amend",
  "close",
  "recommend",
  "release",
  "conditional",
  "reject",
] as const;
const BINDING: ReadonlySet<string> = new Set<BatchCommandName>(["recommend", "release", "conditional", "reject"]);
const STEP_COMMANDS = ["start", "evidence", "correct", "complete", "pause", "resume", "verify", "skip", "rework", "comment"] as const;

export function batchRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;

  const load = (site: string, batch: string): Promise<LoadedBatch> => readBatch(db, deps, site, batch);

  app.post(
    "/v1/sites/:site/batches",
    {
      schema: {
        operationId: "createBatch",
        summary: "Hands over a job order; the same content again gives the same batch",
        tags: ["batches"],
        headers: idempotencyHeaders,
        params: z.strictObject({ site: plantId }),
        body: z.strictObject({
          batch: plantId,
          jobOrder: z.string().min(1).max(256),
          line: plantId,
          recipe: plantId,
          revision: z.int().min(1).max(999_999_999),
          quantity,
          equipment: z.record(plantId, plantId).default({}).describe("Which equipment plays which role of the recipe."),
        }),
        response: { 200: json(commandedSchema, "The batch that the job order already is."), 201: json(commandedSchema, "The new batch."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const { batch, jobOrder, line, recipe, revision, equipment } = body;
      const roles = Object.fromEntries(Object.entries(equipment).sort(([a], [b]) => (a < b ? -1 : 1)));
      const asked = createHash("sha256")
        .update(JSON.stringify([batch, jobOrder, line, recipe, revision, body.quantity.value, body.quantity.unit, roles]))
        .digest("hex");
      const done = await command(deps, request.params.site, request, reply, {
        kind: "batch.create",
        batch,
        jobOrder,
        line,
        recipe,
        revision,
        quantity: body.quantity,
        equipment: roles,
        asked,
      });
      return reply.code(done.created ? 201 : 200).send(commandedBatch(reply, done));
    },
  );

  app.get(
    "/v1/sites/:site/batches",
    {
      schema: {
        operationId: "listBatches",
        summary: "The batches of a site",
        tags: ["batches"],
        params: z.strictObject({ site: plantId }),
        querystring: z.strictObject({ execution: z.string().max(32).optional(), cursor: cursorText, limit: listLimit }),
        response: {
          200: json(
            page(
              z.object({
                batch: z.string(),
                jobOrder: z.string(),
                line: z.string(),
                recipe: z.string(),
                execution: z.string(),
                disposition: z.string(),
                createdAt: z.string(),
              }),
            ),
            "A page of batches.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { site } = request.params;
      if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
      const { execution, cursor, limit } = request.query;
      const after = decodeCursor(cursor, z.tuple([plantId]));
      return pageOf(await listBatches(db, site, execution ?? null, after?.[0] ?? null, limit + 1), limit, ({ batch }) => [batch]);
    },
  );

  app.get(
    "/v1/sites/:site/batches/:batch",
    {
      schema: {
        operationId: "getBatch",
        summary: "A batch with its steps and their evidence",
        tags: ["batches"],
        params: at,
        response: { 200: json(batchSchema, "The batch; its version is the ETag."), ...READ_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { state } = await load(request.params.site, request.params.batch);
      return reply.header("etag", `"${state.version}"`).send(batchSchema.parse(batchView(state, state.version)));
    },
  );

  app.patch(
    "/v1/sites/:site/batches/:batch",
    {
      schema: {
        operationId: "updateBatch",
        summary: "Changes the quantity, or the equipment of the roles that are named, before the start",
        tags: ["batches"],
        headers: idempotencyHeaders,
        params: at,
        body: z.strictObject({ quantity: quantity.optional(), equipment: z.record(plantId, plantId).optional(), reason: reason.optional() }),
        response: { 200: json(commandedSchema, "The batch as it is now."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, batch } = request.params;
      const { quantity: amount, equipment, reason: why } = request.body;
      if (amount === undefined && equipment === undefined) throw invalid("Nothing is changed.", [{ pointer: "", detail: "give quantity or equipment" }]);
      return commandedBatch(
        reply,
        await command(deps, site, request, reply, {
          kind: "batch.update",
          batch,
          quantity: amount ?? null,
          equipment: equipment ?? null,
          reason: why ?? null,
        }),
      );
    },
  );

  app.post(
    "/v1/sites/:site/batches/:batch/commands",
    {
      schema: {
        operationId: "commandBatch",
        summary: "Commands a batch; a refusal carries the guard that failed and what is permitted",
        tags: ["batches"],
        headers: idempotencyHeaders,
        params: at,
        body: z.strictObject({
          command: z.enum(BATCH_COMMANDS),
          reason: reason.optional(),
          revision: z.int().min(1).max(999_999_999).optional().describe("With the command amend: the revision of its recipe under which the batch goes on."),
        }),
        response: { 200: json(commandedSchema, "Done."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, batch } = request.params;
      const { command: name, reason: why, revision } = request.body;
      if ((name === "amend") !== (revision !== undefined))
        throw invalid("The command amend needs the revision, and no other takes one.", [
          { pointer: "/revision", detail: revision === undefined ? "is missing" : "is only of the command amend" },
        ]);
      return commandedBatch(
        reply,
        await command(deps, site, request, reply, {
          kind: "batch.command",
          batch,
          command: name,
          reason: why ?? null,
          ...(revision === undefined ? {} : { revision }),
          ...(BINDING.has(name) ? { binding: true } : {}),
        }),
      );
    },
  );

  app.post(
    "/v1/sites/:site/batches/:batch/steps/:step/commands",
    {
      schema: {
        operationId: "commandStep",
        summary: "Commands a step as a person",
        tags: ["batches"],
        headers: idempotencyHeaders,
        params: stepAt,
        body: z.strictObject({
          command: z.enum(STEP_COMMANDS),
          reason: reason.optional(),
          evidence: z
            .strictObject({ evidence: plantId, value: z.union([z.boolean(), z.string().min(1).max(1024)]).optional(), unit: z.string().max(64).optional() })
            .optional()
            .describe("With the commands evidence and correct."),
          comment: saying(4_096).optional().describe("With the command comment."),
          linked: linked.optional().describe("With the command rework: the deviation in the quality system that it is done under."),
        }),
        response: { 200: json(commandedSchema, "Done."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, batch, step } = request.params;
      const { command: name, reason: why, evidence, comment, linked: deviation } = request.body;
      if ((name === "evidence" || name === "correct") && evidence === undefined)
        throw invalid("The command needs its evidence.", [{ pointer: "/evidence", detail: "is missing" }]);
      if (name === "comment" && comment === undefined) throw invalid("The command needs its comment.", [{ pointer: "/comment", detail: "is missing" }]);
      return commandedBatch(
        reply,
        await command(deps, site, request, reply, {
          kind: "step.command",
          batch,
          step,
          command: name,
          reason: why ?? null,
          evidence: evidence === undefined ? null : { evidence: evidence.evidence, value: evidence.value ?? null, unit: evidence.unit ?? null },
          comment: comment ?? null,
          ...(deviation === undefined ? {} : { linked: deviation }),
        }),
      );
    },
  );

  app.get(
    "/v1/sites/:site/batches/:batch/permitted",
    {
      schema: {
        operationId: "permittedOfBatch",
        summary: "What the batch and each of its steps would take now",
        tags: ["batches"],
        params: at,
        response: {
          200: json(
            z.object({
              batch: z.object({ execution: z.string(), disposition: z.string(), events: z.array(z.string()), commands: z.array(z.string()) }),
              steps: z.array(z.object({ step: z.string(), attempt: z.int(), state: z.string(), events: z.array(z.string()), commands: z.array(z.string()) })),
            }),
            "Event types and commands.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { state, world } = await load(request.params.site, request.params.batch);
      const ofBatch = deps.machines.batch(state).permitted({ execution: state.execution, disposition: state.disposition }, guardsFor(world, state, null, null));
      const commandsOf = (names: readonly string[], kind: string, known: readonly string[]) => known.filter((name) => names.includes(`${kind}.${name}`));
      return {
        batch: { execution: state.execution, disposition: state.disposition, events: inFull(ofBatch), commands: commandsOf(ofBatch, "batch", BATCH_COMMANDS) },
        steps: state.steps.map((step) => {
          const { ofDevices, ofPeople } = permittedOfStep(world, deps.machines, state, stepOf(state, step.step) ?? step);
          return {
            step: step.step,
            attempt: step.attempt,
            state: step.state,
            events: inFull(ofDevices),
            commands: [...commandsOf(ofPeople, "step", STEP_COMMANDS), "comment"],
          };
        }),
      };
    },
  );

  app.get(
    "/v1/sites/:site/batches/:batch/timeline",
    {
      schema: {
        operationId: "timelineOfBatch",
        summary: "What happened to a batch, in order: verdicts and facts by position",
        tags: ["batches"],
        params: at,
        querystring: z.strictObject({ after: positionNumber.default(0), limit: listLimit }),
        response: {
          200: json(
            z.object({
              items: z.array(z.object({ position: z.int(), verdict: verdictSchema.nullable(), facts: z.array(factSchema) })),
              after: z.int().nullable(),
            }),
            "A page of the timeline.",
          ),
          ...READ_PROBLEMS,
          ...GONE,
        },
      },
    },
    async (request) => {
      const { site, batch } = request.params;
      await load(site, batch);
      await batchMustBeKept(db, site, batch);
      const { after, limit } = request.query;
      const positions = await readPositionsOfBatch(db, site, batch, after, limit + 1);
      const shown = positions.slice(0, limit);
      const [verdicts, facts] = await Promise.all([readVerdictsAt(db, site, shown), readFacts(db, site, shown)]);
      return {
        items: shown.map((position) => {
          const verdict = verdicts.find((v) => v.position === position);
          return {
            position,
            verdict: verdict === undefined ? null : verdictSchema.parse(verdictData(verdict)),
            facts: facts.filter((fact) => fact.position === position && fact.batch === batch),
          };
        }),
        after: positions.length > limit ? (shown.at(-1) ?? null) : null,
      };
    },
  );

  app.get(
    "/v1/sites/:site/batches/:batch/outcomes",
    {
      schema: {
        operationId: "outcomesOfBatch",
        summary: "A batch's outcomes after a number, as they were published",
        tags: ["outcomes"],
        params: at,
        querystring: z.strictObject({
          after: positionNumber.default(0).describe("The last sequence that the caller has."),
          generation: generationNumber.optional(),
          limit: listLimit,
        }),
        response: { 200: json(z.object({ items: z.array(outcomeEventSchema) }), "Outcomes, contiguous."), ...FEED_PROBLEMS },
      },
    },
    async (request) => {
      const { site, batch } = request.params;
      await load(site, batch);
      await batchMustBeKept(db, site, batch);
      const { after, generation: of, limit } = request.query;
      const stream = `batch/${batch}`;
      const { generation, head, stands } = await readStanding(db, site, of ?? 0);
      if (stands !== null) {
        const [cut, last] = await Promise.all([stands, head].map((position) => readLastOfStream(db, site, stream, position)));
        mustStand(after, of, { generation, stands: cut ?? 0, last: last ?? 0 });
      }
      const rows = await readOutcomesOfStream(db, site, stream, after, limit);
      return { items: rows.map((row) => outcomeEventSchema.parse(outcomeEvent(row))) };
    },
  );
}
