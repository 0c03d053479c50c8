import { hash } from "node:crypto";
import { canonical, type Json, JsonNumber, type JsonObject } from "./json.ts";

/** The rule by which digests are made; stored with each, since a later rule must not be compared with an earlier one. */
export const DIGEST_VERSION = 1;

/** What an event says, sorted, as JSON spells the names: known attributes without those of how it travelled or is numbered, and its data. */
const CONTENT = [
  "attempt",
  "batchid",
  "causationid",
  "data",
  "dataschema",
  "evidenceref",
  "id",
  "occurred",
  "reciperevision",
  "source",
  "specversion",
  "stepid",
  "subject",
  "time",
  "timesource",
  "type",
].map((name) => ({ name, spelled: `${JSON.stringify(name)}:` }));

/**
 * SHA-256 of what an event says: known attributes after defaults and `data`, keys sorted, numbers as written, without numbering, tracing and unknown attributes. The
 * same event in structured and in binary mode has one digest.
 */
export function digestOf(attributes: JsonObject, { occurred, data }: { readonly occurred: boolean; readonly data: Json }): string {
  let text = "";
  for (const { name, spelled } of CONTENT) {
    const value = name === "data" ? data : name === "occurred" ? occurred : attributes.get(name);
    if (value !== undefined) text += `${text === "" ? "" : ","}${spelled}${canonical(value instanceof JsonNumber ? value.text : value)}`;
  }
  return hash("sha256", `{${text}}`, "hex");
}

export const digestOfBytes = (bytes: Uint8Array): string => hash("sha256", bytes, "hex");
