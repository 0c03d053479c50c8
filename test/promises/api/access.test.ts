// Promise: whoever reads a batch's record, its trail, or what a search finds, is on record before it is handed out, without a number of the batch; what is asked for again and again is one
// access, and what there is not is none.
// Attack: read each, again at once and side by side, in another form, with another search, of a batch and of a site that are not there.
import { afterAll, beforeAll, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "reading";
const RECORD = `/v1/sites/${SITE}/batches/B-1/record`;
const TRAIL = `/v1/sites/${SITE}/batches/B-1/audit-trail`;
let plant: Plant;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  for (const [name, kind] of [
    ["scale-1", "scale"],
    ["mixer-1", "mixer"],
  ] as const)
    await plant.equipment(SITE, name, "4", kind);
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND, { reason: "first recipe" });
  const order = { batch: "B-1", jobOrder: "PO-1", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  const made = await plant.ask(
    "POST",
    `/v1/sites/${SITE}/batches`,
    { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } },
    { "idempotency-key": "k-1" },
  );
  expect(made.status).toBe(201);
});
afterAll(async () => {
  await plant?.stop();
});

const accesses = async (): Promise<readonly Record<string, unknown>[]> =>
  plant.database.query(`select g.actor, g.body ->> 'object' as object, g.body ->> 'from' as from,
    (select count(*)::int from audit_numbers n where n.site = g.site and n.position = g.position) as numbers
    from signals g where g.site = '${SITE}' and g.type = 'audit.read' order by g.position`);

test("a batch's record is read once, however often and in whatever form", async () => {
  await Promise.all(Array.from({ length: 5 }, () => plant.ask("GET", RECORD)));
  expect((await fetch(`${plant.url}${RECORD}`, { headers: { accept: "text/html" } })).status).toBe(200);
  expect(await accesses()).toEqual([
    { actor: "unattributed", object: "record of batch B-1", from: expect.stringMatching(new RegExp(`^(127\\.0\\.0\\.1|::1) GET ${RECORD}$`)), numbers: 0 },
  ]);
});

test("its trail, and each search, are accesses of their own", async () => {
  const before = (await accesses()).length;
  await plant.ask("GET", TRAIL);
  for (const query of ["who=nobody", "who=nobody&limit=1", "what=recipe.registered", ""]) await plant.ask("GET", `/v1/audit/entries?site=${SITE}&${query}`);
  expect((await accesses()).slice(before).map(({ object }) => object)).toEqual([
    "audit trail of batch B-1",
    "entries with who nobody",
    "entries with what recipe.registered",
    "all entries",
  ]);
});

test("what is not there was not read", async () => {
  const before = await accesses();
  for (const path of [RECORD, TRAIL]) expect((await plant.ask("GET", path.replace("B-1", "B-2"))).status).toBe(404);
  expect((await plant.ask("GET", "/v1/audit/entries?site=nowhere")).status).toBe(200);
  expect((await plant.ask("GET", "/v1/audit/entries?site=reading&who=")).status).toBe(400);
  expect(await accesses()).toEqual(before);
});

// what was searched for at a site before it was registered had counted as read, so that the first access afterwards was on record nowhere
test("what is read of a site once it is there is on record, also by who asked before", async () => {
  const search = "/v1/audit/entries?site=later";
  await plant.ask("GET", search);
  await plant.equipment("later", "press-1", "1", "press");
  await plant.ask("GET", search);
  expect(await plant.database.query("select count(*)::int as n from signals where site = 'later' and type = 'audit.read'")).toEqual([{ n: 1 }]);
});
