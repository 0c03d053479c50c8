import { normalizeIP } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { principalIn } from "./guard.http.ts";
import { tooManySignIns } from "./problem.ts";

// Where secrets are tried, fewer requests are taken than elsewhere: by each address, and for each account, whoever asks.

const WINDOW_MS = 60_000;
const MOST_OF_AN_ADDRESS = 120;
/** Of whoever is named, or has signed in: a person signs many acts in a row, and signs in a few times a day. */
const MOST_OF_AN_ACCOUNT: Readonly<Record<string, number>> = {
  "POST /v1/sign-ins": 10,
  "POST /v1/sign-ins/oidc": MOST_OF_AN_ADDRESS,
  "POST /v1/sign-ins/oidc/completion": MOST_OF_AN_ADDRESS,
  "PUT /v1/people/:person/password": 10,
  "POST /v1/signatures/challenges": 60,
  "POST /v1/signatures": 60,
};
/** More callers than a plant has in a minute: beyond, nobody new is let try. */
const MOST_KEYS = 100_000;

/** Counts within a minute; what was counted in the one before is forgotten. */
export class Attempts {
  private readonly counted = new Map<string, number>();
  private began = 0;

  /** Whether one more is within `most`; otherwise after how many seconds it would be. */
  take(key: string, most: number, nowMs: number): { readonly ok: true } | { readonly ok: false; readonly seconds: number } {
    if (nowMs - this.began >= WINDOW_MS) {
      this.counted.clear();
      this.began = nowMs;
    }
    const before = this.counted.get(key) ?? 0;
    if (before >= most || (before === 0 && this.counted.size >= MOST_KEYS)) return { ok: false, seconds: Math.ceil((this.began + WINDOW_MS - nowMs) / 1000) };
    this.counted.set(key, before + 1);
    return { ok: true };
  }
}

/** Refuses whoever tries too often, before anything is tried. Must come after who asks is known. */
export function setSignInBounds(app: FastifyInstance): void {
  const attempts = new Attempts();
  const routeOf = (request: FastifyRequest): string => `${request.method} ${request.routeOptions.url ?? ""}`;
  const take = (key: string, most: number): void => {
    const taken = attempts.take(key, most, performance.now());
    if (!taken.ok) throw tooManySignIns(taken.seconds);
  };
  app.addHook("onRequest", async (request) => {
    if (MOST_OF_AN_ACCOUNT[routeOf(request)] !== undefined) take(`address ${normalizeIP(request.ip)}`, MOST_OF_AN_ADDRESS);
  });
  app.addHook("preHandler", async (request) => {
    const route = routeOf(request);
    const most = MOST_OF_AN_ACCOUNT[route];
    if (most === undefined) return;
    const principal = principalIn(request);
    const named: unknown = Object(request.body).person;
    const account = principal.kind === "nobody" ? named : principal.id;
    if (typeof account === "string") take(`${route} ${account}`, most);
  });
}
