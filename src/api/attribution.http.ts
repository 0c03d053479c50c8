import type { FastifyRequest } from "fastify";
import type { Attribution } from "../audit/act.store.ts";

/** Nobody signs in yet, so whoever asks is `unattributed`, for good; from where it was asked is known. The header `Reason` says why. */
export function attributionOf(request: FastifyRequest): Attribution {
  const { reason } = request.headers;
  return { actor: "unattributed", from: fromOf(request), reason: typeof reason === "string" && reason.trim() !== "" ? reason.trim() : null };
}

/** From where something was asked: the caller's address, and what it called. */
export const fromOf = (request: FastifyRequest): string => `${request.ip} ${request.method} ${request.url.split("?")[0]}`;
