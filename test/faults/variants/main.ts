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

Plays up to N seeds (400) against each broken build until one is caught, and the same seeds against the right one. A seed is played the same way each time, so
that a variant is caught at the same seed by the same invariant; only the seconds differ.
`;

interface Report {
  readonly seeds: number;
  readonly seconds: number;
  readonly failing: readonly { readonly seed: number; readonly findings: readonly { readonly invariant: string; readonly what: string }[] }[];
}

/** Plays seeds from 1 on until one fails. */
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

const row = (...cells: readonly [variant: string, seed: string, invariant: string, seconds: string, what: string]): void =>
  console.log(cells.map((cell, n) => cell.padEnd([24, 6, 12, 9, 0][n] ?? 0)).join(""));

function main(): number {
  const { values } = parseArgs({
    options: { count: { type: "string", default: "400" }, json: { type: "string" }, help: { type: "boolean", default: false } },
  });
  const most = Number(values.count);
  if (values.help || !Number.isSafeInteger(most) || most < 1) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  row("variant", "seed", "invariant", "seconds", "what was seen");
  const table = VARIANTS.map(({ name, does }) => {
    const { failing, seconds } = play(name, most);
    const [first] = failing;
    const [finding] = first?.findings ?? [];
    row(name, String(first?.seed ?? "-"), finding?.invariant ?? "-", String(seconds), finding?.what ?? `NOT CAUGHT in ${most} seeds`);
    return { variant: name, does, seed: first?.seed ?? null, invariant: finding?.invariant ?? null, seconds };
  });
  const caught = table.filter(({ seed }) => seed !== null).length;
  const played = Math.max(...table.map(({ seed }) => seed ?? most));
  const right = play(null, played);
  const passes = right.failing.length === 0;
  console.log(`${caught} of ${table.length} variants are caught; the right build ${passes ? "passes" : "FAILS"} seeds 1 to ${played} (${right.seconds} s)`);
  for (const { seed, findings } of right.failing) for (const { invariant, what } of findings) console.log(`  seed ${seed}: ${invariant}: ${what}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ table, right }, null, 2)}\n`);
  for (const { variant, seed, invariant, seconds } of table)
    measured(`variant.${variant}`, seed === null ? `not caught in ${most} seeds` : `seed ${seed}: ${invariant}, ${seconds} s`);
  measured("variants", `${caught} of ${table.length} caught; the right build ${passes ? "passes" : "fails"} the same seeds`);
  return caught === table.length && passes ? 0 : 1;
}

process.exitCode = main();
