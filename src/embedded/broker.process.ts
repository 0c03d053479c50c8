import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { type BrokerTable, SERVICE_USER, serviceUser } from "../parties/broker-table.ts";

export interface EmbeddedBroker {
  readonly url: string;
  readonly port: number;
  /** As whom the service connects; the password lives as long as the broker. */
  readonly username: string;
  readonly password: string;
  /** Has the broker enforce another table; resolves when it does, and whoever may not stay is being disconnected. */
  enforce(users: BrokerTable["users"]): Promise<void>;
  stop(): Promise<void>;
}

/** The port of the embedded broker is taken. */
export class PortTaken extends Error {}

/**
 * Starts the embedded broker as a child process: MQTT 3.1.1, queue in memory, for trying out. It ends with its parent, however that ends. Port 0 picks a free one.
 * Throws PortTaken when the port is in use.
 */
export async function startBroker(options: {
  readonly host: string;
  readonly port: number;
  readonly prefix?: string;
  /** Who may connect besides the service, until `enforce` says otherwise; null: everybody, and everybody may do everything. */
  readonly users?: BrokerTable["users"];
}): Promise<EmbeddedBroker> {
  // the child runs what was built: under a test runner this file is TypeScript, and a plain node could not load that
  const entry = fileURLToPath(new URL("../../dist/embedded/broker-main.js", import.meta.url));
  const child = fork(entry, [options.host, String(options.port)], { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] });
  // who may do what goes over the channel between the two: arguments can be read by everybody on the machine
  const password = randomBytes(32).toString("base64url");
  const service = serviceUser(password, randomBytes(12), options.prefix ?? "");
  const tableOf = (users: BrokerTable["users"]): BrokerTable => ({ service, users });
  child.send(tableOf(options.users ?? null));
  const port = await new Promise<number>((ready, failed) => {
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`The embedded broker ended with ${code} before it was ready.`)));
    child.once("message", (message: unknown) => {
      const { port: listening, taken } = Object(message);
      if (typeof listening === "number") ready(listening);
      else if (taken === true)
        failed(
          new PortTaken(
            `Port ${options.port} is taken, so the embedded broker cannot listen there. Set MQTT_PORT to another one (0 picks a free one), or MQTT_URL to a broker that runs.`,
          ),
        );
      else failed(new Error(`The embedded broker could not start: ${String(Object(message).error)}`));
    });
  });
  return {
    url: `mqtt://${options.host}:${port}`,
    port,
    username: SERVICE_USER,
    password,
    enforce: (users) =>
      new Promise((enforced, failed) => {
        const settle = (error: Error | null): void => {
          child.off("message", heard).off("exit", ended);
          if (error === null) enforced();
          else failed(error);
        };
        const heard = (message: unknown): void => {
          if (Object(message).enforced === true) settle(null);
        };
        const ended = (): void => settle(new Error("the embedded broker has ended"));
        child.on("message", heard).on("exit", ended);
        child.send(tableOf(users), (error) => {
          if (error !== null) settle(error);
        });
      }),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
