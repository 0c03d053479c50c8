import type { FastifyRequest } from "fastify";
import { actorOf } from "../access/principal.ts";
import type { Signature } from "../access/signature.ts";
import type { Attribution } from "../audit/act.store.ts";
import type { CommandRequest } from "../drive.ts";
import { principalIn, roleIn } from "./guard.http.ts";
import { Problem } from "./problem.ts";
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
    signature: signatureAs(request, site),
  };
}

/** The same for what goes the route. */
export function actingIn(request: FastifyRequest, site: string): Pick<CommandRequest, "actor" | "role" | "from" | "signature"> {
  return { actor: actorOf(principalIn(request)), role: roleIn(request, site), from: fromOf(request), signature: signatureAs(request, site) };
}

/** By which signature something is asked, if its signer would still do it in the role in which they signed: that may have been taken from them since they were asked to sign. */
function signatureAs(request: FastifyRequest, site: string | null): Signature | null {
  const signature = signatureIn(request);
  const role = roleIn(request, site);
  if (signature !== null && signature.role !== role)
    throw new Problem(409, "SIGNATURE_RECORD_CHANGED", `You were to sign as ${signature.role}, and would do this as ${role} now; ask for a new challenge.`);
  return signature;
}

/** From where something was asked: the caller's address, and what it called. */
export const fromOf = (request: FastifyRequest): string => `${request.ip} ${request.method} ${request.url.split("?")[0]}`;
