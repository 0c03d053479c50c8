// Promise: replaying the record reproduces every verdict (promise 9), from the audit entries and the bytes of the deliveries alone, byte for byte.
// Attack: days with everything in them are committed by the database's own function under a clock that is set, and decided again from what is stored; then one byte of an entry, of a
// delivery, of a definition is changed, and replay must name exactly that position and say what differs.
import { afterAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/database.ts";
import { inSnapshot, recordedSite } from "../../../src/replay/recorded.store.ts";
import { type Replayed, replaySite } from "../../../src/replay/run.ts";
import { DAYS } from "../../support/days.ts";
import { Line } from "../../support/given.ts";
import { MAX_BYTES } from "../../support/model.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";
import { writeRecord } from "../../support/written-record.ts";

async function replayed(database: TestDatabase, site: string): Promise<Replayed> {
  const { db, close } = openDatabase(database.runtimeUrl, { max: 1, applicationName: "test replay" });
  try {
    return await inSnapshot(db, async (trx) => (await replaySite(await recordedSite(trx, site), { prefix: "", maxBytes: MAX_BYTES })).replayed);
  } finally {
    await close();
  }
}

// a day on which a guard falls over cannot come out again where it stands
describe.each(DAYS.filter(({ plant }) => plant.machines === undefined))("the day $name", ({ plant, acts }) => {
  let database: TestDatabase;
  afterAll(async () => {
    await database?.drop();
  });

  test("is decided again byte for byte", async () => {
    database = await freshDatabase();
    const writer = await writeRecord(database, plant);
    const line = new Line(writer.model);
    for (const act of acts) {
      if (typeof act === "number") line.after(act);
      else if (typeof act === "function") line.when(act);
      else line.together(...act);
      await writer.flush();
    }
    await writer.close();
    const { differences, ...told } = await replayed(database, plant.site);
    expect(differences).toEqual([]);
    expect(told).toMatchObject({ position: writer.model.position, entries: writer.model.position, beforeLog: 0, stopped: null, different: 0 });
    expect(told.verdicts).toBe(writer.model.verdicts.length);
  });
});
