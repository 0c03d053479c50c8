// Promise: what REST shows is the record, every answer is documented, and asking twice does nothing twice.
// Attack: ask everything twice, at once, with a key, with another body, with pages of one; every answer is held against the served OpenAPI document.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { followEvents } from "../../support/event-stream.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "rest1";
const SCALE = sourceOf(SITE, "4", "scale-1");
const MIXER = sourceOf(SITE, "4", "mixer-1");
const BATCHES = `/v1/sites/${SITE}/batches`;

/** What came back, looked into freely: its shape is held by the served document. */
type Body = Awaited<ReturnType<Plant["ask"]>>["body"];

let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await ok("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  await party.subscribe(`site/${SITE}/#`);
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

async function ok(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
  const answer = await plant.ask(method, path, body, headers);
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  return answer;
}

const order = (batch: string) => ({
  batch,
  jobOrder: `PO-${batch}`,
  line: "4",
  recipe: "blend",
  revision: 3,
  quantity: { value: "25.000", unit: "kg" },
  equipment: { scale: "scale-1", mixer: "mixer-1" },
});

async function running(batch: string): Promise<void> {
  await ok("POST", BATCHES, order(batch));
  for (const command of ["release-to-floor", "start"]) await ok("POST", `${BATCHES}/${batch}/commands`, { command });
}

/** Publishes an event and waits for the verdict of a round. */
async function send(event: Record<string, unknown>, round = 1): Promise<Body> {
  const source = String(event["source"]);
  await party.publish(eventTopic(source), event);
  const seen = await party.until(
    `round ${round} of ${event["id"]}`,
    ({ topic, body }) => topic === verdictTopicOf(source) && body?.data.event.id === event["id"] && body.data.round === round,
  );
  return seen.body.data;
}

async function everything(path: string): Promise<Body[]> {
  const items: Body[] = [];
  let cursor: string | null = null;
  do {
    const { body }: { body: Body } = await ok("GET", `${path}${cursor === null ? "" : `&cursor=${cursor}`}`);
    items.push(...body.items);
    cursor = body.cursor;
  } while (cursor !== null);
  return items;
}

describe("the registry", () => {
  test("publishes a revision once: the same content changes nothing, other content is refused, for good", async () => {
    const path = "/v1/registry/recipes/once/revisions/1";
    const recipe = { ...BLEND, recipe: "once", revision: 1 };
    const first = await ok("PUT", path, recipe);
    expect(first.body.result).toBe("registered");
    // the same content, its keys in another order
    const again = await ok("PUT", path, Object.fromEntries(Object.entries(recipe).reverse()));
    expect(again.body).toEqual({ result: "unchanged", hash: first.body.hash, inForce: true });
    const other = await plant.ask("PUT", path, { ...recipe, product: "P-200" });
    expect([other.status, other.body.code, other.body.errors[0]?.pointer]).toEqual([409, "REV_PUBLISHED", "/revision"]);
    expect((await ok("GET", path)).body).toMatchObject({ hash: first.body.hash, content: { product: "P-100" } });
    expect((await ok("GET", "/v1/registry/recipes/once")).body.items).toEqual([{ revision: 1, hash: first.body.hash, inForce: true }]);
    const listed = await everything("/v1/registry/recipes?limit=1");
    expect(listed.map(({ name, revision }) => `${name}@${revision}`)).toEqual(expect.arrayContaining(["blend@3", "once@1"]));
  });

  test("refuses a recipe that cannot complete, and says where", async () => {
    const circular = { ...BLEND, recipe: "circle", revision: 1, steps: BLEND.steps.map((step) => ({ ...step, after: ["blend"] })) };
    const answer = await plant.ask("PUT", "/v1/registry/recipes/circle/revisions/1", circular);
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0]?.pointer).toMatch(/^\/steps\/\d+\/after/);
    expect((await plant.ask("GET", "/v1/registry/recipes/circle/revisions/1")).status).toBe(404);
  });

  test("serves the shipped state machines, and takes them again only as they are", async () => {
    const { body } = await ok("GET", "/v1/registry/state-machines/step.governed/revisions/1");
    expect((await ok("PUT", "/v1/registry/state-machines/step.governed/revisions/1", body.content)).body).toEqual({
      result: "unchanged",
      hash: body.hash,
      inForce: true,
    });
    expect((await everything("/v1/registry/state-machines?limit=1")).map(({ name }) => name)).toEqual(
      expect.arrayContaining(["batch/governed", "step/governed"]),
    );
  });

  test("registers equipment asked for at once by many exactly once, with its source", async () => {
    const path = `/v1/sites/${SITE}/registry/equipment/many`;
    const answers = await Promise.all(Array.from({ length: 8 }, () => plant.ask("PUT", path, { equipment: "many", line: "4", class: "scale" })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(answers.filter(({ body }) => body.result === "registered")).toHaveLength(1);
    expect((await ok("GET", `/v1/sites/${SITE}/registry/sources/many`)).body).toMatchObject({
      source: sourceOf(SITE, "4", "many"),
      numbering: true,
      revoked: false,
    });
  });

  test("never moves equipment to another line, and changes its class only while it is free", async () => {
    await running("B-REG");
    const path = `/v1/sites/${SITE}/registry/equipment/mixer-1`;
    const put = (more: object) => plant.ask("PUT", path, { equipment: "mixer-1", line: "4", class: "mixer", ...more });
    expect(await put({ line: "5" })).toMatchObject({ status: 409, body: { code: "CTX_WRONG_LINE" } });
    expect(await put({ class: "kettle" })).toMatchObject({ status: 409, body: { code: "LCK_CONFLICT" } });
    expect(await put({ title: "The big mixer" })).toMatchObject({ status: 200, body: { result: "registered" } });
    await ok("POST", `${BATCHES}/B-REG/commands`, { command: "abort", reason: "a test" });
  });

  test("keeps sources of devices: revoked, they are not believed", async () => {
    const device = `${SCALE}/device/head`;
    const path = `/v1/sites/${SITE}/registry/sources/scale-1:head`;
    await ok("PUT", path, { source: device });
    expect((await ok("GET", path)).body).toMatchObject({ source: device, device: "head", numbering: true });
    expect((await send(envelope(device, 1, 1, "call.raised", { call: "help" }))).status).toBe("accepted");
    expect(await plant.ask("PUT", path, { source: device, numbering: false })).toMatchObject({ status: 409, body: { code: "SEQ_REUSED" } });
    await ok("PUT", path, { source: device, revoked: true });
    expect((await send(envelope(device, 1, 2, "call.closed", { call: "help" }))).status).toBe("rejected");
    expect((await plant.ask("PUT", "/v1/sites/nowhere/registry/sources/x", { source: "/site/nowhere/line/4/eq/x" })).status).toBe(404);
    expect((await everything(`/v1/sites/${SITE}/registry/sources?limit=1`)).map(({ source }) => source)).toContain(device);
  });
});

describe("a command", () => {
  test("asked at once by many under one key is done once, and all get the same answer", async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => plant.ask("POST", BATCHES, order("B-KEY"), { "idempotency-key": "key-1" })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 201));
    expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === null)).toHaveLength(1);
    for (const { body } of answers) expect(body).toEqual(answers[0]?.body);
    expect((await ok("GET", `${BATCHES}/B-KEY/outcomes`)).body.items).toHaveLength(1);
  });

  test("among many at once is told its own position, the one under which it stands on record", async () => {
    // the group's last position was once told to every command of the group
    const batches = Array.from({ length: 12 }, (_, i) => `B-AT-${i}`);
    const first = await Promise.all(batches.map((batch) => plant.ask("POST", BATCHES, order(batch), { "idempotency-key": `at-${batch}` })));
    const positions = first.map(({ body }) => body.position);
    expect(new Set(positions).size).toBe(12);
    const again = await Promise.all(batches.map((batch) => plant.ask("POST", BATCHES, order(batch), { "idempotency-key": `at-${batch}` })));
    expect(again.map(({ body }) => body.position)).toEqual(positions);
  });

  test("under a used key with another body, or on another path, is 422 and does nothing", async () => {
    expect((await plant.ask("POST", BATCHES, order("B-KEY2"), { "idempotency-key": "key-1" })).status).toBe(422);
    expect((await plant.ask("POST", `${BATCHES}/B-KEY/commands`, { command: "start" }, { "idempotency-key": "key-1" })).status).toBe(422);
    expect((await plant.ask("GET", `${BATCHES}/B-KEY2`)).status).toBe(404);
  });

  test("that was refused is refused again under its key in the same words, though it would be permitted today", async () => {
    const start = () => plant.ask("POST", `${BATCHES}/B-KEY/commands`, { command: "start" }, { "idempotency-key": "key-2" });
    const refused = await start();
    expect(refused).toMatchObject({
      status: 409,
      body: { code: expect.any(String), explanation: { permitted: expect.any(Array) }, position: expect.any(Number) },
    });
    await ok("POST", `${BATCHES}/B-KEY/commands`, { command: "release-to-floor" });
    const again = await start();
    expect(again.body).toEqual(refused.body);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await ok("GET", `${BATCHES}/B-KEY`)).body.execution).toBe("ready");
    await ok("POST", `${BATCHES}/B-KEY/commands`, { command: "cancel", reason: "a test" });
  });

  test("with a stale version is 412 and says the current one; the tag that an answer carries is the one that is read", async () => {
    const created = await ok("POST", BATCHES, order("B-TAG"));
    const read = await ok("GET", `${BATCHES}/B-TAG`);
    expect(created.headers.get("etag")).toBe(read.headers.get("etag"));
    const changed = await ok("PATCH", `${BATCHES}/B-TAG`, { quantity: { value: "24.000", unit: "kg" } }, { "if-match": read.headers.get("etag") ?? "" });
    expect(changed.body).toMatchObject({ quantity: { value: "24.000" }, parameters: { salt: { value: "12.000" } } });
    const stale = await plant.ask("PATCH", `${BATCHES}/B-TAG`, { quantity: { value: "23.000", unit: "kg" } }, { "if-match": read.headers.get("etag") ?? "" });
    expect(stale.status).toBe(412);
    expect(stale.headers.get("etag")).toBe((await ok("GET", `${BATCHES}/B-TAG`)).headers.get("etag"));
    expect((await plant.ask("PATCH", `${BATCHES}/B-TAG`, {})).status).toBe(400);
    await ok("POST", `${BATCHES}/B-TAG/commands`, { command: "cancel", reason: "a test" });
  });

  test("that needs a signature is refused, and says so", async () => {
    await ok("POST", BATCHES, order("B-SIG"));
    for (const command of ["skip", "verify", "rework"]) {
      expect(await plant.ask("POST", `${BATCHES}/B-SIG/steps/weigh/commands`, { command, reason: "x" })).toMatchObject({
        status: 409,
        body: { code: "SIG_MISSING" },
      });
    }
    expect((await plant.ask("POST", `${BATCHES}/B-SIG/steps/nothing/commands`, { command: "start" })).status).toBe(404);
    await ok("POST", `${BATCHES}/B-SIG/steps/weigh/commands`, { command: "comment", comment: "looked at it" });
    expect((await plant.ask("POST", `${BATCHES}/B-SIG/steps/weigh/commands`, { command: "comment" })).status).toBe(400);
    await ok("POST", `${BATCHES}/B-SIG/commands`, { command: "cancel", reason: "a test" });
  });
});

describe("a batch under way", () => {
  const context = { batchid: "B-RUN", stepid: "weigh" };
  let evidence: Body;

  beforeAll(async () => {
    await running("B-RUN");
  });

  test("permits what it says it permits", async () => {
    const before = (await ok("GET", `${BATCHES}/B-RUN/permitted`)).body;
    const weigh = before.steps.find(({ step }: { step: string }) => step === "weigh");
    expect(weigh).toMatchObject({
      state: "ready",
      events: expect.arrayContaining(["signalbox.step.start.v1"]),
      commands: expect.arrayContaining(["start", "comment"]),
    });
    expect(weigh?.events).not.toContain("signalbox.step.complete.v1");
    expect((await send(envelope(SCALE, 1, 1, "step.start", {}, context))).status).toBe("accepted");
    const after = (await ok("GET", `${BATCHES}/B-RUN/permitted`)).body.steps.find(({ step }: { step: string }) => step === "weigh");
    expect(after).toMatchObject({ state: "in_progress", events: expect.arrayContaining(["signalbox.step.evidence.v1"]) });
    expect(after?.events).not.toContain("signalbox.step.start.v1");
  });

  test("holds its equipment, and says since when; nobody takes it over without a signature", async () => {
    const { items } = (await ok("GET", `/v1/context-locks?site=${SITE}&batch=B-RUN`)).body;
    expect(items.map(({ equipment, kind }: Body) => `${equipment} ${kind}`)).toEqual(expect.arrayContaining(["mixer-1 allocation", "scale-1 engagement"]));
    const scale = items.find(({ equipment }: Body) => equipment === "scale-1");
    expect(await plant.ask("POST", `/v1/context-locks/${scale?.id}/takeover`, { reason: "x" })).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
    expect((await plant.ask("POST", `/v1/context-locks/${SITE}.scale-1.999999/takeover`, { reason: "x" })).status).toBe(404);
    const windows = (await ok("GET", `/v1/context-windows?site=${SITE}&equipment=scale-1&from=${encodeURIComponent(String(scale?.since))}`)).body.items;
    expect(windows).toContainEqual(scale);
    expect((await ok("GET", `/v1/context-windows?site=${SITE}&equipment=scale-1&to=2020-01-01T00:00:00%2B02:00`)).body.items).toEqual([]);
  });

  test("a dry run tells the verdict that the event then gets, and leaves no trace", async () => {
    const event = envelope(SCALE, 1, 2, "step.evidence", { evidence: "net-weight", value: "12.503", unit: "kg" }, context);
    const head = await plant.ask("GET", `/v1/events?source=${SCALE}&limit=500`);
    const dry = (await ok("POST", "/v1/events/dry-run", { topic: eventTopic(SCALE), event })).body;
    expect(dry).toMatchObject({ status: "accepted", final: true, context: { batch: "B-RUN", step: "weigh", attempt: 1, from: "claim" } });
    expect(dry.position).toBeUndefined();
    expect((await plant.ask("GET", `/v1/events?source=${SCALE}&limit=500`)).body.items).toEqual(head.body.items);
    evidence = await send(event);
    const { verdict: _, position: __, ...said } = evidence;
    expect(said).toEqual(dry);
    const twice = (await ok("POST", "/v1/events/dry-run", { topic: eventTopic(SCALE), payload: Buffer.from(JSON.stringify(event)).toString("base64") })).body;
    expect(twice.status).toBe("duplicate");
    expect((await ok("POST", "/v1/events/dry-run", { topic: eventTopic(SCALE), payload: Buffer.from("{").toString("base64") })).body).toMatchObject({
      status: "rejected",
      code: "ENV_NOT_JSON",
    });
    expect((await plant.ask("POST", "/v1/events/dry-run", { topic: "site/x/y", event })).status).toBe(400);
    expect((await plant.ask("POST", "/v1/events/dry-run", { topic: eventTopic(SCALE) })).status).toBe(400);
    expect((await plant.ask("POST", "/v1/events/dry-run", { topic: "site/nowhere/line/4/eq/scale-1/event", event })).status).toBe(404);
  });

  test("the trace context and the correlation of an event are carried into its verdict and its outcome", async () => {
    const carried = { correlationid: "order-77", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "vendor=a:1,other=b" };
    await plant.equipment(SITE, "panel-9", "4", "panel");
    const source = sourceOf(SITE, "4", "panel-9");
    await party.publish(eventTopic(source), envelope(source, 1, 1, "alarm.raised", { alarm: "hot" }, carried));
    await party.until("its verdict", ({ topic, body }) => topic === verdictTopicOf(source) && body.data.event.sequence === "1");
    for (const kind of ["verdict", "outcome"]) {
      const said = await party.until(`its ${kind}`, ({ topic, body }) => topic.endsWith(`panel-9/${kind}`) && body.causationid === "panel-9-1-1");
      expect(said.body).toMatchObject(carried);
    }
  });

  test("a correction supersedes the outcome of what it corrects", async () => {
    const before = (await ok("GET", `${BATCHES}/B-RUN/outcomes`)).body.items;
    const recorded = before.find(({ type }) => type === "signalbox.evidence.recorded.v1");
    const correct = { command: "correct", evidence: { evidence: "net-weight", value: "12.510", unit: "kg" }, reason: "read again" };
    await ok("POST", `${BATCHES}/B-RUN/steps/weigh/commands`, correct);
    await ok("POST", `${BATCHES}/B-RUN/steps/weigh/commands`, { ...correct, evidence: { ...correct.evidence, value: "12.511" } });
    const [first, second] = (await ok("GET", `${BATCHES}/B-RUN/outcomes?after=${before.length}`)).body.items;
    expect(first).toMatchObject({ type: "signalbox.evidence.corrected.v1", supersedes: recorded?.id });
    expect(second).toMatchObject({ type: "signalbox.evidence.corrected.v1", supersedes: first?.id });
  });

  test("an event's resource holds the bytes as they came, its rounds, its facts and its outcomes", async () => {
    const { body } = await ok("GET", `/v1/events/${evidence.verdict}`);
    expect(body).toMatchObject(evidence);
    expect(JSON.parse(Buffer.from(body.raw, "base64").toString("utf8"))).toMatchObject({ id: evidence.event.id, data: { value: "12.503" } });
    expect(Buffer.from(body.raw, "base64")).toHaveLength(body.rawLength);
    expect(body.envelope).toMatchObject({ id: evidence.event.id, data: { value: "12.503" } });
    expect(body.topic).toBe(eventTopic(SCALE));
    expect(body.rounds).toEqual([evidence]);
    expect(body.facts).toMatchObject([{ position: evidence.position, kind: "evidence.recorded", batch: "B-RUN", step: "weigh" }]);
    const published = await party.until(
      "the outcome",
      ({ topic, body: said }) => topic.endsWith("/batch/B-RUN/outcome") && said.data.position === evidence.position,
    );
    expect(body.outcomes).toEqual([published.body]);
  });

  test("every round of a deferred event answers for all of them", async () => {
    const asked = await send(envelope(MIXER, 1, 1, "step.start", {}, { batchid: "B-RUN", stepid: "blend" }));
    expect(asked).toMatchObject({ status: "deferred", final: false, code: "STP_OUT_OF_ORDER" });
    await send(envelope(SCALE, 1, 3, "step.complete", {}, context));
    const second = await party.until(
      "round 2",
      ({ topic, body }) => topic === verdictTopicOf(MIXER) && body?.data.event.id === asked.event.id && body.data.round === 2,
    );
    expect(second.body.data).toMatchObject({ status: "accepted", final: true, firstRound: asked.verdict });
    const [one, two] = [(await ok("GET", `/v1/events/${asked.verdict}`)).body, (await ok("GET", `/v1/events/${second.body.data.verdict}`)).body];
    expect(one).toMatchObject(asked);
    expect(two).toMatchObject(second.body.data);
    expect(one.rounds).toEqual([asked, second.body.data]);
    expect(two.rounds).toEqual(one.rounds);
    const all = (await ok("GET", `/v1/events?source=${MIXER}&id=${asked.event.id}`)).body.items;
    expect(all.map(({ round }: Body) => round)).toEqual([1, 2]);
    expect((await ok("GET", `/v1/events?source=${MIXER}&id=${asked.event.id}&latest=true`)).body.items).toEqual([all[1]]);
  });

  test("events are found by each of their marks, and by no other", async () => {
    const id = evidence.event.id;
    const since = encodeURIComponent(new Date(Date.now() - 3_600_000).toISOString());
    for (const mark of [
      "status=accepted",
      `site=${SITE}&line=4`,
      "equipment=scale-1",
      "batch=B-RUN",
      "step=weigh&batch=B-RUN",
      `source=${SCALE}`,
      `id=${id}`,
      "epoch=1&sequence=2&equipment=scale-1",
      "type=step.evidence",
      "type=signalbox.step.evidence.v1",
      `from=${since}`,
    ]) {
      const found = await everything(`/v1/events?limit=500&${mark}`);
      expect(
        found.map(({ verdict }) => verdict),
        mark,
      ).toContain(evidence.verdict);
    }
    for (const other of [
      "status=rejected",
      "line=5",
      "equipment=mixer-1",
      "batch=B-OTHER",
      "sequence=3&epoch=1",
      "type=step.start",
      `to=${since}`,
      "correlation=none",
      "code=EVD_MISSING",
    ]) {
      const found = await everything(`/v1/events?limit=500&${other}`);
      expect(
        found.map(({ verdict }) => verdict),
        other,
      ).not.toContain(evidence.verdict);
    }
  });

  test("without a narrow mark the events of 24 hours are shown, and the answer says so", async () => {
    const wide = (await ok("GET", "/v1/events?limit=1")).body;
    expect(Date.now() - Date.parse(wide.window.from)).toBeGreaterThan(86_400_000 - 60_000);
    expect(wide.window.reason).toContain("24 hours");
    const narrow = (await ok("GET", "/v1/events?batch=B-RUN")).body;
    expect(narrow.window).toEqual({ from: null, to: null, reason: "as asked" });
    const other = (await ok("GET", `/v1/events?batch=B-RUN&from=${encodeURIComponent("2026-01-02T01:00:00.123456+02:00")}`)).body;
    expect(other.window.from).toBe("2026-01-01T23:00:00.123456Z");
  });

  test("pages of one are the same as one page, in position order", async () => {
    for (const path of ["/v1/events?", "/v1/events?batch=B-RUN&", `${BATCHES}?`]) {
      const [whole, single] = [await everything(`${path}limit=500`), await everything(`${path}limit=1`)];
      expect(single).toEqual(whole);
      expect(whole.length).toBeGreaterThan(2);
    }
    const positions = (await everything("/v1/events?limit=500")).map(({ position }) => position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  test("the record has everything: the batch, what it is pinned to, every fact, what it held, and how its verdicts ended", async () => {
    const record = (await ok("GET", `${BATCHES}/B-RUN/record`)).body;
    const facts = (await everything("/v1/events?batch=B-RUN&limit=500")).length;
    expect(record.facts.map(({ number }) => number)).toEqual(record.facts.map((_, i) => i + 1));
    expect(record).toMatchObject({
      batch: (await ok("GET", `${BATCHES}/B-RUN`)).body,
      pinned: { recipe: { name: "blend@3" }, step: { name: "step/governed@1" } },
    });
    expect(Object.values(record.verdicts).reduce((sum, n) => sum + n, 0)).toBe(facts);
    expect(record.locks.map(({ equipment, kind }) => `${equipment} ${kind}`)).toEqual(expect.arrayContaining(["mixer-1 allocation", "scale-1 engagement"]));
    expect((await plant.ask("GET", `${BATCHES}/B-NONE/record`)).status).toBe(404);
  });

  test("the timeline has every fact and every verdict once, also page by page", async () => {
    const whole = (await ok("GET", `${BATCHES}/B-RUN/timeline?limit=500`)).body;
    expect(whole.after).toBeNull();
    const facts = whole.items.flatMap(({ facts: told }: Body) => told.map(({ number }: Body) => number));
    expect(facts).toEqual(facts.map((_: unknown, i: number) => i + 1));
    const verdicts = (await everything("/v1/events?batch=B-RUN&limit=500")).map(({ verdict }) => ({ verdict: { verdict } }));
    expect(whole.items.filter(({ verdict }) => verdict !== null && verdict !== undefined)).toMatchObject(verdicts);
    const single: Body[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page: Body = (await ok("GET", `${BATCHES}/B-RUN/timeline?limit=1&after=${after}`)).body;
      single.push(...page.items);
      after = page.after;
    }
    expect(single).toEqual(whole.items);
  });
});

describe("outcomes", () => {
  test("the feed never splits a position, and says the same as the broker and the batch", async () => {
    const feed: Body[] = [];
    for (let after = 0; ; ) {
      const page: Body = (await ok("GET", `/v1/outcomes?site=${SITE}&after=${after}&limit=1`)).body;
      if (page.items.length === 0) break;
      expect(new Set(page.items.map(({ data }: Body) => data.position)).size).toBe(1);
      feed.push(...page.items);
      after = page.after;
    }
    expect(feed).toEqual((await ok("GET", `/v1/outcomes?limit=500`)).body.items);
    const ofBatch = feed.filter(({ source }) => source === `/site/${SITE}/batch/B-RUN`);
    expect((await ok("GET", `${BATCHES}/B-RUN/outcomes`)).body.items).toEqual(ofBatch);
    expect((await ok("GET", `${BATCHES}/B-RUN/outcomes?after=2`)).body.items).toEqual(ofBatch.slice(2));
    expect((await ok("GET", `/v1/outcomes?stream=batch/B-RUN&limit=500`)).body.items).toEqual(ofBatch);
    await party.untilAll("all outcomes", (seen) => seen.filter(({ topic }) => topic.endsWith("/batch/B-RUN/outcome")).length >= ofBatch.length);
    expect(party.seen.filter(({ topic }) => topic.endsWith("/batch/B-RUN/outcome")).map(({ body }) => body)).toEqual(ofBatch);
  });

  test("the stream tells what the feed tells, names a position only when it is complete, goes on live, and resumes where it was left", async () => {
    const feed = (await ok("GET", "/v1/outcomes?limit=500")).body.items;
    const first = await followEvents(`${plant.url}/v1/outcomes/events`);
    const blocks = await first.take(feed.length);
    expect(blocks.map(({ data }) => data)).toEqual(feed);
    for (const [i, { id, data }] of blocks.entries()) {
      const last = feed[i + 1]?.data.position !== data.data.position;
      expect(id, `block ${i}`).toBe(last ? String(data.data.position) : null);
    }
    await ok("POST", `${BATCHES}/B-RUN/steps/weigh/commands`, { command: "comment", comment: "live" });
    const [live] = await first.take(1);
    expect(live?.data.type).toBe("signalbox.step.commented.v1");
    await first.close();

    const middle = blocks.findIndex(({ id }, i) => id !== null && i >= feed.length / 2);
    const second = await followEvents(`${plant.url}/v1/outcomes/events`, { "last-event-id": blocks[middle]?.id ?? "" });
    expect((await second.take(feed.length - middle)).map(({ data }) => data)).toEqual([...feed.slice(middle + 1), live?.data]);
    await second.close();
    expect((await fetch(`${plant.url}/v1/outcomes/events`, { headers: { "last-event-id": "x" } })).status).toBe(400);
  });
});

describe("what a person resolves", () => {
  test("a gap is listed with what is missing, skipped once under its key, and answered again when it is long closed", async () => {
    await plant.equipment(SITE, "gappy", "4", "scale");
    const source = sourceOf(SITE, "4", "gappy");
    await send(envelope(source, 1, 1, "call.raised", { call: "help" }));
    const early = await send(envelope(source, 1, 4, "call.closed", { call: "help" }));
    expect(early).toMatchObject({ status: "deferred", code: "SEQ_GAP" });
    const listed = (await ok("GET", `/v1/gaps?open=true&site=${SITE}`)).body.items.find((item: Body) => item.source === source);
    expect(listed).toMatchObject({ missing: [{ epoch: "1", from: "2", to: "3" }], through: "1", highest: "4", waiting: 1 });
    expect((await ok("GET", `/v1/sources/${SITE}/4/gappy`)).body).toEqual(listed);
    const resolve = (body: object = { action: "skip", sequence: "3", reason: "the memory was lost" }) =>
      plant.ask("POST", `/v1/gaps/${listed?.gap}/resolution`, body, { "idempotency-key": "gap-1" });
    const done = await resolve();
    expect(done).toMatchObject({ status: 200, body: { source: { through: "4", missing: [], gap: null } } });
    const again = await resolve();
    expect([again.status, again.headers.get("idempotent-replayed"), again.body.source]).toEqual([200, "true", done.body.source]);
    expect((await resolve({ action: "wait", reason: "other" })).status).toBe(422);
    expect((await plant.ask("POST", `/v1/gaps/${listed?.gap}/resolution`, { action: "wait", reason: "no key" })).status).toBe(404);
    expect((await plant.ask("POST", `/v1/gaps/${SITE}.999999/resolution`, { action: "wait", reason: "x" })).status).toBe(404);
    expect((await ok("GET", `/v1/gaps?site=${SITE}`)).body.items.map((item: Body) => item.source)).not.toContain(source);
    await ok("POST", `/v1/sources/${SITE}/4/gappy/succession`, { reason: "the device was replaced" });
    expect((await send(envelope(source, 1, 1, "call.raised", { call: "help" }, { id: "new-1" }))).status).toBe("accepted");
    expect((await ok("GET", `/v1/sources/${SITE}/4/gappy`)).body).toMatchObject({ incarnation: 2, through: "1" });
  });

  test("a quarantined event is listed, rejected once by any of its verdicts, and answered again", async () => {
    const id = "conflict-1";
    await plant.equipment(SITE, "twice", "4", "scale");
    const source = sourceOf(SITE, "4", "twice");
    await send(envelope(source, 1, 1, "call.raised", { call: "help" }, { id }));
    await party.publish(eventTopic(source), envelope(source, 1, 2, "call.raised", { call: "other" }, { id }));
    const { body } = await party.until("the conflict", (s) => s.topic === verdictTopicOf(source) && s.body?.data.status === "quarantined");
    const conflict = body.data;
    expect(conflict.code).toBe("DUP_ID_REUSED");
    const listed = (await everything(`/v1/quarantine?site=${SITE}&limit=1`)).filter((item) => item.source === source);
    expect(listed).toMatchObject([{ id: conflict.verdict, code: "DUP_ID_REUSED", eventId: id }]);
    const resolve = (action: string, key: string) =>
      plant.ask("POST", `/v1/quarantine/${conflict.verdict}/resolution`, { action, reason: "looked at" }, { "idempotency-key": key });
    expect(await resolve("reprocess", "q-1")).toMatchObject({ status: 409, body: { code: "DUP_ID_REUSED" } });
    const rejected = await resolve("reject", "q-2");
    expect(rejected).toMatchObject({ status: 200, body: { round: 2, status: "rejected", final: true } });
    const again = await resolve("reject", "q-2");
    expect([again.body, again.headers.get("idempotent-replayed")]).toEqual([rejected.body, "true"]);
    expect((await plant.ask("POST", `/v1/quarantine/${rejected.body.verdict}/resolution`, { action: "reject", reason: "again" })).status).toBe(404);
    expect((await plant.ask("POST", `/v1/quarantine/${SITE}.1.999999/resolution`, { action: "reject", reason: "x" })).status).toBe(404);
    expect((await everything(`/v1/quarantine?site=${SITE}&limit=1`)).filter((item) => item.source === source)).toEqual([]);
  });

  test("an exception is listed until it is disposed of, which needs a signature", async () => {
    await ok("POST", `${BATCHES}/B-RUN/commands`, { command: "abort", reason: "a test" });
    await running("B-EXC");
    const context = { batchid: "B-EXC", stepid: "weigh" };
    const next = BigInt((await ok("GET", `/v1/sources/${SITE}/4/scale-1`)).body.through);
    await send(envelope(SCALE, 1, String(next + 1n), "step.start", {}, context));
    const outside = await send(envelope(SCALE, 1, String(next + 2n), "step.evidence", { evidence: "net-weight", value: "20.000", unit: "kg" }, context));
    expect(outside).toMatchObject({ status: "accepted_with_exception", code: "PAR_OOS" });
    const [exception] = await everything(`/v1/exceptions?site=${SITE}&batch=B-EXC&open=true&limit=1`);
    expect(exception).toMatchObject({ code: "PAR_OOS", batch: "B-EXC", step: "weigh", position: outside.position, resolvedAt: null });
    expect(await everything(`/v1/exceptions?site=${SITE}&batch=B-EXC&open=false&limit=1`)).toEqual([]);
    expect(await plant.ask("POST", `/v1/exceptions/${exception?.id}/resolution`, { disposition: "continue", linked: "DEV-1", reason: "x" })).toMatchObject({
      status: 409,
      body: { code: "SIG_MISSING" },
    });
    expect((await plant.ask("POST", `/v1/exceptions/${SITE}.999999.0/resolution`, { disposition: "continue", linked: "DEV-1", reason: "x" })).status).toBe(404);
  });
});

test("health, metrics and the documents answer", async () => {
  expect((await ok("GET", "/health/live")).body).toEqual({ live: true });
  expect((await ok("GET", "/health/ready")).body.ready).toBe(true);
  expect(await (await fetch(`${plant.url}/metrics`)).text()).toContain("# TYPE");
  expect((await fetch(`${plant.url}/docs`)).status).toBe(200);
});

test("a stop ends the streams that are open", async () => {
  const open = await followEvents(`${plant.url}/v1/outcomes/events`);
  await open.take(1);
  const ended = open.ended();
  await plant.service.stop();
  await ended;
});
