import { loadConfig } from "../ops/config.file.ts";
import { accessFrom, watch } from "./broker.mqtt.ts";
import type { Command } from "./command.ts";
import { Said } from "./said.ts";
import { untilAskedToStop } from "./stop.process.ts";
import { isRefused, read, type VerdictData, verdictEventSchema } from "./verdict-data.ts";
import { verdictLine } from "./verdict-line.ts";

export const tail: Command = {
  name: "tail",
  summary: "Follow verdicts as they are published, one line each.",
  positionals: [],
  options: {
    "mqtt-url": { type: "string", value: "URL", help: "Address of the broker. Default: MQTT_URL, or the embedded one." },
    refused: { type: "boolean", help: "Only what was rejected or quarantined." },
    site: { type: "string", value: "SITE", help: "Only this site." },
    line: { type: "string", value: "LINE", help: "Only this line." },
    equipment: { type: "string", value: "EQUIPMENT", help: "Only this equipment." },
    batch: { type: "string", value: "BATCH", help: "Only this batch." },
    count: { type: "string", value: "N", help: "End after N lines." },
  },
  notes: ["Colours only on a screen. MQTT_USERNAME, MQTT_PASSWORD and the certificates of the settings are used."],
  examples: ["signalbox tail --refused", "signalbox tail --equipment scale-1 --json"],
  exits: { done: "It was asked to stop, or has shown as many as were wanted.", found: "The broker does not answer." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const level = (name: string): string => plantIdOrAny(name, call.text(name));
    const filter = `${config.topicPrefix}site/${level("site")}/line/${level("line")}/eq/${level("equipment")}/verdict`;
    const wanted = countOf(call.text("count"));
    const batch = call.text("batch");
    const shows = (verdict: VerdictData): boolean => (!call.flag("refused") || isRefused(verdict)) && (batch === undefined || verdict.context?.batch === batch);
    const stop = untilAskedToStop();
    let shown = 0;
    let enough: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const watching = await watch(
      accessFrom(config, call.text("mqtt-url")),
      [filter],
      (topic, text) => {
        const event = read(verdictEventSchema, text);
        if (event === null || !shows(event.data) || shown >= wanted) return;
        shown += 1;
        terminal.out(call.flag("json") ? JSON.stringify(event) : verdictLine(event.data, event.time, terminal.paint, topic.split("/").at(-2) ?? null));
        if (shown >= wanted) enough();
      },
      (connected) =>
        terminal.err(connected ? "Connected to the broker again." : "The broker is gone; what it publishes meanwhile is missed here. Trying again."),
    );
    terminal.err(`Following ${filter}. Ctrl-C ends it.`);
    await Promise.race([stop.asked, all]);
    stop.forget();
    await watching.stop();
    return 0;
  },
};

function plantIdOrAny(option: string, value: string | undefined): string {
  if (value === undefined) return "+";
  if (/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/.test(value)) return value;
  throw new Said(`--${option} is a plant id, and "${value}" is none.`, 2);
}

export function countOf(text: string | undefined, option = "count"): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Said(`--${option} is a number from 1, and "${text}" is none.`, 2);
}
