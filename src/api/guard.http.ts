import { setTimeout } from "node:timers/promises";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { isClaimed, principalOf, type Use } from "../access/access.store.ts";
import type { Oidc } from "../access/oidc.fetch.ts";
import { includesSite, type Principal, roleAt, type Sites, sitesOf } from "../access/principal.ts";
import { READERS, RIGHTS, type Right, rolesFor } from "../access/rights.ts";
import type { Role } from "../access/role.ts";
import { asking } from "../db/asking.ts";
import type { Db } from "../db/database.ts";
import { notFound, Problem } from "./problem.ts";

/** How it is found out who asks. */
export interface AccessDeps {
  /** Not read for others: who asks is found before it is known what they may see. */
  readonly db: Db;
  /** The key under which tokens are hashed. */
  readonly secret: Uint8Array;
  /** Where people sign in who have no password here; null: nowhere. */
  readonly oidc: Oidc | null;
  /** Whether nobody is asked who they are until somebody administers this system. */
  readonly openUntilClaimed: boolean;
}

interface Known {
  readonly principal: Principal;
  readonly right: Right;
  /** Where they may do what they ask; what they read is of these sites alone. */
  readonly sites: Sites;
}

const known = new WeakMap<object, Known>();
const nobody: Principal = { kind: "nobody" };

/** A system that nobody administered a moment ago may be administered by now. */
const UNCLAIMED_FOR_MS = 500;
const ANSWER_MS = 1_000;
const METRICS = RIGHTS["GET /metrics"];
const MOST_READERS = 100;

export const principalIn = (request: FastifyRequest): Principal => known.get(request.raw)?.principal ?? nobody;
/** Of which sites the caller is shown what they asked for. */
export const sitesIn = (request: FastifyRequest): Sites => known.get(request.raw)?.sites ?? new Set();
/** The role by which the caller may do what they ask, at a site; null: of what concerns all of them. */
export function roleIn(request: FastifyRequest, site: string | null): Role | null {
  const now = known.get(request.raw);
  return now === undefined ? null : roleAt(now.principal, rolesFor(now.right, request.body), site);
}

/** Who somebody is who must have signed in; a machine or nobody in particular is refused. */
export function personIn(request: FastifyRequest): Extract<Principal, { kind: "person" }> {
  const principal = principalIn(request);
  if (principal.kind !== "person") throw forbidden("Only a person who has signed in does this.");
  return principal;
}

/** Which machine somebody is that must have a key of its own; a person or nobody in particular is refused. */
export function machineIn(request: FastifyRequest): Extract<Principal, { kind: "machine" }> {
  const principal = principalIn(request);
  if (principal.kind !== "machine") throw forbidden("Only a machine that asks with a key of its own does this.");
  return principal;
}

/** Whether a caller who is still being answered may go on being told of a site, as things are now: null, or what they would be answered if they asked now. A session is not prolonged by it. */
export type AsksAgain = (request: FastifyRequest, site: string, use: Exclude<Use, "acts">) => Promise<Problem | null>;

/**
 * Asks everybody who they are, and refuses what the table of rights does not give them (src/access/rights.ts): who is not known, 401; who may not do it anywhere, or not at a site that they know
 * of, 403; what is of a site that they know nothing of, 404, as if it did not exist. A route without a row in the table cannot be registered. Gives how to ask again while an answer goes on.
 */
export function guard(app: FastifyInstance, { db, secret, openUntilClaimed }: AccessDeps): AsksAgain {
  /** null: it was never found out. */
  let claimed: boolean | null = null;
  let foundAt = 0;
  const isOpen = async (): Promise<boolean> => {
    if (claimed === true || !openUntilClaimed) return false;
    if (claimed === false && performance.now() - foundAt < UNCLAIMED_FOR_MS) return true;
    const found = isClaimed(db).then((is) => {
      claimed = is;
      foundAt = performance.now();
    });
    // while the database is away it stays as it was known
    await (claimed === null ? found : Promise.race([found.catch(() => {}), setTimeout(ANSWER_MS, undefined, { ref: false })]));
    return claimed === false;
  };
  /** Who could read the metrics when they asked last: so they can while the database is away, which is when somebody looks. */
  const readMetrics = new Map<string, Principal>();

  app.addHook("onRoute", ({ method, url }) => {
    for (const one of [method].flat())
      if (one !== "HEAD" && one !== "OPTIONS" && rightOf(one, url) === null) throw new Error(`nobody has said who may ${one} ${url}`);
  });

  app.addHook("onRequest", async (request) => {
    const right = request.is404 ? null : rightOf(request.method, request.routeOptions.url ?? "");
    if (right?.where === "open") {
      // also while the database is away
      const principal = await whoAsks(request).catch(() => null);
      return void known.set(request.raw, {
        principal: principal ?? nobody,
        right,
        sites: principal === null ? new Set() : sitesOf(principal, READERS),
      });
    }
    const principal = await whoAsks(request, right?.followed === true ? "follows" : "acts").catch((error: unknown) => {
      const before = right === METRICS ? readMetrics.get(request.headers.authorization ?? "") : undefined;
      if (before === undefined) throw error;
      return before;
    });
    if (principal === null) throw await unknown(request);
    if (right === null) return;
    const refusal = refusalOf(principal, right);
    if (refusal !== null) throw refusal;
    const sites = right.where === "signed in" ? new Set<string>() : sitesOf(principal, right.roles);
    if (right === METRICS && request.headers.authorization !== undefined && readMetrics.size < MOST_READERS)
      readMetrics.set(request.headers.authorization, principal);
    const now = { principal, right, sites };
    // before anything else of the request is looked at, what is wrong with it included
    known.set(request.raw, right.where === "site" && typeof Object(request.params).site === "string" ? atSite(request, now) : now);
  });

  app.addHook("preHandler", (request, _reply, done) => {
    try {
      const now = known.get(request.raw);
      if (now === undefined) return done();
      const placed = now.right.where === "site" ? atSite(request, now) : now;
      known.set(request.raw, placed);
      // whatever the route reads from here on is of these sites
      asking.run({ sites: placed.sites }, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });

  return async (request, site, use) => {
    const right = known.get(request.raw)?.right;
    if (right === undefined) throw new Error(`${request.method} ${request.url} was never asked`);
    const principal = await whoAsks(request, use);
    if (principal === null) return unknown(request);
    return refusalOf(principal, right) ?? refusalAt(principal, rolesFor(right, request.body), site);
  };

  async function whoAsks(request: FastifyRequest, use: Use = "acts"): Promise<Principal | null> {
    const [, token] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
    // whoever says who they are is never nobody
    if (request.headers.authorization === undefined) return (await isOpen()) ? nobody : null;
    return token === undefined ? null : principalOf(db, secret, token, use);
  }

  async function unknown(request: FastifyRequest): Promise<Problem> {
    return new Problem(
      401,
      "REQUEST_UNAUTHENTICATED",
      request.headers.authorization === undefined ? "Say who you are." : "This token is not valid, or not any more.",
      {
        remedy: (await isClaimed(db))
          ? "Sign in at POST /v1/sign-ins, or ask with a machine's API key: Authorization: Bearer …"
          : "Nobody administers this system yet: npx signalbox admin create makes the first administrator.",
      },
      { "www-authenticate": 'Bearer realm="signalbox"' },
    );
  }
}

/** What somebody is told who may not do this anywhere; null: they may, at some site. */
function refusalOf(principal: Principal, { where, roles }: Right): Problem | null {
  if (where === "signed in") return null;
  if (principal.kind === "person" && principal.mustChangePassword)
    return forbidden("Your password was set by somebody else; change it first, at PUT /v1/people/{person}/password.");
  const sites = sitesOf(principal, roles);
  return sites !== "all" && (where === "every site" || sites.size === 0) ? mayNot(principal, roles) : null;
}

/** What somebody is told who may not do this at a site, of which they learn nothing where they hold no role. */
function refusalAt(principal: Principal, roles: readonly Role[], site: string): Problem | null {
  if (principal.kind === "nobody" || includesSite(sitesOf(principal, roles), site)) return null;
  return knowsOf(principal, site) ? mayNot(principal, roles) : notFound(`site ${site}`);
}

/** The site that the path or the body names must be one where they may do this; of others they learn nothing. */
function atSite(request: FastifyRequest, now: Known): Known {
  const { principal, right } = now;
  const site: unknown = Object(request.params).site ?? Object(request.body).site;
  if (typeof site !== "string") throw new Error(`${request.method} ${request.routeOptions.url} names no site`);
  const roles = rolesFor(right, request.body);
  if (principal.kind === "nobody") return now;
  const refusal = refusalAt(principal, roles, site);
  if (refusal !== null) throw refusal;
  return { ...now, sites: sitesOf(principal, roles) };
}

/** The role by which somebody may do something that they are yet to ask for, at a site (null: at all of them); throws what they would be told. */
export function roleFor(request: FastifyRequest, method: string, path: string, body: unknown, site: string | null): Role {
  const principal = principalIn(request);
  const route = Object.keys(RIGHTS).find((one) => matches(one, `${method} ${path}`));
  const right = route === undefined ? undefined : RIGHTS[route];
  if (right === undefined || principal.kind === "nobody") throw notFound(path);
  const roles = rolesFor(right, body);
  const role = roleAt(principal, roles, site);
  if (role === null) throw site === null || knowsOf(principal, site) ? mayNot(principal, roles) : notFound(`site ${site}`);
  return role;
}

const matches = (route: string, asked: string): boolean => {
  const [parts, given] = [route.split("/"), asked.split("/")];
  return parts.length === given.length && parts.every((part, i) => (part.startsWith(":") ? given[i] !== "" : part === given[i]));
};

const knowsOf = (principal: Exclude<Principal, { kind: "nobody" }>, site: string): boolean =>
  principal.grants.some((grant) => grant.site === null || grant.site === site);

const forbidden = (detail: string): Problem => new Problem(403, "PER_NOT_AUTHORISED", detail);

const mayNot = (principal: Principal, roles: readonly Role[]): Problem =>
  forbidden(
    `This is for ${roles.join(", ")}; ${principal.kind === "nobody" ? "you are nobody in particular" : `${principal.kind} ${principal.id} is none of these here`}.`,
  );

/** The pages at /docs are the documents' own, and as open. */
const DOCS = /^\/docs(?:$|\/)/;
const OPEN: Right = { roles: [], where: "open" };

function rightOf(method: string, url: string): Right | null {
  if (DOCS.test(url)) return OPEN;
  return RIGHTS[`${method === "HEAD" ? "GET" : method} ${url}`] ?? null;
}
