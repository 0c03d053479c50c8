// Promise: where only refusals are told, what was accepted or known at once is left out, and no round that follows a published one is.
// Attack: each status in one source's order: accepted, known already, behind a gap and then accepted, rejected; what came last is told last.
import { afterAll, beforeAll, expect, test } from "vitest";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SOURCE = sourceOf("terse", "1", "button");
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: { PUBLISH_VERDICTS: "refusals" } });
  await plant.equipment("terse", "button", "1", "button");
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(verdictTopicOf(SOURCE));
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

test("a consumer that is told refusals alone can still follow each event that it was told of", async () => {
  const [first, second, third] = [1, 2, 3].map((n) => envelope(SOURCE, 1, n, "call.raised", { call: "help" }));
  const wrong = envelope(SOURCE, 1, 4, "call.raised", { call: 7 });
  for (const event of [first, first, third, second, wrong]) await party.publish(eventTopic(SOURCE), event ?? {});
  const last = await party.until("number 4 is refused", ({ body }) => body.data.event.sequence === "4");
  expect(last.body.data.status).toBe("rejected");
  const told = party.seen.map(({ body }) => `${body.data.event.sequence} ${body.data.round} ${body.data.status}`);
  expect(told).toEqual(["3 1 deferred", "3 2 accepted", "4 1 rejected"]);
  const { body } = await plant.ask("GET", "/v1/events?site=terse&limit=100");
  expect(body.items.map(({ status }: { readonly status: string }) => status).sort()).toEqual([
    "accepted",
    "accepted",
    "accepted",
    "deferred",
    "duplicate",
    "rejected",
  ]);
});
