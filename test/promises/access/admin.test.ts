// Promise: a fresh system gets its first administrator by one command on the host, and from then on everybody is asked who they are; on the network nobody is nobody from the beginning; an
// administrator who is locked out is let in again by an act on the host that is on record at every site, also where the others sign in at a provider that is gone.
// Attack: a second first administrator; a temporary password used for anything but changing it; wrong passwords until nobody gets in, the right one included; one's own rights, and the last
// administrator's; two roles that check each other, also past the service; a key that was revoked, has ended, or whose machine was put out of use; a sign-in that overlaps a deactivation or a change of the
// password, in either order.
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPerson, grantRole, listOwnAdministrators, signIn as openSignIn, setPassword, setPersonActive } from "../../../src/access/access.store.ts";
import { hashPassword } from "../../../src/access/password.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { signalbox } from "../../support/command.ts";
import { measured } from "../../support/measure.ts";
import { bearing, machine, PASSWORD, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { untilLocked } from "../../support/until-locked.ts";

const SITE = "site-1";
let plant: Plant;
const admin = (...args: string[]) => signalbox({ DATABASE_OWNER_URL: plant.database.ownerUrl }, "admin", ...args, "--json");
const passwordIn = (out: string): string => String(JSON.parse(out).temporaryPassword);
const statusOf = async (headers: Readonly<Record<string, string>> = {}): Promise<number> => (await plant.ask("GET", "/v1/events", undefined, headers)).status;
const signInWith = (id: string, password: string) => plant.ask("POST", "/v1/sign-ins", { person: id, password });
let ann: Readonly<Record<string, string>>;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  await plant.equipment(SITE, "scale-1", "4", "scale");
}, 120_000);
afterAll(async () => {
  await plant?.stop();
});

test("the first administrator is made in one command; then everybody is asked who they are, and a temporary password is good for nothing but changing it", async () => {
  expect(await statusOf()).toBe(200);
  const made = await admin("create", "ann", "--name", "Ann Jansen", "--reason", "first start");
  expect(made.exit, made.out).toBe(0);
  await expect.poll(() => statusOf(), { timeout: 10_000 }).toBe(401);
  expect((await admin("create", "ben", "--reason", "again")).exit).toBe(1);
  const temporary = passwordIn(made.out);
  const signedIn = await signInWith("ann", temporary);
  expect(signedIn).toMatchObject({ status: 201, body: { name: "Ann Jansen", mustChangePassword: true } });
  const token = bearing(String(Object(signedIn.body).token));
  expect(await statusOf(token)).toBe(403);
  const change = (old: string, made: string) => plant.ask("PUT", "/v1/people/ann/password", { old, new: made }, token);
  for (const bad of ["short", temporary, "aaaaaaaaaaaaaaaa", "ann jansen rules ok"]) expect((await change(temporary, bad)).status, bad).toBe(400);
  expect((await change(temporary, PASSWORD)).status).toBe(204);
  // every session of theirs is over
  expect(await statusOf(token)).toBe(401);
  ann = bearing(await signIn(plant, "ann"));
  expect(await statusOf(ann)).toBe(200);
  measured("admin.first", "one command, on a fresh system; from then on nobody is nobody");
});

test("what administrators do is on record at every site that it concerns, and nothing secret is", async () => {
  const made = await plant.ask("POST", "/v1/people", { person: "olga", name: "Olga" }, { ...ann, reason: "joined" });
  expect(made.status).toBe(201);
  expect((await plant.ask("POST", "/v1/people/olga/grants", { role: "operator", site: SITE }, { ...ann, reason: "line 4" })).status).toBe(204);
  const acts =
    await plant.database.query(`select type, actor, body ->> 'role' as role, body ->> 'reason' as reason from signals where site = '${SITE}' and kind = 'act' and actor = 'person:ann'
    and type in ('person.created', 'role.granted') order by position`);
  expect(acts).toEqual([
    { type: "person.created", actor: "person:ann", role: "admin", reason: "joined" },
    { type: "role.granted", actor: "person:ann", role: "admin", reason: "line 4" },
  ]);
  const [found] = await plant.database.query(
    `select count(*)::int as n from audit_entries where convert_from(entry, 'UTF8') like '%${Object(made.body).temporaryPassword}%' or convert_from(entry, 'UTF8') like '%argon2%'`,
  );
  expect(found?.["n"]).toBe(0);
});

test("the log of a site that comes later begins with who was known by then, and what they may there", async () => {
  await person(plant, "erik", { role: "engineer", site: null });
  const erik = bearing(await signIn(plant, "erik"));
  const made = await plant.ask(
    "PUT",
    "/v1/sites/site-2/registry/equipment/scale-1",
    { equipment: "scale-1", line: "1", class: "scale" },
    { ...erik, reason: "new" },
  );
  expect(made.status).toBe(200);
  const acts = await plant.database.query(
    "select position::int as position, type, actor, body -> 'new' as made from signals where site = 'site-2' order by position limit 2",
  );
  expect(acts).toMatchObject([
    { position: 1, type: "access.known", actor: "person:erik" },
    { position: 2, type: "equipment.registered" },
  ]);
  expect(Object(acts[0]?.["made"]).people).toEqual(
    expect.arrayContaining([
      { person: "ann", active: true, roles: ["admin"] },
      { person: "erik", active: true, roles: ["engineer"] },
      { person: "olga", active: true, roles: [] },
    ]),
  );
});

test("nobody changes their own rights, and the last administrator stays", async () => {
  for (const role of ["supervisor", "qa_approver", "engineer"])
    expect((await plant.ask("POST", "/v1/people/ann/grants", { role, site: null }, ann)).status).toBe(403);
  expect(await plant.ask("PATCH", "/v1/people/ann", { active: false }, ann)).toMatchObject({ status: 409, body: { code: "ACCESS_REFUSED" } });
  expect((await plant.ask("POST", "/v1/people/ann/grants/revocation", { role: "admin", site: null }, ann)).status).toBe(409);
});

test("two roles that check each other are not one person's, at the same site; the database refuses it too", async () => {
  const grant = (role: string, site: string | null) => plant.ask("POST", "/v1/people/olga/grants", { role, site }, ann);
  for (const role of ["qa_reviewer", "qa_approver", "admin"])
    expect(await grant(role, SITE), role).toMatchObject({ status: 409, body: { code: "ACCESS_REFUSED" } });
  expect(await grant("qa_reviewer", null)).toMatchObject({ status: 409 });
  expect((await grant("supervisor", SITE)).status).toBe(204);
  await expect(
    plant.database.query(`insert into person_grants (person, role, site, granted_by) values ('olga', 'qa_approver', '${SITE}', 'somebody')`),
  ).rejects.toThrow("cannot hold");
  await expect(
    plant.database.query(`insert into person_grants (person, role, site, granted_by) values ('olga', 'integrator', '${SITE}', 'person:olga')`),
  ).rejects.toThrow();
  await expect(plant.database.query("insert into machine_grants (machine, role, site, granted_by) values ('x', 'qa_approver', null, 'y')")).rejects.toThrow();
  await expect(plant.database.query("update people set name = 'Another' where person = 'olga'")).rejects.toThrow("append-only");
});

test("wrong passwords lock a person out, the right one included, without saying so; on the host they are let in again, on record", async () => {
  await person(plant, "carl", { role: "admin", site: null });
  for (let i = 0; i < 5; i += 1) expect((await signInWith("carl", "wrong password")).status).toBe(401);
  const locked = await signInWith("carl", PASSWORD);
  const unknown = await signInWith("nobody", PASSWORD);
  expect(locked.status).toBe(401);
  expect(Object(locked.body).detail).toBe(Object(unknown.body).detail);
  expect(
    await plant.database.query(`select type from signals where site = '${SITE}' and type = 'person.locked' and body ->> 'object' = 'person carl'`),
  ).toHaveLength(1);
  expect((await admin("recover", "olga", "--reason", "no administrator")).exit).toBe(1);
  const recovered = await admin("recover", "carl", "--by", "host operator", "--reason", "deviation 4711");
  expect(recovered.exit, recovered.out).toBe(0);
  expect((await signInWith("carl", passwordIn(recovered.out))).status).toBe(201);
  const [act] =
    await plant.database.query(`select actor, body ->> 'reason' as reason, body ->> 'from' as "from" from signals where site = '${SITE}' and type = 'person.password.changed'
    and body ->> 'object' = 'person carl' order by position desc limit 1`);
  expect(act).toEqual({ actor: "host operator", reason: "deviation 4711", from: "signalbox admin recover" });
  measured("admin.recovered", `by ${String(act?.["from"])} on the host, on record as ${String(act?.["actor"])}'s`);
});

test("whoever is at somebody's session guesses their password no oftener than at the door, many at once neither; locked out, the right one changes nothing", async () => {
  await person(plant, "mia", { role: "operator", site: SITE });
  const mia = bearing(await signIn(plant, "mia"));
  const change = (old: string, made = `${PASSWORD} stolen`) => plant.ask("PUT", "/v1/people/mia/password", { old, new: made }, mia);
  const guesses = await Promise.all(Array.from({ length: 7 }, (_, i) => change(`wrong password ${i}`)));
  expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([403]));
  const standing = "select failed, locked_until > clock_timestamp() as locked from person_standings where person = 'mia'";
  const [locked] = await plant.database.query(standing);
  expect(locked?.["locked"]).toBe(true);
  // two are tried at once, so that one at most was still being tried when five had been wrong
  expect(Number(locked?.["failed"])).toBeLessThanOrEqual(1);
  expect((await signInWith("mia", PASSWORD)).status).toBe(401);
  // nor is anybody told by a fault of the new one that the old one was right
  for (const made of [undefined, "short"]) expect((await change(PASSWORD, made)).body).toEqual(guesses[0]?.body);
  expect(await plant.database.query(standing)).toEqual([locked]);

  // nor where the lock came while the new one was being hashed
  const kept = String((await plant.database.query("select password from person_standings where person = 'mia'"))[0]?.["password"]);
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    const by = { actor: "person:mia", from: null, reason: "test" };
    expect(await db.transaction().execute((trx) => setPassword(trx, "mia", kept, false, by, kept))).toBe(false);
  } finally {
    await close();
  }
  await plant.database.query("update person_standings set locked_until = clock_timestamp() where person = 'mia'");
  expect((await change(PASSWORD)).status).toBe(204);
});

test("a key is shown once, kept as a hash, valid beside the next, and good for nothing once it is revoked, has ended, or its machine is out of use", async () => {
  const key = await machine(plant, "line-4", "ann", { role: "integrator", site: SITE });
  expect(await statusOf(bearing(key))).toBe(200);
  const made = await plant.ask("POST", "/v1/machines/line-4/keys", { days: 30 }, { ...ann, reason: "rotation" });
  expect(made.status).toBe(201);
  const { id, key: second } = Object(made.body);
  expect([await statusOf(bearing(key)), await statusOf(bearing(second))]).toEqual([200, 200]);
  const secret = String(second).split("_").slice(2).join("_").slice(0, 43);
  const [kept] = await plant.database.query(
    `select k::text like '%${secret}%' or k::text like '%' || encode(convert_to('${secret}', 'UTF8'), 'hex') || '%' as clear, length(k.hash) as length
      from api_keys k where api_key = '${id}'`,
  );
  expect(kept).toEqual({ clear: false, length: 32 });
  expect((await plant.ask("POST", `/v1/machines/line-4/keys/${id}/revocation`, undefined, { ...ann, reason: "leaked" })).status).toBe(204);
  expect([await statusOf(bearing(key)), await statusOf(bearing(second))]).toEqual([200, 401]);
  await plant.database.query(
    "update api_keys set created_at = created_at - interval '2 days', expires_at = clock_timestamp() - interval '1 second' where machine = 'line-4' and revoked_at is null",
  );
  expect(await statusOf(bearing(key))).toBe(401);
  const third = Object((await plant.ask("POST", "/v1/machines/line-4/keys", {}, { ...ann, reason: "rotation" })).body).key;
  expect(await statusOf(bearing(third))).toBe(200);
  expect((await plant.ask("PATCH", "/v1/machines/line-4", { active: false }, { ...ann, reason: "out of use" })).status).toBe(204);
  expect(await statusOf(bearing(third))).toBe(401);
});

test("a role that is taken, and a person who is put out, are so from the next request on", async () => {
  await person(plant, "dora", { role: "auditor", site: null });
  const dora = bearing(await signIn(plant, "dora"));
  expect(await statusOf(dora)).toBe(200);
  expect((await plant.ask("POST", "/v1/people/dora/grants/revocation", { role: "auditor", site: null }, ann)).status).toBe(204);
  expect(await statusOf(dora)).toBe(403);
  expect((await plant.ask("PATCH", "/v1/people/dora", { active: false }, ann)).status).toBe(200);
  expect(await statusOf(dora)).toBe(401);
  expect((await signInWith("dora", PASSWORD)).status).toBe(401);
});

test("a session that nobody uses ends, and none outlasts a shift", async () => {
  const token = bearing(await signIn(plant, "ann"));
  await plant.database.query("update sign_ins set seen_at = seen_at - interval '16 minutes' where person = 'ann'");
  expect(await statusOf(token)).toBe(401);
  const next = bearing(await signIn(plant, "ann"));
  await plant.database.query("update sign_ins set expires_at = clock_timestamp() where person = 'ann'");
  expect(await statusOf(next)).toBe(401);
});

test("on the network nobody is nobody, also before there is an administrator", async () => {
  const open = await startPlant({ broker: "embedded", settings: { HTTP_HOST: "0.0.0.0" } });
  try {
    const response = await fetch(`${open.url.replace("0.0.0.0", "127.0.0.1")}/v1/events`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ remedy: expect.stringContaining("signalbox admin create") });
  } finally {
    await open.stop();
  }
});

test("no session comes of a sign-in that overlaps a deactivation or a change of the password, whichever comes first", async () => {
  await person(plant, "rae", { role: "operator", site: SITE });
  const by = { actor: "signalbox", from: null, reason: "test" };
  const other = await hashPassword(`${PASSWORD} other`);
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 3, applicationName: "test" });
  /** What is asked while a change is done and not committed: what it looked at before is as it was. */
  const during = async <T>(change: (trx: typeof db) => Promise<unknown>, asks: () => Promise<T>): Promise<T> => {
    let asked: Promise<T> | undefined;
    await db.transaction().execute(async (trx) => {
      await change(trx);
      asked = asks();
      await untilLocked(plant.database, "^update person_standings");
    });
    if (asked === undefined) throw new Error("nothing was asked");
    return asked;
  };
  const sessions = async () => (await plant.database.query(`select ended_at is null as open from sign_ins where person = 'rae'`)).map(({ open }) => open);
  const activate = () => db.transaction().execute((trx) => setPersonActive(trx, "rae", true, by));
  const deactivate = (trx: typeof db) => setPersonActive(trx, "rae", false, by);
  try {
    expect((await during(deactivate, () => signInWith("rae", PASSWORD))).status).toBe(401);
    await activate();
    expect(await during(deactivate, () => openSignIn(db, "rae", { method: "oidc" }, Buffer.alloc(32, 7), "test"))).toBeNull();
    await activate();
    expect(await sessions()).toEqual([]);
    const token = bearing(await signIn(plant, "rae"));
    const reset = (trx: typeof db) => setPassword(trx, "rae", other, false, by);
    expect((await during(reset, () => signInWith("rae", PASSWORD))).status).toBe(401);
    expect(await sessions()).toEqual([false]);
    expect(await statusOf(token)).toBe(401);
    // nor is it changed by who knew the old one, in the name of a session that was there when they asked
    const last = bearing(String(Object((await signInWith("rae", `${PASSWORD} other`)).body).token));
    const again = await hashPassword(PASSWORD);
    const changed = await during(
      (trx) => setPassword(trx, "rae", again, false, by),
      () => plant.ask("PUT", "/v1/people/rae/password", { old: `${PASSWORD} other`, new: `${PASSWORD} stolen` }, last),
    );
    expect(changed).toMatchObject({ status: 403, body: { code: "PER_NOT_AUTHORISED" } });
    expect((await signInWith("rae", `${PASSWORD} stolen`)).status).toBe(401);

    // and the other order: who signs in holds their standing until that is on record
    let signedIn: ReturnType<typeof signInWith> | undefined;
    let left: Promise<void> | undefined;
    await db.transaction().execute(async (trx) => {
      await sql`select from sites where site = ${SITE} for update`.execute(trx);
      signedIn = signInWith("rae", PASSWORD);
      await untilLocked(plant.database, "record_act");
      left = db.transaction().execute(deactivate);
      await untilLocked(plant.database, "^update person_standings");
    });
    const { status, body } = (await signedIn) ?? {};
    expect(status).toBe(201);
    await left;
    await activate();
    expect(await statusOf(bearing(String(Object(body).token)))).toBe(401);
    expect(await sessions()).not.toContain(true);
  } finally {
    await close();
  }
});

test("where administrators sign in only at a provider that is gone, the host makes one who gets in, on record; where a password lets somebody in, it makes nobody", async () => {
  const recover = (...args: string[]) => admin("recover", ...args, "--by", "host operator", "--reason", "deviation 4712");
  const by = { actor: "signalbox", from: null, reason: "test" };
  const issuer = "https://gone.example";
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    await db.transaction().execute(async (trx) => {
      await createPerson(trx, { person: "oda", name: "Oda", issuer, subject: "4711", password: null, temporary: true }, by);
      await grantRole(trx, { kind: "person", id: "oda" }, "admin", null, by);
    });
    // as long as somebody is let in by a new password, that is the way
    const early = await recover("finn", "--name", "Finn Smit");
    expect([early.exit, early.out]).toEqual([1, expect.stringContaining("lets in ann, carl")]);
    await db.transaction().execute(async (trx) => {
      for (const local of await listOwnAdministrators(trx)) await setPersonActive(trx, local, false, by);
    });
  } finally {
    await close();
  }
  const elsewhere = await recover("oda");
  expect([elsewhere.exit, elsewhere.out]).toEqual([1, expect.stringContaining(`oda signs in at ${issuer}`)]);
  expect((await plant.database.query("select password, temporary from person_standings where person = 'oda'"))[0]).toEqual({ password: null, temporary: true });
  expect((await recover("finn")).exit).toBe(1);

  const made = await recover("finn", "--name", "Finn Smit");
  expect(made.exit, made.out).toBe(0);
  const temporary = passwordIn(made.out);
  const token = bearing(String(Object((await signInWith("finn", temporary)).body).token));
  expect((await plant.ask("PUT", "/v1/people/finn/password", { old: temporary, new: PASSWORD }, token)).status).toBe(204);
  const finn = bearing(await signIn(plant, "finn"));
  expect((await plant.ask("PATCH", "/v1/people/oda", { active: false }, finn)).status).toBe(200);
  const acts = await plant.database.query(`select type, actor, body ->> 'reason' as reason, body ->> 'from' as "from" from signals where site = '${SITE}'
    and body ->> 'object' = 'person finn' and actor = 'host operator' order by position`);
  const act = { actor: "host operator", reason: "deviation 4712", from: "signalbox admin recover" };
  expect(acts).toEqual([
    { type: "person.created", ...act },
    { type: "role.granted", ...act },
  ]);
  measured("admin.recovered.provider", "no provider: one command makes an administrator with a password, on record as the host operator's");
});
