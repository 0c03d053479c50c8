import type { Backlog } from "./backlog.ts";
import { columns, places } from "./columns.ts";
import type { Flooded } from "./flooder.ts";
import { decidingSeconds } from "./measure.ts";
import type { Overload } from "./overload.ts";
import type { Percentiles } from "./percentiles.ts";
import type { OfShards } from "./shards.ts";
import { drift, type Soak, STRETCH_SECONDS } from "./soak.ts";

// What was measured under more than there should be, for longer, and on more than one shard, in plain words.

const LATENCY = ["median", "99 %", "99.9 %", "longest"];
const waited = ({ p50, p99, p999, most }: Percentiles): string[] => [p50, p99, p999, most].map((ms) => places(ms, 1));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const answered = ({ unanswered, wrong }: { readonly unanswered: number; readonly wrong: readonly string[] }): string =>
  unanswered === 0 && wrong.length === 0 ? "everything that was sent is answered, and rightly" : [`${places(unanswered)} not answered`, ...wrong].join("; ");

export function ofOverload(overload: Overload): string[] {
  const { capacity, rate, seconds, decided, latency, drainedAfterSeconds, memoryMiB } = overload;
  return [
    `\nOverload: ${places(rate)} events a second for ${places(seconds)} s, where it takes ${places(capacity)}`,
    `decided meanwhile: ${places(decided)} a second; answered ${places(drainedAfterSeconds, 1)} s after the last was to be sent`,
    `the most memory of the service: ${places(memoryMiB.before)} MiB before, ${places(memoryMiB.after)} MiB afterwards`,
    answered(overload),
    "From the moment at which an event was to be sent until its outcome came, in milliseconds",
    columns([
      ["", ...LATENCY],
      ["meanwhile", ...waited(latency)],
    ]),
  ];
}

export function ofBacklog(backlog: Backlog): string[] {
  const { events, capacity, live, drained, share, seconds, latency, memoryMiB } = backlog;
  return [
    `\nBacklog: ${places(events)} events waited at the broker; ${places(live)} a second came meanwhile`,
    `drained at ${places(drained)} events a second: ${places(share * 100)} % of what it takes (${places(capacity.before)} before, ${places(capacity.after)} afterwards)`,
    `from the start of the service: first answer after ${places(seconds.first, 1)} s, the backlog after ${places(seconds.backlog, 1)} s, everything after ${places(seconds.all, 1)} s`,
    `the most memory: service ${places(memoryMiB.service)} MiB, broker ${places(memoryMiB.broker)} MiB`,
    answered(backlog),
    "From the moment at which an event was to be sent until its outcome came, in milliseconds",
    columns([
      ["", ...LATENCY],
      ["what came meanwhile", ...waited(latency)],
    ]),
  ];
}

export function ofFlooder(flooded: Flooded): string[] {
  const { capacity, good, flooder, alone, atOnce, beside, ratio, sent, leftOut, told, memoryMiB } = flooded;
  return [
    `\nFlooder: 100 good sources, ${places(good)} events a second where it takes ${places(capacity)}; one flooder with ${places(flooder)} messages a second`,
    `of ${places(sent)} messages of the flooder ${places(leftOut)} were left out, told of in ${places(told)} verdicts`,
    `99 % beside the flooder: ${places(ratio, 2)} times that alone`,
    `the most memory of the service: ${places(memoryMiB.before)} MiB before, ${places(memoryMiB.after)} MiB afterwards`,
    answered(flooded),
    "Of the good sources, from the moment at which an event was to be sent until its outcome came, in milliseconds",
    columns([
      ["", ...LATENCY],
      ["alone", ...waited(alone)],
      ["until the flooder's burst is used up", ...waited(atOnce)],
      ["beside the flooder", ...waited(beside)],
    ]),
  ];
}

export function ofShards({ settings, head }: OfShards): string[] {
  return [
    "\nShards: the same plant as so many sites, each a shard, as many events as it takes; the mean of all rounds",
    columns([
      ["shards", "processes", "standing by", "events/s", "services", "Postgres", "broker", "together", "log bytes", "most MiB"],
      ...settings.map(({ shards, processes, standingBy, costs }) => {
        const part = (name: string): number => mean(costs.map(({ processor }) => processor[name] ?? 0));
        return [
          String(shards),
          String(processes),
          String(standingBy),
          places(mean(costs.map(({ eventsPerSecond }) => eventsPerSecond))),
          ...["subject", "postgres", "broker"].map((name) => places(part(name), 3)),
          places(part("subject") + part("postgres") + part("broker"), 3),
          places(mean(costs.map(({ walBytes }) => walBytes ?? 0))),
          places(Math.max(...costs.map(({ memoryMiB }) => memoryMiB ?? 0))),
        ];
      }),
    ]),
    `one row moves on ${places(head.alone)} times a second by one connection, ${places(head.contended)} times by four that wait for each other`,
  ];
}

/** In so many lines. */
const LINES = 12;

export function ofSoak(soak: Soak): string[] {
  const { minutes, stretches } = soak;
  const { throughput, processor, memory } = drift(stretches);
  const each = Math.ceil(stretches.length / LINES);
  const lines = Array.from({ length: Math.ceil(stretches.length / each) }, (_, line) => ({
    first: line * each + 1,
    costs: stretches.slice(line * each, (line + 1) * each),
  }));
  return [
    `\nSoak: for ${places(minutes)} minutes as many events as it takes, in stretches of ${STRETCH_SECONDS} s`,
    columns([
      ["stretches", "events/s", "slowest", "processor s per 1,000", "log bytes", "most MiB so far"],
      ...lines.map(({ first, costs }) => [
        `${first} to ${first + costs.length - 1}`,
        places(mean(costs.map(({ eventsPerSecond }) => eventsPerSecond))),
        places(Math.min(...costs.map(({ eventsPerSecond }) => eventsPerSecond))),
        places(mean(costs.map(decidingSeconds)), 3),
        places(mean(costs.map(({ walBytes }) => walBytes ?? 0))),
        places(costs.at(-1)?.memoryMiB),
      ]),
    ]),
    `the last third to the first: ${places(throughput * 100)} % of the events a second, ${places(processor * 100)} % of the processor time, ${places(memory * 100)} % of the memory`,
    answered(soak),
  ];
}
