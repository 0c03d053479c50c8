// Promise: a signer's key can be replaced, and whoever holds the first public key follows all others through the notes alone.
// Attack: a key is made beside the one that signs, the service is started on both; the private half of the first is destroyed; then the signer loses its state and begins from its mirror.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { parseVerifierKey, type VerifierKey } from "../../../src/audit/note-key.ts";
import { parse } from "../../../src/cli/parse.ts";
import { rotateKey } from "../../../src/cli/rotate-key.ts";
import { Trust } from "../../../src/verify/trust.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { freshDatabase } from "../../support/postgres.ts";
import { runVerify } from "../../support/signed-record.ts";

const SITE = "rotated";
const SOURCE = sourceOf(SITE, "1", "button");
const home = mkdtempSync(path(tmpdir(), "signalbox-rotated-"));
const signing = { AUDIT_DIR: path(home, "state"), AUDIT_MIRROR_DIR: path(home, "mirror") };
const folder = path(signing.AUDIT_DIR, SITE);
let database: Awaited<ReturnType<typeof freshDatabase>>;
let plant: Plant;
let party: Party;
let said = 0;

beforeAll(async () => {
  database = await freshDatabase();
  plant = await startPlant({ database, broker: "embedded", settings: signing });
  await plant.equipment(SITE, "button", "1", "button");
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

const keyIn = (file: string): VerifierKey => {
  const key = parseVerifierKey(readFileSync(path(folder, file), "utf8").trimEnd());
  if (typeof key === "string") throw new Error(`${file}: ${key}`);
  return key;
};

async function rotate(...args: readonly string[]): Promise<{ readonly exit: number; readonly out: string }> {
  const parsed = parse(["rotate-key", ...args], [rotateKey], signing);
  if (parsed.kind !== "run") throw new Error(`rotate-key ${args.join(" ")} is ${parsed.kind}`);
  const out: string[] = [];
  const exit = await parsed.command.run(parsed.call, { out: (line) => out.push(line), err: () => {}, progress: () => {}, paint: (_, text) => text });
  return { exit, out: out.join("\n") };
}

/** Starts the service again, has it decide something, and gives the checkpoint that covers it. */
async function checkpointAfterRestart(): Promise<string> {
  await plant.restart();
  await party?.end();
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe(`site/${SITE}/line/1/eq/button/outcome`, `site/${SITE}/audit/checkpoint`);
  said += 1;
  await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, said, "call.raised", { call: "help" }));
  const outcome = await party.until("the outcome", ({ topic, body }) => topic.endsWith("/outcome") && body.data.position > 0);
  const covers = ({ topic, body }: Party["seen"][number]): boolean =>
    topic.endsWith("/checkpoint") && Number(String(body).split("\n")[1]) >= outcome.body.data.position;
  return String((await party.until("a checkpoint that covers it", covers)).body);
}

const by = (note: string): readonly string[] =>
  ["signer.vkey", "signer-2.vkey"].filter((file) => openCheckpoint(Buffer.from(note), [keyIn(file)]).kind === "opened");
const verified = async (): Promise<number> => {
  const { exit, err } = await runVerify(["--site", SITE, "--key", path(folder, "signer.vkey"), "--anchors", path(signing.AUDIT_MIRROR_DIR, SITE)], {
    DATABASE_URL: database.runtimeUrl,
  });
  expect(err).toBe("");
  return exit;
};

test("the next key is made beside the first, and signs from the next start on", async () => {
  await checkpointAfterRestart();
  expect(await rotate("--site", SITE)).toMatchObject({ exit: 0, out: expect.stringContaining(`signalbox/${SITE}+`) });
  await checkpointAfterRestart();
  expect(by(await checkpointAfterRestart())).toEqual(["signer-2.vkey"]);
  const notes = readFileSync(path(signing.AUDIT_MIRROR_DIR, SITE, "log-1.notes"), "utf8").split("\n\n\n");
  expect(notes.join("").match(/^key signalbox\//gm)).toHaveLength(1);
});

test("whoever holds the first public key alone verifies what both signed", async () => {
  expect(await verified()).toBe(0);
});

test("the proof of an entry comes with the notes that lead from the first key to the one that signed", async () => {
  const { body } = await plant.ask("GET", `/v1/audit/sites/${SITE}/entries/1/proof`);
  const { checkpoint, introductions } = Object(body);
  const trust = new Trust([keyIn("signer.vkey")]);
  expect(introductions).toHaveLength(1);
  for (const note of [...introductions, checkpoint.note]) expect(trust.read(note)).toMatchObject({ kind: "signed" });
  expect(new Trust([keyIn("signer.vkey")]).read(checkpoint.note)).not.toMatchObject({ kind: "signed" });
});

test("the first private key may be destroyed", async () => {
  rmSync(path(folder, "signer.pem"));
  expect(by(await checkpointAfterRestart())).toEqual(["signer-2.vkey"]);
  expect(readFileSync(path(folder, "signer.vkey"), "utf8")).not.toBe(readFileSync(path(folder, "signer-2.vkey"), "utf8"));
  expect(await verified()).toBe(0);
});

test("a signer that lost its state begins from its mirror, whose first notes are by the key that is gone", async () => {
  await plant.stop();
  rmSync(path(folder, "log-1"), { recursive: true });
  plant = await startPlant({ database, broker: "embedded", settings: signing });
  expect(by(await checkpointAfterRestart())).toEqual(["signer-2.vkey"]);
  expect((await fetch(`${plant.url}/health/ready`)).status).toBe(200);
  expect(await verified()).toBe(0);
});

test("nothing is made where there is no signer, or nobody is named", async () => {
  await expect(rotate("--site", "elsewhere")).rejects.toThrow("There is no signer of site elsewhere");
  await expect(rotate()).rejects.toThrow("Say whose key");
  await expect(rotate("--site", "../x")).rejects.toThrow("is no site");
  expect((await rotate("--all")).out).toContain("signer-3.pem");
});
