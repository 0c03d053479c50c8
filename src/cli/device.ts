import { loadConfig } from "../ops/config.file.ts";
import { accessFrom } from "./broker.mqtt.ts";
import { type Command, URL_OPTION } from "./command.ts";
import { type Reconciled, table } from "./reconcile.ts";
import { restAt } from "./rest.fetch.ts";
import { Said } from "./said.ts";
import { simulate } from "./simulate.ts";
import { untilAskedToStop } from "./stop.process.ts";
import { countOf } from "./tail.ts";
import type { Terminal } from "./terminal.ts";

export const SIMULATION_OPTIONS: Command["options"] = {
  seed: { type: "string", value: "N", help: "Which faults come up where; the same seed, the same faults. Default: of the moment." },
  batches: { type: "string", value: "N", default: "3", help: "How many batches are made." },
  fast: { type: "boolean", help: "No pauses for a reader." },
};

export const device: Command = {
  name: "device",
  summary: "Simulate the devices of the sample plant, with faults, against a running service.",
  positionals: [],
  options: {
    url: URL_OPTION,
    "mqtt-url": { type: "string", value: "URL", help: "Address of the broker. Default: MQTT_URL, or the embedded one." },
    ...SIMULATION_OPTIONS,
  },
  notes: [
    "Needs the sample plant: signalbox registry apply examples/plant.",
    "Four devices of line 4 make batches of tablet-mix. They repeat, reorder, lose and resend, contradict themselves, claim the wrong batch, …",
    "In the end what happened is counted three times apart: by the senders, by a subscriber, over REST.",
  ],
  examples: ["signalbox device", "signalbox device --seed 7 --batches 10 --fast"],
  exits: { done: "The three counts agree, and everything is explained.", found: "They do not, or a device was refused although it was in order." },
  async run(call, terminal) {
    const config = loadConfig(call.environment);
    const stop = untilAskedToStop();
    try {
      const { seed, batches } = wishes(call.text("seed"), call.text("batches"));
      const json = call.flag("json");
      const counted = await simulate({
        rest: restAt(call.text("url") ?? "", config.token),
        access: accessFrom(config, call.text("mqtt-url")),
        prefix: config.topicPrefix,
        seed,
        batches,
        fast: call.flag("fast"),
        terminal,
        live: !json,
        stop: stop.signal,
      });
      return conclude(counted, seed, json, terminal);
    } finally {
      stop.forget();
    }
  },
};

export function wishes(seed: string | undefined, batches: string | undefined): { seed: number; batches: number } {
  if (seed !== undefined && !/^\d{1,10}$/.test(seed)) throw new Said(`--seed is a whole number, and "${seed}" is none.`, 2);
  return { seed: seed === undefined ? Date.now() % 1_000_000 : Number(seed), batches: countOf(batches, "batches") };
}

/** Shows the three counts and what is unexplained. */
export function conclude(counted: Reconciled, seed: number, json: boolean, terminal: Terminal): 0 | 1 {
  if (json) terminal.out(JSON.stringify({ seed, ...counted }));
  else {
    terminal.out("");
    for (const line of table(counted)) terminal.out(line);
    terminal.out("");
    for (const line of counted.unexplained) terminal.out(`${terminal.paint("red", "unexplained")}  ${line}`);
    terminal.out(
      counted.agree
        ? terminal.paint("green", `The three counts agree, and nothing is unexplained. Seed ${seed}.`)
        : terminal.paint("red", `The three counts do not agree, or something is unexplained. Seed ${seed}.`),
    );
  }
  return counted.agree ? 0 : 1;
}
