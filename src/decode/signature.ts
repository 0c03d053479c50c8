import { verify } from "node:crypto";
import { publicKeyOf, type Signing } from "../parties/signing.ts";
import { ALGORITHM, type Jws } from "./signed.ts";

// Whether an event is signed by whom its branch belongs to. Whoever administers the broker can then hold a message back, and neither make nor alter one.

/** As it goes on record with the event. */
export interface Signed {
  readonly kid: string;
  readonly alg: typeof ALGORITHM;
}

export type SignatureCode = "PROVENANCE_SIGNATURE_MISSING" | "PROVENANCE_SIGNATURE_INVALID";

export interface Unbelieved {
  readonly code: SignatureCode;
  readonly reason: string;
}

const invalid = (reason: string): Unbelieved => ({ code: "PROVENANCE_SIGNATURE_INVALID", reason });

/** Checks the signature of a message that came on a topic at a time. Pure: the same message, keys and time give the same answer, also years later. */
export function checkSignature(
  { party, keys, period, left }: Signing,
  { header, input, signature }: Jws,
  topic: string,
  receivedAt: string,
): Signed | Unbelieved {
  if (header === null) return invalid("The header of the signature is not alg, kid, typ and topic as they must be, and nothing else.");
  const { kid } = header;
  if (left === true) return invalid(`${party} was given other branches since, and nobody this one.`);
  const key = keys.find((one) => one.kid === kid);
  if (key === undefined) return invalid(`${party} has no key ${kid}.`);
  if (key.revoked === true) return invalid(`Key ${kid} of ${party} is revoked.`);
  const at = Date.parse(receivedAt);
  if (key.validFrom !== null && at < Date.parse(key.validFrom)) return invalid(`Key ${kid} of ${party} is valid from ${key.validFrom} on.`);
  if (key.validUntil !== null && at >= Date.parse(key.validUntil)) return invalid(`Key ${kid} of ${party} was valid until ${key.validUntil}.`);
  if (period !== undefined && period.validFrom !== null && at < Date.parse(period.validFrom)) return invalid(`${party} is valid from ${period.validFrom} on.`);
  if (period !== undefined && period.validUntil !== null && at >= Date.parse(period.validUntil))
    return invalid(`${party} was valid until ${period.validUntil}.`);
  if (header.topic !== topic) return invalid("It was signed for another topic.");
  const publicKey = publicKeyOf(key.publicKey);
  return publicKey !== null && verify(null, input, publicKey, signature) ? { kid, alg: ALGORITHM } : invalid(`The signature is not one by key ${kid}.`);
}

/** Why an event that came without a signature is not believed; null: it may come so. `type`: null where it could not be read. */
export function unsigned({ party, must }: Signing, type: string | null): Unbelieved | null {
  if (must !== "all" && type !== null && !must.includes(type)) return null;
  return { code: "PROVENANCE_SIGNATURE_MISSING", reason: `${party} signs ${type ?? "what it sends"}, and this came without a signature.` };
}
