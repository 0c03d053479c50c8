import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMosquitto } from "../support/mosquitto.ts";
import { capacityOf, measured, type Subject } from "./capacity.ts";
import { startDatabase, statements } from "./database.ts";
import { Load, sleep } from "./load.ts";
import type { Cost } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";
import { type Delivery, SITE } from "./plan.ts";
import { type Ordered, orderBatches, registerPlant, startService } from "./service.ts";

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
  const { profile } = options;
  if (profile !== null) mkdirSync(profile, { recursive: true });
  const database = await startDatabase(profile !== null);
  const broker = await startMosquitto();
  const profiling = profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const service = await startService(database, broker, { PUBLISH_VERDICTS: publishVerdicts }, profiling);
  const load = await Load.start(broker.port, options.seed, "answers");
  const ordered = new Set<string>();
  let unanswered = 0;

  const subject: Subject = {
    load,
    database,
    pid: service.pid,
    others: () => ({ broker: broker.pid(), ...load.pids }),
    async prepare(count) {
      const wanted = (await load.prepare(count)).flatMap(({ type, kind, batch, cell }): Ordered[] =>
        type === "batch.start" && kind === "event" && !ordered.has(batch) ? [{ batch, cell }] : [],
      );
      for (const { batch } of wanted) ordered.add(batch);
      say(`${wanted.length} batches are ordered`);
      await orderBatches(service, wanted);
    },
    async drained() {
      const left = await load.drained();
      if (left.length > 0) say(`${left.length} are not answered, the first is ${JSON.stringify(left[0])}`);
      unanswered += left.length;
    },
    mark: async () => Number((await database.query(`select position from sites where site = '${SITE}'`))[0]?.["position"]),
    // what was decided and committed; a second round of an event is no other event
    async between(from, to) {
      const rows = await database.query(`select count(*) from signals where site = '${SITE}' and kind = 'event' and position > ${from} and position <= ${to}`);
      return Number(rows[0]?.["count"]);
    },
  };

  try {
    await registerPlant(service);
    const capacity = await capacityOf(subject, options, say, async () => {
      if (profile !== null) await database.query("select pg_stat_statements_reset()");
    });
    if (profile !== null) writeFileSync(join(profile, "statements.json"), `${JSON.stringify(await statements(database), null, 1)}\n`);
    const latencies: Latency[] = [];
    for (const share of options.loads) latencies.push(await latency(share, share === 0 ? IDLE : (capacity.eventsPerSecond * share) / 100));
    return { capacity, verdicts: await verdictsBy(), latencies, unanswered };
  } finally {
    await load.end();
    await service.stop();
    await broker.remove();
    await database.drop();
  }

  async function latency(share: number, rate: number): Promise<Latency> {
    const settling = options.warmUp / 6;
    await subject.prepare(rate * (settling + options.seconds + 2));
    say(`${share === 0 ? "idle" : `${share} %`}: ${Math.round(rate)} events a second`);
    const began = await load.open(rate);
    await sleep(settling * 1_000);
    const costs = await measured(subject, options.seconds);
    await subject.drained();
    const { outcomes } = await load.arrivals();
    const took = waits(load.planned, outcomes, { from: settling, to: settling + options.seconds, began, rate });
    return { load: share, eventsPerSecond: rate, cost: costs, ...percentiles(took) };
  }

  async function verdictsBy(): Promise<Record<string, number>> {
    const rows = await database.query(
      `select status || coalesce(' ' || code, '') || case when round > 1 then ', later round' else '' end as what, count(*)
        from verdicts where source is not null group by 1 order by 2 desc`,
    );
    return Object.fromEntries(rows.map(({ what, count }) => [String(what), Number(count)]));
  }
}

/** How long the outcomes of accepted events took that were to be sent in a time, from the moment at which each was to be sent. Seconds since it began; milliseconds. */
function waits(
  planned: readonly Delivery[],
  outcomes: Float64Array,
  { from, to, began, rate }: { readonly from: number; readonly to: number; readonly began: number; readonly rate: number },
): Float64Array {
  const took: number[] = [];
  for (let i = Math.ceil(from * rate); i < Math.min(planned.length, to * rate); i += 1) {
    const kind = planned[i]?.kind;
    const came = outcomes[i];
    if ((kind === "event" || kind === "early") && came !== undefined && came > 0) took.push(came - (began + (i / rate) * 1_000));
  }
  return Float64Array.from(took);
}
