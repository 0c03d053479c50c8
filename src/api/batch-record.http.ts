import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { PAGE_POLICY } from "../bundle/record-html.ts";
import type { Db } from "../db/database.ts";
import { batchView } from "../decide/batch-view.ts";
import { saidIn } from "../decide/sentence.ts";
import { listReviews } from "../review/review.store.ts";
import { accepted } from "./accept.ts";
import { readBatch } from "./batch.store.ts";
import {
  readAsOf,
  readAttempts,
  readCauses,
  readCommandEntries,
  readDeliveries,
  readEvidenceOfBatch,
  readLastRounds,
  readResolutions,
} from "./batch-record.store.ts";
import { commandOf, movesOf, recordedException, refusedCommand, refusedEvent, stepsOf, voided } from "./batch-record.ts";
import { batchRecordPage } from "./batch-record-page.ts";
import { type BatchRecord, recordSchema } from "./batch-record-schema.ts";
import { batchSchema } from "./batch-schema.ts";
import type { ApiDeps, RouteDeps } from "./deps.ts";
import { quarantined } from "./operations.http.ts";
import { countVerdictsOfBatch, listExceptions, listQuarantine, listVerdicts, readFactsOfBatch, readLocksOfBatch } from "./reads.store.ts";
import { batchMustBeKept } from "./retention.http.ts";
import { GONE, plantId, READ_PROBLEMS } from "./schemas.ts";

/** The batch record (ISA-88: production information of one batch): everything held about it, as of one moment, step by step; as JSON, and as a page to be printed. */
export function batchRecordRoutes(scope: FastifyInstance, deps: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  app.get(
    "/v1/sites/:site/batches/:batch/record",
    {
      schema: {
        operationId: "recordOfBatch",
        summary: "Everything held about a batch, as of one moment, step by step",
        description:
          "With Accept: text/html a page to be read and printed, that needs nothing but itself. What is refused says what was expected and found, and what to do.",
        tags: ["batches"],
        params: z.strictObject({ site: plantId, batch: plantId }),
        response: {
          200: { description: "The batch record.", content: { "application/json": { schema: recordSchema }, "text/html": { schema: z.string() } } },
          ...READ_PROBLEMS,
          ...GONE,
        },
      },
    },
    async (request, reply) => {
      const { site, batch } = request.params;
      const record = await deps.db
        .transaction()
        .setIsolationLevel("repeatable read")
        .setAccessMode("read only")
        .execute((db) => readRecord(db, deps, site, batch));
      await deps.recordAccess(request, site, `record of batch ${batch}`);
      void reply.header("vary", "accept");
      if (accepted(request.headers.accept, ["application/json", "text/html"]) === "application/json") return record;
      return reply.type("text/html; charset=utf-8").header("content-security-policy", PAGE_POLICY).send(batchRecordPage(record));
    },
  );
}

const ALL = Number.MAX_SAFE_INTEGER;

async function readRecord(db: Db, deps: ApiDeps, site: string, batch: string): Promise<BatchRecord> {
  const { state } = await readBatch(db, deps, site, batch);
  await batchMustBeKept(db, site, batch);
  const asOf = await readAsOf(db, site, batch);
  const facts = await readFactsOfBatch(db, site, batch);
  const locks = await readLocksOfBatch(db, site, batch);
  const attempts = await readAttempts(db, site, batch);
  const evidence = await readEvidenceOfBatch(db, site, batch);
  const quarantines = await listVerdicts(db, { site, batch, status: "quarantined" }, null, ALL);
  const decidedBefore = new Set(quarantines.map(({ eventPosition }) => eventPosition));
  const events = [
    ...quarantines,
    // what a person rejects is told once, by what has become of it
    ...(await listVerdicts(db, { site, batch, status: "rejected" }, null, ALL)).filter(({ eventPosition }) => !decidedBefore.has(eventPosition)),
  ];
  const last = await readLastRounds(
    db,
    site,
    events.map(({ eventPosition }) => eventPosition),
  );
  const causes = await readCauses(
    db,
    site,
    [...facts, ...evidence, ...events].map(({ position }) => position),
    false,
  );
  const resolutions = await readResolutions(db, site, batch);
  const decided = await readCauses(db, site, [...resolutions.values(), ...[...last.values()].map(({ position }) => position)], true);
  const deliveries = await readDeliveries(
    db,
    site,
    events.map(({ eventPosition }) => eventPosition),
  );
  const said = new Map(events.map(({ position, eventPosition }) => [position, saidIn(deliveries.get(eventPosition) ?? Buffer.alloc(0))]));
  const exceptions = (await listExceptions(db, { site, batch }, null, ALL)).map((row) =>
    recordedException(row, said.get(row.position), resolutions.get(row.id), decided),
  );
  const commands = voided((await readCommandEntries(db, site, batch)).map(commandOf), facts);
  const refusals = [
    ...events.map((row) => refusedEvent(row, said.get(row.position), causes, last.get(row.eventPosition), decided)),
    ...commands.filter(({ sentence }) => sentence !== null).map(refusedCommand),
  ].sort((one, other) => one.position - other.position);
  return {
    site,
    asOf,
    batch: batchSchema.parse(batchView(state, state.version)),
    pinned: {
      recipe: { name: `${state.recipe.recipe}@${state.recipe.revision}`, sha256: state.recipeHash },
      batch: { name: state.batchMachine, sha256: state.batchMachineHash },
      step: { name: state.stepMachine, sha256: state.stepMachineHash },
    },
    moves: [...movesOf(facts, causes, null, null)],
    steps: stepsOf({ state, attempts, evidence, facts, locks, causes, exceptions, refusals, commands }),
    commands,
    refusals,
    facts: [...facts],
    locks: [...locks],
    exceptions,
    quarantine: (await listQuarantine(db, { site, batch }, null, ALL)).map(quarantined),
    verdicts: await countVerdictsOfBatch(db, site, batch),
    reviews: (await listReviews(db, { site, batch }, null, ALL)).map(({ review, state: stands, openedBy, openedAt, conclusion }) => ({
      review,
      state: stands,
      openedBy,
      openedAt,
      conclusion,
    })),
  };
}
