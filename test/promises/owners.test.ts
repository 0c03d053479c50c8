// Promise: one writer at a time to a shard. Attack: start a second service on the database and the broker of one that runs.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";

const SOURCE = sourceOf("owners", "1", "button");

describeWithMosquitto("two services on one shard", () => {
  let database: TestDatabase;
  let broker: Mosquitto;
  let party: Party;
  const plants: Plant[] = [];
  const start = async (): Promise<Plant> => {
    const plant = await startPlant({ database, broker: { url: broker.url } });
    plants.push(plant);
    return plant;
  };

  beforeAll(async () => {
    database = await freshDatabase();
    broker = await startMosquitto();
    party = await join(broker.url);
    await party.subscribe(verdictTopicOf(SOURCE));
  });
  afterAll(async () => {
    await party?.end();
    for (const plant of plants) await plant.stop();
    await broker?.remove();
    await database?.drop();
  });

  const call = async (n: number): Promise<string> => {
    await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, n, "call.raised", { call: "help" }));
    const said = await party.until(`the verdict on ${n}`, ({ body }) => body.data.event.sequence === String(n));
    return said.body.data.status;
  };

  test("the later one takes over; the earlier ends by itself, and what comes then is decided and published once more only by the later", async () => {
    const first = await start();
    await first.equipment("owners", "button", "1", "button");
    expect(await call(1)).toBe("accepted");
    await start();
    // the first learns of it with its next commit, of whatever kind
    const answer = first.ask("POST", "/v1/sites/owners/batches/none/commands", { command: "start" });
    expect(await first.service.done).toBe("failed");
    expect((await answer).status).toBe(503);
    for (const n of [2, 3, 4]) expect(await call(n)).toBe("accepted");
    expect((await database.query("select count(*)::int as n from facts"))[0]?.["n"]).toBe(4);
  });
});
