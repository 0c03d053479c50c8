import { type Load, sleep, UNDER_WAY } from "./load.ts";
import { type Cost, cost, type Measured, moment } from "./measure.ts";
import type { BenchOptions } from "./options.ts";

// How many events a second something takes: the load has a bounded number of them under way, and sends one more for each that was answered.

export type Mark = Readonly<Record<string, number>>;

export interface Subject extends Measured {
  readonly load: Load;
  /** Makes so many deliveries ready. */
  prepare(count: number): Promise<void>;
  /** Until everything that was sent is answered. */
  drained(): Promise<void>;
  /** A place in the order of what is done, in each of the orders there are: how many events lie between two of them is asked later. */
  mark(): Promise<Mark>;
  between(from: Mark, to: Mark): Promise<number>;
}

/** So many deliveries, or what it takes in a second where that is more, are enough to know about how many a second it can take. */
const FIRST = 3_000;
const FIRST_SECONDS = 1;
/** More than it is thought to take, lest they run out. */
const SPARE = 2.5;

export async function capacityOf(
  subject: Subject,
  { warmUp, seconds }: Pick<BenchOptions, "warmUp" | "seconds">,
  say: (text: string) => void,
  warm: () => Promise<void> = async () => {},
): Promise<Cost> {
  const roughly = await roughlyOf(subject);
  say(`about ${Math.round(roughly)} events a second`);

  await subject.prepare(UNDER_WAY + roughly * SPARE * (warmUp + seconds + 5));
  let over = false;
  const flooding = subject.load.flood(() => !over);
  await sleep(warmUp * 1_000);
  await warm();
  const capacity = await measured(subject, seconds);
  over = true;
  if (!(await flooding)) throw new Error("the events ran out");
  await subject.drained();
  say(`${Math.round(capacity.eventsPerSecond)} events a second`);
  return capacity;
}

async function roughlyOf(subject: Subject): Promise<number> {
  for (let count = FIRST; ; ) {
    await subject.prepare(count);
    const began = performance.now();
    await subject.load.flood(() => true);
    await subject.drained();
    const seconds = (performance.now() - began) / 1_000;
    const rate = subject.load.planned.length / seconds;
    if (seconds >= FIRST_SECONDS) return rate;
    count = Math.ceil(rate * FIRST_SECONDS * 2);
  }
}

/** What a time under load costs, with a checkpoint in its middle. */
export async function measured(subject: Subject, seconds: number): Promise<Cost> {
  const [before, from] = [await moment(subject), await subject.mark()];
  await sleep(seconds * 500);
  // not waited for: it takes as long as it takes
  const checkpoint = subject.database?.query("checkpoint");
  await sleep(seconds * 500);
  const [after, to] = [await moment(subject), await subject.mark()];
  await checkpoint;
  return cost(subject, before, after, await subject.between(from, to));
}
