// Promise: nothing that is known to go wrong with input goes wrong here: it is refused with its place, or it is nothing but the text that it is. One test a
// hazard. Over MQTT the same are in test/support/hostile.ts (test/promises/hostile.test.ts); formulas in CSV are in test/promises/audit/exports.test.ts, what the
// log makes of line ends in test/rooms/ops/log.test.ts, regular expressions in test/rooms/regular-expressions.test.ts.
// Attack: each of them over a real connection, written by hand where a client would not send it, against a real database; the record is counted before and after.
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { INSIDE } from "../../support/inside.ts";
import { join, type Party } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "hazard";
const BATCHES = `/v1/sites/${SITE}/batches`;
let plant: Plant;
let everything: Party;

const order = (more: Readonly<Record<string, unknown>> = {}) => ({
  batch: "B-1",
  jobOrder: "PO-1",
  line: "4",
  recipe: "blend",
  revision: 3,
  quantity: { value: "25.000", unit: "kg" },
  equipment: { scale: "scale-1", mixer: "mixer-1" },
  ...more,
});

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  everything = await join(plant.mqttUrl, { protocol: 4 });
  await everything.subscribe("#");
  expect((await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND)).status).toBe(200);
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  expect((await plant.ask("POST", BATCHES, order())).status).toBe(201);
  expect((await plant.ask("POST", `${BATCHES}/B-1/commands`, { command: "release-to-floor", reason: "a plain reason" })).status).toBe(200);
});
afterAll(async () => {
  await everything?.end();
  await plant?.stop();
});

/** How much there is of everything that a request can bring about. */
async function amounts(): Promise<string> {
  const tables = ["facts", "batches", "steps", "recipes", "state_machines", "equipment", "sources", "outcomes", "sites"];
  // an entry may also tell of time that passed, which no request brings about
  const acts = "(select count(*) from audit_entries where convert_from(entry, 'utf8') like '%127.0.0.1 %')::int as audit_entries";
  return JSON.stringify(
    await plant.database.query(`select ${[...tables.map((table) => `(select count(*) from ${table})::int as ${table}`), acts].join(", ")}`),
  );
}
let before = "";
let unchanged = true;
beforeEach(async () => {
  unchanged = true;
  before = await amounts();
});
afterEach(async () => {
  if (unchanged) expect(await amounts()).toBe(before);
});

/** Written to the wire as it stands. */
function raw(head: readonly string[], body: string | Uint8Array = ""): Promise<{ readonly status: number; readonly headers: string; readonly text: string }> {
  const { hostname, port } = new URL(plant.url);
  const bytes = Buffer.from(body);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" || error.code === "EPIPE" ? undefined : reject(error)));
    socket.on("close", () => {
      const [headers = "", ...rest] = Buffer.concat(chunks).toString("utf8").split("\r\n\r\n");
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(headers)?.[1] ?? 0), headers, text: rest.join("\r\n\r\n") });
    });
    // the service closes: who has hung up already gets no answer
    socket.write(Buffer.concat([Buffer.from(`${[...head, `content-length: ${bytes.length}`, "connection: close"].join("\r\n")}\r\n\r\n`, "latin1"), bytes]));
  });
}
const post = (body: string | Uint8Array, type = "content-type: application/json", ...more: readonly string[]) =>
  raw([`POST ${BATCHES} HTTP/1.1`, "host: x", type, ...more], body);

async function refused(body: string | Uint8Array, pointer: string): Promise<void> {
  const { status, text } = await post(body);
  expect([status, text], String(body).slice(0, 200)).toEqual([400, expect.any(String)]);
  const problem = JSON.parse(text);
  expect(problem.code).toBe("REQUEST_INVALID");
  const pointers: readonly string[] = problem.errors.map((error: { pointer: string }) => error.pointer);
  // "/…": somewhere below
  expect(
    pointers.some((at) => at === pointer || (pointer.endsWith("/…") && at.startsWith(pointer.slice(0, -1)))),
    `${pointer} in ${pointers}`,
  ).toBe(true);
  expect(text).not.toMatch(INSIDE);
}
const json = (more: Readonly<Record<string, unknown>>): string => JSON.stringify(order({ batch: "B-X", jobOrder: "PO-X", ...more }));

describe("text that is none", () => {
  test("NUL, written or escaped, is refused before it reaches the database", async () => {
    await refused(json({ jobOrder: "PO\u0000X" }), "/jobOrder");
    await refused(json({}).replace("PO-X", "PO\u0000X"), "");
    for (const path of ["/v1/events?source=a%00b", "/v1/audit/entries?site=hazard&who=%00", `${BATCHES}/B%00`])
      expect([path, (await plant.ask("GET", path)).status]).toEqual([path, 400]);
  });

  test("half of a surrogate pair is refused, and not stored as something else", async () => {
    for (const half of ["\\ud800", "\\udc00x", "\\udc00\\ud800"]) await refused(json({}).replace("PO-X", half), "/jobOrder");
    await refused(json({}).replace('"jobOrder"', '"\\ud83d":1,"jobOrder"'), "/\ufffd");
  });

  test("bytes that are no UTF-8 are refused, and not replaced", async () => {
    const [head = "", tail = ""] = json({}).split("PO-X");
    for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xf0, 0x9f, 0x98], [0xf5, 0x80, 0x80, 0x80]])
      await refused(Buffer.concat([Buffer.from(head), Buffer.from(bytes), Buffer.from(tail)]), "");
    await refused(`\ufeff${json({})}`, "");
    await refused(Buffer.from(json({}), "utf16le"), "");
  });
});

describe("JSON that two readers read in two ways", () => {
  test("a key that stands twice is refused, at whatever depth, and however it is written", async () => {
    await refused(json({}).replace("{", '{"batch":"B-1",'), "/batch");
    await refused(json({}).replace('"value"', '"value":"1","value"'), "/quantity/value");
    await refused(json({}).replace('"line"', '"l\\u0069ne":"5","line"'), "/line");
  });

  test("a number that a double does not hold is refused by its place, and not rounded", async () => {
    const { content } = (await plant.ask("GET", "/v1/registry/state-machines/step.governed/revisions/1")).body;
    // what a guard is given is free content, so nothing else would refuse the number
    const guard = { type: "all@1", params: { guards: [], n: 0 } };
    const machine = JSON.stringify({ ...content, revision: 2, machine: { id: "x", initial: "a", states: { a: { on: { go: { target: "a", guard } } } } } });
    for (const number of ["9007199254740993", "1e400", "-1e999", "123456789012345678901234567890"]) {
      await refused(json({}).replace('"revision":3', `"revision":${number}`), "/revision");
      const { status, text } = await raw(
        ["PUT /v1/registry/state-machines/step.governed/revisions/2 HTTP/1.1", "host: x", "content-type: application/json"],
        machine.replace('"n":0', `"n":${number}`),
      );
      expect([status, JSON.parse(text).errors?.[0]?.pointer]).toEqual([400, "/machine/states/a/on/go/guard/params/n"]);
    }
    for (const number of ["-0", "3.5", "0x3", "03", "+3", ".3", "NaN", "Infinity"])
      expect([number, (await post(json({}).replace('"revision":3', `"revision":${number}`))).status]).toEqual([number, 400]);
  });

  test("more levels than anybody needs are refused, and nothing overflows", async () => {
    for (const levels of [33, 1_000, 200_000])
      await refused(json({ equipment: 0 }).replace('"equipment":0', `"equipment":${"[".repeat(levels)}${"]".repeat(levels)}`), "/equipment/…");
    for (const text of ["[".repeat(400_000), '{"a":'.repeat(100_000)]) expect((await post(text)).status).toBe(400);
  });
});

describe("names that JavaScript gives a meaning of their own", () => {
  test("__proto__ is refused as a key at whatever depth; constructor and its like are names as any", async () => {
    await refused(json({}).replace("{", '{"__proto__":{"line":"9"},'), "/__proto__");
    await refused(json({}).replace('"scale":', '"__proto__":{"x":1},"scale":'), "/equipment/__proto__");
    await refused(json({}).replace("{", '{"constructor":{"prototype":{"x":1}},'), "/constructor");
    for (const name of ["constructor", "toString", "hasOwnProperty", "valueOf", "prototype"]) {
      for (const path of [
        `/v1/schemas/${name}`,
        `/v1/registry/event-types/${name}`,
        `/v1/registry/recipes/${name}`,
        `/v1/registry/recipes/${name}/revisions/1`,
        `${BATCHES}/${name}`,
        `/v1/sites/${name}/batches`,
        `/v1/sites/${SITE}/registry/equipment/${name}`,
        `/v1/sources/${SITE}/4/${name}`,
      ])
        expect([path, (await plant.ask("GET", path)).status]).toEqual([path, 404]);
      // as the name of a role that the recipe does not have
      const answer = await plant.ask(
        "POST",
        BATCHES,
        order({ batch: "B-X", jobOrder: "PO-X", equipment: { scale: "scale-1", mixer: "mixer-1", [name]: "scale-1" } }),
      );
      expect([name, answer.status]).toEqual([name, 409]);
      unchanged = false;
    }
    expect(Object.keys({}.constructor.prototype)).toEqual([]);
  });
});

describe("an id", () => {
  const confusable = ["B\u20101", "\u0412-1", "B-\uff11", "B-1\u200b", "\u202eB-1", "B-1\u0301", "B-\u2460", "\u0392-1", "B-1\u00ad", "b\u0131"];
  test("that only looks like another one, or turns round what is read, is refused wherever an id stands", async () => {
    for (const id of confusable) {
      for (const [body, pointer] of [
        [{ batch: id }, "/batch"],
        [{ line: id }, "/line"],
        [{ recipe: id }, "/recipe"],
        [{ equipment: { [id]: "scale-1" } }, `/equipment/${id}`],
        [{ equipment: { scale: id } }, "/equipment/scale"],
      ] as const)
        await refused(json(body), pointer);
      const at = encodeURIComponent(id);
      for (const path of [`${BATCHES}/${at}`, `/v1/sites/${at}/batches`, `/v1/registry/recipes/${at}`, `/v1/context-locks?batch=${at}`])
        expect([path, (await plant.ask("GET", path)).status]).toEqual([path, 400]);
      const put = await plant.ask("PUT", `/v1/sites/${SITE}/registry/equipment/${at}`, { equipment: id, line: "4", class: "scale" });
      expect([id, put.status]).toEqual([id, 400]);
    }
  });

  test("that means something in a topic reaches no topic", async () => {
    for (const id of ["a/b", "+", "#", "$SYS", "a/#", "../x", "a\\b", "", ".", "a b", "%2b", "x".repeat(65)]) {
      for (const [body, pointer] of [
        [{ batch: id }, "/batch"],
        [{ line: id }, "/line"],
      ] as const)
        await refused(json(body), pointer);
      const put = await plant.ask("PUT", `/v1/sites/${SITE}/registry/equipment/x`, { equipment: id, line: id, class: "scale" });
      expect([id, put.status]).toEqual([id, 400]);
    }
    const own = new RegExp(`^site/${SITE}/(?:line/4/(?:eq/(?:scale-1|mixer-1)|batch/B-[1X])/[a-z]+|outcome|audit/checkpoint)$`);
    expect(everything.seen.filter(({ topic }) => !own.test(topic)).map(({ topic }) => topic)).toEqual([]);
    expect(everything.seen.length).toBeGreaterThan(0);
  });
});

test("a day that no calendar has, and a time that leaves its zone open, are refused and not moved to another day", async () => {
  for (const time of [
    "2026-02-30T00:00:00Z",
    "2027-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
    "2026-12-31T23:59:60Z",
    "2026-01-01T00:00:00",
    "2026-01-01",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00+99:00",
    "0000-01-01T00:00:00Z",
    "1767225600",
    "yesterday",
    "infinity",
  ]) {
    const at = encodeURIComponent(time);
    for (const path of [
      `/v1/events?from=${at}`,
      `/v1/events?to=${at}`,
      `/v1/audit/entries?site=${SITE}&from=${at}`,
      `/v1/context-windows?equipment=scale-1&to=${at}`,
    ])
      expect([path, (await plant.ask("GET", path)).status]).toEqual([path, 400]);
    const exported = await plant.ask("POST", "/v1/audit/exports", { site: SITE, format: "csv", reason: "x", search: { from: time } });
    expect([time, exported.status]).toEqual([time, 400]);
  }
});

test("SQL in a filter is the text that it is: it finds nothing, changes nothing, and no wildcard widens it", async () => {
  // whoever searches the audit log is on record
  unchanged = false;
  const found = async (path: string): Promise<number> => {
    const { status, body } = await plant.ask("GET", path);
    expect([200, 400, 404], path).toContain(status);
    expect(JSON.stringify(status === 200 ? [] : body)).not.toMatch(/syntax error|SQLSTATE|unterminated/);
    return status === 200 ? body.items.length : 0;
  };
  expect(await found(`/v1/audit/entries?site=${SITE}&why=plain`)).toBe(1);
  expect(await found(`/v1/audit/entries?site=${SITE}&who=unattributed`)).toBeGreaterThan(0);
  for (const text of [
    "' or 1=1 --",
    "'; drop table batches; --",
    '" or ""="',
    "\\'; select pg_sleep(60) --",
    "$1",
    "$$; select 1 $$",
    "') or ('1'='1",
    "x' union select null --",
    "%",
    "_",
    "%plain%",
    "a_plain_reason",
    "\\",
    "{}",
    "null",
  ]) {
    const at = encodeURIComponent(text);
    for (const path of [
      `/v1/audit/entries?site=${SITE}&why=${at}`,
      `/v1/audit/entries?site=${SITE}&who=${at}`,
      `/v1/audit/entries?site=${SITE}&what=${at}`,
      `/v1/events?source=${at}`,
      `/v1/events?id=${at}`,
      `/v1/events?type=${at}`,
      `/v1/events?code=${at}`,
      `/v1/events?correlation=${at}`,
      `/v1/outcomes?site=${SITE}&stream=${at}`,
      `${BATCHES}?execution=${at}`,
      `/v1/quarantine?batch=${at}`,
      `/v1/registry/recipes?cursor=${at}`,
    ])
      expect([path, await found(path)]).toEqual([path, 0]);
  }
  const withoutAccesses = (told: string): string => told.replace(/"audit_entries":\d+/, "");
  expect(withoutAccesses(await amounts())).toBe(withoutAccesses(before));
});

describe("a request that is dressed up", () => {
  test("as another type of content is 415, whatever stands around the type", async () => {
    for (const type of [
      "content-type: text/plain",
      "content-type: application/json2",
      "content-type: application/jsonx; application/json",
      "content-type: text/plain; application/json",
      "content-type: text/plain, application/json",
      "content-type: application/json, text/plain",
      "content-type: application/json\t, text/plain",
      "content-type: application/cloudevents+json",
      "content-type: application/x-www-form-urlencoded",
      "content-type: multipart/form-data; boundary=x",
      "content-type:",
      "content-type: ;",
      "content-type: */*",
      "x: y",
    ]) {
      const { status, text } = await post('{"anything":"at all"}', type);
      expect([type, status, JSON.parse(text).code]).toEqual([type, 415, "REQUEST_MEDIA_TYPE"]);
    }
  });

  test("as the right type in another spelling is held to everything all the same", async () => {
    for (const type of [
      "content-type:\tapplication/json",
      "content-type:   application/json  ",
      "Content-Type: APPLICATION/JSON",
      "content-type: application/json;charset=utf-16",
      "content-type: application/json;\tx=y",
    ]) {
      const { status, text } = await post('{"anything":"at all"}', type);
      expect([type, [400, 415].includes(status)]).toEqual([type, true]);
      expect(JSON.parse(text).code).toMatch(/^REQUEST_(INVALID|MEDIA_TYPE)$/);
    }
    const twice = await post('{"anything":"at all"}', "content-type: application/json", "content-type: text/plain");
    expect([400, 415]).toContain(twice.status);
  });

  test("as packed is 415: nothing is unpacked, and nothing is read that says it is packed", async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    for (const encoding of ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"]) {
      for (const body of [json({}), gzipSync(json({})), bomb])
        expect([encoding, (await post(body, "content-type: application/json", `content-encoding: ${encoding}`)).status]).toEqual([encoding, 415]);
    }
  });

  test("as coming from elsewhere, for another host, or as another method is what it is", async () => {
    unchanged = false;
    const { status, headers } = await post(
      JSON.stringify(order({ batch: "B-2", jobOrder: "PO-2" })),
      "content-type: application/json",
      "x-forwarded-for: 203.0.113.7",
      "forwarded: for=203.0.113.7;host=evil.example;proto=https",
      "x-forwarded-host: evil.example",
      "x-forwarded-proto: https",
      "x-real-ip: 203.0.113.7",
      "x-http-method-override: DELETE",
      "x-original-url: /v1/nothing",
      "reason: on behalf",
    );
    expect(status).toBe(201);
    expect(headers).not.toContain("evil.example");
    const { body } = await plant.ask("GET", `/v1/audit/entries?site=${SITE}&batch=B-2`);
    expect(body.items.length).toBeGreaterThan(0);
    for (const item of body.items) expect(Object(item).from).toBe(`127.0.0.1 POST ${BATCHES}`);
  });
});

test("more than is read of anything is refused while it comes, and the next request is answered", async () => {
  const large = await post(json({ jobOrder: "x".repeat(1_100_000) }));
  expect([large.status, JSON.parse(large.text).code]).toEqual([413, "REQUEST_TOO_LARGE"]);
  const announced = await raw(
    [`POST ${BATCHES} HTTP/1.1`, "host: x", "content-type: application/json", "transfer-encoding: chunked"].map((line) => line),
    "",
  );
  expect(announced.status).toBe(400);
  expect((await raw(["GET /health/live HTTP/1.1", "host: x", `x: ${"y".repeat(20_000)}`])).status).toBe(431);
  expect((await raw([`GET /v1/events?source=${"y".repeat(2_000)} HTTP/1.1`, "host: x"])).status).toBe(400);
  expect((await raw([`GET ${BATCHES}/${"y".repeat(5_000)} HTTP/1.1`, "host: x"])).status).toBeGreaterThanOrEqual(400);
  expect((await plant.ask("GET", "/health/live")).status).toBe(200);
});
