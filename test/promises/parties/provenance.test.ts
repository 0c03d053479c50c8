// Promise: with every event goes on record whose word it is: the party to whom the registry gives its branch, and the broker's stamp of who sent it. A stamp that came twice, names somebody else, or is
// missing where it is demanded has the event not believed, and alarmed; it takes neither number nor id.
// Attack: real MQTT 5 messages over mosquitto, stamped as a bridge does that knows its clients: once, twice with the device's own in front or behind, by another's name, not at all; in both modes.
// Then everything is decided again.
import { readFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/database.ts";
import { activate, approve, propose } from "../../../src/parties/parties.store.ts";
import { describeWithMosquitto } from "../../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../../support/mqtt.ts";
import { deviceRights, SITE } from "../../support/parties.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";
import { repository } from "../../support/repository.ts";

const STAMP = "$broker_username";
const SCALE = sourceOf(SITE, "4", "scale-1");
const FREE = sourceOf("ungoverned", "4", "scale-1");

describeWithMosquitto("with mosquitto, and a bridge before it that stamps", () => {
  let plant: Plant;
  let bridge: Party;
  beforeAll(async () => {
    plant = await startPlant({ broker: "mosquitto", settings: { MQTT_STAMP_PROPERTY: STAMP, MQTT_STAMP_REQUIRED: "yes" } });
    for (const site of [SITE, "ungoverned"]) await plant.equipment(site, "scale-1", "4", "scale");
    const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
    const asked = (person: string) => ({ site: SITE, party: "scale", by: { actor: `person:${person}`, from: null, reason: "test" }, key: null });
    try {
      const definition = { kind: "device", owner: "person:ann", may: [...deviceRights("scale-1")], validFrom: null, validUntil: null } as const;
      await propose(db, asked("ann"), { ...definition, may: [...definition.may] });
      await approve(db, asked("bob"), 1);
      expect(await activate(db, asked("bob"), 1)).toMatchObject({ kind: "done" });
    } finally {
      await close();
    }
    bridge = await join(plant.mqttUrl);
    await bridge.subscribe("site/+/line/4/eq/scale-1/verdict");
    // until the registry was looked at
    for (let n = 1; (await provenanceOf(await say(SCALE, `look-${n}`, ["scale"], { sequence: 0 }))).party === undefined; n += 1) expect(n).toBeLessThan(100);
  }, 120_000);
  afterAll(async () => {
    await bridge?.end();
    await plant?.stop();
  });

  interface Mode {
    readonly sequence: number;
    readonly binary?: boolean;
  }
  /** Publishes an event under stamps, and gives its verdict. */
  async function say(source: string, id: string, stamps: readonly string[], { sequence, binary = false }: Mode) {
    const { data, ...attributes }: Record<string, unknown> = { ...envelope(source, 1, sequence, "call.raised", { call: "help" }), id };
    const userProperties = { ...(stamps.length === 0 ? {} : { [STAMP]: [...stamps] }), ...(binary ? Object(attributes) : {}) };
    // the library writes an empty list of properties as no packet that could be read
    const named = Object.keys(userProperties).length > 0 ? { userProperties } : {};
    const properties = { ...named, ...(binary ? { contentType: "application/json" } : {}) };
    const verdicts = () => bridge.seen.filter(({ topic, body }) => topic === verdictTopicOf(source) && body.causationid === id);
    const before = verdicts().length;
    await bridge.publish(eventTopic(source), binary ? data : { ...attributes, data }, { properties });
    await bridge.untilAll(`the verdict on ${id}`, () => verdicts().length > before);
    return Object(verdicts().at(-1)?.body).data;
  }
  const provenanceOf = async ({ verdict }: { readonly verdict: string }) => Object(Object((await plant.ask("GET", `/v1/events/${verdict}`)).body).provenance);

  test.each([
    { mode: "structured", binary: false, first: 1 },
    { mode: "binary", binary: true, first: 2 },
  ])("a $mode event goes on record with its party and stamp, and is believed once both agree", async ({ binary, first }) => {
    const tried = async (id: string, stamps: readonly string[]) => say(SCALE, `${id}-${first}`, stamps, { sequence: first, binary });
    for (const [id, stamps] of [
      ["forged-behind", ["scale", "mixer"]],
      ["forged-before", ["mixer", "scale"]],
      ["forged-same", ["scale", "scale"]],
    ] as const) {
      const verdict = await tried(id, stamps);
      expect(verdict, id).toMatchObject({ status: "rejected", final: true, code: "PROVENANCE_STAMP_DUPLICATE" });
      expect(await provenanceOf(verdict)).toEqual({ party: "scale", stamp: stamps, refused: "PROVENANCE_STAMP_DUPLICATE" });
    }
    expect(await tried("other", ["mixer"])).toMatchObject({ status: "rejected", code: "PROVENANCE_MISMATCH" });
    expect(await tried("none", [])).toMatchObject({ status: "rejected", code: "PROVENANCE_STAMP_MISSING", next: "resend" });
    // none of them took the number or an id: the same event comes again and is believed
    const believed = await tried("none", ["scale"]);
    expect(believed).toMatchObject({ status: "accepted", event: { sequence: String(first) } });
    expect(await provenanceOf(believed)).toEqual({ party: "scale", stamp: "scale" });
  });

  test("where the registry does not speak the stamp alone is on record, and is nobody else's name", async () => {
    const verdict = await say(FREE, "free-1", ["anybody"], { sequence: 1 });
    expect(verdict).toMatchObject({ status: "accepted" });
    expect(await provenanceOf(verdict)).toEqual({ stamp: "anybody" });
  });

  test("it is counted where the alert looks, and decided again as it was", async () => {
    const metrics = await (await fetch(`${plant.url}/metrics`)).text();
    for (const code of ["PROVENANCE_STAMP_DUPLICATE", "PROVENANCE_STAMP_MISSING", "PROVENANCE_MISMATCH"]) expect(metrics).toContain(`code="${code}"`);
    expect(readFileSync(joinPath(repository(), "docs/alerts.yml"), "utf8")).toMatch(
      /alert: SignalboxProvenanceRefused[\s\S]{0,200}\{code=~"PROVENANCE_\.\*"\}/,
    );
    expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
    const [entry] = await plant.database.query(
      `select convert_from(e.entry, 'UTF8') as text from audit_entries e join signals g using (site, position) where g.event_id = 'other-1'`,
    );
    expect(String(entry?.["text"])).toContain('"provenance": {"party": "scale", "stamp": "mixer"'.replaceAll(": ", ":").replaceAll(", ", ","));
  });
});
