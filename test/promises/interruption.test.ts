// Promise: no patience and no gap limit passes while a shard does not receive, and what it did not receive for is counted once.
// Found by a database clock that steps in the seeds: an owner counted the silence and lost its shard, or died, before its next sign of receiving; the next owner counted the same silence again,
// and what was open waited twice as long.
// Attack: the shard was silent for an hour; whoever owns it counts that, and none of its signs of receiving is taken.
import { afterAll, beforeAll, expect, test } from "vitest";
import { FIXED } from "../../src/db/database.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SITE = "silent";
const SOURCE = sourceOf(SITE, "1", "button");
const HOUR_MS = 3_600_000;
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  await plant.equipment(SITE, "button", "1", "button");
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(verdictTopicOf(SOURCE));
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

const dueAt = async (): Promise<number> => {
  const [row] = await plant.database.query(`select extract(epoch from gap_due_at)::float8 * 1000 as due from sources where source = '${SOURCE}'`);
  return Number(row?.["due"]);
};
const interruptions = async (): Promise<readonly number[]> =>
  (
    await plant.database.query(
      `select (body ->> 'ms')::float8 as ms from signals where site = '${SITE}' and body ->> 'tick' = 'interruption' order by position`,
    )
  ).map((row) => Number(row["ms"]));

test("an hour of silence is counted once, by whoever counts it first", async () => {
  for (const n of [1, 3]) await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, n, "call.raised", { call: "help" }));
  await party.until("number 3 waits", ({ body }) => body.data.status === "deferred");
  const before = await dueAt();
  // it has given its first sign, from which on it counts
  while ((await plant.database.query("select from shard_beats")).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await plant.database.query(`
    create function refuse_beat() returns trigger language plpgsql as $$
    begin
      if current_query() like '${FIXED} insert into shard_beats%' then raise exception 'no sign is taken'; end if;
      return new;
    end $$;
    create trigger refuse_beat before insert or update on shard_beats for each row execute function refuse_beat();
    update shard_beats set received_until = received_until - interval '1 hour';`);
  // without its signs, the shard counts what has passed since it last counted, again and again
  for (let tries = 0; (await interruptions()).length < 3; tries += 1) {
    if (tries > 600) throw new Error(`no three interruptions within 60 s: ${JSON.stringify(await interruptions())}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const counted = await interruptions();
  expect(counted.filter((ms) => ms >= HOUR_MS)).toHaveLength(1);
  const moved = (await dueAt()) - before;
  expect(moved).toBeGreaterThanOrEqual(HOUR_MS);
  expect(moved).toBeLessThan(HOUR_MS * 1.5);
});
