// Promise: a signer's key can be replaced, and whoever holds the first public key follows all others through the notes alone.
// Attack: a key is made beside the one that signs, the service is started on both; the private half of the first is destroyed; then the signer loses its state and begins from its mirror.
import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { disk } from "../../../src/audit/disk.file.ts";
import { parseVerifierKey, type VerifierKey } from "../../../src/audit/note-key.ts";
import { loadSigningKey } from "../../../src/audit/signer-key.file.ts";
import { inWords } from "../../../src/cli/failure.ts";
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

async function rotate(...args: readonly string[]): Promise<{ readonly exit: number; readonly out: string; readonly err: string }> {
  return rotateIn(signing, ...args);
}

async function rotateIn(environment: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const parsed = parse(["rotate-key", ...args], [rotateKey], environment);
  if (parsed.kind !== "run") throw new Error(`rotate-key ${args.join(" ")} is ${parsed.kind}`);
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = {
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
    progress: () => {},
    paint: (_: unknown, text: string) => text,
  };
  const exit = await parsed.command.run(parsed.call, terminal);
  return { exit, out: out.join("\n"), err: err.join("\n") };
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
const MIRRORED = ["--anchors", path(signing.AUDIT_MIRROR_DIR, SITE)];
const verifiedBy = (key: string, ...more: readonly string[]) => runVerify(["--site", SITE, "--key", key, ...more], { DATABASE_URL: database.runtimeUrl });
const verified = async (): Promise<number> => {
  const { exit, err } = await verifiedBy(path(folder, "signer.vkey"), ...MIRRORED);
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

// whoever had the newest key alone was told that the record was altered, though only an earlier key's signatures could not be verified
test("whoever holds another key is told that it cannot be told, and which key it takes; what is altered is altered by every key", async () => {
  const newest = path(folder, "signer-2.vkey");
  const stranger = path(home, "stranger", "signer.vkey");
  await loadSigningKey(disk, stranger.replace(/vkey$/, "pem"), `signalbox/${SITE}`, true);
  // the last checkpoint is over everything, and the newest key made it
  expect((await verifiedBy(newest)).exit).toBe(0);
  const both = path(home, "both.vkey");
  writeFileSync(both, `${readFileSync(path(folder, "signer.vkey"))}${readFileSync(newest)}`);
  expect((await verifiedBy(both, ...MIRRORED)).exit).toBe(0);
  for (const [key, ...more] of [[newest, ...MIRRORED], [stranger], [stranger, ...MIRRORED]] as const) {
    const { exit, report } = await verifiedBy(key, ...more);
    expect([key, exit]).toEqual([key, 4]);
    expect(new Set(report.findings.map(({ severity }) => severity))).toEqual(new Set(["unclear"]));
    expect(report.first?.detail).toContain("Where the key was replaced, give the first one, or all");
  }
  const change = (from: string, to: string): Promise<unknown> =>
    database.query(`set session_replication_role = replica; update audit_entries
      set entry = convert_to(replace(convert_from(entry, 'UTF8'), '"object":"${from}"', '"object":"${to}"'), 'UTF8') where site = '${SITE}' and position = 1`);
  const [first] = await database.query(`select convert_from(entry, 'UTF8') as entry from audit_entries where site = '${SITE}' and position = 1`);
  const object = /"object":"([^"]+)"/.exec(String(first?.["entry"]))?.[1] ?? "";
  await change(object, "something else");
  for (const key of [newest, stranger]) expect([key, (await verifiedBy(key)).exit]).toEqual([key, 1]);
  await change("something else", object);
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

// run by root, the command left a key that the service could not read, and the service did not start on it
const isRoot = process.getuid?.() === 0;
const ABOUT = "the key belongs to whom the signer's folder belongs to; who may not give it away is told what to do";
test.runIf(isRoot)(isRoot ? ABOUT : `${ABOUT} (did not run: only root gives files away)`, async () => {
  const environment = { AUDIT_DIR: path(home, "owned"), AUDIT_MIRROR_DIR: path(home, "owned-mirror") };
  const owned = path(environment.AUDIT_DIR, "rtm1");
  await loadSigningKey(disk, path(owned, "signer.pem"), "signalbox/rtm1", true);
  for (const file of [owned, path(owned, "signer.pem"), path(owned, "signer.vkey")]) chownSync(file, 12_345, 12_346);
  expect(await rotateIn(environment, "--site", "rtm1")).toMatchObject({ exit: 0, err: "" });
  for (const file of ["signer-2.pem", "signer-2.vkey"]) expect(statSync(path(owned, file))).toMatchObject({ uid: 12_345, gid: 12_346 });
  expect(statSync(path(owned, "signer-2.pem")).mode & 0o777).toBe(0o400);
  const anybody = vi.spyOn(process, "getuid").mockReturnValue(1_000);
  const told = await rotateIn(environment, "--site", "rtm1");
  anybody.mockRestore();
  expect(told.exit).toBe(1);
  expect(told.err).toContain(`chown 12345 ${path(owned, "signer-3.pem")} ${path(owned, "signer-3.vkey")}`);
});

// a folder of the settings that is a file was told by a stack trace
test("a file in the place of the signer's folder is told by the setting's name", async () => {
  const file = path(home, "a-file");
  writeFileSync(file, "");
  for (const [name, value] of [
    ["AUDIT_DIR", file],
    ["AUDIT_DIR", path(file, "below")],
    ["AUDIT_MIRROR_DIR", file],
  ] as const) {
    const error = await rotateIn({ ...signing, [name]: value }, "--all").catch((thrown: unknown) => thrown);
    expect(inWords(error)).toEqual({ lines: ["The settings are not valid:", `  ${name} names ${value}, which is no folder.`], exit: 2 });
  }
});
