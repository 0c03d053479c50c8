import { hash } from "node:crypto";
import { canonical, type Json } from "./json.ts";

/** The rule by which digests are made; stored with each, since a later rule must not be compared with an earlier one. */
export const DIGEST_VERSION = 1;

/** Attributes that say how an event travelled or is numbered, not what it says. */
const NOT_CONTENT: ReadonlySet<string> = new Set(["epoch", "sequence", "traceparent", "tracestate", "correlationid", "datacontenttype"]);

/**
 * SHA-256 of what an event says: known attributes after defaults and `data`, keys sorted, numbers as written, without numbering, tracing and unknown attributes. The
 * same event in structured and in binary mode has one digest.
 */
export function digestOf(attributes: ReadonlyMap<string, Json>, data: Json): Uint8Array {
  const content = new Map<string, Json>([["data", data]]);
  for (const [name, value] of attributes) if (!NOT_CONTENT.has(name)) content.set(name, value);
  return hash("sha256", canonical(content), "buffer");
}

export const digestOfBytes = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer");
