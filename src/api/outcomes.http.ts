import { PassThrough } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { outcomeEvent } from "../publish/messages.ts";
import type { ApiDeps } from "./deps.ts";
import { outcomeEventSchema } from "./message-schemas.ts";
import { invalid, notFound } from "./problem.ts";
import { listSites, readOutcomesAfter } from "./reads.store.ts";
import { json, listLimit, plantId, positionNumber, READ_PROBLEMS } from "./schemas.ts";

const HEARTBEAT_MS = 15_000;
const PAGE = 200;

const eventStream = z.custom<PassThrough>((value) => value instanceof PassThrough).meta({ type: "string" });

/** Resolves when a stream takes more, or never will. */
const drained = (out: PassThrough): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      out.off("drain", done).off("close", done);
      resolve();
    };
    out.on("drain", done).on("close", done);
  });

export function outcomeRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;
  const streams = new Set<PassThrough>();
  scope.addHook("preClose", async () => {
    for (const stream of streams) stream.end();
  });

  /** The site asked for; with one site only it need not be named. */
  async function siteOf(asked: string | undefined): Promise<string> {
    const sites = await listSites(db);
    if (asked !== undefined) {
      if (!sites.includes(asked)) throw notFound(`site ${asked}`);
      return asked;
    }
    const [only, second] = sites;
    if (only === undefined || second !== undefined)
      throw invalid("Name the site: positions are counted per site.", [{ pointer: "/site", detail: "is missing" }]);
    return only;
  }

  const query = {
    site: plantId.optional().describe("May be left out where there is one."),
    stream: z.string().max(128).optional().describe("batch/{batch}, equipment/{equipment} or site."),
  };

  app.get(
    "/v1/outcomes",
    {
      schema: {
        operationId: "listOutcomes",
        summary: "Outcomes after a position, in position order; a page never splits a position",
        tags: ["outcomes"],
        querystring: z.strictObject({ ...query, after: positionNumber.default(0), limit: listLimit }),
        response: {
          200: json(z.object({ items: z.array(outcomeEventSchema), after: z.int().describe("For the next page.") }), "A page of outcomes."),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { after, limit, stream } = request.query;
      const rows = await readOutcomesAfter(db, await siteOf(request.query.site), stream ?? null, after, limit);
      return { items: rows.map((row) => outcomeEventSchema.parse(outcomeEvent(row))), after: rows.at(-1)?.position ?? after };
    },
  );

  app.get(
    "/v1/outcomes/events",
    {
      schema: {
        operationId: "streamOutcomes",
        summary: "Outcomes as server-sent events; resumes behind Last-Event-ID",
        description: "`id` is a position, sent with the last outcome of it only, so that resuming never splits one.",
        tags: ["outcomes"],
        headers: z.looseObject({ "last-event-id": z.string().max(32).optional() }),
        querystring: z.strictObject({ ...query, after: positionNumber.optional() }),
        response: {
          200: { description: "The stream; it ends when the service stops.", content: { "text/event-stream": { schema: eventStream } } },
          ...READ_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const site = await siteOf(request.query.site);
      const resume = request.headers["last-event-id"];
      if (resume !== undefined && !/^\d{1,16}$/.test(resume))
        throw invalid("Last-Event-ID is a position.", [{ pointer: "/last-event-id", detail: "is no position" }]);
      let after = resume === undefined ? (request.query.after ?? 0) : Number(resume);
      const out = new PassThrough();
      streams.add(out);
      const open = (): boolean => !out.writableEnded && !out.destroyed;
      const readOn = async (): Promise<void> => {
        let read: number;
        do {
          const rows = await readOutcomesAfter(db, site, request.query.stream ?? null, after, PAGE);
          for (const [i, row] of rows.entries()) {
            if (!open()) return;
            const last = rows[i + 1]?.position !== row.position;
            const block = `${last ? `id: ${row.position}\n` : ""}event: signalbox.${row.type}.v1\ndata: ${JSON.stringify(outcomeEvent(row))}\n\n`;
            if (!out.write(block)) await drained(out);
            if (last) after = row.position;
          }
          read = rows.length;
        } while (read > 0 && open());
      };
      let reading = false;
      let wanted = true;
      const pump = async (): Promise<void> => {
        wanted = true;
        if (reading) return;
        reading = true;
        // whoever asks while this reads is heard afterwards, also when the read fails
        while (wanted && open()) {
          wanted = false;
          try {
            await readOn();
          } catch (error) {
            // the database is away: the stream stays, and goes on with the next commit or heartbeat
            deps.log.debug({ err: error, site }, "a stream of outcomes could not be read on");
          }
        }
        reading = false;
      };
      const stopListening = deps.onCommitted(() => void pump());
      const heartbeat = setInterval(() => {
        if (open()) out.write(": here\n\n");
        void pump();
      }, HEARTBEAT_MS);
      const end = (): void => {
        clearInterval(heartbeat);
        stopListening();
        streams.delete(out);
        out.destroy();
      };
      reply.raw.once("close", end);
      out.once("finish", end);
      out.write("retry: 2000\n\n");
      void pump();
      return reply.header("content-type", "text/event-stream").header("cache-control", "no-store").send(out);
    },
  );
}
