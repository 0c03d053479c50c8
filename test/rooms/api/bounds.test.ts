// Promise: a browser gets nothing that it does not need, no other origin gets anything, no answer is kept on the way, and nobody asks so often that others get no answer.
// Attack: ask as another origin and by preflight, look for the headers on every kind of answer, and ask too often, from one address and from several.
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { PAGE_POLICY, PAGE_STYLE, pageHead } from "../../../src/bundle/record-html.ts";
import { apiAlone } from "../../support/api.ts";

let api: FastifyInstance;
let paths: readonly (readonly [method: string, path: string])[];
beforeAll(async () => {
  api = await apiAlone();
  const document = z.looseObject({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) }).parse((await api.inject("/openapi.json")).json());
  paths = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path.replace(/\{[^}]+\}/g, "x")] as const),
  );
});
afterAll(() => api.close());

const ask = (method: string, url: string, headers: Record<string, string> = {}) => api.inject({ method: method as "GET", url, headers });

describe("every answer", () => {
  test("forbids a browser what it does not need, and is kept nowhere", async () => {
    // one that goes well, one that is refused, one to nowhere
    for (const url of ["/health/live", "/v1/codes", "/v1/events?limit=0", "/v1/nothing", "/openapi.json"]) {
      const { headers } = await ask("GET", url);
      expect(headers, url).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
      });
      const policy = String(headers["content-security-policy"]).split(";");
      expect(policy, url).toEqual(expect.arrayContaining(["default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "script-src 'self'"]));
      expect(headers["content-security-policy"]).not.toMatch(/unsafe|\*|https?:|upgrade-insecure-requests/);
      expect(headers["x-powered-by"]).toBeUndefined();
      expect(headers["server"]).toBeUndefined();
    }
  });

  test("asks a browser to stay with HTTPS where there is HTTPS, and only there", async () => {
    expect((await ask("GET", "/health/live")).headers["strict-transport-security"]).toBeUndefined();
    const { setBounds } = await import("../../../src/api/bounds.http.ts");
    const { default: Fastify } = await import("fastify");
    const app = Fastify();
    await setBounds(app, { tls: true, requestsPerSecond: 0 });
    app.get("/", async () => "");
    expect((await app.inject("/")).headers["strict-transport-security"]).toMatch(/^max-age=\d{8}$/);
    await app.close();
  });

  test("is for its own origin alone: no route knows another one, and no preflight is answered", async () => {
    expect(paths.length).toBeGreaterThan(50);
    for (const [method, path] of paths) {
      if (path === "/v1/outcomes/events") continue;
      for (const answer of [
        await ask(method, path, { origin: "https://elsewhere.example" }),
        await ask("OPTIONS", path, {
          origin: "https://elsewhere.example",
          "access-control-request-method": method,
          "access-control-request-headers": "content-type,authorization",
        }),
      ]) {
        expect(
          Object.keys(answer.headers).filter((name) => name.startsWith("access-control-")),
          `${method} ${path}`,
        ).toEqual([]);
      }
      expect((await ask("OPTIONS", path, { origin: "https://elsewhere.example", "access-control-request-method": method })).statusCode).toBe(404);
    }
  });

  test("to a form of another page is 415: what a browser sends without asking first is no JSON", async () => {
    for (const [method, path] of paths.filter(([method]) => method !== "GET")) {
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        const answer = await api.inject({ method: method as "POST", url: path, headers: { "content-type": type }, payload: '{"reason":"x"}' });
        expect(answer.statusCode, `${method} ${path} ${type}`).toBe(415);
      }
    }
  });
});

test("a connection that sends a byte now and then has an end", () => {
  expect(api.server.requestTimeout).toBeGreaterThan(0);
  expect(api.server.requestTimeout).toBeLessThanOrEqual(60_000);
});

describe("the page at /docs", () => {
  test("works under the policy that it is sent with: nothing inline, nothing from elsewhere, everything of its type", async () => {
    const page = await ask("GET", "/docs/");
    expect(page.body).not.toMatch(/<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=|(?:src|href)="(?:https?:)?\/\//);
    const parts = [...page.body.matchAll(/<(script|link)[^>]* (?:src|href)="([^"]+)"/g)];
    expect(parts.map(([, kind]) => kind)).toEqual(expect.arrayContaining(["script", "link"]));
    for (const [, kind, at] of parts) {
      const part = await ask("GET", new URL(at ?? "", "http://x/docs/").pathname);
      expect([at, part.statusCode]).toEqual([at, 200]);
      expect(part.headers["content-type"], at).toMatch(kind === "script" ? /javascript/ : /css|png/);
    }
  });
});

test("the printable record is shown in its own style and does nothing: the policy names the style by its digest", async () => {
  expect(PAGE_POLICY).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; .*frame-ancestors 'none'; sandbox$/);
  expect(PAGE_POLICY).not.toContain("unsafe");
  const style = /<style>([\s\S]*?)<\/style>/.exec(pageHead("x"))?.[1] ?? "";
  expect(style).toBe(PAGE_STYLE);
  const digest = Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(style))).toString("base64");
  expect(PAGE_POLICY).toContain(`'sha256-${digest}'`);
});

describe("a caller that asks too often", () => {
  let limited: FastifyInstance;
  beforeAll(async () => {
    limited = await apiAlone({}, { requestsPerSecond: 2 });
  });
  afterAll(() => limited.close());
  const from = (remoteAddress: string, url: string, headers: Record<string, string> = {}) => limited.inject({ url, remoteAddress, headers });
  const spend = async (address: string, url = "/v1/codes"): Promise<void> => {
    for (let asked = 0; asked < 20; asked += 1) expect((await from(address, url)).statusCode).not.toBe(429);
  };

  test("is told so with the time to wait, and does not touch who asks from elsewhere", async () => {
    await spend("10.0.0.1");
    const refused = await from("10.0.0.1", "/v1/codes");
    expect(refused.statusCode).toBe(429);
    expect(refused.headers["content-type"]).toBe("application/problem+json");
    expect(refused.json()).toMatchObject({ code: "REQUEST_TOO_MANY", status: 429, type: "/problems/REQUEST_TOO_MANY", instance: "/v1/codes" });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(Object.keys(refused.headers).filter((name) => name.startsWith("x-ratelimit"))).toEqual([]);
    expect((await from("10.0.0.2", "/v1/codes")).statusCode).toBe(200);
  });

  test("is let try far fewer secrets, by address and for each account, whoever asks", async () => {
    const generous = await apiAlone({}, { requestsPerSecond: 1_000 });
    const signIn = async (remoteAddress: string, person: string) =>
      (await generous.inject({ method: "POST", url: "/v1/sign-ins", remoteAddress, payload: { person, password: "x" } })).statusCode;
    try {
      // one account from everywhere
      for (let n = 1; n <= 10; n += 1) expect(await signIn(`10.1.0.${n}`, "ann"), String(n)).not.toBe(429);
      const refused = await generous.inject({ method: "POST", url: "/v1/sign-ins", remoteAddress: "10.1.0.99", payload: { person: "ann", password: "x" } });
      expect(refused.statusCode).toBe(429);
      expect(refused.json()).toMatchObject({ code: "REQUEST_TOO_MANY" });
      expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
      expect(await signIn("10.1.0.99", "ben")).not.toBe(429);
      // one address for every account, and for every such route
      const asked = async (url: string) => (await generous.inject({ method: "POST", url, remoteAddress: "10.1.1.1", payload: {} })).statusCode;
      for (let n = 1; n <= 120; n += 1) expect(await asked("/v1/sign-ins"), String(n)).toBe(400);
      for (const url of ["/v1/sign-ins", "/v1/sign-ins/oidc", "/v1/sign-ins/oidc/completion", "/v1/signatures/challenges", "/v1/signatures"])
        expect(await asked(url), url).toBe(429);
      expect((await generous.inject({ url: "/v1/codes", remoteAddress: "10.1.1.1" })).statusCode).toBe(200);
    } finally {
      await generous.close();
    }
  });

  test("has one account for all routes, unknown ones included", async () => {
    await spend("10.0.0.3", "/v1/nothing");
    expect((await from("10.0.0.3", "/v1/nothing")).statusCode).toBe(429);
    expect((await from("10.0.0.3", "/v1/codes")).statusCode).toBe(429);
  });

  test("is not another one by what its headers claim, nor by the rest of its own network's IPv6 addresses", async () => {
    await spend("10.0.0.4");
    for (const headers of [{ "x-forwarded-for": "10.9.9.9" }, { forwarded: "for=10.9.9.9" }, { "x-real-ip": "10.9.9.9" }]) {
      expect((await from("10.0.0.4", "/v1/codes", headers as Record<string, string>)).statusCode).toBe(429);
    }
    expect((await from("::ffff:10.0.0.4", "/v1/codes")).statusCode).toBe(429);
    await spend("2001:db8:1:1::1");
    expect((await from("2001:db8:1:1::2", "/v1/codes")).statusCode).toBe(429);
    expect((await from("2001:db8:1:2::1", "/v1/codes")).statusCode).toBe(200);
  });

  test("still learns whether the service is well, and may come back to the stream: neither is counted", async () => {
    await spend("10.0.0.5");
    for (let asked = 0; asked < 30; asked += 1) {
      expect((await from("10.0.0.5", "/health/ready")).statusCode).toBe(200);
      expect((await from("10.0.0.5", "/v1/outcomes/events?site=nowhere")).statusCode).toBe(404);
    }
  });

  test("finds its limit in the document of every route", async () => {
    const { paths: documented } = z
      .looseObject({ paths: z.record(z.string(), z.record(z.string(), z.looseObject({ responses: z.record(z.string(), z.unknown()) }))) })
      .parse((await api.inject("/openapi.json")).json());
    for (const [path, methods] of Object.entries(documented))
      for (const [method, { responses }] of Object.entries(methods)) expect(Object.keys(responses), `${method} ${path}`).toContain("429");
  });
});
