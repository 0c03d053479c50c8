import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Db } from "../db/database.ts";
import { disposalAt, disposalOfBatch, readDisposals } from "../retention/disposed.store.ts";
import { readHolds, readKeptDays } from "../retention/holds.store.ts";
import { RETENTION_CLASSES } from "../retention/part.ts";
import type { ApiDeps } from "./deps.ts";
import { disposedOf, notFound } from "./problem.ts";
import { listSites } from "./reads.store.ts";
import { json, plantId, READ_PROBLEMS } from "./schemas.ts";

const position = z.int().describe("Of the entry that tells of it.");
const retentionSchema = z.object({
  keepDays: z
    .object({ positions: z.int(), batches: z.int() })
    .describe("For so many days what was recorded, and what batches have beside their entries, is kept at least."),
  holds: z
    .array(
      z.object({
        hold: position,
        batch: z.string().nullable(),
        from: z.int().nullable(),
        to: z.int().nullable(),
        reason: z.string(),
        by: z.string(),
        at: z.string(),
        released: z.object({ position, reason: z.string(), by: z.string(), at: z.string() }).nullable(),
      }),
    )
    .describe("Legal holds, also released ones; without batch and positions all of the site is held."),
  disposals: z
    .array(
      z.object({
        disposal: position,
        class: z.enum(RETENTION_CLASSES).describe("positions: entries, deliveries and verdicts; batches: facts and outcomes of batches opened in a month."),
        part: z.string(),
        from: z.int(),
        to: z.int(),
        reason: z.string(),
        by: z.string(),
        at: z.string(),
      }),
    )
    .describe("What was archived and disposed of."),
});

/** What a site keeps, what is held, and what was disposed of. Changed by `signalbox retention`, as the database's owner. */
export function retentionRoutes(scope: FastifyInstance, { db }: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  app.get(
    "/v1/audit/sites/:site/retention",
    {
      schema: {
        operationId: "getRetention",
        summary: "For how long a site keeps its record, its legal holds, and what was disposed of",
        tags: ["audit"],
        params: z.strictObject({ site: plantId }),
        response: { 200: json(retentionSchema, "As it stands."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
      const [positions, batches] = await Promise.all(RETENTION_CLASSES.map((name) => readKeptDays(db, site, name)));
      const holds = (await readHolds(db, site)).map(({ site: _, ...hold }) => hold);
      const disposals = (await readDisposals(db, site)).map(({ site: _, ...disposal }) => disposal);
      return retentionSchema.parse({ keepDays: { positions, batches }, holds, disposals });
    },
  );
}

/** Throws the problem that what stood at a position was disposed of, if it was. */
export async function mustBeKept(db: Db, site: string, at: number, what: string): Promise<void> {
  const disposal = await disposalAt(db, site, at);
  if (disposal !== null) throw disposedOf(what, disposal);
}

/** Throws the problem that something of a batch's record was disposed of, if it was; `entries`: only what its entries tell is asked for. */
export async function batchMustBeKept(db: Db, site: string, batch: string, asked: "all" | "entries" = "all"): Promise<void> {
  const disposal = await disposalOfBatch(db, site, batch, asked === "entries" ? "positions" : null);
  if (disposal !== null) throw disposedOf(`the record of batch ${batch}, or a part of it,`, disposal);
}
