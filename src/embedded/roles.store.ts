import pg from "pg";
import { READER } from "../db/database.ts";

export const OWNER = "signalbox_owner";
export const RUNTIME = "signalbox_runtime";
export const DATABASE = "signalbox";

export interface Passwords {
  readonly superuser: string;
  readonly owner: string;
  readonly runtime: string;
}

/** The two roles and the database, as they would be on any server. */
export async function ensureRoles(superUrl: string, secrets: Passwords): Promise<void> {
  const client = new pg.Client({ connectionString: superUrl });
  // a server that dies meanwhile fails what is asked of it; that alone is told
  client.on("error", () => {});
  await client.connect();
  try {
    for (const [role, password] of [
      [OWNER, secrets.owner],
      [RUNTIME, secrets.runtime],
    ] as const) {
      const { rowCount } = await client.query("select 1 from pg_roles where rolname = $1", [role]);
      const attributes = `login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password ${client.escapeLiteral(password)}`;
      await client.query(`${rowCount === 0 ? "create" : "alter"} role ${role} ${attributes}`);
    }
    const reader = await client.query("select 1 from pg_roles where rolname = $1", [READER]);
    if (reader.rowCount === 0) await client.query(`create role ${READER} nologin`);
    await client.query(`grant ${READER} to ${RUNTIME}`);
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE} owner ${OWNER}`);
  } finally {
    await client.end();
  }
}
