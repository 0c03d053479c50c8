// Promise: a record of millions of events that is stamped from a few decided turns, to measure on top of it, is one that the service could have left: it is signed, verified, decided again, and
// gone on with.
// Attack: the filling is small, and everything looks at it: the signer, verification with key and anchors, which decides every signal again; then a byte of a stamped delivery is changed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Filling, fill } from "../../bench/fill.ts";
import { RECIPE, SITE } from "../../bench/plan.ts";
import { envelope, eventTopic, join, sourceOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { askAsAdministrator, freshDatabase, type TestDatabase } from "../../support/postgres.ts";
import { runVerify } from "../../support/signed-record.ts";

const CELLS = 5;
const home = mkdtempSync(path(tmpdir(), "signalbox-filled-"));
let database: TestDatabase;
let plant: Plant;
let filling: Filling;

beforeAll(async () => {
  database = await freshDatabase();
  filling = await fill(database, { events: 2_000, cells: CELLS }, () => {});
  plant = await startPlant({ database, broker: "embedded", settings: { AUDIT_DIR: path(home, "state"), AUDIT_MIRROR_DIR: path(home, "mirror") } });
});
afterAll(async () => {
  await plant?.stop();
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

async function allIsSigned(): Promise<number> {
  for (;;) {
    const { position, signed } = Object((await plant.ask("GET", `/v1/audit/sites/${SITE}`)).body);
    if (position === signed) return position;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const verify = () =>
  runVerify(["--site", SITE, "--key", path(home, "state", SITE, "signer.vkey"), "--anchors", path(home, "mirror")], { DATABASE_URL: database.runtimeUrl });

test("what was filled is signed, verified and decided again to the last byte", async () => {
  expect(filling.events).toBeGreaterThanOrEqual(2_000);
  const last = await allIsSigned();
  // the service has said that it is there
  expect(last).toBeGreaterThanOrEqual(filling.positions);
  const { exit, report } = await verify();
  expect(report.findings).toEqual([]);
  expect(exit).toBe(0);
  // the recipe of a record that was written and not lived through is set, not registered
  expect(report.notCovered).toEqual([`recipe ${RECIPE.recipe}@${RECIPE.revision}: it was registered before the log began, and is taken as it stands`]);
  expect(report).toMatchObject({ result: "sound", positions: { from: 1, to: last }, unsigned: null, unanchored: null });
});

test("every filter gives what there is, in the days that are asked for, and one stream's outcomes are all of them", async () => {
  const middle = (
    await database.query(`select recorded_at from verdicts where position >= ${Math.floor(filling.positions / 2)} order by position limit 1`)
  )[0]?.["recorded_at"];
  const from = new Date(Number(middle) - 4 * 86_400_000).toISOString();
  const to = new Date(Number(middle)).toISOString();
  const ids = await database.query(`select event_id from verdicts where recorded_at >= '${from}' and recorded_at < '${to}' and round > 1 limit 1`);
  const filters: readonly (readonly [query: string, sql: string])[] = [
    ["", "true"],
    ...["accepted", "duplicate", "rejected", "deferred", "quarantined", "observed"].map((status) => [`status=${status}`, `status = '${status}'`] as const),
    ["code=DUP_EXACT", "code = 'DUP_EXACT'"],
    ["type=alarm.raised", "type = 'signalbox.alarm.raised.v1'"],
    ["type=step.evidence", "type = 'signalbox.step.evidence.v1'"],
    ["equipment=oven-2", "equipment = 'oven-2'"],
    ["line=3", "line = '3'"],
    ["epoch=0&sequence=150", "epoch = 0 and sequence = 150"],
    [`id=${ids[0]?.["event_id"]}`, `event_id = '${ids[0]?.["event_id"]}'`],
    ["latest=true", "not exists (select from verdicts l where l.event_position = v.event_position and l.round > v.round)"],
  ];
  for (const [query, sql] of filters) {
    const { body } = await plant.ask("GET", `/v1/events?limit=500&from=${from}&to=${to}&${query}`);
    const rows = await database.query(
      `select position::int as position from verdicts v where recorded_at >= '${from}' and recorded_at < '${to}' and ${sql} order by position limit 500`,
    );
    expect(
      body.items.map(({ position }: { readonly position: number }) => position),
      query,
    ).toEqual(rows.map(({ position }) => position));
  }
  const stream = "batch/F-3-2";
  const { body } = await plant.ask("GET", `/v1/outcomes?stream=${stream}&after=700&limit=500`);
  const told = await database.query(`select sequence::text as sequence from outcomes where stream = '${stream}' and position > 700 order by sequence`);
  expect(told.length).toBeGreaterThan(0);
  expect(body.items.map(({ sequence }: { readonly sequence: string }) => sequence)).toEqual(told.map(({ sequence }) => sequence));
});

test("a device goes on where its last stamped event stands, a new batch is made, and all of it is sound", async () => {
  const source = sourceOf(SITE, "1", "scale-1");
  const party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(`site/${SITE}/line/1/#`);
  const { body: before } = await plant.ask("GET", `/v1/sources/${SITE}/1/scale-1`);
  expect(before).toMatchObject({ epoch: "0", missing: [], waiting: 0, parked: null });
  const next = Number(before.through) + 1;
  const outcomeOf = (id: string) => party.until(`the outcome of ${id}`, ({ topic, body }) => topic.endsWith("/outcome") && body.causationid === id);

  const alarm = envelope(source, 0, next, "alarm.raised", { alarm: "door-open" });
  await party.publish(eventTopic(source), alarm);
  await outcomeOf(String(alarm["id"]));

  const order = { batch: "B-new", jobOrder: "PO-new", line: "1", recipe: RECIPE.recipe, revision: RECIPE.revision, quantity: RECIPE.quantity };
  const equipment = { scale: "scale-1", mixer: "mixer-1", filler: "filler-1", oven: "oven-1" };
  expect((await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment })).status).toBe(201);
  await plant.ask("POST", `/v1/sites/${SITE}/batches/B-new/commands`, { command: "release-to-floor", reason: "shift plan" });
  const begins = envelope(source, 0, next + 1, "batch.start", {});
  await party.publish(eventTopic(source), { ...begins, batchid: "B-new" });
  await outcomeOf(String(begins["id"]));
  await party.end();

  await allIsSigned();
  const { exit, report } = await verify();
  expect(report.findings).toEqual([]);
  expect(exit).toBe(0);
});

test("a byte of a stamped delivery that is wrong is found, where it is", async () => {
  const position = filling.positions - 20;
  const change = "update signals set raw = set_byte(raw, 5, get_byte(raw, 5) # 1) where site = $1 and position = $2";
  await askAsAdministrator(database.superUrl, change, [SITE, position]);
  const { exit, report } = await verify();
  expect(exit).not.toBe(0);
  expect(report.first).toMatchObject({ position, table: "signals", column: "raw" });
});
