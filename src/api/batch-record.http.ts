import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { batchView } from "../decide/commands.ts";
import { readBatch } from "./batch.store.ts";
import { batchSchema } from "./batch-schema.ts";
import type { ApiDeps } from "./deps.ts";
import { factSchema } from "./events.http.ts";
import { excepted, exceptionSchema, lockSchema, quarantined, quarantineSchema } from "./operations.http.ts";
import { countVerdictsOfBatch, listExceptions, listQuarantine, readFactsOfBatch, readLocksOfBatch } from "./reads.store.ts";
import { json, plantId, READ_PROBLEMS } from "./schemas.ts";

const pinned = z.object({ name: z.string().describe("With its revision."), sha256: z.string() });

const recordSchema = z.object({
  batch: batchSchema,
  pinned: z.object({ recipe: pinned, batch: pinned, step: pinned }).describe("What the batch was bound to at its creation, by hash."),
  facts: z.array(factSchema).describe("Every fact of the batch, in order, numbered without holes."),
  locks: z.array(lockSchema).describe("Which equipment it held, and when."),
  exceptions: z.array(exceptionSchema).describe("Open and resolved."),
  quarantine: z.array(quarantineSchema).describe("Events about which a person has yet to decide."),
  verdicts: z.record(z.string(), z.int()).describe("How many rounds ended how; the timeline has them."),
});

/** The batch record (ISA-88: production information of one batch): everything held about it, as of one moment. */
export function batchRecordRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  app.get(
    "/v1/sites/:site/batches/:batch/record",
    {
      schema: {
        operationId: "recordOfBatch",
        summary: "Everything held about a batch, as of one moment",
        tags: ["batches"],
        params: z.strictObject({ site: plantId, batch: plantId }),
        response: { 200: json(recordSchema, "The batch record."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, batch } = request.params;
      const all = Number.MAX_SAFE_INTEGER;
      return deps.db
        .transaction()
        .setIsolationLevel("repeatable read")
        .setAccessMode("read only")
        .execute(async (db) => {
          const { state } = await readBatch(db, deps, site, batch);
          return {
            batch: batchSchema.parse(batchView(state, state.version)),
            pinned: {
              recipe: { name: `${state.recipe.recipe}@${state.recipe.revision}`, sha256: state.recipeHash },
              batch: { name: state.batchMachine, sha256: state.batchMachineHash },
              step: { name: state.stepMachine, sha256: state.stepMachineHash },
            },
            facts: [...(await readFactsOfBatch(db, site, batch))],
            locks: [...(await readLocksOfBatch(db, site, batch))],
            exceptions: (await listExceptions(db, { site, batch }, null, all)).map(excepted),
            quarantine: (await listQuarantine(db, { site, batch }, null, all)).map(quarantined),
            verdicts: await countVerdictsOfBatch(db, site, batch),
          };
        });
    },
  );
}
