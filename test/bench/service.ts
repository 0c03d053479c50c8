import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mosquitto } from "../support/mosquitto.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { repository } from "../support/repository.ts";
import { CELLS, type Delivery, lineName, RECIPE, roleName, siteName, UNITS, unitName } from "./plan.ts";

// The service as it is run: the built command as a process of its own, with everything switched on.

export interface Running {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

export async function startService(
  database: TestDatabase,
  broker: Mosquitto,
  settings: Readonly<Record<string, string>>,
  nodeOptions: readonly string[] = [],
): Promise<Running> {
  const home = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
  const log = openSync(join(home, "log"), "w");
  const child = spawn(process.execPath, [...nodeOptions, join(repository(), "dist", "cli", "main.js"), "serve", "--json"], {
    env: {
      PATH: process.env["PATH"],
      DATABASE_URL: database.runtimeUrl,
      DATABASE_OWNER_URL: database.ownerUrl,
      MQTT_URL: broker.url,
      MQTT_PROTOCOL: "5",
      HTTP_PORT: "0",
      // the plant is registered as fast as it can be
      HTTP_RATE_LIMIT: "0",
      DATA_DIR: join(home, "data"),
      AUDIT_DIR: join(home, "audit"),
      AUDIT_MIRROR_DIR: join(home, "audit-mirror"),
      ...settings,
    },
    stdio: ["ignore", "pipe", log],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    let out = "";
    void ended.then(() => reject(new Error(`the service ended before it was ready; its log is ${join(home, "log")}`)));
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes("\n")) resolve(JSON.parse(out).url);
    });
  });
  return {
    pid: child.pid ?? 0,
    url,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      closeSync(log);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Asks several things at a time, each of which must be granted. */
async function each<T>(things: readonly T[], ask: (thing: T) => Promise<void>): Promise<void> {
  const left = [...things];
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      for (let thing = left.shift(); thing !== undefined; thing = left.shift()) await ask(thing);
    }),
  );
}

async function must(method: string, url: string, body: unknown): Promise<void> {
  const response = await fetch(url, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
}

/** Registers the recipe, and every unit with its source: each site at its own service, where there are several. */
export async function registerPlant(services: readonly Running[], sites = 1): Promise<void> {
  await must("PUT", `${services[0]?.url}/v1/registry/recipes/${RECIPE.recipe}/revisions/${RECIPE.revision}`, RECIPE);
  const units = Array.from({ length: CELLS * UNITS }, (_, n) => ({ cell: Math.floor(n / UNITS), unit: n % UNITS }));
  await each(units, ({ cell, unit }) =>
    must("PUT", `${serving(services, cell, sites).url}/v1/sites/${siteName(cell, sites)}/registry/equipment/${unitName(cell, unit)}`, {
      equipment: unitName(cell, unit),
      line: lineName(cell),
      class: roleName(unit),
    }),
  );
}

/** The service of a cell's site. */
function serving(services: readonly Running[], cell: number, sites: number): Running {
  const service = services[(cell % sites) % services.length];
  if (service === undefined) throw new Error("no service runs");
  return service;
}

interface Ordered {
  readonly batch: string;
  readonly cell: number;
}

/** The batches that begin in deliveries. */
export const begun = (deliveries: readonly Delivery[]): Ordered[] =>
  deliveries.flatMap(({ type, kind, batch, cell }) => (type === "batch.start" && kind === "event" && batch !== null ? [{ batch, cell }] : []));

/** Creates batches, and releases them to the floor: the first event of each starts it. */
export async function orderBatches(services: readonly Running[], batches: readonly Ordered[], sites = 1): Promise<void> {
  await each(batches, async ({ batch, cell }) => {
    const at = `${serving(services, cell, sites).url}/v1/sites/${siteName(cell, sites)}/batches`;
    await must("POST", at, {
      batch,
      jobOrder: `PO-${batch}`,
      line: lineName(cell),
      recipe: RECIPE.recipe,
      revision: RECIPE.revision,
      quantity: RECIPE.quantity,
      equipment: Object.fromEntries(Array.from({ length: UNITS }, (_, unit) => [roleName(unit), unitName(cell, unit)])),
    });
    await must("POST", `${at}/${batch}/commands`, { command: "release-to-floor", reason: "shift plan" });
  });
}
