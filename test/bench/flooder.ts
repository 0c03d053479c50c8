import { start } from "./answering.ts";
import { capacityOf } from "./capacity.ts";
import { type Opened, sleep } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import { CELLS, flood, sourceName } from "./plan.ts";
import { mostMemory } from "./processor.ts";
import { Stand } from "./stand.ts";
import { now } from "./wire.ts";
import { wrongAnswers } from "./wrong-answers.ts";

// A hundred good sources at a steady load, alone and beside one that sends far more than its quota, turn about.

export interface Flooded {
  readonly capacity: number;
  /** Events a second of the good sources. */
  readonly good: number;
  /** Messages a second of the flooder. */
  readonly flooder: number;
  /** Of the good sources: alone; while the flooder still has what it may bring at once; and beyond that. */
  readonly alone: Percentiles;
  readonly atOnce: Percentiles;
  readonly beside: Percentiles;
  /** The 99th of a hundred beside the flooder, in times of that alone. */
  readonly ratio: number;
  /** Messages of the flooder: sent; left out; and the verdicts that tell of those. */
  readonly sent: number;
  readonly leftOut: number;
  readonly told: number;
  /** The most memory of the service, before the first flood and after the last. */
  readonly memoryMiB: { readonly before: number; readonly after: number };
  readonly unanswered: number;
  readonly wrong: readonly string[];
}

/** What the good sources send, of the capacity. */
const GOOD = 0.25;
const FLOODER = 5_000;
const FLOODING = sourceName(flood().next().value);
const LOOK_MS = 250;
/** How long it may take until a flood is left out, and what it held up is answered. */
const PATIENCE_MS = 30_000;

export async function flooded(options: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "rounds" | "quota">, say: (text: string) => void): Promise<Flooded> {
  const { seed, seconds, rounds, warmUp, quota } = options;
  const settings = quota === null ? {} : { QUOTA_PER_SECOND: String(quota.perSecond), QUOTA_BURST: String(quota.burst) };
  const stand = await Stand.start({ seed, settings, sending: { cells: CELLS / 2 } }, say);
  const { load } = stand;
  const flooder = await start("./generator.js", [String(stand.broker.port), "null"]);
  const memory = (): number => stand.pids.reduce((sum, pid) => sum + mostMemory(pid), 0);
  const leftOut = async (): Promise<number> => {
    const metrics = await (await fetch(`${stand.services[0]?.url}/metrics`)).text();
    return Number(/^signalbox_left_out_total\{branch="event"\} (\d+)/m.exec(metrics)?.[1] ?? 0);
  };
  /** Until the good sources wait no longer than a second for their answers, or as long as it may take at most. */
  const settled = async (): Promise<void> => {
    for (const from = now(); now() - from < PATIENCE_MS && (await load.underWay()) > good; ) await sleep(LOOK_MS);
  };
  let good = 0;
  try {
    // it knows whose quota is whose as it starts: branches that it learns of later share one until then
    await stand.stopService();
    await stand.startService();
    const capacity = (await capacityOf(stand, options, say)).eventsPerSecond;
    good = capacity * GOOD;
    const windows = { alone: [] as Window[], atOnce: [] as Window[], beside: [] as Window[] };
    await stand.prepare(good * rounds * (2 * seconds + warmUp + (3 * PATIENCE_MS) / 1_000));
    const before = memory();
    const opened = await load.open(good);
    await sleep((warmUp / 6) * 1_000);
    let sent = 0;
    for (let round = 1; round <= rounds; round += 1) {
      say(`round ${round}: ${Math.round(good)} events a second, alone`);
      windows.alone.push(await window(seconds * 1_000));
      await flooder.ask("encode", { count: FLOODER * (seconds + (2 * PATIENCE_MS) / 1_000) });
      say(`round ${round}: beside ${FLOODER} messages a second of a flooder`);
      const known = await leftOut();
      const from = now();
      await flooder.ask("open", { rate: FLOODER });
      while ((await leftOut()) === known && now() - from < PATIENCE_MS) await sleep(LOOK_MS);
      windows.atOnce.push({ from, to: now() });
      say(`round ${round}: it is left out after ${((now() - from) / 1_000).toFixed(1)} s`);
      await settled();
      windows.beside.push(await window(seconds * 1_000));
      await flooder.ask("stop");
      sent += (await flooder.ask<{ readonly sent: number }>("counts")).sent;
      await settled();
      await sleep((warmUp / 6) * 1_000);
    }
    await stand.drained();
    const alone = percentiles(await waited(opened, windows.alone));
    const beside = percentiles(await waited(opened, windows.beside));
    const [told] = await stand.database.query("select count(*) from verdicts where code = 'SYS_RATE_LIMITED'");
    return {
      capacity,
      good,
      flooder: FLOODER,
      alone,
      atOnce: percentiles(await waited(opened, windows.atOnce)),
      beside,
      ratio: beside.p99 / alone.p99,
      sent,
      leftOut: await leftOut(),
      told: Number(told?.["count"]),
      memoryMiB: { before, after: memory() },
      unanswered: stand.unanswered,
      wrong: wrongAnswers(await load.sent(), await stand.verdicts(FLOODING)),
    };
  } finally {
    await flooder.end();
    await stand.end();
  }

  async function waited(opened: Opened, windows: readonly Window[]): Promise<Float64Array> {
    const waits: number[] = [];
    for (const { from, to } of windows) for (const wait of await load.waits(opened, from, to)) waits.push(wait);
    return Float64Array.from(waits);
  }
}

interface Window {
  readonly from: number;
  readonly to: number;
}

async function window(ms: number): Promise<Window> {
  const from = now();
  await sleep(ms);
  return { from, to: now() };
}
