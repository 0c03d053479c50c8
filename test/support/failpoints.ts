import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Starts the service as a process of its own, with failpoints (failpoints-main.mjs); `report` is where it notes its last point. Resolves when it is ready. */
export async function startWithFailpoints(options: {
  readonly database: { readonly runtimeUrl: string; readonly ownerUrl: string };
  readonly mqttUrl: string;
  readonly report: string;
}): Promise<{ readonly process: ChildProcess; readonly url: string; readonly dead: Promise<void> }> {
  const child = fork(fileURLToPath(new URL("failpoints-main.mjs", import.meta.url)), [], {
    env: {
      ...process.env,
      DATABASE_URL: options.database.runtimeUrl,
      DATABASE_OWNER_URL: options.database.ownerUrl,
      MQTT_URL: options.mqttUrl,
      HTTP_PORT: "0",
      LOG_LEVEL: "silent",
      FAILPOINT_REPORT: options.report,
    },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const dead = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    void dead.then(() => reject(new Error("the service died before it was ready")));
    child.on("message", (message: { ready?: string }) => {
      if (message.ready !== undefined) resolve(message.ready);
    });
  });
  return { process: child, url, dead };
}
