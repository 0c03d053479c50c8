import type { FastifyRequest } from "fastify";
import type { Json } from "../decode/json.ts";

const bodies = new WeakMap<object, Json>();

/** Keeps a request's body as it was written beside what it was parsed to, since a parsed 12.500 has forgotten its places. */
export const keepBody = (request: FastifyRequest, json: Json): void => {
  bodies.set(request.raw, json);
};
export const bodyAsWritten = (request: FastifyRequest): Json => bodies.get(request.raw) ?? null;
