import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describeWith, findCommand } from "./needs.ts";
import { repository } from "./repository.ts";

// A real mosquitto as a child process, with the configuration that is shipped: what the tests prove, they prove of that file.

const shipped = path.join(repository(), "deploy/mosquitto/mosquitto.conf");
let found: string | null | undefined;

function binary(): string | null {
  found ??= findCommand("mosquitto");
  return found;
}

export const describeWithMosquitto = (name: string, suite: () => void): void => describeWith({ mosquitto: binary() }, name, suite);

export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs; 0: none does. */
  pid(): number;
  /** SIGKILL: nothing is saved that was not saved before. */
  kill(): Promise<void>;
  /** Orderly end and start on the same port; by default with what it had saved. */
  restart(options?: { readonly keep?: boolean }): Promise<void>;
  /** Starts it again on the same port after `kill` or `stop`. */
  start(): Promise<void>;
  /** SIGTERM: saves its database. May be called twice. */
  stop(): Promise<void>;
  /** Has it write its database now, as it does by itself every few seconds. */
  save(): Promise<void>;
  /** SIGHUP: reads its ACL and password files again. */
  reload(): Promise<void>;
  /** Stops it and removes its files. */
  remove(): Promise<void>;
  /** Everything it logged since the first start. */
  log(): string;
}

/** `lines` are appended to the shipped configuration; a setting that may stand once and is given here replaces the shipped one. */
export async function startMosquitto(lines: readonly string[] = []): Promise<Mosquitto> {
  const command = binary();
  if (command === null) throw new Error("no mosquitto is installed");
  const home = mkdtempSync(path.join(tmpdir(), "signalbox-mosquitto-"));
  const data = path.join(home, "data");
  mkdirSync(data);
  const port = await freePort();
  const configuration = path.join(home, "mosquitto.conf");
  writeFileSync(configuration, configure(port, data, lines));

  let child: ChildProcess | null = null;
  let log = "";

  async function start(): Promise<void> {
    if (child !== null) return;
    const started = spawn(command ?? "mosquitto", ["-c", configuration], { stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    started.once("exit", () => {
      if (child === started) child = null;
    });
    await new Promise<void>((resolve, reject) => {
      let own = "";
      started.stderr?.on("data", (chunk: Buffer) => {
        own += chunk.toString();
        log += chunk.toString();
        if (/mosquitto version \S+ running/.test(own)) resolve();
      });
      started.once("error", reject);
      started.once("exit", (code, signal) => reject(new Error(`mosquitto ended with ${code ?? signal}:\n${own}`)));
    });
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    if (ending === null) return;
    const exited = new Promise<void>((resolve) => ending.once("exit", () => resolve()));
    ending.kill(signal);
    // it says that it runs a moment before it means it, and forgets what it was told in between
    const again = setInterval(() => ending.kill(signal), 500);
    await exited;
    clearInterval(again);
    child = null;
  }

  await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    pid: () => child?.pid ?? 0,
    kill: () => end("SIGKILL"),
    async restart({ keep = true } = {}) {
      await end("SIGTERM");
      if (!keep) {
        rmSync(data, { recursive: true, force: true });
        mkdirSync(data);
      }
      await start();
    },
    start,
    stop: () => end("SIGTERM"),
    async save() {
      const file = path.join(data, "mosquitto.db");
      const written = (): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      const before = written();
      child?.kill("SIGUSR1");
      while (child !== null && written() === before) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async reload() {
      const told = (): number => log.split("Reloading config").length;
      const before = told();
      child?.kill("SIGHUP");
      while (child !== null && told() === before) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async remove() {
      await end("SIGTERM");
      rmSync(home, { recursive: true, force: true });
    },
    log: () => log,
  };
}

function configure(port: number, data: string, lines: readonly string[]): string {
  const own = [`listener ${port} 127.0.0.1`, `persistence_location ${data}/`, ...lines];
  // As root it would become the user `mosquitto`, who may not write into our directory.
  if (process.getuid?.() === 0) own.push("user root");
  // `log_type` adds up; every other setting may stand once.
  const replaced = new Set(own.map(setting).filter((name) => name !== "log_type"));
  const kept = readFileSync(shipped, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("#") || !replaced.has(setting(line)));
  return [...kept, ...own, ""].join("\n");
}

function setting(line: string): string {
  return line.trim().split(/\s+/)[0] ?? "";
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}
