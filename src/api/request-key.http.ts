import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { RequestKey } from "../audit/request-key.store.ts";

/** Under which key something is asked; null: under none. The digest does not depend on how the body was written. */
export function requestKeyOf(request: FastifyRequest): RequestKey | null {
  const key = headerOf(request, "idempotency-key");
  if (key === null) return null;
  const bodyDigest = createHash("sha256")
    .update(JSON.stringify(sorted(request.body ?? null)))
    .digest("hex");
  return { key, request: `${request.method} ${request.url.split("?")[0]}`, bodyDigest };
}

/** An answer that was given before says so. */
export const sayReplayed = (reply: FastifyReply): void => void reply.header("idempotent-replayed", "true");
export const REPLAYED = {
  "idempotent-replayed": { type: "string", enum: ["true"], description: "It was asked before under the same Idempotency-Key." },
} as const;

export function headerOf(request: FastifyRequest, name: string): string | null {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : null;
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
