import {
  type CompactVerifyGetKey,
  type CompactVerifyResult,
  calculateJwkThumbprint,
  compactVerify,
  decodeProtectedHeader,
  errors,
  exportJWK,
  type JWK,
  type ResolvedKey,
} from "jose";
import { z } from "zod";
import { type OidcRefusal, refuse } from "./oidc-codes.ts";

// Whether an ID token proves that a person authenticated (OpenID Connect Core 3.1.3.7), and for a signature that they did so anew, for exactly this challenge.

/** Asymmetric ones alone: with HS256 the provider's public key could be passed off as the secret. */
const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"];

/** How far the provider's clock may be from ours. */
export const CLOCK_TOLERANCE_SECONDS = 60;

/** How long an authentication counts as fresh. */
const FRESH_SECONDS = 120;

export interface Expected {
  readonly issuer: string;
  readonly clientId: string;
  readonly nonce: string;
  /** null: somebody logs in; otherwise who is to sign, and since when. */
  readonly signing: { readonly subject: string; readonly startedAt: number; readonly acrValues: readonly string[] } | null;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Judged {
  readonly kind: "proven";
  readonly subject: string;
  readonly name: string | null;
  readonly username: string | null;
  /** An instant; null: the provider does not say, and nobody signs. */
  readonly authTime: string | null;
  readonly acr: string | null;
  readonly amr: readonly string[];
  /** The public key that signed: kept with the token, since the provider's keys rotate. */
  readonly key: JWK;
  /** RFC 7638, SHA-256, of that key. */
  readonly keyThumbprint: string;
}

/** Something that people read and the record keeps: no control characters, not without end. */
const words = z
  .string()
  .max(256)
  .regex(/^\P{Cc}*$/u);
export const personClaims = z.looseObject({ name: words.optional(), preferred_username: words.optional() });

const seconds = z.int().nonnegative();
const claimsSchema = personClaims.extend({
  iss: z.string(),
  sub: words.min(1),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: z.number(),
  iat: z.number(),
  nbf: z.number().optional(),
  nonce: z.string().optional(),
  azp: z.string().optional(),
  client_id: z.string().optional(),
  auth_time: seconds.optional(),
  acr: words.optional(),
  amr: z.array(words).max(16).optional(),
});
type Claims = z.infer<typeof claimsSchema>;

/** The signature is proved first: nothing is read out of a token that nobody vouches for. `keys` finds the provider's key that a header names, and no other: what a header brings along (jwk, jku, x5u) counts for nothing. */
export async function judgeIdToken(idToken: string, keys: CompactVerifyGetKey, expected: Expected): Promise<Judged | OidcRefusal> {
  const verified = await verify(idToken, keys);
  if ("kind" in verified) return verified;
  const claims = claimsSchema.safeParse(readJson(verified.payload));
  if (!claims.success)
    return refuse("OIDC_TOKEN_INVALID", `The ID token's claims cannot be read: ${claims.error.issues.map(({ path }) => path.join(".")).join(", ")}.`);
  const refusal = judgeClaims(claims.data, expected);
  if (refusal !== null) return refusal;
  const key = await exportJWK(verified.key);
  const { sub, auth_time, acr, amr } = claims.data;
  return {
    kind: "proven",
    subject: sub,
    ...namesIn(claims.data),
    authTime: auth_time === undefined ? null : new Date(auth_time * 1000).toISOString(),
    acr: acr ?? null,
    amr: amr ?? [],
    key,
    keyThumbprint: await calculateJwkThumbprint(key, "sha256"),
  };
}

export const namesIn = (claims: z.infer<typeof personClaims>): Pick<Judged, "name" | "username"> => ({
  name: claims.name?.trim() || null,
  username: claims.preferred_username?.trim() || null,
});

async function verify(idToken: string, keys: CompactVerifyGetKey): Promise<(CompactVerifyResult & ResolvedKey) | OidcRefusal> {
  try {
    const { alg, typ } = decodeProtectedHeader(idToken);
    if (alg === undefined || !ALGORITHMS.includes(alg))
      return refuse("OIDC_ALGORITHM_REFUSED", "The ID token's algorithm is not one of those that are allowed.");
    // an access token or a logout token of the same provider says so in its type (RFC 8725 section 3.11)
    if (typ !== undefined && typ.toUpperCase() !== "JWT") return refuse("OIDC_TOKEN_INVALID", "The token says that it is something other than an ID token.");
    return await compactVerify(idToken, keys, { algorithms: ALGORITHMS });
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey)
      return refuse("OIDC_KEY_UNKNOWN", "The identity provider publishes no key of the kind and name that the ID token gives.");
    if (error instanceof errors.JWKSMultipleMatchingKeys)
      return refuse("OIDC_KEY_UNKNOWN", "The ID token does not say which of the identity provider's keys signed it.");
    if (error instanceof errors.JWSSignatureVerificationFailed) return refuse("OIDC_SIGNATURE_INVALID", "The ID token's signature does not hold.");
    if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException)
      return refuse("OIDC_TOKEN_INVALID", "The ID token cannot be read, or its key cannot be used.");
    throw error;
  }
}

function judgeClaims(claims: Claims, { issuer, clientId, nonce, signing, now }: Expected): OidcRefusal | null {
  const nowSeconds = now / 1000;
  if (claims.iss !== issuer) return refuse("OIDC_ISSUER_MISMATCH", "The ID token names another issuer than the configured one.");
  const audience = typeof claims.aud === "string" ? [claims.aud] : claims.aud;
  if (!audience.includes(clientId)) return refuse("OIDC_AUDIENCE_MISMATCH", "The ID token was given to another client.");
  // with several audiences only azp says to whom it was given
  if (claims.azp === undefined ? audience.length !== 1 : claims.azp !== clientId)
    return refuse("OIDC_AUDIENCE_MISMATCH", "The ID token was given to another client, which may show it to this one.");
  // what a client gets for itself has the client for its subject
  if ([clientId, claims.client_id, claims.azp].includes(claims.sub)) return refuse("OIDC_MACHINE_SUBJECT", "The ID token's subject is a client, not a person.");
  if (claims.nonce !== nonce) return refuse("OIDC_NONCE_MISMATCH", "The ID token does not carry the nonce of this login.");
  if (claims.exp <= nowSeconds - CLOCK_TOLERANCE_SECONDS) return refuse("OIDC_TOKEN_EXPIRED", "The ID token has expired.");
  if (Math.max(claims.iat, claims.nbf ?? 0, claims.auth_time ?? 0) > nowSeconds + CLOCK_TOLERANCE_SECONDS)
    return refuse("OIDC_TOKEN_EARLY", `The ID token is from more than ${CLOCK_TOLERANCE_SECONDS} seconds in the future.`);
  return signing === null ? null : judgeSigning(claims, signing, nowSeconds);
}

function judgeSigning(claims: Claims, { subject, startedAt, acrValues }: NonNullable<Expected["signing"]>, nowSeconds: number): OidcRefusal | null {
  if (claims.sub !== subject) return refuse("OIDC_OTHER_PERSON", "Somebody else authenticated than the person who is to sign.");
  if (claims.auth_time === undefined) return refuse("OIDC_AUTHENTICATION_STALE", "The identity provider does not say when the person authenticated.");
  // A provider whose clock is ahead would make an earlier login look fresh: by as much as its token is from our future, its clock is ahead for certain.
  const authenticated = claims.auth_time - Math.max(0, Math.ceil(claims.iat - nowSeconds));
  // Without tolerance, but for the whole seconds in which providers tell it: a login before the challenge is the very thing to be found.
  if (authenticated < Math.floor(startedAt / 1000))
    return refuse("OIDC_AUTHENTICATION_STALE", "The person authenticated before the challenge was given, and not anew for it.");
  if (authenticated < nowSeconds - FRESH_SECONDS)
    return refuse("OIDC_AUTHENTICATION_STALE", `The person authenticated more than ${FRESH_SECONDS} seconds ago.`);
  // acr_values only asks (Core 5.5.1.1): a provider that cannot do it authenticates all the same
  if (acrValues.length > 0 && !acrValues.includes(claims.acr ?? ""))
    return refuse("OIDC_AUTHENTICATION_WEAK", "The ID token's acr is none of those that are asked for.");
  return null;
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
