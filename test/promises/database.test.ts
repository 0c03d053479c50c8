// Promise: a bad database moment, or one row that it refuses, costs nothing but itself; and who looks after the database is told what to do.
// Attack: a refused row in the middle of a group, an answer that does not come in time, many batches that no statistics know of, an owner who owns nothing, a planner that believes in thousands of rows, a connection that forgets what it prepared, a doctor who looks while it runs.
import { sql } from "kysely";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { examineDatabase } from "../../src/cli/doctor.store.ts";
import { ofDatabase } from "../../src/cli/findings.ts";
import { FIXED, openDatabase, PLANS_ONCE } from "../../src/db/database.ts";
import { MigrationRefused, migrate } from "../../src/db/migrate.store.ts";
import { noDefinitions } from "../../src/decide/definitions.store.ts";
import { readWorld } from "../../src/decide/world.store.ts";
import { emptyRequest, type WorldRequest } from "../../src/decide/world-request.ts";
import { worldStatement } from "../../src/decide/world-statement.store.ts";
import { BLEND } from "../support/blend.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { untilLocked } from "../support/until-locked.ts";

const SOURCES = ["north", "south"].map((name) => sourceOf("store", "1", name));
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  for (const source of SOURCES) await plant.equipment("store", source.split("/").pop() ?? "", "1", "button");
  expect((await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND)).status).toBeLessThan(300);
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(...SOURCES.map(verdictTopicOf));
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

describe("a row that the database refuses", () => {
  test("is found in its group, settled as poison and counted; everything else in the group is accepted, in order", async () => {
    const [north = "", south = ""] = SOURCES;
    await plant.database.query(
      "create function refuse() returns trigger language plpgsql as $$ begin raise check_violation using message = 'attacked'; end $$",
    );
    await plant.database.query(
      "create trigger refuse before insert on verdicts for each row when (new.event_id = 'north-7' and new.status = 'accepted') execute function refuse()",
    );
    const numbers = Array.from({ length: 12 }, (_, i) => i + 1);
    await Promise.all(
      numbers.flatMap((n) =>
        [north, south].map((source) =>
          party.publish(eventTopic(source), envelope(source, 1, n, "call.raised", { call: "help" }, { id: `${source.split("/").pop()}-${n}` })),
        ),
      ),
    );
    await party.untilAll("all 24 verdicts", (seen) => new Set(seen.map(({ body }) => body.data.event.id)).size === 24);
    const statuses = new Map(party.seen.map(({ body }) => [body.data.event.id, `${body.data.status} ${body.data.code ?? ""}`.trim()]));
    for (const [id, status] of statuses) expect(status, id).toBe(id === "north-7" ? "rejected SYS_POISON" : "accepted");
  });
});

describe("a connection", () => {
  test.each([
    ["a statement", sql`select pg_sleep(20)`],
    ["a copy", sql`copy (select pg_sleep(20)) to stdout (format binary)`],
  ])("whose answer does not come in time is not handed out again with %s still running on it", async (_, sleep) => {
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "late", answerMs: 250 });
    try {
      const pid = async (): Promise<number | undefined> => (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]?.pid;
      const before = await pid();
      await expect(sleep.execute(db)).rejects.toThrow("Query read timeout");
      expect(await pid()).not.toBe(before);
    } finally {
      await close();
    }
  });

  test("after a copy that failed serves the next statement", async () => {
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "failing" });
    try {
      await expect(sql`copy (select 1 / (3 - n) from generate_series(1, 5) n) to stdout (format binary)`.execute(db)).rejects.toThrow("division by zero");
      expect((await sql<readonly Buffer[]>`copy (select '\\xff00'::bytea) to stdout (format binary)`.execute(db)).rows).toEqual([[Buffer.from("ff00", "hex")]]);
    } finally {
      await close();
    }
  });
});

/** Batches, each with a stream, equipment and a lock on that: by themselves, since what refers to what is not looked at. */
async function addBatches(client: pg.Client, first: number, last: number): Promise<void> {
  const each = `from generate_series(${first}, ${last}) n`;
  await client.query("set local session_replication_role = replica");
  await client.query(`insert into batches (site, batch, shard, version, line, job_order, recipe, revision, recipe_hash, batch_machine, batch_machine_hash, step_machine, step_machine_hash, quantity, unit,
      parameters, roles, execution, disposition, opened_on, created_at, asked)
    select 'store', 'B-' || n, 'store', 1, '1', 'PO-' || n, 'blend', 3, '', 'batch/governed@1', '', 'step/governed@1', '', '1', 'kg', '{}', '{}', 'planned', 'pending', now(), now(), '' ${each}`);
  await client.query(`insert into streams (site, stream, shard, line, opened_on, sequence) select 'store', 'batch/B-' || n, 'store', '1', now(), 1 ${each}`);
  await client.query(`insert into equipment (site, equipment, line, class, token) select 'store', 'unit-' || n, '1', 'unit', 1 ${each}`);
  await client.query(`insert into context_locks (site, equipment, kind, batch, role, locked, token, taken_at, taken_position)
    select 'store', 'unit-' || n, 'allocation', 'B-' || n, 'unit', 'batch', 1, now(), 1 ${each}`);
  await client.query("set local session_replication_role = origin");
}

/** How many rows of some tables a statement has looked at. */
async function looksAt(client: pg.Client, tables: readonly string[], statement: string, values: readonly unknown[] = []): Promise<number> {
  const read = async (): Promise<number> => {
    const { rows } = await client.query(
      "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as n from pg_stat_xact_all_tables where relname = any($1) and schemaname = 'public'",
      [tables],
    );
    return Number(rows[0]?.n);
  };
  const before = await read();
  await client.query(statement, [...values]);
  return (await read()) - before;
}

describe("what refers to a batch", () => {
  // Once the first minutes of a plant cost more with each batch: planned while there was none, the check took the key that begins with the same site, and read every batch there was.
  test("is held against that batch alone, also where the plan was made before there were others", async () => {
    const client = new pg.Client({ connectionString: plant.database.superUrl });
    await client.connect();
    try {
      const refer = (batch: number) =>
        looksAt(client, ["batches"], "insert into steps (site, batch, step, attempt, ordinal, state) values ('store', $1, 'weigh', 1, 1, 'pending')", [
          `B-${batch}`,
        ]);
      await client.query("begin");
      await addBatches(client, 1, 1);
      await refer(1);
      await addBatches(client, 2, 500);
      expect(await refer(250)).toBe(1);
    } finally {
      await client.end();
    }
  });
});

describe("a commit", () => {
  // Once it went through all that a site has, for as long as its plans were of a time without statistics: of one event it took Postgres twice as long.
  test("looks at what it is about, however much there is that no statistics know of", async () => {
    const client = new pg.Client({ connectionString: plant.database.superUrl, options: PLANS_ONCE.map((setting) => `-c ${setting}`).join(" ") });
    await client.connect();
    try {
      const commit = async (n: number) => {
        const { rows } = await client.query(
          `select jsonb_build_object(
            'batches', (select jsonb_agg(to_jsonb(b) || '{"changed": true}') from batches b where b.site = 'store' and b.batch = 'B-' || $1),
            'streams', (select jsonb_agg(to_jsonb(s) || jsonb_build_object('expected', s.sequence, 'sequence', s.sequence + 1)) from streams s where s.site = 'store' and s.stream = 'batch/B-' || $1),
            'equipment', (select jsonb_agg(to_jsonb(e) || '{"changed": true}') from equipment e where e.site = 'store' and e.equipment = 'unit-' || $1),
            'locks_freed', (select jsonb_agg(to_jsonb(c) || '{"ref": -1}') from context_locks c where c.site = 'store' and c.equipment = 'unit-' || $1)) as document`,
          [n],
        );
        const { term } = (await client.query("select term from shards where shard = 'store'")).rows[0] ?? {};
        return looksAt(
          client,
          ["batches", "streams", "equipment", "context_locks"],
          "select settle_rows('store', 'store', $1, gen_random_uuid(), 1, $2, '{}', '{}')",
          [term, JSON.stringify(rows[0]?.document)],
        );
      };
      await client.query("begin");
      await addBatches(client, 1, 1);
      const alone = await commit(1);
      await addBatches(client, 2, 500);
      expect(alone).toBeGreaterThan(0);
      expect(await commit(250)).toBeLessThanOrEqual(alone + 4);
      const { rows } = await client.query(`select b.version, s.sequence, e.version as moved, c.freed_at is not null as freed
        from batches b, streams s, equipment e, context_locks c where b.batch = 'B-250' and s.stream = 'batch/B-250' and e.equipment = 'unit-250' and c.equipment = 'unit-250'`);
      expect(rows).toEqual([{ version: "2", sequence: "2", moved: "2", freed: true }]);
    } finally {
      await client.end();
    }
  });

  // What is locked is looked for within the statement that proves it: who waits there must see what became of the row meanwhile.
  describe("with a batch and with one that is awaited", () => {
    beforeAll(async () => {
      const client = new pg.Client({ connectionString: plant.database.superUrl });
      await client.connect();
      await client.query("begin");
      await addBatches(client, 1_001, 1_001);
      await client.query("insert into awaited (site, awaited, version) values ('store', 'batch:B-1002', 1)");
      await client.query("commit");
      await client.end();
    });
    afterAll(() =>
      plant.database.query(`set session_replication_role = replica; delete from batches where batch = 'B-1001'; delete from streams where stream = 'batch/B-1001';
        delete from context_locks where batch = 'B-1001'; delete from equipment where equipment = 'unit-1001'; delete from awaited where awaited = 'batch:B-1002'`),
    );

    test.each([
      ["equipment", "update equipment set version = version + 1 where site = 'store' and equipment = 'north'", "equipment has moved on"],
      ["a source", "update sources set version = version + 1 where site = 'store' and equipment = 'north'", "a source has moved on"],
      ["a batch", "update batches set version = version + 1 where site = 'store' and batch = 'B-1001'", "a batch has moved on"],
      ["what is awaited", "update awaited set version = version + 1 where site = 'store' and awaited = 'batch:B-1002'", "something awaited has come"],
      ["a stream of outcomes", "update streams set sequence = sequence + 1 where site = 'store' and stream = 'batch/B-1001'", "an outcome stream has moved on"],
    ])("waits for whoever changes %s, and is refused if it changed", async (_, change, refusal) => {
      const other = new pg.Client({ connectionString: plant.database.superUrl });
      const own = new pg.Client({ connectionString: plant.database.superUrl });
      await Promise.all([other.connect(), own.connect()]);
      try {
        const { rows } = await own.query(`select (select term from shards where shard = 'store') as term, jsonb_build_object(
        'sources', (select jsonb_agg(to_jsonb(s) || jsonb_build_object('key', s.source_key, 'changed', false)) from sources s where s.site = 'store' and s.equipment = 'north'),
        'batches', (select jsonb_agg(to_jsonb(b) || '{"changed": false}') from batches b where b.site = 'store' and b.batch = 'B-1001'),
        'equipment', (select jsonb_agg(to_jsonb(e) || '{"changed": false}') from equipment e where e.site = 'store' and e.equipment = 'north'),
        'awaited', (select jsonb_agg(to_jsonb(w)) from awaited w where w.site = 'store' and w.awaited = 'batch:B-1002'),
        'streams', (select jsonb_agg(to_jsonb(t) || jsonb_build_object('expected', t.sequence, 'sequence', t.sequence + 1)) from streams t
          where t.site = 'store' and t.stream = 'batch/B-1001'))::text as document`);
        const commit = async () => {
          await own.query("begin");
          return own.query("select settle_rows('store', 'store', $1, gen_random_uuid(), 0, $2, '{}', '{}')", [rows[0]?.term, rows[0]?.document]);
        };
        const afterChange = async (end: "commit" | "rollback") => {
          await other.query("begin");
          await other.query(change);
          const committed = commit();
          await untilLocked(plant.database, "settle_rows", committed);
          await other.query(end);
          return committed;
        };
        await expect(afterChange("rollback")).resolves.toMatchObject({ rowCount: 1 });
        await own.query("rollback");
        await expect(afterChange("commit")).rejects.toThrow(refusal);
      } finally {
        await Promise.all([other.end(), own.end()]);
      }
    });
  });
});

describe("a connection on which what was prepared is gone", () => {
  const whole = { toPostgres: () => "a text" };
  const broken = {
    toPostgres: () => {
      throw new TypeError("the text cannot be made");
    },
  };
  let opened: ReturnType<typeof openDatabase>;
  const ask = async (text: { toPostgres(): string }) => {
    const { rows } = await sql<{ pid: number }>`${sql.raw(FIXED)} select pg_backend_pid() as pid, ${text}::text as text`.execute(opened.db);
    return rows[0]?.pid;
  };
  beforeEach(() => {
    opened = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "forgetful" });
  });
  afterEach(() => opened.close());

  test("is given up when that shows, and what is asked next is answered on another", async () => {
    const pid = await ask(whole);
    expect(await ask(whole)).toBe(pid);
    await sql`deallocate all`.execute(opened.db);
    await expect(ask(whole)).rejects.toMatchObject({ code: "26000" });
    expect(await ask(whole)).not.toBe(pid);
  });

  // Then the driver closes the statement, and goes on taking it for prepared.
  test("since a text that it sends could not be made, likewise", async () => {
    const pid = await ask(whole);
    await expect(ask(broken)).rejects.toThrow("the text cannot be made");
    await expect(ask(whole)).rejects.toMatchObject({ code: "26000" });
    expect(await ask(whole)).not.toBe(pid);
  });
});

describe("reading the world of one event", () => {
  // Once eight milliseconds of processor where one does: Postgres made room for the thousands of rows that it believed in, and cleared it, before it looked for the first.
  test("makes no table for hashes, whatever Postgres believes will be found", async () => {
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "planned once", plansOnce: true });
    try {
      await readWorld(db, { site: "store", shard: "store", prefix: "", maxBytes: 1_024 }, emptyRequest(), noDefinitions());
      const { rows } = await sql<{ name: string; parameters: number }>`
        select name, cardinality(parameter_types) as parameters from pg_prepared_statements where statement like '%near_locks%'`.execute(db);
      const [{ name, parameters } = { name: "", parameters: 0 }] = rows;
      const plan = await sql<
        Record<string, string>
      >`explain execute ${sql.id(name)} (${sql.raw(Array.from({ length: parameters }, () => "null").join(", "))})`.execute(db);
      const nodes = plan.rows.map((row) => String(row["QUERY PLAN"]).trim());
      expect(nodes.length).toBeGreaterThan(100);
      expect(nodes.filter((node) => node.includes("HashAggregate"))).toEqual([]);
    } finally {
      await close();
    }
  });
});

describe("the evidence of a batch", () => {
  const named = (...steps: readonly string[]) => ({ evidence: { "B-2001": steps } });
  const goingOn = ["engaged", "named", "next", "other"];
  // what the database does not give the judge asks for, at the price of reading and judging once more
  test.each([
    ["of a step that is named, and of what comes next", named("named"), false, ["named", "next"]],
    ["of a step too that equipment is engaged in", { ...named("named"), equipment: ["unit-2001"] }, false, ["engaged", "named", "next"]],
    ["of a step that has ended where it is named", named("ended"), false, ["ended", "next"]],
    ["of all that goes on where no step can be named", named("+"), false, goingOn],
    ["of all that goes on where the batch came by its equipment", {}, false, goingOn],
    ["of all that goes on while an event of the batch is deferred", named("named"), true, goingOn],
    ["of every step for whom may look at any", named("*"), false, ["ended", ...goingOn]],
  ])("is read %s", async (_, asked, deferred, read) => {
    const client = new pg.Client({ connectionString: plant.database.superUrl });
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "evidence" });
    await client.connect();
    try {
      await client.query("begin");
      await addBatches(client, 2_001, 2_001);
      await client.query(`insert into steps (site, batch, step, attempt, ordinal, state, started_at, ended_at)
        select 'store', 'B-2001', step, 1, 1, state, case when state <> 'pending' then now() end, case when state = 'complete' then now() end
        from (values ('named', 'in_progress'), ('engaged', 'in_progress'), ('other', 'in_progress'), ('next', 'pending'), ('ended', 'complete')) as s (step, state)`);
      await client.query(`insert into context_locks (site, equipment, kind, batch, step, attempt, role, locked, token, taken_at, taken_position)
        values ('store', 'unit-2001', 'engagement', 'B-2001', 'engaged', 1, 'unit', 'step', 2, now(), 1)`);
      if (deferred)
        await client.query(`insert into deferrals (site, position, shard, source_key, round, code, batch, moves, bytes, due_at)
          select 'store', 1, 'store', min(source_key), 1, 'STA_NOT_YET', 'B-2001', false, 1, now() from sources`);
      const { sql: text, parameters } = sql`select ${worldStatement("store", "store", JSON.stringify({ batches: ["B-2001"], ...asked }))} as world`.compile(db);
      const [{ world }] = (await client.query(text, [...parameters])).rows;
      const steps: readonly { readonly step: string; readonly evidence: unknown }[] = world.batches[0].steps;
      expect(steps.length).toBe(5);
      expect(steps.flatMap(({ step, evidence }) => (evidence === null ? [] : [step])).sort()).toEqual(read);
    } finally {
      await Promise.all([client.end(), close()]);
    }
  });
});

describe("the sources of what a batch works with", () => {
  const scale = sourceOf("store", "1", "scale-1");
  const mixer = sourceOf("store", "1", "mixer-1");
  beforeAll(async () => {
    await plant.equipment("store", "scale-1", "1", "scale");
    await plant.equipment("store", "mixer-1", "1", "mixer");
    const order = { batch: "B-1042", jobOrder: "PO-77", line: "1", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    const created = await plant.ask("POST", "/v1/sites/store/batches", { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } });
    expect(created.status).toBe(201);
  });

  // A step is complete only while none of them has a gap: one that was asked for and not read would count as one that has none.
  test.each<[string, (request: WorldRequest) => unknown, Readonly<Record<string, readonly string[]>>]>([
    ["are all read where it is asked for", (r) => r.sourcesOf.add("B-1042"), { "mixer-1": [mixer], "scale-1": [scale] }],
    ["are those of the equipment that is asked for, where nothing else is", (r) => r.equipment.add("mixer-1"), { "mixer-1": [mixer] }],
    ["are none where it is not asked for", () => {}, {}],
    ["are none of a batch that is nowhere", (r) => r.sourcesOf.add("B-nowhere"), {}],
  ])("%s", async (_, ask, expected) => {
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "sources", plansOnce: true });
    try {
      const request = emptyRequest();
      request.batches.add("B-1042");
      ask(request);
      const world = await readWorld(db, { site: "store", shard: "store", prefix: "", maxBytes: 1_024 }, request, noDefinitions());
      expect(Object.fromEntries([...world.sourcesOfEquipment].sort())).toEqual(expected);
      expect([...world.sources.keys()].sort()).toEqual(Object.values(expected).flat().sort());
      expect([...world.equipment.keys()].sort()).toEqual(["mixer-1", "scale-1"]);
    } finally {
      await close();
    }
  });
});

describe("who looks after the database", () => {
  test("hears from the doctor that a running service's database is well", async () => {
    const facts = await examineDatabase(plant.database.runtimeUrl);
    expect(facts.unfit).toEqual([]);
    expect(facts.heads).toEqual([expect.objectContaining({ site: "store", generation: 1 })]);
    expect(facts.partitionsTo).toBeGreaterThan(100_000);
    expect(ofDatabase(facts).filter(({ ok }) => !ok)).toEqual([]);
  });
  test("is told that a role which does not own the database cannot migrate it, and who can", async () => {
    await plant.database.query("create database another owner signalbox_owner");
    const refused = migrate(plant.database.runtimeUrl.replace(/signalbox$/, "another"));
    await expect(refused).rejects.toThrow(MigrationRefused);
    await expect(refused).rejects.toThrow(/DATABASE_OWNER_URL.*permission denied.*own/s);
  });
});

describe("a temporary table", () => {
  // with one in the place of a table that a trigger asks, the runtime role was refused nothing that rests on other rows
  test("stands before none that a trigger asks, and the role that the service runs as makes none", async () => {
    const functions = await plant.database.query(
      "select p.proname, p.proconfig::text as settings from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prorettype = 'trigger'::regtype and p.proname <> 'refuse'",
    );
    expect(functions.length).toBeGreaterThan(20);
    expect(functions.filter(({ settings }) => !String(settings).includes("search_path=public, pg_temp"))).toEqual([]);
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "temporary" });
    try {
      await expect(sql`create temp table facts (site text)`.execute(db)).rejects.toThrow("permission denied to create temporary tables");
    } finally {
      await close();
    }
  });
});
