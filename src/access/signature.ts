import { createHash } from "node:crypto";
import { canonicalJson } from "../registry/canonical.ts";

/**
 * A signature as it stands in the act that it signs (21 CFR 11.50, 11.70): who, by their printed name; in which role; what it means and why; when, in UTC; and of what, by the digest of the record
 * as it stood.
 */
export interface Signature {
  /** The challenge that was signed. */
  readonly signature: string;
  readonly signer: { readonly person: string; readonly name: string; readonly issuer: string; readonly subject: string };
  readonly role: string;
  readonly meaning: string;
  readonly reason: string;
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly record: { readonly what: string; readonly sha256: string };
  /** SHA-256 of the challenge: what was shown, of what, for which act. With a provider it is the nonce of the login. */
  readonly challengeSha256: string;
  readonly authenticated:
    | { readonly method: "password" }
    | {
        readonly method: "oidc";
        readonly at: string | null;
        readonly acr: string | null;
        readonly amr: readonly string[];
        readonly idTokenSha256: string;
        readonly keyThumbprint: string;
      };
}

/** What somebody is about to sign. */
export interface Challenge {
  readonly challenge: string;
  readonly person: string;
  /** Null: what is signed concerns every site. */
  readonly site: string | null;
  readonly path: string;
  readonly body: unknown;
  readonly role: string;
  readonly meaning: string;
  readonly reason: string;
  /** The sentence that they are shown: what is seen is what is signed. */
  readonly shown: string;
  readonly record: string;
  readonly recordSha256: string;
  readonly recordTag: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export const digestOfChallenge = (challenge: Challenge): Buffer => createHash("sha256").update(canonicalJson(challenge)).digest();
export const digestOfRecord = (record: unknown): Buffer => createHash("sha256").update(canonicalJson(record)).digest();
