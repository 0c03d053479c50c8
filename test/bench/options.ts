import { resolve } from "node:path";
import { parseArgs } from "node:util";

export const PARTS = [
  "service",
  "all-verdicts",
  "raw-loop",
  "pass-through",
  "obvious",
  "transactions",
  "node-red",
  "dbos",
  "overload",
  "backlog",
  "flooder",
  "shards",
  "stored",
  "soak",
] as const;
export type Part = (typeof PARTS)[number];

/** What is measured where nothing is chosen: a soak alone takes as long as all the rest. */
const USUAL = PARTS.filter((part) => part !== "soak");

export interface BenchOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly warmUp: number;
  readonly json: string | null;
  readonly only: readonly Part[];
  /** In percent of the capacity; 0: nearly nothing. */
  readonly loads: readonly number[];
  readonly profile: string | null;
  /** How long more is sent than it can take, in seconds. */
  readonly overload: number;
  /** How many events wait before the service is there. */
  readonly backlog: number;
  /** What each branch may bring a second, and at once; null: as shipped. */
  readonly quota: { readonly perSecond: number; readonly burst: number } | null;
  /** How often what is compared with each other is measured turn about. */
  readonly rounds: number;
  /** How many events are stored before it is measured what changes by it. */
  readonly events: number;
  /** For how many minutes it takes as much as it can. */
  readonly soak: number;
}

export const HELP = `npm run bench -- [--seconds 60] [--warm-up 30] [--seed S] [--only PART,…] [--loads idle,10,50,90] [--json FILE] [--profile DIR]
                 [--overload 60] [--backlog 500000] [--quota PER_SECOND,BURST] [--rounds 3] [--events 5000000] [--soak 60]

Measures the built service with a real mosquitto and a real Postgres, both with the settings that are shipped, under the load of a plant of 200 sources and 50 batches.
Overload, backlog, flooder, shards and stored look for what it takes in a third of the time, and measure a third as long; the raw loop does in a ninth.
Needs mosquitto; node-red and dbos are installed from the registry, beside the bench, when they are measured first. What it is doing is told on standard error now and then; the table comes on standard output.

  --seconds   How long each figure is measured, with one CHECKPOINT in the middle. Default 60.
  --warm-up   How long a part runs before it is measured; before each load a sixth of that. Default 30.
  --seed      Deals the events. Default 1: the same events each time.
  --only      Only these parts: ${PARTS.join(", ")}. Default: all but soak.
  --loads     At what share of its capacity, in percent, latency is measured; idle: with one event now and then; none: not at all. Default idle,10,50,90.
  --overload  For how many seconds twice as much is sent as it takes. Default 60.
  --backlog   How many events wait at the broker while the service is away. Default 500000.
  --quota     What each branch may bring a second and at once, beside a flooder. Default: as the service is shipped.
  --rounds    How often the good sources are measured alone and beside a flooder, and how often each number of shards, the empty and the filled database, turn about. Default 3.
  --events    On top of how many stored events the service is held against an empty database. Default 5000000, which take some 25 GB and half an hour.
  --soak      For how many minutes as much is sent as it takes, by the part soak. Default 60, which take some 50 GB.
  --json      Writes what the table says, and more, to a file.
  --profile   Writes to this directory where time went, which costs some itself: the service's processor time for Chrome's or an editor's tools (.cpuprofile), and what each
              statement cost Postgres, those within functions too (statements.json; wants pg_stat_statements).

Exit: 0 measured; 1 something went wrong, or an event was not answered; 2 wrong usage.`;

export function parseOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "60" },
      "warm-up": { type: "string", default: "30" },
      seed: { type: "string", default: "1" },
      only: { type: "string", default: USUAL.join(",") },
      loads: { type: "string", default: "idle,10,50,90" },
      json: { type: "string" },
      profile: { type: "string" },
      overload: { type: "string", default: "60" },
      backlog: { type: "string", default: "500000" },
      quota: { type: "string" },
      rounds: { type: "string", default: "3" },
      events: { type: "string", default: "5000000" },
      soak: { type: "string", default: "60" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    seconds: positive("seconds", values.seconds),
    warmUp: positive("warm-up", values["warm-up"]),
    seed: positive("seed", values.seed),
    only: values.only.split(",").map((name) => {
      const part = PARTS.find((part) => part === name);
      if (part === undefined) throw new TypeError(`--only knows ${PARTS.join(", ")}, not ${name}`);
      return part;
    }),
    loads: values.loads === "none" ? [] : values.loads.split(",").map((load) => (load === "idle" ? 0 : positive("loads", load))),
    json: values.json ?? null,
    profile: values.profile === undefined ? null : resolve(values.profile),
    overload: positive("overload", values.overload),
    backlog: positive("backlog", values.backlog),
    quota: values.quota === undefined ? null : quotaOf(values.quota),
    rounds: positive("rounds", values.rounds),
    events: positive("events", values.events),
    soak: positive("soak", values.soak),
  };
}

function quotaOf(text: string): { readonly perSecond: number; readonly burst: number } {
  const [perSecond = "", burst = ""] = text.split(",");
  return { perSecond: positive("quota", perSecond), burst: positive("quota", burst) };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new TypeError(`--${name} is a number above zero, not ${text}`);
  return value;
}
