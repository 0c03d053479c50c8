import type { FastifyRequest } from "fastify";
import { actorOf } from "../access/principal.ts";
import type { Attribution } from "../audit/act.store.ts";
import type { CommandRequest } from "../drive.ts";
import { principalIn, roleIn } from "./guard.http.ts";
import { signatureIn } from "./signing.http.ts";

/**
 * Who asks, by which role at the site (null: at all of them), and from where; the header `Reason` says why. Where nobody signs in yet, whoever asks is `unattributed`, for good.
 */
export function attributionOf(request: FastifyRequest, site: string | null): Attribution {
  const { reason } = request.headers;
  return {
    actor: actorOf(principalIn(request)),
    from: fromOf(request),
    reason: typeof reason === "string" && reason.trim() !== "" ? reason.trim() : null,
    role: roleIn(request, site),
    signature: signatureIn(request),
  };
}

/** The same for what goes the route. */
export function actingIn(request: FastifyRequest, site: string): Pick<CommandRequest, "actor" | "role" | "from" | "signature"> {
  return { actor: actorOf(principalIn(request)), role: roleIn(request, site), from: fromOf(request), signature: signatureIn(request) };
}

/** From where something was asked: the caller's address, and what it called. */
export const fromOf = (request: FastifyRequest): string => `${request.ip} ${request.method} ${request.url.split("?")[0]}`;
