// Promise: a secret that the service is given, or that somebody sends it, is said nowhere: in no log line, answer, metric, export or trace, whatever goes wrong.
// Attack: a marked secret in every place that holds one, the built command with everything logged and traced, and then database and broker that break off and refuse it; afterwards
// everything that was said is searched for the marks.
import { pbkdf2Sync } from "node:crypto";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BLEND } from "../support/blend.ts";
import { signalbox } from "../support/command.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, sourceOf } from "../support/mqtt.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";
import { type Program, run } from "./examples/program.ts";

const SITE = "canary";
const SCALE = sourceOf(SITE, "4", "scale-1");
const mark = (where: string): string => `mark-${where}-7c1e9d4b`;
const MARKS = {
  database: mark("database"),
  owner: mark("owner"),
  broker: mark("broker"),
  collector: mark("collector"),
  authorization: mark("authorization"),
  cookie: mark("cookie"),
  apiKey: mark("apikey"),
  body: mark("body"),
  query: mark("query"),
} as const;
/** In a device's message: the message itself is the original record and is shown as it came, but nothing else repeats it. */
const EVENT = mark("event");

const passwordLine = (user: string, password: string): string => {
  const salt = Buffer.from("0123456789ab");
  return `${user}:$7$101$${salt.toString("base64")}$${pbkdf2Sync(password, salt, 101, 64, "sha512").toString("base64")}\n`;
};

describeWithMosquitto("a service that is given marked secrets", () => {
  const home = mkdtempSync(path.join(tmpdir(), "signalbox-secrets-"));
  const passwords = path.join(home, "passwords");
  const answers: string[] = [];
  const spans: Buffer[] = [];
  let database: TestDatabase;
  let broker: Mosquitto;
  let collector: Server;
  let service: Program;
  let url = "";
  let settings: Record<string, string>;

  beforeAll(async () => {
    writeFileSync(passwords, passwordLine("signalbox", MARKS.broker) + passwordLine("scale-1", "its own"), { mode: 0o600 });
    database = await freshDatabase();
    broker = await startMosquitto(["allow_anonymous false", `password_file ${passwords}`]);
    collector = createServer((request, response) => {
      request.on("data", (chunk: Buffer) => spans.push(chunk)).on("end", () => response.end());
    });
    await new Promise<void>((listening) => collector.listen(0, "127.0.0.1", listening));
    const address = collector.address();
    const as = (to: string, password: string): string => to.replace("@", `:${password}@`);
    settings = {
      DATABASE_URL: as(database.runtimeUrl, MARKS.database),
      DATABASE_OWNER_URL: as(database.ownerUrl, MARKS.owner),
      // also in the address, where it does not belong
      MQTT_URL: broker.url.replace("//", `//signalbox:${MARKS.broker}@`),
      MQTT_USERNAME: "signalbox",
      MQTT_PASSWORD: MARKS.broker,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${MARKS.collector}`,
      OTEL_BSP_SCHEDULE_DELAY: "200",
      HTTP_PORT: "0",
      DATA_DIR: home,
      AUDIT_DIR: path.join(home, "state"),
      AUDIT_MIRROR_DIR: path.join(home, "mirror"),
      LOG_LEVEL: "trace",
    };
    service = run(process.execPath, [path.join(import.meta.dirname, "../../dist/cli/main.js"), "serve"], settings);
    await service.until("its banner", (lines) => lines.includes("Ctrl-C stops it cleanly."));
    url = /REST +(\S+)/.exec(service.lines.join("\n"))?.[1] ?? "";
  });
  afterAll(async () => {
    service?.signal("SIGKILL");
    await new Promise((closed) => collector?.close(closed));
    await broker?.remove();
    await database?.drop();
    rmSync(home, { recursive: true, force: true });
  });

  async function ask(method: string, at: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const response = await fetch(`${url}${at}`, {
      method,
      headers: {
        cookie: `session=${MARKS.cookie}`,
        "x-api-key": MARKS.apiKey,
        ...headers,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    answers.push(`${JSON.stringify([...response.headers])} ${Buffer.from(await response.arrayBuffer()).toString("latin1")}`);
    return response.status;
  }
  const logged = (what: string, after = 0) =>
    expect.poll(() => service.errors.slice(after).some((line) => line.includes(what)), { timeout: 30_000 }).toBe(true);

  test("says none of them while it works", async () => {
    expect(await ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND)).toBe(200);
    for (const [equipment, kind] of [
      ["scale-1", "scale"],
      ["mixer-1", "mixer"],
    ])
      expect(await ask("PUT", `/v1/sites/${SITE}/registry/equipment/${equipment}`, { equipment, line: "4", class: kind })).toBe(200);
    const order = { batch: "B-1", jobOrder: "PO-1", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    const equipped = { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } };
    expect(await ask("POST", `/v1/sites/${SITE}/batches`, equipped)).toBe(201);
    for (const name of ["password", "token", "apiKey", "secret"]) {
      expect(await ask("POST", `/v1/sites/${SITE}/batches`, { ...equipped, [name]: MARKS.body })).toBe(400);
      expect(await ask("POST", `/v1/sites/${SITE}/batches`, { ...equipped, quantity: { value: MARKS.body, unit: "kg" }, [name]: { deep: MARKS.body } })).toBe(
        400,
      );
      expect(await ask("GET", `/v1/events?${name}=${MARKS.query}`)).toBe(400);
      expect(await ask("GET", `/nothing?${name}=${MARKS.query}`)).toBe(404);
    }
    // tokens that are none, in each form
    for (const token of [MARKS.authorization, `sbs_${MARKS.authorization}`, `sbk_${MARKS.authorization}`])
      for (const scheme of ["Bearer", "Basic"]) expect(await ask("GET", "/v1/events", undefined, { authorization: `${scheme} ${token}` })).toBe(401);
    expect(await ask("POST", "/v1/sign-ins", { person: "nobody", password: MARKS.body })).toBe(401);
    const { default: mqtt } = await import("mqtt");
    const device = await mqtt.connectAsync(broker.url, { username: "scale-1", password: "its own" });
    const events = [
      envelope(SCALE, 1, 1, "call.raised", { call: "help", password: EVENT }),
      envelope(SCALE, 1, 2, "call.raised", { call: "help" }, { apikey: EVENT }),
      { ...envelope(SCALE, 1, 3, "call.raised", { call: "help" }), token: { deep: EVENT } },
    ];
    for (const event of events) await device.publishAsync(eventTopic(SCALE), JSON.stringify(event), { qos: 1 });
    await device.endAsync();
    await expect.poll(async () => (await database.query("select count(*)::int as n from verdicts"))[0]?.["n"], { timeout: 30_000 }).toBe(3);
    for (const at of [
      "/v1/codes",
      "/openapi.json",
      "/asyncapi.json",
      "/docs/",
      "/metrics",
      "/health/ready",
      `/v1/sites/${SITE}/batches/B-1/record`,
      `/v1/audit/entries?site=${SITE}`,
      `/v1/audit/sites/${SITE}`,
      `/v1/outcomes?site=${SITE}`,
      `/v1/sites/${SITE}/registry/sources/scale-1`,
    ])
      expect([at, await ask("GET", at)]).toEqual([at, 200]);
    for (const format of ["html", "csv"])
      expect(await ask("POST", "/v1/audit/exports", { site: SITE, positions: { from: 1, to: 4 }, format, reason: "the canary" })).toBe(201);
    await expect.poll(() => Buffer.concat(spans).includes("signalbox"), { timeout: 20_000 }).toBe(true);
  });

  test("says none of them while the database is away, and while it refuses the password", async () => {
    await database.cluster.stop("immediate");
    for (const at of ["/v1/events", "/health/ready", `/v1/sites/${SITE}/batches/B-1/record`]) expect([at, await ask("GET", at)]).toEqual([at, 503]);
    expect(await ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command: "start" })).toBe(503);
    const hba = path.join(database.cluster.data, "pg_hba.conf");
    const trusting = readFileSync(hba, "utf8");
    writeFileSync(hba, `host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n`);
    await database.cluster.start();
    await database.query("alter role signalbox_runtime password 'another'");
    await logged("password authentication failed");
    expect(await ask("GET", "/v1/events")).toBe(503);
    writeFileSync(hba, trusting);
    await database.query("select pg_reload_conf()");
    await expect.poll(() => ask("GET", "/health/ready"), { timeout: 60_000 }).toBe(200);
  });

  test("says none of them while the broker refuses the password", async () => {
    await broker.stop();
    writeFileSync(passwords, passwordLine("signalbox", "another"));
    const before = service.errors.length;
    await broker.start();
    await logged("refused", before);
    writeFileSync(passwords, passwordLine("signalbox", MARKS.broker));
    await broker.restart();
    await expect.poll(() => ask("GET", "/health/ready"), { timeout: 60_000 }).toBe(200);
  });

  test("says none of them where it cannot start, nor where its settings are wrong, nor where it is examined", async () => {
    for (const [command, wrong] of [
      ["serve", { DATABASE_URL: `postgres://signalbox_runtime:${MARKS.database}@127.0.0.1:1/signalbox` }],
      ["serve", { DATABASE_URL: `mysql://signalbox:${MARKS.database}@127.0.0.1/x` }],
      ["serve", { DATABASE_URL: `postgres://signalbox:${MARKS.database}@127.0.0.1:none/x` }],
      ["serve", { MQTT_URL: `amqp://signalbox:${MARKS.broker}@127.0.0.1` }],
      ["serve", { MQTT_PASSWORD_FILE: "/nowhere" }],
      ["doctor", {}],
      ["doctor", { DATABASE_URL: `postgres://signalbox_runtime:${MARKS.database}@127.0.0.1:1/signalbox`, MQTT_URL: `mqtt://a:${MARKS.broker}@127.0.0.1:1` }],
      ["verify", { DATABASE_URL: `postgres://signalbox_runtime:${MARKS.database}@127.0.0.1:1/signalbox` }],
    ] as const) {
      const { out, exit } = await signalbox(
        { ...settings, DATA_DIR: path.join(home, "other"), AUDIT_DIR: path.join(home, "a"), AUDIT_MIRROR_DIR: path.join(home, "b"), ...wrong },
        command,
      );
      if (command === "serve") expect(exit, out).not.toBe(0);
      expect(out).not.toBe("");
      appendFileSync(path.join(home, "commands"), out);
    }
  });

  test("and everything that it said, on whatever way, has none of them", async () => {
    service.signal("SIGTERM");
    expect(await service.ended()).toBe(0);
    const record = await database.query("select string_agg(convert_from(entry, 'utf8'), '') as entries from audit_entries");
    const said = {
      "standard output": service.lines.join("\n"),
      "the log": service.errors.join("\n"),
      answers: answers.join("\n"),
      spans: Buffer.concat(spans).toString("latin1"),
      "the commands": readFileSync(path.join(home, "commands"), "utf8"),
      "the audit log": String(record[0]?.["entries"]),
    };
    expect(service.errors.length).toBeGreaterThan(10);
    for (const [where, text] of Object.entries(said)) {
      expect(text.length, where).toBeGreaterThan(100);
      for (const [of, secret] of Object.entries(MARKS)) expect(text.includes(secret), `the secret of ${of} in ${where}`).toBe(false);
    }
    for (const where of ["standard output", "the log", "spans", "answers"] as const)
      expect(said[where].includes(EVENT), `what a device sent, in ${where}`).toBe(false);
  });
});
