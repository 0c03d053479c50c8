import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { z } from "zod";
import { type Account, canEnter, serverAccount, serverBinaries } from "./postgres-binaries.file.ts";
import { type PostmasterPid, readPostmasterPid } from "./postmaster-pid.ts";

export interface PostgresOptions {
  /** DATA_DIR; the cluster lives below it in `postgres/`. Whoever calls has claimed it. */
  readonly dataDir: string;
  /** Not given: a free one. */
  readonly port?: number;
  /** Folder of initdb and postgres; not given: those that npm installed. */
  readonly binDir?: string;
  /** More server settings, `name=value`. */
  readonly settings?: readonly string[];
  /** Told in one sentence what is being done. The server's own log is `postgres/postgres.log`. */
  readonly log: (sentence: string) => void;
}

export interface EmbeddedPostgres {
  readonly ownerUrl: string;
  readonly runtimeUrl: string;
  readonly superUrl: string;
  readonly port: number;
  /** The postmaster's process id. */
  readonly pid: number;
  /** The server was still running from an earlier start whose process had been killed. */
  readonly adopted: boolean;
  /** Fast shutdown: transactions under way are rolled back, everything is flushed. May be called twice. */
  stop(): Promise<void>;
}

export const DATABASE = "signalbox";
export const OWNER = "signalbox_owner";
export const RUNTIME = "signalbox_runtime";
const SUPERUSER = "postgres";

const START_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 30_000;
const POLL_MS = 20;
const LOG_LIMIT_BYTES = 10_000_000;

/**
 * A real Postgres of our own, set up like a plant's: a database owned by one role and used by another, neither a superuser. It is a process group of its own, so that
 * Ctrl-C reaches the service and not the database under it. When our process is killed the server lives on, and the next start takes it over.
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const cluster = prepare(options);
  if (!existsSync(join(cluster.data, "PG_VERSION"))) {
    options.log("creating the embedded database");
    initialise(cluster);
  }
  checkVersion(cluster);
  const left = await leftOver(cluster, options.port ?? null);
  const server = left ?? (await launch(cluster, options));
  const url = (role: keyof Secrets, user: string, database: string) => `postgres://${user}:${cluster.secrets[role]}@127.0.0.1:${server.port}/${database}`;
  const superUrl = url("superuser", SUPERUSER, "postgres");
  try {
    await ensureRoles(superUrl, cluster.secrets);
  } catch (error) {
    await server.stop();
    throw error;
  }
  options.log(
    left === null
      ? `the embedded database listens on port ${server.port}`
      : `took over the embedded database that an earlier start left running on port ${server.port}`,
  );
  let stopped: Promise<void> | null = null;
  return {
    ownerUrl: url("owner", OWNER, DATABASE),
    runtimeUrl: url("runtime", RUNTIME, DATABASE),
    superUrl,
    port: server.port,
    pid: server.pid,
    adopted: left !== null,
    stop: () => {
      stopped ??= server.stop();
      return stopped;
    },
  };
}

const Secrets = z.object({ superuser: z.string().min(16), owner: z.string().min(16), runtime: z.string().min(16) });
type Secrets = z.infer<typeof Secrets>;

interface Cluster {
  readonly folder: string;
  readonly data: string;
  readonly bin: string;
  readonly account: Account;
  readonly secrets: Secrets;
  readonly logFile: string;
}

interface Server {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

const windows = process.platform === "win32";

function prepare(options: PostgresOptions): Cluster {
  const account = serverAccount();
  // Only the folder itself is closed to others, not those above it that may have to be made.
  mkdirSync(dirname(resolve(options.dataDir)), { recursive: true });
  if (!existsSync(options.dataDir)) mkdirSync(options.dataDir, { mode: 0o700 });
  // Resolved, so that what the system says of a running server can be compared with it.
  const dataDir = realpathSync(options.dataDir);
  const folder = join(dataDir, "postgres");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (account !== null) {
    // The borrowed account has to pass through, and no more: it can list neither folder.
    for (const each of [dataDir, folder]) chmodSync(each, statSync(each).mode | 0o011);
    if (!canEnter(folder, account) && process.platform !== "linux") {
      throw new Error(
        `Postgres runs as ${account.name} here, who cannot enter ${folder}. Set DATA_DIR to a folder that every user may enter, or DATABASE_URL.`,
      );
    }
  }
  const bin = options.binDir ?? serverBinaries(dataDir, account);
  return { folder, data: join(folder, "data"), bin, account, secrets: secretsIn(join(folder, "credentials.json")), logFile: join(folder, "postgres.log") };
}

/** Made once; written beside and renamed, so that a crash leaves either none or all. */
function secretsIn(file: string): Secrets {
  if (existsSync(file)) return Secrets.parse(JSON.parse(readFileSync(file, "utf8")));
  const secret = () => randomBytes(24).toString("base64url");
  const secrets = { superuser: secret(), owner: secret(), runtime: secret() };
  const unfinished = openSync(`${file}.new`, "w", 0o600);
  writeSync(unfinished, JSON.stringify(secrets));
  fsyncSync(unfinished);
  closeSync(unfinished);
  renameSync(`${file}.new`, file);
  return secrets;
}

/**
 * How a server process is run in a folder. The working folder is entered before the account is changed, and Linux then reaches it by /proc/self/cwd even when the account
 * could not enter the folders above it (a DATA_DIR below /root): so that is how the server is told its data. Before version 16 Postgres leaves its working folder for a moment, so this
 * rests on the version that npm installs.
 */
function runIn(cluster: Cluster, data: string) {
  const direct = canEnter(cluster.folder, cluster.account);
  const who = cluster.account === null ? {} : { uid: cluster.account.uid, gid: cluster.account.gid };
  // LC_ALL: messages are read for what they say. Nothing else of our environment, passwords among it, is handed on; Windows alone needs it to run anything.
  const env = windows ? {} : { env: { LC_ALL: "C", TZ: "UTC" } };
  return {
    name: direct ? data : "/proc/self/cwd",
    beside: direct ? cluster.folder : "/proc/self/cwd/..",
    options: { ...who, ...env, cwd: data, windowsHide: true },
  };
}

const program = (cluster: Cluster, name: string) => join(cluster.bin, windows ? `${name}.exe` : name);

/** Made beside and renamed: a kill in the middle leaves nothing that looks like a database. */
function initialise(cluster: Cluster): void {
  const fresh = join(cluster.folder, "data.new");
  const password = join(cluster.folder, "password.new");
  rmSync(fresh, { recursive: true, force: true });
  if (existsSync(cluster.data)) rmSync(cluster.data, { recursive: true });
  mkdirSync(fresh, { mode: 0o700 });
  rmSync(password, { force: true });
  writeFileSync(password, `${cluster.secrets.superuser}\n`, { mode: 0o600 });
  if (cluster.account !== null) for (const each of [fresh, password]) chownSync(each, cluster.account.uid, cluster.account.gid);
  const at = runIn(cluster, fresh);
  const args = [
    "-D",
    at.name,
    "-U",
    SUPERUSER,
    "--auth=scram-sha-256",
    `--pwfile=${at.beside}/password.new`,
    "--encoding=UTF8",
    "--locale=C",
    "--data-checksums",
  ];
  const done = spawnSync(program(cluster, "initdb"), args, { ...at.options, encoding: "utf8" });
  rmSync(password, { force: true });
  if (done.status !== 0) throw cannotRun("The embedded database could not be created", done.error ?? null, done.stderr ?? "");
  renameSync(fresh, cluster.data);
}

function checkVersion(cluster: Cluster): void {
  const made = readFileSync(join(cluster.data, "PG_VERSION"), "utf8").trim();
  const has = /(\d+)(?:\.|\w)/.exec(
    spawnSync(program(cluster, "postgres"), ["--version"], { ...runIn(cluster, cluster.data).options, encoding: "utf8" }).stdout ?? "",
  )?.[1];
  if (has === undefined || has === made) return;
  throw new Error(
    `The data in ${cluster.data} was made by Postgres ${made} and this installation has ${has}. Dump it with the version that made it and restore it, or set DATA_DIR to a new folder to begin anew.`,
  );
}

/** The server of an earlier start, when it lives and is ours. Whoever answers to this cluster's random password is. */
async function leftOver(cluster: Cluster, port: number | null): Promise<Server | null> {
  const deadline = Date.now() + START_WITHIN_MS;
  for (;;) {
    const found = pidOf(cluster);
    if (found === null) return null;
    if (!servesThis(found.pid, cluster)) {
      // Its number may meanwhile be another program's, and Postgres would then refuse to start because of it.
      rmSync(join(cluster.data, "postmaster.pid"), { force: true });
      return null;
    }
    const server = { pid: found.pid, port: found.port ?? 0, stop: () => stopServer(cluster, found.pid, null) };
    if (found.status === "ready" && found.port !== null) {
      if (port === null || port === 0 || port === found.port) return server;
      await server.stop();
      return null;
    }
    // Starting after a crash, or stopping: either ends by itself.
    if (Date.now() > deadline)
      throw new Error(`A Postgres (process ${found.pid}) that an earlier start left in ${cluster.data} neither serves nor ends. End it, then start again.`);
    await delay(POLL_MS);
  }
}

function pidOf(cluster: Cluster): PostmasterPid | null {
  try {
    return readPostmasterPid(readFileSync(join(cluster.data, "postmaster.pid"), "utf8"));
  } catch {
    return null;
  }
}

/** Linux tells whose folder a process works in; elsewhere a living process of that number is taken to be the server. */
function servesThis(pid: number, cluster: Cluster): boolean {
  if (!lives(pid)) return false;
  if (process.platform !== "linux") return true;
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === cluster.data;
  } catch {
    return false;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  if (process.platform !== "linux") return true;
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function launch(cluster: Cluster, options: PostgresOptions): Promise<Server> {
  const deadline = Date.now() + START_WITHIN_MS;
  for (;;) {
    const port = options.port === undefined || options.port === 0 ? await freePort() : options.port;
    const outcome = await launchOn(cluster, port, options.settings ?? []);
    if ("server" in outcome) return outcome.server;
    // Backends of a postmaster that was killed still finish; and a port chosen a moment ago may have been taken since.
    const passes =
      /pre-existing shared memory block|is still in use/.test(outcome.said) ||
      (options.port === undefined && /could not bind|Address already in use/.test(outcome.said));
    if (!passes || Date.now() > deadline) {
      if (/could not bind|Address already in use/.test(outcome.said))
        throw new Error(`Port ${port} for the embedded database is taken. Free it, or set DATABASE_URL.`);
      throw cannotRun("The embedded database did not start", outcome.error, outcome.said);
    }
    await delay(200);
  }
}

async function launchOn(cluster: Cluster, port: number, settings: readonly string[]): Promise<{ server: Server } | { error: Error | null; said: string }> {
  if (existsSync(cluster.logFile) && statSync(cluster.logFile).size > LOG_LIMIT_BYTES) renameSync(cluster.logFile, `${cluster.logFile}.1`);
  const from = existsSync(cluster.logFile) ? statSync(cluster.logFile).size : 0;
  const logFile = openSync(cluster.logFile, "a", 0o600);
  const at = runIn(cluster, cluster.data);
  const set = [
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "log_destination=stderr",
    "log_line_prefix=%m [%p] ",
    "log_timezone=UTC",
    "timezone=UTC",
    "log_checkpoints=off",
  ];
  const child = spawn(program(cluster, "postgres"), ["-D", at.name, ...[...set, ...settings].flatMap((setting) => ["-c", setting])], {
    ...at.options,
    detached: true,
    stdio: ["ignore", logFile, logFile],
  });
  closeSync(logFile);
  let failed: Error | null = null;
  child.once("error", (error) => {
    failed = error;
  });
  const deadline = Date.now() + START_WITHIN_MS;
  while (failed === null && child.exitCode === null && child.signalCode === null) {
    const now = pidOf(cluster);
    const { pid } = child;
    if (now !== null && now.pid === pid && now.status === "ready") {
      // Not waited for at the end of our process: without a stop it lives on and is taken over.
      child.unref();
      return { server: { pid, port, stop: () => stopServer(cluster, pid, child) } };
    }
    if (Date.now() > deadline) {
      child.kill("SIGQUIT");
      break;
    }
    await delay(POLL_MS);
  }
  return { error: failed, said: readFileSync(cluster.logFile, "utf8").slice(from).slice(-2000) };
}

async function stopServer(cluster: Cluster, pid: number, child: ChildProcess | null): Promise<void> {
  child?.ref();
  const gone = () => (child === null ? !lives(pid) : child.exitCode !== null || child.signalCode !== null);
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch {
      // It is gone already.
    }
  };
  // Windows has no signals: a kill there would mean crash recovery at each start.
  if (windows) spawnSync(program(cluster, "pg_ctl"), ["stop", "-D", cluster.data, "-m", "fast", "-w"], { windowsHide: true });
  else if (!gone()) signal("SIGINT");
  for (const deadline = Date.now() + STOP_WITHIN_MS; !gone() && Date.now() < deadline; ) await delay(POLL_MS);
  if (gone()) return;
  // Immediate shutdown: nothing committed is lost, the next start recovers.
  signal("SIGQUIT");
  for (const deadline = Date.now() + STOP_WITHIN_MS; !gone() && Date.now() < deadline; ) await delay(POLL_MS);
  if (!gone()) throw new Error(`The embedded database (process ${pid}) does not stop.`);
}

/** The same two roles and the same rights as a plant's database; done at each start, since the first may have been killed half-way. */
async function ensureRoles(superUrl: string, secrets: Secrets): Promise<void> {
  const client = new pg.Client({ connectionString: superUrl, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    for (const [role, secret] of [
      [OWNER, secrets.owner],
      [RUNTIME, secrets.runtime],
    ] as const) {
      const there = (await client.query("select from pg_roles where rolname = $1", [role])).rowCount === 1;
      await client.query(
        `${there ? "alter" : "create"} role ${role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password ${client.escapeLiteral(secret)}`,
      );
    }
    if ((await client.query("select from pg_database where datname = $1", [DATABASE])).rowCount === 0)
      await client.query(`create database ${DATABASE} owner ${OWNER}`);
    await client.query(`revoke all on database ${DATABASE} from public`);
    await client.query(`grant connect on database ${DATABASE} to ${RUNTIME}`);
  } finally {
    await client.end();
  }
}

function freePort(): Promise<number> {
  return new Promise((found, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === "object" ? found(address.port) : reject(new Error("no free port was found"))));
    });
  });
}

function cannotRun(what: string, error: Error | null, said: string): Error {
  const code = error !== null && "code" in error ? String(error.code) : "";
  const advice =
    code === "EPERM"
      ? " As root it is run as another user, which this container does not allow; start as a user other than root."
      : code === "ENOENT"
        ? " Its programs do not run on this system (Alpine, for one, lacks glibc)."
        : "";
  return new Error(
    `${what}: ${(error?.message ?? said.trim()) || "it ended without a word"}.${advice} Or set DATABASE_URL to a Postgres 15 or newer.`,
    error === null ? {} : { cause: error },
  );
}
