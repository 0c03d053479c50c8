import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Replaced, type Service, startService } from "../../src/main.ts";
import { type Config, loadConfig } from "../../src/ops/config.file.ts";
import { createLog } from "../../src/ops/log.ts";
import { startMosquitto } from "./mosquitto.ts";
import { freshDatabase } from "./postgres.ts";
import type { Said } from "./shapes.ts";
import { validatedFetch, witness } from "./validate.ts";

export interface PlantOptions {
  /** `mosquitto`: a real broker of its own; `embedded`: the service's own; or the address of one that runs. */
  readonly broker?: "mosquitto" | "embedded" | { readonly url: string };
  readonly database?: Awaited<ReturnType<typeof freshDatabase>>;
  readonly settings?: Readonly<Record<string, string>>;
  readonly replaced?: Replaced;
  /** Where its log goes, from LOG_LEVEL on, which is silent unless it is set. */
  readonly logTo?: NodeJS.WritableStream;
}

export interface Plant {
  readonly service: Service;
  readonly url: string;
  readonly mqttUrl: string;
  readonly database: Awaited<ReturnType<typeof freshDatabase>>;
  readonly broker: Awaited<ReturnType<typeof startMosquitto>> | null;
  /** Asks the service; every answer is held against the OpenAPI document that it serves. */
  ask(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<{ status: number; body: Said; headers: Headers }>;
  /** Registers equipment and its numbering source. */
  equipment(site: string, equipment: string, line: string, className: string): Promise<void>;
  /** Starts the service anew on the same database and broker. */
  restart(replaced?: Replaced): Promise<void>;
  stop(): Promise<void>;
}

/** A service with a database and a broker of its own, for one test file. What it says on the broker is held against the AsyncAPI document that it serves. */
export async function startPlant(options: PlantOptions = {}): Promise<Plant> {
  const database = options.database ?? (await freshDatabase());
  const broker = options.broker === "mosquitto" ? await startMosquitto() : null;
  const dataDir = mkdtempSync(join(tmpdir(), "signalbox-plant-"));
  const brokerUrl = broker?.url ?? (typeof options.broker === "object" ? options.broker.url : null);
  const config: Config = loadConfig({
    DATABASE_URL: database.runtimeUrl,
    DATABASE_OWNER_URL: database.ownerUrl,
    ...(brokerUrl === null ? {} : { MQTT_URL: brokerUrl }),
    MQTT_PORT: "0",
    HTTP_PORT: "0",
    // all parties of a test ask from one address
    HTTP_RATE_LIMIT: "0",
    DATA_DIR: dataDir,
    LOG_LEVEL: "silent",
    ...options.settings,
  });
  const log = createLog({ level: config.logLevel, ...(options.logTo === undefined ? {} : { destination: options.logTo }) });
  let service = await startService(config, log, options.replaced);
  let fetcher = await validatedFetch(service.url);
  let heard = await witness(service.mqttUrl, service.url);

  const ask: Plant["ask"] = async (method, path, body, headers) => {
    const response = await fetcher(path, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: /json/.test(response.headers.get("content-type") ?? "") ? JSON.parse(text) : text === "" ? null : text,
      headers: response.headers,
    };
  };
  return {
    get service() {
      return service;
    },
    get url() {
      return service.url;
    },
    get mqttUrl() {
      return service.mqttUrl;
    },
    database,
    broker,
    ask,
    async equipment(site, equipment, line, className) {
      const { status, body } = await ask("PUT", `/v1/sites/${site}/registry/equipment/${equipment}`, { equipment, line, class: className });
      if (status >= 300) throw new Error(`equipment ${equipment} was refused: ${JSON.stringify(body)}`);
    },
    async restart(replaced = options.replaced) {
      await service.stop();
      await heard.end();
      service = await startService(config, log, replaced);
      fetcher = await validatedFetch(service.url);
      heard = await witness(service.mqttUrl, service.url);
    },
    async stop() {
      await service.stop();
      await heard.end();
      await broker?.remove();
      if (options.database === undefined) await database.drop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
