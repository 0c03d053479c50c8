import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

// API keys and session tokens. Both begin with what tells a search for leaked secrets whose they are, and hold 256 bits of chance; stored is a hash under a key that is not in the database.

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const KEY = /^sbk_([a-z2-7]{12})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})$/;
const SESSION = /^sbs_([A-Za-z0-9_-]{43})$/;

export interface MadeKey {
  /** By which the key is known: no secret. */
  readonly id: string;
  /** The key itself, shown once. */
  readonly text: string;
}

export function makeApiKey(): MadeKey {
  const id = Array.from(randomBytes(12), (byte) => ALPHABET[byte % 32]).join("");
  const body = `sbk_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, text: `${body}_${checkOf(body)}` };
}

export const makeSessionToken = (): string => `sbs_${randomBytes(32).toString("base64url")}`;

/** What a bearer token is, by its form alone: a mistyped key is none. */
export function readToken(text: string): { readonly kind: "api key"; readonly id: string } | { readonly kind: "session" } | null {
  const [, id, , check] = KEY.exec(text) ?? [];
  if (id !== undefined) return check === checkOf(text.slice(0, -9)) ? { kind: "api key", id } : null;
  return SESSION.test(text) ? { kind: "session" } : null;
}

const checkOf = (body: string): string => createHash("sha256").update(body).digest("hex").slice(0, 8);

/** HMAC-SHA-256 of a token. */
export const hashToken = (secret: Uint8Array, token: string): Buffer => createHmac("sha256", secret).update(token).digest();

export const sameHash = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && timingSafeEqual(one, other);
