import { capacityOf } from "./capacity.ts";
import { sleep } from "./load.ts";
import type { BenchOptions } from "./options.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import { mostMemory } from "./processor.ts";
import { Stand } from "./stand.ts";
import { now } from "./wire.ts";
import { wrongAnswers } from "./wrong-answers.ts";

// What waited in the service's session at the broker while it was away, drained while the plant goes on. A broker hands a session on in the order in which it came: what is sent meanwhile
// stands behind the backlog.

export interface Backlog {
  readonly events: number;
  /** Of the same stand, before the service went away and after the backlog was drained. */
  readonly capacity: { readonly before: number; readonly after: number };
  /** Events a second that the plant sent meanwhile. */
  readonly live: number;
  /** Events a second of the backlog that were answered, from the first answer to the last. */
  readonly drained: number;
  /** Of the capacity, the mean of before and after. */
  readonly share: number;
  /** From the start of the service until the first answer, until the last of the backlog, and until everything was answered. */
  readonly seconds: { readonly first: number; readonly backlog: number; readonly all: number };
  /** Of what the plant sent meanwhile. */
  readonly latency: Percentiles;
  /** The most memory of the service, and of the broker. */
  readonly memoryMiB: { readonly service: number; readonly broker: number };
  readonly unanswered: number;
  readonly wrong: readonly string[];
}

/** What the plant sends meanwhile, of the capacity. */
const LIVE = 0.1;
/** As slow as it may be and still be drained before what the plant sends meanwhile is used up. */
const SLOWEST = 0.5;
const LOOK_MS = 500;

export async function backlog(options: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "backlog">, say: (text: string) => void): Promise<Backlog> {
  const stand = await Stand.start({ seed: options.seed }, say);
  const { load } = stand;
  try {
    const before = (await capacityOf(stand, options, say)).eventsPerSecond;
    const events = options.backlog;
    const live = before * LIVE;
    await stand.prepare(events + (events / before / SLOWEST) * live);
    await stand.stopService();
    say(`the service is stopped; ${events} events are sent`);
    await load.sendAtOnce(events);
    say(`${events} events wait at the broker`);

    const began = now();
    await stand.startService();
    const opened = await load.open(live);
    let told = 0;
    for (let reached = 0; reached < events; reached = await load.decided()) {
      await sleep(LOOK_MS);
      if (reached < told + events / 10) continue;
      told = reached;
      say(`${reached} of the backlog are decided`);
    }
    await stand.drained();
    const { outcomes, refusals } = await load.arrivals();
    const ofBacklog = outcomes.slice(0, events).filter((at) => at > 0);
    const [first, last] = [least(ofBacklog), most(ofBacklog)];
    const drained = events / ((last - first) / 1_000);
    const latency = percentiles(await load.waits(opened, opened.began, Number.POSITIVE_INFINITY));
    const memoryMiB = { service: stand.pids.reduce((sum, pid) => sum + mostMemory(pid), 0), broker: mostMemory(stand.broker.pid()) };
    const after = (await capacityOf(stand, options, say)).eventsPerSecond;
    return {
      events,
      capacity: { before, after },
      live,
      drained,
      share: drained / ((before + after) / 2),
      seconds: { first: (first - began) / 1_000, backlog: (last - began) / 1_000, all: (most([...outcomes, ...refusals]) - began) / 1_000 },
      latency,
      memoryMiB,
      unanswered: stand.unanswered,
      wrong: wrongAnswers(await load.sent(), await stand.verdicts()),
    };
  } finally {
    await stand.end();
  }
}

const least = (times: Iterable<number>): number => [...times].reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const most = (times: Iterable<number>): number => [...times].reduce((a, b) => Math.max(a, b), 0);
