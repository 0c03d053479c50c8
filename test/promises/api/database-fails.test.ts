// Promise: whatever the database says when it fails, whoever asks learns that it failed and whose fault it is, and nothing of statements, tables, rows, files or stacks.
// Attack: a real database that fails with every kind of state, its message full of insides; a table that is gone, a right that is gone, a lock that nobody lets go.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { INSIDE } from "../../support/inside.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "fails";
const MARK = "mark-4d5e8a";
const MESSAGE = `relation "batches_${MARK}" at character 15: select secret_${MARK} from batches where id = 5; could not read /var/lib/postgresql/${MARK}: at judge (/src/decide/${MARK}.ts:12:3)`;

let plant: Plant;
let said = "";

beforeAll(async () => {
  const { Writable } = await import("node:stream");
  const logTo = new Writable({
    write(chunk, _encoding, done) {
      said += String(chunk);
      done();
    },
  });
  plant = await startPlant({ broker: "embedded", settings: { LOG_LEVEL: "debug" }, logTo });
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  // a read of the table of recipes fails with the state that stands in `failing`, and so does a write to it
  for (const statement of [
    "create table failing (code text, message text)",
    `create function fail() returns boolean language plpgsql security definer set search_path = public as $$
     declare it record;
     begin
       select * into it from failing;
       if found then raise exception using errcode = it.code, message = it.message, detail = it.message, hint = it.message, table = 'recipes', schema = 'public', column = 'content'; end if;
       return true;
     end $$`,
    "create function fail_on_insert() returns trigger language plpgsql as $$ begin perform fail(); return new; end $$",
    "create trigger failing before insert on recipes for each row execute function fail_on_insert()",
    "alter table recipes rename to recipes_kept",
    "create view recipes as select * from recipes_kept where fail()",
    "grant select, insert on recipes to signalbox_runtime",
    "grant select on recipes to signalbox_reader",
  ])
    await plant.database.query(statement);
});
afterAll(() => plant?.stop());

const failing = (code: string | null): Promise<unknown> =>
  plant.database.query(`truncate failing${code === null ? "" : `; insert into failing values ('${code}', '${MESSAGE}')`}`);

const READS = ["/v1/registry/recipes", "/v1/registry/recipes/blend", "/v1/registry/recipes/blend/revisions/3"];

async function asksAndLearnsNothing(about: string, statuses: readonly number[]): Promise<void> {
  for (const [method, path, body] of [
    ...READS.map((path) => ["GET", path, undefined] as const),
    ["PUT", "/v1/registry/recipes/blend/revisions/4", { ...BLEND, revision: 4 }] as const,
  ]) {
    // held against the served document: a status that it does not list fails
    const answer = await plant.ask(method, path, body);
    const text = JSON.stringify({ ...answer.body, instance: undefined });
    expect([method, path, statuses.includes(answer.status)], `${about}: ${answer.status} ${text}`).toEqual([method, path, true]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(text, about).not.toContain(MARK);
    expect(text, about).not.toMatch(INSIDE);
    expect(text, about).not.toMatch(/recipes_kept|failing|signalbox_runtime/);
    expect(Object.keys(answer.body).sort(), about).toEqual(expect.arrayContaining(["code", "detail", "status", "title", "type"]));
  }
}

test.each([
  // everyone's, and passing: away, full, shutting down, out of time, in the way of another
  ["57014", [503]],
  ["57P01", [503]],
  ["53100", [503]],
  ["53300", [503]],
  ["58030", [503]],
  ["55P03", [503]],
  ["40001", [503]],
  ["40P01", [503]],
  ["23505", [503]],
  // a value that cannot be stored
  ["22P02", [400]],
  ["22003", [400]],
  ["22021", [400]],
  // what nobody foresaw, and what only a mistake of ours makes
  ["42P01", [500]],
  ["42703", [500]],
  ["42501", [500]],
  ["0A000", [500]],
  ["54001", [500]],
  ["P0001", [500]],
  ["XX000", [500]],
  ["XX001", [500]],
] as const)("a database that fails with %s is told without its insides", async (code, statuses) => {
  await failing(code);
  await asksAndLearnsNothing(code, statuses);
  await failing(null);
  expect((await plant.ask("GET", READS[2] ?? "")).status).toBe(200);
});

test("what nobody foresaw is in the log, for those who look after the service", async () => {
  said = "";
  await failing("XX001");
  await plant.ask("GET", READS[0] ?? "");
  await failing(null);
  expect(said).toContain("a request failed");
  expect(said).toContain("XX001");
});

test("a right that is gone, and a table that is gone, are told without their names", async () => {
  await plant.database.query("revoke select on recipes from signalbox_runtime, signalbox_reader");
  await asksAndLearnsNothing("a right", [500]);
  await plant.database.query("grant select on recipes to signalbox_runtime, signalbox_reader; alter view recipes rename to recipes_gone");
  await asksAndLearnsNothing("a table", [500]);
  await plant.database.query("alter view recipes_gone rename to recipes");
});

test("a lock that nobody lets go is waited for, and then told as what passes", async () => {
  const holder = new pg.Client({ connectionString: plant.database.superUrl });
  await holder.connect();
  await holder.query("begin; lock table recipes_kept in access exclusive mode");
  try {
    const answer = await plant.ask("GET", READS[2] ?? "");
    expect([answer.status, answer.body.code, answer.headers.get("retry-after")]).toEqual([503, "SYS_UNAVAILABLE", "2"]);
    expect(JSON.stringify(answer.body)).not.toMatch(INSIDE);
  } finally {
    await holder.end();
  }
});
