import { z } from "zod";
import { invalid, problemSchema } from "./problem.ts";

export const PLANT_ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;
export const plantId = z.string().regex(PLANT_ID, "is no plant id").describe("Letters, digits and _ . : -, at most 64.");
export const decimalText = z
  .string()
  .regex(/^-?(?:0|[1-9]\d{0,33})(?:\.\d{1,34})?$/, "is no decimal")
  .describe("A decimal, kept as the literal text.");
export const unitText = z.string().regex(/^[!-~]{1,64}$/, "is no UCUM unit");
export const quantity = z.strictObject({ value: decimalText, unit: unitText });
/** What a person says: not empty, nor made of nothing that is seen. */
export const saying = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/[\p{L}\p{N}\p{P}\p{S}]/u, "says nothing");
export const reason = saying(1_024);
/** The id of a record in a system beside this one: a deviation, a change. */
export const linked = saying(256);
export const whole = z
  .string()
  .regex(/^(0|[1-9]\d{0,18})$/, "is no whole number")
  .refine((text) => !/^\d{1,19}$/.test(text) || BigInt(text) < 2n ** 63n, "is beyond 2^63-1");
/** A whole number, out of an address in digits: what else JavaScript takes for a number (0x10, 1e3, true, nothing at all) is none. */
export const wholeNumber = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(
    (value) => (typeof value === "number" || (typeof value === "string" && /^(?:0|[1-9]\d{0,15})$/.test(value)) ? value : Number.NaN),
    z.coerce.number().int().min(least).max(most),
  );
export const positionNumber = wholeNumber(0);

/** A timestamp with its offset, turned to UTC with all its decimals: a Date alone would lose the microseconds by which lists are ordered. */
export const instantText = z.iso.datetime({ offset: true }).transform((text, context) => {
  const fraction = /\.(\d{1,6})/.exec(text)?.[1] ?? "";
  const whole = new Date(Date.parse(text.replace(/\.\d+/, "")));
  const utc = Number.isNaN(whole.getTime()) ? "" : `${whole.toISOString().slice(0, -5)}${fraction === "" ? "" : `.${fraction}`}Z`;
  if (!/^(?!0000)\d{4}-/.test(utc)) context.addIssue({ code: "custom", message: "lies outside the years 1 to 9999" });
  return utc;
});
export const listLimit = wholeNumber(1, 500).default(100).describe("Without it, 100.");

/** Why something is registered or set; it stays on record with what was changed. */
export const reasonHeaders = z.looseObject({ reason: reason.optional() });

export const idempotencyHeaders = z.looseObject({ "idempotency-key": z.string().min(1).max(255).optional(), "if-match": z.string().max(64).optional() });

/** Of what is put on record without being a command. */
export const actHeaders = z.looseObject({ ...reasonHeaders.shape, "idempotency-key": idempotencyHeaders.shape["idempotency-key"] });

const problem = (description: string) => ({ description, content: { "application/problem+json": { schema: problemSchema } } });

/** The problems that any route can answer with. */
export const READ_PROBLEMS = {
  400: problem("The request is not valid."),
  401: problem("Nobody knows who asks."),
  403: problem("Whoever asks may not do this."),
  404: problem("There is no such thing."),
  429: problem("The caller asks more often than it may; Retry-After says when to ask again."),
  500: problem("The service failed."),
  503: problem("It cannot be answered now; try again."),
} as const;

/** What reading one thing answers besides. */
export const GONE = { 410: problem("It was archived and disposed of; the entry that tells of it is named.") } as const;

/** What a feed answers besides to whoever comes from before a restore. */
export const FEED_PROBLEMS = {
  ...READ_PROBLEMS,
  410: problem("The record was restored, and what was read last stands no more; or what is asked for was disposed of."),
} as const;

export const generationNumber = wholeNumber(1).describe(
  "The generation of what was read last. Whoever names it is told when a restore has cut off what follows.",
);

/** What confirming answers besides. */
export const CONFIRMATION_PROBLEMS = {
  ...FEED_PROBLEMS,
  409: problem("Refused, with a code: it goes back, or too far."),
  413: problem("The body is too large."),
  415: problem("The body is not JSON."),
} as const;

/** What proofs answer besides. */
export const PROOF_PROBLEMS = { ...READ_PROBLEMS, 409: problem("It cannot be proven: it is not signed yet, or it was altered.") } as const;

/** What routes that take a body answer besides. */
export const BODY_PROBLEMS = {
  ...READ_PROBLEMS,
  413: problem("The body is too large."),
  415: problem("The body is not JSON."),
} as const;

/** What publishing answers besides. */
export const REGISTRY_PROBLEMS = { ...BODY_PROBLEMS, 409: problem("Refused, with a code: what is published or in use does not change.") } as const;

const KEY_REUSED = problem("The idempotency key was used with another request.");

/** What exports and reviews answer besides. */
export const ACT_PROBLEMS = { ...BODY_PROBLEMS, 409: problem("Refused, with a code."), 422: KEY_REUSED } as const;

/** What commands answer besides. */
export const COMMAND_PROBLEMS = {
  ...BODY_PROBLEMS,
  409: problem("Refused, with the same code and explanation as a refused event."),
  412: problem("The version in If-Match is not the current one."),
  422: KEY_REUSED,
} as const;

export const json = <S extends z.ZodType>(schema: S, description: string) => ({ description, content: { "application/json": { schema } } });
export const text = (type: string, description: string) => ({ description, content: { [type]: { schema: z.string() } } });

export const page = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), cursor: z.string().nullable().describe("For the next page; null on the last.") });

export const cursorText = z.string().max(512).optional().describe("As an earlier page gave it.");

/** Opaque cursors: where a page ended, readable only to us. */
export const encodeCursor = (parts: readonly (string | number)[]): string => Buffer.from(JSON.stringify(parts)).toString("base64url");

/** Where the page before ended; null: there was none. Throws the problem that an invented cursor is. */
export function decodeCursor<T>(cursor: string | undefined, shape: z.ZodType<T>): T | null {
  if (cursor === undefined) return null;
  try {
    return shape.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch {
    throw invalid("The cursor is none of ours.", [{ pointer: "/cursor", detail: "is no cursor" }]);
  }
}

/** A page out of `limit + 1` rows: whether there is more is seen, not asked. */
export function pageOf<R>(rows: readonly R[], limit: number, at: (last: R) => readonly (string | number)[]): { items: R[]; cursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, cursor: rows.length > limit && last !== undefined ? encodeCursor(at(last)) : null };
}
