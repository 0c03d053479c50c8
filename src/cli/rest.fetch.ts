import { setTimeout } from "node:timers/promises";
import { z } from "zod";

/** The service could not be asked, or did not answer as it should; `message` is for people. */
export class Unreachable extends Error {}

export type Answer =
  | { readonly ok: true; readonly status: number; readonly body: unknown }
  | { readonly ok: false; readonly status: number; readonly problem: Problem };

const problemSchema = z.looseObject({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
  errors: z.array(z.looseObject({ pointer: z.string().optional(), detail: z.string().optional() })).optional(),
});
export type Problem = z.infer<typeof problemSchema>;

export interface Rest {
  readonly url: string;
  /** Throws Unreachable when there is no answer, or one that is not JSON. */
  ask(method: "GET" | "PUT" | "POST", path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  text(path: string): Promise<{ readonly status: number; readonly text: string; readonly date: string | null }>;
}

/** How often one request is made while the answer is to wait. */
const ASKED_AT_MOST = 10;

/** `token`: an API key or the token of a session; null: nobody is said to ask. */
export function restAt(url: string, token: string | null, timeoutMs = 15_000): Rest {
  const base = url.replace(/\/+$/, "");
  const reach = async (path: string, init: RequestInit): Promise<Response> => {
    const headers = { ...Object(init.headers), ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    try {
      for (let asked = 1; ; asked += 1) {
        const response = await fetch(`${base}${path}`, { ...init, headers, signal: AbortSignal.timeout(timeoutMs) });
        // nothing was done: a plant with a thousand machines is registered no faster than the service lets one caller ask
        if (response.status !== 429 || asked === ASKED_AT_MOST) return response;
        await response.body?.cancel();
        await setTimeout(1000 * Math.min(60, Number(response.headers.get("retry-after") ?? 1) || 1));
      }
    } catch (error) {
      throw new Unreachable(`The service does not answer at ${base} (${cause(error)}). Is it running there? --url names another address.`);
    }
  };
  return {
    url: base,
    async ask(method, path, body, headers) {
      const response = await reach(path, {
        method,
        headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const answer = readJson(text);
      if (response.ok) {
        if (answer === undefined && text !== "") throw new Unreachable(`${base}${path} did not answer with JSON. Is it a Signalbox service?`);
        return { ok: true, status: response.status, body: answer };
      }
      const problem = problemSchema.safeParse(answer);
      return { ok: false, status: response.status, problem: problem.success ? problem.data : { title: `HTTP ${response.status}` } };
    },
    async text(path) {
      const response = await reach(path, {});
      return { status: response.status, text: await response.text(), date: response.headers.get("date") };
    },
  };
}

/** A problem in one line: its code, what it says, and each error with its place. */
export function problemInWords(problem: Problem): string {
  const head = [problem.code, problem.detail ?? problem.title].filter((part) => part !== undefined && part !== "").join(": ");
  const errors = (problem.errors ?? []).map(({ pointer, detail }) => [pointer, detail].filter((part) => part !== undefined && part !== "").join(" "));
  return [head, ...errors].filter((part) => part !== "").join("; ");
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function cause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  const inner = error.cause;
  if (inner instanceof AggregateError && inner.errors[0] instanceof Error) return inner.errors[0].message;
  return inner instanceof Error ? inner.message : error.message;
}
