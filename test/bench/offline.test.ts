// `npm run bench`: how fast a record is verified offline, tree, numbers, deliveries and every decision (BENCH_SIGNALS). Figures only: what they must be stands in `npm run show -- 3`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeLongRecord } from "../support/long-record.ts";
import { measured } from "../support/measure.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";
import { runExport, runVerify } from "../support/signed-record.ts";

const SIGNALS = Number(process.env["BENCH_SIGNALS"] ?? 20_000);
const home = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
const bundle = join(home, "bundle");
const signing = { AUDIT_DIR: join(home, "state"), AUDIT_MIRROR_DIR: join(home, "mirror") };
let database: TestDatabase;
let plant: Plant;
let site: string;

beforeAll(async () => {
  database = await freshDatabase();
  ({ site } = await writeLongRecord(database, SIGNALS));
  plant = await startPlant({ database, broker: "embedded", settings: signing });
  const { body } = await plant.ask("GET", `/v1/audit/sites/${site}`);
  expect(
    await runExport(["--site", site, "--positions", `1-${Object(body).position}`, "--out", bundle, "--reason", "bench"], { DATABASE_URL: database.runtimeUrl }),
  ).toMatchObject({ exit: 0, err: "" });
  await plant.stop();
}, 900_000);
afterAll(async () => {
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

test(`a bundle of ${SIGNALS} signals is verified and decided again`, { timeout: 900_000 }, async () => {
  const began = performance.now();
  const { exit, report } = await runVerify(
    ["--bundle", bundle, "--key", join(signing.AUDIT_DIR, site, "signer.vkey"), "--anchors", join(signing.AUDIT_MIRROR_DIR, site)],
    {},
  );
  const seconds = (performance.now() - began) / 1_000;
  expect([exit, report.findings]).toEqual([0, []]);
  const rate = Math.round(report.entries / seconds);
  measured("offline", `${report.entries} entries in ${seconds.toFixed(1)} s, ${rate} a second, each decided again`);
  measured("offline.rate", String(rate));
  console.log(`offline: ${report.entries} entries in ${seconds.toFixed(1)} s, ${rate} a second`);
});
