import { RolledBack } from "./rolled-back.ts";

export type FailureKind = "moved" | "fenced" | "unstorable" | "everyone" | "deployment";

/**
 * Whose fault a failed database call is. `moved`: the world is not as the judge read it, judge again; `fenced`: another owner has the shard; `unstorable`: one row's
 * own fault, find it by halving; `everyone`: the database is away or out of something; `deployment`: schema or rights are wrong.
 */
export interface Failure {
  readonly kind: FailureKind;
  /** The statement may have been committed although its reply was lost: ask before anything is decided again. */
  readonly ambiguous: boolean;
  /** SQLSTATE, or the name that the network gives. */
  readonly code: string | null;
  /** false: nobody foresaw this. It counts as everyone's, since then nothing is acknowledged and nothing lost. */
  readonly known: boolean;
}

const KINDS: readonly (readonly [RegExp, FailureKind])[] = [
  [/^SB001$/, "moved"],
  [/^SB002$/, "fenced"],
  [/^SB003$/, "deployment"],
  [/^SB004$/, "everyone"],
  [/^(23505|23P01|23503|55P03|40...)$/, "moved"],
  [/^(22...|23502|23514|54...)$/, "unstorable"],
  [/^(08|53|57|58|28)...$|^25006$/, "everyone"],
  [/^(42|3D|3F|0A)...$/, "deployment"],
];

/** The connection ended, or may have, after the statement was sent. 40003: statement completion unknown. */
const AMBIGUOUS_STATES = /^(08...|57P0[1-5]|40003)$/;
const NETWORK = new Set(["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"]);
const LOST = ["Connection terminated unexpectedly", "Connection terminated", "Query read timeout"];
const NEVER_SENT = [
  "timeout exceeded when trying to connect",
  "Connection terminated due to connection timeout",
  "Client has encountered a connection error and is not queryable",
];

export function failure(thrown: unknown): Failure {
  if (thrown instanceof RolledBack) return { kind: "moved", ambiguous: false, code: null, known: true };
  const code = textOf(thrown, "code");
  if (code !== null && NETWORK.has(code)) {
    const connecting = /^(connect|getaddrinfo)/.test(textOf(thrown, "syscall") ?? "");
    return { kind: "everyone", ambiguous: !connecting && code !== "ECONNREFUSED" && code !== "ENOTFOUND" && code !== "EAI_AGAIN", code, known: true };
  }
  if (code !== null && thrown instanceof Error && /^[0-9A-Z]{5}$/.test(code)) {
    const kind = KINDS.find(([pattern]) => pattern.test(code))?.[1];
    return { kind: kind ?? "everyone", ambiguous: AMBIGUOUS_STATES.test(code), code, known: kind !== undefined };
  }
  const message = thrown instanceof Error ? thrown.message : "";
  if (NEVER_SENT.includes(message)) return { kind: "everyone", ambiguous: false, code: null, known: true };
  if (LOST.includes(message)) return { kind: "everyone", ambiguous: true, code: null, known: true };
  return { kind: "everyone", ambiguous: true, code: null, known: false };
}

function textOf(thrown: unknown, name: "code" | "syscall"): string | null {
  if (typeof thrown !== "object" || thrown === null || !(name in thrown)) return null;
  const value: unknown = Reflect.get(thrown, name);
  return typeof value === "string" ? value : null;
}
