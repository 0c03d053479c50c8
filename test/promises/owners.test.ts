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

  test("the second stands by and says whom to ask; it decides as soon as the first has stopped", async () => {
    const first = await start();
    await first.equipment("owners", "button", "1", "button");
    expect(await call(1)).toBe("accepted");

    const second = await start();
    const health = await second.ask("GET", "/health/ready");
    expect(health.status).toBe(200);
    const owner = /"standing by; owned by (\S+) under term 1"/.exec(JSON.stringify(health.body))?.[1];
    const refused = await second.ask("POST", "/v1/sites/owners/batches/none/commands", { command: "start" });
    expect(refused.status).toBe(503);
    expect(refused.body).toMatchObject({ code: "SYS_STANDING_BY", remedy: expect.stringContaining(owner ?? "an owner") });
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(
      (await second.ask("POST", "/v1/events/dry-run", { topic: eventTopic(SOURCE), event: envelope(SOURCE, 1, 2, "call.raised", { call: "help" }) })).status,
    ).toBe(503);
    expect((await second.ask("GET", "/v1/sources/owners/1/button")).body).toMatchObject({ through: "1" });

    await first.service.stop();
    for (const n of [2, 3, 4]) expect(await call(n)).toBe("accepted");
    expect(await database.query("select distinct term::int from commits order by term")).toEqual([{ term: 1 }, { term: 2 }]);
    expect((await database.query("select count(*)::int as n from facts"))[0]?.["n"]).toBe(4);
  });
});
