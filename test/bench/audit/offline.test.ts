// `npm run bench:audit`: how fast the command verifies a record offline, tree, numbers, deliveries and every decision, where it has a million entries (BENCH_ENTRIES), from
// the command's start to its end. Figures only: what they must be stands in `npm run show -- 3`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Report } from "../../../src/cli/verify-report.ts";
import { measured } from "../../support/measure.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";
import { runExport } from "../../support/signed-record.ts";
import { fill } from "../fill.ts";
import { SITE } from "../plan.ts";

const ENTRIES = Number(process.env["BENCH_ENTRIES"] ?? 1_000_000);
const program = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
const bundle = join(home, "bundle");
const signing = { AUDIT_DIR: join(home, "state"), AUDIT_MIRROR_DIR: join(home, "mirror") };
let database: TestDatabase;
let plant: Plant;

/** The signer needs longer for such a record than an export waits for it. */
async function allSigned({ ask }: Plant): Promise<{ readonly position: number }> {
  for (;;) {
    // who signs beside the one who asks may be too busy to keep a connection
    const answer = await ask("GET", `/v1/audit/sites/${SITE}`).catch(() => null);
    const { position, signed } = Object(answer?.body);
    if (position !== undefined && signed === position) return { position };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

beforeAll(async () => {
  database = await freshDatabase();
  await fill(database, { events: ENTRIES }, () => {});
  plant = await startPlant({ database, broker: "embedded", settings: signing });
  const { position } = await allSigned(plant);
  expect(
    await runExport(["--site", SITE, "--positions", `1-${position}`, "--out", bundle, "--reason", "bench"], { DATABASE_URL: database.runtimeUrl }),
  ).toMatchObject({ exit: 0, err: "" });
  await plant.stop();
}, 3_600_000);
afterAll(async () => {
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

test(`a bundle of ${ENTRIES} entries is verified and decided again`, { timeout: 900_000 }, async () => {
  const args = [
    "verify",
    "--bundle",
    bundle,
    "--key",
    join(signing.AUDIT_DIR, SITE, "signer.vkey"),
    "--anchors",
    join(signing.AUDIT_MIRROR_DIR, SITE),
    "--json",
  ];
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: "utf8" });
  const seconds = (performance.now() - began) / 1_000;
  expect([status, stderr]).toEqual([0, ""]);
  const report: Report = JSON.parse(stdout);
  expect(report.findings).toEqual([]);
  expect(report.notCovered.join()).not.toContain("the decisions: ");
  const rate = Math.round(report.entries / seconds);
  measured("offline", `${report.entries} entries in ${seconds.toFixed(1)} s, ${rate} a second, each decided again`);
  measured("offline.rate", String(rate));
  console.log(`offline: ${report.entries} entries in ${seconds.toFixed(1)} s, ${rate} a second`);
});
