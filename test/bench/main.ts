// npm run bench: how fast the service is, and what an event costs. Built by tsconfig.bench.json.
import { writeFileSync } from "node:fs";
import { findCommand } from "../support/needs.ts";
import { nameBinaries } from "../support/postgres-binaries.ts";
import { ofService } from "./of-service.ts";
import { type BenchOptions, HELP, parseOptions } from "./options.ts";
import { type Results, table } from "./table.ts";

async function bench(options: BenchOptions): Promise<number> {
  const began = performance.now();
  const saying = (part: string) => (text: string) => console.error(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${part}: ${text}`);
  const results: Results = {};
  if (options.only.includes("service")) results.service = await ofService(options, "refusals", saying("service"));
  console.log(table(results));
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify({ options, results }, null, 1)}\n`);
  return (results.service?.unanswered ?? 0) === 0 ? 0 : 1;
}

let options: BenchOptions | "help";
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(`\n${HELP}`);
  process.exit(2);
}
if (options === "help") {
  console.log(HELP);
  process.exit(0);
}
if (findCommand("mosquitto") === null) {
  console.error("bench needs mosquitto, and none is installed");
  process.exit(2);
}
await nameBinaries();
try {
  process.exit(await bench(options));
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exit(1);
}
