import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Command } from "../decide/signal.ts";
import { CODES } from "../decide/verdict.ts";
import { actingIn } from "./attribution.http.ts";
import { batchSchema, type commandedSchema, warningsSchema } from "./batch-schema.ts";
import type { ApiDeps } from "./deps.ts";
import { explanationSchema } from "./message-schemas.ts";
import { invalid, keyReused, notFound, Problem, stale } from "./problem.ts";
import { headerOf, requestKeyOf, sayReplayed } from "./request-key.http.ts";

/** What a command came to, as it is given and as it is stored under its key. */
const answerSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("done"), created: z.boolean(), batch: batchSchema.nullable(), warnings: warningsSchema }),
  z.object({ kind: z.literal("refused"), code: z.string(), reason: z.string(), explanation: explanationSchema.nullable() }),
  z.object({ kind: z.literal("unknown"), what: z.string() }),
  z.object({ kind: z.literal("stale"), version: z.int() }),
]);

export interface Done {
  readonly created: boolean;
  readonly batch: z.infer<typeof batchSchema> | null;
  readonly warnings: z.infer<typeof warningsSchema>;
  readonly position: number;
}

/** Sends a command on the route and waits for its commit. Whatever is refused is thrown as the problem that it is; an answer given before is given again, and says so. */
export async function command(deps: ApiDeps, site: string, request: FastifyRequest, reply: FastifyReply, asked: Command): Promise<Done> {
  const shard = deps.shard(site);
  if (shard === undefined) throw notFound(`site ${site}`);
  const { answer, position } = await shard.command({
    command: asked,
    ...actingIn(request, site),
    ifVersion: versionIn(headerOf(request, "if-match")),
    key: requestKeyOf(request),
  });
  if (answer.kind !== "answered before") return settle(answerSchema.parse(answer), position);
  if (!answer.sameBody) throw keyReused();
  sayReplayed(reply);
  return settle(answerSchema.parse(answer.answer), position);
}

function settle(answer: z.infer<typeof answerSchema>, position: number): Done {
  switch (answer.kind) {
    case "done":
      return { created: answer.created, batch: answer.batch, warnings: answer.warnings, position };
    case "refused": {
      const remedy = CODES[answer.code]?.remedy;
      throw new Problem(409, answer.code, answer.reason, {
        ...(answer.explanation === null ? {} : { explanation: answer.explanation }),
        position,
        ...(remedy === undefined ? {} : { remedy }),
      });
    }
    case "unknown":
      throw notFound(answer.what);
    case "stale":
      throw stale(answer.version);
  }
}

/** The batch as the command left it; its version is the entity tag. */
export function commandedBatch(reply: FastifyReply, { batch, position, warnings }: Done): z.infer<typeof commandedSchema> {
  if (batch === null) throw new Error("a command about a batch was answered without it");
  void reply.header("etag", `"${batch.version}"`);
  return { ...batch, position, warnings };
}

/** The version that an entity tag names; null: whatever it is. */
export function versionIn(ifMatch: string | null): number | null {
  if (ifMatch === null || ifMatch === "*") return null;
  const version = /^(?:W\/)?"?(\d{1,15})"?$/.exec(ifMatch)?.[1];
  if (version === undefined) throw invalid('If-Match is an entity tag such as "7".', [{ pointer: "/if-match", detail: "is no entity tag" }]);
  return Number(version);
}
