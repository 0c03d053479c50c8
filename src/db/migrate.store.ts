import { sql } from "kysely";
import pg from "pg";
import { type Db, READER } from "./database.ts";
import { type Migration, MigrationRefused, readMigrations, shippedMigrations } from "./migrations.file.ts";

export { MigrationRefused } from "./migrations.file.ts";

/** The role to which migrations grant; the service connects as it, or as a member of it. */
export const RUNTIME_ROLE = "signalbox_runtime";

export interface MigrateOptions {
  /** Default: the migrations that this version ships. */
  readonly directory?: string;
  /** Creates the runtime role first when it is missing. Any name other than `signalbox_runtime` becomes a member of that role. Not given: the role has to be there. */
  readonly runtime?: { readonly role: string; readonly password: string | null };
  /** Called after each migration is committed. */
  readonly onApplied?: (name: string) => void;
}

export interface Migrated {
  /** Names applied now, in order. */
  readonly applied: readonly string[];
  /** How many were there already. */
  readonly already: number;
}

interface Landed {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

/** Any constant does, as long as it never changes: two versions that migrate at once must wait for each other. */
const LOCK = "7308332046514356";
const LOCK_WAIT_MS = 60_000;

/**
 * Brings a database to this version: forward only, each migration in a transaction of its own, one migrator at a time. Running it again does nothing.
 * Throws `MigrationRefused`, whose message says what to do; what was committed before it stays.
 */
export async function migrate(ownerUrl: string, options: MigrateOptions = {}): Promise<Migrated> {
  const migrations = await readMigrations(options.directory ?? shippedMigrations);
  const client = new pg.Client({ connectionString: ownerUrl, application_name: "signalbox migrate", connectionTimeoutMillis: 10_000, keepAlive: true });
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw new MigrationRefused(`The database could not be reached as its owner: ${reason(error)}. Check DATABASE_OWNER_URL and that the server runs.`, {
      cause: error,
    });
  }
  try {
    // Tables live in public, whatever search path the owner's role has; a schema named like the owner would otherwise take them.
    await client.query("set search_path = public");
    await takeLock(client);
    if (options.runtime !== undefined) await createRuntimeRole(client, options.runtime);
    await requireRuntimeRole(client);
    await requireReaderRole(client);
    await client.query(`create table if not exists migrations (
      number integer primary key check (number >= 1), name text not null unique, sha256 text not null, applied_at timestamptz not null default clock_timestamp())`);
    const { rows } = await client.query<Landed>("select number, name, sha256 from migrations order by number");
    const pending = pendingOf(migrations, rows);
    for (const migration of pending) {
      await apply(client, migration);
      options.onApplied?.(migration.name);
    }
    return { applied: pending.map((migration) => migration.name), already: rows.length };
  } catch (error) {
    if (sqlstate(error) !== "42501") throw error;
    throw new MigrationRefused(
      `The role in DATABASE_OWNER_URL may not change this database: ${reason(error)}. Connect as the role that owns it, or have an administrator run: ALTER DATABASE … OWNER TO …`,
      { cause: error },
    );
  } finally {
    // Ends the session and with it the lock.
    await client.end().catch(() => undefined);
  }
}

/** For a start without the owner's rights: throws `MigrationRefused` unless the database is exactly at this version. */
export async function assertMigrated(db: Db, directory: string = shippedMigrations): Promise<void> {
  const migrations = await readMigrations(directory);
  const there = await sql<{ there: boolean }>`select to_regclass('public.migrations') is not null as there`.execute(db);
  if (there.rows[0]?.there !== true)
    throw new MigrationRefused("The database has no Signalbox tables yet. Set DATABASE_OWNER_URL and run: npx signalbox migrate");
  const { rows } = await sql<Landed>`select number, name, sha256 from public.migrations order by number`.execute(db);
  const pending = pendingOf(migrations, rows);
  if (pending.length > 0) {
    throw new MigrationRefused(
      `The database lacks ${pending.map((migration) => migration.name).join(", ")}. Set DATABASE_OWNER_URL and run: npx signalbox migrate`,
    );
  }
}

/** What is still to be applied; refuses a history that is not the beginning of ours. Pure. */
export function pendingOf(migrations: readonly Migration[], landed: readonly Landed[]): readonly Migration[] {
  landed.forEach((row, index) => {
    const ours = migrations[index];
    if (row.number !== index + 1) {
      throw new MigrationRefused(
        `The database says that migration ${row.name} was applied, and not the one numbered ${index + 1}. Its table migrations was changed by hand: restore the missing row from a backup.`,
      );
    }
    if (ours === undefined) {
      throw new MigrationRefused(
        `The database has migration ${row.name}, which this version does not know: a newer Signalbox was here. Start that version; going back needs a restore.`,
      );
    }
    if (row.name !== ours.name || row.sha256 !== ours.sha256) {
      throw new MigrationRefused(
        `Migration ${row.name} was applied with other content than ${ours.name} has now (${row.sha256.slice(0, 12)}, now ${ours.sha256.slice(0, 12)}). A landed migration never changes: ` +
          "restore the file from the release, and put the change into a new migration.",
      );
    }
  });
  return migrations.slice(landed.length);
}

async function takeLock(client: pg.Client): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_WAIT_MS}`);
  try {
    await client.query("select pg_advisory_lock($1)", [LOCK]);
  } catch (error) {
    if (sqlstate(error) !== "55P03") throw error;
    throw new MigrationRefused(
      `Another migrator has held the lock for ${LOCK_WAIT_MS / 1000} s. Wait until it has finished, or end its session ("signalbox migrate" in pg_stat_activity), then try again.`,
      {
        cause: error,
      },
    );
  }
}

async function createRuntimeRole(client: pg.Client, runtime: { readonly role: string; readonly password: string | null }): Promise<void> {
  const attributes = "nosuperuser nocreatedb nocreaterole noreplication nobypassrls";
  const withPassword = runtime.password === null ? "" : ` password ${client.escapeLiteral(runtime.password)}`;
  try {
    if (!(await roleExists(client, RUNTIME_ROLE))) {
      await client.query(`create role ${RUNTIME_ROLE} ${attributes} ${runtime.role === RUNTIME_ROLE ? `login${withPassword}` : "nologin"}`);
    }
    if (!(await roleExists(client, runtime.role))) {
      await client.query(`create role ${client.escapeIdentifier(runtime.role)} ${attributes} login${withPassword} in role ${RUNTIME_ROLE}`);
    }
  } catch (error) {
    if (sqlstate(error) !== "42501") throw error;
    throw new MigrationRefused(
      `The role ${runtime.role} does not exist and the owner may not create roles. Have an administrator run: CREATE ROLE ${RUNTIME_ROLE} LOGIN NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD '…'`,
      { cause: error },
    );
  }
}

async function requireRuntimeRole(client: pg.Client): Promise<void> {
  if (await roleExists(client, RUNTIME_ROLE)) return;
  throw new MigrationRefused(
    `The role ${RUNTIME_ROLE}, to which the migrations grant, does not exist. Set DATABASE_URL to a URL with that user, or have an administrator run: CREATE ROLE ${RUNTIME_ROLE} LOGIN NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD '…'`,
  );
}

/** The role as which is read for others (migration 0016); the runtime role takes it on. */
async function requireReaderRole(client: pg.Client): Promise<void> {
  const missing = async (): Promise<readonly string[]> => {
    if (!(await roleExists(client, READER))) return [`CREATE ROLE ${READER} NOLOGIN`, `GRANT ${READER} TO ${RUNTIME_ROLE}`];
    const { rows } = await client.query<{ member: boolean }>("select pg_has_role($1, $2, 'MEMBER') as member", [RUNTIME_ROLE, READER]);
    return rows[0]?.member === true ? [] : [`GRANT ${READER} TO ${RUNTIME_ROLE}`];
  };
  const statements = await missing();
  try {
    for (const statement of statements) await client.query(statement);
  } catch (error) {
    if (sqlstate(error) !== "42501") throw error;
    throw new MigrationRefused(
      `The role ${READER}, as which is read for whoever asks over REST, is not there for ${RUNTIME_ROLE}. Have an administrator run: ${statements.join("; ")}`,
      { cause: error },
    );
  }
}

async function roleExists(client: pg.Client, role: string): Promise<boolean> {
  const { rowCount } = await client.query("select from pg_roles where rolname = $1", [role]);
  return rowCount === 1;
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("begin");
  try {
    // A migration that waits for a lock makes every later query wait behind it; better to fail and be tried again.
    await client.query("set local lock_timeout = '10s'");
    await client.query("set local statement_timeout = 0");
    const before = await transactionId(client);
    await client.query(migration.sql);
    if ((await transactionId(client)) !== before)
      throw new Error("it contains BEGIN, COMMIT or ROLLBACK of its own; take them out, each migration is one transaction");
    await client.query("insert into migrations (number, name, sha256) values ($1, $2, $3)", [migration.number, migration.name, migration.sha256]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    const advice =
      sqlstate(error) === "55P03"
        ? "Something holds a table that it changes: stop the service (or end the long transaction in pg_stat_activity) and run it again."
        : "The earlier ones stay applied; repair the cause and run it again.";
    throw new MigrationRefused(`Migration ${migration.name} failed${lineOf(error, migration.sql)}, and nothing of it was kept: ${reason(error)}. ${advice}`, {
      cause: error,
    });
  }
}

async function transactionId(client: pg.Client): Promise<string | undefined> {
  const { rows } = await client.query<{ id: string }>("select pg_current_xact_id()::text as id");
  return rows[0]?.id;
}

function lineOf(error: unknown, text: string): string {
  const position = error instanceof pg.DatabaseError && error.position !== undefined ? Number(error.position) : 0;
  return position > 0 ? ` at line ${text.slice(0, position).split("\n").length}` : "";
}

const sqlstate = (error: unknown): string | null => (error instanceof pg.DatabaseError ? (error.code ?? null) : null);
const reason = (error: unknown): string => (error instanceof Error ? error.message || String(("code" in error && error.code) ?? error.name) : String(error));
