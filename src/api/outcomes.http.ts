import { AsyncResource } from "node:async_hooks";
import { PassThrough } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { outcomeEvent } from "../publish/messages.ts";
import { disposedOutcomes } from "../retention/disposed.store.ts";
import { callerOf } from "./bounds.http.ts";
import type { RouteDeps } from "./deps.ts";
import { principalIn } from "./guard.http.ts";
import { outcomeEventSchema } from "./message-schemas.ts";
import { invalid, notFound, type Problem, tooManyStreams } from "./problem.ts";
import { listSites, readOutcomesAfter, readStanding } from "./reads.store.ts";
import { FEED_PROBLEMS, generationNumber, json, listLimit, plantId, positionNumber } from "./schemas.ts";
import { mustStand } from "./standing.ts";

const HEARTBEAT_MS = 15_000;
/** So many streams one caller has open: they are not counted as requests, and each is read for at every commit. */
const MOST_STREAMS = 32;
const PAGE = 200;
const PATH = "/v1/outcomes/events";

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

/** In the first generation the bare position, so that a bare one is known to be of the first. */
const idOf = ({ generation, position }: { readonly generation: number; readonly position: number }): string =>
  generation === 1 ? String(position) : `${generation}.${position}`;

function positionIn(id: string): { readonly generation: number; readonly after: number } {
  const [, generation = "1", position] = /^(?:([1-9]\d{0,8})\.)?(\d{1,16})$/.exec(id) ?? [];
  if (position === undefined) throw invalid("Last-Event-ID is a position.", [{ pointer: "/last-event-id", detail: "is no position" }]);
  return { generation: Number(generation), after: Number(position) };
}

export function outcomeRoutes(scope: FastifyInstance, deps: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;
  const streams = new Set<PassThrough>();
  const ofCaller = new Map<string, number>();
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

  /** The site's generation, for whoever may read on after a position. */
  async function generationFor(site: string, after: number, of: number | undefined): Promise<number> {
    const { generation, head, stands } = await readStanding(db, site, of ?? 0);
    mustStand(after, of, { generation, stands, last: head });
    return generation;
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
        querystring: z.strictObject({ ...query, generation: generationNumber.optional(), after: positionNumber.default(0), limit: listLimit }),
        response: {
          200: json(
            z.object({
              items: z.array(outcomeEventSchema),
              after: z.int().describe("For the next page."),
              generation: z.int().describe("Of the record now; it rises when the record was restored from a backup."),
              disposed: z
                .object({ through: z.int(), disposal: z.int() })
                .nullable()
                .describe(
                  "Up to position `through` outcomes of batches may be missing: those of some were archived and disposed of, as the entry at `disposal` tells last.",
                ),
            }),
            "A page of outcomes.",
          ),
          ...FEED_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { after, limit, stream } = request.query;
      const site = await siteOf(request.query.site);
      const generation = await generationFor(site, after, request.query.generation);
      const rows = await readOutcomesAfter(db, site, stream ?? null, after, limit);
      return {
        items: rows.map((row) => outcomeEventSchema.parse(outcomeEvent(row))),
        after: rows.at(-1)?.position ?? after,
        generation,
        disposed: await disposedOutcomes(db, site),
      };
    },
  );

  app.get(
    PATH,
    {
      schema: {
        operationId: "streamOutcomes",
        summary: "Outcomes as server-sent events; resumes behind Last-Event-ID",
        description:
          "`id` is sent with the last outcome of a position only, so that resuming never splits one: the position, and since a restore its generation before it (`2.1209`). Whoever follows is asked again who they are before anything more is sent: where they may not follow any more (a key that was revoked or has ended, a person or machine that was deactivated, a role that was taken, a session that is over), the stream ends with an event `problem`, whose data is what asking now is answered with (application/problem+json). Following is no act of a person: it prolongs no session.",
        tags: ["outcomes"],
        headers: z.looseObject({ "last-event-id": z.string().max(32).optional() }),
        querystring: z.strictObject({ ...query, generation: generationNumber.optional(), after: positionNumber.optional() }),
        response: {
          200: {
            description: "The stream; it ends when the service stops, and with an event `problem` when whoever follows may not any more.",
            content: { "text/event-stream": { schema: eventStream } },
          },
          ...FEED_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const site = await siteOf(request.query.site);
      const resume = request.headers["last-event-id"];
      const from = resume === undefined ? { generation: request.query.generation, after: request.query.after ?? 0 } : positionIn(resume);
      await generationFor(site, from.after, from.generation);
      let { after } = from;
      const caller = whoFollows(request);
      const followed = ofCaller.get(caller) ?? 0;
      if (followed >= MOST_STREAMS) throw tooManyStreams(MOST_STREAMS);
      ofCaller.set(caller, followed + 1);
      const out = new PassThrough();
      streams.add(out);
      const open = (): boolean => !out.writableEnded && !out.destroyed;
      const endWith = ({ document }: Problem): void => {
        if (!open()) return;
        out.end(`event: problem\ndata: ${JSON.stringify({ ...document, instance: PATH })}\n\n`);
        deps.log.info({ site, caller, code: document.code }, "a stream of outcomes was ended: whoever followed may not any more");
      };
      const mayFollow = async (): Promise<boolean> => {
        const refusal = await deps.askAgain(request, site, "follows");
        if (refusal !== null) endWith(refusal);
        return refusal === null;
      };
      // what is committed later is read for whoever asked, too
      const readOn = AsyncResource.bind(async (): Promise<void> => {
        let read: number;
        do {
          const rows = await readOutcomesAfter(db, site, request.query.stream ?? null, after, PAGE);
          // asked behind the read, so that nothing is sent that was committed when they might not follow any more
          if (!(await mayFollow())) return;
          for (const [i, row] of rows.entries()) {
            if (!open()) return;
            const last = rows[i + 1]?.position !== row.position;
            const block = `${last ? `id: ${idOf(row)}\n` : ""}event: signalbox.${row.type}.v1\ndata: ${JSON.stringify(outcomeEvent(row))}\n\n`;
            if (!out.write(block)) await drained(out);
            if (last) after = row.position;
          }
          read = rows.length;
        } while (read >= PAGE && open());
      });
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
        // ended a heartbeat ago, and whoever followed does not take the last of it
        if (!open()) return void out.destroy();
        // also while a read waits for whoever takes slowly; where nobody can be asked nothing is read either, and the stream stays
        void mayFollow()
          .catch(() => true)
          .then((may) => {
            if (may && open()) out.write(": here\n\n");
          });
        void pump();
      }, HEARTBEAT_MS);
      const end = (): void => {
        clearInterval(heartbeat);
        stopListening();
        if (streams.delete(out)) {
          const left = (ofCaller.get(caller) ?? 1) - 1;
          if (left > 0) ofCaller.set(caller, left);
          else ofCaller.delete(caller);
        }
        out.destroy();
      };
      reply.raw.once("close", end);
      // not when the last of it was written: whoever follows has yet to take it
      out.once("close", end);
      out.write("retry: 2000\n\n");
      void pump();
      return reply.header("content-type", "text/event-stream").header("cache-control", "no-store").send(out);
    },
  );
}

/** Whoever is known by who they are, from wherever; others by their address. */
function whoFollows(request: FastifyRequest): string {
  const principal = principalIn(request);
  return principal.kind === "nobody" ? callerOf(request) : `${principal.kind}:${principal.id}`;
}
