import { loadConfig } from "../ops/config.file.ts";
import { createLog } from "../ops/log.ts";
import { banner, withoutPassword } from "./banner.ts";
import type { Command } from "./command.ts";
import { untilAskedToStop } from "./stop.process.ts";

export const serve: Command = {
  name: "serve",
  summary: "Start the service: database, broker, REST.",
  positionals: [],
  options: {},
  notes: [
    "Without DATABASE_URL and MQTT_URL it brings a Postgres and a broker of its own, kept below DATA_DIR.",
    "Settings come from the environment; docs/operations.md lists them all. The log goes to standard error, one JSON line a fact.",
  ],
  examples: [
    "signalbox serve",
    "HTTP_PORT=0 MQTT_PORT=0 DATA_DIR=/var/lib/signalbox signalbox serve",
    "MQTT_URL=mqtt://broker:1883 DATABASE_URL=… signalbox serve",
  ],
  exits: { done: "It was asked to stop, and stopped cleanly.", found: "It could not start, or stopped by itself; the last line says why." },
  // What lives no longer than a group is most of what it makes. Node 24 would keep 128 MiB of it before it looks what still lives, and lets what lived longer grow to several times what is
  // alive: at full load nearly twice the memory, for no less work (docs/speed.md).
  node: ["--max-semi-space-size=8", "--heap-growing-percent=70"],
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const stop = untilAskedToStop();
    try {
      // not before the process runs with the options above: it would be loaded twice
      const { startService } = await import("../main.ts");
      const service = await startService(config, createLog({ level: config.logLevel }));
      if (call.flag("json")) terminal.out(JSON.stringify({ url: service.url, mqttUrl: withoutPassword(service.mqttUrl), embedded: service.embedded }));
      else
        for (const line of banner({
          url: service.url,
          mqttUrl: service.mqttUrl,
          embedded: service.embedded,
          dataDir: config.dataDir,
          topicPrefix: config.topicPrefix,
          claimed: service.claimed,
        }))
          terminal.out(line);
      const ended = await Promise.race([stop.asked, service.done]);
      if (ended === "SIGINT" || ended === "SIGTERM") terminal.err("Stopping: what has arrived is settled and published first. Once more ends it at once.");
      await service.stop();
      if (ended === "failed") terminal.err("The service stopped by itself; the log above says why.");
      return ended === "failed" ? 1 : 0;
    } finally {
      stop.forget();
    }
  },
};
