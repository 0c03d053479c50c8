import { sql } from "kysely";
import type { Db } from "./database.ts";

/** The database works, but a promise could not rest on it. The message names every problem and what to do. */
export class DatabaseUnfit extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "DatabaseUnfit";
    this.problems = problems;
  }
}

/**
 * The record is append-only for the service itself, by grant and by trigger. Both hold only for a role that can neither switch triggers off nor grant itself more:
 * not a superuser, not the tables' owner nor a member of it, and without the right to create anything beside them.
 */
export async function assertRuntimeRole(db: Db): Promise<void> {
  const { rows } = await sql<{ role: string; superuser: boolean; bypass: boolean; owner: boolean; creates: boolean; granted: boolean; reads: boolean }>`
    select current_user::text as role,
      exists (select from pg_roles where rolname in (current_user, session_user) and rolsuper) as superuser,
      exists (select from pg_roles where rolname in (current_user, session_user) and (rolbypassrls or rolcreaterole)) as bypass,
      exists (select from pg_class c where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p', 'v', 'm', 'S') and pg_has_role(session_user, c.relowner, 'MEMBER')
        and c.relname not in (select e.relname from pg_class e join pg_depend d on d.objid = e.oid and d.deptype = 'e')) as owner,
      has_schema_privilege('public', 'create') as creates,
      exists (select from pg_roles where rolname = 'signalbox_reader' and pg_has_role(session_user, oid, 'MEMBER')) as reads,
      coalesce(has_table_privilege(to_regclass('public.migrations'), 'select'), false) as granted`.execute(db);
  const found = rows[0];
  if (found === undefined) throw new Error("the database did not say who we are");
  const problems: string[] = [];
  const use = "DATABASE_URL must name the runtime role signalbox_runtime, or a member of it.";
  if (found.superuser) problems.push(`The service connects as ${found.role}, a superuser, who can change the record unseen. ${use}`);
  else {
    if (found.owner)
      problems.push(
        `The service connects as ${found.role}, who owns the tables and can change the record unseen. ${use} The owner belongs into DATABASE_OWNER_URL.`,
      );
    if (found.bypass) problems.push(`The role ${found.role} may create roles or pass row security. Run: ALTER ROLE "${found.role}" NOCREATEROLE NOBYPASSRLS`);
    if (found.creates)
      problems.push(`The role ${found.role} may create objects in the schema public. Run: REVOKE CREATE ON SCHEMA public FROM PUBLIC, "${found.role}"`);
    if (!found.reads)
      problems.push(
        `The role ${found.role} cannot read for others. Run: CREATE ROLE signalbox_reader NOLOGIN (where it is not there yet); GRANT signalbox_reader TO signalbox_runtime`,
      );
    if (!found.granted)
      problems.push(
        `The role ${found.role} has no rights on the tables. Run: GRANT signalbox_runtime TO "${found.role}"; if there are no tables yet, npx signalbox migrate`,
      );
  }
  if (problems.length > 0) throw new DatabaseUnfit(problems);
}

/** What is acknowledged to the broker must survive a power cut, and text must come back as it went in. */
export async function assertDurable(db: Db): Promise<void> {
  const { rows } = await sql<{ fsync: string; pages: string; commit: string; encoding: string; version: number }>`
    select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages, current_setting('synchronous_commit') as commit,
      current_setting('server_encoding') as encoding, current_setting('server_version_num')::integer as version`.execute(db);
  const found = rows[0];
  if (found === undefined) throw new Error("the database did not say how it is set up");
  const problems: string[] = [];
  if (found.version < 150_000) problems.push(`The server is Postgres ${Math.floor(found.version / 10_000)}; Signalbox needs 15 or newer.`);
  if (found.fsync !== "on")
    problems.push(`fsync is ${found.fsync}: an acknowledged event could be lost. Set fsync = on in postgresql.conf and restart the server.`);
  if (found.pages !== "on")
    problems.push(`full_page_writes is ${found.pages}: a power cut could destroy the record. Set full_page_writes = on in postgresql.conf and reload.`);
  if (found.commit !== "on" && !found.commit.startsWith("remote_")) {
    problems.push(
      `synchronous_commit is ${found.commit}: an acknowledged event could be lost. Set synchronous_commit = on for the server, the database and the role.`,
    );
  }
  if (found.encoding !== "UTF8") problems.push(`The database's encoding is ${found.encoding}. Create it again with ENCODING 'UTF8'.`);
  if (problems.length > 0) throw new DatabaseUnfit(problems);
}
