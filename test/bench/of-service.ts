import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capacityOf, measured } from "./capacity.ts";
import { statements } from "./database.ts";
import { sleep } from "./load.ts";
import type { Cost } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import { Stand } from "./stand.ts";

// The service itself: how much it can take, and how long an answer takes at a part of that.

export interface Latency extends Percentiles {
  /** Of the capacity, in percent; 0: nearly nothing. */
  readonly load: number;
  readonly eventsPerSecond: number;
  readonly cost: Cost;
}

export interface OfService {
  readonly capacity: Cost;
  /** What became of the deliveries, by status and code. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly latencies: readonly Latency[];
  /** Events that were sent and not answered: there must be none. */
  readonly unanswered: number;
}

/** Events a second, where there is nearly nothing to do. */
const IDLE = 5;

export async function ofService(
  options: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "loads" | "profile">,
  publishVerdicts: "refusals" | "all",
  say: (text: string) => void,
): Promise<OfService> {
  const { profile, seed } = options;
  if (profile !== null) mkdirSync(profile, { recursive: true });
  const nodeOptions = profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const stand = await Stand.start({ seed, settings: { PUBLISH_VERDICTS: publishVerdicts }, nodeOptions, profiled: profile !== null }, say);
  try {
    const capacity = await capacityOf(stand, options, say, async () => {
      if (profile !== null) await stand.database.query("select pg_stat_statements_reset()");
    });
    if (profile !== null) writeFileSync(join(profile, "statements.json"), `${JSON.stringify(await statements(stand.database), null, 1)}\n`);
    const latencies: Latency[] = [];
    for (const share of options.loads) latencies.push(await latency(share, share === 0 ? IDLE : (capacity.eventsPerSecond * share) / 100));
    return { capacity, verdicts: await stand.verdicts(), latencies, unanswered: stand.unanswered };
  } finally {
    await stand.end();
  }

  async function latency(share: number, rate: number): Promise<Latency> {
    const settling = options.warmUp / 6;
    await stand.prepare(rate * (settling + options.seconds + 2));
    say(`${share === 0 ? "idle" : `${share} %`}: ${Math.round(rate)} events a second`);
    const opened = await stand.load.open(rate);
    await sleep(settling * 1_000);
    const costs = await measured(stand, options.seconds);
    await stand.drained();
    const from = opened.began + settling * 1_000;
    return { load: share, eventsPerSecond: rate, cost: costs, ...percentiles(await stand.load.waits(opened, from, from + options.seconds * 1_000)) };
  }
}
