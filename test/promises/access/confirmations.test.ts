// Promise: what an MES has confirmed of a site's outcomes only goes on, never beyond what is handed out, and is told with how much it is behind, also when it may not ask any more; it changes nothing of
// the record. After a restore it is what still stands.
// Attack: a confirmation that goes back, that is ahead of what is handed out or signed, of a generation that was or is none, by whoever is no MES, many at once in any order; a database asked past the
// service; a restore that cuts off what was confirmed.
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordRestore } from "../../../src/cli/restored.store.ts";
import { BLEND } from "../../support/blend.ts";
import { bearing, machine, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";

const SITE = "confirmed";
const PATH = `/v1/sites/${SITE}/outcomes/confirmation`;
type Token = Readonly<Record<string, string>>;
let plant: Plant;
const as: Record<string, Token> = {};

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const [name, kind] of [
    ["scale-1", "scale"],
    ["mixer-1", "mixer"],
  ] as const)
    await plant.equipment(SITE, name, "4", kind);
  expect((await plant.ask("PUT", PATH, { position: 0, generation: 1 })).status, "nobody in particular").toBe(403);
  await person(plant, "admin", { role: "admin", site: null });
  await person(plant, "sam", { role: "supervisor", site: SITE });
  as["sam"] = bearing(await signIn(plant, "sam"));
  as["admin"] = bearing(await signIn(plant, "admin"));
  for (const id of ["mes-1", "mes-2", "mes-3"]) as[id] = bearing(await machine(plant, id, "admin", { role: "mes", site: SITE }));
  as["integrator"] = bearing(await machine(plant, "reads-1", "admin", { role: "integrator", site: SITE }));
  await batches(5);
}, 300_000);
afterAll(async () => {
  await plant?.stop();
});

let made = 0;
/** So many batches are created: each brings about an outcome, and more than that on record. */
async function batches(count: number): Promise<void> {
  for (const last = made + count; made < last; ) {
    made += 1;
    const order = { batch: `B-${made}`, jobOrder: `PO-${made}`, line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    const { status } = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } }, as["mes-1"]);
    expect(status).toBe(201);
  }
}
const confirms = (who: string, position: unknown, generation: unknown = 1) => plant.ask("PUT", PATH, { position, generation }, as[who]);
const confirmed = async () => Object((await plant.ask("GET", PATH, undefined, as["sam"])).body);
const of = async (who: string) => (await confirmed()).items.find(({ by }: { by: string }) => by === `machine:${who}`);
async function positions(): Promise<readonly number[]> {
  const { items } = (await plant.ask("GET", `/v1/outcomes?site=${SITE}&limit=500`, undefined, as["sam"])).body;
  return items.map(({ data }) => data.position);
}
const head = async (): Promise<number> => Number((await plant.database.query(`select position from sites where site = '${SITE}'`))[0]?.["position"]);

test("goes on and never back, never beyond what is handed out, and says how far it is behind", async () => {
  const all = await positions();
  const [third = 0, last = 0] = [all[2], all.at(-1)];
  const at = await head();
  expect(await confirms("mes-1", String(third))).toMatchObject({ status: 200, body: { by: "machine:mes-1", generation: 1, position: third } });
  const before = await of("mes-1");
  expect(before).toMatchObject({ behind: all.filter((one) => one > third).length });
  // said again, nothing changes
  expect((await confirms("mes-1", third)).body).toEqual(before);
  expect(await confirms("mes-1", third - 1)).toMatchObject({ status: 409, body: { code: "CONFIRMATION_GOES_BACK", generation: 1, after: third } });
  expect(await confirms("mes-1", at + 1)).toMatchObject({ status: 409, body: { code: "CONFIRMATION_TOO_FAR", generation: 1, after: at } });
  expect(await of("mes-1")).toEqual(before);
  // each machine by itself
  expect((await confirms("mes-2", 0)).body).toMatchObject({ position: 0, behind: all.length });
  expect((await confirms("mes-1", last)).body).toMatchObject({ position: last, behind: 0 });
  expect(await confirmed()).toMatchObject({ handedOut: at, items: [{ by: "machine:mes-1" }, { by: "machine:mes-2" }] });
  expect(await head(), "nothing of it is on record").toBe(at);
  await batches(1);
  expect(await of("mes-1")).toMatchObject({ position: last, behind: (await positions()).length - all.length });
});

test("is by an MES alone, and says exactly what it means", async () => {
  for (const who of ["sam", "admin", "integrator"]) expect(await confirms(who, 1), who).toMatchObject({ status: 403, body: { code: "PER_NOT_AUTHORISED" } });
  for (const [position, generation] of [
    [null, 1],
    [true, 1],
    [[5], 1],
    ["", 1],
    ["0x1", 1],
    [-1, 1],
    [1.5, 1],
    [1, 0],
    [1, 2],
    [1, null],
  ])
    expect((await confirms("mes-3", position, generation)).status, JSON.stringify([position, generation])).toBe(400);
  // One that no integer of the database holds was refused as a value that cannot be stored, without saying which.
  for (const generation of [2, 2 ** 31]) expect((await confirms("mes-3", 1, generation)).body).toMatchObject({ errors: [{ pointer: "/generation" }] });
  expect((await plant.ask("PUT", PATH, { position: 1 }, as["mes-3"])).status).toBe(400);
  expect(await of("mes-3")).toBeUndefined();
});

test("asked many times at once, in any order, it ends where it was highest and never went back", async () => {
  const all = await positions();
  const shuffled = [...all].sort((a, b) => (a % 7) - (b % 7));
  const answers = await Promise.all(shuffled.map(async (position) => ({ position, answer: await confirms("mes-3", position) })));
  for (const { position, answer } of answers) {
    expect([200, 409]).toContain(answer.status);
    if (answer.status === 200) expect(answer.body.position).toBe(position);
    else expect(answer.body.after).toBeGreaterThan(position);
  }
  expect(answers.filter(({ answer }) => answer.status === 200).length).toBeGreaterThan(0);
  expect(await of("mes-3")).toMatchObject({ position: Math.max(...all), behind: 0 });
});

test("the database refuses a step back, one too far, another generation, and a confirmation that is taken away", async () => {
  const { position } = await of("mes-3");
  for (const role of ["signalbox_runtime", "signalbox_owner", "postgres"]) {
    const does = (what: string) => plant.database.query(`set role ${role}; ${what}`);
    const change = (what: string) => does(`update outcome_confirmations set ${what} where machine = 'mes-3'`);
    await expect(change(`position = ${position - 1}`)).rejects.toMatchObject({ constraint: "confirmation_goes_on" });
    await expect(change("machine = 'mes-2'")).rejects.toThrow();
    await expect(change(`position = ${(await head()) + 1}`)).rejects.toMatchObject({ constraint: "confirmed_as_handed_out" });
    await expect(change("generation = 2")).rejects.toMatchObject({ constraint: "confirmed_as_handed_out" });
    await expect(does("delete from outcome_confirmations")).rejects.toThrow();
    await expect(does("truncate outcome_confirmations")).rejects.toThrow();
  }
  expect(await of("mes-3")).toMatchObject({ position });
});

test("where only what is signed is handed out, nothing else is confirmed, nor counted", async () => {
  const publish = async (publishAfter: string) =>
    expect((await plant.ask("PUT", `/v1/audit/sites/${SITE}`, { publishAfter }, { ...as["admin"], reason: "so" })).status).toBe(200);
  const [before, at] = [await of("mes-2"), await head()];
  expect(before.behind).toBeGreaterThan(0);
  await publish("checkpoint");
  // nobody signs here, so nothing is handed out
  expect(await confirmed()).toMatchObject({ handedOut: 0 });
  expect(await of("mes-2")).toMatchObject({ position: 0, behind: 0 });
  // Whoever said again what it had confirmed was refused (CONFIRMATION_TOO_FAR), sent back to what is handed out now, and refused there too (CONFIRMATION_GOES_BACK).
  const ahead = await of("mes-1");
  expect(ahead.position).toBeGreaterThan(0);
  expect(await confirms("mes-1", ahead.position)).toMatchObject({ status: 200, body: ahead });
  expect(await confirms("mes-1", ahead.position - 1)).toMatchObject({ status: 409, body: { code: "CONFIRMATION_GOES_BACK", after: ahead.position } });
  expect(await confirms("mes-1", ahead.position + 1)).toMatchObject({ status: 409, body: { code: "CONFIRMATION_TOO_FAR", after: 0 } });
  expect(await confirms("mes-2", at)).toMatchObject({ status: 409, body: { code: "CONFIRMATION_TOO_FAR", after: 0 } });
  await publish("commit");
  expect(await of("mes-2")).toEqual(before);
});

test("a machine that may not ask any more is told of as before", async () => {
  const before = await of("mes-3");
  expect((await plant.ask("PATCH", "/v1/machines/mes-3", { active: false }, as["admin"])).status).toBe(204);
  expect((await confirms("mes-3", await head())).status).toBe(401);
  expect(await of("mes-3")).toEqual(before);
});

// Found beside other work: sessions of a service that has just been stopped are seen a moment longer, and the restore was refused because of them.
test("after a restore it is what still stands, and goes on from there in the new generation", async () => {
  const cut = await head();
  await plant.service.stop();
  await recordRestore(
    plant.database.ownerUrl,
    { site: SITE, reason: "a drill", by: "it", generation: null },
    { headOf: async () => ({ log: 1, size: cut, root: "" }), tell: async () => {} },
  );
  await plant.restart();
  // as if the backup had been of the record without its end
  await plant.database.query(
    `begin; set local session_replication_role = replica; update outcome_confirmations set position = ${cut + 50} where machine = 'mes-2'; commit`,
  );
  expect(await of("mes-2")).toMatchObject({ generation: 1, position: cut });
  expect(await confirms("mes-2", cut + 50, 1)).toMatchObject({ status: 410, body: { code: "REQUEST_RESTORED", generation: 2, after: cut } });
  expect(await confirms("mes-2", cut - 1, 2)).toMatchObject({ status: 409, body: { code: "CONFIRMATION_GOES_BACK", generation: 2, after: cut } });
  expect((await confirms("mes-2", cut, 3)).status).toBe(400);
  await batches(1);
  const last = (await positions()).at(-1);
  expect(await confirms("mes-2", last, 2)).toMatchObject({ status: 200, body: { generation: 2, position: last, behind: 0 } });
  // what stands was confirmed of either generation
  expect(await confirms("mes-1", cut, 1)).toMatchObject({ status: 200, body: { generation: 2, position: cut } });
});

test("the record is as it was", async () => {
  const [site] = await verifyDatabase(plant.database.runtimeUrl);
  expect(site?.findings).toEqual([]);
  expect(site?.replayed).toMatchObject({ different: 0, stopped: null });
});
