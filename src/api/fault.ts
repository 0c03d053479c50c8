import { z } from "zod";
import { pointerOf } from "../decode/json.ts";

// What is wrong with a field, in words for whoever sent it. The validator's own sentences are about its types; those that a schema of ours gives say already what is meant.

/** As the validator found it: of each kind of fault only some are there. */
const found = z.looseObject({
  code: z.string(),
  message: z.string(),
  expected: z.string().optional(),
  origin: z.string().optional(),
  minimum: z.union([z.number(), z.bigint()]).optional(),
  maximum: z.union([z.number(), z.bigint()]).optional(),
  values: z.array(z.unknown()).optional(),
  format: z.string().optional(),
  errors: z.array(z.array(z.unknown())).optional(),
  issues: z.array(z.unknown()).optional(),
});

/** The validator's own sentences begin so. */
const ITS_OWN = /^(?:Invalid|Too |Unrecognized|Expected)/;

export function faultInWords(fault: unknown): string {
  const read = found.safeParse(fault);
  if (!read.success) return NOT_VALID;
  const { code, message, expected = "", origin = "", minimum, maximum, values, format, errors, issues } = read.data;
  if (!ITS_OWN.test(message)) return message;
  switch (code) {
    case "invalid_type":
      return message.endsWith("received undefined") ? "is missing" : (WRONG_TYPE[message.endsWith("received NaN") ? "int" : expected] ?? NOT_VALID);
    case "too_small":
      if (minimum === 1 && COUNTED[origin] !== undefined) return "is empty";
      return COUNTED[origin] === undefined ? `is less than ${minimum}` : `has fewer than ${minimum} ${COUNTED[origin]}`;
    case "too_big":
      return COUNTED[origin] === undefined ? `is more than ${maximum}` : `has more than ${maximum} ${COUNTED[origin]}`;
    case "invalid_value":
      return `is not ${(values?.length ?? 0) > 1 ? "one of " : ""}${(values ?? []).map(String).join(", ")}`;
    case "invalid_format":
      return format === "datetime" ? "is no time with its offset, such as 2026-11-25T08:00:00Z" : NOT_VALID;
    case "invalid_union":
      return [...new Set((errors ?? []).flatMap(([first]) => (first === undefined ? [] : faultInWords(first))))].join(", and ") || NOT_VALID;
    case "invalid_key":
      return faultInWords(issues?.[0]);
    default:
      return NOT_VALID;
  }
}

const NOT_VALID = "is not valid";
const WRONG_TYPE: Readonly<Record<string, string>> = {
  string: "is no text",
  int: "is no whole number",
  number: "is no number",
  boolean: "is neither true nor false",
  object: "is no object",
  record: "is no object",
  array: "is no list",
};
/** Of what a length is counted in. */
const COUNTED: Readonly<Record<string, string>> = { string: "characters", array: "items" };

const issueShape = z.looseObject({ code: z.string(), path: z.array(z.union([z.string(), z.number()])), keys: z.array(z.string()).optional() });

/** Where content that is checked by a handler itself was not met, by JSON pointer; what nobody knows is named one by one. */
export function faultsAt(issue: unknown): readonly { readonly pointer: string; readonly detail: string }[] {
  const read = issueShape.safeParse(issue);
  if (!read.success) return [{ pointer: "", detail: NOT_VALID }];
  const { code, path, keys = [] } = read.data;
  if (code === "unrecognized_keys") return keys.map((key) => ({ pointer: pointerOf([...path, key]), detail: "is not known here" }));
  return [{ pointer: pointerOf(path), detail: faultInWords(issue) }];
}
