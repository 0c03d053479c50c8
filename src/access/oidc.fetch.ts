import { createHash, timingSafeEqual } from "node:crypto";
import { type CompactVerifyGetKey, createLocalJWKSet } from "jose";
import * as oidc from "openid-client";
import { z } from "zod";
import { isProtected } from "../ops/loopback.ts";
import { CLOCK_TOLERANCE_SECONDS, type Judged, judgeIdToken, namesIn, personClaims } from "./id-token.ts";
import { type OidcRefusal, refuse } from "./oidc-codes.ts";

// Speaks OpenID Connect with the one provider of the settings: authorization code with PKCE (RFC 9700). openid-client speaks the protocol; whether the ID token proves
// what it must is judged in id-token.ts, by our clock and with a code for every reason.

export interface OidcSettings {
  /** Exactly as the provider writes it. http:// on loopback alone. */
  readonly issuer: string;
  readonly clientId: string;
  /** null: a public client, which PKCE alone protects. */
  readonly clientSecret: string | null;
  readonly redirectUri: string;
  /** What a signer's authentication must be, one of them; none: whatever the provider does. */
  readonly acrValues: readonly string[];
}

export type Purpose =
  | { readonly purpose: "sign-in" }
  | {
      readonly purpose: "sign";
      /** SHA-256 of what is signed. */
      readonly challengeDigest: Uint8Array;
      /** The `sub` of the person who is to sign. */
      readonly subject: string;
    };

/** What is kept on this side, with the session that began the login, until the person comes back; never shown to the browser but for `state` and `nonce` in the URL. Plain JSON. */
export interface Kept {
  readonly purpose: "sign-in" | "sign";
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Who is to sign; null: somebody logs in. */
  readonly subject: string | null;
}

export interface Begun extends Kept {
  readonly kind: "begun";
  /** Where the browser is sent. */
  readonly url: string;
}

/** A person authenticated. Only `(issuer, subject)` identifies them. */
export interface Proven extends Judged {
  readonly issuer: string;
  /** The nonce that the ID token carries; for a signature it is `nonceOf` the challenge's digest. */
  readonly nonce: string;
  /** Kept as evidence. */
  readonly idToken: string;
}

export interface Oidc {
  readonly issuer: string;
  /** `now`: milliseconds since 1970. */
  begin(purpose: Purpose, now: number): Promise<Begun | OidcRefusal>;
  /** With the parameters that the browser brings back. Each code works once, at the provider: what was kept is thrown away by the caller, whatever comes of it. */
  complete(parameters: URLSearchParams, kept: Kept, now: number): Promise<Proven | OidcRefusal>;
}

/** What ties an ID token to the record that is signed: the digest itself, base64url. Throws a RangeError when it is no SHA-256: a short one could be met twice. */
export function nonceOf(challengeDigest: Uint8Array): string {
  if (challengeDigest.length !== 32) throw new RangeError("A challenge's digest is 32 bytes.");
  return Buffer.from(challengeDigest).toString("base64url");
}

/** A key that the provider withdraws is believed no longer than this. */
const KNOWN_MS = 10 * 60_000;
/** Before the provider is asked again after it failed, or for a key that it did not publish. */
const COOL_DOWN_MS = 10_000;
const MAX_BYTES = 1_048_576;

const keySet = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).max(64) });
const tokens = z.looseObject({ id_token: z.string() });

/** The provider cannot be reached, or does not answer as it should. */
class Unanswered extends Error {}

interface Provider {
  readonly metadata: oidc.ServerMetadata;
  readonly keys: CompactVerifyGetKey;
  readonly readAt: number;
}

/** Asks nobody before the first login. Throws a RangeError for an issuer that is not https:// and not on loopback. */
export function createOidc(settings: OidcSettings, { timeoutMs = 5_000 }: { readonly timeoutMs?: number } = {}): Oidc {
  const { issuer, clientId, clientSecret, redirectUri } = settings;
  if (!isProtected(issuer)) throw new RangeError("An issuer begins with https://, or with http:// on loopback.");
  const insecure = issuer.startsWith("http://");
  /** A provider on the network names nothing that is spoken to in the clear, not even here. */
  const speaks = (url: string): boolean => isProtected(url) && (insecure || new URL(url).protocol === "https:");

  let known: Provider | null = null;
  let failed: { readonly at: number; readonly refusal: OidcRefusal } | null = null;
  let asking: Promise<Provider | OidcRefusal> | null = null;

  /** One request that ends in time, follows no redirect and reads no more than it may. */
  const reach: oidc.CustomFetch = async (url, { method, headers: sent, body }) => {
    if (!speaks(url)) throw new Unanswered("it names an address that is not https://");
    try {
      const response = await fetch(url, { method, headers: sent, body: body ?? null, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
      if (response.status >= 300 && response.status < 400) throw new Unanswered(`it redirects ${new URL(url).pathname} elsewhere, which is not followed`);
      const { status, headers } = response;
      return new Response(await readAll(response), { status, headers });
    } catch (error) {
      throw error instanceof Unanswered ? error : new Unanswered(cause(error));
    }
  };

  function provider(now: number): Promise<Provider | OidcRefusal> {
    if (known !== null && now - known.readAt < KNOWN_MS) return Promise.resolve(known);
    return ask(now);
  }

  /** Reads what the provider says of itself, and its keys: once for all who wait, and not at once again when it failed. */
  function ask(now: number): Promise<Provider | OidcRefusal> {
    if (failed !== null && now - failed.at < COOL_DOWN_MS) return Promise.resolve(failed.refusal);
    asking ??= discover(now)
      .then((found) => {
        if ("kind" in found) failed = { at: now, refusal: found };
        else [known, failed] = [found, null];
        return found;
      })
      .finally(() => {
        asking = null;
      });
    return asking;
  }

  async function discover(now: number): Promise<Provider | OidcRefusal> {
    try {
      const options = { [oidc.customFetch]: reach, ...(insecure ? { execute: [oidc.allowInsecureRequests] } : {}) };
      const metadata = (await oidc.discovery(new URL(issuer), clientId, undefined, oidc.None(), options)).serverMetadata();
      if (metadata.issuer !== issuer) return otherName;
      const { authorization_endpoint, token_endpoint, jwks_uri } = metadata;
      if (![authorization_endpoint, token_endpoint, jwks_uri].every((url) => url !== undefined && speaks(url)))
        return refuse("OIDC_PROVIDER_UNFIT", "The identity provider does not name its endpoints and keys, each below https://.");
      const response = await reach(jwks_uri ?? "", { method: "GET", headers: { accept: "application/json" }, body: undefined, redirect: "manual" });
      const jwks = response.ok ? keySet.safeParse(readJson(await response.text())) : null;
      if (jwks?.success !== true) return unavailable("it does not give its keys");
      return { metadata, keys: createLocalJWKSet(jwks.data), readAt: now };
    } catch (error) {
      return error instanceof oidc.ClientError && error.code === "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED" ? otherName : unavailable(cause(error));
    }
  }

  /** openid-client reads the system's clock: the difference to the caller's is told to it. What it is answered with goes through `through`. */
  function clientAt({ metadata }: Provider, now: number, through: oidc.CustomFetch): oidc.Configuration {
    // without a word on it a provider takes it as Basic (OpenID Connect Discovery section 3)
    const { token_endpoint_auth_methods_supported: methods } = metadata;
    const inBody = Array.isArray(methods) && !methods.includes("client_secret_basic");
    const secret = clientSecret === null ? oidc.None() : (inBody ? oidc.ClientSecretPost : oidc.ClientSecretBasic)(clientSecret);
    const clock = { [oidc.clockSkew]: Math.round((now - Date.now()) / 1000), [oidc.clockTolerance]: CLOCK_TOLERANCE_SECONDS };
    const client = new oidc.Configuration(metadata, clientId, clock, secret);
    client[oidc.customFetch] = through;
    if (insecure) oidc.allowInsecureRequests(client);
    return client;
  }

  /** Takes the code to the token endpoint. The answer's ID token is handed back even where openid-client refuses it, so that one judge names every reason. */
  async function exchange(
    at: Provider,
    parameters: URLSearchParams,
    { state, nonce, codeVerifier }: Kept,
    now: number,
  ): Promise<
    { readonly idToken: string; readonly client: oidc.Configuration; readonly accessToken: string | null; readonly refusal: OidcRefusal | null } | OidcRefusal
  > {
    let answered = "";
    const client = clientAt(at, now, async (url, init) => {
      const response = await reach(url, init);
      answered = await response.clone().text();
      return response;
    });
    // the address that was registered, not the one by which a proxy reached us
    const callback = new URL(redirectUri);
    for (const [name, value] of parameters) callback.searchParams.append(name, value);
    try {
      const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier, idTokenExpected: true };
      const { id_token, access_token } = await oidc.authorizationCodeGrant(client, callback, checks);
      return { idToken: id_token ?? "", client, accessToken: access_token, refusal: null };
    } catch (error) {
      const refusal = refusalOf(error);
      const held = tokens.safeParse(readJson(answered));
      return held.success ? { idToken: held.data.id_token, client, accessToken: null, refusal } : refusal;
    }
  }

  return {
    issuer,
    async begin(purpose, now) {
      const at = await provider(now);
      if ("kind" in at) return at;
      const signing = purpose.purpose === "sign";
      const kept: Kept = {
        purpose: purpose.purpose,
        state: oidc.randomState(),
        nonce: signing ? nonceOf(purpose.challengeDigest) : oidc.randomNonce(),
        codeVerifier: oidc.randomPKCECodeVerifier(),
        startedAt: now,
        subject: signing ? purpose.subject : null,
      };
      const url = oidc.buildAuthorizationUrl(clientAt(at, now, reach), {
        redirect_uri: redirectUri,
        scope: "openid profile",
        state: kept.state,
        nonce: kept.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(kept.codeVerifier),
        code_challenge_method: "S256",
        ...(signing ? { prompt: "login", max_age: "0" } : {}),
        ...(signing && settings.acrValues.length > 0 ? { acr_values: settings.acrValues.join(" ") } : {}),
      });
      return { kind: "begun", url: url.href, ...kept };
    },

    async complete(parameters, kept, now) {
      // first of all: whoever does not know the state does not get anything done, not even a cancellation
      const state = only(parameters, "state");
      if (state === null || !same(state, kept.state)) return refuse("OIDC_STATE_MISMATCH", "The answer does not carry the state of this login.");
      const at = await provider(now);
      if ("kind" in at) return at;
      // RFC 9207: an answer of another provider, played to this login
      const from = only(parameters, "iss");
      if (parameters.has("iss") || at.metadata.authorization_response_iss_parameter_supported === true) {
        if (from !== issuer) return refuse("OIDC_ISSUER_MISMATCH", "The answer names another issuer than the configured one.");
      }
      if (parameters.has("error")) return refusedLogin(only(parameters, "error"));
      if (only(parameters, "code") === null) return refuse("OIDC_LOGIN_REFUSED", "The answer carries no code.");

      const asked = performance.now();
      const exchanged = await exchange(at, parameters, kept, now);
      if ("kind" in exchanged) return exchanged;
      const { idToken, client, accessToken, refusal } = exchanged;
      const expected = {
        issuer,
        clientId,
        nonce: kept.nonce,
        signing: kept.purpose === "sign" ? { subject: kept.subject ?? "", startedAt: kept.startedAt, acrValues: settings.acrValues } : null,
        // a token is younger than the question for it: by as long as the provider took
        now: now + (performance.now() - asked),
      };
      let judged = await judgeIdToken(idToken, at.keys, expected);
      if (judged.kind === "refused" && judged.code === "OIDC_KEY_UNKNOWN" && now - at.readAt >= COOL_DOWN_MS) {
        const again = await ask(now);
        if ("kind" in again) return again;
        judged = await judgeIdToken(idToken, again.keys, expected);
      }
      if (judged.kind === "refused") return judged;
      if (refusal !== null) return refusal;
      const proven: Proven = { ...judged, issuer, nonce: kept.nonce, idToken };
      // Many providers tell names only where they are asked for them. A signature bears the name that is on record, so no second answer is waited for between login and act.
      if (kept.purpose === "sign" || (proven.name !== null && proven.username !== null) || accessToken === null || at.metadata.userinfo_endpoint === undefined)
        return proven;
      return withNames(proven, client, accessToken);
    },
  };
}

async function withNames(proven: Proven, client: oidc.Configuration, accessToken: string): Promise<Proven | OidcRefusal> {
  try {
    const told = personClaims.safeParse(await oidc.fetchUserInfo(client, accessToken, proven.subject));
    if (!told.success) return refuse("OIDC_TOKEN_INVALID", "The identity provider gives a name that cannot be kept.");
    const { name, username } = namesIn(told.data);
    return { ...proven, name: proven.name ?? name, username: proven.username ?? username };
  } catch (error) {
    return refusalOf(error);
  }
}

const unavailable = (why: string): OidcRefusal => refuse("OIDC_PROVIDER_UNAVAILABLE", `The identity provider cannot be asked: ${why}.`);

const otherName: OidcRefusal = refuse(
  "OIDC_PROVIDER_UNFIT",
  "The identity provider calls itself by another name than OIDC_ISSUER; both must be the same to the letter.",
);

/** What the browser brings back instead of a code (RFC 6749 section 4.1.2.1). */
function refusedLogin(error: string | null): OidcRefusal {
  if (error === "access_denied") return refuse("OIDC_LOGIN_CANCELLED", "The login was cancelled.");
  if (error === "server_error" || error === "temporarily_unavailable") return unavailable(`it answers ${error}`);
  return refuse("OIDC_LOGIN_REFUSED", `The identity provider answers ${nameOf(error)}.`);
}

/** What openid-client could not do. Only names of errors are passed on: what surrounds them may hold the code or a token. */
function refusalOf(error: unknown): OidcRefusal {
  if (error instanceof oidc.ResponseBodyError) {
    const name = nameOf(error.error);
    if (name === "server_error" || name === "temporarily_unavailable") return unavailable(`it answers ${name}`);
    if (name === "invalid_client" || name === "unauthorized_client")
      return refuse("OIDC_PROVIDER_UNFIT", `The identity provider does not take us for its client: ${name}.`);
    return refuse("OIDC_CODE_REFUSED", `The identity provider does not take the code: ${name}.`);
  }
  if (error instanceof oidc.WWWAuthenticateChallengeError)
    return refuse("OIDC_PROVIDER_UNFIT", "The identity provider does not take us for its client, or its own token for valid.");
  if (unansweredIn(error) !== null || (error instanceof oidc.ClientError && NO_ANSWER.has(error.code ?? ""))) return unavailable(cause(error));
  if (error instanceof oidc.ClientError)
    return refuse("OIDC_TOKEN_INVALID", `The identity provider's answer is not what it must be: ${error.code ?? "unknown"}.`);
  throw error;
}

/** An answer of something that does not speak the protocol just now, such as a proxy's error page. */
const NO_ANSWER: ReadonlySet<string> = new Set([
  "OAUTH_RESPONSE_IS_NOT_CONFORM",
  "OAUTH_RESPONSE_IS_NOT_JSON",
  "OAUTH_PARSE_ERROR",
  "OAUTH_TIMEOUT",
  "OAUTH_ABORT",
]);

function unansweredIn(error: unknown): Unanswered | null {
  if (error instanceof Unanswered) return error;
  return error instanceof Error && error.cause !== undefined ? unansweredIn(error.cause) : null;
}

function cause(error: unknown): string {
  const unanswered = unansweredIn(error);
  if (unanswered !== null) return unanswered.message;
  if (error instanceof oidc.ClientError) return `it does not answer as it should (${error.code ?? "unknown"})`;
  if (!(error instanceof Error)) return "it does not answer";
  if (error.name === "TimeoutError") return "it did not answer in time";
  const inner = error.cause;
  return inner instanceof Error ? inner.message : "it does not answer";
}

/** The name of an error that comes from outside, where it is one. */
const nameOf = (error: string | null): string => (error !== null && /^[a-z_]{1,64}$/.test(error) ? error : "an error without a name");

/** A parameter that is there once; null: it is not, or more than once. */
function only(parameters: URLSearchParams, name: string): string | null {
  const [value, ...more] = parameters.getAll(name);
  return value === undefined || value === "" || more.length > 0 ? null : value;
}

const same = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

async function readAll(response: Response): Promise<Buffer | null> {
  if (response.body === null) return null;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new Unanswered("it answers with more than can be read");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
