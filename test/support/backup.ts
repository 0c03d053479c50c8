import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { copyFile, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { freshDatabase, type TestDatabase } from "./postgres.ts";

// Backups as docs/operations.md tells to take them, of a database that is in use.

export interface Backup {
  /** A new database, as the backup has it. */
  restore(): Promise<TestDatabase>;
  discard(): void;
}

const tool = (name: string): string => join(process.env["PG_BIN"] ?? "", name);

/** The embedded Postgres comes without it. */
export const hasPgDump = (): boolean => existsSync(tool("pg_dump")) && existsSync(tool("psql"));

/** One snapshot of one database, as SQL. */
export async function dump(database: TestDatabase): Promise<Backup> {
  const home = mkdtempSync(join(tmpdir(), "signalbox-dump-"));
  const file = join(home, "signalbox.sql");
  await run("pg_dump", ["--dbname", database.superUrl, "--file", file]);
  return {
    async restore() {
      const restored = await freshDatabase({ migrated: false });
      await run("psql", ["--dbname", restored.superUrl, "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--output", join(home, "out"), "--file", file]);
      return restored;
    },
    discard: () => rmSync(home, { recursive: true, force: true }),
  };
}

function run(name: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool(name), [...args], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}: ${said}`))));
  });
}

// What a copy leaves out: it belongs to the running server, or is made anew.
const LEFT_OUT = new Set(["postmaster.pid", "postmaster.opts", "pg_wal"]);
const EMPTIED = new Set(["pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"]);

/** The files of the cluster, copied while it runs, between the two calls that make such a copy a backup: what pg_basebackup does. */
export async function copyOfFiles(database: TestDatabase): Promise<Backup> {
  const home = mkdtempSync(join(tmpdir(), "signalbox-backup-"));
  const { data } = database.cluster;
  const client = new pg.Client({ connectionString: database.superUrl });
  await client.connect();
  try {
    await client.query("select pg_backup_start('drill', true)");
    for (const name of await readdir(data)) {
      if (LEFT_OUT.has(name)) continue;
      if (EMPTIED.has(name)) await mkdir(join(home, name));
      else await copy(join(data, name), join(home, name));
    }
    const { rows } = await client.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
    await writeFile(join(home, "backup_label"), rows[0]?.labelfile ?? "");
    // the log of what happened meanwhile makes the copy whole
    await copy(join(data, "pg_wal"), join(home, "pg_wal"));
  } finally {
    await client.end();
  }
  return { restore: () => freshDatabase({ from: home }), discard: () => rmSync(home, { recursive: true, force: true }) };
}

/** What vanishes while it is copied, a file or a folder, was temporary, or the log tells. */
async function copy(from: string, to: string): Promise<void> {
  if (from.includes("/pgsql_tmp")) return;
  try {
    if (!(await stat(from)).isDirectory()) return await copyFile(from, to);
    const names = await readdir(from);
    await mkdir(to);
    for (const name of names) await copy(join(from, name), join(to, name));
  } catch (error) {
    if (Object(error).code !== "ENOENT") throw error;
  }
}
