import helmet from "@fastify/helmet";
import rateLimit, { normalizeIP } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerHookHandler } from "fastify";
import { z } from "zod";
import { tooMany } from "./problem.ts";

export interface BoundsOptions {
  /** Whether the interface is spoken to over HTTPS: only then may it ask browsers to stay with HTTPS. */
  readonly tls: boolean;
  /** How many requests a caller may make a second, over some seconds; 0: as many as it likes. */
  readonly requestsPerSecond: number;
}

/** Requests are counted over so many seconds, so that a page that asks for twenty things at once is nobody's flood. */
const WINDOW_SECONDS = 10;
const HALF_A_YEAR_SECONDS = 182 * 24 * 3600;

/** Asked for all the time by those who watch over the service, or open for hours. */
const NOT_COUNTED: ReadonlySet<string> = new Set(["/health/live", "/health/ready", "/v1/outcomes/events"]);

/** Who asks, as far as limits go. Nobody signs in yet, so it is the address of the connection, never one that a header claims; of IPv6, what one household has. */
export const callerOf = (request: FastifyRequest): string => normalizeIP(request.ip);

/**
 * What holds for every route: headers that take from a browser whatever it does not need, no answer that is kept in between, no unknown parameter on a write, and so
 * many requests a caller and second. No header lets another origin read anything, and no preflight is answered: CORS is off by being absent. Returns what the
 * handler of unknown addresses runs before.
 */
export async function setBounds(app: FastifyInstance, { tls, requestsPerSecond }: BoundsOptions): Promise<readonly preHandlerHookHandler[]> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        // the page at /docs has its icons on itself
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "script-src": ["'self'"],
        "script-src-attr": ["'none'"],
        "style-src": ["'self'"],
      },
    },
    frameguard: { action: "deny" },
    referrerPolicy: { policy: "no-referrer" },
    strictTransportSecurity: tls ? { maxAge: HALF_A_YEAR_SECONDS, includeSubDomains: false } : false,
  });
  app.addHook("onRequest", async (_request: FastifyRequest, reply: FastifyReply) => {
    // a copy in a cache shows the record to whoever comes next, and shows it when it is no longer so
    void reply.header("cache-control", "no-store");
  });
  app.addHook("onRoute", (route) => {
    // ?dryRun=true on a write that knows no such thing must not be a write, nor ?site=… on a list that knows none be the list of all; what asks after health and metrics may add what it likes
    if (route.url.startsWith("/v1/") && route.schema !== undefined && route.schema.querystring === undefined) route.schema.querystring = z.strictObject({});
  });
  if (requestsPerSecond === 0) return [];
  await app.register(rateLimit, {
    max: requestsPerSecond * WINDOW_SECONDS,
    timeWindow: WINDOW_SECONDS * 1000,
    keyGenerator: callerOf,
    allowList: (request) => NOT_COUNTED.has(request.routeOptions.url ?? ""),
    errorResponseBuilder: () => tooMany(requestsPerSecond),
    // Retry-After alone: how much a caller has left is nothing to build on
    addHeaders: { "x-ratelimit-limit": false, "x-ratelimit-remaining": false, "x-ratelimit-reset": false, "retry-after": true },
    addHeadersOnExceeding: { "x-ratelimit-limit": false, "x-ratelimit-remaining": false, "x-ratelimit-reset": false },
  });
  return [app.rateLimit()];
}
