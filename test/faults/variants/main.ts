// `npm run variants`: each broken build must be caught by the seeds, and the right build must pass the same seeds. Ends with 1 unless all are.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measured } from "../../support/measure.ts";
import { VARIANTS } from "./variants.ts";

const HELP = `npm run variants -- [--count N] [--json FILE]

Plays up to N seeds (2000) against each broken build until one is caught, and the same seeds against the right one.
`;

interface Report {
  readonly seeds: number;
  readonly seconds: number;
  readonly failing: readonly { readonly seed: number; readonly findings: readonly { readonly invariant: string; readonly what: string }[] }[];
}

function play(variant: string | null, count: number): Report {
  const home = mkdtempSync(join(tmpdir(), "signalbox-variants-"));
  const file = join(home, "report.json");
  const seeds = fileURLToPath(new URL("../simulation/main.js", import.meta.url));
  const loader = variant === null ? [] : ["--import", new URL("./register.js", import.meta.url).href];
  const { status, stderr } = spawnSync(process.execPath, [...loader, seeds, "--count", String(count), "--json", file], {
    env: { ...process.env, VARIANT: variant ?? "" },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0 && status !== 1) throw new Error(`${variant ?? "the right build"} did not run: ${stderr}`);
  const report: Report = JSON.parse(readFileSync(file, "utf8"));
  rmSync(home, { recursive: true });
  return report;
}

function main(): number {
  const { values } = parseArgs({
    options: { count: { type: "string", default: "2000" }, json: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const most = Number(values.count);
  let played = 0;
  const table = VARIANTS.map(({ name, does }) => {
    const { failing, seconds, seeds } = play(name, most);
    const [first] = failing;
    played = Math.max(played, first?.seed ?? seeds);
    const caught = first?.findings[0];
    console.log(`${name}: ${caught === undefined ? `NOT CAUGHT in ${seeds} seeds` : `seed ${first?.seed}, ${caught.invariant}`}, ${seconds} s (${does})`);
    if (caught !== undefined) console.log(`  ${caught.what}`);
    return { variant: name, does, caught: caught !== undefined, seed: first?.seed ?? null, invariant: caught?.invariant ?? null, seconds };
  });
  const right = play(null, played);
  console.log(`the right build: ${right.failing.length === 0 ? "passes" : "FAILS"} seeds 1 to ${played}, ${right.seconds} s`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ table, right: { seeds: right.seeds, failing: right.failing } }, null, 2)}\n`);
  const caught = table.filter((row) => row.caught).length;
  for (const { variant, seed, invariant, seconds } of table) measured(`variant.${variant}`, `seed ${seed}: ${invariant}, ${seconds} s`);
  measured("variants", `${caught} of ${table.length} caught; the right build ${right.failing.length === 0 ? "passes" : "fails"} the same seeds`);
  console.log(`${caught} of ${table.length} variants caught`);
  return caught === table.length && right.failing.length === 0 ? 0 : 1;
}

process.exitCode = main();
