const number = (seen, name) => Number(seen.get(name));

export const checks = [
  {
    // the ratios count only where the pass-through comes to a fifth of the raw loop, and the obvious consumer within 30 % of its transactions alone
    required:
      "At least 70 % of the pass-through and 8 times the obvious consumer (5 times where a bare commit takes under 0.3 ms); service and Postgres together at most 0.20 processor seconds per 1,000 events; p99 under 100 ms at half capacity; service memory under 300 MiB.",
    command: "npm run --silent bench -- --loads 50 --only service,raw-loop,pass-through,obvious,transactions",
    figures: [
      "of-pass-through",
      "pass-through-of-raw-loop",
      "times-obvious",
      "obvious-of-transactions",
      "bare-commit-ms",
      "processor-seconds",
      "p99-at-half-ms",
      "memory-mib",
      "events",
    ],
    holds: (seen) =>
      number(seen, "pass-through-of-raw-loop") >= 0.2 &&
      number(seen, "of-pass-through") >= 0.7 &&
      number(seen, "obvious-of-transactions") >= 0.7 &&
      number(seen, "times-obvious") >= (number(seen, "bare-commit-ms") < 0.3 ? 5 : 8) &&
      number(seen, "processor-seconds") <= 0.2 &&
      number(seen, "p99-at-half-ms") < 100 &&
      number(seen, "memory-mib") < 300,
  },
  {
    required: "Idle publish-to-outcome median under 10 ms.",
    command: "npm run --silent bench -- --loads idle --only service --seconds 20 --warm-up 10",
    figures: ["idle-median-ms"],
    holds: (seen) => number(seen, "idle-median-ms") < 10,
  },
  {
    required: "With 5 million stored events, throughput within 10 % of the empty database's; first page of every filter under 100 ms.",
    command: "npm run --silent bench -- --only stored --events 5000000",
    // events a second to those of the empty database; the 99th of a hundred requests for the slowest of the pages, in milliseconds
    figures: ["stored.throughput", "stored.page"],
    holds: (seen) => number(seen, "stored.throughput") >= 0.9 && number(seen, "stored.page") < 100,
  },
  {
    required: "Beside one flooder, 100 good sources keep p99 within three times; memory bounded; the backlog drains at 80 % of capacity or better.",
    // bounded: a flood, however long, costs at most a fifth of what full load had cost before; an event that is lost or wrongly answered makes the command fail
    command: "npm run --silent bench -- --only flooder,backlog",
    figures: ["flooded.p99", "flooded.memory", "flooded.memory-before", "backlog.rate", "backlog.events"],
    holds: (seen) =>
      number(seen, "flooded.p99") <= 3 &&
      number(seen, "flooded.memory") <= 1.2 * number(seen, "flooded.memory-before") &&
      number(seen, "backlog.events") >= 500_000 &&
      number(seen, "backlog.rate") >= 0.8,
  },
];
