// Promise: what is published once is published again, and shown in the feed, with the same words.
// Attack: everything that a plant does in a day, and texts that Postgres stores otherwise than they came; each outcome as subscribers heard it, to the byte, against the row that the database
// gives: the relay publishes most of them without reading them.
import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { storable } from "../../src/commit/settlement.ts";
import { openDatabase } from "../../src/db/database.ts";
import { asStored } from "../../src/publish/handed.ts";
import { outcomeMessage } from "../../src/publish/messages.ts";
import { relayStore } from "../../src/publish/relay.store.ts";
import { SEED } from "../support/measure.ts";
import { sourceOf } from "../support/mqtt.ts";
import { freshDatabase } from "../support/postgres.ts";
import { everythingElse } from "../support/rich-record.ts";
import { SITE, signedRecord } from "../support/signed-record.ts";

test("each outcome is heard as it is read", async () => {
  const heard = new Map<string, Set<string>>();
  const record = await signedRecord(async (day) => {
    const { plant, party } = day;
    party.client.on("message", (topic, payload) => {
      if (!topic.endsWith("/outcome")) return;
      const text = payload.toString("utf8");
      const { source, id } = JSON.parse(text);
      const key = `${topic} ${source} ${id}`;
      heard.set(key, (heard.get(key) ?? new Set()).add(text));
    });
    await party.subscribe(`site/${SITE}/outcome`, `site/${SITE}/line/+/eq/+/outcome`, `site/${SITE}/line/+/batch/+/outcome`);
    const { position: begun } = Object((await plant.ask("GET", `/v1/audit/sites/${SITE}`)).body);
    await day.decided(
      await day.say(
        sourceOf(SITE, "4", "mixer-1"),
        "equipment.changed",
        { what: "tool \u0000 \ud83d\ude00", from: '"a\\', to: "\ud800 b\u2028\t" },
        { correlationid: "c-\ud83d\ude00", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "a=1" },
      ),
    );
    await everythingElse(day);
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "published" });
    const { outcomes } = await relayStore(db, { site: SITE, shard: SITE, term: 0 }).readPublishable(begun, 1_000_000, "all", 0);
    await close();
    const read = new Map(
      outcomes.map((row) => {
        const { topic, payload } = outcomeMessage(row, "");
        const { source, id } = JSON.parse(payload);
        return [`${topic} ${source} ${id}`, new Set([payload])];
      }),
    );
    await party.untilAll("every outcome", () => [...read.keys()].every((key) => heard.has(key)));
    expect(new Map([...heard].filter(([key]) => read.has(key)))).toEqual(read);
    expect(read.size).toBeGreaterThan(20);
  }, 20);
  await record.drop();
}, 120_000);

test("any value is handed over as Postgres gives it back", async () => {
  const database = await freshDatabase({ migrated: false });
  const { db, close } = openDatabase(database.superUrl, { max: 1, applicationName: "published" });
  // names that Postgres cannot hold are never stored
  const name = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("__proto__", "1", "\ufffd", "\ue000", "\u{10000}"));
  const text = fc.oneof(name, fc.string({ unit: "binary" }), fc.constantFrom("\u0000", "a\ud800"));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, undefined, true),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      text,
      tie("list"),
      tie("fields"),
    ),
    list: fc.array(tie("value"), { maxLength: 5 }),
    fields: fc.dictionary(name, tie("value"), { maxKeys: 8, noNullPrototype: true }),
  }));
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 20, maxLength: 20 }), async (values) => {
      const { rows } = await sql<{ read: unknown }>`select ${storable({ values })}::jsonb as read`.execute(db);
      expect(JSON.stringify(asStored({ values }))).toBe(JSON.stringify(rows[0]?.read));
    }),
    { seed: SEED, numRuns: 200 },
  );
  await close();
  await database.drop();
});
