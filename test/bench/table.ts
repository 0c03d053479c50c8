import type { Cost } from "./measure.ts";
import type { OfService } from "./of-service.ts";

// What was measured, in plain words.

export interface Results {
  service?: OfService;
}

const places = (value: number, digits = 0): string => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")).join("\n");
}

function processorOf(cost: Cost, name: string): string {
  const seconds = cost.processor[name];
  return seconds === undefined ? "-" : places(seconds, 3);
}

export function table({ service }: Results): string {
  const parts: string[] = [];
  const rows: [string, Cost][] = [];
  if (service !== undefined) rows.push(["service", service.capacity]);
  parts.push(
    "As many as it takes: events a second, and processor seconds per 1,000 events",
    columns([
      ["", "events/s", "it", "Postgres", "broker", "generator", "subscriber", "log B/event", "syncs/event", "disk B/event", "MiB"],
      ...rows.map(([name, cost]) => [
        name,
        places(cost.eventsPerSecond),
        ...["subject", "postgres", "broker", "generator", "subscriber"].map((part) => processorOf(cost, part)),
        cost.walBytes === null ? "-" : places(cost.walBytes),
        cost.walSyncs === null ? "-" : places(cost.walSyncs, 4),
        cost.diskBytesInAll === null ? "-" : places(cost.diskBytesInAll),
        cost.memoryMiB === null ? "-" : places(cost.memoryMiB),
      ]),
    ]),
  );
  if (service !== undefined) {
    parts.push(
      "\nFrom the moment an event was to be sent until its outcome came, in milliseconds",
      columns([
        ["at so much of it", "events/s", "median", "99 %", "99.9 %", "longest", "processor s/1,000"],
        ...service.latencies.map(({ load, eventsPerSecond, p50, p99, p999, most, cost }) => [
          `${load} %`,
          places(eventsPerSecond),
          ...[p50, p99, p999, most].map((ms) => places(ms, 1)),
          places((cost.processor["subject"] ?? 0) + (cost.processor["postgres"] ?? 0), 3),
        ]),
      ]),
      "\nBytes on disk of each event, by table",
      columns(Object.entries(service.capacity.diskBytes ?? {}).map(([name, bytes]) => [name, places(bytes)])),
      "\nWhat became of them",
      columns(Object.entries(service.verdicts).map(([what, count]) => [what, places(count)])),
    );
  }
  return parts.join("\n");
}
