// Promise: partitions are made ahead of need while the record is read and written, and nobody waits for that; those of months every day, however little is decided.
// Attack: a long reading transaction and a writing one hold the tables; partitions must be made beside them, at once, and be what their table is. The months ahead are taken away from a service that
// decides nothing, as if they had passed; they must be there again when it has done what it does every day.
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startPlant } from "../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(async () => {
  await database?.drop();
});

test("partitions are made beside whoever reads and writes", async () => {
  const [reader, writer, maker] = [database.runtimeUrl, database.superUrl, database.runtimeUrl].map((connectionString) => new pg.Client({ connectionString }));
  if (reader === undefined || writer === undefined || maker === undefined) throw new Error("three clients are made");
  for (const client of [reader, writer, maker]) await client.connect();
  try {
    await reader.query("begin");
    for (const table of ["signals", "verdicts", "audit_entries", "facts", "outcomes"]) await reader.query(`select count(*) from ${table}`);
    await writer.query("begin; set local session_replication_role = replica");
    await writer.query("insert into audit_entries (site, position, entry) values ('any', 1, '')");
    await maker.query("set lock_timeout = '5s'");
    const made = await maker.query("select ensure_partitions(5000000) as made");
    expect(Number(made.rows[0]?.made)).toBeGreaterThan(0);
    expect((await maker.query("select ensure_partitions(5000000) as made")).rows).toEqual([{ made: 0 }]);
  } finally {
    for (const client of [reader, writer, maker]) await client.end();
  }
});

test("a partition that was made later is like those from the beginning", async () => {
  const like = async (name: string): Promise<unknown> =>
    (
      await database.query(`
        select (select array_agg(replace(pg_get_indexdef(indexrelid), '${name}', 'p') order by replace(pg_get_indexdef(indexrelid), '${name}', 'p')) from (select indexrelid from pg_index where indrelid = c.oid) i) as indexes,
          (select array_agg(tgname::text order by tgname::text) from pg_trigger where tgrelid = c.oid and not tgisinternal) as triggers,
          (select array_agg(replace(pg_get_constraintdef(oid), ' NOT VALID', '') order by replace(pg_get_constraintdef(oid), ' NOT VALID', '')) from pg_constraint where conrelid = c.oid) as constraints,
          pg_get_userbyid(relowner) as owner, relacl::text as grants, relrowsecurity as secured
        from pg_class c where oid = '${name}'::regclass`)
    )[0];
  for (const table of ["signals", "verdicts", "audit_entries"]) expect(await like(`${table}_p6`), table).toEqual(await like(`${table}_p0`));
  await database.query("insert into sites (site) values ('far')");
  await database.query("set session_replication_role = replica; insert into audit_entries (site, position, entry) values ('far', 6500000, '')");
  await expect(database.query("update audit_entries set entry = 'other' where position = 6500000")).rejects.toThrow();
});

// Months were made when the service started and when half a million positions were reached: a small plant that ran for three months could not have opened a batch.
test("a service that decides nothing makes the months ahead once a day", async () => {
  const DAY_MS = 86_400_000;
  const intervals = vi.spyOn(globalThis, "setInterval");
  const plant = await startPlant({ broker: "embedded" });
  try {
    const daily = intervals.mock.calls.flatMap(([run, ms]) => (ms === DAY_MS ? [run] : []));
    const ahead = [1, 2, 3].flatMap((months) =>
      ["facts", "outcomes"].map((table) => `'${table}_' || to_char(date_trunc('month', now() at time zone 'utc') + interval '${months} months', 'YYYY_MM')`),
    );
    const missing = async (): Promise<number> =>
      Number((await plant.database.query(`select num_nulls(${ahead.map((name) => `to_regclass(${name})`).join(", ")}) as missing`))[0]?.["missing"]);
    expect(await missing()).toBe(0);
    for (const name of ahead) await plant.database.query(`do $$ begin execute 'drop table ' || ${name}; end $$`);
    expect(await missing()).toBe(ahead.length);
    for (const run of daily) run();
    while ((await missing()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    intervals.mockRestore();
    await plant.stop();
  }
});
