import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../ops/config.file.ts";
import { createLog } from "../ops/log.ts";
import type { Command } from "./command.ts";
import { conclude, SIMULATION_OPTIONS, wishes } from "./device.ts";
import { apply, readDocuments } from "./registry-apply.ts";
import { restAt } from "./rest.fetch.ts";
import { simulate } from "./simulate.ts";
import { untilAskedToStop } from "./stop.process.ts";

const PLANT = fileURLToPath(new URL("../../examples/plant", import.meta.url));

export const demo: Command = {
  name: "demo",
  summary: "Show it all: a service of its own, the sample plant, devices with faults, three counts.",
  positionals: [],
  options: {
    ...SIMULATION_OPTIONS,
    "data-dir": { type: "string", value: "DIR", help: "Keep the data there. Default: a temporary directory, removed at the end." },
  },
  notes: ["Needs nothing but Node: Postgres and broker are its own, on free ports. No setting of the environment is used."],
  examples: ["npm run demo", "npm run demo -- --seed 7 --batches 10 --fast"],
  exits: { done: "The three counts agree, and everything is explained.", found: "They do not; the lines above say where." },
  async run(call, terminal) {
    const { seed, batches } = wishes(call.text("seed"), call.text("batches"));
    const json = call.flag("json");
    const say = (line: string): void => (json ? terminal.err(line) : terminal.out(line));
    const stop = untilAskedToStop();
    const given = call.text("data-dir");
    const dataDir = given ?? mkdtempSync(join(tmpdir(), "signalbox-demo-"));
    try {
      say(`Starting Postgres, broker and service on free ports, data in ${dataDir} …`);
      const config = loadConfig({ DATA_DIR: dataDir, HTTP_PORT: "0", MQTT_PORT: "0", LOG_LEVEL: "error" });
      // loaded when it is wanted: every other command would wait for it
      const { startService } = await import("../main.ts");
      const service = await startService(config, createLog({ level: config.logLevel }));
      try {
        say(`REST ${service.url} (docs at ${service.url}/docs), MQTT ${service.mqttUrl}`);
        const rest = restAt(service.url, config.token);
        const applied = await apply(readDocuments(PLANT), null, rest, json ? null : terminal);
        if (applied.some(({ result }) => result === "refused")) return 1;
        say(`Seed ${seed}, ${batches} batch${batches === 1 ? "" : "es"}.`);
        const counted = await simulate({
          rest,
          access: { url: service.mqttUrl },
          prefix: "",
          seed,
          batches,
          fast: call.flag("fast"),
          terminal,
          live: !json,
          stop: stop.signal,
        });
        return conclude(counted, seed, json, terminal);
      } finally {
        await service.stop();
      }
    } finally {
      stop.forget();
      if (given === undefined) rmSync(dataDir, { recursive: true, force: true });
    }
  },
};
