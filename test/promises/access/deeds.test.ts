// Promise: whoever decided about a batch's quarantined events, or gave up what its equipment may have said, has acted in it; nobody decides about what they performed themselves; nobody amends a batch to a
// revision of their own, whichever site the batch is at. The service refuses before anything is signed, and the database refuses what is written in spite of that.
// Attack: one's own report, by any of its rounds and in other characters; a reviewer who had an event judged again, or rejected one that names no batch; a gap that was skipped when the batch had ended; a
// site that is younger than the revision; conclusions and disposals written in SQL as the service's own role, by whoever acted, over a record that has gone on, under no signature.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readDeeds } from "../../../src/access/deeds.store.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { beforeCommit } from "../../support/before-commit.ts";
import { BLEND } from "../../support/blend.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { bearing, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";
import type { Said } from "../../support/shapes.ts";
import { signing } from "../../support/signing.ts";
import { untilLocked } from "../../support/until-locked.ts";

const SITE = "deeds";
const YOUNGER = "younger";
let plant: Plant;
let party: Party;
let service: ReturnType<typeof openDatabase>;
const as: Record<string, Readonly<Record<string, string>>> = {};
const sequences = new Map<number, number>();
const between = beforeCommit();

const [WEIGH, STIR] = BLEND.steps;
const RECIPE = { ...BLEND, steps: [{ ...WEIGH, verification: "second-person" }, STIR] };
const WEIGHT = { evidence: "net-weight", value: "12.500", unit: "kg" };

beforeAll(async () => {
  plant = await startPlant({
    broker: "embedded",
    settings: WITH_SECRET,
    replaced: { stages: (stages) => between.stages(stages) },
  });
  service = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(`site/${SITE}/line/4/eq/+/verdict`);
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", RECIPE);
  // story: where the sources of another site were numbered first, a record that was sound could not be decided again
  for (const n of [1, 2, 3, 4]) await plant.equipment("elder", `scale-${n}`, "4", "scale");
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) for (const kind of ["scale", "mixer"]) await plant.equipment(SITE, `${kind}-${n}`, "4", kind);
  const station = `/v1/sites/${SITE}/stations/dispensing`;
  expect((await plant.ask("PUT", station, { line: "4" }, { reason: "set up" })).status).toBe(201);
  expect((await plant.ask("POST", `${station}/devices`, { source: scale(1) }, { reason: "set up" })).status).toBe(200);
  await person(plant, "admin", { role: "admin", site: null });
  for (const [id, role, site] of [
    ["olga", "operator", SITE],
    ["sam", "supervisor", SITE],
    ["sara", "supervisor", null],
    ["sue", "supervisor", SITE],
    ["rita", "qa_reviewer", SITE],
    ["rosa", "qa_reviewer", SITE],
    ["quinn", "qa_approver", null],
    ["elsa", "engineer", null],
    ["eric", "engineer", null],
  ] as const) {
    await person(plant, id, { role, site });
    as[id] = bearing(await signIn(plant, id));
  }
}, 300_000);
afterAll(async () => {
  await party?.end();
  await service?.close();
  await plant?.stop();
});

const scale = (n: number): string => sourceOf(SITE, "4", `scale-${n}`);
const said = (of: unknown, name: string): unknown => Object(of)[name];
const post = (path: string, body: unknown, who: string) => plant.ask("POST", path, body, { ...as[who], reason: "as planned" });
const get = async (path: string): Promise<Said> => (await plant.ask("GET", path, undefined, as["sam"])).body;
const commandsOf = (batch: string, step?: string, site = SITE): string =>
  `/v1/sites/${site}/batches/${batch}${step === undefined ? "" : `/steps/${step}`}/commands`;
const { ask, sign } = signing(() => plant, as);
const OWN = { status: 403, body: { code: "SIGNATURE_OWN_DEED" } };

async function signed(path: string, body: unknown, who: string): Promise<unknown> {
  const done = await sign(path, body, who);
  expect(done.status, JSON.stringify(done.body)).toBe(200);
  return said(done.body, "answer");
}

/** Scale n says something, as its number `sequence`, or as its next one; gives what was decided about it at first. */
async function say(n: number, type: string, data: object, more: object = {}, sequence = (sequences.get(n) ?? 0) + 1): Promise<Said> {
  sequences.set(n, Math.max(sequence, sequences.get(n) ?? 0));
  const event = envelope(scale(n), 1, sequence, type, { ...data }, { ...more });
  await party.publish(eventTopic(scale(n)), event);
  return (await party.until(`the verdict on ${event["id"]}`, ({ body: seen }) => seen.causationid === event["id"])).body.data;
}

/** Batch B-n with equipment n, by sara, running; its step weigh is begun by its scale. */
async function weighing(n: number, batch = `B-${n}`): Promise<string> {
  const order = { batch, jobOrder: `PO-${batch}`, line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  expect((await post(`/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: `scale-${n}`, mixer: `mixer-${n}` } }, "sara")).status).toBe(201);
  for (const command of ["release-to-floor", "start"]) expect((await post(commandsOf(batch), { command, reason: "plan" }, "sara")).status).toBe(200);
  expect(await say(n, "step.start", {}, { batchid: batch, stepid: "weigh" })).toMatchObject({ status: "accepted" });
  return batch;
}

/** A number of scale n is missing; gives it, and the address at which that is resolved. */
async function gapOf(n: number): Promise<{ readonly missing: number; readonly resolution: string }> {
  const missing = (sequences.get(n) ?? 0) + 1;
  expect(await say(n, "call.raised", { call: "early" }, {}, missing + 1)).toMatchObject({ status: "deferred", code: "SEQ_GAP" });
  const { gap } = Object((await get(`/v1/gaps?site=${SITE}&limit=100`)).items.find(({ source }) => source === scale(n)));
  expect((await get(`/v1/gaps?id=${gap}`)).items).toMatchObject([{ source: scale(n), gap }]);
  return { missing, resolution: `/v1/gaps/${gap}/resolution` };
}

const SKIP = { action: "skip", reason: "the scale lost it" };
const deciding = (verdict: string): string => `/v1/quarantine/${verdict}/resolution`;
const inOtherCharacters = (path: string): string => path.replaceAll(".", "%2E").replace(/\d(?=\/resolution)/, (digit) => `%3${digit}`);

async function review(batch: string, who = "rosa"): Promise<{ readonly review: number; readonly path: string; readonly body: object }> {
  const opened = await post("/v1/audit/reviews", { site: SITE, batch }, who);
  const { review: number, digest } = Object(said(opened.body, "review"));
  const path = `/v1/audit/sites/${SITE}/reviews/${number}/conclusion`;
  return { review: number, path, body: { digest, conclusion: "accepted", finding: "none" } };
}
const concluding = ({ path, body }: { readonly path: string; readonly body: object }): readonly [string, object] => [path, body];

/** Why somebody may not dispose of a batch by quality's word; null: they may. */
const deedsIn = (batch: string, who: string): Promise<string | null> =>
  readDeeds(service.db, { path: commandsOf(batch), body: { command: "release" }, site: SITE }, `person:${who}`);

/** What refuses what the service's own role writes, by its name; null: nothing. None of it stays. */
async function refusalOf(...statements: readonly string[]): Promise<string | null> {
  const client = new pg.Client({ connectionString: plant.database.runtimeUrl });
  await client.connect();
  try {
    await client.query("begin");
    for (const statement of statements) await client.query(statement);
    return null;
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.constraint ?? error.message) : String(error);
  } finally {
    await client.end();
  }
}
const command = (who: string, body: object): string =>
  `insert into signals (site, position, generation, shard, kind, received_at, actor, body, recorded_at)
    values ('${SITE}', 900000, 1, '${SITE}', 'command', clock_timestamp(), 'person:${who}', '${JSON.stringify(body)}', clock_timestamp())`;
const conclusion = (number: number, who: string): string =>
  `insert into audit_review_conclusions (site, review, position, conclusion, finding, concluded_by) values ('${SITE}', ${number}, 900001, 'accepted', 'none', 'person:${who}')`;

test("whoever performed what an event in quarantine reports neither has it judged again nor rejects it; the database refuses it too", async () => {
  expect((await post(`/v1/sites/${SITE}/stations/dispensing/sessions`, { reason: "shift" }, "sam")).status).toBe(200);
  const batch = await weighing(1);
  const { missing, resolution } = await gapOf(1);
  await signed(resolution, SKIP, "sue");
  const late = await say(1, "step.evidence", WEIGHT, { batchid: batch, stepid: "weigh" }, missing);
  expect(late).toMatchObject({ status: "quarantined", code: "SEQ_SKIPPED", performedBy: { person: "sam" } });
  const path = deciding(late.verdict);
  for (const action of ["reprocess", "reject"])
    for (const address of [path, inOtherCharacters(path)]) expect(await ask(address, { action, reason: "it was so" }, "sam"), address).toMatchObject(OWN);
  expect(await refusalOf(command("sam", { kind: "quarantine.resolve", event: late.position, action: "reprocess", reason: "so", signature: {} }))).toBe(
    "nobody_decides_about_own_report",
  );
  expect(await refusalOf(command("rita", { kind: "quarantine.resolve", event: late.position, action: "reprocess", reason: "so", signature: {} }))).toBeNull();
  // another person does; and whichever of its rounds is named, it is the same event
  expect(await signed(path, { action: "reprocess", reason: "it was weighed" }, "rita")).toMatchObject({ status: "accepted", performedBy: { person: "sam" } });
  const [, last] = (await get(`/v1/events/${late.verdict}`)).rounds;
  expect(await ask(deciding(last?.verdict ?? ""), { action: "reprocess", reason: "again" }, "sam")).toMatchObject(OWN);
});

test("whoever had a report of a batch judged again neither reviews nor disposes of it, nor verifies that step; the database refuses the review too", async () => {
  expect(await say(1, "step.complete", {}, { batchid: "B-1", stepid: "weigh" })).toMatchObject({ status: "accepted" });
  const verify = { command: "verify" };
  for (const who of ["rita", "sue", "sam"]) expect(await ask(commandsOf("B-1", "weigh"), verify, who), who).toMatchObject(OWN);
  await signed(commandsOf("B-1", "weigh"), verify, "rosa");
  const { review: number, path, body } = await review("B-1", "rita");
  expect(await ask(path, body, "rita")).toMatchObject(OWN);
  expect(await deedsIn("B-1", "rita")).toContain("acted in this batch yourself");
  for (const who of ["rita", "rosa", "sam", "sue", "sara"]) expect(await refusalOf(conclusion(number, who)), who).toBe("reviewed_by_others");
  expect(await refusalOf(conclusion(number, "quinn"))).toBeNull();
  // what one did before counts whatever one has become since, and of another batch it does not
  expect([await deedsIn("B-1", "quinn"), await deedsIn("B-0", "rita")]).toEqual([null, null]);
  expect((await post(commandsOf("B-1", "weigh"), { command: "comment", comment: "look" }, "olga")).status).toBe(200);
  expect(await refusalOf(conclusion(number, "quinn"))).toBe("reviewed_as_it_is");
  const again = await review("B-1", "quinn");
  await signed(again.path, again.body, "quinn");
});

test("whoever rejected a report that named no batch has acted in the batch in whose context it was", async () => {
  const batch = await weighing(2);
  const unclaimed = await say(2, "step.resume", {});
  expect(unclaimed).toMatchObject({ status: "quarantined", code: "STA_INVALID_TRANSITION", context: { batch, from: "lock" } });
  expect(await signed(deciding(unclaimed.verdict), { action: "reject", reason: "it was not paused" }, "rita")).toMatchObject({
    context: { batch: null },
  });
  const { path, body } = await review(batch);
  expect(await ask(path, body, "rita")).toMatchObject(OWN);
  expect(await ask(commandsOf(batch, "weigh"), { command: "verify" }, "rita")).toMatchObject(OWN);
  const trail = await get(`/v1/sites/${SITE}/batches/${batch}/audit-trail`);
  expect(said(trail, "exceptions")).toContainEqual(
    expect.objectContaining({ rule: "decided-by-a-person", sentence: expect.stringContaining("quarantine.resolve (reject) by person:rita") }),
  );
  await signed(path, body, "rosa");
});

test("no batch is disposed of past its review: the database refuses what was opened, or went on record, between asking and committing", async () => {
  const word = (batch: string, stage = "disposed"): string =>
    `insert into facts (opened_on, site, position, ordinal, kind, batch, number, data, recorded_at)
      select opened_on, site, 900002, 1, 'disposition.signed', batch, 900002, '{"stage": "${stage}"}', clock_timestamp() from batches where site = '${SITE}' and batch = '${batch}'`;
  const another = `insert into audit_reviews (site, review, batch, entries, digest, catalogue, found, opened_by)
      select site, 900000, batch, entries, digest, catalogue, found, opened_by from audit_reviews where site = '${SITE}' and batch = 'B-2'`;
  const more = `insert into audit_numbers (site, batch, number, position) values ('${SITE}', 'B-2', 900000, 900002)`;
  const past = "disposed_of_as_reviewed";
  const unreviewed = await weighing(5);
  expect([await refusalOf(word("B-2")), await refusalOf(word(unreviewed)), await refusalOf(word(unreviewed, "recommended"))]).toEqual([null, past, null]);
  expect([await refusalOf(another, word("B-2")), await refusalOf(more, word("B-2"))]).toEqual([past, past]);
  const concluded = [another, conclusion(900000, "quinn"), word("B-2")];
  expect(await refusalOf(...concluded)).toBeNull();
  expect(await refusalOf(...concluded.map((one) => one.replace("'accepted'", "'objected'")))).toBe(past);
});

test("whoever gave up what a batch's equipment may have said has acted in it, also when the batch had ended since; whoever went on waiting has not", async () => {
  const batch = await weighing(3);
  const { resolution } = await gapOf(3);
  await signed(resolution, { action: "wait", reason: "it may come" }, "sue");
  await signed(commandsOf(batch), { command: "stop", reason: "leak" }, "sara");
  const next = `${batch}-again`;
  const order = { batch: next, jobOrder: "PO-next", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  await signed(resolution, SKIP, "sam");
  expect((await post(`/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-3", mixer: "mixer-3" } }, "sara")).status).toBe(201);
  for (const name of ["release-to-floor", "start"]) expect((await post(commandsOf(next), { command: name, reason: "plan" }, "sara")).status).toBe(200);
  expect(await say(3, "step.start", {}, { batchid: next, stepid: "weigh" })).toMatchObject({ status: "accepted" });
  expect(await deedsIn(batch, "sam")).toContain("acted in this batch yourself");
  expect([await deedsIn(batch, "sue"), await deedsIn(next, "sam"), await deedsIn("B-2", "sam")]).toEqual([null, null, null]);
  const { review: number } = await review(batch);
  expect(await refusalOf(conclusion(number, "sam"))).toBe("reviewed_by_others");
  expect(await refusalOf(conclusion(number, "sue"))).toBeNull();
  const trail = await get(`/v1/sites/${SITE}/batches/${batch}/audit-trail`);
  expect(said(trail, "exceptions")).toContainEqual(expect.objectContaining({ sentence: expect.stringContaining("gap.resolve (skip) by person:sam") }));
  // nor is the exception, that numbers are missing, for whoever gave them up
  const opened = (await get(`/v1/exceptions?site=${SITE}&open=true&limit=100`)).items.filter(
    ({ code, source }) => code === "SEQ_SKIPPED" && source === scale(3),
  );
  expect(opened).toHaveLength(1);
  const disposing = { path: `/v1/exceptions/${opened[0]?.id}/resolution`, body: {}, site: SITE };
  expect(await readDeeds(service.db, disposing, "person:sam")).toContain("opened the exception");
  expect(await readDeeds(service.db, disposing, "person:sue")).toBeNull();
});

test("an exception is disposed of once, under a signature, by somebody who did not act in its batch: the database refuses all else", async () => {
  const batch = await weighing(4);
  const weighed = await post(commandsOf(batch, "weigh"), { command: "evidence", evidence: { ...WEIGHT, value: "19.000" } }, "olga");
  expect(weighed.status).toBe(200);
  const [exception] = (await get(`/v1/exceptions?site=${SITE}&batch=${batch}`)).items;
  const [position, ordinal] = String(exception?.id).split(".").slice(-2).map(Number);
  const dispose = `update exceptions set resolved_at = clock_timestamp(), resolved_position = 900000, disposition = 'continue', linked = 'DEV-1'
    where site = '${SITE}' and position = ${position} and ordinal = ${ordinal}`;
  const word = { kind: "exception.resolve", position, ordinal, disposition: "continue", linked: "DEV-1", reason: "so", signature: {} };
  expect(await refusalOf(dispose)).toBe("disposed_of_by_signature");
  const { signature: _, ...unsigned } = word;
  for (const other of [unsigned, { ...word, ordinal: Number(ordinal) + 1 }, { ...word, position: Number(position) - 1 }, { ...word, kind: "gap.resolve" }])
    expect(await refusalOf(command("rita", other), dispose), JSON.stringify(other)).toBe("disposed_of_by_signature");
  for (const who of ["olga", "sara"]) expect(await refusalOf(command(who, word), dispose), who).toBe("disposed_of_by_others");
  expect(await refusalOf(command("rita", word), dispose)).toBeNull();
  const path = `/v1/exceptions/${exception?.id}/resolution`;
  const body = { disposition: "continue", linked: "DEV-1", reason: "within what the method allows" };
  expect(await ask(path, body, "olga")).toMatchObject({ status: 403 });
  await signed(path, body, "rita");
  expect(await refusalOf(command("rosa", word), dispose.replace("'continue'", "'abort'"))).toBe("disposed_of_once");
});

test("three people bring a batch to its end: who verified a step disposes of the exceptions of others, and not of its own; a comment bars nobody from anything", async () => {
  const batch = await weighing(6);
  const exceptionOf = async (step: string): Promise<{ readonly path: string; readonly dispose: string; readonly word: (who: string) => string }> => {
    const id = (await get(`/v1/exceptions?site=${SITE}&batch=${batch}&open=true`)).items.find((one) => said(one, "step") === step)?.id;
    const [position, ordinal] = String(id).split(".").slice(-2).map(Number);
    const dispose = `update exceptions set resolved_at = clock_timestamp(), resolved_position = 900000, disposition = 'continue', linked = 'DEV-2'
      where site = '${SITE}' and position = ${position} and ordinal = ${ordinal}`;
    const word = { kind: "exception.resolve", position, ordinal, disposition: "continue", linked: "DEV-2", reason: "so", signature: {} };
    return { path: `/v1/exceptions/${id}/resolution`, dispose, word: (who) => command(who, word) };
  };
  const disposal = { disposition: "continue", linked: "DEV-2", reason: "within what the method allows" };
  expect(await say(6, "step.evidence", WEIGHT, { batchid: batch, stepid: "weigh" })).toMatchObject({ status: "accepted" });
  expect(await say(6, "step.complete", {}, { batchid: batch, stepid: "weigh" })).toMatchObject({ status: "accepted" });
  for (const who of ["rita", "quinn"])
    expect((await post(commandsOf(batch, "weigh"), { command: "comment", comment: "looked at it" }, who)).status, who).toBe(200);
  await signed(commandsOf(batch, "weigh"), { command: "verify" }, "rita");
  expect((await post(commandsOf(batch, "blend"), { command: "start" }, "sara")).status).toBe(200);
  const hot = { evidence: "end-temperature", value: "60", unit: "Cel" };
  expect((await post(commandsOf(batch, "blend"), { command: "evidence", evidence: hot }, "sara")).status).toBe(200);
  const { path, dispose, word } = await exceptionOf("blend");
  expect(await ask(path, disposal, "sara")).toMatchObject({ status: 403 });
  for (const who of ["rita", "quinn"]) expect(await refusalOf(word(who), dispose), who).toBeNull();
  // of the very step and attempt it bars, here and in the database; of a later attempt of it, not
  const own = `update exceptions set step = 'weigh', attempt = 1 where site = '${SITE}' and batch = '${batch}' and step = 'blend'`;
  expect(await refusalOf(own, word("rita"), dispose)).toBe("disposed_of_by_others");
  expect(await refusalOf(own.replace("attempt = 1", "attempt = null"), word("rita"), dispose)).toBe("disposed_of_by_others");
  expect(await refusalOf(own.replace("attempt = 1", "attempt = 2"), word("rita"), dispose)).toBeNull();
  expect(await refusalOf(own, word("quinn"), dispose)).toBeNull();
  await signed(path, disposal, "rita");
  await signed(commandsOf(batch), { command: "stop", reason: "too hot" }, "sara");
  await signed(commandsOf(batch), { command: "recommend" }, "sara");
  const reviewed = await review(batch, "rita");
  expect(await ask(...concluding(reviewed), "rita")).toMatchObject({ ...OWN, body: { detail: expect.stringContaining("(exception.resolve") } });
  await signed(...concluding(reviewed), "quinn");
  // a review that is opened while quality's word is on its way is concluded first
  const rejection = { command: "reject", reason: "too hot" };
  const opened: Awaited<ReturnType<typeof review>>[] = [];
  between.next('"reject"', async () => void opened.push(await review(batch, "rita")));
  const late = { status: 409, body: { code: "REVIEW_MISSING", detail: expect.stringContaining("Meanwhile") } };
  expect(await sign(commandsOf(batch), rejection, "quinn")).toMatchObject(late);
  expect(opened).toHaveLength(1);
  for (const one of opened) await signed(...concluding(one), "quinn");
  await signed(commandsOf(batch), rejection, "quinn");
  expect(await get(`/v1/sites/${SITE}/batches/${batch}`)).toMatchObject({ disposition: "rejected" });
});

test("whoever acts in a batch while their conclusion of its review is on its way is told that they did", async () => {
  const batch = await weighing(7);
  const unclaimed = await say(7, "step.resume", {});
  expect(unclaimed).toMatchObject({ status: "quarantined", context: { batch } });
  const reviewed = await review(batch, "rita");
  const administrator = new pg.Client({ connectionString: plant.database.ownerUrl });
  await administrator.connect();
  try {
    // what goes on record at the site waits, one after the other; what only names the site does not
    await administrator.query(`begin; select from sites where site = '${SITE}' for no key update`);
    const decided = new Promise<void>((resolve) => {
      between.next("quarantine.resolve", async () => resolve());
    });
    const rejecting = sign(deciding(unclaimed.verdict), { action: "reject", reason: "it was not paused" }, "rita");
    await decided;
    await untilLocked(plant.database, "from settle");
    const conclusion = sign(...concluding(reviewed), "rita");
    await untilLocked(plant.database, "select from sites where site");
    await administrator.query("rollback");
    expect((await rejecting).status).toBe(200);
    expect(await conclusion).toMatchObject(OWN);
  } finally {
    await administrator.end();
  }
  await signed(...concluding(reviewed), "rosa");
});

test("whoever registered a revision amends no batch to it, also at a site that is younger than the revision; the database refuses it too", async () => {
  const at = "/v1/registry/recipes/blend/revisions/4";
  const hotter = { ...RECIPE, revision: 4, steps: [RECIPE.steps[0], { ...STIR, evidence: [{ ...STIR.evidence[0], limits: { low: "20", high: "60" } }] }] };
  const registered = await plant.ask("PUT", at, hotter, { ...as["eric"], reason: "hotter" });
  expect(registered.status).toBe(200);
  await signed(`${at}/approval`, { hash: said(registered.body, "hash") }, "quinn");
  for (const kind of ["scale", "mixer"]) {
    const made = { equipment: `${kind}-1`, line: "4", class: kind };
    expect((await plant.ask("PUT", `/v1/sites/${YOUNGER}/registry/equipment/${kind}-1`, made, { ...as["elsa"], reason: "a new site" })).status).toBe(200);
  }
  const order = { batch: "Y-1", jobOrder: "PO-1", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  expect((await post(`/v1/sites/${YOUNGER}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } }, "sara")).status).toBe(201);
  for (const name of ["release-to-floor", "start"])
    expect((await post(commandsOf("Y-1", undefined, YOUNGER), { command: name, reason: "plan" }, "sara")).status).toBe(200);
  const amend = { command: "amend", revision: 4, reason: "change C-3" };
  expect(await ask(commandsOf("Y-1", undefined, YOUNGER), amend, "eric")).toMatchObject(OWN);
  const forced = (who: string) => command(who, { kind: "batch.command", batch: "Y-1", ...amend, signature: {} }).replaceAll(`'${SITE}'`, `'${YOUNGER}'`);
  expect(await refusalOf(forced("eric"))).toBe("nobody_amends_to_own_revision");
  expect(await refusalOf(forced("elsa"))).toBeNull();
  await signed(commandsOf("Y-1", undefined, YOUNGER), amend, "elsa");
});

test("equipment is taken over under a signature by somebody who does not work with it; the database refuses all else, and elsewhere nobody learns of the lock", async () => {
  await person(plant, "otto", { role: "supervisor", site: YOUNGER });
  as["otto"] = bearing(await signIn(plant, "otto"));
  const batch = await weighing(8);
  expect((await post(commandsOf(batch, "weigh"), { command: "evidence", evidence: WEIGHT }, "sue")).status).toBe(200);
  const { items } = await get(`/v1/context-locks?site=${SITE}&batch=${batch}`);
  const [allocation, engagement] = ["allocation", "engagement"].map((kind) => String(items.find((one) => said(one, "kind") === kind)?.id));
  const at = (lock: unknown): string => `/v1/context-locks/${lock}/takeover`;
  const why = { reason: "scale-8 is needed for a release that cannot wait" };
  // who started the batch holds what is allocated to it; who works in a step holds what that works with
  for (const address of [at(allocation), at(allocation).replaceAll(".", "%2E")]) expect(await ask(address, why, "sara"), address).toMatchObject(OWN);
  expect(await ask(at(engagement), why, "sue")).toMatchObject({ ...OWN, body: { detail: expect.stringContaining("(evidence in step weigh)") } });
  expect(await post(at(engagement), why, "sam")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  for (const who of ["olga", "rita", "quinn", "elsa"])
    expect(await ask(at(engagement), why, who), who).toMatchObject({ status: 403, body: { code: "PER_NOT_AUTHORISED" } });
  const unknown = [`${SITE}.scale-8.999999`, `${SITE}.nobody.1`, `nowhere.scale-8.1`, "x"].map((lock) => [lock, "sam"] as const);
  for (const [lock, who] of [...unknown, [engagement, "otto"] as const, [`${SITE}.nobody.1`, "otto"] as const])
    expect(await ask(at(lock), why, who), lock).toMatchObject({ status: 404, body: { detail: expect.stringContaining(`lock ${lock}`) } });
  const [tokenOfAll, token] = [allocation, engagement].map((lock) => Number(String(lock).split(".").at(-1)));
  const word = { kind: "lock.takeover", equipment: "scale-8", token, ...why, signature: {} };
  const told = (
    step: string,
    equipment = "scale-8",
    of = token,
  ): string => `insert into facts (opened_on, site, position, ordinal, kind, batch, number, step, attempt, equipment, data, recorded_at)
    select opened_on, site, 900000, 1, 'reported', batch, 900000, ${step}, '${equipment}', '{"type": "context.taken-over", "token": ${of}}', clock_timestamp() from batches
    where site = '${SITE}' and batch = '${batch}'`;
  const { signature: _, ...unsigned } = word;
  const others = [
    unsigned,
    { ...word, signature: null },
    { ...word, kind: "gap.resolve" },
    { ...word, token: Number(token) + 1 },
    { ...word, equipment: "mixer-8" },
  ];
  for (const other of others) expect(await refusalOf(command("sam", other), told("'weigh', 1")), JSON.stringify(other)).toBe("taken_over_by_signature");
  for (const other of [told("null, null"), told("'weigh', 2"), told("'blend', 1"), told("'weigh', 1", "scale-7"), told("'weigh', 1", "scale-8", 999)])
    expect(await refusalOf(command("sam", word), other), other).toBe("taken_over_by_signature");
  expect(await refusalOf(told("'weigh', 1"))).toBe("taken_over_by_signature");
  expect(await refusalOf(command("sue", word), told("'weigh', 1"))).toBe("taken_over_by_others");
  const wordOfAll = { ...word, equipment: "mixer-8", token: tokenOfAll };
  expect(await refusalOf(command("sara", wordOfAll), told("null, null", "mixer-8", tokenOfAll))).toBe("taken_over_by_others");
  expect(await refusalOf(command("sam", wordOfAll), told("null, null", "mixer-8", tokenOfAll))).toBeNull();
  for (const who of ["sam", "sara"]) expect(await refusalOf(command(who, word), told("'weigh', 1")), who).toBeNull();
  const asked = await ask(at(engagement), why, "sam");
  expect(said(asked.body, "text")).toBe(
    `I, Person sam (sam), as supervisor, take over scale-8 from step weigh of batch ${batch} at site ${SITE}: take-over authorised. Reason: as decided`,
  );
  await signed(at(engagement), why, "sam");
  const seen = await get(`/v1/sites/${SITE}/batches/${batch}/record`);
  expect(seen).toMatchObject({
    steps: expect.arrayContaining([
      expect.objectContaining({ step: "weigh", state: "paused", exceptions: [expect.objectContaining({ code: "LCK_TAKEN_OVER" })] }),
    ]),
    commands: expect.arrayContaining([expect.objectContaining({ by: expect.objectContaining({ name: "person:sam", what: "lock.takeover" }) })]),
  });
  // what was signed for is done once, and to that lock
  expect(await ask(at(engagement), why, "sara")).toMatchObject({ status: 404 });
  expect((await post(commandsOf(batch, "weigh"), { command: "resume" }, "olga")).status).toBe(200);
  const [exception] = (await get(`/v1/exceptions?site=${SITE}&batch=${batch}`)).items;
  const disposing = [`/v1/exceptions/${exception?.id}/resolution`, { disposition: "continue", linked: "DEV-5", reason: "weighed on the same scale" }] as const;
  await signed(...disposing, "rita");
  await signed(at(allocation), why, "sam");
  expect((await get(`/v1/context-locks?site=${SITE}&batch=${batch}`)).items).toMatchObject([
    { kind: "engagement", equipment: "scale-8", token: Number(token) + 1 },
  ]);
  // who took equipment out of a step has acted in it
  expect((await post(commandsOf(batch, "weigh"), { command: "complete" }, "olga")).status).toBe(200);
  expect(await ask(commandsOf(batch, "weigh"), { command: "verify" }, "sam")).toMatchObject({
    ...OWN,
    body: { detail: expect.stringContaining("(lock.takeover in step weigh)") },
  });
  await signed(commandsOf(batch, "weigh"), { command: "verify" }, "rosa");
});

test("everything that was recorded agrees with itself when it is decided again", async () => {
  expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
});
