// npm run bench: how fast the service is, what an event costs, and what the machine could do at most. Built by tsconfig.bench.json.
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { askedOf } from "../support/asked.ts";
import { measured } from "../support/measure.ts";
import { backlog } from "./backlog.ts";
import { between, rawLoop, transactions } from "./comparisons.ts";
import { nameShipped, postgresVersion } from "./database.ts";
import { flooded } from "./flooder.ts";
import { ofService } from "./of-service.ts";
import { type BenchOptions, HELP, type Part, parseOptions } from "./options.ts";
import { overload } from "./overload.ts";
import { peer } from "./peers.ts";
import { shards } from "./shards.ts";
import { soak } from "./soak.ts";
import { ofStored } from "./stored.ts";
import { figures, type Results, ratios, table } from "./table.ts";

/** What is faster has more events to keep ready, and needs less time. */
const shorter = (options: BenchOptions): BenchOptions => ({ ...options, seconds: options.seconds / 3, warmUp: options.warmUp / 3 });

/** Every part, one after the other: each begins with a database and a broker of its own. */
async function measure(options: BenchOptions): Promise<Results> {
  const began = performance.now();
  async function part<T>(name: Part, run: (say: (text: string) => void) => Promise<T>): Promise<T | undefined> {
    if (!options.only.includes(name)) return undefined;
    const say = (text: string): void => console.error(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${name}: ${text}`);
    try {
      return await run(say);
    } catch (error) {
      // the other parts are worth their time all the same
      say(`not measured: ${error instanceof Error ? error.stack : error}`);
      process.exitCode = 1;
      return undefined;
    }
  }
  const withoutLoads = { ...options, loads: [], profile: null };
  const results = {
    service: await part("service", (say) => ofService(options, "refusals", say)),
    allVerdicts: await part("all-verdicts", (say) => ofService(withoutLoads, "all", say)),
    rawLoop: await part("raw-loop", (say) => rawLoop(shorter(shorter(options)), say)),
    passThrough: await part("pass-through", (say) => between("./pass-through.js", options, say)),
    obvious: await part("obvious", (say) => between("./obvious.js", options, say)),
    transactions: await part("transactions", (say) => transactions(options, say)),
    nodeRed: await part("node-red", (say) => peer("node-red", options, say)),
    dbos: await part("dbos", (say) => peer("dbos", options, say)),
    overload: await part("overload", (say) => overload(shorter(options), say)),
    backlog: await part("backlog", (say) => backlog(shorter(options), say)),
    flooded: await part("flooder", (say) => flooded(shorter(options), say)),
    shards: await part("shards", (say) => shards(shorter(options), say)),
    stored: await part("stored", (say) => ofStored(shorter(options), say)),
    soak: await part("soak", (say) => soak(options, say)),
  };
  return Object.fromEntries(Object.entries(results).filter(([, result]) => result !== undefined));
}

const options = askedOf("bench", HELP, parseOptions);
await nameShipped();
try {
  const results = await measure(options);
  console.log(
    `${availableParallelism()} processors, Node ${process.versions.node}, ${postgresVersion()}, ${options.seconds} s measured after ${options.warmUp} s, seed ${options.seed}\n`,
  );
  console.log(table(results));
  if (options.json !== null)
    writeFileSync(options.json, `${JSON.stringify({ options, processors: availableParallelism(), ratios: ratios(results), results }, null, 1)}\n`);
  for (const [name, figure] of figures(results)) measured(name, figure);
  const { service, allVerdicts, overload, backlog, flooded, stored, soak } = results;
  const unanswered = [service, allVerdicts, overload, backlog, flooded, stored, soak].some((part) => (part?.unanswered ?? 0) > 0);
  const wrong = [overload, backlog, flooded, soak].some((part) => (part?.wrong.length ?? 0) > 0);
  process.exit(unanswered || wrong ? 1 : process.exitCode);
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exit(1);
}
