import { hash } from "node:crypto";
import { canonical, type JsonObject } from "./json.ts";

/** The rule by which digests are made; stored with each, since a later rule must not be compared with an earlier one. */
export const DIGEST_VERSION = 1;

/** Attributes that say how an event travelled or is numbered, not what it says. */
const NOT_CONTENT: ReadonlySet<string> = new Set(["epoch", "sequence", "traceparent", "tracestate", "correlationid", "datacontenttype"]);

/**
 * SHA-256 of what an event says: known attributes after defaults and `data`, keys sorted, numbers as written, without numbering, tracing and unknown attributes. The
 * same event in structured and in binary mode has one digest.
 */
export const digestOf = (content: JsonObject): string => hash("sha256", canonical(content), "hex");

export const isContent = (attribute: string): boolean => !NOT_CONTENT.has(attribute);

export const digestOfBytes = (bytes: Uint8Array): string => hash("sha256", bytes, "hex");
