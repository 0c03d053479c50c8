import { createHash } from "node:crypto";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { asking, sitesSetting } from "./asking.ts";
import { columnTypes } from "./column-types.ts";
import { copyOut, isCopy } from "./copy-out.ts";
import type { Tables } from "./schema.ts";

export { RolledBack } from "./rolled-back.ts";

export type Db = Kysely<Tables>;

export interface DatabaseOptions {
  /** Connections at most. */
  readonly max: number;
  readonly applicationName: string;
  /** How long an answer may take before the connection counts as broken; default 30 s, longer than the server lets a statement run. */
  readonly answerMs?: number;
  /** Called when a connection that nobody uses breaks; the pool replaces it. */
  readonly onLost?: (error: Error) => void;
  /** Sees only the sites of whoever asks (`asking`), and changes nothing. */
  readonly forOthers?: boolean;
  /**
   * Asks the same few statements all the time, and finds each row by its key: a plan that was made once serves every time. Planned anew for each of its values, as Postgres would have it, a statement on partitions
   * costs an event that comes alone more than it takes to run. So a connection that nobody uses is kept for longer: a new one has no plans.
   */
  readonly plansOnce?: boolean;
}

const SETTINGS = [
  "TimeZone=UTC",
  "DateStyle=ISO",
  "statement_timeout=25000",
  "lock_timeout=10000",
  "idle_in_transaction_session_timeout=30000",
  // compiling a statement takes longer than any of these runs
  "jit=off",
];

/**
 * Where a plan serves every time. What a statement gathers is sorted, never hashed: a table for hashes is made as large as it might have to be before the first row comes, and of what is found in a list Postgres
 * believes that it is thousands. For an event that comes alone that is megabytes to be had and cleared, which takes seven times as long as all the rest of reading its world.
 * And where an index finds the rows it is taken: while a table is small Postgres would rather go through all of it, and goes on so when it has grown, for the plan stays.
 */
export const PLANS_ONCE = ["plan_cache_mode=force_generic_plan", "enable_hashagg=off", "enable_seqscan=off"];

/** Statements longer than this, and those that begin with `FIXED`, have fixed texts and cost more to plan than to run: each connection plans them once. */
const LONG = 3_000;
export const FIXED = "/* fixed */";

const names = new Map<string, string>();
/** Those that are asked all the time are among the first. */
const NAMES = 100;

/** A long text that is the same each time is not gone through each time. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = createHash("sha256").update(text).digest("base64url");
  if (names.size < NAMES) names.set(text, name);
  return name;
}

/** invalid_sql_statement_name: what was prepared on a connection is not there any more. The driver takes it for prepared for as long as the connection lasts. */
const FORGOTTEN = "26000";

const isSpoilt = (error: unknown): boolean =>
  error instanceof Error && (error.message === "Query read timeout" || ("code" in error && error.code === FORGOTTEN));

/**
 * Long statements are prepared by name, copies are read as they come; and a connection is ended whose answer did not come in time, since the pool would hand it out again with the statement still
 * running on it, or on which what was prepared is gone: nothing that is would succeed on it again.
 */
function attend(client: pg.PoolClient): void {
  const query: (...args: unknown[]) => unknown = client.query.bind(client);
  const asked = (first: unknown, values: unknown, ...rest: unknown[]): unknown => {
    if (typeof first !== "string") return query(first, values, ...rest);
    if (isCopy(first)) return copyOut(first, query);
    return (first.length > LONG || first.startsWith(FIXED)) && Array.isArray(values)
      ? query({ name: nameOf(first), text: first, values }, ...rest)
      : query(first, values, ...rest);
  };
  Object.assign(client, {
    query: (...args: [unknown, unknown, ...unknown[]]) => {
      const answer = asked(...args);
      if (answer instanceof Promise) {
        answer.catch((error: unknown) => {
          if (isSpoilt(error) && client instanceof pg.Client) void client.end().catch(() => {});
        });
      }
      return answer;
    },
  });
}

/** Who reads for others sees no more than they may: rows of their sites alone, by the database's own policies (migration 0016). */
export const READER = "signalbox_reader";

/**
 * A connection that sees what whoever asks may see, from when it is taken until it is given back: one transaction as the reader, for their sites. Who takes it by themselves may still begin a
 * transaction on it; it is this one.
 */
async function asReader(client: pg.PoolClient): Promise<pg.PoolClient> {
  const sites = sitesSetting(asking.getStore());
  try {
    await client.query(`begin; set local role ${READER}; set local signalbox.sites = ${pg.escapeLiteral(sites)}`);
  } catch (error) {
    // whoever asked never gets it, and so cannot give it back
    client.release(true);
    throw error;
  }
  let open = true;
  const query: (...args: unknown[]) => unknown = client.query.bind(client);
  return new Proxy(client, {
    get(target, name) {
      if (name === "query")
        return (text: unknown, ...rest: unknown[]) => {
          if (text === "begin") return query("select", ...rest);
          if (text === "commit" || text === "rollback") open = false;
          return query(typeof text === "string" && open ? text.replace(/^start transaction/, "set transaction") : text, ...rest);
        };
      if (name === "release")
        return (broken?: Error | boolean) => {
          if (!open) return target.release(broken);
          void target.query("commit").then(
            () => target.release(broken),
            () => target.release(true),
          );
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Opens a pool. Connecting happens with the first query; a database that is away makes queries fail, never the process. */
export function openDatabase(url: string, options: DatabaseOptions): { readonly db: Db; close(): Promise<void> } {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5_000,
    query_timeout: options.answerMs ?? 30_000,
    keepAlive: true,
    types: columnTypes,
    idleTimeoutMillis: options.plansOnce === true ? 300_000 : 10_000,
    options: [...SETTINGS, ...(options.plansOnce === true ? PLANS_ONCE : [])].map((setting) => `-c ${setting}`).join(" "),
  });
  pool.on("connect", attend);
  // a connection may also end while a transaction holds it and asks nothing; without a listener that would end the process. The next statement fails and tells.
  pool.on("connect", (client) => client.on("error", () => {}));
  pool.on("error", (error) => options.onLost?.(error));
  const taken = options.forOthers === true ? { connect: async () => asReader(await pool.connect()), end: () => pool.end() } : pool;
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: taken }) });
  return { db, close: () => db.destroy() };
}
