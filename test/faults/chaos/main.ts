// npm run chaos: breaks everything that is real for so many minutes, and shows that nothing was lost, doubled or misordered. Built by tsconfig.faults.json.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { askedOf } from "../../support/asked.ts";
import { measured } from "../../support/measure.ts";
import { nameBinaries } from "../../support/postgres-binaries.ts";
import { repository } from "../../support/repository.ts";
import { type ChaosOptions, HELP, parseOptions } from "./options.ts";
import { report } from "./report.ts";
import { type RunResult, run } from "./run.ts";

const SHARES = { once: 0.75, resend: 0.25 } as const;

async function chaos(options: ChaosOptions): Promise<number> {
  const { seed, minutes, runs } = options;
  const directory = join(repository(), ".cache", "chaos", String(seed));
  rmSync(directory, { recursive: true, force: true });
  let interrupt = (): void => {};
  const interrupted = new Promise<never>((_resolve, reject) => {
    interrupt = () => reject(new Error("interrupted; nothing was checked"));
  });
  interrupted.catch(() => {});
  // everything that was started is stopped again before this process ends
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  console.log(
    `chaos, seed ${seed}: ${minutes} minutes, ${runs.join(" and ")}, ${options.replicas} of 2 processes wanted, ${options.eventsPerSecond} events a second`,
  );
  const shares = runs.reduce((sum, kind) => sum + SHARES[kind], 0);
  const results: RunResult[] = [];
  for (const kind of runs) {
    results.push(
      await run({
        kind,
        seed,
        seconds: (minutes * 60 * SHARES[kind]) / shares,
        eventsPerSecond: options.eventsPerSecond,
        replicas: options.replicas,
        directory: join(directory, kind),
        interrupted,
        say: console.log,
      }),
    );
  }
  console.log(report(seed, results));
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify({ seed, minutes, results }, null, 1)}\n`);
  const findings = results.flatMap((result) => result.findings);
  const all = (of: (result: RunResult) => number): number => results.reduce((sum, result) => sum + of(result), 0);
  measured(
    "chaos",
    `${all(({ injected }) => injected.filter(({ hit }) => hit).length)} faults, ${all(({ sent }) => sent)} events, ${findings.length} findings, seed ${seed}`,
  );
  if (findings.length > 0) {
    console.log(`\n${findings.length} findings with seed ${seed}; what was seen is kept in ${directory}`);
    return 1;
  }
  if (!options.keep) rmSync(directory, { recursive: true, force: true });
  return 0;
}

const options = askedOf("chaos", HELP, parseOptions);
if (!existsSync(join(repository(), "dist", "main.js"))) {
  console.error("chaos needs the built service: npm run build");
  process.exit(2);
}
await nameBinaries();
try {
  process.exit(await chaos(options));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
