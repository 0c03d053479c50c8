// What `npm test` runs, with Node alone: builds what the tests start as a process, runs all tests or those that the arguments name (what is fuzzed has a command of its own, `npm run fuzz`), and ends with what a reader needs:
// what did not run and why, the seed, and one plain line. With REQUIRE_MOSQUITTO=1 a suite that did not run is a failure.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const given = process.argv.slice(2);

function build() {
  const stamp = join(root, "dist", ".tsbuildinfo");
  const built = existsSync(stamp) && existsSync(join(root, "dist", "cli", "main.js")) ? statSync(stamp).mtimeMs : 0;
  const newest = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
  if (built > newest) return;
  const { status } = spawnSync(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", join(root, "tsconfig.build.json")], {
    stdio: "inherit",
  });
  if (status !== 0) {
    console.log("The build failed; no test ran.\n0 passed, 1 failed");
    process.exit(1);
  }
}

if (!given.includes("--config")) build();

const home = mkdtempSync(join(tmpdir(), "signalbox-tests-"));
const file = join(home, "summary.json");
const seed = process.env["SEED"] ?? String(Date.now() % 1_000_000_007);
const { status, signal } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    ...(given.includes("--config") ? [] : ["--root", root, "--config", join(root, "test", "vitest.config.ts")]),
    "--reporter=default",
    `--reporter=${join(root, "test", "support", "reporter.ts")}`,
    ...(given.includes("--config") || given.includes("--project") ? [] : ["--project", "pure", "--project", "services"]),
    ...given,
  ],
  { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, SEED: seed, SIGNALBOX_TEST_SUMMARY: file } },
);

const summary = existsSync(file)
  ? JSON.parse(readFileSync(file, "utf8"))
  : { passed: 0, failed: 1, failures: [`the test runner ended by ${signal ?? `exit ${status}`} before its summary`], notRun: [] };
rmSync(home, { recursive: true, force: true });

const required = process.env["REQUIRE_MOSQUITTO"] === "1";
// a run that ends badly for a reason that no test names is a failure all the same
const failed = Math.max(summary.failed, status === 0 ? 0 : 1) + (required ? summary.notRun.length : 0);
if (summary.failures.length > 0) {
  console.log("\nFailed:");
  for (const name of summary.failures) console.log(`  ${name}`);
}
if (summary.notRun.length > 0) {
  console.log(`\nDid not run${required ? ", and had to (REQUIRE_MOSQUITTO=1)" : ""}:`);
  for (const { name, why } of summary.notRun) console.log(`  ${name}: ${why}`);
} else {
  console.log("\nEverything ran.");
}
// what is fuzzed is repeated by as much of it as was run
const times = process.env["FUZZ_RUNS"] === undefined ? "" : `FUZZ_RUNS=${process.env["FUZZ_RUNS"]} `;
console.log(`Seed ${seed}; ${given.includes("fuzz") ? `${times}SEED=${seed} npm run fuzz` : `SEED=${seed} npm test`} repeats it.`);
console.log(`${summary.passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
