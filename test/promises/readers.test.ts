// Promise: whatever is asked over REST, devices are heard and decided about.
// Found by a dozen exports at once: each held a connection of the pool that the route used too; nothing was decided for twenty seconds.
// Attack: more readers than there are connections wait for a table that is locked, and none of them comes back before the event that is sent then is decided.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SITE = "read";
const SOURCE = sourceOf(SITE, "1", "button");
const READERS = 24;
let plant: Plant;
let party: Party;
let administrator: pg.Client;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  await plant.equipment(SITE, "button", "1", "button");
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(verdictTopicOf(SOURCE));
  administrator = new pg.Client({ connectionString: plant.database.superUrl });
  await administrator.connect();
});
afterAll(async () => {
  await administrator?.end();
  await party?.end();
  await plant?.stop();
});

test("an event is decided while everything that may be read over REST is waited for", async () => {
  await administrator.query("begin; lock table audit_reviews in access exclusive mode");
  let answered = 0;
  const readers = Array.from({ length: READERS }, () =>
    fetch(`${plant.url}/v1/audit/reviews?site=${SITE}`).then(
      () => (answered += 1),
      () => (answered += 1),
    ),
  );
  const waiting = async (): Promise<number> =>
    Number(
      (await plant.database.query("select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and query like '%audit_reviews%'"))[0]?.["n"],
    );
  for (let tries = 0; (await waiting()) < 8; tries += 1) {
    if (tries > 500) throw new Error("the readers do not wait");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, 1, "call.raised", { call: "help" }));
  await party.until("the verdict", ({ body }) => body.data.status === "accepted");
  expect(answered).toBe(0);
  await administrator.query("rollback");
  await Promise.all(readers);
});
