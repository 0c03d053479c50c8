// Promise: a difference between the registry and the broker is reported within a minute, and is on record once when it begins and once when it ends: by reading the broker's file back, and by
// what arrives. Attack: lines put into and taken out of the file of a running mosquitto by hand, the file taken away; an event on a branch, and of a type, that no party may publish.
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "../../../src/cli/parse.ts";
import { partiesAcl, partiesDrift, partiesList, partiesPasswords } from "../../../src/cli/parties.ts";
import { type Db, openDatabase } from "../../../src/db/database.ts";
import { activate, approve, giveCredential, propose, revoke } from "../../../src/parties/parties.store.ts";
import { type Definition, SERVICE_RIGHTS } from "../../../src/parties/party.ts";
import { measured } from "../../support/measure.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { envelope, sourceOf } from "../../support/mqtt.ts";
import { deviceRights } from "../../support/parties.ts";
import { connectAs } from "../../support/party-matrix.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "rtm1";

describeWithMosquitto("a running service beside a mosquitto that it has compiled the ACL of", () => {
  const home = mkdtempSync(join(tmpdir(), "signalbox-drift-"));
  const [aclFile, passwordFile] = [join(home, "acl"), join(home, "passwords")];
  const passwords = new Map<string, string>();
  let plant: Plant;
  let broker: Mosquitto;
  let db: Db;
  let close: () => Promise<void>;

  const asked = (party: string, person: string) => ({ site: SITE, party, by: { actor: `person:${person}`, from: null, reason: "as planned" }, key: null });
  async function inForce(party: string, definition: Partial<Definition>): Promise<void> {
    const whole: Definition = { kind: "device", owner: "person:ann", may: [], validFrom: null, validUntil: null, ...definition };
    const proposed = await propose(db, asked(party, "ann"), whole);
    if (proposed.kind === "refused") throw new Error(JSON.stringify(proposed));
    const { revision } = proposed.result;
    await approve(db, asked(party, "bob"), revision);
    expect(await activate(db, asked(party, "bob"), revision)).toMatchObject({ kind: "done" });
    const given = await giveCredential(db, asked(party, "ann"));
    passwords.set(party, given.kind === "done" ? (given.result.password ?? "") : "");
  }

  const environment = (): Readonly<Record<string, string>> => ({ DATABASE_URL: plant.database.runtimeUrl });
  /** The commands as a person runs them, in this process. */
  async function run(...argv: readonly string[]): Promise<{ readonly exit: number; readonly out: string }> {
    const out: string[] = [];
    const parsed = parse(argv, [partiesList, partiesAcl, partiesPasswords, partiesDrift], environment());
    if (parsed.kind !== "run") throw new Error(`${argv.join(" ")} is ${parsed.kind}`);
    const exit = await parsed.command.run(parsed.call, { out: (line) => out.push(line), err: () => {}, progress: () => {}, paint: (_, text) => text });
    return { exit, out: out.join("\n") };
  }
  const install = async (): Promise<void> => {
    await run("parties", "acl", "--out", aclFile);
    await run("parties", "passwords", "--out", passwordFile);
    await broker.reload();
  };
  const acts = (): Promise<readonly Record<string, unknown>[]> =>
    plant.database.query(
      "select type, body ->> 'object' as object, body -> 'new' as made, extract(epoch from recorded_at)::float8 as at from signals where type like 'parties.drift%' order by position",
    );
  const onRecord = async (n: number): Promise<Record<string, unknown>> => {
    await expect.poll(async () => (await acts()).length, { timeout: 60_000, interval: 200 }).toBeGreaterThanOrEqual(n);
    const all = await acts();
    expect(all.map(({ type, object }) => [type, object])).toHaveLength(n);
    return all[n - 1] ?? {};
  };
  const health = async (): Promise<{ ok: boolean; detail: string } | undefined> =>
    Object(await (await fetch(`${plant.url}/health/ready`)).json()).checks.find(({ check }: { check: string }) => check === "broker acl");
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "m").exec(await (await fetch(`${plant.url}/metrics`)).text())?.[1] ?? Number.NaN);

  beforeAll(async () => {
    writeFileSync(aclFile, "");
    writeFileSync(passwordFile, "");
    broker = await startMosquitto(["allow_anonymous true", `password_file ${passwordFile}`]);
    plant = await startPlant({ broker: { url: broker.url }, settings: { MQTT_ACL_FILE: aclFile } });
    await plant.equipment(SITE, "scale-1", "4", "scale");
    await plant.equipment(SITE, "gate-1", "4", "gate");
    ({ db, close } = openDatabase(plant.database.runtimeUrl, { max: 2, applicationName: "test" }));
  });
  afterAll(async () => {
    await close?.();
    await plant?.stop();
    await broker?.remove();
    rmSync(home, { recursive: true, force: true });
  });

  test("has nothing to say before a party is in force", async () => {
    expect(await health()).toBeUndefined();
    expect(await run("parties", "drift", "--acl", aclFile)).toEqual({ exit: 0, out: "" });
  });

  test("reports what is not installed yet, and when it is", async () => {
    await inForce("scale-1", { may: [...deviceRights("scale-1")] });
    await inForce("core", { kind: "service", may: [...SERVICE_RIGHTS] });
    // between the two there may have been a look, and another drift
    await expect.poll(health, { timeout: 30_000 }).toMatchObject({ ok: false, detail: expect.stringContaining("user core: topic read $SYS/broker/#") });
    expect((await run("parties", "drift", "--acl", aclFile)).exit).toBe(1);
    await install();
    await expect.poll(health, { timeout: 30_000 }).toMatchObject({ ok: true });
    expect(await metric("signalbox_acl_drift_lines")).toBe(0);
    // what is well shows at once, and goes on record then
    await expect.poll(async () => (await acts()).at(-1), { timeout: 30_000 }).toMatchObject({ type: "parties.drift-ended", object: "broker's ACL file" });
    expect(await run("parties", "drift", "--acl", aclFile)).toEqual({ exit: 0, out: "" });
    expect(readFileSync(passwordFile, "utf8")).toMatch(/^core:\$7\$.*\nscale-1:\$7\$.*\n$/);
  });

  test("reports a line that was put in by hand, within a minute, once; and its end", async () => {
    const before = (await acts()).length;
    const installed = readFileSync(aclFile, "utf8");
    const changedAt = Number((await plant.database.query("select extract(epoch from clock_timestamp())::float8 as at"))[0]?.["at"]);
    writeFileSync(aclFile, `${installed}user scale-1\ntopic write site/${SITE}/outcome\n`);
    const drift = await onRecord(before + 1);
    expect(drift).toMatchObject({
      type: "parties.drift",
      made: { more: [`user scale-1: topic write site/${SITE}/outcome`], less: [], moreLines: 1, lessLines: 0 },
    });
    // that it came within a minute is what was waited for
    measured("parties.drift", `a line put into the broker's file by hand was on record ${(Number(drift["at"]) - changedAt).toFixed(1)} s later`);
    expect(await health()).toMatchObject({ ok: false, detail: expect.stringContaining(`+ user scale-1: topic write site/${SITE}/outcome`) });
    expect(await metric("signalbox_acl_drift_lines")).toBe(1);
    expect(await run("parties", "drift", "--acl", aclFile)).toEqual({ exit: 1, out: `+ user scale-1: topic write site/${SITE}/outcome` });
    // a service that starts anew sees the same drift, which is on record
    await plant.restart();
    await expect.poll(health, { timeout: 30_000 }).toMatchObject({ ok: false });
    expect(await acts()).toHaveLength(before + 1);

    writeFileSync(aclFile, installed.replace(`topic read site/${SITE}/line/4/eq/scale-1/cmd\n`, ""));
    expect(await onRecord(before + 2)).toMatchObject({ made: { more: [], less: [`user scale-1: topic read site/${SITE}/line/4/eq/scale-1/cmd`] } });
    unlinkSync(aclFile);
    expect(await onRecord(before + 3)).toMatchObject({ type: "parties.drift", made: { moreLines: 0 } });
    writeFileSync(aclFile, `# as it was\n${installed}`);
    expect(await onRecord(before + 4)).toMatchObject({ type: "parties.drift-ended", made: null });
  }, 180_000);

  test("reports by what arrives: on a branch of nobody, once for each, until a party may; and a type that nobody may", async () => {
    const before = (await acts()).length;
    const [gate, scale] = [sourceOf(SITE, "4", "gate-1"), sourceOf(SITE, "4", "scale-1")];
    // this broker's file is not used by it: it lets everybody do everything
    const device = await connectAs(broker.url, 5, "scale-1", passwords.get("scale-1") ?? "");
    const say = (source: string, n: number, type = "call.raised", data: Record<string, unknown> = { call: "c" }): Promise<unknown> =>
      device.publishAsync(`${source.slice(1)}/event`, JSON.stringify(envelope(source, 1, n, type, data)), { qos: 1 });
    await say(scale, 1);
    for (const n of [1, 2, 3]) await say(gate, n);
    expect(await onRecord(before + 1)).toMatchObject({ type: "parties.drift", object: "events on line 4, equipment gate-1", made: { why: "branch" } });
    await expect.poll(() => metric("signalbox_unpermitted_events_total"), { timeout: 15_000 }).toBe(3);
    await inForce("gate-1", { may: [{ direction: "publish", what: "event", where: { line: "4", equipment: "gate-1" }, types: ["signalbox.call.raised.v1"] }] });
    await install();
    await expect
      .poll(async () => (await acts()).filter(({ object }) => String(object).includes("gate-1")).map(({ type }) => type), { timeout: 15_000 })
      .toEqual(["parties.drift", "parties.drift-ended"]);
    await say(gate, 4);
    await say(gate, 5, "alarm.raised", { alarm: "a-1" });
    await expect
      .poll(async () => (await acts()).filter(({ object }) => String(object).includes("gate-1")).at(-1), { timeout: 15_000 })
      .toMatchObject({
        type: "parties.drift",
        made: { why: "type" },
      });
    await device.endAsync(true);
  }, 60_000);

  test("lists who may do what; what was revoked is granted nothing any more", async () => {
    const { items } = JSON.parse((await run("parties", "list", "--json")).out);
    expect(items.map(({ party, state }: { party: string; state: string }) => `${party} ${state}`)).toEqual(["core active", "gate-1 active", "scale-1 active"]);
    expect((await run("parties", "list")).out).toContain(
      "rtm1 scale-1@1: device of person:ann, active, 8 rights; proposed by person:ann, approved by person:bob",
    );
    await revoke(db, asked("scale-1", "ann"), "stolen");
    expect((await run("parties", "acl")).out).not.toContain("user scale-1");
    expect((await run("parties", "passwords")).out).not.toContain("scale-1:");
    const { exit, out } = await run("parties", "drift", "--acl", aclFile, "--json");
    expect(exit).toBe(1);
    expect(JSON.parse(out).more).toHaveLength(8);
    await expect(run("parties", "acl", "--site", "nowhere")).rejects.toThrow("There is no site nowhere.");
  });
});
