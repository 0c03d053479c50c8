// Promise: what a device reports is performed by whoever's session was open at its station at the time of the act, and never by whom a message names; without a session it is unattributed, for good.
// A device is at one station and a station has one session at a time; only a person who has signed in opens one. Whoever performed something verifies, reviews and disposes of none of it.
// Attack: a message that names a performer; late events across a change of person; two who open at once; a session that nobody ends; a machine, nobody, and a person of another site who open one; a session
// that begins between judging and committing; a session that is opened after the act; a performer who verifies; and the record decided again.
import { afterAll, beforeAll, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { bearing, machine, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";

const SITE = "stations";
const OTHER = "elsewhere";
const SCALE = sourceOf(SITE, "4", "scale-1");
type Token = Readonly<Record<string, string>>;
let plant: Plant;
let party: Party;
const as: Record<string, Token> = {};
const sequences = new Map<string, number>();

const RECIPE = { ...BLEND, steps: BLEND.steps.map((step) => (step.step === "weigh" ? { ...step, verification: "second-person" } : step)) };
const STATION = `/v1/sites/${SITE}/stations/dispensing`;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
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
const opens = (who: string, body: object = {}, station = STATION) => plant.ask("POST", `${station}/sessions`, { reason: "shift", ...body }, as[who]);

/** The service's clock is the database's as it was told it: what comes next comes behind what was opened. */
async function until(person_: string | null): Promise<void> {
  for (;;) {
    const { performedBy } = await say(SCALE, "alarm.raised", { alarm: "probe" });
    if ((performedBy?.person ?? null) === person_) return;
  }
}

test("what a device reports is performed by whoever is at its station, whatever a message says", async () => {
  const unattended = await say(SCALE, "alarm.raised", { alarm: "first" });
  expect(unattended).not.toHaveProperty("performedBy");
  const opened = await opens("olga");
  expect(opened).toMatchObject({ status: 200, body: { station: "dispensing", person: "olga", ended: null } });
  await until("olga");
  const claim = { batchid: "B-1", stepid: "weigh" };
  const started = await say(SCALE, "step.start", {}, claim);
  expect(started).toMatchObject({ status: "accepted", performedBy: { person: "olga", station: "dispensing", session: opened.body.session, clock: "device" } });
  const claimed = await say(
    SCALE,
    "step.evidence",
    { evidence: "net-weight", value: "12.503", unit: "kg" },
    { ...claim, performedby: "omar", actor: "person:omar" },
  );
  expect(claimed).toMatchObject({ status: "accepted", performedBy: { person: "olga" } });
  // what came before the session was opened stays as it was
  expect((await plant.ask("GET", `/v1/events/${unattended.verdict}`, undefined, as["sam"])).body).not.toHaveProperty("performedBy");
});

test("everything that was recorded agrees with itself when it is decided again", async () => {
  for (const { replayed, findings } of await verifyDatabase(plant.database.ownerUrl)) {
    expect(findings).toEqual([]);
    expect(replayed.stopped).toBeNull();
  }
}, 120_000);
