// What `npm test` runs, with Node alone: builds what the tests start as a process, runs all tests or those that the arguments name (what is fuzzed has a command of its own, `npm run fuzz`), and ends with what a reader needs:
// what did not run and why, the seed, and one plain line. With REQUIRE_MOSQUITTO=1 a suite that did not run is a failure. A run of which nothing more comes is ended, and the files that did not
// come to their end are named.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
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

/**
 * Where the tests write what is thrown away after them: in memory, where there is room for it, since a hundred copies of a database's files cost more on a disk than most of what is tried on
 * them. What is measured stays on the disk.
 */
function scratch() {
  const memory = "/dev/shm";
  if (given.includes("bench") || !existsSync("/proc/mounts")) return tmpdir();
  const mount = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .find((line) => line.split(" ")[1] === memory);
  if (mount === undefined || /\bnoexec\b/.test(mount)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize < 4 * 1024 ** 3 ? tmpdir() : memory;
}

const home = mkdtempSync(join(scratch(), "signalbox-tests-"));
// the account that Postgres runs as, where the tests run as root, finds its files below
chmodSync(home, 0o711);
const file = join(home, "summary.json");
const seed = process.env["SEED"] ?? String(Date.now() % 1_000_000_007);
const underWay = join(home, "under-way.json");
const command = [
  join(root, "node_modules", "vitest", "vitest.mjs"),
  "run",
  ...(given.includes("--config") ? [] : ["--root", root, "--config", join(root, "test", "vitest.config.ts")]),
  "--reporter=default",
  `--reporter=${join(root, "test", "support", "reporter.ts")}`,
  ...(given.includes("--config") || given.includes("--project") ? [] : ["--project", "pure", "--project", "services"]),
  ...given,
];

// no hook and no test may take longer than five minutes (test/vitest.config.ts), so that of a run that goes on something is heard
const SILENT_FOR = Number(process.env["TESTS_SILENT_FOR"] ?? 660) * 1000;
const TO_END = Number(process.env["TESTS_TO_END"] ?? 60) * 1000;

/** Runs the tests in a process group of their own, so that all of it can be ended; tells why it had to be. */
function tested() {
  const child = spawn(process.execPath, command, {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      TMPDIR: home,
      NODE_COMPILE_CACHE: join(home, "compiled"),
      SEED: seed,
      SIGNALBOX_TEST_SUMMARY: file,
      SIGNALBOX_TESTS_UNDER_WAY: underWay,
    },
    detached: true,
  });
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // all of it has ended meanwhile
    }
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => kill(signal));
  const began = Date.now();
  let hung = null;
  const watch = setInterval(() => {
    if (existsSync(file)) {
      if (Date.now() - statSync(file).mtimeMs < TO_END) return;
      hung = "the test runner had its summary written, and did not end";
    } else {
      if (Date.now() - (existsSync(underWay) ? statSync(underWay).mtimeMs : began) < SILENT_FOR) return;
      const files = existsSync(underWay) ? JSON.parse(readFileSync(underWay, "utf8")) : [];
      hung = `nothing was heard for ${SILENT_FOR / 1000} s; not at their end were ${files.join(", ") || "no files"}`;
    }
    kill("SIGKILL");
  }, 1000);
  return new Promise((done) => {
    child.once("exit", (status, signal) => {
      clearInterval(watch);
      done({ status, signal, hung });
    });
  });
}

const { status, signal, hung } = await tested();

const told = existsSync(file);
const summary = told
  ? JSON.parse(readFileSync(file, "utf8"))
  : { passed: 0, failed: 1, failures: [hung ?? `the test runner ended by ${signal ?? `exit ${status}`} before its summary`], notRun: [] };
rmSync(home, { recursive: true, force: true, maxRetries: 10 });
if (hung !== null) console.log(`\nThe tests were ended: ${hung}.`);

const required = process.env["REQUIRE_MOSQUITTO"] === "1";
// a run that ends badly for a reason that no test names is a failure all the same; that its runner, with all said, hangs at its exit is none
const failed = Math.max(summary.failed, status === 0 || (hung !== null && told) ? 0 : 1) + (required ? summary.notRun.length : 0);
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
