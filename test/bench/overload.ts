import { capacityOf } from "./capacity.ts";
import { sleep } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import { mostMemory } from "./processor.ts";
import { Stand } from "./stand.ts";
import { now } from "./wire.ts";
import { wrongAnswers } from "./wrong-answers.ts";

// More than the service can take, for a time: what waits, for how long, in how much memory, and whether anything is lost.

export interface Overload {
  readonly capacity: number;
  /** Events a second that were sent. */
  readonly rate: number;
  readonly seconds: number;
  /** Events a second that were decided meanwhile. */
  readonly decided: number;
  readonly latency: Percentiles;
  /** From the moment at which the last was to be sent until everything was answered. */
  readonly drainedAfterSeconds: number;
  /** The most memory of the service, before and afterwards. */
  readonly memoryMiB: { readonly before: number; readonly after: number };
  readonly unanswered: number;
  readonly wrong: readonly string[];
}

const TIMES = 2;

export async function overload(options: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "overload">, say: (text: string) => void): Promise<Overload> {
  const stand = await Stand.start({ seed: options.seed }, say);
  const memory = (): number => stand.pids.reduce((sum, pid) => sum + mostMemory(pid), 0);
  try {
    const capacity = (await capacityOf(stand, options, say)).eventsPerSecond;
    const rate = TIMES * capacity;
    const seconds = options.overload;
    await stand.prepare(rate * seconds);
    say(`${Math.round(rate)} events a second for ${seconds} s`);
    const before = memory();
    const from = await stand.mark();
    const opened = await stand.load.open(rate);
    await sleep(seconds * 1_000);
    const [at, to] = [now(), await stand.mark()];
    const decided = (await stand.between(from, to)) / ((at - opened.began) / 1_000);
    await stand.drained();
    const { outcomes, refusals } = await stand.load.arrivals();
    const last = [outcomes, refusals].reduce((most, times) => times.reduce((a, b) => Math.max(a, b), most), 0);
    return {
      capacity,
      rate,
      seconds,
      decided,
      latency: percentiles(await stand.load.waits(opened, opened.began, Number.POSITIVE_INFINITY)),
      drainedAfterSeconds: (last - opened.began) / 1_000 - seconds,
      memoryMiB: { before, after: memory() },
      unanswered: stand.unanswered,
      wrong: wrongAnswers(await stand.load.sent(), await stand.verdicts()),
    };
  } finally {
    await stand.end();
  }
}
