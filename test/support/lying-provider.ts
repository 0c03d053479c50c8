import { createHmac, createPublicKey, type JsonWebKey, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CompactSign, importJWK, type JWK } from "jose";
import { privateKey, REDIRECT_URI, readBody } from "./oidc-provider.ts";

// An identity provider that logs anybody in as somebody and lies as it is told to: in its ID token, in how it signs, in how it answers at all.

type Claims = Record<string, unknown>;

export interface Lie {
  /** Changes what an honest token would say; undefined takes a claim away. */
  readonly claims?: Claims;
  /** Signs in its own way; by default with the published key. */
  readonly sign?: (payload: string) => Promise<string> | string;
  /** Changes what stands beside the ID token in the answer. */
  readonly beside?: Claims;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface LyingProvider {
  readonly issuer: string;
  /** The published key's private half. */
  readonly key: JWK;
  lie: Lie;
  /** Answers at a path in another way than it would: "/token", "/jwks", "/.well-known/openid-configuration". */
  readonly instead: Map<string, Answer>;
  /** How often each path was asked for. */
  readonly asked: Map<string, number>;
  readonly metadata: Claims;
  publish(...keys: readonly JWK[]): void;
  /** What the browser comes back with. */
  login(begin: string): Promise<URLSearchParams>;
  close(): Promise<void>;
}

export async function startLyingProvider(algorithm = "RS256"): Promise<LyingProvider> {
  const key = await privateKey(algorithm);
  let published: readonly JWK[] = [key];
  const [instead, asked] = [new Map<string, Answer>(), new Map<string, number>()];
  let nonce: string | null = null;

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", issuer).pathname;
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const answer = instead.get(path);
    if (answer !== undefined) answer(request, response);
    else void honest(path, request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const metadata: Claims = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    // it claims to be capable of everything, so that nothing is refused because of what it says of itself
    id_token_signing_alg_values_supported: ["RS256", "PS256", "ES256", "EdDSA", "HS256", "RS512", "none"],
  };

  async function honest(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    await readBody(request);
    if (path === "/.well-known/openid-configuration") return json(response, metadata);
    if (path === "/jwks") return json(response, { keys: published.map(publicHalf) });
    if (path !== "/token") return json(response, {}, 404);
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: "p-ada",
      aud: "signalbox",
      nonce,
      iat: now,
      exp: now + 300,
      auth_time: now,
      name: "Ada Lovelace",
      preferred_username: "ada",
    };
    const payload = JSON.stringify({ ...claims, ...liar.lie.claims });
    const id_token = await (liar.lie.sign ?? signedBy(key))(payload);
    json(response, { access_token: randomUUID(), token_type: "Bearer", id_token, ...liar.lie.beside });
  }

  const liar: LyingProvider = {
    issuer,
    key,
    lie: {},
    instead,
    asked,
    metadata,
    publish(...keys) {
      published = keys;
    },
    async login(begin) {
      const url = new URL(begin);
      nonce = url.searchParams.get("nonce");
      const back = new URL(REDIRECT_URI);
      back.searchParams.set("code", randomUUID());
      back.searchParams.set("state", url.searchParams.get("state") ?? "");
      return back.searchParams;
    },
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return liar;
}

/** A signature like any other, by a key; `header` adds to the header, or takes away. */
export const signedBy =
  (key: JWK, header: Claims = {}) =>
  async (payload: string): Promise<string> =>
    new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: key.alg ?? "", kid: key.kid ?? "", ...header }).sign(await importJWK(key));

/** No signature at all. */
export const unsigned = (payload: string): string => `${base64url({ alg: "none" })}.${Buffer.from(payload).toString("base64url")}.`;

/** HS256 with the published key, in the form in which it lies about everywhere, as the secret. */
export const signedWithPublicKey =
  (key: JWK) =>
  (payload: string): string => {
    const said = `${base64url({ alg: "HS256", kid: key.kid })}.${Buffer.from(payload).toString("base64url")}`;
    const pem = createPublicKey({ key: publicHalf(key) as JsonWebKey, format: "jwk" }).export({ type: "spki", format: "pem" });
    return `${said}.${createHmac("sha256", pem).update(said).digest("base64url")}`;
  };

export const publicHalf = ({ d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...rest }: JWK): JWK => rest;

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}
