// Promise: the log never holds a secret: not by its name at whatever depth, not in an address, not in an error, not in a sentence.
// Attack: the same marked secret in every place and form in which something could come to be logged.
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { createLog } from "../../../src/ops/log.ts";
import { CENSOR, redacted, withoutSecrets } from "../../../src/ops/redact.ts";

const MARK = "mark-9f3c1b7e5d2a";

function logged(say: (log: ReturnType<typeof createLog>) => void): { readonly text: string; readonly lines: readonly Record<string, unknown>[] } {
  const destination = new PassThrough();
  const log = createLog({ level: "trace", destination });
  say(log);
  const text = String(destination.read() ?? "");
  return {
    text,
    lines: text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  };
}

const NAMES = [
  "password",
  "MQTT_PASSWORD",
  "userPassword",
  "passwd",
  "passphrase",
  "pin",
  "secret",
  "clientSecret",
  "client_secret",
  "token",
  "access_token",
  "refreshToken",
  "authorization",
  "Authorization",
  "proxy-authorization",
  "cookie",
  "Set-Cookie",
  "apiKey",
  "api_key",
  "X-Api-Key",
  "accessKey",
  "privateKey",
  "private_key",
  "credential",
  "credentials",
  "pepper",
  "bearer",
];

test.each(NAMES)("%s is not told, at whatever depth, in lists, maps and errors", (name) => {
  const secret = { [name]: MARK, kept: "kept" };
  const error = Object.assign(new Error("it failed"), { request: { headers: secret }, errors: [Object.assign(new Error("inner"), secret)] });
  const { text, lines } = logged((log) => {
    log.info(secret, "one");
    log.info({ a: { b: { c: { d: [{ e: secret }] } } } }, "five");
    log.info({ map: new Map([["x", secret]]), set: new Set([secret]), json: { toJSON: () => secret } }, "held");
    log.info({ [name]: { inner: MARK } }, "an object in its place");
    log.error({ err: error }, "failed");
    log.error({ other: { error } }, "failed elsewhere");
  });
  expect(text).not.toContain(MARK);
  expect(text).toContain(CENSOR);
  expect(lines).toHaveLength(6);
  expect(lines[0]).toMatchObject({ kept: "kept", [name]: CENSOR });
  expect(lines[1]).toMatchObject({ a: { b: { c: { d: [{ e: { kept: "kept", [name]: CENSOR } }] } } } });
});

test.each([
  `postgres://signalbox:${MARK}@db.example:5432/signalbox`,
  `postgresql://signalbox:${MARK}@10.0.0.1/x?sslmode=verify-full`,
  `mqtts://user:${MARK}@broker`,
  `mqtt://:${MARK}@broker:1883`,
  `https://user:p@${MARK}@elsewhere/x`,
  `postgres://db/x?user=a&password=${MARK}&ssl=true`,
  `host=db user=a password=${MARK} dbname=x`,
  `Authorization: Bearer ${MARK}${MARK}`,
  `Basic ${Buffer.from(MARK + MARK).toString("base64")}`,
  `-----BEGIN PRIVATE KEY-----\n${MARK}\n-----END PRIVATE KEY-----`,
  `-----BEGIN EC PRIVATE KEY-----\n${MARK}`,
  `client_secret=${MARK}&grant_type=x`,
])("in the middle of a text, %j is told without its secret, in a field, a sentence and an error", (text) => {
  const base64 = Buffer.from(MARK + MARK).toString("base64");
  const { text: all, lines } = logged((log) => {
    log.info({ deep: { in: { a: [text] } } }, "field");
    log.info(`sentence: ${text}`);
    log.error({ err: new Error(text, { cause: new Error(text) }) }, "error");
    log.error(new Error(text), "bare error");
    log.error(new Error(text));
  });
  expect(all).not.toContain(MARK);
  expect(all).not.toContain(base64);
  expect(lines).toHaveLength(5);
});

test("what is no secret is told as it is", () => {
  for (const text of [
    "postgres://db.example:5432/signalbox",
    "mqtt://broker:1883",
    "http://127.0.0.1:8080/v1/events?source=/site/a",
    "Basic checks were done",
    "the token of the lock is 7",
    "mail@example.com at 12:30 by user@host",
    "scale-1: 12.500 kg",
  ])
    expect(withoutSecrets(text)).toBe(text);
  const at = new Date(0);
  expect(redacted({ source: "/site/a", code: "SEQ_GAP", n: 1, big: 2n, none: null, at, list: [1, "a"], position: 5 })).toEqual({
    source: "/site/a",
    code: "SEQ_GAP",
    n: 1,
    big: 2n,
    none: null,
    at: at.toJSON(),
    list: [1, "a"],
    position: 5,
  });
});

test("rows that the database quotes in an error are not told, however deep the error lies; the code and the sentence are", () => {
  const database = Object.assign(new Error("duplicate key value"), { code: "23505", detail: `Key (id)=(${MARK}) exists.`, where: MARK, internalQuery: MARK });
  const { text, lines } = logged((log) => {
    log.error({ err: database }, "failed");
    log.error({ err: Object.assign(new Error("several"), { errors: [database] }) }, "failed");
    log.error({ err: Object.assign(new Error("around"), { inner: database }) }, "failed");
  });
  expect(text).not.toContain(MARK);
  expect(lines[0]?.["err"]).toMatchObject({ type: "Error", message: "duplicate key value", code: "23505", stack: expect.stringContaining("log.test.ts") });
});

test("nothing that is given to the log stops it: circles, depth, bytes, what throws", () => {
  const circle: Record<string, unknown> = { password: MARK };
  circle["self"] = circle;
  let deep: unknown = { password: MARK };
  for (let i = 0; i < 10_000; i += 1) deep = { deep };
  const { text, lines } = logged((log) => {
    log.info({ circle }, "circle");
    log.info({ deep }, "deep");
    log.info({ bytes: Buffer.from(MARK), view: new Uint8Array(3) }, "bytes");
    log.info(
      {
        thrower: {
          toJSON() {
            throw new Error(MARK);
          },
        },
      },
      "throws",
    );
  });
  expect(lines).toHaveLength(4);
  expect(text).not.toContain(MARK);
  expect(lines[2]).toMatchObject({ bytes: `[${MARK.length} bytes]`, view: "[3 bytes]" });
});

// ASVS 16.4.1: one event is one line, whatever it says.
test("no text makes a second line, or hides in one: line ends and escapes of terminals are written as escapes", () => {
  const { text, lines } = logged((log) => log.info({ id: 'a\r\n{"level":"info","msg":"forged"}\u001b[2K\u0000\u0085' }, "said\nforged"));
  expect(lines).toHaveLength(1);
  expect([...text.trimEnd()].filter((character) => character < " ")).toEqual([]);
});
