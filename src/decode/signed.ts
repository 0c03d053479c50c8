import { KID } from "../parties/signing.ts";
import type { Delivery } from "../receive/delivery.ts";
import { readJson } from "./json.ts";

// A signed event: a compact JWS (RFC 7515) as the whole payload, whose own payload is the structured event. What is taken apart here is not yet believed (signature.ts).

export const JOSE_TYPE = /^application\/jose\s*(;.*)?$/i;
export const JWS_TYP = "signalbox-event+jws";
export const ALGORITHM = "EdDSA";

/** The protected header. It has these members and `alg` and `typ`, which have one value each, and no other: whatever else a header can ask for, nobody here does. */
export interface SignedHeader {
  readonly kid: string;
  /** The topic on which it was sent, in full: the signature is for that alone. */
  readonly topic: string;
}

/** A delivery that has the form of a signed event, taken apart. */
export interface Jws {
  /** Null: it is not as it must be. */
  readonly header: SignedHeader | null;
  readonly payload: Uint8Array;
  /** What the signature is over. */
  readonly input: Uint8Array;
  readonly signature: Uint8Array;
}

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/;
/** `{` in Base64: a header is an object, and no event begins so. */
const FIRST = 0x65;

/** Known by its form, since MQTT 3.1.1 has no content type. Null: it has another form. */
export function jwsIn({ payload }: Pick<Delivery, "payload">): Jws | null {
  if (payload[0] !== FIRST) return null;
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("latin1");
  const [, header = "", body = "", signature = ""] = COMPACT.exec(text) ?? [];
  const [headerBytes, bodyBytes, signatureBytes] = [exactly(header), exactly(body), exactly(signature)];
  if (headerBytes === null || bodyBytes === null || signatureBytes === null) return null;
  return { header: headerIn(headerBytes), payload: bodyBytes, input: payload.subarray(0, header.length + 1 + body.length), signature: signatureBytes };
}

/** Base64url without any tolerance: what would be written otherwise is none, or one message could be had in several forms. */
function exactly(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64url");
  return text !== "" && bytes.toString("base64url") === text ? bytes : null;
}

function headerIn(bytes: Uint8Array): SignedHeader | null {
  const read = readJson(bytes);
  if (!read.ok || read.faults.length > 0 || !(read.value instanceof Map) || read.value.size !== 4) return null;
  const [alg, typ, kid, topic] = ["alg", "typ", "kid", "topic"].map((name) => read.value instanceof Map && read.value.get(name));
  if (alg !== ALGORITHM || typ !== JWS_TYP || typeof kid !== "string" || !KID.test(kid) || typeof topic !== "string") return null;
  return { kid, topic };
}
