import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { BatchView, CommandAnswer } from "../decide/commands.ts";
import type { Command } from "../decide/signal.ts";
import { CODES } from "../decide/verdict.ts";
import { notFound, Problem } from "./problem.ts";
import type { ApiDeps } from "./server.http.ts";

export interface Done {
  readonly created: boolean;
  readonly batch: BatchView | null;
  readonly warnings: readonly { readonly code: string; readonly reason: string }[];
  readonly position: number;
  readonly replayed: boolean;
}

/** Sends a command on the route and waits for its commit. Whatever is refused is thrown as the problem that it is. */
export async function command(deps: ApiDeps, site: string, request: FastifyRequest, asked: Command): Promise<Done> {
  const drive = deps.drive(site);
  if (drive === undefined) throw notFound(`site ${site}`);
  const key = headerOf(request, "idempotency-key");
  const body = createHash("sha256")
    .update(JSON.stringify(sorted(request.body ?? null)))
    .digest("hex");
  const { answer, position } = await drive.command({
    command: asked,
    actor: "unattributed",
    ifVersion: versionIn(headerOf(request, "if-match")),
    key: key === null ? null : { key, request: `${request.method} ${request.url.split("?")[0]}`, bodyDigest: body },
  });
  return settle(answer, position, false);
}

function settle(answer: CommandAnswer, position: number, replayed: boolean): Done {
  switch (answer.kind) {
    case "done":
      return { created: answer.created, batch: answer.batch, warnings: answer.warnings, position, replayed };
    case "refused":
      throw new Problem(
        409,
        answer.code,
        answer.reason,
        {
          ...(answer.explanation === null
            ? {}
            : { explanation: { ...answer.explanation, guards: [...answer.explanation.guards], permitted: [...(answer.explanation.permitted ?? [])] } }),
          position,
          ...(CODES[answer.code] === undefined ? {} : { remedy: CODES[answer.code]?.remedy ?? "" }),
        },
        replayed ? { "idempotent-replayed": "true" } : {},
      );
    case "unknown":
      throw notFound(answer.what);
    case "stale":
      throw new Problem(412, "REQUEST_STALE", `The current version is ${answer.version}.`, {}, { etag: `"${answer.version}"` });
    case "answered before":
      if (!answer.sameBody) throw new Problem(422, "REQUEST_KEY_REUSED", "The idempotency key was used before with another request.");
      return settle(storedAnswer(answer.answer), answer.position, true);
  }
}

/** An answer out of the record: what was stored by the commit that did it. */
function storedAnswer(stored: unknown): CommandAnswer {
  if (typeof stored !== "object" || stored === null || !("kind" in stored)) throw new Error("a stored answer cannot be read");
  return stored as CommandAnswer;
}

/** Answers with a batch: its version is the entity tag. */
export function answerBatch(reply: FastifyReply, done: Done): FastifyReply {
  if (done.replayed) void reply.header("idempotent-replayed", "true");
  if (done.batch !== null) void reply.header("etag", `"${done.batch.version}"`);
  return reply.code(done.created ? 201 : 200);
}

function headerOf(request: FastifyRequest, name: string): string | null {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : null;
}

function versionIn(ifMatch: string | null): number | null {
  if (ifMatch === null || ifMatch === "*") return null;
  const version = Number(/^(?:W\/)?"?(\d{1,15})"?$/.exec(ifMatch)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(version))
    throw new Problem(400, "REQUEST_INVALID", 'If-Match is an entity tag such as "7".', {
      errors: [{ pointer: "/headers/if-match", detail: "is no entity tag of a batch" }],
    });
  return version;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, content]) => [name, sorted(content)]),
  );
}
