// Promise: the commands do what their help says, and end with 0, 1 or 2 as it says. Attack: run them as a person does, as processes, one after the other, in good and bad order.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Program, run } from "./program.ts";

const root = resolve(import.meta.dirname, "../../..");
const plant = join(root, "examples/plant");
const dataDir = mkdtempSync(join(tmpdir(), "signalbox-cli-"));
const settings = { HTTP_PORT: "0", MQTT_PORT: "0", DATA_DIR: dataDir, LOG_LEVEL: "error" };
const started: Program[] = [];

const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Program => {
  const program = run(process.execPath, [join(root, "dist/cli/main.js"), ...args], env);
  started.push(program);
  return program;
};
const signalbox = async (...args: readonly string[]): Promise<{ exit: number | null; out: string; err: string }> => {
  const program = start(args);
  const exit = await program.ended();
  return { exit, out: program.lines.join("\n"), err: program.errors.join("\n") };
};

let service: Program;
let url = "";
let mqttUrl = "";

beforeAll(async () => {
  service = start(["serve"], settings);
  await service.until("the end of the banner", (lines) => lines.includes("Ctrl-C stops it cleanly."));
  url = /REST +(\S+)/.exec(service.lines.join("\n"))?.[1] ?? "";
  mqttUrl = /MQTT +(\S+)/.exec(service.lines.join("\n"))?.[1] ?? "";
});
afterAll(() => {
  for (const program of started) program.signal("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

test("serve says plainly that its broker is for trying out, and where the promise begins", () => {
  const said = service.lines.join(" ");
  expect(said).toContain("embedded broker is for trying out");
  expect(said).toContain("MQTT 3.1.1");
  expect(said).toContain("begins at the service");
});

test("a second serve on the same data directory says who holds it, in one line, and ends with 1", async () => {
  const second = start(["serve"], settings);
  expect(await second.ended()).toBe(1);
  expect(second.errors).toHaveLength(1);
  expect(second.errors[0]).toMatch(/is in use by process \d+ since /);
});

test("serve on a taken port names the setting, in one line, and ends with 1", async () => {
  const other = mkdtempSync(join(tmpdir(), "signalbox-cli-"));
  const second = start(["serve"], { ...settings, DATA_DIR: other, HTTP_PORT: new URL(url).port });
  expect(await second.ended()).toBe(1);
  expect(second.errors).toHaveLength(1);
  expect(second.errors[0]).toContain("HTTP_PORT");
  rmSync(other, { recursive: true, force: true });
});

test("settings that are wrong are all listed, and end with 2", async () => {
  const wrong = start(["serve"], { HTTP_PORT: "99999", MQTT_URL: "nowhere" });
  expect(await wrong.ended()).toBe(2);
  expect(wrong.errors.filter((line) => /HTTP_PORT|MQTT_URL/.test(line))).toHaveLength(2);
});

test("the sample plant is registered once, and unchanged the second time", async () => {
  const dry = await signalbox("registry", "apply", plant, "--url", url, "--dry-run", "--json");
  expect(new Set(JSON.parse(dry.out).applied.map(({ result }: { result: string }) => result))).toEqual(new Set(["would be put"]));
  for (const result of ["registered", "unchanged"]) {
    const { exit, out } = await signalbox("registry", "apply", plant, "--url", url, "--json");
    expect(exit).toBe(0);
    expect(new Set(JSON.parse(out).applied.map((one: { result: string }) => one.result))).toEqual(new Set([result]));
  }
});

test("the devices' faults are explained, a follower sees them, and why tells their story", async () => {
  const follower = start(["tail", "--refused", "--json", "--count", "1", "--mqtt-url", mqttUrl]);
  await expect.poll(() => follower.errors.join("\n"), { timeout: 20_000 }).toContain("Following");
  const devices = await signalbox("device", "--url", url, "--mqtt-url", mqttUrl, "--fast", "--batches", "2", "--seed", "11", "--json");
  expect(devices.err).toBe("");
  const counted = JSON.parse(devices.out);
  expect(counted).toMatchObject({ agree: true, unexplained: [] });
  expect(counted.rows.find(({ what }: { what: string }) => what === "batches completed")).toMatchObject({ senders: 2, subscriber: 2, rest: 2 });
  expect(devices.exit).toBe(0);

  expect(await follower.ended()).toBe(0);
  expect(["rejected", "quarantined"]).toContain(JSON.parse(follower.lines[0] ?? "{}").data.status);

  const list = async (query: string) => JSON.parse(await (await fetch(`${url}/v1/events?${query}`)).text()).items;
  const { event, code } = [...(await list("status=rejected&equipment=scale-1")), ...(await list("status=quarantined&line=4"))].find(
    (item: { event: { id?: string } }) => item.event.id !== undefined,
  );
  const told = await signalbox("why", event.source, event.id, "--url", url);
  expect(told.exit).toBe(0);
  expect(told.out).toContain(code);
  expect(told.out).toMatch(/Next: /);
});

test("why says what to check when there is no such event, and ends with 1", async () => {
  const { exit, err } = await signalbox("why", "/site/rtm1/line/4/eq/scale-1", "never-sent", "--url", url);
  expect(exit).toBe(1);
  expect(err).toContain("is on record");
});

test("the doctor sees that the embedded broker is not for a plant, says what to do, and ends with 1", async () => {
  const { exit, out } = await signalbox("doctor", "--url", url, "--mqtt-url", mqttUrl, "--json");
  expect(exit).toBe(1);
  const { findings } = JSON.parse(out);
  const broker = findings.find(({ area, ok }: { area: string; ok: boolean }) => area === "broker" && !ok);
  expect(broker.what).toContain("3.1.1");
  expect(broker.todo).not.toBe("");
});

test("without a service the commands say where they looked, in one line, and end with 1", async () => {
  for (const args of [
    ["why", "/site/rtm1/line/4/eq/scale-1", "x", "--url", "http://127.0.0.1:1"],
    ["tail", "--mqtt-url", "mqtt://127.0.0.1:1"],
  ]) {
    const { exit, err } = await signalbox(...args);
    expect(exit).toBe(1);
    expect(err.split("\n")).toHaveLength(1);
    expect(err).toContain("127.0.0.1:1");
  }
});

test("verify finds the record of the running service sound by the signer's key, and cannot tell without it", async () => {
  const args = ["verify", "--site", "rtm1", "--json"];
  const audit = join(dataDir, "audit");
  const program = start([...args, "--key", join(audit, "rtm1", "signer.vkey"), "--anchors", join(dataDir, "audit-mirror")], settings);
  expect([await program.ended(), program.errors]).toEqual([0, []]);
  expect(JSON.parse(program.lines.join("\n"))).toMatchObject({ site: "rtm1", result: "sound", findings: [] });
  expect(await start(args, settings).ended()).toBe(4);
  expect(await start([...args, "--key", join(dataDir, "nowhere")], settings).ended()).toBe(4);
  expect(await start(["verify", "--key"], settings).ended()).toBe(2);
});

test("replay decides the record of the running service again and finds it as it is, and cannot tell without a database", async () => {
  const program = start(["replay", "--json"], settings);
  expect([await program.ended(), program.errors]).toEqual([0, []]);
  const { sites } = JSON.parse(program.lines.join("\n"));
  expect(sites).toHaveLength(1);
  expect(sites[0]).toMatchObject({ site: "rtm1", beforeLog: 0, different: 0, differences: [], stopped: null });
  expect(sites[0].entries).toBe(sites[0].position);
  expect(await start(["replay", "--site", "nowhere"], settings).ended()).toBe(2);
  expect(await start(["replay"], { ...settings, DATABASE_URL: "postgres://signalbox_runtime@127.0.0.1:1/signalbox" }).ended()).toBe(4);
});

test("a shipped state machine passes the check, and a broken one ends with 1", async () => {
  expect((await signalbox("state-machine", "check", join(root, "state-machines/step/governed.v1.json"))).exit).toBe(0);
  expect((await signalbox("state-machine", "check", join(plant, "recipes/blend.3.json"))).exit).toBe(1);
  expect((await signalbox("state-machine", "check", join(plant, "nothing.json"))).exit).toBe(2);
});

test("serve stops cleanly when it is asked to, and ends with 0", async () => {
  service.signal("SIGTERM");
  expect(await service.ended()).toBe(0);
  expect(service.errors.at(-1)).toContain("Stopping");
});

test("the demo agrees with itself without a screen, and leaves nothing behind", async () => {
  const { exit, out, err } = await signalbox("demo", "--fast", "--batches", "1", "--seed", "5", "--json");
  expect(JSON.parse(out)).toMatchObject({ seed: 5, agree: true, unexplained: [] });
  expect(exit).toBe(0);
  expect(out).not.toContain("\u001b");
  const [, used = ""] = /data in (\S+)/.exec(err) ?? [];
  expect(() => rmSync(used, { recursive: true })).toThrow("ENOENT");
});
