import { randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Signature } from "../access/signature.ts";
import { CODES } from "../decide/verdict.ts";
import { principalIn } from "./guard.http.ts";
import { Problem } from "./problem.ts";

// How a signature comes to the act that it signs: the act is asked within the service, with a pass that is made for it, used once, and known to nobody outside.

const PASS = "signature-pass";
const passes = new Map<string, Signature>();
const taken = new WeakMap<object, Signature>();

/** Does something under a signature: `ask` sends the header that it is given. */
export async function underSignature<T>(signature: Signature, ask: (headers: Readonly<Record<string, string>>) => Promise<T>): Promise<T> {
  const pass = randomBytes(32).toString("base64url");
  passes.set(pass, signature);
  try {
    return await ask({ [PASS]: pass });
  } finally {
    passes.delete(pass);
  }
}

/** By which signature something is asked; null: by none. */
export function signatureIn(request: FastifyRequest): Signature | null {
  const before = taken.get(request.raw);
  if (before !== undefined) return before;
  const pass = request.headers[PASS];
  const signature = typeof pass === "string" ? passes.get(pass) : undefined;
  if (signature === undefined || typeof pass !== "string") return null;
  passes.delete(pass);
  taken.set(request.raw, signature);
  return signature;
}

/** Refuses what a person asks without their signature. Where nobody signs in there is nobody to sign. */
export function mustBeSigned(request: FastifyRequest): void {
  if (principalIn(request).kind === "person" && signatureIn(request) === null)
    throw new Problem(409, "SIG_MISSING", "This needs an electronic signature.", { remedy: CODES["SIG_MISSING"]?.remedy ?? "" });
}
