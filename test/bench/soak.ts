import { capacityOf } from "./capacity.ts";
import { places } from "./columns.ts";
import { type Cost, decidingSeconds } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { Stand } from "./stand.ts";
import { wrongAnswers } from "./wrong-answers.ts";

// As many events as the service takes, for so long that what creeps is seen: slower, dearer or larger from one stretch to the next.

export interface Soak {
  readonly minutes: number;
  readonly stretches: readonly Cost[];
  readonly unanswered: number;
  readonly wrong: readonly string[];
}

/** Of each stretch so many seconds are measured. Between two, the next deliveries are made ready and their batches ordered, which takes some seconds. */
export const STRETCH_SECONDS = 60;
const WARM_UP_SECONDS = 2;

export async function soak({ seed, soak: minutes }: Pick<BenchOptions, "seed" | "soak">, say: (text: string) => void): Promise<Soak> {
  const stand = await Stand.start({ seed }, say);
  const until = performance.now() + minutes * 60_000;
  const stretches: Cost[] = [];
  try {
    while (performance.now() < until) {
      const cost = await capacityOf(stand, { warmUp: WARM_UP_SECONDS, seconds: STRETCH_SECONDS }, (text) => say(`stretch ${stretches.length + 1}: ${text}`));
      stretches.push(cost);
      say(`the service has held ${places(cost.memoryMiB)} MiB at the most`);
    }
    return { minutes, stretches, unanswered: stand.unanswered, wrong: wrongAnswers(await stand.load.sent(), await stand.verdicts()) };
  } finally {
    await stand.end();
  }
}

/** Of the last third of the stretches to the first third: events a second and processor time by their means, memory by the most. */
export function drift(stretches: readonly Cost[]): { readonly throughput: number; readonly processor: number; readonly memory: number } {
  const third = Math.max(1, Math.floor(stretches.length / 3));
  const [first, last] = [stretches.slice(0, third), stretches.slice(-third)];
  // as many in each, so the sums stand to each other as the means
  const ratio = (of: (cost: Cost) => number): number => last.reduce((sum, cost) => sum + of(cost), 0) / first.reduce((sum, cost) => sum + of(cost), 0);
  const most = (costs: readonly Cost[]): number => Math.max(...costs.map(({ memoryMiB }) => memoryMiB ?? 0));
  return { throughput: ratio(({ eventsPerSecond }) => eventsPerSecond), processor: ratio(decidingSeconds), memory: most(last) / most(first) };
}
