import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { BatchState } from "../authorise/execution-context.ts";
import { stepOf } from "../authorise/execution-context.ts";
import { type BatchView, batchView } from "../decide/commands.ts";
import { guardsFor, inFull } from "../decide/judge.ts";
import { readWorld } from "../decide/world.store.ts";
import { emptyRequest, World } from "../decide/world.ts";
import { outcomeEvent, verdictData } from "../publish/messages.ts";
import { answerBatch, command } from "./command.http.ts";
import { factSchema } from "./events.http.ts";
import { outcomeEventSchema, verdictSchema } from "./message-schemas.ts";
import { invalid, notFound } from "./problem.ts";
import { listBatches, listSites, readFactsOfBatch, readOutcomesOfStream, readVerdictsOfBatch } from "./reads.store.ts";
import { COMMAND_PROBLEMS, decodeCursor, encodeCursor, idempotencyHeaders, json, listLimit, PROBLEMS, page, plantId, quantity, reason } from "./schemas.ts";
import type { ApiDeps } from "./server.http.ts";

const batchSchema = z.object({
  batch: z.string(),
  version: z.int(),
  jobOrder: z.string(),
  line: z.string(),
  recipe: z.string(),
  product: z.string(),
  quantity: z.object({ value: z.string(), unit: z.string() }),
  parameters: z.record(z.string(), z.object({ value: z.string(), unit: z.string() })),
  equipment: z.record(z.string(), z.string()),
  execution: z.string(),
  disposition: z.string(),
  impediments: z.object({ deferred: z.int(), quarantined: z.int(), exceptions: z.int() }),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  closedAt: z.string().nullable(),
  steps: z.array(
    z.object({
      step: z.string(),
      title: z.string().nullable(),
      attempt: z.int(),
      state: z.string(),
      equipment: z.array(z.string()),
      startedAt: z.string().nullable(),
      endedAt: z.string().nullable(),
      evidence: z.array(
        z.object({
          evidence: z.string(),
          value: z.string().nullable(),
          unit: z.string().nullable(),
          within: z.boolean().nullable(),
          by: z.string().nullable(),
        }),
      ),
    }),
  ),
});

const commanded = batchSchema.extend({
  position: z.int().describe("Where the command stands in the site's order."),
  warnings: z.array(z.object({ code: z.string(), reason: z.string() })).describe("What is true and yet not as it should be; each opened an exception."),
});

const at = z.strictObject({ site: plantId, batch: plantId });
const stepAt = z.strictObject({ site: plantId, batch: plantId, step: plantId });
const BATCH_COMMANDS = ["release-to-floor", "revoke", "cancel", "start", "pause", "resume", "stop", "abort", "amend", "close"] as const;
const STEP_COMMANDS = ["start", "evidence", "correct", "complete", "pause", "resume", "verify", "skip", "rework", "comment"] as const;

const NO_BATCH: BatchView = {
  batch: "",
  version: 0,
  jobOrder: "",
  line: "",
  recipe: "",
  product: "",
  quantity: { value: "0", unit: "1" },
  parameters: {},
  equipment: {},
  execution: "",
  disposition: "",
  impediments: { deferred: 0, quarantined: 0, exceptions: 0 },
  createdAt: "",
  startedAt: null,
  endedAt: null,
  closedAt: null,
  steps: [],
};

export function batchRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;
  const shown = (done: { batch: BatchView | null; position: number; warnings: readonly { code: string; reason: string }[] }) =>
    commanded.parse({ ...(done.batch ?? NO_BATCH), position: done.position, warnings: [...done.warnings] });

  /** A batch as the judge would see it now. */
  async function load(site: string, batch: string): Promise<{ readonly state: BatchState; readonly world: World }> {
    if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
    const request = emptyRequest();
    request.batches.add(batch);
    const data = await readWorld(db, { site, shard: site, prefix: deps.prefix, maxBytes: deps.maxBytes }, request, deps.definitions);
    const world = new World(data);
    const state = world.batch(batch);
    if (state === undefined) throw notFound(`batch ${batch} at site ${site}`);
    return { state, world };
  }

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
        response: { 200: json(commanded, "The batch that the job order already is."), 201: json(commanded, "The new batch."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const { batch, jobOrder, line, recipe, revision, equipment } = body;
      const roles = Object.fromEntries(Object.entries(equipment).sort(([a], [b]) => (a < b ? -1 : 1)));
      const asked = createHash("sha256")
        .update(JSON.stringify([batch, jobOrder, line, recipe, revision, body.quantity.value, body.quantity.unit, roles]))
        .digest("hex");
      const done = await command(deps, request.params.site, request, {
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
      return answerBatch(reply, done).send(shown(done));
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
        querystring: z.strictObject({ execution: z.string().max(32).optional(), cursor: z.string().max(512).optional(), limit: listLimit }),
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
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const { site } = request.params;
      if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
      const { execution, cursor, limit } = request.query;
      const [after] = cursor === undefined ? [] : (decodeCursor(cursor) ?? []);
      if (cursor !== undefined && typeof after !== "string") throw invalid("The cursor is none of ours.", [{ pointer: "/cursor", detail: "is no cursor" }]);
      const rows = await listBatches(db, site, execution ?? null, typeof after === "string" ? after : null, limit + 1);
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      return { items: [...items], cursor: rows.length > limit && last !== undefined ? encodeCursor([last.batch]) : null };
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
        response: { 200: json(batchSchema, "The batch; its version is the ETag."), ...PROBLEMS },
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
        summary: "Changes quantity or equipment before the start",
        tags: ["batches"],
        headers: idempotencyHeaders,
        params: at,
        body: z.strictObject({ quantity: quantity.optional(), equipment: z.record(plantId, plantId).optional(), reason: reason.optional() }),
        response: { 200: json(commanded, "The batch as it is now."), 201: json(commanded, "Not used."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, batch } = request.params;
      const { quantity: amount, equipment, reason: why } = request.body;
      if (amount === undefined && equipment === undefined) throw invalid("Nothing is changed.", [{ pointer: "", detail: "give quantity or equipment" }]);
      const done = await command(deps, site, request, {
        kind: "batch.update",
        batch,
        quantity: amount ?? null,
        equipment: equipment ?? null,
        reason: why ?? null,
      });
      return answerBatch(reply, done).send(shown(done));
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
        body: z.strictObject({ command: z.enum(BATCH_COMMANDS), reason: reason.optional() }),
        response: { 200: json(commanded, "Done."), 201: json(commanded, "Not used."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, batch } = request.params;
      const done = await command(deps, site, request, { kind: "batch.command", batch, command: request.body.command, reason: request.body.reason ?? null });
      return answerBatch(reply, done).send(shown(done));
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
          comment: z.string().min(1).max(4096).optional().describe("With the command comment."),
        }),
        response: { 200: json(commanded, "Done."), 201: json(commanded, "Not used."), ...COMMAND_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { site, batch, step } = request.params;
      const { command: name, reason: why, evidence, comment } = request.body;
      if ((name === "evidence" || name === "correct") && evidence === undefined)
        throw invalid("The command needs its evidence.", [{ pointer: "/evidence", detail: "is missing" }]);
      if (name === "comment" && comment === undefined) throw invalid("The command needs its comment.", [{ pointer: "/comment", detail: "is missing" }]);
      const done = await command(deps, site, request, {
        kind: "step.command",
        batch,
        step,
        command: name,
        reason: why ?? null,
        evidence: evidence === undefined ? null : { evidence: evidence.evidence, value: evidence.value ?? null, unit: evidence.unit ?? null },
        comment: comment ?? null,
      });
      return answerBatch(reply, done).send(shown(done));
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
          ...PROBLEMS,
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
          const current = stepOf(state, step.step) ?? step;
          const names = deps.machines.step(state).permitted(current.state, guardsFor(world, state, current, null));
          return {
            step: step.step,
            attempt: step.attempt,
            state: step.state,
            events: inFull(names),
            commands: [...commandsOf(names, "step", STEP_COMMANDS), "comment"],
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
        querystring: z.strictObject({ after: z.coerce.number().int().min(0).default(0), limit: listLimit }),
        response: {
          200: json(
            z.object({
              items: z.array(z.object({ position: z.int(), verdict: verdictSchema.nullable(), facts: z.array(factSchema) })),
              after: z.int().nullable(),
            }),
            "A page of the timeline.",
          ),
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const { site, batch } = request.params;
      await load(site, batch);
      const { after, limit } = request.query;
      const [verdicts, facts] = await Promise.all([readVerdictsOfBatch(db, site, batch, after, limit), readFactsOfBatch(db, site, batch, after, limit * 20)]);
      const positions = [...new Set([...verdicts.map((v) => v.position), ...facts.map((f) => f.position)])].sort((a, b) => a - b);
      const shownPositions = positions.slice(0, limit);
      return {
        items: shownPositions.map((position) => {
          const verdict = verdicts.find((v) => v.position === position);
          return {
            position,
            verdict: verdict === undefined ? null : verdictSchema.parse(verdictData(verdict)),
            facts: facts.filter((f) => f.position === position),
          };
        }),
        after: positions.length > limit || verdicts.length === limit ? (shownPositions.at(-1) ?? null) : null,
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
        querystring: z.strictObject({ after: z.coerce.number().int().min(0).default(0).describe("The last sequence that the caller has."), limit: listLimit }),
        response: { 200: json(z.object({ items: z.array(outcomeEventSchema) }), "Outcomes, contiguous."), ...PROBLEMS },
      },
    },
    async (request) => {
      const { site, batch } = request.params;
      await load(site, batch);
      const rows = await readOutcomesOfStream(db, site, `batch/${batch}`, request.query.after, request.query.limit);
      return { items: rows.map((row) => outcomeEventSchema.parse(outcomeEvent(row))) };
    },
  );
}
