import { parseArgs } from "node:util";

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly eventsPerSecond: number;
  readonly replicas: number;
  readonly runs: readonly ("once" | "resend")[];
  readonly json: string | null;
  readonly keep: boolean;
}

export const HELP = `npm run chaos -- [--minutes 2] [--seed S] [--events-per-second 60] [--runs once,resend] [--replicas 2] [--json FILE] [--keep]

Breaks a real Postgres, a real mosquitto, the processes of the service and every connection between them, while devices send and readers read; then heals everything, waits
until it has settled, and checks the history of what was seen from outside. Needs mosquitto, and \`npm run build\` before.

  --minutes            How long faults are injected, over all runs. Default 2.
  --seed               Deals the faults and the load. Default by the clock; printed at the start and with every finding.
  --events-per-second  What all devices send together. Default 60.
  --runs               once: devices send once and never again, the broker keeps what it acknowledged. resend: devices keep what the cursor has not passed, and the broker
                       may forget everything. Default both: three quarters of the time, and one quarter.
  --replicas           Processes of the service that compete for the shard, 1 or 2; one that ends is started again. Default 2.
  --json               Writes what the table says to a file as well.
  --keep               Keeps the recorded history of a good run too.

Exit: 0 nothing was found; 1 something was found: the history is kept, and its directory named; 2 wrong usage.`;

export function parseOptions(args: readonly string[]): ChaosOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "2" },
      seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
      "events-per-second": { type: "string", default: "60" },
      replicas: { type: "string", default: "2" },
      runs: { type: "string", default: "once,resend" },
      json: { type: "string" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const runs = values.runs.split(",").map((run) => {
    if (run !== "once" && run !== "resend") throw new TypeError(`--runs knows once and resend, not ${run}`);
    return run;
  });
  return {
    minutes: positive("minutes", values.minutes),
    seed: positive("seed", values.seed),
    eventsPerSecond: positive("events-per-second", values["events-per-second"]),
    replicas: positive("replicas", values.replicas),
    runs,
    json: values.json ?? null,
    keep: values.keep,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new TypeError(`--${name} is a number above zero, not ${text}`);
  return value;
}
