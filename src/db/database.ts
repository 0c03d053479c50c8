import { Kysely, PostgresDialect, type Transaction } from "kysely";
import pg from "pg";
import { columnTypes } from "./column-types.ts";
import type { Tables } from "./schema.ts";

export { RolledBack } from "./rolled-back.ts";

export type Db = Kysely<Tables>;
export type Trx = Transaction<Tables>;

export interface DatabaseOptions {
  /** Connections at most. */
  readonly max: number;
  readonly applicationName: string;
  /** Called when a connection that nobody uses breaks; the pool replaces it. */
  readonly onLost?: (error: Error) => void;
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
  pool.on("error", (error) => options.onLost?.(error));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return { db, close: () => db.destroy() };
}
