// `npm run seeds`: plays seeds and judges what was seen from outside. Ends with 1 when any fails.
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { measured } from "../../support/measure.ts";
import { FAULTS } from "./faults.ts";
import { type Plan, planOf } from "./plan.ts";
import { inWords, shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";
import { add, count, emptyTally, figures, type Tally } from "./tally.ts";

const HELP = `npm run seeds -- [--count N] [--from SEED] [--workers N] [--stop-at N] [--json FILE]

Plays N seeds (100) beginning with SEED (1). Each seed is a plant of its own: five sources, two batches, two replicas of the service, about 200
deliveries and 5 to 8 faults, under a virtual clock; what devices, MES and readers saw is then held against every invariant.

  --from SEED     begin here; runs over adjoining ranges add up. Interrupted, it ends with the seeds that have begun, and says where to go on
  --workers N     threads (as many as processors)
  --stop-at N     end once N seeds have failed (1)
  --json FILE     also write the figures there
  --show SEED     print what is played under a seed, and what was found, and make a failing one smaller
`;
/** A seed leaves much behind, and all of it at once: room for it saves a tenth of the processor's time. */
const YOUNG_MB = 48;

/** Below this, a crash point or fault counts as not tried. */
const WANTED_HITS = 100;
const WANTED_POINTS = Array.from({ length: 20 }, (_, n) => `C${n}`);

async function play(seed: number): Promise<Tally> {
  const tally = emptyTally();
  count(tally, await simulate(planOf(seed)));
  return tally;
}

async function show(seed: number): Promise<number> {
  const plan = planOf(seed);
  const { findings, points } = await simulate(plan);
  console.log(inWords({ ...plan, beats: [], sends: [] }));
  console.log(`crash points hit: ${[...points].map(([name, times]) => `${name} ${times}`).join(", ") || "none"}`);
  for (const { invariant, what } of findings.slice(0, 20)) console.log(`${invariant}: ${what}`);
  const first = findings[0];
  if (first === undefined) {
    console.log("nothing found");
    return 0;
  }
  const fails = async (candidate: Plan): Promise<boolean> => (await simulate(candidate)).findings.some(({ invariant }) => invariant === first.invariant);
  console.log(`\nmade smaller, with the same failure (${first.invariant}):\n${inWords(await shrink(plan, fails))}`);
  return 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      workers: { type: "string", default: String(availableParallelism()) },
      "stop-at": { type: "string", default: "1" },
      json: { type: "string" },
      show: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.show !== undefined) return show(Number(values.show));
  const [from, total, workers, stopAt] = [values.from, values.count, values.workers, values["stop-at"]].map(Number);
  if (
    ![from, total, workers, stopAt].every((n) => Number.isSafeInteger(n) && (n ?? -1) >= 0) ||
    from === undefined ||
    total === undefined ||
    workers === undefined ||
    stopAt === undefined
  ) {
    console.error(HELP);
    return 2;
  }
  const tally = emptyTally();
  const began = performance.now();
  let next = from;
  let end = from + total;
  let told = began;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => (end = next));
  const seconds = (): number => (performance.now() - began) / 1_000;
  await Promise.all(
    Array.from({ length: Math.max(1, workers) }, () => {
      const worker = new Worker(new URL(import.meta.url), { workerData: "plays", resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
      return new Promise<void>((resolve, reject) => {
        const give = (): void => {
          if (next >= end || tally.failing.length >= stopAt) {
            void worker.terminate().then(() => resolve());
            return;
          }
          worker.postMessage(next);
          next += 1;
        };
        worker.on("error", reject);
        worker.on("message", (played: Tally) => {
          add(tally, played);
          if (performance.now() - told > 10_000) {
            told = performance.now();
            console.log(`${tally.seeds} of ${total} seeds, ${tally.failing.length} failed, ${Math.round(seconds())} s`);
          }
          give();
        });
        give();
      });
    }),
  );
  tally.failing.sort((a, b) => a.seed - b.seed);
  const report = {
    from,
    next,
    ...figures(tally),
    seconds: Math.round(seconds() * 10) / 10,
    faults: sorted(tally.faults),
    points: sorted(tally.points),
    failing: tally.failing,
  };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  print(tally, seconds());
  if (next < from + total) console.log(`seeds ${from} to ${next - 1} were played; go on with --from ${next} --count ${from + total - next}`);
  measured("seeds", `${JSON.stringify(figures(tally))} in ${Math.round(seconds())} s`);
  measured("seeds.leastHits", String(Math.min(...rarest(tally).map(([, times]) => times))));
  return tally.failing.length > 0 ? 1 : 0;
}

const sorted = (counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })));

/** Every fault and every crash point that a run is to try, with how often it was. */
const rarest = (tally: Tally): readonly (readonly [name: string, times: number])[] => [
  ...Object.keys(FAULTS).map((name) => [name, tally.faults[name] ?? 0] as const),
  ...WANTED_POINTS.map((name) => [name, tally.points[name] ?? 0] as const),
];

function print(tally: Tally, seconds: number): void {
  for (const [title, counts] of [
    ["faults", tally.faults],
    ["crash points", tally.points],
  ] as const)
    console.log(
      `${title}: ${Object.entries(sorted(counts))
        .map(([name, times]) => `${name} ${times}`)
        .join(", ")}`,
    );
  for (const { seed, findings } of tally.failing) {
    console.log(`seed ${seed} fails (npm run seeds -- --show ${seed}):`);
    for (const { invariant, what } of findings) console.log(`  ${invariant}: ${what}`);
  }
  const rare = rarest(tally).filter(([, times]) => times < WANTED_HITS);
  if (rare.length > 0) console.log(`hit fewer than ${WANTED_HITS} times: ${rare.map(([name, times]) => `${name} ${times}`).join(", ")}`);
  console.log(
    Object.entries(figures(tally))
      .map(([name, n]) => `${name} ${n}`)
      .join(", "),
  );
  console.log(`${Math.round(seconds)} s, ${(tally.virtualMs / 3_600_000).toFixed(1)} virtual hours`);
}

// from a turn of the event loop, as a worker begins with a seed: while a module is evaluated ticks come in another order, and a seed would be played otherwise
if (isMainThread)
  setImmediate(() => {
    void main().then((code) => {
      process.exitCode = code;
    });
  });
else if (workerData === "plays") {
  parentPort?.on("message", (seed: number) => {
    void play(seed).then((tally) => parentPort?.postMessage(tally));
  });
}
