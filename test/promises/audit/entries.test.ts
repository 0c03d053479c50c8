// Promise: at each position of a site there is one audit entry that says everything of it, and each batch's entries are numbered without holes.
// Attack: a day with everything in it, then every row of the record is held against its entry, byte for byte where bytes count; then commits that forget an entry, write a second
// one or number a batch anew.
import { createHash } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { envelope, eventTopic, join, sourceOf, verdictTopicOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import type { Said } from "../../support/shapes.ts";

const SITE = "ledger";
const SCALE = sourceOf(SITE, "4", "scale-1");

interface Entry {
  readonly position: number;
  readonly bytes: Buffer;
  readonly head: { readonly [name: string]: unknown; readonly base: number; readonly batches: Readonly<Record<string, number>> };
  readonly body: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
}

let plant: Plant;
let entries: readonly Entry[];

async function readEntries(): Promise<readonly Entry[]> {
  const client = new pg.Client({ connectionString: plant.database.superUrl });
  await client.connect();
  const { rows } = await client.query<{ position: string; entry: Buffer }>("select position, entry from audit_entries order by position");
  await client.end();
  return rows.map(({ position, entry }) => {
    const [head = "", body = "", more] = entry.toString("utf8").split("\n");
    expect(more).toBeUndefined();
    return { position: Number(position), bytes: entry, head: JSON.parse(head), body: JSON.parse(body) };
  });
}

const rows = (text: string): Promise<Record<string, unknown>[]> => plant.database.query(text);

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  expect((await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND, { reason: "first recipe" })).status).toBe(200);
  const order = {
    batch: "B-1",
    jobOrder: "PO-1",
    line: "4",
    recipe: "blend",
    revision: 3,
    quantity: { value: "25.000", unit: "kg" },
    equipment: { scale: "scale-1", mixer: "mixer-1" },
  };
  expect((await plant.ask("POST", `/v1/sites/${SITE}/batches`, order, { "idempotency-key": "k-1" })).status).toBe(201);
  const command = (name: string): Promise<{ status: number }> =>
    plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command: name, reason: "shift plan" });
  expect((await command("start")).status).toBe(409);
  expect((await command("release-to-floor")).status).toBe(200);
  expect((await command("start")).status).toBe(200);
  const party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(verdictTopicOf(SCALE));
  const claim = { batchid: "B-1", stepid: "weigh" };
  for (const [sequence, type, data] of [
    [1, "step.complete", {}],
    [2, "step.start", {}],
    [3, "step.evidence", { evidence: "net-weight", value: "12.503", unit: "kg" }],
    [4, "step.evidence", { evidence: "net-weight", value: "99", unit: "kg" }],
    [6, "alarm.raised", { alarm: "a-1" }],
  ] as const)
    await party.publish(eventTopic(SCALE), { ...envelope(SCALE, 1, sequence, type, data), ...claim });
  await party.publish(eventTopic(SCALE), "not an event");
  await party.until("what cannot be read", (s) => s.body.data.code?.startsWith("ENV_") === true);
  await party.end();
  entries = await readEntries();
});
afterAll(async () => {
  await plant?.stop();
});

describe("the entries of a site", () => {
  test("stand at every position from the first on", async () => {
    const [head] = await rows(`select position::int as position from sites where site = '${SITE}'`);
    expect(entries.map(({ position }) => position)).toEqual(Array.from({ length: Number(head?.["position"]) }, (_, i) => i + 1));
    expect(entries.length).toBeGreaterThan(12);
  });

  test("say where, when and under whose term", async () => {
    for (const { position, head } of entries) expect(head).toMatchObject({ site: SITE, position, generation: 1 });
    const commits = await rows(
      `select first_position::int as first, last_position::int as last, term::int as term, to_char(committed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as time from commits`,
    );
    for (const { first, last, term, time } of commits)
      for (const { head } of entries.filter(({ position }) => position >= Number(first) && position <= Number(last)))
        expect(head).toMatchObject({ base: Number(first) - 1, term, time, shard: SITE });
  });

  test("name each verdict, fact and outcome, with all that is said of it", async () => {
    for (const table of ["verdicts", "facts", "outcomes"]) {
      const stored = await rows(`select position::int as position, count(*)::int as n from ${table} group by position`);
      expect(stored.length, table).toBeGreaterThan(0);
      for (const { position, n } of stored) expect(entries[Number(position) - 1]?.body[table]?.length, `${table} at ${position}`).toBe(n);
    }
    const verdicts = await rows("select position::int as position, status, code, reason, explanation from verdicts");
    for (const { position, ...verdict } of verdicts) expect(entries[Number(position) - 1]?.body["verdicts"]?.[0]).toMatchObject(verdict);
  });

  test("hold the hash of what was delivered", async () => {
    const stored = await rows("select position::int as position, raw from signals where raw is not null");
    expect(stored.length).toBeGreaterThan(5);
    for (const { position, raw } of stored)
      expect(entries[Number(position) - 1]?.body["signals"]?.[0]).toMatchObject({
        raw_sha256: createHash("sha256").update(Object(raw)).digest("hex"),
        raw_length: Object(raw).length,
      });
  });

  test("hold what was answered to a command, also where it was refused", () => {
    const answers = entries.flatMap(({ body }) => (body["answers"] ?? []).map(({ answer }) => Object(answer)));
    expect(answers.map(({ kind }) => kind)).toEqual(["done", "refused", "done", "done"]);
    expect(answers[1]).toMatchObject({ code: "STA_INVALID_TRANSITION", explanation: { state: expect.any(String) } });
    expect(entries.find(({ body }) => body["answers"]?.[0] !== undefined)?.body["signals"]?.[0]).toMatchObject({
      kind: "command",
      actor: "unattributed",
      body: { from: expect.stringMatching(/ POST \/v1\/sites\/ledger\/batches$/) },
    });
  });

  test("hold what was registered: what it was, what it is, from where and why", () => {
    const acts = entries.flatMap(({ body }) => (body["signals"] ?? []).filter(({ kind }) => kind === "act"));
    expect(acts.map(({ type }) => type)).toEqual(["equipment.registered", "equipment.registered", "recipe.registered"]);
    expect(acts[0]).toMatchObject({ body: { object: "equipment scale-1", old: null, new: { equipment: "scale-1", line: "4", class: "scale" } } });
    expect(acts[2]).toMatchObject({
      body: { object: "recipe blend@3", reason: "first recipe", from: expect.stringContaining("PUT /v1/registry/recipes/blend/revisions/3") },
    });
  });

  test("number what changes a batch's record, refusals and failed commands with it, without holes", async () => {
    const numbers = entries.flatMap(({ head }) => head.batches["B-1"] ?? []);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    const decided = await rows(
      "select distinct position::int as position from (select position from verdicts where batch = 'B-1' union select position from facts where batch = 'B-1') d order by 1",
    );
    const numbered = entries.filter(({ head }) => head.batches["B-1"] !== undefined).map(({ position }) => position);
    expect(numbered).toEqual(expect.arrayContaining(decided.map(({ position }) => position)));
    expect(numbered.length).toBe(decided.length + 1);
    expect(await rows("select number::int as number, position::int as position from audit_numbers where batch = 'B-1' order by number")).toEqual(
      numbered.map((position, i) => ({ number: i + 1, position })),
    );
  });
});

describe("the audit trail is searched", () => {
  const found = async (query: string): Promise<readonly Said[]> => {
    const { status, body } = await plant.ask("GET", `/v1/audit/entries?site=${SITE}&${query}`);
    expect(status, query).toBe(200);
    // what falls due meanwhile is not of this day
    return body.items.filter(({ position }) => position <= entries.length);
  };
  const positions = async (query: string): Promise<readonly number[]> => (await found(query)).map(({ position }) => position);

  test("as a whole, in order of positions, page by page", async () => {
    expect(await positions("limit=500")).toEqual(entries.map(({ position }) => position));
    const pages: number[] = [];
    let cursor = "";
    do {
      const { body } = await plant.ask("GET", `/v1/audit/entries?site=${SITE}&limit=3&order=who&direction=desc${cursor}`);
      pages.push(...body.items.map((item: Said) => item.position));
      cursor = body.cursor === null ? "" : `&cursor=${body.cursor}`;
    } while (cursor !== "");
    expect(pages.filter((position) => position <= entries.length).sort((a, b) => a - b)).toEqual(entries.map(({ position }) => position));
  });
  test("by who", async () => {
    expect((await found("who=UNATTRIBUTED")).every(({ who }) => who.kind === "person" && who.name === "unattributed")).toBe(true);
    expect((await found("who=scale-1")).map(({ who }) => who.name)).toEqual(expect.arrayContaining([SCALE]));
    expect(await found("who=nobody")).toEqual([]);
  });
  test("by what", async () => {
    expect((await found("what=batch.start")).map(({ what, result, code }) => ({ what, result, code }))).toEqual([
      { what: "batch.start", result: "refused", code: "STA_INVALID_TRANSITION" },
      { what: "batch.start", result: "done", code: null },
    ]);
    const [registered] = await found("what=recipe.registered");
    expect(registered).toMatchObject({ why: "first recipe", object: "recipe blend@3", changes: [{ old: null, new: { hash: expect.any(String) } }] });
  });
  test("by why, in words or by code", async () => {
    expect((await found("why=shift")).length).toBe(3);
    const code = entries.flatMap(({ body }) => body["verdicts"] ?? []).find((verdict) => verdict["status"] === "deferred")?.["code"];
    const given = await found(`why=${code}`);
    expect(given.length).toBeGreaterThan(0);
    expect(given.every((item) => item.code === code)).toBe(true);
  });
  test("by when: each time parts the trail in two that make the whole", async () => {
    for (const { head } of entries) {
      const time = encodeURIComponent(String(head["time"]));
      const [before, since] = await Promise.all([positions(`to=${time}`), positions(`from=${time}`)]);
      expect([...before, ...since]).toEqual(entries.map(({ position }) => position));
      expect(since).toContain(head["position"]);
    }
  });
  test("by batch", async () => {
    expect(await positions("batch=B-1")).toEqual(entries.filter(({ head }) => head.batches["B-1"] !== undefined).map(({ position }) => position));
  });
  test("and gives of each entry the very bytes, and their hash", async () => {
    for (const { position, bytes } of entries) {
      const { body } = await plant.ask("GET", `/v1/audit/sites/${SITE}/entries/${position}`);
      expect(Buffer.from(body.entry, "base64").equals(bytes)).toBe(true);
      expect(body.leafHash).toBe(createHash("sha256").update("\0").update(bytes).digest("base64"));
    }
    expect((await plant.ask("GET", `/v1/audit/sites/${SITE}/entries/999999`)).status).toBe(404);
  });
});

describe("the database refuses", () => {
  const refusal = async (text: string): Promise<unknown> => {
    const client = new pg.Client({ connectionString: plant.database.runtimeUrl });
    await client.connect();
    try {
      return await client.query(text).then(
        () => "done",
        (error) => error.code,
      );
    } finally {
      await client.end();
    }
  };
  test("a position without an entry", async () => {
    expect(await refusal(`update sites set position = position + 1 where site = '${SITE}'`)).toBe("23514");
  });
  test("a second entry at a position, and a second number", async () => {
    expect(await refusal(`insert into audit_entries (site, position, entry) values ('${SITE}', 1, 'x')`)).toBe("23505");
    expect(await refusal(`insert into audit_numbers (site, batch, number, position) values ('${SITE}', 'B-1', 1, 1)`)).toBe("23505");
  });
  test.each(["audit_logs", "audit_entries", "audit_numbers", "audit_checkpoints", "audit_tiles"])("a change of %s", async (table) => {
    expect(await refusal(`delete from ${table}`)).toBe("42501");
    expect(await refusal(`truncate ${table}`)).toBe("42501");
  });
});
