import type { Backlog } from "./backlog.ts";
import { columns, places } from "./columns.ts";
import type { Transactions } from "./comparisons.ts";
import type { Flooded } from "./flooder.ts";
import { type Cost, decidingSeconds } from "./measure.ts";
import type { OfService } from "./of-service.ts";
import type { Overload } from "./overload.ts";
import type { OfShards } from "./shards.ts";
import type { Soak } from "./soak.ts";
import { type OfStored, ratioOf, tellStored } from "./stored.ts";
import { ofBacklog, ofFlooder, ofOverload, ofShards, ofSoak } from "./under-stress.ts";

// What was measured, in plain words. Nothing in it is known beforehand.

export interface Results {
  readonly service?: OfService;
  /** The same with a message for every verdict, not for refusals alone. */
  readonly allVerdicts?: OfService;
  readonly rawLoop?: Cost;
  readonly passThrough?: Cost;
  readonly obvious?: Cost;
  readonly transactions?: Transactions;
  readonly nodeRed?: Cost;
  readonly dbos?: Cost;
  readonly overload?: Overload;
  readonly backlog?: Backlog;
  readonly flooded?: Flooded;
  readonly shards?: OfShards;
  readonly stored?: OfStored;
  readonly soak?: Soak;
}

/** How the rows stand to each other; null: one of the two was not measured. */
export interface Ratios {
  /** Of what the pass-through takes. It counts only where that is at least a fifth of the raw loop. */
  readonly ofPassThrough: number | null;
  readonly passThroughOfRawLoop: number | null;
  /** Times what the obvious consumer takes. It counts only where that lies within 30 % of its transactions alone. */
  readonly timesObvious: number | null;
  readonly obviousOfTransactions: number | null;
  /** Of service and Postgres together, per 1,000 events. */
  readonly processorSeconds: number | null;
}

export function ratios({ service, rawLoop, passThrough, obvious, transactions }: Results): Ratios {
  const ratio = (a: Cost | undefined, b: Cost | undefined): number | null =>
    a === undefined || b === undefined ? null : a.eventsPerSecond / b.eventsPerSecond;
  return {
    ofPassThrough: ratio(service?.capacity, passThrough),
    passThroughOfRawLoop: ratio(passThrough, rawLoop),
    timesObvious: ratio(service?.capacity, obvious),
    obviousOfTransactions: ratio(obvious, transactions),
    processorSeconds: service === undefined ? null : decidingSeconds(service.capacity),
  };
}

/** The figures by which it is told whether what was promised is met. */
export function figures(results: Results): readonly (readonly [name: string, figure: string])[] {
  const { service, transactions, flooded, backlog, stored } = results;
  const { ofPassThrough, passThroughOfRawLoop, timesObvious, obviousOfTransactions, processorSeconds } = ratios(results);
  const at = (load: number) => service?.latencies.find((latency) => latency.load === load);
  const all: readonly (readonly [string, number | null | undefined, number])[] = [
    ["events", service?.capacity.eventsPerSecond, 0],
    ["of-pass-through", ofPassThrough, 3],
    ["pass-through-of-raw-loop", passThroughOfRawLoop, 3],
    ["times-obvious", timesObvious, 2],
    ["obvious-of-transactions", obviousOfTransactions, 3],
    ["bare-commit-ms", transactions?.bareCommitMs, 3],
    ["processor-seconds", processorSeconds, 3],
    ["p99-at-half-ms", at(50)?.p99, 1],
    ["memory-mib", service?.capacity.memoryMiB, 0],
    ["idle-median-ms", at(0)?.p50, 1],
    ["unanswered", service?.unanswered, 0],
    ["flooded.p99", flooded?.ratio, 2],
    ["flooded.memory", flooded?.memoryMiB.after, 0],
    ["flooded.memory-before", flooded?.memoryMiB.before, 0],
    ["backlog.rate", backlog?.share, 3],
    ["backlog.events", backlog?.events, 0],
    ["stored.throughput", stored === undefined ? null : ratioOf(stored).throughput, 3],
    ["stored.page", stored?.pages[0]?.p99, 1],
  ];
  return all.flatMap(([name, value, digits]) => (value == null ? [] : [[name, value.toFixed(digits)] as const]));
}

export function table(results: Results): string {
  const { service, allVerdicts, rawLoop, passThrough, obvious, transactions, nodeRed, dbos } = results;
  const rows: readonly (readonly [string, Cost | undefined])[] = [
    ["service", service?.capacity],
    ["service, a message for every verdict", allVerdicts?.capacity],
    ["pass-through: stores the same rows, decides nothing", passThrough],
    ["obvious consumer: one transaction for each message", obvious],
    ["its transactions alone, without a broker", transactions],
    ["Node-RED: acknowledges what comes, stores the same rows; no order, nothing is decided", nodeRed],
    ["DBOS: a durable workflow for each message, stores the same rows; no order, nothing is decided", dbos],
    ["raw loop: generator, broker, subscriber", rawLoop],
  ];
  const measured = rows.flatMap(([name, cost]) => (cost === undefined ? [] : [{ name, cost }]));
  const parts =
    measured.length === 0
      ? []
      : [
          "As many as it takes: decided and durable events a second; processor seconds per 1,000 events; the rest for each event",
          columns([
            ["", "events/s", "itself", "Postgres", "broker", "generator", "subscriber", "log bytes", "syncs", "disk bytes", "most MiB"],
            ...measured.map(({ name, cost }) => [
              name,
              places(cost.eventsPerSecond),
              ...["subject", "postgres", "broker", "generator", "subscriber"].map((part) => places(cost.processor[part], 3)),
              places(cost.walBytes),
              places(cost.walSyncs, 4),
              places(cost.diskBytesInAll),
              places(cost.memoryMiB),
            ]),
          ]),
        ];
  if (service !== undefined) parts.push(...ofService(service));
  const { ofPassThrough, passThroughOfRawLoop, timesObvious, obviousOfTransactions, processorSeconds } = ratios(results);
  const percent = (ratio: number): string => `${places(ratio * 100)} %`;
  if (processorSeconds !== null) parts.push("", `service and Postgres together: ${places(processorSeconds, 3)} processor seconds per 1,000 events`);
  if (ofPassThrough !== null) parts.push(`service to pass-through: ${percent(ofPassThrough)}`);
  if (passThroughOfRawLoop !== null)
    parts.push(
      `pass-through to raw loop: ${percent(passThroughOfRawLoop)}${passThroughOfRawLoop < 0.2 ? "; less than a fifth, so nothing is to be held against it" : ""}`,
    );
  if (timesObvious !== null) parts.push(`service to obvious consumer: ${places(timesObvious, 1)} times`);
  if (obviousOfTransactions !== null)
    parts.push(
      `obvious consumer to its transactions alone: ${percent(obviousOfTransactions)}${obviousOfTransactions < 0.7 ? "; more than 30 % less, so it is no fair one" : ""}`,
    );
  if (transactions !== undefined) parts.push(`a commit of one row: ${places(transactions.bareCommitMs, 2)} ms`);
  const { overload, backlog, flooded, shards, stored, soak } = results;
  if (overload !== undefined) parts.push(...ofOverload(overload));
  if (backlog !== undefined) parts.push(...ofBacklog(backlog));
  if (flooded !== undefined) parts.push(...ofFlooder(flooded));
  if (shards !== undefined) parts.push(...ofShards(shards));
  if (stored !== undefined) parts.push(...tellStored(stored));
  if (soak !== undefined) parts.push(...ofSoak(soak));
  return parts.join("\n");
}

function ofService({ capacity, latencies, verdicts, unanswered }: OfService): string[] {
  return [
    ...(latencies.length === 0
      ? []
      : [
          "\nFrom the moment at which an event was to be sent until its outcome came, in milliseconds, at a part of what the service takes",
          columns([
            ["", "events/s", "median", "99 %", "99.9 %", "longest", "processor s per 1,000"],
            ...latencies.map(({ load, eventsPerSecond, p50, p99, p999, most, cost }) => [
              load === 0 ? "idle" : `${load} %`,
              places(eventsPerSecond),
              ...[p50, p99, p999, most].map((ms) => places(ms, 1)),
              places(decidingSeconds(cost), 3),
            ]),
          ]),
        ]),
    "\nBytes on disk for each event of the service, by table with its indexes",
    columns(Object.entries(capacity.diskBytes ?? {}).map(([name, bytes]) => [name, places(bytes)])),
    "\nWhat became of all that was sent to the service",
    columns([...Object.entries(verdicts).map(([what, count]) => [what, places(count)]), ["not answered", places(unanswered)]]),
  ];
}
