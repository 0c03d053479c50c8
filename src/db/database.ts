import { createHash } from "node:crypto";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { columnTypes } from "./column-types.ts";
import type { Tables } from "./schema.ts";

export { RolledBack } from "./rolled-back.ts";

export type Db = Kysely<Tables>;

export interface DatabaseOptions {
  /** Connections at most. */
  readonly max: number;
  readonly applicationName: string;
  /** Called when a connection that nobody uses breaks; the pool replaces it. */
  readonly onLost?: (error: Error) => void;
}

/** Statements longer than this have fixed texts and cost more to plan than to run: each connection plans them once. */
const LONG = 3_000;

function prepareLongStatements(client: pg.ClientBase): void {
  const query: (...args: unknown[]) => unknown = client.query.bind(client);
  Object.assign(client, {
    query: (first: unknown, values: unknown, ...rest: unknown[]) =>
      typeof first === "string" && first.length > LONG && Array.isArray(values)
        ? query({ name: createHash("sha256").update(first).digest("base64url"), text: first, values }, ...rest)
        : query(first, values, ...rest),
  });
}

/** Opens a pool. Connecting happens with the first query; a database that is away makes queries fail, never the process. */
export function openDatabase(url: string, options: DatabaseOptions): { readonly db: Db; close(): Promise<void> } {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
    keepAlive: true,
    types: columnTypes,
    options: "-c TimeZone=UTC -c DateStyle=ISO -c statement_timeout=25000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000",
  });
  pool.on("connect", prepareLongStatements);
  // a connection may also end while a transaction holds it and asks nothing; without a listener that would end the process. The next statement fails and tells.
  pool.on("connect", (client) => client.on("error", () => {}));
  pool.on("error", (error) => options.onLost?.(error));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return { db, close: () => db.destroy() };
}
