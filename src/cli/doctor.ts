import { z } from "zod";
import { loadConfig } from "../ops/config.file.ts";
import { accessFrom } from "./broker.mqtt.ts";
import { type Command, URL_OPTION } from "./command.ts";
import { examineBroker } from "./doctor.mqtt.ts";
import { examineDatabase } from "./doctor.store.ts";
import { inWords } from "./failure.ts";
import { type Area, type Finding, ofBroker, ofDatabase, ofMetrics, ofReadiness } from "./findings.ts";
import { samplesOf } from "./prometheus.ts";
import { type Rest, restAt } from "./rest.fetch.ts";
import { read } from "./verdict-data.ts";

const readySchema = z.looseObject({ ready: z.boolean(), checks: z.array(z.looseObject({ check: z.string(), ok: z.boolean(), detail: z.string() })) });

export const doctor: Command = {
  name: "doctor",
  summary: "Look at service, database and broker, and say what to do about what is not well.",
  positionals: [],
  options: { url: URL_OPTION, "mqtt-url": { type: "string", value: "URL", help: "Address of the broker. Default: MQTT_URL, or the embedded one." } },
  notes: [
    "Reads only. The database is examined when DATABASE_URL is set; the embedded one was examined by the service at its start.",
    "What the broker tells of itself ($SYS, limits) depends on its access rules.",
  ],
  examples: ["signalbox doctor", "signalbox doctor --url http://10.0.0.7:8080 --json"],
  exits: { done: "Everything that could be seen is well.", found: "Something is not well; each finding says what to do." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const findings: Finding[] = [];
    const look = async (area: Area, todo: string, examine: () => Promise<readonly Finding[]>): Promise<void> => {
      terminal.progress(`Looking at the ${area} …`);
      try {
        findings.push(...(await examine()));
      } catch (error) {
        findings.push({ area, ok: false, what: inWords(error).lines[0]?.split("\n")[0] ?? "it does not answer", todo });
      }
    };
    const rest = restAt(call.text("url") ?? "", config.token, 5_000);
    await look("service", "Start it, or name its address with --url.", () => examineService(rest));
    const { databaseUrl } = config;
    if (databaseUrl === null) findings.push({ area: "database", ok: true, what: "DATABASE_URL is not set: not examined from here" });
    else
      await look("database", "Check DATABASE_URL, and that the server runs and lets this role in.", async () => ofDatabase(await examineDatabase(databaseUrl)));
    await look("broker", "Check MQTT_URL or --mqtt-url, and that the broker runs and lets this client in.", async () =>
      ofBroker(await examineBroker(accessFrom(config, call.text("mqtt-url")))),
    );

    const ills = findings.filter(({ ok }) => !ok);
    if (call.flag("json")) terminal.out(JSON.stringify({ ok: ills.length === 0, findings }));
    else {
      for (const finding of findings) {
        terminal.out(`${finding.ok ? terminal.paint("green", "✓") : terminal.paint("red", "✗")} ${finding.area.padEnd(8)}  ${finding.what}`);
        if (!finding.ok) terminal.out(`             ${terminal.paint("bold", "→")} ${finding.todo}`);
      }
      terminal.out(ills.length === 0 ? "Nothing to do." : `${ills.length} finding${ills.length === 1 ? "" : "s"}.`);
    }
    return ills.length === 0 ? 0 : 1;
  },
};

async function examineService(rest: Rest): Promise<Finding[]> {
  const ready = await rest.text("/health/ready");
  const health = read(readySchema, ready.text);
  if (health === null)
    return [{ area: "service", ok: false, what: `${rest.url}/health/ready answered ${ready.status}, and not like a Signalbox service`, todo: "Check --url." }];
  const metrics = await rest.text("/metrics");
  if (metrics.status === 401 || metrics.status === 403)
    return [
      {
        area: "service",
        ok: ready.status === 200,
        what: `it is ${ready.status === 200 ? "ready" : "not ready"}; more is told to whoever may read of every site`,
        todo: "Set SIGNALBOX_TOKEN to a token that may, and look again.",
      },
    ];
  const skewMs = ready.date === null ? 0 : Date.parse(ready.date) - Date.now();
  return [
    ...ofReadiness(health.checks),
    ...ofMetrics(samplesOf(metrics.text)),
    // the header has whole seconds
    ...(Math.abs(skewMs) > 3_000
      ? [
          {
            area: "service",
            ok: false,
            what: `its clock and this machine's differ by ${Math.round(Math.abs(skewMs) / 1000)} s`,
            todo: "Set both clocks by NTP.",
          } as const,
        ]
      : []),
  ];
}
