// Promise: QA finds a batch's exceptions first, each with its sentence; a review is over what was there, is concluded once, and is stale as soon as the batch's record goes on.
// Attack: a batch with evidence outside its limits, a refused event, a skipped step and a recipe registered meanwhile; a conclusion over another digest, a second one, and one after the record
// went on; an administrator's role that would change a review.
import { afterAll, beforeAll, expect, test } from "vitest";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "review";
const PRESS = sourceOf(SITE, "1", "press-1");
const PACK = {
  recipe: "pack",
  revision: 1,
  product: "P-300",
  quantity: { value: "1", unit: "{piece}" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  steps: [
    {
      step: "press",
      patience: "PT1S",
      equipment: [{ role: "press", class: "press", locked: "step" }],
      evidence: [{ evidence: "force", kind: "measurement", unit: "kN", limits: { low: "10", high: "20" } }],
    },
  ],
};
const CLAIM = { batchid: "B-1", stepid: "press" };
let plant: Plant;
let party: Party;
let sequence = 0;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(`site/${SITE}/line/1/eq/+/verdict`);
  await plant.ask("PUT", "/v1/registry/recipes/pack/revisions/1", PACK);
  await plant.equipment(SITE, "press-1", "1", "press");
  const order = {
    batch: "B-1",
    jobOrder: "PO-1",
    line: "1",
    recipe: "pack",
    revision: 1,
    quantity: { value: "1", unit: "{piece}" },
    equipment: { press: "press-1" },
  };
  expect((await plant.ask("POST", `/v1/sites/${SITE}/batches`, order, { "idempotency-key": "k-1" })).status).toBe(201);
  for (const command of ["release-to-floor", "start"]) await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command, reason: "plan" });
  await say("step.start", {});
  await say("step.evidence", { evidence: "force", value: "25.5", unit: "kN" });
  await plant.ask("PUT", "/v1/registry/recipes/pack/revisions/2", { ...PACK, revision: 2 }, { reason: "new press" });
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

async function say(type: string, data: Readonly<Record<string, unknown>>): Promise<void> {
  sequence += 1;
  const event = envelope(PRESS, 1, sequence, type, data, CLAIM);
  await party.publish(eventTopic(PRESS), event);
  await party.until(`the verdict on ${event["id"]}`, ({ body }) => body.data.event.id === event["id"] && body.data.final === true);
}

const trail = async () => Object((await plant.ask("GET", `/v1/sites/${SITE}/batches/B-1/audit-trail`)).body);
const open = async () => Object((await plant.ask("POST", "/v1/audit/reviews", { site: SITE, batch: "B-1" }, { reason: "before release" })).body);
const conclude = (review: number, digest: string) =>
  plant.ask("POST", `/v1/audit/sites/${SITE}/reviews/${review}/conclusion`, {
    digest,
    conclusion: "accepted",
    finding: "Looked at the force; the press was recalibrated.",
  });
const listed = async (query: string): Promise<readonly number[]> =>
  Object((await plant.ask("GET", `/v1/audit/reviews?site=${SITE}&${query}`)).body).items.map(({ review }: { review: number }) => review);

test("a batch's exceptions come first, with what was expected and what it was; every rule that ran is named", async () => {
  const found = await trail();
  expect(found.missing).toEqual([]);
  expect(found.catalogue.rules.length).toBeGreaterThan(15);
  expect(found.exceptions.map(({ rule }: { rule: string }) => rule)).toContain("outside-limits");
  expect(found.exceptions[0]).toMatchObject({ severity: "critical", sentence: "force is 25.5 kN; the limits are 10 to 20." });
  expect(found.exceptions.find(({ rule }: { rule: string }) => rule === "master-data")).toMatchObject({ sentence: expect.stringContaining("recipe pack@2") });
  const { items } = Object((await plant.ask("GET", `/v1/audit/entries?site=${SITE}&batch=B-1&limit=500`)).body);
  expect(items.length).toBe(found.entries);
  expect((await plant.ask("GET", `/v1/sites/${SITE}/batches/B-2/audit-trail`)).status).toBe(404);
});

test("a review is over what was there, stays open until it is concluded, and is stale when the record goes on", async () => {
  const { review, trail: seen } = await open();
  expect(review).toMatchObject({ batch: "B-1", state: "open", digest: seen.digest, entries: seen.entries, conclusion: null });
  expect(await listed("state=open")).toEqual([review.review]);
  // a review changes no record: what was reviewed is still all
  expect((await trail()).digest).toBe(seen.digest);
  await say("step.complete", {});
  expect(await listed("state=open")).toEqual([]);
  expect(await listed("state=stale&batch=B-1")).toEqual([review.review]);
  expect(await conclude(review.review, seen.digest)).toMatchObject({ status: 409, body: { code: "REVIEW_STALE" } });
});

test("it is concluded once, by whoever names what they have seen; both acts are on record, without a number of the batch", async () => {
  const { review, trail: seen } = await open();
  expect(await conclude(review.review, "0".repeat(64))).toMatchObject({ status: 409, body: { code: "REVIEW_OTHER" } });
  expect(await conclude(review.review, seen.digest)).toMatchObject({ status: 200, body: { state: "concluded", conclusion: { conclusion: "accepted" } } });
  expect(await conclude(review.review, seen.digest)).toMatchObject({ status: 409, body: { code: "REVIEW_CONCLUDED" } });
  expect(await conclude(999_999, seen.digest)).toMatchObject({ status: 404 });
  expect(await listed("state=concluded")).toEqual([review.review]);
  const { items } = Object((await plant.ask("GET", `/v1/audit/entries?site=${SITE}&what=review.&limit=500`)).body);
  expect(items.map(({ what, batches }: { what: string; batches: object }) => [what, batches])).toEqual([
    ["review.opened", {}],
    ["review.opened", {}],
    ["review.concluded", {}],
  ]);
  expect(items[0].why).toBe("before release");
});

// a retry after a lost answer had opened a second review, and a second conclusion was refused: the key was read by nobody
test("asked again under its key it is opened and concluded once, and answered as then though the record went on; another body is refused", async () => {
  const before = (await listed("")).length;
  const key = (name: string) => ({ "idempotency-key": name });
  const openAgain = (body: object = { site: SITE, batch: "B-1" }) => plant.ask("POST", "/v1/audit/reviews", body, key("open-1"));
  const [first, ...others] = await Promise.all([openAgain(), openAgain(), openAgain()]);
  expect([first.status, ...others.map(({ status }) => status)]).toEqual([201, 201, 201]);
  for (const { body } of others) expect(body).toEqual(first.body);
  expect(await listed("")).toHaveLength(before + 1);
  const { review, trail: seen } = Object(first.body);
  const concludeAgain = (finding: string) =>
    plant.ask("POST", `/v1/audit/sites/${SITE}/reviews/${review.review}/conclusion`, { digest: seen.digest, conclusion: "accepted", finding }, key("end-1"));
  const concluded = await concludeAgain("seen");
  expect(concluded).toMatchObject({ status: 200, body: { state: "concluded" } });
  await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command: "amend", revision: 9, reason: "count anew" });
  await plant.ask("PUT", "/v1/registry/recipes/pack/revisions/3", { ...PACK, revision: 3 }, { reason: "newer press" });
  const [opened, ended] = [await openAgain(), await concludeAgain("seen")];
  expect([opened.status, opened.body, opened.headers.get("idempotent-replayed")]).toEqual([201, first.body, "true"]);
  expect([ended.status, ended.body, ended.headers.get("idempotent-replayed")]).toEqual([200, concluded.body, "true"]);
  expect(await openAgain({ site: SITE, batch: "B-2" })).toMatchObject({ status: 422, body: { code: "REQUEST_KEY_REUSED" } });
  expect(await concludeAgain("something else")).toMatchObject({ status: 422, body: { code: "REQUEST_KEY_REUSED" } });
});

test("what was concluded is stale too when the record goes on behind it", async () => {
  const { review: opened, trail: seen } = await open();
  await conclude(opened.review, seen.digest);
  const [review] = await listed("state=concluded");
  expect(review).toBe(opened.review);
  await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command: "amend", revision: 9, reason: "count again" });
  expect(await listed("state=concluded")).toEqual([]);
  expect((await plant.ask("GET", `/v1/audit/sites/${SITE}/reviews/${review}`)).body).toMatchObject({ state: "stale", conclusion: { conclusion: "accepted" } });
});

test("a review is changed by nobody", async () => {
  await expect(plant.database.query("update audit_reviews set entries = entries + 1")).rejects.toThrow("append-only");
  await expect(plant.database.query("delete from audit_review_conclusions")).rejects.toThrow("append-only");
});
