import { createPublicKey, type KeyObject } from "node:crypto";

// By which keys a party signs what it publishes, and what of it must be signed.

/** How a key is called in what it has signed. */
export const KID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** Ed25519 alone: a second algorithm would be a second way in, and which one it is is never the message's to say. */
export interface SigningKey {
  readonly kid: string;
  /** Its 32 bytes, base64url, as in a JWK. */
  readonly publicKey: string;
  readonly validFrom: string | null;
  readonly validUntil: string | null;
  readonly revoked?: true;
}

/** Of a branch: by whose keys events are signed there, and which must be. */
export interface Signing {
  readonly party: string;
  /** Full names of types; what has none that can be read must be signed too. */
  readonly must: "all" | readonly string[];
  readonly keys: readonly SigningKey[];
  /** When the party itself is valid, where it came into force since its keys count only then, and has a period at all. */
  readonly period?: Period;
  /** The party was given other branches since, and nobody this one: nothing is believed by its keys, and what had to be signed must be. */
  readonly left?: true;
}

/** From when on, and until when. */
export interface Period {
  readonly validFrom: string | null;
  readonly validUntil: string | null;
}

/** What a revision of a party says of it. */
export interface SigningDefinition {
  readonly keys: readonly Omit<SigningKey, "revoked">[];
  readonly must: "all" | readonly string[];
}

/** What holds on a party's branches when a revision of it comes into force; `revoked`: its keys that were revoked by then, for good. */
export function signingBy(party: string, { keys, must }: SigningDefinition, revoked: ReadonlySet<string>, period: Period | null): Signing {
  return { party, must, keys: keys.map((key) => keyAs(key, revoked.has(key.kid))), ...(period === null ? {} : { period }) };
}

/** The period of a revision; null: it has none. */
export const periodOf = ({ validFrom, validUntil }: Period): Period | null => (validFrom === null && validUntil === null ? null : { validFrom, validUntil });

/** Of a branch that its party has left. Its keys are not revoked, they are elsewhere. */
export const leftBy = ({ party, must }: Signing): Signing => ({ party, must, keys: [], left: true });

/** A key that is revoked is still known: whoever uses it is told so. */
export const withoutKey = (signing: Signing, kid: string): Signing => ({
  ...signing,
  keys: signing.keys.map((key) => keyAs(key, key.revoked === true || key.kid === kid)),
});

/** Of a party that is revoked: nothing is believed by its keys, and what had to be signed must be signed until somebody else is given the branch. */
export const withoutKeys = (signing: Signing): Signing => ({ ...signing, keys: signing.keys.map((key) => keyAs(key, true)) });

const keyAs = ({ kid, publicKey, validFrom, validUntil }: SigningKey, revoked: boolean): SigningKey => ({
  kid,
  publicKey,
  validFrom,
  validUntil,
  ...(revoked ? { revoked } : {}),
});

/** Keys as OpenSSL holds them: making one costs as much as half a check. All that are ever registered are few. */
const made = new Map<string, KeyObject | null>();
const MOST_MADE = 10_000;

/** An Ed25519 key out of its 32 bytes; null: it is none. */
export function publicKeyOf(x: string): KeyObject | null {
  const known = made.get(x);
  if (known !== undefined) return known;
  if (made.size >= MOST_MADE) made.clear();
  const key = keyOf(x);
  made.set(x, key);
  return key;
}

function keyOf(x: string): KeyObject | null {
  if (!/^[A-Za-z0-9_-]{43}$/.test(x) || Buffer.from(x, "base64url").toString("base64url") !== x) return null;
  try {
    return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  } catch {
    return null;
  }
}
