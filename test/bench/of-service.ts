import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMosquitto } from "../support/mosquitto.ts";
import { startDatabase, statements } from "./database.ts";
import { Load, sleep } from "./load.ts";
import { type Cost, cost, moment, type Rig } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import { type Delivery, SITE } from "./plan.ts";
import { type Ordered, orderBatches, registerPlant, startService } from "./service.ts";

// The service itself: how much it can take, and how long an answer takes at a part of that.

export interface Latency extends Percentiles {
  /** Of the capacity, in percent. */
  readonly load: number;
  readonly eventsPerSecond: number;
  readonly cost: Cost;
}

export interface OfService {
  readonly capacity: Cost;
  /** What became of the deliveries, by status and code. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly messagesPerEvent: number;
  readonly latencies: readonly Latency[];
  readonly unanswered: number;
}

/** So many deliveries are enough to know about how many a second it can take. */
const FIRST = 6_000;
/** More than it is thought to take, lest they run out. */
const SPARE = 1.6;

export async function ofService(options: BenchOptions, publishVerdicts: "refusals" | "all", say: (text: string) => void): Promise<OfService> {
  const { profile } = options;
  if (profile !== null) mkdirSync(profile, { recursive: true });
  const database = await startDatabase(profile !== null);
  const broker = await startMosquitto();
  const service = await startService(
    database,
    broker,
    { PUBLISH_VERDICTS: publishVerdicts },
    profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`],
  );
  const load = await Load.start(broker.port, options.seed, "answers");
  const rig: Rig = { load, broker, database, subject: service };
  const ordered = new Set<string>();
  let unanswered = 0;

  async function prepare(count: number): Promise<void> {
    const wanted = (await load.prepare(Math.ceil(count))).flatMap(({ type, kind, batch, cell }): Ordered[] =>
      type === "batch.start" && kind === "event" && !ordered.has(batch) ? [{ batch, cell }] : [],
    );
    for (const { batch } of wanted) ordered.add(batch);
    say(`${wanted.length} batches are ordered`);
    await orderBatches(service, wanted);
  }

  async function drained(): Promise<void> {
    const left = await load.drained();
    if (left.unanswered.length > 0) say(`not answered: ${left.unanswered.length}, the first is ${JSON.stringify(left.unanswered[0])}`);
    if (left.refusedByBroker > 0) throw new Error(`the broker refused ${left.refusedByBroker} messages`);
    unanswered += left.unanswered.length;
  }

  const position = async (): Promise<number> => Number((await database.query(`select position from sites where site = '${SITE}'`))[0]?.["position"]);
  /** The deliveries that were decided and committed behind one position up to another. */
  const decided = async (from: number, to: number): Promise<number> =>
    Number(
      (await database.query(`select count(*) from signals where site = '${SITE}' and kind = 'event' and position > ${from} and position <= ${to}`))[0]?.[
        "count"
      ],
    );

  /** What a time of load costs, with a checkpoint in its middle. */
  async function measured(): Promise<Cost> {
    const [before, from] = [await moment(rig), await position()];
    await sleep(options.seconds * 500);
    await database.query("checkpoint");
    await sleep(Math.max(0, options.seconds * 500));
    const [after, to] = [await moment(rig), await position()];
    return cost(rig, before, after, await decided(from, to));
  }

  try {
    await registerPlant(service);
    await prepare(FIRST);
    const began = performance.now();
    await load.flood(() => true);
    await drained();
    const roughly = FIRST / ((performance.now() - began) / 1_000);
    say(`it takes about ${Math.round(roughly)} events a second`);

    await prepare(roughly * SPARE * (options.warmUp + options.seconds + 5));
    let over = false;
    const flooding = load.flood(() => !over);
    await sleep(options.warmUp * 1_000);
    await load.subscriber.ask("forget");
    if (profile !== null) await database.query("select pg_stat_statements_reset()");
    const capacity = await measured();
    const { outcomes, verdicts } = await load.subscriber.ask<{ readonly outcomes: number; readonly verdicts: number }>("progress");
    over = true;
    if (!(await flooding)) throw new Error("the events ran out");
    say(`${Math.round(capacity.eventsPerSecond)} events a second`);
    if (profile !== null) writeFileSync(join(profile, "statements.json"), `${JSON.stringify(await statements(database), null, 1)}\n`);
    await drained();

    const latencies: Latency[] = [];
    for (const share of options.loads) latencies.push(await latency(share, (capacity.eventsPerSecond * share) / 100));
    return { capacity, verdicts: await verdictsBy(), messagesPerEvent: (outcomes + verdicts) / capacity.events, latencies, unanswered };
  } finally {
    await load.end();
    await service.stop();
    await broker.remove();
    await database.drop();
  }

  async function latency(share: number, rate: number): Promise<Latency> {
    const settling = options.warmUp / 6;
    await prepare(rate * (settling + options.seconds + 2));
    say(`${share} %: ${Math.round(rate)} events a second`);
    const began = await load.open(rate);
    await sleep(settling * 1_000);
    const costs = await measured();
    const planned = load.planned;
    await drained();
    const { outcomes } = await load.arrivals();
    const from = Math.ceil(settling * rate);
    const to = Math.min(planned.length, Math.floor((settling + options.seconds) * rate));
    return { load: share, eventsPerSecond: rate, cost: costs, ...percentiles(waits(planned, outcomes, from, to, began, rate)) };
  }

  async function verdictsBy(): Promise<Record<string, number>> {
    const rows = await database.query(
      "select status || coalesce(' ' || code, '') || case when round > 1 then ', later round' else '' end as what, count(*) from verdicts where source is not null group by 1 order by 2 desc",
    );
    return Object.fromEntries(rows.map(({ what, count }) => [String(what), Number(count)]));
  }
}

/** How long the outcomes of accepted events took, from the moment at which each was meant to be sent. */
function waits(planned: readonly Delivery[], outcomes: Float64Array, from: number, to: number, began: number, rate: number): Float64Array {
  const took: number[] = [];
  for (let i = from; i < to; i += 1) {
    const kind = planned[i]?.kind;
    const came = outcomes[i];
    if ((kind === "event" || kind === "early") && came !== undefined && came > 0) took.push(came - (began + (i / rate) * 1_000));
  }
  return Float64Array.from(took);
}
