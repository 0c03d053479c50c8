// Promise: what a device reports is performed by whoever's session was open at its station at the time of the act, and never by whom a message names; without a session it is unattributed, for good.
// A device is at one station and a station has one session at a time; only a person who has signed in opens one. Whoever performed something verifies, reviews and disposes of none of it.
// Attack: a message that names a performer; late events across a change of person; two who open at once; a session that nobody ends; a machine, nobody, and a person of another site who open one; a session
// that begins between judging and committing; a session that is opened after the act; a performer who verifies; a key that is used again, by others too; a person who is deactivated while they open a session; a
// station whose session cannot be ended; and the record decided again.
import { afterAll, beforeAll, expect, test } from "vitest";
import { setPersonActive } from "../../../src/access/access.store.ts";
import { readDeeds } from "../../../src/access/deeds.store.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { openSession, registerStation } from "../../../src/stations/stations.store.ts";
import { beforeCommit } from "../../support/before-commit.ts";
import { BLEND } from "../../support/blend.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { bearing, machine, PASSWORD, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";
import type { Said } from "../../support/shapes.ts";

const SITE = "stations";
const OTHER = "elsewhere";
const SCALE = sourceOf(SITE, "4", "scale-1");
type Token = Readonly<Record<string, string>>;
let plant: Plant;
let party: Party;
const as: Record<string, Token> = {};
const sequences = new Map<string, number>();
const between = beforeCommit();

const RECIPE = { ...BLEND, steps: BLEND.steps.map((step) => (step.step === "weigh" ? { ...step, verification: "second-person" } : step)) };
const WEIGH = { batchid: "B-1", stepid: "weigh" };
const STATION = `/v1/sites/${SITE}/stations/dispensing`;

beforeAll(async () => {
  plant = await startPlant({
    broker: "embedded",
    settings: WITH_SECRET,
    replaced: { stages: (stages) => between.stages(stages) },
  });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe("site/+/line/4/eq/+/verdict");
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", RECIPE);
  for (const site of [SITE, OTHER]) {
    await plant.equipment(site, "scale-1", "4", "scale");
    await plant.equipment(site, "mixer-1", "4", "mixer");
  }
  expect((await plant.ask("PUT", STATION, { line: "4" }, { reason: "set up" })).status).toBe(201);
  expect((await plant.ask("POST", `${STATION}/devices`, { source: SCALE }, { reason: "set up" })).status).toBe(200);
  // while nobody signs in, nobody is at a station
  expect((await plant.ask("POST", `${STATION}/sessions`, { reason: "shift" })).status).toBe(403);
  await person(plant, "admin", { role: "admin", site: null });
  for (const [id, role, site] of [
    ["olga", "operator", SITE],
    ["omar", "operator", SITE],
    ["sam", "supervisor", SITE],
    ["rita", "qa_reviewer", SITE],
    ["erik", "engineer", SITE],
    ["fay", "operator", OTHER],
  ] as const) {
    await person(plant, id, { role, site });
    as[id] = bearing(await signIn(plant, id));
  }
  as["mes"] = bearing(await machine(plant, "mes-1", "admin", { role: "mes", site: SITE }));
  const order = { batch: "B-1", jobOrder: "PO-1", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  const made = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } }, as["sam"]);
  expect(made.status).toBe(201);
  for (const command of ["release-to-floor", "start"])
    expect((await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command, reason: "plan" }, as["sam"])).status).toBe(200);
}, 300_000);
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

/** Says something; gives what was decided about it. */
async function say(source: string, type: string, data: Readonly<Record<string, unknown>> = {}, more: Readonly<Record<string, unknown>> = {}) {
  const sequence = (sequences.get(source) ?? 0) + 1;
  sequences.set(source, sequence);
  const event = envelope(source, 1, sequence, type, data, more);
  await party.publish(eventTopic(source), event);
  const { body } = await party.until(`the verdict on ${event["id"]}`, ({ body: seen }) => seen.causationid === event["id"]);
  return body.data;
}
const get = (path: string) => plant.ask("GET", path, undefined, as["sam"]);
const opens = (who: string, body: object = {}, station = STATION) => plant.ask("POST", `${station}/sessions`, { reason: "shift", ...body }, as[who]);

const ends = (who: string, session: unknown, station = STATION) => plant.ask("POST", `${station}/sessions/${session}/end`, { reason: "shift ends" }, as[who]);
const performerOf = ({ performedBy }: Said): string | null => performedBy?.person ?? null;

/** The service's clock is the database's as it was told it: what comes next comes behind what was opened. */
async function until(who: string | null): Promise<void> {
  for (;;) {
    if (performerOf(await say(SCALE, "alarm.raised", { alarm: "probe" })) === who) return;
  }
}

test("what a device reports is performed by whoever is at its station, whatever a message says, and shown so everywhere", async () => {
  const unattended = await say(SCALE, "alarm.raised", { alarm: "first" });
  expect(unattended).not.toHaveProperty("performedBy");
  const opened = await opens("olga");
  expect(opened).toMatchObject({ status: 200, body: { station: "dispensing", person: "olga", ended: null } });
  await until("olga");
  const { session } = opened.body;
  expect(await say(SCALE, "step.start", {}, WEIGH)).toMatchObject({
    status: "accepted",
    performedBy: { person: "olga", station: "dispensing", session, clock: "device" },
  });
  const weight = { evidence: "net-weight", value: "12.503", unit: "kg" };
  const weighed = await say(SCALE, "step.evidence", weight, { ...WEIGH, performedby: "omar", actor: "person:omar", session: "1" });
  expect(weighed).toMatchObject({ status: "accepted", performedBy: { person: "olga", session } });
  expect(await say(SCALE, "step.evidence", { ...weight, performedBy: "omar" }, WEIGH)).toMatchObject({ status: "rejected" });
  // what came before the session was opened stays as it was
  expect((await get(`/v1/events/${unattended.verdict}`)).body).not.toHaveProperty("performedBy");
  expect((await get(`/v1/events/${weighed.verdict}`)).body).toMatchObject({ performedBy: { person: "olga" }, rounds: [{ performedBy: { person: "olga" } }] });
  const record = Object((await get(`/v1/sites/${SITE}/batches/B-1/record`)).body);
  expect(record.steps[0].evidence[0].by).toMatchObject({ kind: "device", name: SCALE, performedBy: { person: "olga", station: "dispensing", session } });
  expect(record.steps[0].moves[0].by).toMatchObject({ performedBy: { person: "olga" } });
  const page = await fetch(`${plant.url}/v1/sites/${SITE}/batches/B-1/record`, { headers: { ...as["sam"], accept: "text/html" } });
  expect(await page.text()).toContain("performed by person:olga at station dispensing");
  const found = await get(`/v1/audit/entries?site=${SITE}&batch=B-1&who=person:olga`);
  expect(found.body.items.map(({ what }) => what)).toEqual(["signalbox.step.start.v1", "signalbox.step.evidence.v1"]);
  expect(found.body.items[0]).toMatchObject({ who: { kind: "device", name: SCALE }, performedBy: { person: "olga", station: "dispensing", session } });
  const [entry] = await plant.database.query(
    `select convert_from(entry, 'UTF8') as text from audit_entries where site = '${SITE}' and position = ${weighed.position}`,
  );
  expect(Object(JSON.parse(String(entry?.["text"]).split("\n")[1] ?? "")).performances).toMatchObject([
    { person: "olga", station: "dispensing", session, clock: "device" },
  ]);
});

test("a change of person is one instant, and what comes late is of whoever was there at the time", async () => {
  const olga = (await get(STATION)).body.session;
  expect(await opens("omar")).toMatchObject({ status: 409, body: { code: "STATION_TAKEN" } });
  expect(await opens("omar", { takesOver: 1 })).toMatchObject({ status: 409, body: { code: "STATION_TAKEN" } });
  const omar = (await opens("omar", { takesOver: Object(olga).session })).body;
  const [, before] = (await get(`${STATION}/sessions`)).body.items;
  expect(before).toMatchObject({ session: Object(olga).session, person: "olga", ended: { why: "taken over", by: "person:omar", at: Object(omar).openedAt } });
  await until("omar");
  const changed = String(Object(omar).openedAt);
  const earlier = new Date(Date.parse(changed) - 1).toISOString();
  expect(performerOf(await say(SCALE, "alarm.raised", { alarm: "late" }, { time: earlier }))).toBe("olga");
  expect(performerOf(await say(SCALE, "alarm.raised", { alarm: "now" }, { time: changed }))).toBe("omar");
  expect(await say(SCALE, "alarm.raised", { alarm: "own-clock" }, { time: earlier, timesource: "rtc" })).toMatchObject({
    performedBy: { person: "omar", clock: "arrival" },
  });
  const acts =
    await plant.database.query(`select type, actor, body ->> 'reason' as reason, body -> 'new' as made from signals where site = '${SITE}' and kind = 'act' and type like 'session.%'
    and position >= ${Object(omar).session - 1} order by position`);
  expect(acts).toMatchObject([
    { type: "session.ended", actor: "person:omar", reason: "shift", made: { why: "taken over", at: changed } },
    { type: "session.opened", actor: "person:omar", reason: "shift", made: { person: "omar", at: changed } },
  ]);
  // another's session is ended by its person or a supervisor
  expect(await ends("olga", Object(omar).session)).toMatchObject({ status: 403 });
  expect(await ends("sam", Object(omar).session)).toMatchObject({ status: 200, body: { ended: { why: "closed", by: "person:sam" } } });
  await until(null);
});

test("of two who open at once one is at the station", async () => {
  const answers = await Promise.all(["olga", "omar", "olga", "omar"].map((who) => opens(who)));
  const done = answers.filter(({ status }) => status === 200);
  expect(done).toHaveLength(2);
  expect(new Set(done.map(({ body }) => body.session)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 409).map(({ body }) => body.code)).toEqual(["STATION_TAKEN", "STATION_TAKEN"]);
  const open = await plant.database.query("select person from station_sessions where ended_at is null");
  expect(open).toHaveLength(1);
  await expect(
    plant.database.query(`insert into station_sessions (site, session, station, person, idle_seconds, opened_at, seen_at)
      values ('${SITE}', 999999, 'dispensing', 'sam', 60, clock_timestamp(), clock_timestamp())`),
  ).rejects.toThrow("one_session_per_station");
  await ends("sam", done[0]?.body.session);
});

test("nobody opens a session but a person who may, at a site that is theirs", async () => {
  expect((await opens("mes")).status).toBe(403);
  expect((await opens("rita")).status).toBe(403);
  expect((await opens("erik")).status).toBe(403);
  expect((await opens("fay")).status).toBe(404);
  expect((await plant.ask("POST", `${STATION}/sessions`, { reason: "shift" })).status).toBe(401);
  // nor is a device of another site brought here, or one to two stations
  const bind = (source: string, station = STATION) => plant.ask("POST", `${station}/devices`, { source }, as["erik"]);
  expect((await bind(sourceOf(OTHER, "4", "scale-1"))).status).toBe(404);
  expect((await plant.ask("PUT", `/v1/sites/${SITE}/stations/second`, { line: "4" }, as["erik"])).status).toBe(201);
  expect(await bind(SCALE, `/v1/sites/${SITE}/stations/second`)).toMatchObject({ status: 409, body: { code: "STATION_STATE" } });
  const forced = (site: string, source: string) =>
    plant.database.query(
      `insert into station_devices (site, source, position, station, bound_at) values ('${site}', '${source}', 999999, 'second', clock_timestamp())`,
    );
  await expect(forced(SITE, SCALE)).rejects.toThrow("one_station_per_device");
  await expect(forced(SITE, sourceOf(OTHER, "4", "scale-1"))).rejects.toThrow("station_devices_site_source_fkey");
});

test("a session of which nothing is heard is over at the instant of its limit, and that is on record", async () => {
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  const asked = { site: SITE, station: "brief", by: { actor: "person:erik", from: null, reason: "test" }, key: null };
  try {
    await registerStation(db, asked, { line: "4", title: null, idleSeconds: 1 });
    const opened = await openSession(db, { ...asked, by: { ...asked.by, actor: "person:olga" } }, "olga", null);
    if (opened.kind === "refused") throw new Error(opened.because);
    const over = async (): Promise<Said> => {
      for (;;) {
        const [last] = (await get(`/v1/sites/${SITE}/stations/brief/sessions`)).body.items;
        if (Object(last).ended !== null) return Object(last);
      }
    };
    const { openedAt, ended } = Object(await over());
    expect(ended).toMatchObject({ why: "idle", by: "signalbox" });
    expect(Date.parse(ended.at) - Date.parse(openedAt)).toBe(1_000);
    expect(ended.at.slice(19)).toBe(openedAt.slice(19));
    expect((await get(`/v1/audit/entries?site=${SITE}&what=session.ended&who=signalbox`)).body.items.at(-1)).toMatchObject({ position: ended.position });
    const again = (seen: string) => plant.database.query(`update station_sessions set ${seen} where session = ${opened.result.session}`);
    await expect(again("ended_at = null, ended_position = null, ended_why = null, ended_by = null")).rejects.toThrow("as it was, or over");
  } finally {
    await close();
  }
});

test("the session of whoever may not perform there any more ends", async () => {
  await person(plant, "tina", { role: "operator", site: SITE });
  as["tina"] = bearing(await signIn(plant, "tina"));
  const station = `/v1/sites/${SITE}/stations/second`;
  expect((await opens("tina", {}, station)).status).toBe(200);
  const admin = bearing(await signIn(plant, "admin"));
  const taken = await plant.ask("POST", "/v1/people/tina/grants/revocation", { role: "operator", site: SITE }, { ...admin, reason: "left" });
  expect(taken.status).toBe(204);
  for (let last: Said | undefined; last === undefined || Object(last).ended === null; ) [last] = (await get(`${station}/sessions`)).body.items;
  expect((await get(`${station}/sessions`)).body.items[0]).toMatchObject({ person: "tina", ended: { why: "closed", by: "signalbox" } });
});

test("opened again under its key, it is the session that was opened then, and its person's alone", async () => {
  const keyed = (who: string, key: string, body: object = {}) =>
    plant.ask("POST", `${STATION}/sessions`, { reason: "shift", ...body }, { ...as[who], "idempotency-key": key });
  const olga = await keyed("olga", "opening-1");
  const goesOn = await keyed("olga", "opening-2");
  expect(goesOn.body.session).toBe(olga.body.session);
  const omar = await keyed("omar", "opening-3", { takesOver: olga.body.session });
  expect(omar).toMatchObject({ status: 200, body: { person: "omar" } });
  for (const key of ["opening-1", "opening-2"]) {
    const again = await keyed("olga", key);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    // as it stands now: whoever asks again learns that they are at the station no more
    expect(again).toMatchObject({
      status: 200,
      body: { session: olga.body.session, person: "olga", openedAt: olga.body.openedAt, ended: { why: "taken over" } },
    });
  }
  expect(await keyed("omar", "opening-1")).toMatchObject({ status: 422, body: { code: "REQUEST_KEY_REUSED" } });
  expect(await keyed("olga", "opening-1", { reason: "another" })).toMatchObject({ status: 422, body: { code: "REQUEST_KEY_REUSED" } });
  expect((await keyed("omar", "opening-3", { takesOver: olga.body.session })).body).toEqual(omar.body);
  await ends("sam", omar.body.session);
});

/** Until somebody waits for what another change of stations holds. */
async function waiting(): Promise<void> {
  while ((await plant.database.query("select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'")).length === 0);
}

test("whoever is deactivated, or may not perform there any more, is at no station by the same commit, also when they come at that moment", async () => {
  const station = `/v1/sites/${SITE}/stations/leaving`;
  const admin = bearing(await signIn(plant, "admin"));
  expect((await plant.ask("PUT", station, { line: "4" }, as["erik"])).status).toBe(201);
  for (const id of ["una", "vera", "will"]) {
    await person(plant, id, { role: "operator", site: SITE });
    as[id] = bearing(await signIn(plant, id));
  }
  const inOneCommit = async (id: string) =>
    plant.database.query(`select s.ended_why, s.ended_by, s.xmin = g.xmin as same from station_sessions s
      join signals g on g.site = s.site and g.position = s.ended_position - 1 and g.type in ('person.deactivated', 'role.revoked') where s.person = '${id}'`);
  expect((await opens("una", {}, station)).status).toBe(200);
  expect((await plant.ask("PATCH", "/v1/people/una", { active: false }, { ...admin, reason: "left" })).status).toBe(200);
  expect(await inOneCommit("una")).toEqual([{ ended_why: "closed", ended_by: "signalbox", same: true }]);
  expect((await opens("vera", {}, station)).status).toBe(200);
  expect((await plant.ask("POST", "/v1/people/vera/grants/revocation", { role: "operator", site: SITE }, { ...admin, reason: "moved" })).status).toBe(204);
  expect(await inOneCommit("vera")).toEqual([{ ended_why: "closed", ended_by: "signalbox", same: true }]);

  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 2, applicationName: "test" });
  try {
    // will comes while he is deactivated: he was let in by what was before that commit
    let opening: ReturnType<typeof opens> | undefined;
    await db.transaction().execute(async (trx) => {
      await setPersonActive(trx, "will", false, { actor: "signalbox", from: null, reason: "test" });
      opening = opens("will", {}, station);
      await waiting();
    });
    expect(await opening).toMatchObject({ status: 403, body: { code: "PER_NOT_AUTHORISED" } });
    expect(await plant.database.query("select 1 from station_sessions where person = 'will'")).toEqual([]);
  } finally {
    await close();
  }
});

test("a station whose session cannot be ended keeps no other one from it", async () => {
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    await plant.database.query(`create function refuse_to_end() returns trigger language plpgsql as $$ begin raise exception 'this one is stuck'; end $$;
      create trigger a_stuck_one before update on station_sessions for each row when (new.station = 'a-stuck' and new.ended_at is not null) execute function refuse_to_end()`);
    const by = { actor: "person:olga", from: null, reason: "test" };
    for (const station of ["a-stuck", "b-free"]) {
      const asked = { site: SITE, station, by, key: null };
      await registerStation(db, asked, { line: "4", title: null, idleSeconds: 1 });
      expect((await openSession(db, asked, "olga", null)).kind).toBe("done");
    }
    const ended = async (station: string) =>
      (await get(`/v1/sites/${SITE}/stations/${station}/sessions`)).body.items.map((session) => Object(session).ended?.why);
    while ((await ended("b-free"))[0] !== "idle");
    expect(await ended("a-stuck")).toEqual([undefined]);
    await plant.database.query("drop trigger a_stuck_one on station_sessions; drop function refuse_to_end");
    while ((await ended("a-stuck"))[0] !== "idle");
  } finally {
    await close();
  }
});

test("what changes between judging and committing is judged again", async () => {
  const omar = (await opens("omar")).body;
  await until("omar");
  const next = (sequences.get(SCALE) ?? 0) + 1;
  let taken: Said | null = null;
  between.next(`scale-1-1-${next}`, async () => {
    taken = (await opens("olga", { takesOver: omar.session })).body;
  });
  // judged as omar's; when it is committed, that was over when the event came
  const verdict = await say(SCALE, "alarm.raised", { alarm: "between" }, { time: omar.openedAt });
  expect(between.pending).toBe(false);
  expect(performerOf(verdict)).toBe("omar");
  await until("olga");
  const [row] = await plant.database.query(
    `select seen_at < ended_at as before, ended_why from station_sessions where site = '${SITE}' and session = ${omar.session}`,
  );
  expect(row).toMatchObject({ before: true, ended_why: "taken over" });
  const session = Object(taken).session;
  between.next(`scale-1-1-${(sequences.get(SCALE) ?? 0) + 1}`, async () => {
    expect((await plant.ask("POST", `${STATION}/devices/removal`, { source: SCALE }, as["erik"])).status).toBe(200);
  });
  const gone = await say(SCALE, "alarm.raised", { alarm: "unbound" });
  expect(between.pending).toBe(false);
  expect(performerOf(gone)).toBe("olga");
  expect(performerOf(await say(SCALE, "alarm.raised", { alarm: "nowhere" }, { timesource: "rtc" }))).toBeNull();
  expect((await plant.ask("POST", `${STATION}/devices`, { source: SCALE }, as["erik"])).status).toBe(200);
  await ends("sam", session);
});

test("whoever performed something at a station neither verifies nor disposes of nor reviews it, by code and by constraint", async () => {
  await say(SCALE, "step.complete", {}, WEIGH);
  const path = `/v1/sites/${SITE}/batches/B-1/steps/weigh/commands`;
  const challenge = (who: string) => plant.ask("POST", "/v1/signatures/challenges", { path, body: { command: "verify" }, reason: "seen" }, as[who]);
  expect(await challenge("olga")).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    await plant.database.query(`insert into audit_reviews (site, review, batch, entries, digest, catalogue, found, opened_by)
      values ('${SITE}', 900000, 'B-1', 1, decode(repeat('00', 32), 'hex'), 1, '[]', 'person:rita')`);
    const deeds = (path: string, command: string, who: string) => readDeeds(db, { path: `/v1/${path}`, body: { command }, site: SITE }, `person:${who}`);
    const [batch, review] = [`sites/${SITE}/batches/B-1/commands`, `audit/sites/${SITE}/reviews/900000/conclusion`];
    expect(await deeds(batch, "release", "olga")).toContain("acted in this batch yourself");
    expect(await deeds(review, "", "olga")).toContain("acted in this batch yourself");
    expect([await deeds(batch, "release", "rita"), await deeds(review, "", "rita")]).toEqual([null, null]);
    await plant.database.query(`set session_replication_role = replica; delete from audit_reviews where review = 900000`);
  } finally {
    await close();
  }
  const body = `{"kind":"step.command","command":"verify","batch":"B-1","step":"weigh","signature":{}}`;
  const forced = (actor: string) =>
    plant.database.query(`insert into signals (site, position, generation, shard, kind, received_at, actor, body, recorded_at)
      values ('${SITE}', 900000, 1, '${SITE}', 'command', clock_timestamp(), '${actor}', '${body}', clock_timestamp())`);
  await expect(forced("person:olga")).rejects.toThrow("has performed what they verify here");
  // whoever was at the station while its scale spoke of the step has performed of it too; who was not, may
  expect(await challenge("omar")).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
  const asked = await challenge("sam");
  expect(asked.status, JSON.stringify(asked.body)).toBe(201);
  const signed = await plant.ask("POST", "/v1/signatures", { challenge: Object(asked.body).challenge, password: PASSWORD }, as["sam"]);
  expect(signed.status, JSON.stringify(signed.body)).toBe(200);
});

test("everything that was recorded agrees with itself when it is decided again", async () => {
  for (const { replayed, findings } of await verifyDatabase(plant.database.ownerUrl)) {
    expect(findings).toEqual([]);
    expect(replayed.stopped).toBeNull();
  }
}, 120_000);
