import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { IDLE_MINUTES, setPassword, signIn, signOut } from "../access/access.store.ts";
import { LONGEST, passwordFault, SHORTEST } from "../access/password.ts";
import { actorOf } from "../access/principal.ts";
import { RIGHTS } from "../access/rights.ts";
import { hashToken, makeSessionToken } from "../access/token.ts";
import { attributionOf, fromOf } from "./attribution.http.ts";
import type { RouteDeps } from "./deps.ts";
import { personIn, principalIn } from "./guard.http.ts";
import { passwordsOf } from "./passwords.ts";
import { invalid, Problem } from "./problem.ts";
import { BODY_PROBLEMS, json, READ_PROBLEMS } from "./schemas.ts";

export const personId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "is no person's or machine's id")
  .describe("Small letters, digits and . _ -, at most 64.");
const secretText = z.string().min(1).max(512);
const grant = z.object({ role: z.string(), site: z.string().nullable().describe("null: every site") });

export const signedInSchema = z.object({
  token: z.string().describe("For `Authorization: Bearer`; it is shown here and never again."),
  person: z.string(),
  name: z.string(),
  mustChangePassword: z.boolean(),
  idleMinutes: z.int().describe("After so long without a request it is over."),
  expiresAt: z.string(),
});

const whoSchema = z.object({
  kind: z.enum(["person", "machine", "nobody"]).describe("nobody: no one administers this system yet, so nobody is asked."),
  id: z.string().nullable(),
  name: z.string().nullable(),
  actor: z.string().describe("As it stands on record."),
  grants: z.array(grant),
  mustChangePassword: z.boolean(),
});

/** Who is who: sessions of people with a password of their own. */
export function signInRoutes(scope: FastifyInstance, { access: { db, secret } }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const passwords = passwordsOf(db);

  app.post(
    "/v1/sign-ins",
    {
      schema: {
        operationId: "signIn",
        summary: "Signs a person in with their password",
        tags: ["people"],
        body: z.strictObject({ person: personId, password: secretText }),
        response: {
          201: json(signedInSchema, "Signed in."),
          ...BODY_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const { person, password } = request.body;
      const kept = await passwords.tried(person, password, fromOf(request));
      const refused = () => new Problem(401, "REQUEST_UNAUTHENTICATED", "Person and password do not go together, or this person may not sign in now.");
      if (kept?.active !== true) throw refused();
      const token = makeSessionToken();
      const signedIn = await signIn(db, person, { method: "password", password: kept.password }, hashToken(secret, token), fromOf(request));
      if (signedIn === null) throw refused();
      const { expiresAt, temporary } = signedIn;
      return reply
        .code(201)
        .header("cache-control", "no-store")
        .send({ token, person, name: kept.name, mustChangePassword: temporary, idleMinutes: IDLE_MINUTES, expiresAt });
    },
  );

  app.get(
    "/v1/sign-ins/current",
    {
      schema: {
        operationId: "whoAmI",
        summary: "Who the caller is, and what they may",
        tags: ["people"],
        response: { 200: json(whoSchema, "The caller."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const principal = principalIn(request);
      return {
        kind: principal.kind,
        id: principal.kind === "nobody" ? null : principal.id,
        name: principal.kind === "person" ? principal.name : null,
        actor: actorOf(principal),
        grants: principal.kind === "nobody" ? [] : principal.grants.map(({ role, site }) => ({ role, site })),
        mustChangePassword: principal.kind === "person" && principal.mustChangePassword,
      };
    },
  );

  app.delete(
    "/v1/sign-ins/current",
    {
      schema: {
        operationId: "signOut",
        summary: "Signs the caller out",
        tags: ["people"],
        response: { 204: z.null().describe("Signed out."), ...BODY_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { id, session } = personIn(request);
      await signOut(db, id, session, fromOf(request));
      return reply.code(204).send(null);
    },
  );

  app.put(
    "/v1/people/:person/password",
    {
      schema: {
        operationId: "changePassword",
        summary: "Changes the caller's own password, and ends every session of theirs",
        tags: ["people"],
        params: z.strictObject({ person: personId }),
        body: z.strictObject({
          old: secretText,
          new: secretText.describe(`At least ${SHORTEST} characters, at most ${LONGEST} bytes, and not the person's own name.`),
        }),
        response: { 204: z.null().describe("Changed; sign in anew."), ...BODY_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { id, name } = personIn(request);
      if (request.params.person !== id)
        throw new Problem(403, "PER_NOT_AUTHORISED", "Everybody changes their own password; an administrator gives a temporary one.");
      const kept = await passwords.tried(id, request.body.old, fromOf(request));
      const another = () => new Problem(403, "PER_NOT_AUTHORISED", "The old password is another, or it may not be tried now.");
      if (kept === null) throw another();
      const fault = request.body.new === request.body.old ? "is the old one" : passwordFault(request.body.new, id, name);
      if (fault !== null) throw invalid(`The new password ${fault}.`, [{ pointer: "/new", detail: fault }]);
      const hashed = await passwords.hashed(request.body.new);
      if (!(await db.transaction().execute((trx) => setPassword(trx, id, hashed, false, attributionOf(request, null), kept.password)))) throw another();
      return reply.code(204).send(null);
    },
  );

  app.get(
    "/v1/rights",
    {
      schema: {
        operationId: "listRights",
        summary: "Who may do what: a row for each route, as it is enforced",
        tags: ["people"],
        response: {
          200: json(
            z.object({
              items: z.array(
                z.object({
                  route: z.string(),
                  where: z.string(),
                  roles: z.array(z.string()),
                  by: z.object({ field: z.string(), roles: z.record(z.string(), z.array(z.string())) }).nullable(),
                }),
              ),
            }),
            "The table.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async () => ({
      items: Object.entries(RIGHTS).map(([route, { where, roles, by }]) => ({
        route,
        where,
        roles: [...roles],
        by: by === undefined ? null : { field: by.field, roles: Object.fromEntries(Object.entries(by.roles).map(([name, of]) => [name, [...of]])) },
      })),
    }),
  );
}
