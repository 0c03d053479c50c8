import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import Provider from "oidc-provider";

// A real identity provider in this process, on a free port of loopback, and a browser that a script drives.

export interface Person {
  readonly subject: string;
  readonly login: string;
  readonly password: string;
  readonly name: string;
}

export const ADA: Person = { subject: "p-ada", login: "ada", password: "correct horse", name: "Ada Lovelace" };
export const KURT: Person = { subject: "p-kurt", login: "kurt", password: "battery staple", name: "Kurt Gödel" };

export const REDIRECT_URI = "http://127.0.0.1:9/login/callback";
export const MFA = "urn:example:mfa";

export interface RealProvider {
  readonly issuer: string;
  /** Signs with a new key from now on, and publishes no other. Sessions and codes stay. */
  rotate(): Promise<void>;
  /** Everything at the token endpoint so far: how the client proved itself, and what it sent. */
  readonly asked: readonly { readonly authorization: string | undefined; readonly body: URLSearchParams }[];
  close(): Promise<void>;
  /** The same again on the same port, after it was closed. */
  open(): Promise<void>;
}

export interface ProviderOptions {
  /** Where names are told; providers differ. */
  readonly namesIn?: "token" | "userinfo";
  readonly algorithm?: "RS256" | "PS256" | "ES256" | "EdDSA";
  /** How people authenticate, whatever is asked for. */
  readonly acr?: string;
  readonly secret?: string | null;
  readonly authMethod?: "client_secret_basic" | "client_secret_post";
}

export async function startProvider(options: ProviderOptions = {}): Promise<RealProvider> {
  const { namesIn = "token", algorithm = "RS256", acr, secret = "a secret of the client", authMethod = "client_secret_basic" } = options;
  const asked: { authorization: string | undefined; body: URLSearchParams }[] = [];
  const rows = new Map<string, Record<string, unknown>>();
  let provider: Provider;

  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;

  async function make(): Promise<Provider> {
    const made = new Provider(issuer, {
      adapter: storedIn(rows),
      jwks: { keys: [await privateKey(algorithm)] },
      cookies: { keys: ["one", "two"] },
      clients: [
        {
          client_id: "signalbox",
          ...(secret === null ? {} : { client_secret: secret }),
          token_endpoint_auth_method: secret === null ? "none" : authMethod,
          redirect_uris: [REDIRECT_URI],
          grant_types: ["authorization_code"],
          response_types: ["code"],
          id_token_signed_response_alg: algorithm,
          require_auth_time: true,
        },
      ],
      clientAuthMethods: [secret === null ? "none" : authMethod],
      enabledJWA: { idTokenSigningAlgValues: [algorithm] },
      pkce: { required: () => true },
      acrValues: [MFA],
      claims: { openid: ["sub", "acr", "amr", "auth_time"], profile: ["name", "preferred_username"] },
      conformIdTokenClaims: namesIn === "userinfo",
      features: { devInteractions: { enabled: false }, userinfo: { enabled: true } },
      ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 300, Interaction: 300, Session: 3600, Grant: 3600 },
      clientBasedCORS: () => false,
      interactions: { url: (_context: unknown, interaction: { readonly uid: string }) => `/interaction/${interaction.uid}` },
      renderError(context: { body: unknown; type: string }, out: unknown) {
        context.type = "json";
        context.body = out;
      },
      findAccount: (_context: unknown, subject: string) => {
        const person = [ADA, KURT].find((one) => one.subject === subject);
        return person && { accountId: subject, claims: () => ({ sub: subject, name: person.name, preferred_username: person.login }) };
      },
      async loadExistingGrant(context: { oidc: { client: { clientId: string }; session: { accountId: string } } }) {
        const grant = new made.Grant({ clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId });
        grant.addOIDCScope("openid profile");
        await grant.save();
        return grant;
      },
    });
    made.use(async (context, next) => {
      await next();
      if (context.oidc?.route === "token") asked.push({ authorization: context.headers.authorization, body: new URLSearchParams(context.oidc.body) });
    });
    return made;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.startsWith("/interaction/")) return interact(request, response);
    await provider.callback()(request, response);
  }

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { uid } = await provider.interactionDetails(request, response);
    const form = (said: string) =>
      `<p>${said}</p><form method="post" action="/interaction/${uid}"><input name="login"><input name="password" type="password"><button name="cancel" value="yes"></button></form>`;
    response.setHeader("content-type", "text/html");
    if (request.method !== "POST") {
      response.end(form("Who are you?"));
      return;
    }
    const given = new URLSearchParams(await readBody(request));
    if (given.get("cancel") === "yes") return provider.interactionFinished(request, response, { error: "access_denied", error_description: "the person left" });
    const person = [ADA, KURT].find(({ login, password }) => login === given.get("login") && password === given.get("password"));
    if (person === undefined) response.writeHead(401).end(form("That is wrong."));
    else await provider.interactionFinished(request, response, { login: { accountId: person.subject, amr: ["pwd"], ...(acr === undefined ? {} : { acr }) } });
  }

  provider = await make();
  return {
    issuer,
    asked,
    async rotate() {
      provider = await make();
    },
    async open() {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** A browser with cookies of its own: who logged in with it is known to the provider the next time. */
export class Browser {
  readonly #cookies = new Map<string, { readonly path: string; readonly pair: string }>();

  /** Goes where the login begins, fills in the form when there is one, and follows until the provider sends it back to us: to that address. */
  async login(begin: string, who: Person | { readonly login: string; readonly password: string } | "cancel" | "nobody"): Promise<URL> {
    let response = await this.#go(begin);
    for (let steps = 0; steps < 10; steps++) {
      const to = response.headers.get("location");
      if (to?.startsWith(REDIRECT_URI)) return new URL(to);
      if (to !== null) response = await this.#go(new URL(to, response.url).href);
      else response = await this.#fillIn(response, who);
    }
    throw new Error("the provider does not send the browser back");
  }

  async #fillIn(response: Response, who: Parameters<Browser["login"]>[1]): Promise<Response> {
    const action = /action="([^"]+)"/.exec(await response.text())?.[1];
    if (response.status !== 200 || action === undefined) throw new Error(`no form, but ${response.status}`);
    if (who === "nobody") throw new Error("the provider asks who this is");
    const body = new URLSearchParams(who === "cancel" ? { cancel: "yes" } : { login: who.login, password: who.password });
    return this.#go(new URL(action, response.url).href, { method: "POST", body });
  }

  async #go(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url);
    const cookie = [...this.#cookies.values()]
      .filter(({ path }) => pathname === path || pathname.startsWith(path.endsWith("/") ? path : `${path}/`))
      .map(({ pair }) => pair)
      .join("; ");
    const response = await fetch(url, { ...init, headers: { cookie }, redirect: "manual" });
    for (const set of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = set.split(/;\s*/);
      const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? "/";
      const key = `${pair.split("=")[0]} ${path}`;
      if (attributes.some((attribute) => /^expires=.*1970/i.test(attribute))) this.#cookies.delete(key);
      else this.#cookies.set(key, { path, pair });
    }
    return response;
  }
}

export async function privateKey(algorithm: string): Promise<JWK> {
  const { privateKey: key } = await generateKeyPair(algorithm, { extractable: true });
  return { ...(await exportJWK(key)), alg: algorithm, use: "sig", kid: randomUUID() };
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

/** What the provider keeps, in memory, beyond a change of its keys. */
function storedIn(rows: Map<string, Record<string, unknown>>) {
  return class {
    readonly #model: string;
    constructor(model: string) {
      this.#model = model;
    }
    async upsert(id: string, payload: Record<string, unknown>): Promise<void> {
      rows.set(`${this.#model} ${id}`, payload);
    }
    async find(id: string): Promise<Record<string, unknown> | undefined> {
      return rows.get(`${this.#model} ${id}`);
    }
    async findByUid(uid: string): Promise<Record<string, unknown> | undefined> {
      return [...rows].find(([key, { uid: of }]) => key.startsWith(`${this.#model} `) && of === uid)?.[1];
    }
    async findByUserCode(): Promise<undefined> {}
    async consume(id: string): Promise<void> {
      const row = rows.get(`${this.#model} ${id}`);
      if (row !== undefined) row["consumed"] = Math.floor(Date.now() / 1000);
    }
    async destroy(id: string): Promise<void> {
      rows.delete(`${this.#model} ${id}`);
    }
    async revokeByGrantId(grant: string): Promise<void> {
      for (const [key, { grantId }] of rows) if (grantId === grant) rows.delete(key);
    }
  };
}
