import { STATUS_CODES } from "node:http";
import { z } from "zod";
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
});

export type ProblemDocument = z.infer<typeof problemSchema>;

/** Thrown by routes, answered by the one error handler. */
export class Problem extends Error {
  readonly document: ProblemDocument;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    detail: string,
    more: Partial<Pick<ProblemDocument, "errors" | "explanation" | "position" | "remedy">> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.document = { type: `/problems/${code}`, title: STATUS_CODES[status] ?? "Error", status, detail, code, ...more };
    this.headers = headers;
  }
}

export const notFound = (what: string): Problem => new Problem(404, "NOT_FOUND", `There is no ${what}.`);
export const invalid = (detail: string, errors: readonly { pointer: string; detail: string }[]): Problem =>
  new Problem(400, "REQUEST_INVALID", detail, { errors: [...errors] });
export const unavailable = (detail: string): Problem => new Problem(503, "SYS_UNAVAILABLE", detail, {}, { "retry-after": "2" });
