// Promise: facts, verdicts and the rest of the record are append-only, and the database refuses what the diagram forbids, whoever asks.
// Attack: change, delete and empty every table of the record, as the service's own role and as the owner; then write verdicts that cannot be.
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { envelope, eventTopic, join, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SOURCE = sourceOf("record", "1", "button");
const RECORD = ["signals", "verdicts", "facts", "outcomes", "event_ids", "event_numbers", "state_machines", "commits"];
let plant: Plant;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  await plant.equipment("record", "button", "1", "button");
  const party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(verdictTopicOf(SOURCE));
  await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, 1, "call.raised", { call: "help" }));
  await party.until("its verdict", (s) => s.body.data.status === "accepted");
  await party.end();
});
afterAll(async () => {
  await plant?.stop();
});

/** The SQLSTATE with which a role's statement is refused; null: it was done. */
async function refusalOf(url: string, text: string): Promise<string | null> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
    return null;
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.code ?? "") : String(error);
  } finally {
    await client.end();
  }
}

describe.each(RECORD)("the table %s", (table) => {
  test("has something to lose", async () => {
    expect((await plant.database.query(`select count(*)::int as n from ${table}`))[0]?.["n"]).toBeGreaterThan(0);
  });
  test("is not changed by the service's own role, which has no right to", async () => {
    for (const statement of [`delete from ${table}`, `truncate ${table}`])
      expect(await refusalOf(plant.database.runtimeUrl, statement), statement).toBe("42501");
    const [column] = await plant.database.query(`select column_name from information_schema.columns where table_name = '${table}' limit 1`);
    const name = String(column?.["column_name"]);
    expect(await refusalOf(plant.database.runtimeUrl, `update ${table} set ${name} = ${name}`)).toBe("42501");
  });
  test("is not changed by its owner either, whom the trigger refuses", async () => {
    const [column] = await plant.database.query(`select column_name from information_schema.columns where table_name = '${table}' limit 1`);
    const name = String(column?.["column_name"]);
    for (const statement of [`delete from ${table}`, `truncate ${table} cascade`, `update ${table} set ${name} = ${name}`]) {
      expect(await refusalOf(plant.database.ownerUrl, statement), statement).toBe("SB003");
    }
  });
});

describe("a verdict", () => {
  const verdict = (change: Readonly<Record<string, string>>): string => {
    const row: Record<string, string> = {
      site: "'record'",
      position: "999",
      generation: "1",
      shard: "'record'",
      event_position: "999",
      round: "1",
      status: "'rejected'",
      final: "true",
      code: "'STA_INVALID_TRANSITION'",
      refused_by: "'state'",
      reason: "'because'",
      next: "'correct'",
      ahead: "false",
      flags: "'{}'",
      facts: "0",
      explanation: `'{"permitted":[],"guards":[{"guard":"state.permits@1","ok":false}]}'`,
      recorded_at: "now()",
      ...change,
    };
    return `insert into verdicts (${Object.keys(row).join(", ")}) values (${Object.values(row).join(", ")})`;
  };
  const tried = (statement: string): string => `begin; ${statement}; rollback`;

  test("that is whole is taken", async () => {
    expect(await refusalOf(plant.database.runtimeUrl, tried(verdict({})))).toBeNull();
  });
  // every fact that there was, of all the site's years, was read for each group
  test("is held against the facts of its own position alone, however many there are", async () => {
    const client = new pg.Client({ connectionString: plant.database.superUrl });
    await client.connect();
    try {
      const looked = async () =>
        Number(
          (await client.query("select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) as n from pg_stat_xact_all_tables where relname ~ '^facts_'"))
            .rows[0]?.n,
        );
      await client.query("begin; set local session_replication_role = replica");
      await client.query(`insert into facts (opened_on, site, position, ordinal, kind, data, recorded_at)
        select now(), 'record', n, 0, 'reported', '{}', now() from generate_series(10001, 12000) n`);
      // as where statistics have Postgres take the table for a small one: nothing may be left to it to turn round
      await client.query("set local session_replication_role = origin; set local enable_nestloop = off");
      const before = await looked();
      await client.query(verdict({}));
      expect((await looked()) - before).toBe(0);
    } finally {
      await client.end();
    }
  });
  test.each<[string, Record<string, string>]>([
    ["rejects by state without a failed guard", { explanation: `'{"permitted":[],"guards":[{"guard":"state.permits@1","ok":true}]}'` }],
    ["rejects by guard without saying what is permitted", { refused_by: "'guard'", explanation: `'{"guards":[{"guard":"x@1","ok":false}]}'` }],
    ["rejects by guard without any explanation", { refused_by: "'guard'", explanation: "'{}'" }],
    ["accepts without a fact", { status: "'accepted'", code: "null", refused_by: "null" }],
    ["accepts with facts that are not there", { status: "'accepted'", code: "null", refused_by: "null", facts: "1" }],
    ["rejects with a fact", { facts: "1" }],
    ["is open and called final", { status: "'deferred'" }],
    ["is deferred with nothing on record to wait", { status: "'deferred'", final: "false" }],
    ["is quarantined with nothing for a person to find", { status: "'quarantined'", final: "false" }],
    ["is a duplicate of nothing", { status: "'duplicate'" }],
    ["refuses without a code", { code: "null" }],
  ])("that %s is refused", async (_, change) => {
    expect(await refusalOf(plant.database.runtimeUrl, tried(verdict(change)))).toBe("23514");
  });
});
