// Promise: whoever administers the broker cannot make a fact in the name of a device that signs: what it injects is refused, alarmed and on record, the device's own word is believed, and everything is
// decided again as it was, also after the key is revoked.
// Attack: a real mosquitto whose access list lets one user write everywhere; it injects a weight without a signature, by a key of its own, by one that was made for elsewhere, and what the device has
// sent already. Then a key is revoked between the reading of the world and its commit. Then the record is decided again.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import type { MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/database.ts";
import { issueCredential, mosquittoPasswords } from "../../../src/parties/credentials.ts";
import { activate, approve, propose, revoke, revokeKey } from "../../../src/parties/parties.store.ts";
import { type Definition, definitionSchema } from "../../../src/parties/party.ts";
import type { SourceState } from "../../../src/sequence/source-state.ts";
import { BLEND } from "../../support/blend.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../../support/mqtt.ts";
import { deviceRights, SITE } from "../../support/parties.ts";
import { connectAs } from "../../support/party-matrix.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";
import { repository } from "../../support/repository.ts";
import { runExport, runVerify } from "../../support/signed-record.ts";
import { deviceKey, signs } from "../../support/signs.ts";
import { run } from "../examples/program.ts";

const SCALE = sourceOf(SITE, "4", "scale-1");
const TOPIC = eventTopic(SCALE);
const [OLD, NEW, STOLEN] = [deviceKey("2026-a", 1), deviceKey("2026-b", 2), deviceKey("2026-a", 9)];
const EVIDENCE = "signalbox.step.evidence.v1";

const unsigned = ({ signing: _, ...source }: SourceState): SourceState => source;

describeWithMosquitto("with mosquitto, whose administrator may write everywhere", () => {
  const home = mkdtempSync(joinPath(tmpdir(), "signalbox-signed-"));
  const [device, root] = [issueCredential(), issueCredential()];
  let broker: Mosquitto;
  let plant: Plant;
  let registry: ReturnType<typeof openDatabase>;
  let ears: Party;
  let scale: MqttClient;
  let admin: MqttClient;
  /** Done once, between the reading of the world and its commit. */
  let between: (() => Promise<unknown>) | null = null;
  /** Until the next commit the judge is that of a version before a diagnosis was asked whether it is believed: it did not look at who signs. */
  let asEarlier: (() => void) | null = null;

  const asked = (person: string, party = "scale") => ({ site: SITE, party, by: { actor: `person:${person}`, from: null, reason: "test" }, key: null });
  /** Another revision of a device, proposed by one person and put into force by another. */
  async function register(signing: unknown, party = "scale", equipment = "scale-1", period = {}): Promise<void> {
    const definition: Definition = definitionSchema.parse({ kind: "device", owner: "person:ann", may: deviceRights(equipment), signing, ...period });
    const proposed = await propose(registry.db, asked("ann", party), definition);
    const revision = proposed.kind === "done" ? proposed.result.revision : expect.unreachable(JSON.stringify(proposed));
    expect(await approve(registry.db, asked("ann", party), revision)).toMatchObject({ kind: "refused", because: "self" });
    expect(await approve(registry.db, asked("bob", party), revision)).toMatchObject({ kind: "done" });
    expect(await activate(registry.db, asked("bob", party), revision)).toMatchObject({ kind: "done" });
  }
  const keys = (...of: readonly ReturnType<typeof deviceKey>[]) => of.map(({ kid, publicKey }) => ({ kid, publicKey }));

  beforeAll(async () => {
    const [acl, passwords] = [joinPath(home, "acl"), joinPath(home, "passwords")];
    // the service and the test's ears have no name
    writeFileSync(acl, `topic readwrite #\nuser scale\ntopic write ${TOPIC}\ntopic read ${verdictTopicOf(SCALE)}\nuser root\ntopic readwrite #\n`);
    writeFileSync(
      passwords,
      mosquittoPasswords([
        { party: "scale", verifier: device.verifier },
        { party: "root", verifier: root.verifier },
      ]),
    );
    broker = await startMosquitto([`acl_file ${acl}`, `password_file ${passwords}`]);
    plant = await startPlant({
      broker: { url: broker.url },
      settings: { AUDIT_DIR: joinPath(home, "state"), AUDIT_MIRROR_DIR: joinPath(home, "mirror") },
      replaced: {
        stages: (stages) => ({
          ...stages,
          async read(request) {
            const world = await stages.read(request);
            if (asEarlier === null) return world;
            const sources = [...world.sources].map(([name, source]) => [name, source === null ? null : unsigned(source)] as const);
            return { ...world, sources: new Map(sources) };
          },
          async commit(group, document) {
            const now = between;
            between = null;
            await now?.();
            const committed = await stages.commit(group, document);
            asEarlier?.();
            return committed;
          },
        }),
      },
    });
    registry = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
    await plant.equipment(SITE, "scale-1", "4", "scale");
    await plant.equipment(SITE, "mixer-1", "4", "mixer");
    await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
    const batch = { batch: "B-1", jobOrder: "PO-1", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...batch, equipment: { scale: "scale-1", mixer: "mixer-1" } });
    for (const command of ["release-to-floor", "start"]) await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command, reason: "shift plan" });
    ears = await join(plant.mqttUrl);
    await ears.subscribe(verdictTopicOf(SCALE));
    scale = await connectAs(broker.url, 4, "scale", device.password);
    admin = await connectAs(broker.url, 5, "root", root.password);
    expect(await say(scale, event(1, "step.start"))).toMatchObject({ status: "accepted" });
    await register({ keys: keys(OLD, NEW), must: [EVIDENCE, "signalbox.step.complete.v1"] });
  }, 120_000);
  afterAll(async () => {
    await ears?.end();
    await scale?.endAsync();
    await admin?.endAsync();
    await registry?.close();
    await plant?.stop();
    await broker?.remove();
    rmSync(home, { recursive: true, force: true });
  });

  const event = (sequence: number, type: string, data: unknown = {}, source = SCALE): Readonly<Record<string, unknown>> => ({
    specversion: "1.0",
    id: `s-${sequence}`,
    source,
    type: `signalbox.${type}.v1`,
    time: new Date().toISOString(),
    epoch: "1",
    sequence: String(sequence),
    batchid: "B-1",
    stepid: "weigh",
    data,
  });
  const weight = (sequence: number, value: string) => event(sequence, "step.evidence", { evidence: "net-weight", value, unit: "kg" });
  const signed = (said: Readonly<Record<string, unknown>>, key = OLD, topic = TOPIC): string => signs(key, topic, JSON.stringify(said));

  /** Publishes a message on a branch, the scale's unless it is said, and gives the verdict that it brings about. */
  async function say(by: MqttClient, message: unknown, contentType?: string, topic = TOPIC) {
    const before = ears.seen.length;
    const properties = contentType === undefined ? {} : { properties: { contentType } };
    await by.publishAsync(topic, typeof message === "string" ? message : JSON.stringify(message), { qos: 1, ...properties });
    await ears.untilAll("its verdict", () => ears.seen.length > before);
    return Object(ears.seen[before]?.body).data;
  }
  const viewOf = async ({ verdict }: { readonly verdict: string }) => Object((await plant.ask("GET", `/v1/events/${verdict}`)).body);

  /** Lets what is done be judged in one commit as a version did it that did not ask who signs there. */
  async function asBefore(act: () => Promise<unknown>): Promise<void> {
    const committed = new Promise<void>((done) => {
      asEarlier = () => {
        asEarlier = null;
        done();
      };
    });
    await act();
    await committed;
  }

  test("what its administrator injects is refused, and takes neither number nor id; the device's own is believed, over both protocols", async () => {
    const forged = weight(2, "99.9");
    expect(await say(admin, forged)).toMatchObject({
      status: "rejected",
      final: true,
      code: "PROVENANCE_SIGNATURE_MISSING",
      event: { id: "s-2", sequence: "2" },
    });
    expect(await say(admin, signed(forged, STOLEN), "application/jose")).toMatchObject({ status: "rejected", code: "PROVENANCE_SIGNATURE_INVALID" });
    const elsewhere = signed(forged, OLD, eventTopic(sourceOf(SITE, "4", "mixer-1")));
    const refused = await say(admin, elsewhere, "application/jose");
    expect(refused).toMatchObject({ status: "rejected", code: "PROVENANCE_SIGNATURE_INVALID", reason: "It was signed for another topic." });
    expect(await viewOf(refused)).toMatchObject({ signed: null, raw: Buffer.from(elsewhere).toString("base64") });

    const own = signed(weight(2, "12.503"));
    const believed = await say(scale, own);
    expect(believed).toMatchObject({ status: "accepted", event: { id: "s-2", sequence: "2" } });
    expect(await viewOf(believed)).toMatchObject({
      signed: { kid: "2026-a", alg: "EdDSA" },
      raw: Buffer.from(own).toString("base64"),
      envelope: { id: "s-2", data: { value: "12.503" } },
    });
    // what the device has said once is nothing new in another's mouth
    expect(await say(admin, own, "application/jose")).toMatchObject({ status: "duplicate" });
    expect(await plant.database.query("select value from evidence")).toEqual([{ value: "12.503" }]);
  });

  test("a key that is revoked between the reading of the world and its commit has signed nothing in it", async () => {
    between = () => revokeKey(registry.db, asked("ann"), "2026-a", "the device was opened");
    const late = signed(event(3, "step.complete"));
    expect(await say(scale, late)).toMatchObject({ status: "rejected", code: "PROVENANCE_SIGNATURE_INVALID", reason: "Key 2026-a of scale is revoked." });
    // the other key of the same device goes on, and by it the same event is believed
    expect(await say(scale, signed(event(3, "step.complete"), NEW))).toMatchObject({ status: "accepted", event: { sequence: "3" } });
    expect(await revokeKey(registry.db, asked("ann"), "2026-a", "again")).toMatchObject({ kind: "refused", because: "state" });
    expect(await revokeKey(registry.db, asked("ann"), "2026-z", "unknown")).toMatchObject({ kind: "refused", because: "unknown" });
  });

  test("a key that was revoked never comes back, nor under another name; nor does one stand for two", async () => {
    const proposing = async (...of: readonly ReturnType<typeof deviceKey>[]) =>
      propose(
        registry.db,
        asked("ann"),
        definitionSchema.parse({ kind: "device", owner: "person:ann", may: deviceRights("scale-1"), signing: { keys: keys(...of), must: "all" } }),
      );
    for (const of of [[OLD], [{ ...OLD, kid: "2026-c" }], [{ ...NEW, kid: "2026-c" }], [{ ...deviceKey("x", 5), kid: "2026-b" }], [NEW, NEW]])
      expect(await proposing(...of), JSON.stringify(keys(...of))).toMatchObject({ kind: "refused", because: "conflict" });
  });

  test("who no longer signs may be anybody again; who is revoked cannot be spoken for", async () => {
    await register({ keys: keys(NEW), must: "all" });
    expect(await say(admin, event(4, "call.raised", { call: "help" }))).toMatchObject({ code: "PROVENANCE_SIGNATURE_MISSING" });
    await register(undefined);
    expect(await say(admin, event(4, "call.raised", { call: "help" }))).toMatchObject({ status: "accepted" });
    await register({ keys: keys(NEW), must: "all" });
    expect(await revoke(registry.db, asked("ann"), "stolen")).toMatchObject({ kind: "done" });
    expect(await say(admin, event(5, "call.raised", { call: "help" }))).toMatchObject({ code: "PROVENANCE_SIGNATURE_MISSING" });
    expect(await say(scale, signed(event(5, "call.raised", { call: "help" }), NEW))).toMatchObject({ code: "PROVENANCE_SIGNATURE_INVALID" });
  });

  test("a diagnosis in its name, which nobody can sign, opens no gap and changes nothing; one from before that was asked stands as it stood", async () => {
    const diag = JSON.stringify({ state: "offline", epoch: "1", sequence: "50" });
    const scaleNow = async () => plant.database.query(`select highest::int, connection, gap_position is null as whole from sources where source = '${SCALE}'`);
    const counted = async () => (await (await fetch(`${plant.url}/metrics`)).text()).match(/signalbox_ignored_total\{why="unsigned"\} (\d+)/)?.[1];
    await admin.publishAsync(TOPIC.replace(/event$/, "diag"), diag, { qos: 1 });
    // settled in the order in which they came
    expect(await say(admin, event(5, "call.raised", { call: "help" }))).toMatchObject({ code: "PROVENANCE_SIGNATURE_MISSING" });
    expect([await scaleNow(), await counted()]).toEqual([[{ highest: 4, connection: null, whole: true }], "1"]);
    await asBefore(() => admin.publishAsync(TOPIC.replace(/event$/, "diag"), diag, { qos: 1 }));
    expect(await scaleNow()).toEqual([{ highest: 50, connection: "offline", whole: false }]);
  });

  test("what names no source of the branch was not signed either; one from before the branch was asked stands as it stood", async () => {
    expect(await say(admin, "{")).toMatchObject({ status: "rejected", code: "PROVENANCE_SIGNATURE_MISSING" });
    const elsewhere = event(6, "call.raised", { call: "help" }, sourceOf(SITE, "4", "mixer-1"));
    expect(await say(scale, signed(elsewhere, NEW))).toMatchObject({ code: "PROVENANCE_SIGNATURE_INVALID", reason: "Key 2026-b of scale is revoked." });
    let verdict: unknown;
    await asBefore(async () => {
      verdict = await say(admin, "{");
    });
    expect(verdict).toMatchObject({ status: "rejected", code: "ENV_NOT_JSON" });
    const newest = deviceKey("2026-d", 4);
    await register({ keys: keys(newest), must: "all" });
    expect(await say(scale, signed(elsewhere, newest))).toMatchObject({ status: "rejected", code: "TOP_PAYLOAD_MISMATCH" });
  });

  test("the example device signs by a key in PEM, and is believed where everything must be signed", async () => {
    await plant.equipment(SITE, "panel-1", "4", "panel");
    const key = deviceKey("panel-2026", 3);
    await register({ keys: keys(key), must: "all" }, "panel", "panel-1");
    const pem = joinPath(home, "panel.pem");
    writeFileSync(pem, key.privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    const source = sourceOf(SITE, "4", "panel-1");
    await ears.subscribe(verdictTopicOf(source));
    const program = joinPath(repository(), "examples/device-node/device.mjs");
    const panel = run(process.execPath, [program, "--url", broker.url, "--source", source, "--dir", home, "--key", pem, "--kid", key.kid]);
    panel.write({ type: "call.raised", data: { call: "help" } });
    panel.endInput();
    const verdict = await ears.until("its verdict", ({ topic }) => topic === verdictTopicOf(source));
    expect(verdict.body.data).toMatchObject({ status: "accepted" });
    expect(await viewOf(verdict.body.data)).toMatchObject({ signed: { kid: "panel-2026", alg: "EdDSA" } });
    expect(await panel.ended()).toBe(0);
  });

  test("a party that is given another branch leaves the one it had closed, until another party has it; and its keys count while it is valid", async () => {
    await plant.equipment(SITE, "panel-2", "4", "panel");
    const key = deviceKey("panel-2026", 3);
    const [before, now] = [sourceOf(SITE, "4", "panel-1"), sourceOf(SITE, "4", "panel-2")];
    await ears.subscribe(verdictTopicOf(now));
    let boots = 0;
    // the panel starts anew before each
    const says = (source: string) => {
      boots += 1;
      return {
        ...event(1, "call.raised", { call: "help" }, source),
        id: `boot-${boots}`,
        epoch: String(Date.now() * 10 + boots),
        batchid: undefined,
        stepid: undefined,
      };
    };
    const unsigned = (source: string) => say(admin, says(source), undefined, eventTopic(source));
    const bySignature = (source: string) => say(admin, signed(says(source), key, eventTopic(source)), undefined, eventTopic(source));
    const signing = { keys: keys(key), must: "all" };

    await register(signing, "panel", "panel-2");
    expect(await unsigned(before)).toMatchObject({ code: "PROVENANCE_SIGNATURE_MISSING" });
    expect(await bySignature(before)).toMatchObject({
      code: "PROVENANCE_SIGNATURE_INVALID",
      reason: "panel was given other branches since, and nobody this one.",
    });
    expect(await bySignature(now)).toMatchObject({ status: "accepted" });
    await register(undefined, "panel-of-old", "panel-1");
    expect(await unsigned(before)).toMatchObject({ status: "accepted" });

    for (const [period, reason] of [
      [{ validUntil: "2020-01-01T00:00:00.000Z" }, "panel was valid until 2020-01-01T00:00:00.000Z."],
      [{ validFrom: "2096-01-01T00:00:00.000Z" }, "panel is valid from 2096-01-01T00:00:00.000Z on."],
    ] as const) {
      await register(signing, "panel", "panel-2", period);
      expect(await bySignature(now)).toMatchObject({ code: "PROVENANCE_SIGNATURE_INVALID", reason });
      expect(await unsigned(now)).toMatchObject({ code: "PROVENANCE_SIGNATURE_MISSING" });
    }
    await register(signing, "panel", "panel-2", { validFrom: "2020-01-01T00:00:00.000Z", validUntil: "2096-01-01T00:00:00.000Z" });
    expect(await bySignature(now)).toMatchObject({ status: "accepted" });
    const said = await plant.database.query(
      `select body -> 'new' ->> 'party' as party, body -> 'new' -> 'left' as left, body -> 'new' -> 'keysInPeriod' as period from signals where type = 'party.activated' and body -> 'new' ?| array['left', 'keysInPeriod'] order by position`,
    );
    expect(said).toEqual([{ party: "panel", left: ["4/panel-1"], period: null }, ...[1, 2, 3].map(() => ({ party: "panel", left: null, period: true }))]);
  });

  test("it is counted where the alert looks, and everything is decided again as it was", async () => {
    const metrics = await (await fetch(`${plant.url}/metrics`)).text();
    for (const code of ["PROVENANCE_SIGNATURE_MISSING", "PROVENANCE_SIGNATURE_INVALID"]) expect(metrics).toContain(`code="${code}"`);
    expect(readFileSync(joinPath(repository(), "docs/alerts.yml"), "utf8")).toMatch(
      /alert: SignalboxProvenanceRefused[\s\S]{0,200}\{code=~"PROVENANCE_\.\*"\}/,
    );
    expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
    const [entry] = await plant.database.query(
      `select convert_from(e.entry, 'UTF8') as text from audit_entries e join signals g using (site, position) join verdicts v using (site, position) where g.event_id = 's-2' and v.status = 'accepted'`,
    );
    expect(String(entry?.["text"])).toContain('"signed":{"kid":"2026-a","alg":"EdDSA"}');
  });

  test("a bundle of it is decided again with no database, although the key is revoked by then", async () => {
    const [{ n: head = 0 } = {}] = await plant.database.query(`select position::int as n from sites where site = '${SITE}'`);
    const folder = joinPath(home, "bundle");
    const environment = { DATABASE_URL: plant.database.runtimeUrl };
    await runExport(["--site", SITE, "--positions", `1-${head}`, "--out", folder, "--reason", "inspection", "--by", "ann"], environment);
    const { report } = await runVerify(["--bundle", folder], {});
    // nobody says here whose signature of the log is to be believed
    expect(report.findings.filter(({ severity }) => severity !== "unclear")).toEqual([]);
    expect(report.notCovered.join()).not.toMatch(/decided again/);
  });

  test("whoever changes in the database by which keys a branch is signed is found out", async () => {
    await plant.database.query(`update signing_branches set signing = jsonb_set(signing, '{must}', '[]') where equipment = 'scale-1'`);
    expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings.map(({ table, column }) => `${table}.${column}`))).toEqual([
      "signing_branches.signing",
    ]);
  });
});
