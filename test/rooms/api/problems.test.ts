// Whatever is wrong with a request is answered as a problem document (RFC 9457): with the place that is wrong, and never with the service's insides.
import { connect } from "node:net";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ApiDeps } from "../../../src/api/deps.ts";
import type { CommandAnswer } from "../../../src/decide/command-answer.ts";
import { type CommandRequest, Unavailable } from "../../../src/drive.ts";
import { apiAlone } from "../../support/api.ts";

let asked: CommandRequest[] = [];
let answer: () => Promise<CommandAnswer> = () => Promise.reject(new Error("no answer was given to this test"));
const shard: ApiDeps["shard"] = (site) =>
  site === "rtm1"
    ? {
        async command(request) {
          asked.push(request);
          return { answer: await answer(), position: 12, generation: 1 };
        },
        dryRun: () => Promise.reject(new Error("a secret of the insides")),
      }
    : undefined;

let api: FastifyInstance;
beforeAll(async () => {
  api = await apiAlone({ shard });
});
afterAll(() => api.close());

const COMMANDS = "/v1/sites/rtm1/batches/B-1/commands";
const START = { command: "start" };

async function post(url: string, payload: string | object, headers: Record<string, string> = {}) {
  const reply = await api.inject({ method: "POST", url, headers: { "content-type": "application/json", ...headers }, payload });
  if (reply.statusCode >= 400) {
    expect(reply.headers["content-type"]).toBe("application/problem+json");
    const body = reply.json();
    expect(body).toMatchObject({
      type: `/problems/${body.code}`,
      status: reply.statusCode,
      title: expect.any(String),
      detail: expect.any(String),
      instance: url,
    });
  }
  return reply;
}

describe("a request that is wrong", () => {
  test.each([
    ["broken JSON", '{"command": "start"', 400, ""],
    ["no body at all", "", 400, ""],
    ["a repeated key", '{"command": "start", "command": "abort"}', 400, "/command"],
    ["a key that reaches a prototype", '{"command": "start", "__proto__": {}}', 400, "/__proto__"],
    ["an unknown field", { command: "start", "for/ce": true }, 400, "/for~1ce"],
    ["a command that there is not", { command: "explode" }, 400, "/command"],
    ["half of a surrogate pair", '{"command": "abort", "reason": "\\ud800"}', 400, "/reason"],
    ["an escaped NUL", '{"command": "abort", "reason": "\\u0000"}', 400, "/reason"],
  ])("with %s is refused with the place that is wrong", async (_, payload, status, pointer) => {
    asked = [];
    const reply = await post(COMMANDS, payload);
    expect(reply.statusCode).toBe(status);
    expect(reply.json()).toMatchObject({ code: "REQUEST_INVALID" });
    expect(reply.json().errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer);
    expect(asked).toEqual([]);
  });

  test("as anything but JSON is 415, text included", async () => {
    for (const type of ["text/plain", "application/xml", "application/cloudevents+json"]) {
      expect((await post(COMMANDS, "start", { "content-type": type })).statusCode, type).toBe(415);
    }
  });

  test("that is too large is 413", async () => {
    const reply = await post(COMMANDS, JSON.stringify({ command: "abort", reason: "x".repeat(1024 * 1024) }));
    expect(reply.statusCode).toBe(413);
    expect(reply.json().code).toBe("REQUEST_TOO_LARGE");
  });

  test.each([
    ["/v1/events?limit=0", "/limit"],
    ["/v1/events?limit=501", "/limit"],
    ["/v1/events?status=fine", "/status"],
    ["/v1/events?sequence=9223372036854775808", "/sequence"],
    ["/v1/events?from=0000-01-01T00:00:00Z", "/from"],
    ["/v1/events?from=yesterday", "/from"],
    ["/v1/events?source=a%00b", "/source"],
    ["/v1/events?cursor=bm9uc2Vuc2U", "/cursor"],
    ["/v1/events?batch=a&batch=b", "/batch"],
    ["/v1/outcomes?after=-1", "/after"],
    ["/v1/sites/no%20id/batches", "/site"],
    ["/v1/events/a%00b", "/verdict"],
    ["/v1/context-windows", "/equipment"],
    ["/v1/events?everything=1", "/everything"],
  ])("%s is refused at %s", async (url, pointer) => {
    const reply = await api.inject(url);
    expect(reply.statusCode).toBe(400);
    expect(reply.headers["content-type"]).toBe("application/problem+json");
    expect(reply.json().errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer);
  });

  // "0x10" was position 16, and "1e3" a thousand: what JavaScript takes for a number, nobody else does
  test.each(["0x10", "1e3", "+5", "05", "1.0", "1.5", "", "%205", "-1", "12345678901234567", "Infinity"])("with the position %j is refused", async (text) => {
    for (const [url, pointer] of [
      [`/v1/audit/sites/rtm1/entries/${text || "%20"}`, "/position"],
      [`/v1/outcomes?after=${text}`, "/after"],
      [`/v1/events?limit=${text}`, "/limit"],
      [`/v1/audit/sites/rtm1/consistency?from=${text}`, "/from"],
      [`/v1/registry/recipes/blend/revisions/${text || "%20"}`, "/revision"],
    ] as const) {
      const reply = await api.inject(url);
      expect([url, reply.statusCode]).toEqual([url, 400]);
      expect(reply.json().errors).toEqual([{ pointer, detail: "is no whole number" }]);
    }
  });

  // the validator's sentences about its own types had reached the caller
  test.each([
    [COMMANDS, {}, "/command", /^is not one of release-to-floor, revoke, /],
    [COMMANDS, { command: "start", reason: 5 }, "/reason", /^is no text$/],
    [COMMANDS, { command: "start", reason: "" }, "/reason", /^says nothing$/],
    [COMMANDS, { command: "start", reason: "x".repeat(1_025) }, "/reason", /^has more than 1024 characters$/],
    [COMMANDS, [], "", /^is no object$/],
    ["/v1/audit/exports", { site: "rtm1", format: "csv" }, "/reason", /^is missing$/],
    ["/v1/audit/exports", { site: "rtm1", format: "csv", reason: "x", search: { who: "" } }, "/search/who", /^is empty$/],
    ["/v1/audit/exports", { site: "rtm1", format: "csv", reason: "x", search: { from: "now" } }, "/search/from", /^is no time with its offset, such as /],
    ["/v1/audit/exports", { site: "rtm1", format: "csv", reason: "x", positions: { from: 0, to: 1.5 } }, "/positions/from", /^is less than 1$/],
    ["/v1/audit/exports", { site: "rtm1", format: "csv", reason: "x", positions: { from: 1, to: 1.5 } }, "/positions/to", /^is no whole number$/],
    ["/v1/audit/exports", { site: "rtm1", format: "csv", reason: "x", positions: { from: 4, to: 3 } }, "/positions/to", /^lies before `from`$/],
    ["/v1/sites/rtm1/batches", { batch: "B-1", equipment: { "no id": "x" } }, "/equipment/no id", /^is no plant id$/],
    [
      `/v1/sites/rtm1/batches/B-1/steps/weigh/commands`,
      { command: "evidence", evidence: { evidence: "w", value: 5 } },
      "/evidence/value",
      /^is neither true nor false, and is no text$/,
    ],
  ])("at %s with %j is told in plain words: %s %s", async (url, body, pointer, detail) => {
    const reply = await post(url, body);
    expect(reply.statusCode).toBe(400);
    expect(reply.json().errors).toContainEqual({ pointer, detail: expect.stringMatching(detail) });
    expect(reply.body).not.toMatch(/expected|received|[Ii]nvalid input|Too (?:small|big)/);
  });

  // a reason of blanks was on record as a reason
  test.each([" ", "\t\n", "\u00a0", "\u200b\u2060"])("with nothing but %j for a reason is refused, everywhere a reason is asked for", async (blank) => {
    for (const [url, body, pointer] of [
      [COMMANDS, { command: "abort", reason: blank }, "/reason"],
      ["/v1/sites/rtm1/batches/B-1/steps/weigh/commands", { command: "comment", comment: blank }, "/comment"],
      ["/v1/sites/rtm1/batches/B-1/steps/weigh/commands", { command: "skip", reason: blank }, "/reason"],
      ["/v1/quarantine/rtm1.1.5/resolution", { action: "reject", reason: blank }, "/reason"],
      ["/v1/gaps/1/resolution", { action: "skip", reason: blank }, "/reason"],
      ["/v1/context-locks/1/takeover", { reason: blank }, "/reason"],
      ["/v1/sources/rtm1/4/scale-1/succession", { reason: blank }, "/reason"],
      ["/v1/exceptions/1/resolution", { disposition: "continue", linked: "DEV-1", reason: blank }, "/reason"],
      ["/v1/exceptions/1/resolution", { disposition: "continue", linked: blank, reason: "so" }, "/linked"],
      ["/v1/audit/exports", { site: "rtm1", batch: "B-1", format: "csv", reason: blank }, "/reason"],
      ["/v1/audit/sites/rtm1/reviews/3/conclusion", { digest: "0".repeat(64), conclusion: "accepted", finding: blank }, "/finding"],
    ] as const) {
      const reply = await post(url, body);
      expect([url, reply.statusCode, reply.json().errors]).toEqual([url, 400, [{ pointer, detail: "says nothing" }]]);
    }
  });

  test("to an address that nobody can read is a problem document too", async () => {
    const reply = await api.inject("/v1/events/%zz");
    expect(reply.statusCode).toBe(400);
    expect(reply.headers["content-type"]).toBe("application/problem+json");
  });

  test.each([
    "/v1/nothing",
    "/v1/events/nobody.1.1",
    "/v1/sites/nowhere/batches",
    "/v1/sites/nowhere/registry/equipment",
    "/v1/schemas/no.such",
    "/v1/sources/a/b/c",
  ])("to %s is 404", async (url) => {
    const reply = await api.inject(url);
    expect(reply.statusCode).toBe(404);
    expect(reply.headers["content-type"]).toBe("application/problem+json");
    expect(reply.json()).toMatchObject({ code: "NOT_FOUND", instance: url });
  });
});

describe("a command", () => {
  test("for a site that nobody knows is 404", async () => {
    expect((await post("/v1/sites/rtm2/batches/B-1/commands", START)).statusCode).toBe(404);
  });

  test("that is refused is 409 with code, reason, explanation, remedy and its position", async () => {
    answer = async () => ({
      kind: "refused",
      code: "STA_INVALID_TRANSITION",
      reason: "Batch B-1 is planned; that does not permit batch.start.",
      explanation: { state: "planned", permitted: ["signalbox.batch.abort.v1"], stateMachine: "batch/governed@1", guards: [{ guard: "state", ok: false }] },
    });
    const reply = await post(COMMANDS, START);
    expect(reply.statusCode).toBe(409);
    expect(reply.json()).toMatchObject({
      code: "STA_INVALID_TRANSITION",
      detail: "Batch B-1 is planned; that does not permit batch.start.",
      explanation: { state: "planned", permitted: ["signalbox.batch.abort.v1"] },
      remedy: expect.any(String),
      position: 12,
    });
  });

  test("about what is not there is 404; on an old version it is 412 and says the current one", async () => {
    answer = async () => ({ kind: "unknown", what: "batch B-1" });
    expect((await post(COMMANDS, START)).statusCode).toBe(404);
    answer = async () => ({ kind: "stale", version: 7 });
    const stale = await post(COMMANDS, START, { "if-match": '"6"' });
    expect([stale.statusCode, stale.headers["etag"], stale.json().code]).toEqual([412, '"7"', "REQUEST_STALE"]);
    expect(asked.at(-1)?.ifVersion).toBe(6);
    expect((await post(COMMANDS, START, { "if-match": "six" })).statusCode).toBe(400);
  });

  test("asked again under its key is answered as before and says so; with another body it is 422", async () => {
    const refused = { kind: "refused", code: "SIG_MISSING", reason: "This act needs an electronic signature.", explanation: null };
    answer = async () => ({ kind: "answered before", sameBody: true, answer: refused });
    const again = await post(COMMANDS, START, { "idempotency-key": "k" });
    expect([again.statusCode, again.headers["idempotent-replayed"], again.json().position]).toEqual([409, "true", 12]);
    answer = async () => ({ kind: "answered before", sameBody: false, answer: refused });
    const other = await post(COMMANDS, START, { "idempotency-key": "k" });
    expect([other.statusCode, other.headers["idempotent-replayed"], other.json().code]).toEqual([422, undefined, "REQUEST_KEY_REUSED"]);
  });

  test("carries its key with method, path and a digest that does not depend on how the body was written", async () => {
    answer = async () => ({ kind: "unknown", what: "batch B-1" });
    asked = [];
    for (const body of ['{"command":"abort","reason":"spill"}', '{ "reason": "spill", "command": "abort" }', '{"command":"abort","reason":"spilt"}']) {
      await post(COMMANDS, body, { "idempotency-key": "k" });
    }
    const [first, same, other] = asked.map(({ key }) => key);
    expect(first).toMatchObject({ key: "k", request: `POST ${COMMANDS}` });
    expect(same).toEqual(first);
    expect(other?.bodyDigest).not.toBe(first?.bodyDigest);
    expect((await post(COMMANDS, START, { "idempotency-key": "k".repeat(256) })).statusCode).toBe(400);
  });

  test("that cannot be answered now is 503 with Retry-After, and does not claim that nothing was done", async () => {
    answer = () => Promise.reject(new Unavailable("the database is away"));
    const reply = await post(COMMANDS, START);
    expect([reply.statusCode, reply.headers["retry-after"], reply.json().code]).toEqual([503, "2", "SYS_UNAVAILABLE"]);
    expect(reply.json().detail).toContain("Idempotency-Key");
    expect(reply.json().detail).not.toContain("nothing was done");
  });
});

// Found by fuzzing: what the HTTP parser refused was answered by the framework alone, as application/json without a code, though every wrong request is promised a problem document.
test.each([
  ["no HTTP at all", "\u0000\u0001\r\n\r\n", 400, "REQUEST_INVALID"],
  ["a length that is none", "POST /v1/events/dry-run HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400, "REQUEST_INVALID"],
  ["more headers than are read", `GET /health/live HTTP/1.1\r\nhost: x\r\nmore: ${"x".repeat(20_000)}\r\n\r\n`, 431, "REQUEST_TOO_LARGE"],
])("%s is answered as a problem document, and the service goes on", async (_, bytes, status, code) => {
  const listening = await apiAlone();
  const url = new URL(await listening.listen({ host: "127.0.0.1", port: 0 }));
  const answer = await new Promise<string>((resolve, reject) => {
    let text = "";
    connect(Number(url.port), url.hostname)
      .on("data", (chunk) => {
        text += chunk;
      })
      .on("error", reject)
      .on("close", () => resolve(text))
      .end(bytes);
  });
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain("content-type: application/problem+json");
  expect(JSON.parse(body)).toMatchObject({ type: `/problems/${code}`, status, code, title: expect.any(String), detail: expect.any(String) });
  expect((await fetch(new URL("/health/live", url))).status).toBe(200);
  await listening.close();
});

test("what nobody foresaw is 500 without inner details", async () => {
  const reply = await post("/v1/events/dry-run", { topic: "site/rtm1/line/4/eq/scale-1/event", event: {} });
  expect(reply.statusCode).toBe(500);
  expect(reply.json().code).toBe("SYS_INTERNAL");
  expect(reply.body).not.toContain("secret");
});

test("a dry run judges the bytes as they are written, places of numbers included", async () => {
  const seen: string[] = [];
  const other = await apiAlone({
    shard: () => ({
      command: () => Promise.reject(new Error("no command is asked")),
      async dryRun({ payload }) {
        seen.push(Buffer.from(payload).toString("utf8"));
        return null;
      },
    }),
  });
  await other.inject({
    method: "POST",
    url: "/v1/events/dry-run",
    headers: { "content-type": "application/json" },
    payload: '{"topic":"site/rtm1/line/4/eq/scale-1/event","event":{"data":{"value":12.500,"count":9007199254740993}}}',
  });
  expect(seen).toEqual(['{"data":{"count":9007199254740993,"value":12.500}}']);
  await other.close();
});
