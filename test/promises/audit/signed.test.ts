// Promise: every entry is signed by somebody who is not the database, and where a site is set so, nothing is shown outside before. A restore from a backup is noticed, and is a break
// that somebody answers for: never a re-hash.
// Attack: the service without its signer, so that outcomes wait; a backup restored without a word, and with one; and an administrator's edit of a signed entry, after which nothing is
// signed and the service is not ready.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { readMirror } from "../../../src/audit/mirror.ts";
import { parseVerifierKey } from "../../../src/audit/note-key.ts";
import { type Backup, copyOfFiles } from "../../support/backup.ts";
import { signalbox } from "../../support/command.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { freshDatabase } from "../../support/postgres.ts";

const SITE = "signed";
const SOURCE = sourceOf(SITE, "1", "button");
const home = mkdtempSync(path(tmpdir(), "signalbox-signed-"));
const signing = { AUDIT_DIR: path(home, "state"), AUDIT_MIRROR_DIR: path(home, "mirror") };
let database: Awaited<ReturnType<typeof freshDatabase>>;
let plant: Plant;
let party: Party;
let sequence = 0;

beforeAll(async () => {
  database = await freshDatabase();
  plant = await startPlant({ database, broker: "embedded", settings: signing });
  await plant.equipment(SITE, "button", "1", "button");
  party = await listen();
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

async function listen(): Promise<Party> {
  const joined = await join(plant.mqttUrl, { protocol: 4 });
  await joined.subscribe(`site/${SITE}/line/1/eq/button/outcome`, `site/${SITE}/line/1/eq/button/verdict`, `site/${SITE}/audit/checkpoint`);
  return joined;
}

async function say(): Promise<string> {
  sequence += 1;
  await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, sequence, "call.raised", { call: `help-${sequence}` }));
  return `button-1-${sequence}`;
}

const outcomeOf =
  (id: string) =>
  (seen: { readonly topic: string; readonly body: { readonly causationid: string } }): boolean =>
    seen.topic.endsWith("/outcome") && seen.body.causationid === id;

interface State {
  readonly position: number;
  readonly signed: number;
}

const get = async (route: string): Promise<Response> => fetch(`${plant.url}${route}`);
const state = async (): Promise<State> => Object((await plant.ask("GET", `/v1/audit/sites/${SITE}`)).body);
const sizeOf = (note: string): number => Number(note.split("\n")[1]);

const isOnRecord = async (id: string): Promise<boolean> => Object(await (await get(`/v1/events?source=${SOURCE}&id=${id}`)).json()).items.length > 0;
const inFeed = async (): Promise<readonly string[]> =>
  Object(await (await get(`/v1/outcomes?site=${SITE}&limit=500`)).json()).items.map(({ causationid }: { causationid: string }) => causationid);

/** Asks again until it holds. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 300) throw new Error(`${what}: not within 30 s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function restart(settings: Readonly<Record<string, string>>): Promise<void> {
  await party.end();
  await plant.stop();
  plant = await startPlant({ database, broker: "embedded", settings });
  party = await listen();
}

test("a checkpoint over all entries is published, kept in the mirror and served, and the public key opens it", async () => {
  await party.until("the outcome", outcomeOf(await say()));
  const { position } = await state();
  await party.until("a checkpoint of the outcome's position", ({ topic, body }) => topic.endsWith("/checkpoint") && sizeOf(String(body)) >= position);
  const { signed } = await state();
  expect(signed).toBeGreaterThanOrEqual(position);
  const key = parseVerifierKey(readFileSync(path(home, "state", SITE, "signer.vkey"), "utf8").trim());
  if (typeof key === "string") throw new Error(key);
  const note = await (await get(`/v1/audit/sites/${SITE}/checkpoint`)).text();
  expect(openCheckpoint(Buffer.from(note), [key])).toMatchObject({ kind: "opened", checkpoint: { origin: `signalbox/${SITE}/1`, size: signed } });
  expect(readFileSync(path(home, "mirror", SITE, "log-1.notes"), "utf8")).toContain(note.trimEnd());
});

test("where only what is signed is shown, an outcome comes behind a checkpoint that covers it", async () => {
  const set = await plant.ask("PUT", `/v1/audit/sites/${SITE}`, { publishAfter: "checkpoint" }, { reason: "QA asks for it" });
  expect(set).toMatchObject({ status: 200, body: { publishAfter: "checkpoint", unsignedLimit: 100_000 } });
  const id = await say();
  await party.until("the outcome", outcomeOf(id));
  const outcome = party.seen.find(outcomeOf(id));
  expect((await state()).signed).toBeGreaterThanOrEqual(Number(outcome?.body.data.position));
});

test("without a signer it is decided, and shown nowhere, until a signer comes", async () => {
  await restart({});
  const id = await say();
  await until("its verdict is on record", () => isOnRecord(id));
  const before = await state();
  expect(before.signed).toBeLessThan(before.position);
  expect(await inFeed()).not.toContain(id);
  expect((await inFeed()).length).toBe(2);
  const { checks } = Object(await (await get("/health/ready")).json());
  const positions = before.position - before.signed;
  expect(checks).toContainEqual(
    expect.objectContaining({ check: `publishing ${SITE}`, detail: expect.stringContaining(`${positions} positions are not shown`) }),
  );
  expect(party.seen.filter(({ topic }) => !topic.endsWith("/checkpoint"))).toEqual([]);
  await restart(signing);
  await until("its outcome is shown", async () => (await inFeed()).includes(id));
});

describe("a restore from a backup", () => {
  let backup: Backup;
  let head = 0;
  afterAll(() => backup?.discard());

  test("is noticed: nothing is signed or decided, and the service is not ready", async () => {
    await until("all is signed", async () => (await state()).signed === (await state()).position);
    backup = await copyOfFiles(database);
    head = (await state()).position;
    for (let n = 0; n < 3; n += 1) await party.until("an outcome that will be lost", outcomeOf(await say()));
    await plant.stop();
    const lost = database;
    database = await backup.restore();
    await lost.drop();
    plant = await startPlant({ database, broker: "embedded", settings: signing });
    const { checks } = Object(await (await get("/health/ready")).json());
    expect(checks.find(({ check }: { check: string }) => check === `audit ${SITE}`)).toMatchObject({
      ok: false,
      detail: expect.stringContaining("signalbox restored"),
    });
    expect(checks.find(({ check }: { check: string }) => check === `shard ${SITE}`)).toMatchObject({ ok: false });
    await plant.stop();
    expect(await database.query(`select position::int as head from sites where site = '${SITE}'`)).toEqual([{ head }]);
  });

  test("is put on record by the command, which tells the signer", async () => {
    const { exit, out } = await signalbox(
      { DATABASE_OWNER_URL: database.ownerUrl, ...signing },
      "restored",
      "--all",
      "--reason",
      "disk failure",
      "--by",
      "J. Smit",
    );
    expect({ exit, out }).toMatchObject({ exit: 0, out: expect.stringContaining(`Audit log 2 begins at position ${head + 1}`) });
  });

  test("begins a new log, whose first entry names what was signed of the former one, who answers for the break, and why", async () => {
    const [last] = readMirror(readFileSync(path(home, "mirror", SITE, "log-1.notes"), "utf8")).notes.slice(-1);
    const [, size, root] = (last ?? "").split("\n");
    plant = await startPlant({ database, broker: "embedded", settings: signing });
    party = await listen();
    sequence -= 3;
    await party.until("the outcome, decided again and signed", outcomeOf(await say()));
    expect((await get("/health/ready")).status).toBe(200);
    const note = await (await get(`/v1/audit/sites/${SITE}/checkpoint`)).text();
    expect(note.startsWith(`signalbox/${SITE}/2\n`)).toBe(true);
    const { items } = Object((await plant.ask("GET", `/v1/audit/entries?site=${SITE}&what=record.restored`)).body);
    expect(items).toMatchObject([{ position: head + 1, who: { kind: "person", name: "J. Smit" }, why: "disk failure" }]);
    const [row] = await database.query(`select convert_from(entry, 'UTF8') as entry from audit_entries where site = '${SITE}' and position = ${head + 1}`);
    const [, body = "{}"] = String(row?.["entry"]).split("\n");
    expect(JSON.parse(body).signals[0].body).toMatchObject({
      old: { generation: 1, signed: { log: 1, size: Number(size), root: Buffer.from(root ?? "", "base64").toString("hex") } },
      new: { generation: 2, log: 2, position: head },
    });
    expect(Number(size)).toBeGreaterThan(head);
    sequence += 2;
  });
});

test("beyond the limit of what is unsigned nothing is decided, nor acknowledged, until a signer comes", async () => {
  const limit = 10;
  await database.query(
    `set session_replication_role = replica; alter table sites drop constraint sites_unsigned_limit_check; update sites set unsigned_limit = ${limit}`,
  );
  await restart({});
  const waits = async (): Promise<boolean> => (await get("/health/ready")).status === 503;
  let last = "";
  for (let n = 0; n < 2 * limit && !(await waits()); n += 1) {
    last = await say();
    await until("it is decided, or waits", async () => (await isOnRecord(last)) || (await waits()));
  }
  const { position, signed } = await state();
  expect(position - signed).toBe(limit);
  expect(await isOnRecord(last)).toBe(false);
  await restart(signing);
  // the embedded broker has forgotten it; its device has not
  sequence -= 1;
  expect(await say()).toBe(last);
  await until("it is decided", () => isOnRecord(last));
});

test("a log ends when it has as many entries as the site is set to; the next one begins with an entry that says so", async () => {
  const set = { publishAfter: "commit", unsignedLimit: 100_000, rotateAfter: 1_000 };
  expect(await plant.ask("PUT", `/v1/audit/sites/${SITE}`, set, { reason: "small logs" })).toMatchObject({ status: 200, body: { rotateAfter: 1_000 } });
  const before = party.seen.length;
  for (let n = 0; n < 1_000; n += 1) await say();
  await party.until("a checkpoint of log 3", ({ topic, body }) => topic.endsWith("/checkpoint") && String(body).startsWith(`signalbox/${SITE}/3\n`), 60_000);
  expect(party.seen.length).toBeGreaterThan(before + 1_000);
  const [log] = await database.query(`select first_position::int as first, why from audit_logs where site = '${SITE}' and log = 3`);
  expect(log?.["why"]).toBe("rotation");
  const { items } = Object((await plant.ask("GET", `/v1/audit/entries?site=${SITE}&what=audit.log.rotated`)).body);
  expect(items).toMatchObject([{ position: log?.["first"], who: { kind: "system", name: "signalbox" }, object: "log 3" }]);
  expect((await get("/health/ready")).status).toBe(200);
});

test("a signer that cannot write signs nothing: the service is not ready and says why, until it can", async () => {
  const taken = path(home, "taken");
  mkdirSync(taken);
  writeFileSync(path(taken, SITE), "no folder");
  await restart({ ...signing, AUDIT_MIRROR_DIR: taken });
  await say();
  await until("it is said", async () => (await get("/health/ready")).status === 503);
  const { checks } = Object(await (await get("/health/ready")).json());
  expect(checks).toContainEqual({ check: `audit ${SITE}`, ok: false, detail: expect.stringContaining("nothing can be signed: ") });
  await restart(signing);
  await until("all is signed", async () => (await state()).signed === (await state()).position);
  expect((await get("/health/ready")).status).toBe(200);
});

test("an entry that was changed is not signed over: the service is not ready, and says which", async () => {
  await until("all is signed", async () => (await state()).signed === (await state()).position);
  await database.query(
    `set session_replication_role = replica; update audit_entries set entry = set_byte(entry, 9, get_byte(entry, 9) # 1) where site = '${SITE}' and position = 2`,
  );
  await until("the signer refuses", async () => (await get("/health/ready")).status === 503);
  const { checks } = Object(await (await get("/health/ready")).json());
  expect(checks.find(({ check }: { check: string }) => check === `audit ${SITE}`)).toMatchObject({ ok: false, detail: expect.stringContaining("2") });
});
