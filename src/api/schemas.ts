import { z } from "zod";
import { problemSchema } from "./problem.ts";

export const PLANT_ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;
export const plantId = z.string().regex(PLANT_ID, "is no plant id").describe("Letters, digits and _ . : -, at most 64.");
export const decimalText = z
  .string()
  .regex(/^-?(?:0|[1-9]\d{0,33})(?:\.\d{1,34})?$/, "is no decimal")
  .describe("A decimal, kept as the literal text.");
export const unitText = z.string().regex(/^[!-~]{1,64}$/, "is no UCUM unit");
export const quantity = z.strictObject({ value: decimalText, unit: unitText });
export const reason = z.string().min(1).max(1024);
export const instant = z.string();
export const whole = z.string().regex(/^(0|[1-9]\d{0,18})$/, "is no whole number");
export const listLimit = z.coerce.number().int().min(1).max(500).default(100);

export const idempotencyHeaders = z.looseObject({ "idempotency-key": z.string().min(1).max(255).optional(), "if-match": z.string().max(64).optional() });

const problem = (description: string) => ({ description, content: { "application/problem+json": { schema: problemSchema } } });

/** The problems that any route can answer with. */
export const PROBLEMS = {
  400: problem("The request is not valid."),
  404: problem("There is no such thing."),
  413: problem("The body is too large."),
  415: problem("The body is not JSON."),
  500: problem("The service failed."),
  503: problem("It cannot be answered now; try again."),
} as const;

/** What commands answer besides. */
export const COMMAND_PROBLEMS = {
  ...PROBLEMS,
  409: problem("Refused, with the same code and explanation as a refused event."),
  412: problem("The version in If-Match is not the current one."),
  422: problem("The idempotency key was used with another body."),
} as const;

export const json = <S extends z.ZodType>(schema: S, description: string) => ({ description, content: { "application/json": { schema } } });
export const text = (type: string, description: string) => ({ description, content: { [type]: { schema: z.string() } } });

export const page = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), cursor: z.string().nullable().describe("For the next page; null on the last.") });

/** Opaque cursors: a position, readable only to us. */
export const encodeCursor = (parts: readonly (string | number)[]): string => Buffer.from(JSON.stringify(parts)).toString("base64url");

export function decodeCursor(cursor: string): readonly (string | number)[] | null {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    return Array.isArray(parts) && parts.every((part) => typeof part === "string" || (typeof part === "number" && Number.isSafeInteger(part))) ? parts : null;
  } catch {
    return null;
  }
}
