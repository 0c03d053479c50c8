import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  AccessRefused,
  addKey,
  createMachine,
  createPerson,
  type Grantee,
  grantRole,
  listMachines,
  listPeople,
  revokeKey,
  revokeRole,
  setMachineActive,
  setPassword,
  setPersonActive,
} from "../access/access.store.ts";
import { hashPassword, makePassword } from "../access/password.ts";
import { isPrintedName } from "../access/principal.ts";
import { MACHINE_ROLES, PERSON_ROLES } from "../access/role.ts";
import { hashToken, makeApiKey } from "../access/token.ts";
import type { Db } from "../db/database.ts";
import { atMost } from "./at-most.ts";
import { attributionOf } from "./attribution.http.ts";
import type { RouteDeps } from "./deps.ts";
import { invalid, notFound, Problem } from "./problem.ts";
import { ACT_PROBLEMS, json, plantId, READ_PROBLEMS, reasonHeaders, saying } from "./schemas.ts";
import { personId } from "./sign-in.http.ts";
import { statusKind } from "./statuses.http.ts";

const site = plantId.nullable().describe("null: every site.");
const at = z.string().describe("UTC.");
const grant = z.object({ role: z.string(), site: z.string().nullable(), grantedBy: z.string(), grantedAt: at });
const grants = z.array(grant);
const personSchema = z.object({
  person: z.string(),
  name: z.string().describe("As it is printed beside a signature."),
  issuer: z.string().describe("local, or who vouches for them."),
  subject: z.string(),
  active: z.boolean(),
  createdAt: at,
  createdBy: z.string(),
  grants,
});
const machineSchema = z.object({
  machine: z.string(),
  owner: z.string(),
  purpose: z.string(),
  active: z.boolean(),
  createdAt: at,
  createdBy: z.string(),
  grants: z.array(
    grant.extend({
      kind: z.string().nullable().describe("Of the role feed: which kind of status it brings. Null also of a feed from before there were kinds."),
    }),
  ),
  keys: z.array(z.object({ key: z.string(), createdAt: at, createdBy: z.string(), expiresAt: at, revokedAt: z.string().nullable() })),
});
const done = { 204: z.null().describe("Done; on record at every site that it concerns."), ...ACT_PROBLEMS };
const FEEDS = "Of the role feed, and of no other: which kind of status the machine brings. It is the same wherever it is one.";
/** A key for longer than this is no key that rotates. */
const LONGEST_DAYS = 366;

/** People and machines, and what each may. Only administrators change them, and nobody their own. */
export function peopleRoutes(scope: FastifyInstance, { access: { db, secret } }: RouteDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const hashing = atMost(2);
  const change = <T>(work: (trx: Db) => Promise<T>): Promise<T> => db.transaction().execute(work).catch(refusal);

  app.get(
    "/v1/people",
    {
      schema: {
        operationId: "listPeople",
        summary: "Everybody who may sign in, and what they may",
        tags: ["people"],
        response: { 200: json(z.object({ items: z.array(personSchema) }), "People."), ...READ_PROBLEMS },
      },
    },
    async () => ({ items: (await listPeople(db)).map((person) => personSchema.parse(person)) }),
  );

  app.post(
    "/v1/people",
    {
      schema: {
        operationId: "createPerson",
        summary: "Makes a person known: with a temporary password, or by who vouches for them",
        tags: ["people"],
        headers: reasonHeaders,
        body: z.strictObject({
          person: personId,
          name: z.string().max(128).refine(isPrintedName, "is no name that can be printed in one line"),
          identity: z
            .strictObject({ issuer: z.url(), subject: z.string().min(1).max(255) })
            .optional()
            .describe("By OpenID Connect. Without it they sign in with a password; the temporary one is answered, once."),
        }),
        response: {
          201: json(z.object({ person: z.string(), temporaryPassword: z.string().nullable().describe("Shown here and never again.") }), "Known."),
          ...ACT_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const { person, name, identity } = request.body;
      const password = identity === undefined ? makePassword() : null;
      const hashed = password === null ? null : await hashing(() => hashPassword(password));
      const { issuer, subject } = identity ?? { issuer: "local", subject: person };
      await change((trx) => createPerson(trx, { person, name, issuer, subject, password: hashed, temporary: true }, attributionOf(request, null)));
      return reply.code(201).header("cache-control", "no-store").send({ person, temporaryPassword: password });
    },
  );

  app.patch(
    "/v1/people/:person",
    {
      schema: {
        operationId: "updatePerson",
        summary: "Lets a person sign in no more, or again; or gives them a temporary password",
        tags: ["people"],
        headers: reasonHeaders,
        params: z.strictObject({ person: personId }),
        body: z.strictObject({ active: z.boolean().optional(), temporaryPassword: z.literal(true).optional() }),
        response: { 200: json(z.object({ person: z.string(), temporaryPassword: z.string().nullable() }), "Done."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const { person } = request.params;
      const { active, temporaryPassword } = request.body;
      if (active === undefined && temporaryPassword === undefined)
        throw invalid("Say what to change.", [{ pointer: "", detail: "has neither active nor temporaryPassword" }]);
      const known = (await listPeople(db)).find((one) => one.person === person);
      if (known === undefined) throw notFound(`person ${person}`);
      if (temporaryPassword === true && known.issuer !== "local")
        throw new Problem(409, "ACCESS_REFUSED", `${person} signs in at ${known.issuer}, and has no password here.`);
      const password = temporaryPassword === true ? makePassword() : null;
      const hashed = password === null ? null : await hashing(() => hashPassword(password));
      await change(async (trx) => {
        if (active !== undefined && active !== known.active) await setPersonActive(trx, person, active, attributionOf(request, null));
        if (hashed !== null) await setPassword(trx, person, hashed, true, attributionOf(request, null));
      });
      return reply.header("cache-control", "no-store").send({ person, temporaryPassword: password });
    },
  );

  app.get(
    "/v1/machines",
    {
      schema: {
        operationId: "listMachines",
        summary: "Machines that ask over REST, what they may, and their keys",
        tags: ["people"],
        response: { 200: json(z.object({ items: z.array(machineSchema) }), "Machines."), ...READ_PROBLEMS },
      },
    },
    async () => ({ items: (await listMachines(db)).map((machine) => machineSchema.parse(machine)) }),
  );

  app.post(
    "/v1/machines",
    {
      schema: {
        operationId: "createMachine",
        summary: "Makes a machine known, with the person who answers for it",
        tags: ["people"],
        headers: reasonHeaders,
        body: z.strictObject({ machine: personId, owner: personId, purpose: saying(256) }),
        response: { 201: json(z.object({ machine: z.string() }), "Known; give it a role and a key."), ...ACT_PROBLEMS },
      },
    },
    async (request, reply) => {
      await change((trx) => createMachine(trx, request.body, attributionOf(request, null)));
      return reply.code(201).send({ machine: request.body.machine });
    },
  );

  app.patch(
    "/v1/machines/:machine",
    {
      schema: {
        operationId: "updateMachine",
        summary: "Lets a machine ask no more, or again",
        tags: ["people"],
        headers: reasonHeaders,
        params: z.strictObject({ machine: personId }),
        body: z.strictObject({ active: z.boolean() }),
        response: done,
      },
    },
    async (request, reply) => {
      await change((trx) => setMachineActive(trx, request.params.machine, request.body.active, attributionOf(request, null)));
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/v1/machines/:machine/keys",
    {
      schema: {
        operationId: "createApiKey",
        summary: "Makes an API key; an older one stays valid until it ends or is revoked, so keys rotate without a pause",
        tags: ["people"],
        headers: reasonHeaders,
        params: z.strictObject({ machine: personId }),
        body: z.strictObject({ days: z.int().min(1).max(LONGEST_DAYS).default(90).describe("How long it is valid.") }),
        response: {
          201: json(z.object({ id: z.string(), key: z.string().describe("Shown here and never again."), expiresAt: at }), "The key."),
          ...ACT_PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const key = makeApiKey();
      const { machine } = request.params;
      const { expiresAt } = await change((trx) =>
        addKey(trx, machine, { id: key.id, hash: hashToken(secret, key.text), days: request.body.days }, attributionOf(request, null)),
      );
      return reply.code(201).header("cache-control", "no-store").send({ id: key.id, key: key.text, expiresAt });
    },
  );

  app.post(
    "/v1/machines/:machine/keys/:key/revocation",
    {
      schema: {
        operationId: "revokeApiKey",
        summary: "Revokes an API key, from now on",
        tags: ["people"],
        headers: reasonHeaders,
        params: z.strictObject({ machine: personId, key: z.string().max(64) }),
        response: done,
      },
    },
    async (request, reply) => {
      await change((trx) => revokeKey(trx, request.params.machine, request.params.key, attributionOf(request, null)));
      return reply.code(204).send(null);
    },
  );

  for (const { kind, path, roles, name, more } of [
    { kind: "person", path: "/v1/people/:person", roles: PERSON_ROLES, name: "Person", more: {} },
    { kind: "machine", path: "/v1/machines/:machine", roles: MACHINE_ROLES, name: "Machine", more: { kind: statusKind.optional().describe(FEEDS) } },
  ] as const) {
    const params = z.strictObject({ [kind]: personId });
    const body = z.strictObject({ role: z.enum(roles), site });
    const grantee = (given: unknown): Grantee => ({ kind, id: personId.parse(Object(given)[kind]) });
    app.post(
      `${path}/grants`,
      {
        schema: {
          operationId: `grantTo${name}`,
          summary: `Gives a ${kind} a role, at a site or at all of them`,
          tags: ["people"],
          headers: reasonHeaders,
          params,
          body: body.extend(more),
          response: done,
        },
      },
      async (request, reply) => {
        const { role, site: at } = request.body;
        const feeds = feedsIn(request.body);
        await change((trx) => grantRole(trx, grantee(request.params), role, at, attributionOf(request, null), feeds));
        return reply.code(204).send(null);
      },
    );
    app.post(
      `${path}/grants/revocation`,
      {
        schema: {
          operationId: `revokeFrom${name}`,
          summary: `Takes a role from a ${kind}`,
          tags: ["people"],
          headers: reasonHeaders,
          params,
          body,
          response: done,
        },
      },
      async (request, reply) => {
        await change((trx) => revokeRole(trx, grantee(request.params), request.body.role, request.body.site, attributionOf(request, null)));
        return reply.code(204).send(null);
      },
    );
  }
}

/** Which kind of status is granted with a role: one with `feed`, none with any other. */
function feedsIn({ role, kind }: { readonly role: string; readonly kind?: unknown }): string | null {
  const feeds = typeof kind === "string" ? kind : null;
  if ((role === "feed") === (feeds === null))
    throw invalid("A feed is granted for one kind of status, and no other role for any.", [
      { pointer: "/kind", detail: feeds === null ? "is missing" : "is for the role feed" },
    ]);
  return feeds;
}

function refusal(error: unknown): never {
  if (!(error instanceof AccessRefused)) throw error;
  const { kind, what } = error.refusal;
  throw kind === "unknown" ? notFound(what) : kind === "own" ? new Problem(403, "PER_NOT_AUTHORISED", what) : new Problem(409, "ACCESS_REFUSED", what);
}
