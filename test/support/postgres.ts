import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "../../src/db/migrate.store.ts";

// A real Postgres for one test file, with the binaries that PG_BIN names: the embedded ones unless it was set, to Debian's say (postgres-binaries.ts). Test data is thrown away, so nothing is lost by a closed folder.

export interface TestDatabase {
  readonly ownerUrl: string;
  readonly runtimeUrl: string;
  readonly superUrl: string;
  readonly cluster: {
    /** Its data directory. */
    readonly data: string;
    /** `immediate`: as a crash would; `fast`: orderly, ending all sessions. */
    stop(how?: "immediate" | "fast"): Promise<void>;
    /** On the same port, with the same data. */
    start(): Promise<void>;
    /** Whether the server's process is there. */
    running(): boolean;
  };
  /** As superuser, past all rights. */
  query(text: string): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

export interface DatabaseOptions {
  readonly migrated?: boolean;
  /** Where its files lie; by default where temporary files do. */
  readonly below?: string;
  /** Settings of the server, as `name=value`. */
  readonly settings?: readonly string[];
  /** A data directory of which the new cluster is a copy, instead of an empty one. */
  readonly from?: string;
}

export async function freshDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const home = mkdtempSync(join(options.below ?? tmpdir(), "signalbox-pg-"));
  const account = accountToRunAs();
  const data = join(home, "data");
  mkdirSync(data, { mode: 0o700 });
  if (account !== null) {
    chmodSync(home, 0o711);
    chownSync(data, account.uid, account.gid);
  }
  const bin = process.env["PG_BIN"] ?? "";
  const migrated = options.migrated !== false;
  const from = options.from ?? prepared(migrated ? "migrated" : "empty");
  if (from === null) initialise();
  else copyCluster(from);

  function copyCluster(from: string): void {
    cpSync(from, data, { recursive: true });
    if (account === null) return;
    for (const name of ["", ...readdirSync(data, { recursive: true, encoding: "utf8" })]) chownSync(join(data, name), account.uid, account.gid);
  }

  function initialise(): void {
    const made = spawnSync(join(bin, "initdb"), ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"], {
      ...account,
      encoding: "utf8",
      cwd: data,
    });
    if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`);
  }
  const port = await freePort();
  let server: ChildProcess | null = null;

  async function start(): Promise<void> {
    const child = spawn(
      join(bin, "postgres"),
      [
        "-D",
        data,
        "-p",
        String(port),
        ...["listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC", ...(options.settings ?? [])].flatMap((s) => ["-c", s]),
      ],
      {
        ...account,
        cwd: data,
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    server = child;
    await new Promise<void>((ready, failed) => {
      let tail = "";
      child.stderr?.on("data", (chunk: Buffer) => {
        tail = (tail + String(chunk)).slice(-2000);
        if (tail.includes("ready to accept connections")) ready();
      });
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`postgres ended with ${code}: ${tail}`)));
    });
  }

  async function stop(how: "immediate" | "fast" = "fast"): Promise<void> {
    const child = server;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill(how === "immediate" ? "SIGQUIT" : "SIGINT");
    await ended;
    server = null;
  }

  await start();
  const url = (role: string, database = "signalbox"): string => `postgres://${role}@127.0.0.1:${port}/${database}`;
  const query = async (text: string, database = "signalbox"): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url("postgres", database) });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
  for (const statement of from !== null
    ? []
    : [
        "create role signalbox_owner login nosuperuser nocreatedb nocreaterole",
        "create role signalbox_runtime login nosuperuser nocreatedb nocreaterole nobypassrls",
        "create role signalbox_reader nologin",
        "grant signalbox_reader to signalbox_runtime",
        "create database signalbox owner signalbox_owner",
      ]) {
    await query(statement, "postgres");
  }
  if (migrated && from === null) await migrate(url("signalbox_owner"));
  return {
    ownerUrl: url("signalbox_owner"),
    runtimeUrl: url("signalbox_runtime"),
    superUrl: url("postgres"),
    cluster: { data, stop, start, running: () => server !== null && server.exitCode === null && server.signalCode === null },
    query: (text) => query(text),
    async drop() {
      await stop("immediate");
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** As the database's administrator, past all triggers. */
export async function askAsAdministrator(url: string, text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set session_replication_role = replica");
    return (await client.query(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** A cluster that was made before the first test (postgres-binaries.ts), so that not each test file makes one from nothing; null: there is none. */
function prepared(kind: "empty" | "migrated"): string | null {
  const path = join(process.env["TEST_CLUSTERS"] ?? "", kind);
  return process.env["TEST_CLUSTERS"] !== undefined && existsSync(path) ? path : null;
}

/** Postgres does not run as root: whom it runs as instead, if it must. */
export function accountToRunAs(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(":");
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error("no account to run Postgres as");
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer();
    probe.once("error", failed);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (typeof address === "object" && address !== null ? found(address.port) : failed(new Error("no free port"))));
    });
  });
}
