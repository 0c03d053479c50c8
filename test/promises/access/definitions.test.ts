// Promise: a recipe or state machine that one person registers is in force for new batches only after another person approved it by their signature; who proposed and who approved it is shown and on
// record. What was registered before anybody was asked who they are stays in force.
// Attack: a batch by what nobody has approved; approvals without a signature, by whoever registered it, by a role at one site, by a machine, twice, of another hash; rows that the database is to refuse;
// then everything is decided again.
import { afterAll, beforeAll, expect, test } from "vitest";
import { grantRole, revokeRole } from "../../../src/access/access.store.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { shippedStateMachines } from "../../../src/registry/state-machines.file.ts";
import { BLEND } from "../../support/blend.ts";
import { bearing, machine, PASSWORD, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";

const SITE = "governed";
const BY = { actor: "signalbox", from: null, reason: "test" };
type Token = Readonly<Record<string, string>>;
let plant: Plant;
const as: Record<string, Token> = {};
let orders = 0;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  expect(await plant.ask("PUT", recipeAt(3), BLEND)).toMatchObject({ status: 200, body: { result: "registered", inForce: true } });
  await person(plant, "admin", { role: "admin", site: null });
  for (const [id, role, site] of [
    ["ann", "engineer", null],
    ["eve", "engineer", null],
    ["sam", "supervisor", SITE],
    ["quinn", "qa_approver", null],
    ["quentin", "qa_approver", SITE],
  ] as const) {
    await person(plant, id, { role, site });
    as[id] = bearing(await signIn(plant, id));
  }
  as["mes"] = bearing(await machine(plant, "mes-1", "admin", { role: "mes", site: null }));
}, 300_000);
afterAll(async () => {
  await plant?.stop();
});

const recipeAt = (revision: number): string => `/v1/registry/recipes/blend/revisions/${revision}`;
const put = (path: string, content: unknown, who: string) => plant.ask("PUT", path, content, { ...as[who], reason: "as developed" });
const read = async (path: string) => (await plant.ask("GET", path, undefined, as["sam"])).body;
const challenge = (path: string, hash: unknown, who: string) =>
  plant.ask("POST", "/v1/signatures/challenges", { path: `${path}/approval`, body: { hash }, reason: "tried in the pilot plant" }, as[who]);
const said = (of: unknown, name: string): unknown => Object(of)[name];
const sign = (asked: { readonly body: unknown }, who: string) =>
  plant.ask("POST", "/v1/signatures", { challenge: said(asked.body, "challenge"), password: PASSWORD }, as[who]);
const batchBy = (revision: number) => {
  orders += 1;
  const order = { batch: `B-${orders}`, jobOrder: `PO-${orders}`, line: "4", recipe: "blend", revision, quantity: { value: "25.000", unit: "kg" } };
  return plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } }, as["sam"]);
};

test("what was registered before anybody signed in is in force, and was proposed by nobody", async () => {
  expect(await read(recipeAt(3))).toMatchObject({ inForce: true, proposed: null, approved: null });
  expect((await batchBy(3)).status).toBe(201);
  const hash = (await read(recipeAt(3))).hash;
  expect((await challenge(recipeAt(3), hash, "quinn")).status).toBe(201);
  const asked = await challenge(recipeAt(3), hash, "quinn");
  expect(await sign(asked, "quinn")).toMatchObject({ status: 409, body: { code: "REV_IN_FORCE" } });
});

test("a recipe that a person registers is in force once another person has approved it, by their signature", async () => {
  const registered = await put(recipeAt(4), { ...BLEND, revision: 4 }, "ann");
  expect(registered).toMatchObject({ status: 200, body: { result: "registered", inForce: false } });
  const { hash } = registered.body;
  expect(await read(recipeAt(4))).toMatchObject({ inForce: false, proposed: { by: "person:ann" }, approved: null });
  expect(await batchBy(4)).toMatchObject({ status: 409, body: { code: "REV_NOT_APPROVED" } });
  // the content was registered by ann, whoever says the same again
  expect(await put(recipeAt(4), { ...BLEND, revision: 4 }, "eve")).toMatchObject({ status: 200, body: { result: "unchanged", inForce: false } });

  const approve = (who: string) => plant.ask("POST", `${recipeAt(4)}/approval`, { hash }, as[who]);
  expect(await approve("quinn")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  for (const who of ["ann", "sam", "mes"]) expect((await approve(who)).status, who).toBe(403);
  for (const who of ["ann", "sam", "mes", "quentin"]) expect((await challenge(recipeAt(4), hash, who)).status, who).toBe(403);
  const other = await challenge(recipeAt(4), "00".repeat(32), "quinn");
  expect(await sign(other, "quinn")).toMatchObject({ status: 409, body: { code: "REV_OTHER" } });
  expect(await batchBy(4)).toMatchObject({ status: 409, body: { code: "REV_NOT_APPROVED" } });

  const [asked, again] = [await challenge(recipeAt(4), hash, "quinn"), await challenge(recipeAt(4), hash, "quinn")];
  expect(asked).toMatchObject({
    status: 201,
    body: { text: "I, Person quinn (quinn), as qa_approver, approve recipe blend@4 at every site: configuration approved. Reason: tried in the pilot plant" },
  });
  const signed = await sign(asked, "quinn");
  expect(signed.status, JSON.stringify(signed.body)).toBe(200);
  const shown = {
    inForce: true,
    proposed: { by: "person:ann", at: expect.stringMatching(/^\d{4}-/) },
    approved: {
      by: "person:quinn",
      at: expect.stringMatching(/^\d{4}-/),
      signed: expect.stringContaining("Person quinn (quinn), qa_approver: configuration approved,"),
      signature: { signature: said(asked.body, "challenge"), signer: { person: "quinn" }, authenticated: { method: "password" } },
    },
  };
  expect(said(signed.body, "answer")).toMatchObject(shown);
  expect(await read(recipeAt(4))).toMatchObject(shown);
  expect((await batchBy(4)).status).toBe(201);
  // once: what was to be signed has changed
  expect(await sign(again, "quinn")).toMatchObject({ status: 409, body: { code: "SIGNATURE_RECORD_CHANGED" } });
  const [entry] = (await plant.ask("GET", `/v1/audit/entries?site=${SITE}&what=recipe.approved`, undefined, as["sam"])).body.items;
  expect(entry).toMatchObject({
    who: { name: "person:quinn", role: "qa_approver" },
    object: "recipe blend@4",
    signed: expect.stringContaining("Person quinn"),
  });
  expect((await read("/v1/registry/recipes/blend")).items).toMatchObject([
    { revision: 3, inForce: true },
    { revision: 4, inForce: true },
  ]);
});

test("whoever registered a revision does not approve it, whatever they became since; the database refuses it too", async () => {
  const { hash } = (await put(recipeAt(5), { ...BLEND, revision: 5 }, "eve")).body;
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    await revokeRole(db, { kind: "person", id: "eve" }, "engineer", null, BY);
    await grantRole(db, { kind: "person", id: "eve" }, "qa_approver", null, BY);
  } finally {
    await close();
  }
  expect(await challenge(recipeAt(5), hash, "eve")).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
  const row = (revision: number, proposed: string, approved: string) =>
    plant.database.query(
      `insert into recipe_approvals (recipe, revision, proposed_by, approved_by, signature) values ('blend', ${revision}, '${proposed}', '${approved}', '{"signature": "x"}')`,
    );
  await expect(row(5, "person:eve", "person:eve")).rejects.toThrow("check");
  // as somebody else's proposal it is none
  await expect(row(5, "person:ann", "person:eve")).rejects.toThrow("foreign key");
  await expect(row(5, "person:eve", "machine:mes-1")).rejects.toThrow("check");
  // nor is there one of what nobody proposed; and nobody proposes anything where people sign in
  await expect(row(3, "person:ann", "person:quinn")).rejects.toThrow("foreign key");
  await expect(
    plant.database.query(
      "insert into recipes (recipe, revision, hash, content) select recipe, 99, hash, content from recipes where recipe = 'blend' and revision = 3",
    ),
  ).rejects.toThrow("is proposed by nobody");
  await expect(plant.database.query("update recipes set proposed_by = null where revision = 5")).rejects.toThrow();
  await expect(plant.database.query("delete from recipe_approvals")).rejects.toThrow();
  expect(await batchBy(5)).toMatchObject({ status: 409, body: { code: "REV_NOT_APPROVED" } });
});

test("a recipe whose state machine nobody has approved is bound to no batch, though it is approved itself", async () => {
  const [shipped] = (await shippedStateMachines()).filter(({ name }) => name === "batch/governed");
  const machineAt = "/v1/registry/state-machines/batch.own/revisions/1";
  const registered = await put(machineAt, { ...shipped, name: "batch/own" }, "ann");
  expect(registered, JSON.stringify(registered.body)).toMatchObject({ status: 200, body: { inForce: false } });
  const recipe = { ...BLEND, revision: 6, stateMachines: { ...BLEND.stateMachines, batch: "batch/own@1" } };
  const { hash } = (await put(recipeAt(6), recipe, "ann")).body;
  expect((await sign(await challenge(recipeAt(6), hash, "quinn"), "quinn")).status).toBe(200);
  expect(await batchBy(6)).toMatchObject({ status: 409, body: { code: "REV_NOT_APPROVED", detail: expect.stringContaining("state machine") } });
  expect((await sign(await challenge(machineAt, registered.body.hash, "quinn"), "quinn")).status).toBe(200);
  expect((await batchBy(6)).status).toBe(201);
});

test("everything is decided again as it was", async () => {
  expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
});
