import { createPublicKey, type KeyObject } from "node:crypto";
import { sha256 } from "./hash.ts";

// Keys of signed notes (C2SP signed-note, "Signatures" and "Verifier keys"). Ed25519 alone: a second algorithm would be a second way in.

export interface VerifierKey {
  /** Who signs. Not empty, without Unicode spaces, control characters and plus. */
  readonly name: string;
  /** Eight hexadecimal digits: the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). With the name it tells keys apart; it proves nothing by itself. */
  readonly id: string;
  readonly publicKey: KeyObject;
  /** The key as people hand it on: `name+id+base64(0x01 ‖ public key)`. */
  readonly text: string;
}

export interface SigningKey {
  readonly verifier: VerifierKey;
  readonly privateKey: KeyObject;
}

export type KeyRefusal =
  /** Not of the form name+id+base64. */
  | "not-a-verifier-key"
  /** A signature type other than Ed25519, or a key of another length. */
  | "not-ed25519"
  /** The id is not that of this name and key: one of the three was altered. */
  | "another-key-id";

const ED25519 = 0x01;
const KEY_BYTES = 32;
const VERIFIER_KEY = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/;
const NOT_IN_A_NAME = /[\p{White_Space}\p{Cc}+]/u;

export const isKeyName = (name: string): boolean => name !== "" && name.isWellFormed() && !NOT_IN_A_NAME.test(name);

/** The name under which the signer of a site signs. */
export const signerName = (site: string): string => `signalbox/${site}`;

/** The verifier key of a public key under a name. Throws a RangeError when the name may not be one, or the key is not Ed25519. */
export function verifierKey(name: string, publicKey: KeyObject): VerifierKey {
  if (!isKeyName(name)) throw new RangeError(`"${name}" may not name a key`);
  const { crv, x } = publicKey.export({ format: "jwk" });
  if (crv !== "Ed25519" || x === undefined) throw new RangeError("the key is not an Ed25519 key");
  return made(name, publicKey, Buffer.from(x, "base64url"));
}

export function signingKey(name: string, privateKey: KeyObject): SigningKey {
  return { verifier: verifierKey(name, createPublicKey(privateKey)), privateKey };
}

/** Reads a verifier key, without any tolerance: what is not exactly how it would be written is none. */
export function parseVerifierKey(text: string): VerifierKey | KeyRefusal {
  const [, name, id, base64] = VERIFIER_KEY.exec(text) ?? [];
  if (name === undefined || id === undefined || base64 === undefined || !isKeyName(name)) return "not-a-verifier-key";
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) return "not-a-verifier-key";
  if (bytes[0] !== ED25519 || bytes.length !== 1 + KEY_BYTES) return "not-ed25519";
  const raw = bytes.subarray(1);
  const key = made(name, createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" }), raw);
  return key.id === id ? key : "another-key-id";
}

function made(name: string, publicKey: KeyObject, raw: Buffer): VerifierKey {
  const typed = Buffer.concat([Buffer.of(ED25519), raw]);
  const id = sha256(Buffer.concat([Buffer.from(`${name}\n`), typed]))
    .subarray(0, 4)
    .toString("hex");
  return { name, id, publicKey, text: `${name}+${id}+${typed.toString("base64")}` };
}
