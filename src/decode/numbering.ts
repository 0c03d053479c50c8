import { JsonNumber, type JsonObject } from "./json.ts";

/** Takes note of what is wrong with an attribute. */
export type Report = (code: string, name: string, reason: string) => null;

const WHOLE = /^(?:0|[1-9]\d{0,18})$/;
const MOST = 2n ** 63n - 1n;

/** Epoch and sequence, both or none: decimal strings or JSON integers, without leading zeros, up to 2^63-1. */
export function numberIn(attributes: JsonObject, fault: Report): { readonly epoch: bigint; readonly sequence: bigint } | null {
  const epoch = wholeIn(attributes, "epoch", 0n, fault);
  const sequence = wholeIn(attributes, "sequence", 1n, fault);
  if (epoch === "absent" && sequence === "absent") return null;
  if (epoch === "absent") return fault("ENV_MISSING_FIELD", "epoch", "sequence comes with an epoch.");
  if (sequence === "absent") return fault("ENV_MISSING_FIELD", "sequence", "epoch comes with a sequence.");
  return epoch === null || sequence === null ? null : { epoch, sequence };
}

function wholeIn(attributes: JsonObject, name: string, least: bigint, fault: Report): bigint | null | "absent" {
  const value = attributes.get(name);
  if (value === undefined || value === null) return "absent";
  const digits = value instanceof JsonNumber ? value.text : value;
  if (typeof digits !== "string" || !WHOLE.test(digits) || BigInt(digits) > MOST || BigInt(digits) < least) {
    return fault("ENV_INVALID_FIELD", name, `${name} is a whole number from ${least} to 2^63-1, without leading zeros.`);
  }
  return BigInt(digits);
}
