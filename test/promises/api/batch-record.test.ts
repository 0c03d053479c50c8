// Promise: the record of a batch tells step by step what it was made with, what was measured against which limits, who or what did it and when, what was refused and why, and what became of it;
// as JSON, and as a page that is read and printed without anything else. No text in it is more than text.
// Attack: a batch with evidence outside its limits that is corrected, a refused and a quarantined event, refused commands and comments, each with text that is markup, a formula, or turned round.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accepted } from "../../../src/api/accept.ts";
import { deviationOf } from "../../../src/api/batch-record.ts";
import { BLEND } from "../../support/blend.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { validatedFetch } from "../../support/validate.ts";

const SITE = "record1";
const [SCALE, MIXER] = [sourceOf(SITE, "4", "scale-1"), sourceOf(SITE, "4", "mixer-1")];
const RECORD = `/v1/sites/${SITE}/batches/B-1/record`;
const SCRIPT = '<script>alert("1")</script>';
const TURNED = "released \u202edetcejer";
let plant: Plant;
let party: Party;
let fetcher: Awaited<ReturnType<typeof validatedFetch>>;
const sequences = new Map<string, number>();

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  fetcher = await validatedFetch(plant.url);
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(`site/${SITE}/line/4/eq/+/verdict`);
  const [weigh, blend] = BLEND.steps;
  const recipe = { ...BLEND, product: "=P-100", steps: [{ ...weigh, title: SCRIPT, patience: "PT0.2S" }, blend] };
  await ok("PUT", "/v1/registry/recipes/blend/revisions/3", recipe);
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  await ok("POST", `/v1/sites/${SITE}/batches`, {
    batch: "B-1",
    jobOrder: `PO-1 ${TURNED}`,
    line: "4",
    recipe: "blend",
    revision: 3,
    quantity: { value: "25.000", unit: "kg" },
    equipment: { scale: "scale-1", mixer: "mixer-1" },
  });
  expect((await order("batch", { command: "resume", reason: SCRIPT })).status).toBe(409);
  await order("batch", { command: "release-to-floor", reason: "=shift plan" });
  await order("batch", { command: "start", reason: TURNED });
  const claim = { batchid: "B-1", stepid: "weigh" };
  await say(SCALE, "step.start", {}, claim);
  await say(SCALE, "step.complete", {}, claim);
  await say(SCALE, "step.evidence", { evidence: "net-weight", value: "12.600", unit: "kg" }, claim);
  await say(MIXER, "step.evidence", { evidence: "net-weight", value: "12.500", unit: "kg" }, claim);
  expect((await order("step", { command: "correct", evidence: { evidence: "net-weight", value: "12.510", unit: "kg" }, reason: SCRIPT })).status).toBe(200);
  expect((await order("step", { command: "comment", comment: `${SCRIPT}\n=looked at` })).status).toBe(200);
  // refused for what it says: a value that is none, one more than there is room for, another content under a used id, a command about nothing
  await say(SCALE, "step.evidence", { evidence: "net-weight", value: "twelve", unit: "kg" }, claim);
  await say(SCALE, "step.evidence", { evidence: "net-weight", value: "12.777", unit: "kg" }, claim);
  const reused = { ...envelope(SCALE, 1, (sequences.get(SCALE) ?? 0) + 1, "step.evidence", { evidence: "net-weight", value: "12.888", unit: "kg" }, claim) };
  sequences.set(SCALE, (sequences.get(SCALE) ?? 0) + 1);
  await party.publish(eventTopic(SCALE), { ...reused, id: "scale-1-1-1" });
  await party.until("the conflict", ({ body }) => body.data?.code === "DUP_ID_REUSED");
  const mill = await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/steps/mill/commands`, { command: "comment", comment: "to nothing" });
  expect(mill.status).toBe(404);
  const { items } = (await ok("GET", `/v1/quarantine?site=${SITE}`)).body;
  await ok("POST", `/v1/quarantine/${items[0]?.id}/resolution`, { action: "reject", reason: `not ours ${SCRIPT}` });
  await say(SCALE, "step.complete", {}, claim);
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

async function ok(method: string, path: string, body?: unknown) {
  const answer = await plant.ask(method, path, body);
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  return answer;
}
const order = (what: "batch" | "step", body: object) =>
  plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/${what === "batch" ? "" : "steps/weigh/"}commands`, body);

/** Says something, and waits until it is decided for good or a person must decide. */
async function say(source: string, type: string, data: Readonly<Record<string, unknown>>, claim: Readonly<Record<string, string>>): Promise<void> {
  const sequence = (sequences.get(source) ?? 0) + 1;
  sequences.set(source, sequence);
  const event = envelope(source, 1, sequence, type, data, claim);
  await party.publish(eventTopic(source), event);
  await party.until(`the verdict on ${event["id"]}`, ({ body }) => body.causationid === event["id"] && body.data.status !== "deferred");
}

const record = async () => Object((await ok("GET", RECORD)).body);
async function page(accept: string): Promise<{ readonly type: string; readonly html: string; readonly headers: Headers }> {
  const response = await fetcher(RECORD, { headers: { accept } });
  expect(response.status).toBe(200);
  return { type: response.headers.get("content-type") ?? "", html: await response.text(), headers: response.headers };
}

describe("a step of the record", () => {
  test("says what it worked with and when, and what moved it, by whom", async () => {
    const { steps, batch, asOf } = await record();
    expect(steps.map(({ step, attempt }: { step: string; attempt: number }) => [step, attempt])).toEqual([
      ["weigh", 1],
      ["blend", 1],
    ]);
    const [weigh, blend] = steps;
    expect(weigh).toMatchObject({ title: SCRIPT, state: "complete", startedAt: expect.any(String), endedAt: expect.any(String) });
    expect(weigh.equipment).toEqual([{ role: "scale", class: "scale", equipment: "scale-1", from: expect.any(String), to: expect.any(String) }]);
    expect(blend.equipment).toEqual([{ role: "mixer", class: "mixer", equipment: "mixer-1", from: null, to: null }]);
    expect(weigh.moves.map(({ to, by }: { to: string; by: { name: string; event: string } }) => [to, by.name, by.event])).toEqual([
      ["in_progress", SCALE, "scale-1-1-1"],
      ["complete", SCALE, `scale-1-1-${sequences.get(SCALE)}`],
    ]);
    expect(batch.product).toBe("=P-100");
    const [numbers] = await plant.database.query("select count(*)::int as n from audit_numbers where batch = 'B-1'");
    expect(asOf.entries).toBe(numbers?.["n"]);
  });

  test("holds each value against the limits that were in force, with how far it lies outside, and what took its place", async () => {
    const [weigh] = (await record()).steps;
    expect(weigh.needs).toEqual([
      { evidence: "net-weight", kind: "measurement", count: 1, recorded: 1, optional: false, unit: "kg", low: "12.438", high: "12.563" },
    ]);
    const [outside, corrected] = weigh.evidence;
    expect(outside).toMatchObject({
      value: "12.600",
      unit: "kg",
      low: "12.438",
      high: "12.563",
      within: false,
      deviation: "0.037",
      supersededBy: corrected.position,
      by: { kind: "device", name: SCALE },
      comment: null,
    });
    expect(corrected).toMatchObject({
      value: "12.510",
      within: true,
      deviation: null,
      supersededBy: null,
      by: { kind: "person", what: "correct" },
      comment: SCRIPT,
    });
    expect(weigh.comments).toMatchObject([{ by: { kind: "person", name: "unattributed" }, comment: `${SCRIPT}\n=looked at` }]);
  });

  test("has what was refused, in a sentence with what was found and what to do, and what became of it", async () => {
    const { steps, refusals } = await record();
    const [weigh] = steps;
    // a person's rejection had been told twice, and each time without the person
    expect(weigh.refusals).toMatchObject([
      {
        status: "rejected",
        code: "EVD_MISSING",
        sentence: expect.stringMatching(/Step weigh needs one net-weight and has none\..*Send/),
        by: { event: "scale-1-1-2" },
      },
      {
        status: "quarantined",
        code: "LCK_NOT_HELD",
        by: { name: MIXER },
        became: {
          status: "rejected",
          code: "LCK_NOT_HELD",
          by: { kind: "person", name: "unattributed", what: "quarantine.resolve" },
          comment: `not ours ${SCRIPT}`,
        },
      },
      // what was refused had stood in none of these
      { status: "rejected", code: "SCH_INVALID", sentence: expect.stringContaining('The event said evidence "net-weight", value "twelve", unit "kg".') },
      { status: "quarantined", code: "EVD_ALREADY_SATISFIED", sentence: expect.stringContaining('value "12.777", unit "kg".'), became: null },
      { status: "quarantined", code: "DUP_ID_REUSED", sentence: expect.stringContaining('value "12.888", unit "kg".'), became: null },
    ]);
    expect(refusals.map(({ status }: { status: string }) => status)).toEqual([
      "refused",
      "rejected",
      "quarantined",
      "rejected",
      "quarantined",
      "quarantined",
      "refused",
    ]);
    expect(refusals.at(-1)).toMatchObject({
      by: { kind: "person", what: "step.comment" },
      step: "mill",
      sentence: "There is no step mill of batch B-1. Ask again about one that there is.",
    });
    expect(refusals[0]).toMatchObject({ by: { kind: "person", what: "batch.resume" }, step: null, code: "STA_INVALID_TRANSITION" });
  });

  // the command names the event alone, and so it was in nobody's trail
  test("and the trail of the batch has the person's decision among its exceptions", async () => {
    const { exceptions } = Object((await ok("GET", RECORD.replace(/record$/, "audit-trail"))).body);
    const decided = exceptions.filter(({ rule }: { rule: string }) => rule === "decided-by-a-person");
    expect(decided).toMatchObject([{ sentence: `quarantine.resolve (reject) by unattributed, because: not ours ${SCRIPT}`, item: { batches: {} } }]);
  });

  test("has its exceptions with who resolved them, when and why", async () => {
    const { steps, exceptions } = await record();
    const resolved = exceptions.filter(({ resolution }: { resolution: unknown }) => resolution !== null);
    expect(resolved).toMatchObject([
      { code: "LCK_NOT_HELD", step: "weigh", resolution: { by: { kind: "person", what: "quarantine.resolve" }, comment: `not ours ${SCRIPT}` } },
    ]);
    expect(steps[0].exceptions.map(({ id }: { id: string }) => id)).toEqual(exceptions.map(({ id }: { id: string }) => id));
  });

  test("and the batch itself has what was ordered, with reasons, also in vain", async () => {
    const { commands, moves } = await record();
    expect(commands.map(({ by, result, reason }: { by: { what: string }; result: string; reason: string }) => [by.what, result, reason])).toEqual([
      ["batch.create", "done", null],
      ["batch.resume", "refused", SCRIPT],
      ["batch.release-to-floor", "done", "=shift plan"],
      ["batch.start", "done", TURNED],
      ["step.correct", "done", SCRIPT],
      ["step.comment", "done", null],
      ["step.comment", "unknown", null],
      ["quarantine.resolve", "done", `not ours ${SCRIPT}`],
    ]);
    expect(moves.map(({ to, comment }: { to: string; comment: string }) => [to, comment])).toEqual([
      ["planned", null],
      ["ready", "=shift plan"],
      ["running", TURNED],
    ]);
  });
});

describe("the page", () => {
  test("comes to whoever asks for text/html, as a browser does; JSON to everybody else", async () => {
    for (const accept of ["text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json;q=0.5, text/html"])
      expect((await page(accept)).type).toBe("text/html; charset=utf-8");
    for (const accept of ["*/*", "application/json", "application/*, text/*;q=0.1", "text/html;q=0.5, application/json", "image/png", "nonsense;q=x"])
      expect((await page(accept)).type).toMatch(/^application\/json/);
    expect((await page("text/html")).headers.get("vary")).toBe("accept");
    expect(accepted(undefined, ["application/json", "text/html"])).toBe("application/json");
    expect(accepted("text/html;q=0, */*", ["text/html", "application/json"])).toBe("application/json");
    const none = await plant.ask("GET", RECORD.replace("B-1", "B-9"), undefined, { accept: "text/html" });
    expect([none.status, none.body.code]).toEqual([404, "NOT_FOUND"]);
  });

  test("tells all of it, and needs nothing from elsewhere", async () => {
    const { html, headers } = await page("text/html");
    for (const said of [
      "batch B-1, site record1",
      "scale-1",
      "12.600",
      "12.438",
      "12.563",
      "OUTSIDE; corrected at",
      "0.037",
      "EVD_MISSING",
      "LCK_NOT_HELD",
      "unattributed",
    ])
      expect(html).toContain(said);
    expect(html).toContain("thead { display: table-header-group }");
    expect(html).toContain("counter(page)");
    expect(html).not.toMatch(/\b(src|href|on\w+)\s*=|url\(|@import/);
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  });

  // each comment stood among what people ordered, too
  test("tells a comment once, and one that came to nothing where it was refused", async () => {
    const { html } = await page("text/html");
    expect(html.match(/=looked at/g)).toHaveLength(1);
    expect(html.match(/to nothing/g)).toHaveLength(1);
  });

  test("has no text that is more than text", async () => {
    const { html } = await page("text/html");
    expect(html).not.toMatch(/<(?!\/?(html|head|meta|title|style|body|section|h[123]|table|thead|tbody|tr|th|td|p|br)\b|!doctype)/);
    expect(html).not.toMatch(/\p{Bidi_Control}/u);
    expect(html).toContain("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;<br>=looked at");
    expect(html).toContain("released [U+202E]detcejer");
  });
});

describe("a deviation", () => {
  test.each([
    [{ value: "12.600", low: "12.438", high: "12.563", within: false }, "0.037"],
    [{ value: "12.4", low: "12.438", high: "12.563", within: false }, "-0.038"],
    [{ value: "-5", low: null, high: "-7.5", within: false }, "2.5"],
    [{ value: "1e3", low: null, high: "1", within: false }, null],
    [{ value: "12.5", low: "12.438", high: "12.563", within: true }, null],
    [{ value: "12.5", low: null, high: null, within: null }, null],
    [{ value: "0.1234567890123456789012345678901234", low: "0.2", high: null, within: false }, "-0.0765432109876543210987654321098766"],
  ])("is exact: %j", (item, deviation) => {
    expect(deviationOf(item)).toBe(deviation);
  });
});
