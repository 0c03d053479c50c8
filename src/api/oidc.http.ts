import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { IDLE_MINUTES, readPersonOf, signIn } from "../access/access.store.ts";
import type { OidcRefusal } from "../access/oidc-codes.ts";
import { open, seal } from "../access/seal.ts";
import { hashToken, makeSessionToken } from "../access/token.ts";
import { databaseNow } from "../commit/shard.store.ts";
import { fromOf } from "./attribution.http.ts";
import type { RouteDeps } from "./deps.ts";
import { invalid, notFound, Problem } from "./problem.ts";
import { BODY_PROBLEMS, json } from "./schemas.ts";
import { signedInSchema } from "./sign-in.http.ts";

/** What is kept of a login until the provider sends whoever logs in back. */
export const keptSchema = z.strictObject({
  purpose: z.enum(["sign-in", "sign"]),
  state: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  startedAt: z.number(),
  subject: z.string().nullable(),
});

export function refusedByProvider({ code, detail }: OidcRefusal): Problem {
  const away = code === "OIDC_PROVIDER_UNAVAILABLE";
  return new Problem(away ? 503 : 403, code, detail, {}, away ? { "retry-after": "10" } : {});
}

/** Signing in at a provider (OpenID Connect): begun here, done there, and completed here with what it sent back. */
export function oidcRoutes(scope: FastifyInstance, { access: { db, secret, oidc } }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const provider = () => {
    if (oidc === null) throw notFound("identity provider; people sign in with their passwords");
    return oidc;
  };

  app.post(
    "/v1/sign-ins/oidc",
    {
      schema: {
        operationId: "beginSignIn",
        summary: "Begins a login at the identity provider",
        tags: ["people"],
        response: {
          200: json(z.object({ url: z.string().describe("Send the person there."), login: z.string().describe("To be sent back, unread.") }), "Begun."),
          ...BODY_PROBLEMS,
        },
      },
    },
    async (_request, reply) => {
      const begun = await provider().begin({ purpose: "sign-in" }, Date.parse(await databaseNow(db)));
      if (begun.kind === "refused") throw refusedByProvider(begun);
      const { url, kind: _, ...kept } = begun;
      return reply.header("cache-control", "no-store").send({ url, login: seal(secret, "sign-in", kept) });
    },
  );

  app.post(
    "/v1/sign-ins/oidc/completion",
    {
      schema: {
        operationId: "completeSignIn",
        summary: "Completes a login with the address to which the provider sent the person back",
        tags: ["people"],
        body: z.strictObject({ login: z.string().max(4_096), callback: z.string().max(8_192) }),
        response: { 201: json(signedInSchema, "Signed in."), ...BODY_PROBLEMS },
      },
    },
    async (request, reply) => {
      const kept = keptSchema.safeParse(open(secret, "sign-in", request.body.login));
      if (!kept.success || !URL.canParse(request.body.callback))
        throw invalid("The login is none of ours.", [{ pointer: "/login", detail: "was not begun here" }]);
      const proven = await provider().complete(new URL(request.body.callback).searchParams, kept.data, Date.parse(await databaseNow(db)));
      if (proven.kind === "refused") throw refusedByProvider(proven);
      const person = await readPersonOf(db, proven.issuer, proven.subject);
      const token = makeSessionToken();
      const signedIn = person === null ? null : await signIn(db, person.person, { method: "oidc" }, hashToken(secret, token), fromOf(request));
      if (person === null || signedIn === null)
        throw new Problem(
          403,
          "PER_NOT_AUTHORISED",
          `Nobody here is known as ${proven.subject} of ${proven.issuer}, or they may not sign in now. An administrator makes people known.`,
        );
      const { expiresAt } = signedIn;
      return reply
        .code(201)
        .header("cache-control", "no-store")
        .send({ token, person: person.person, name: person.name, mustChangePassword: false, idleMinutes: IDLE_MINUTES, expiresAt });
    },
  );
}
