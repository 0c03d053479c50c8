// One process of the service, started through the entry point that has failpoints, at its own proxies.
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../support/repository.ts";

export interface ReplicaOptions {
  readonly slot: number;
  readonly directory: string;
  readonly databaseUrl: string;
  readonly databaseOwnerUrl: string;
  readonly mqttUrl: string;
}

export interface Replica {
  readonly slot: number;
  readonly pid: number;
  /** null until it is ready. */
  readonly url: string | null;
  readonly paused: boolean;
  readonly ended: boolean;
  /** Resolves when the process is gone, with the failpoint at which it killed itself. */
  readonly dead: Promise<string | null>;
  /** Resolves when it serves, or is dead. */
  readonly ready: Promise<boolean>;
  arm(point: string, nth: number): void;
  disarm(): void;
  jumpClock(ms: number): void;
  kill(): void;
  pause(): void;
  resume(): void;
  stop(): void;
}

export function startReplica(options: ReplicaOptions): Replica {
  const report = join(options.directory, `dying-${options.slot}.json`);
  rmSync(report, { force: true });
  const log = openSync(join(options.directory, `replica-${options.slot}.log`), "a");
  const child: ChildProcess = fork(join(repository(), "test/support/failpoints-main.mjs"), [], {
    env: {
      ...process.env,
      DATABASE_URL: options.databaseUrl,
      DATABASE_OWNER_URL: options.databaseOwnerUrl,
      MQTT_URL: options.mqttUrl,
      HTTP_PORT: "0",
      HTTP_RATE_LIMIT: "0",
      LOG_LEVEL: "warn",
      FAILPOINT_REPORT: report,
    },
    stdio: ["ignore", log, log, "ipc"],
  });
  let url: string | null = null;
  let paused = false;
  let ended = false;
  const dead = new Promise<string | null>((resolve) => {
    child.once("error", () => resolve(null));
    child.once("exit", () => {
      ended = true;
      resolve(existsSync(report) ? pointIn(readFileSync(report, "utf8")) : null);
    });
  });
  const ready = new Promise<boolean>((resolve) => {
    child.on("message", (message) => {
      if (typeof message !== "object" || message === null || !("ready" in message)) return;
      url = String(message.ready);
      resolve(true);
    });
    void dead.then(() => resolve(false));
  });
  const tell = (message: Readonly<Record<string, unknown>>): void => {
    // one that is dying can no longer be told
    if (child.connected) child.send({ ...message }, () => {});
  };
  return {
    slot: options.slot,
    pid: child.pid ?? -1,
    get url() {
      return url;
    },
    get paused() {
      return paused;
    },
    get ended() {
      return ended;
    },
    dead,
    ready,
    arm: (point, nth) => tell({ arm: point, nth }),
    disarm: () => tell({ arm: null }),
    jumpClock: (ms) => tell({ clock: ms }),
    kill: () => void child.kill("SIGKILL"),
    pause() {
      paused = child.kill("SIGSTOP");
    },
    resume() {
      paused = false;
      child.kill("SIGCONT");
    },
    stop: () => void child.kill("SIGTERM"),
  };
}

function pointIn(text: string): string | null {
  const said: unknown = JSON.parse(text);
  return typeof said === "object" && said !== null && "point" in said ? String(said.point) : null;
}
