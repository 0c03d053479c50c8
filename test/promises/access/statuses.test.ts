// Promise: what a system of record says of something is on record with who, when, from where and what was before, by a feed that brings one kind and no other; the same said again writes nothing; and it decides
// nothing: no status approves, releases or holds anything.
// Attack: a feed that brings another kind, at another site, or was granted none; people and an MES that bring one; a kind that is this service's own; many at once; a version that has moved on, a key that is used
// again; a grant that is taken on the way; a lot by a batch's name that is released; rows that are written past the service, edited, and the record verified, searched and exported.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/database.ts";
import { isStatusKind } from "../../../src/registry/status.ts";
import { BLEND } from "../../support/blend.ts";
import { bearing, machine, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { runExport, runVerify } from "../../support/signed-record.ts";

const SITE = "fed";
const OTHER = "elsewhere";
type Token = Readonly<Record<string, string>>;
const home = mkdtempSync(join(tmpdir(), "signalbox-statuses-"));
const signer = join(home, "signer");
let plant: Plant;
const as: Record<string, Token> = {};

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: { ...WITH_SECRET, AUDIT_DIR: signer, AUDIT_MIRROR_DIR: join(home, "mirror") } });
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const site of [SITE, OTHER])
    for (const [name, kind] of [
      ["scale-1", "scale"],
      ["mixer-1", "mixer"],
    ] as const)
      await plant.equipment(site, name, "4", kind);
  expect((await brings("nobody in particular", "lot/L-1", { status: "released" })).status).toBe(403);
  await person(plant, "admin", { role: "admin", site: null });
  await person(plant, "sam", { role: "supervisor", site: SITE });
  await person(plant, "erik", { role: "engineer", site: SITE });
  for (const id of ["admin", "sam", "erik"]) as[id] = bearing(await signIn(plant, id));
  as["lims"] = bearing(await machine(plant, "lims", "admin", { role: "feed", site: SITE, kind: "lot" }));
  as["lims-2"] = bearing(await machine(plant, "lims-2", "admin", { role: "feed", site: null, kind: "lot" }));
  as["calibration"] = bearing(await machine(plant, "calibration", "admin", { role: "feed", site: SITE, kind: "calibration" }));
  as["mes"] = bearing(await machine(plant, "mes", "admin", { role: "mes", site: SITE }));
}, 300_000);
afterAll(async () => {
  await plant?.stop();
  rmSync(home, { recursive: true, force: true });
});

const at = (what: string, site = SITE): string => `/v1/sites/${site}/status/${what}`;
const brings = (who: string, what: string, body: object, headers: Token = {}, site = SITE) =>
  plant.ask("PUT", at(what, site), body, { ...as[who], ...headers });
const reads = async (what: string, query = "") => Object(await plant.ask("GET", `${at(what)}${query}`, undefined, as["sam"]));
const head = async (site = SITE): Promise<number> => Number((await plant.database.query(`select position from sites where site = '${site}'`))[0]?.["position"]);
/** Once all of it is signed, the last position. */
async function signed(): Promise<number> {
  for (;;) {
    const { position, signed: upTo } = Object((await plant.ask("GET", `/v1/audit/sites/${SITE}`, undefined, as["sam"])).body);
    if (position === upTo) return position;
  }
}
const rows = async (): Promise<number> => Number((await plant.database.query("select count(*) as n from statuses"))[0]?.["n"]);

test("what is brought stands on record with what was before; the same again writes nothing", async () => {
  const first = await brings("calibration", "calibration/scale-1", { status: "current", validUntil: "2099-01-31T12:00:00+02:00", reference: "CERT-17" });
  expect(first).toMatchObject({
    status: 201,
    body: {
      site: SITE,
      kind: "calibration",
      id: "scale-1",
      lapsed: false,
      stands: { version: 1, status: "current", validUntil: "2099-01-31T10:00:00.000000Z", reference: "CERT-17", reason: null, by: "machine:calibration" },
    },
  });
  expect(first.headers.get("etag")).toBe('"1"');
  const position = await head();
  expect(first.body).toMatchObject({ stands: { position } });
  // written otherwise, and the same
  const again = await brings("calibration", "calibration/scale-1", { status: "current", validUntil: "2099-01-31T10:00:00Z", reference: "CERT-17" });
  expect(again).toMatchObject({ status: 200, body: { stands: Object(first.body).stands } });
  expect(await head()).toBe(position);
  const second = await brings("calibration", "calibration/scale-1", { status: "overdue", validUntil: "2020-01-31T10:00:00.5Z", reason: "no certificate came" });
  expect(second).toMatchObject({
    status: 200,
    body: { lapsed: true, stands: { version: 2, status: "overdue", reference: null, reason: "no certificate came" } },
  });
  // only the reason is another: that is said too
  expect((await brings("calibration", "calibration/scale-1", { status: "overdue", validUntil: "2020-01-31T10:00:00.5Z" })).body).toMatchObject({
    stands: { version: 3 },
  });
  const [act] = await plant.database.query(`select actor, type, body, recorded_at from signals where site = '${SITE}' and position = ${position + 1}`);
  expect(act).toMatchObject({
    actor: "machine:calibration",
    type: "status.brought",
    body: {
      object: "calibration scale-1",
      old: { version: 1, status: "current", reference: "CERT-17" },
      new: { kind: "calibration", id: "scale-1", version: 2, status: "overdue", validUntil: "2020-01-31T10:00:00.500000Z", reference: null },
      reason: "no certificate came",
      role: "feed",
    },
  });
  expect(Object(act?.["body"]).from).toContain(`PUT ${at("calibration/scale-1")}`);
});

test("is read with all that was brought before, the last first, page by page; what nobody brought is not there", async () => {
  const { status, body, headers } = await reads("calibration/scale-1");
  expect(status).toBe(200);
  expect(headers.get("etag")).toBe('"3"');
  expect(body.items.map(({ version }: { version: number }) => version)).toEqual([3, 2, 1]);
  expect(body).toMatchObject({ lapsed: true, stands: body.items[0], cursor: null });
  expect(Date.parse(body.asOf)).toBeGreaterThan(Date.parse(body.stands.validUntil));
  const seen: number[] = [];
  for (let cursor = ""; ; ) {
    const page = (await reads("calibration/scale-1", `?limit=1${cursor}`)).body;
    expect(page.stands.version).toBe(3);
    seen.push(...page.items.map(({ version }: { version: number }) => version));
    if (page.cursor === null) break;
    cursor = `&cursor=${page.cursor}`;
  }
  expect(seen).toEqual([3, 2, 1]);
  // A made-up cursor behind what an integer holds was answered as a value that cannot be stored, by a route that stores nothing.
  const madeUp = Buffer.from(JSON.stringify([2 ** 31])).toString("base64url");
  expect((await reads("calibration/scale-1", `?cursor=${madeUp}`)).body.items).toHaveLength(3);
  for (const what of ["calibration/scale-2", "lot/scale-1"]) expect((await reads(what)).status, what).toBe(404);
  // a feed brings, and reads nothing
  expect((await plant.ask("GET", at("calibration/scale-1"), undefined, as["calibration"])).status).toBe(403);
});

test("a feed brings its one kind, where it is one; nobody else brings any", async () => {
  const before = [await rows(), await head(), await head(OTHER)];
  const body = { status: "released" };
  // whether there is one already or not, and before the database is asked
  for (const [who, what, kind] of [
    ["calibration", "lot/L-1", "lot"],
    ["lims", "calibration/scale-1", "calibration"],
  ] as const)
    expect(await brings(who, what, body)).toMatchObject({
      status: 403,
      body: { code: "STATUS_OTHER_KIND", detail: `machine ${who} brings no status of kind ${kind} here: a feed is granted for one kind.` },
    });
  for (const who of ["admin", "sam", "erik", "mes"])
    expect(await brings(who, "lot/L-1", body), who).toMatchObject({ status: 403, body: { code: "PER_NOT_AUTHORISED" } });
  expect(await brings("lims", "lot/L-1", body, {}, OTHER)).toMatchObject({ status: 404, body: { detail: `There is no site ${OTHER}.` } });
  expect((await brings("lims-2", "lot/L-1", body, {}, "nowhere")).status).toBe(404);
  for (const kind of ["batch", "step", "recipe", "state-machine", "signature", "review", "disposition", "Lot", "-lot", "lot!", `l${"o".repeat(64)}t`])
    expect((await brings("lims", `${encodeURIComponent(kind)}/L-1`, body)).status, kind).toBe(400);
  for (const wrong of [
    {},
    { status: "Released" },
    { status: "" },
    { ...body, validUntil: "tomorrow" },
    { ...body, reference: " " },
    { ...body, approved: true },
  ])
    expect((await brings("lims", "lot/L-1", wrong)).status, JSON.stringify(wrong)).toBe(400);
  expect((await brings("lims", "lot/L%201", body)).status).toBe(400);
  expect([await rows(), await head(), await head(OTHER)]).toEqual(before);
  expect((await brings("lims-2", "lot/L-1", body, {}, OTHER)).status).toBe(201);
});

test("a feed is granted for one kind, the same wherever it is one; what was granted before there were kinds brings nothing until it is granted anew", async () => {
  const grant = (to: string, body: object) => plant.ask("POST", `/v1/machines/${to}/grants`, { site: SITE, ...body }, { ...as["admin"], reason: "so" });
  expect((await plant.ask("POST", "/v1/machines", { machine: "old", owner: "admin", purpose: "was there before" }, as["admin"])).status).toBe(201);
  expect((await grant("old", { role: "feed" })).status).toBe(400);
  expect((await grant("old", { role: "mes", kind: "lot" })).status).toBe(400);
  expect((await grant("old", { role: "feed", kind: "batch" })).status).toBe(400);
  expect((await plant.ask("POST", "/v1/people/sam/grants", { site: SITE, role: "integrator", kind: "lot" }, as["admin"])).status).toBe(400);
  // as migration 0015 let it be
  await plant.database.query(`alter table machine_grants drop constraint feed_of_a_kind; insert into machine_grants (machine, role, site, granted_by) values ('old', 'feed', '${SITE}', 'person:admin');
    alter table machine_grants add constraint feed_of_a_kind check ((role = 'feed') = (kind is not null)) not valid`);
  const key = Object((await plant.ask("POST", "/v1/machines/old/keys", {}, as["admin"])).body).key;
  as["old"] = bearing(key);
  expect(await brings("old", "lot/L-9", { status: "released" })).toMatchObject({ status: 403, body: { code: "STATUS_OTHER_KIND" } });
  expect(await grant("old", { role: "feed", kind: "lot" })).toMatchObject({ status: 409, body: { code: "ACCESS_REFUSED" } });
  expect((await plant.ask("POST", "/v1/machines/old/grants/revocation", { role: "feed", site: SITE }, as["admin"])).status).toBe(204);
  expect((await grant("old", { role: "feed", kind: "lot" })).status).toBe(204);
  expect((await brings("old", "lot/L-9", { status: "released" })).status).toBe(201);
  expect(await grant("old", { role: "feed", kind: "room", site: null })).toMatchObject({ status: 409, body: { code: "ACCESS_REFUSED" } });
  // said again, it is so already
  for (let times = 0; times < 2; times += 1) expect((await grant("old", { role: "feed", kind: "lot", site: null })).status).toBe(204);
  const { items } = Object((await plant.ask("GET", "/v1/machines", undefined, as["admin"])).body);
  expect(items.find(({ machine: name }: { machine: string }) => name === "old").grants).toMatchObject([{ role: "feed", kind: "lot" }, { kind: "lot" }]);
  const granted = await plant.database.query(
    `select body -> 'new' as made from signals where site = '${SITE}' and type = 'role.granted' and body ->> 'object' = 'machine old'`,
  );
  expect(granted).toEqual([{ made: { role: "feed", site: SITE, kind: "lot" } }, { made: { role: "feed", site: null, kind: "lot" } }]);
  for (const values of [
    "('old', 'feed', null, 'x', 'room')",
    "('mes', 'mes', null, 'x', 'lot')",
    "('mes', 'feed', null, 'x', null)",
    "('mes', 'feed', null, 'x', 'batch')",
  ])
    await expect(plant.database.query(`insert into machine_grants (machine, role, site, granted_by, kind) values ${values}`), values).rejects.toThrow();
});

test("whoever saw another version is told so, and what was brought under a key is not brought twice", async () => {
  const lot = "lot/L-2";
  expect((await brings("lims", lot, { status: "quarantine" }, { "if-match": '"1"' })).status).toBe(412);
  expect((await brings("lims", lot, { status: "quarantine" }, { "if-match": '"0"', "idempotency-key": "k-1" })).status).toBe(201);
  const position = await head();
  const again = await brings("lims", lot, { status: "quarantine" }, { "if-match": '"0"', "idempotency-key": "k-1" });
  expect(again).toMatchObject({ status: 200, body: { stands: { version: 1, position } } });
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect((await brings("lims", lot, { status: "released" }, { "idempotency-key": "k-1" })).status).toBe(422);
  expect((await brings("lims", "lot/L-3", { status: "quarantine" }, { "idempotency-key": "k-1" })).status).toBe(422);
  const stale = await brings("lims", lot, { status: "released" }, { "if-match": '"7"' });
  expect(stale).toMatchObject({ status: 412, body: { code: "REQUEST_STALE" } });
  expect(stale.headers.get("etag")).toBe('"1"');
  expect((await brings("lims", lot, { status: "released" }, { "if-match": '"1"' })).body).toMatchObject({ stands: { version: 2 } });
  // another wrote meanwhile: the key answers what stands, and brings nothing back
  expect((await brings("lims", lot, { status: "quarantine" }, { "idempotency-key": "k-1" })).body).toMatchObject({
    stands: { version: 2, status: "released" },
  });
});

// Of two requests under one key, each about another lot, the later one was told that the service is not there (503).
test("of two things that are brought at once under one key, one is, and the other is told that the key stands for another", async () => {
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  const waiting = () =>
    plant.database.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ 'record_act|from sites'");
  try {
    const answers = await db.transaction().execute(async (trx) => {
      await sql`select from sites where site = ${SITE} for update`.execute(trx);
      const asked = ["lot/L-7", "lot/L-8"].map((lot) => brings("lims", lot, { status: "released" }, { "idempotency-key": "k-both" }));
      while ((await waiting()).length < asked.length);
      return asked;
    });
    expect((await Promise.all(answers)).map(({ status }) => status).sort()).toEqual([201, 422]);
  } finally {
    await close();
  }
});

test("many at once have versions without holes, in the order of their positions", async () => {
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, n) => brings(n % 2 === 0 ? "lims" : "lims-2", "lot/L-4", { status: `state-${n % 6}`, reason: `n ${n}` })),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.every(({ status }) => status < 300)).toBe(true);
  const { items } = (await reads("lot/L-4")).body;
  expect(items.map(({ version }: { version: number }) => version)).toEqual(Array.from({ length: 24 }, (_, n) => 24 - n));
  const positions = items.map(({ position }: { position: number }) => position);
  expect(positions).toEqual([...positions].sort((a, b) => b - a));
});

test("a status decides nothing: a lot by a batch's name that is released leaves the batch where it was, and a scale that is overdue goes on", async () => {
  const order = { batch: "B-1", jobOrder: "PO-1", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  const made = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } }, as["mes"]);
  expect(made.status).toBe(201);
  const state = async () => (await plant.ask("GET", `/v1/sites/${SITE}/batches/B-1`, undefined, as["sam"])).body;
  const before = await state();
  expect((await brings("lims", "lot/B-1", { status: "released", reason: "approved" })).status).toBe(201);
  expect(await state()).toEqual(before);
  const trail = await plant.ask("GET", `/v1/sites/${SITE}/batches/B-1/audit-trail`, undefined, as["sam"]);
  expect(JSON.stringify(trail.body)).not.toContain("status.brought");
  for (const command of ["release-to-floor", "start"])
    expect((await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command, reason: "plan" }, as["sam"])).status).toBe(200);
});

test("is found in the trail by who, what, why and when", async () => {
  const found = async (query: string) => Object((await plant.ask("GET", `/v1/audit/entries?site=${SITE}&${query}`, undefined, as["sam"])).body).items;
  for (const query of ["who=machine:calibration", "what=status.brought", "why=certificate"]) {
    const items = await found(query);
    expect(items.length, query).toBeGreaterThan(0);
    expect(items, query).toContainEqual(
      expect.objectContaining({ what: "status.brought", who: { kind: "machine", name: "machine:calibration", role: "feed" }, why: "no certificate came" }),
    );
  }
});

test("the database refuses a version that does not follow, a row without its act, one by no feed of its kind, and any change", async () => {
  const [last] = await plant.database.query(
    "select site, position::int as position, kind, id, version from statuses where id = 'L-4' order by version desc limit 1",
  );
  const does = (what: string) => plant.database.query(`set role signalbox_runtime; ${what}`);
  const copy = (version: string, position: string, by = "brought_by", kind = "kind") =>
    does(`insert into statuses select site, ${position}, ${kind}, id, ${version}, status, valid_until, reference, reason, ${by}, brought_at from statuses
      where site = '${SITE}' and position = ${last?.["position"]}`);
  await expect(copy("version + 2", "position + 1")).rejects.toThrow("does not follow");
  await expect(copy("version + 1", "position")).rejects.toThrow("does not follow");
  await expect(copy("version + 1", "position + 1")).rejects.toThrow("tells of no status");
  await expect(copy("version + 1", "position + 1", "'machine:mes'")).rejects.toThrow("tells of no status");
  await expect(copy("1", "position", "brought_by", "'room'")).rejects.toMatchObject({ constraint: "status_of_its_feed" });
  for (const what of ["update statuses set status = 'x'", "delete from statuses", "truncate statuses"]) await expect(does(what), what).rejects.toThrow();
  for (const kind of [
    "batch",
    "step",
    "recipe",
    "state-machine",
    "exception",
    "gap",
    "quarantine",
    "review",
    "signature",
    "disposition",
    "Lot",
    "lot",
    "a_b-1",
  ])
    expect(
      await plant.database.query(`select 1 where '${kind}'::status_kind is not null`).then(
        () => true,
        () => false,
      ),
      kind,
    ).toBe(isStatusKind(kind));
});

test("a grant that is taken on the way brings nothing", async () => {
  // the guard has let it through before the grant goes
  await plant.database.query(`create function take_grant() returns trigger language plpgsql security definer as $$ begin
      delete from machine_grants where machine = 'lims-2'; return new; end $$;
    create trigger a_grant_goes before insert on statuses for each row execute function take_grant()`);
  const before = [await rows(), await head()];
  try {
    expect(await brings("lims-2", "lot/L-5", { status: "released" })).toMatchObject({ status: 403, body: { code: "STATUS_OTHER_KIND" } });
  } finally {
    await plant.database.query("drop trigger a_grant_goes on statuses; drop function take_grant()");
  }
  expect([await rows(), await head()]).toEqual(before);
});

test("the record is sound with it, in the database and in a bundle of it, and a row that was edited is named", async () => {
  // some systems write no date as the first there is; read back as 1901, it made verify call the record altered
  for (const validUntil of ["0001-01-01T00:00:00Z", "0099-12-31T23:59:59.123456789-23:59", "9999-12-31T23:59:59.999999Z"])
    expect((await brings("calibration", "calibration/scale-9", { status: "current", validUntil })).status).toBeLessThan(300);
  const url = { DATABASE_URL: plant.database.runtimeUrl };
  const key = join(signer, SITE, "signer.vkey");
  const verified = () => runVerify(["--site", SITE, "--key", key], url);
  const before = await verified();
  expect(before.report.findings).toEqual([]);
  expect(before.report.notCovered.join()).not.toContain("replay");
  const bundle = join(home, "bundle");
  expect(await runExport(["--site", SITE, "--positions", `1-${await signed()}`, "--out", bundle], url)).toMatchObject({ exit: 0, err: "" });
  const offline = await runVerify(["--bundle", bundle, "--key", key], {});
  expect(offline).toMatchObject({ exit: 0, report: { findings: [] } });
  expect(offline.report.notCovered.join()).not.toContain("not replayed");

  const edit = (what: string) => plant.database.query(`begin; set local session_replication_role = replica; ${what}; commit`);
  const row = `where site = '${SITE}' and id = 'L-2' and version = 2`;
  const [kept] = await plant.database.query(`select position::int as position from statuses ${row}`);
  const at = { site: SITE, position: Number(kept?.["position"]) };
  await edit(`update statuses set status = 'rejected' ${row}`);
  expect((await verified()).report.first).toMatchObject({
    severity: "altered",
    table: "statuses",
    column: "status",
    key: at,
    stored: "rejected",
    expected: "released",
  });
  await edit(`delete from statuses ${row}`);
  expect((await verified()).report.first).toMatchObject({ severity: "incomplete", table: "statuses", key: at });
});
