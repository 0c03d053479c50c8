import { z } from "zod";
import type { Disposal } from "../retention/disposed.store.ts";
import { REQUEST_CODES } from "./codes.ts";
import { explanationSchema } from "./message-schemas.ts";

/** RFC 9457. A refused event is a resource; a problem is about the request. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().optional(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  explanation: explanationSchema.optional(),
  position: z.int().optional().describe("Where a refused command stands on record."),
  remedy: z.string().optional(),
  generation: z.int().optional().describe("The generation that the record is of now."),
  disposal: z.int().optional().describe("Of what was disposed of: the position of the entry that tells of it."),
  conflicts: z
    .array(z.object({ code: z.string(), sentence: z.string() }))
    .optional()
    .describe("Of a party: what speaks against it."),
  after: z
    .int()
    .optional()
    .describe(
      "After a restore: up to here everything stands as it was; read on from here. Of a confirmation: up to here it is confirmed, or outcomes are handed out.",
    ),
});

export type ProblemDocument = z.infer<typeof problemSchema>;

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** Thrown by routes, answered by the one error handler. */
export class Problem extends Error {
  readonly document: ProblemDocument;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    /** A code of the rooms, or one of REQUEST_CODES; both are served at /v1/codes. */
    code: string,
    detail: string,
    more: Partial<Pick<ProblemDocument, "errors" | "explanation" | "position" | "remedy" | "generation" | "after" | "disposal" | "conflicts">> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.document = { type: `/problems/${code}`, title: TITLES[status] ?? "Error", status, detail, code, ...more };
    this.headers = headers;
  }
}

export const stale = (version: number): Problem => new Problem(412, "REQUEST_STALE", `The current version is ${version}.`, {}, { etag: `"${version}"` });
export const notFound = (what: string): Problem => new Problem(404, "NOT_FOUND", `There is no ${what}.`);
export const invalid = (detail: string, errors: readonly { pointer: string; detail: string }[]): Problem =>
  new Problem(400, "REQUEST_INVALID", detail, { errors: [...errors] });
export const gone = (generation: number, after: number): Problem =>
  new Problem(
    410,
    "REQUEST_RESTORED",
    `The record was restored and is of generation ${generation} now. Of what came before, everything up to ${after} stands; what was given behind it does not.`,
    { generation, after },
  );
export const keyReused = (): Problem => new Problem(422, "REQUEST_KEY_REUSED", "The idempotency key was used before with another request.");
/** Nothing was done; Retry-After comes with it. */
export const tooMany = (requestsPerSecond: number): Problem =>
  new Problem(429, "REQUEST_TOO_MANY", `More than ${requestsPerSecond} requests a second came from one caller. Nothing was done.`, {
    remedy: REQUEST_CODES.REQUEST_TOO_MANY.remedy,
  });
export const tooManyStreams = (most: number): Problem =>
  new Problem(
    429,
    "REQUEST_TOO_MANY",
    `One caller follows the outcomes ${most} times at once, and no more often.`,
    { remedy: "End a stream before you open another one." },
    { "retry-after": "10" },
  );
/** Said alike whoever is meant, known or not. */
export const tooManySignIns = (seconds: number): Problem =>
  new Problem(
    429,
    "REQUEST_TOO_MANY",
    "More was tried than one caller, or anybody for one account, may try in a minute. Nothing was done.",
    {
      remedy: REQUEST_CODES.REQUEST_TOO_MANY.remedy,
    },
    { "retry-after": String(seconds) },
  );
/** `what`: what is asked for, in words. */
export const disposedOf = (what: string, { site, disposal, by, at, reason }: Disposal): Problem =>
  new Problem(410, "RECORD_DISPOSED", `At site ${site} ${what} was archived and disposed of by ${by} at ${at} (entry ${disposal}): ${reason}`, {
    disposal,
    remedy: REQUEST_CODES.RECORD_DISPOSED.remedy,
  });
/** The answer may be lost though the act was done: only the same key again tells. */
export const unavailable = (): Problem =>
  new Problem(
    503,
    "SYS_UNAVAILABLE",
    "The service cannot answer this now. Ask again with the same Idempotency-Key: what was done is then answered, never done twice.",
    {},
    { "retry-after": "2" },
  );
/** Nothing was done here; the owner is named by host and process, as operations know it. */
export const standingBy = (owner: string | null): Problem =>
  new Problem(
    503,
    "SYS_STANDING_BY",
    owner === null ? "This replica stands by, and no owner is known at the moment." : `This replica stands by; the site is owned by ${owner}.`,
    {
      remedy: owner === null ? "Ask again in a moment." : `Ask ${owner}, or ask again here: this replica answers as soon as it has taken over.`,
    },
    { "retry-after": "2" },
  );
