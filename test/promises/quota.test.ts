// Promise: what a branch sends beyond its quota is neither judged nor stored one by one: it is told of together, retryable, takes neither number nor id, and is acknowledged only when that is
// committed. Others are decided meanwhile, and a device that goes by its cursor loses nothing.
// Attack: thousands of messages at once, from a registered branch and from branches that nobody registered, beside sources that say a few things each; a device that comes back with more
// than its quota; and a database that takes everything but the signal that counts. Then everything is decided again.
import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DriveStages } from "../../src/drive.ts";
import { measured } from "../support/measure.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, type Seen, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { verifyDatabase } from "../support/replay.ts";
import type { Said } from "../support/shapes.ts";

const SITE = "quota";
const QUOTA = { perSecond: 100, burst: 300 };
const source = (equipment: string): string => sourceOf(SITE, "1", equipment);
const FLOODER = source("flooder-1");
const DEVICE = source("device-1");
const CRASHING = source("crashing-1");
const GOOD = Array.from({ length: 20 }, (_, n) => source(`good-${n + 1}`));
const CODE = "SYS_RATE_LIMITED";
const call = (of: string, sequence: number): Record<string, unknown> => envelope(of, 1, sequence, "call.raised", { call: "help" });

describeWithMosquitto("with mosquitto, and a small quota for each branch", () => {
  let plant: Plant;
  let party: Party;
  /** While true every commit that tells of what was left out fails as a database does that is away. */
  let refusing = false;
  let refused = 0;
  const stages = (own: DriveStages): DriveStages => ({
    ...own,
    commit: async (group, document) => {
      if (!refusing || !document.document.includes(CODE)) return own.commit(group, document);
      refused += 1;
      throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" });
    },
  });

  beforeAll(async () => {
    const settings = { QUOTA_PER_SECOND: String(QUOTA.perSecond), QUOTA_BURST: String(QUOTA.burst) };
    plant = await startPlant({ broker: "mosquitto", settings, replaced: { stages } });
    for (const one of [FLOODER, DEVICE, CRASHING, ...GOOD]) await plant.equipment(SITE, one.split("/").at(-1) ?? "", "1", "unit");
    party = await join(plant.mqttUrl, { reconnect: true, clean: false, clientId: "quota-party" });
    await party.subscribe(`site/${SITE}/line/1/eq/+/verdict`, `site/${SITE}/line/1/eq/+/cursor`);
    const known = [FLOODER, DEVICE, CRASHING, ...GOOD];
    for (const one of known) await party.publish(eventTopic(one), call(one, 1));
    await party.untilAll("the first of each", () => known.every((one) => acceptedOf(one).length === 1));
  }, 120_000);
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
  });

  const verdictsOf = (of: string): Said[] => party.seen.filter(({ topic }) => topic === verdictTopicOf(of)).map(({ body }) => body.data);
  const leftOutOf = (verdicts: readonly Said[]): number =>
    verdicts.reduce((count, { code, explanation }) => count + (code === CODE ? (explanation.leftOut?.count ?? 0) : 0), 0);
  const acceptedOf = (of: string): string[] =>
    verdictsOf(of)
      .filter(({ status }) => status === "accepted")
      .map(({ event }) => event.id);
  /** Every delivery of a branch has its verdict, or is counted by one. */
  const toldOf = (of: string): number => verdictsOf(of).filter(({ code, round }) => code !== CODE && round === 1).length + leftOutOf(verdictsOf(of));
  const all = (of: string, from: number, to: number): Promise<unknown> =>
    Promise.all(Array.from({ length: to - from + 1 }, (_, n) => party.publish(eventTopic(of), call(of, from + n))));
  const idsOf = (of: string, count: number): string[] => Array.from({ length: count }, (_, n) => String(call(of, n + 1)["id"]));

  test("a flooder fills neither the record nor the others' time: each delivery is counted, and the good sources are decided", async () => {
    const began = performance.now();
    const twice = ["{", JSON.stringify(call(GOOD[0] ?? "", 1)), "x".repeat(300)];
    const kinds = (n: number): unknown => (n % 2 === 0 ? call(FLOODER, n / 2 + 2) : (twice[n % 3] ?? call(FLOODER, 1)));
    const flood = Promise.all(Array.from({ length: 5_000 }, (_, n) => party.publish(eventTopic(FLOODER), kinds(n))));
    const good = Promise.all(GOOD.flatMap((one) => Array.from({ length: 19 }, (_, n) => party.publish(eventTopic(one), call(one, n + 2)))));
    await Promise.all([flood, good]);
    await party.untilAll("a verdict for everything, or a count", () => toldOf(FLOODER) === 5_001 && GOOD.every((one) => acceptedOf(one).length === 20), 60_000);
    const seconds = (performance.now() - began) / 1_000;

    for (const one of GOOD) expect(acceptedOf(one)).toEqual(idsOf(one, 20));
    const counted = verdictsOf(FLOODER).filter(({ code }) => code === CODE);
    const judged = 5_001 - leftOutOf(verdictsOf(FLOODER));
    // one run begins in the second before, and one may be on its way
    expect(judged).toBeLessThanOrEqual(QUOTA.burst + QUOTA.perSecond * (seconds + 2));
    expect(counted.length * 20).toBeLessThan(5_000);
    const rows = await plant.database.query(`select count(*)::int as n, sum(raw_length)::int as bytes from signals where topic = '${eventTopic(FLOODER)}'`);
    expect(rows[0]?.["n"]).toBe(judged + counted.length);
    measured("quota.flood", `5000 deliveries in ${seconds.toFixed(1)} s: ${judged} judged, ${5_001 - judged} told of in ${counted.length} verdicts`);

    for (const verdict of counted) expect(verdict).toMatchObject({ status: "rejected", final: true, next: "resend" });
    for (const { explanation } of counted) expect(String(explanation.leftOut?.from) <= String(explanation.leftOut?.to)).toBe(true);
    const listed = await plant.ask("GET", `/v1/events?code=${CODE}&equipment=flooder-1&limit=500`);
    expect(listed.body.items).toEqual(counted.toSorted((a, b) => a.position - b.position));
    const one = (await plant.ask("GET", `/v1/events/${counted[0]?.verdict}`)).body;
    expect([one.topic, one.rawLength > 0, one.facts]).toEqual([eventTopic(FLOODER), true, []]);
    const metrics = await (await fetch(`${plant.url}/metrics`)).text();
    expect(Number(/^signalbox_left_out_total\{branch="event"\} (\d+)/m.exec(metrics)?.[1])).toBe(5_001 - judged);
    expect(metrics).toMatch(new RegExp(`^signalbox_verdicts_total\\{.*code="${CODE}".*\\} ${counted.length}$`, "m"));
  }, 90_000);

  test("branches that nobody registered share one quota, and are told of as one", async () => {
    const strangers = Array.from({ length: 2_000 }, (_, n) => source(`stranger-${n % 500}`));
    await Promise.all(strangers.map((one, n) => party.publish(eventTopic(one), call(one, n))));
    const ofStrangers = (): Said[] => party.seen.filter(({ topic }) => topic.includes("/stranger-") && topic.endsWith("/verdict")).map(({ body }) => body.data);
    const unknown = (): number => ofStrangers().filter(({ code }) => code === "IDN_UNKNOWN_PUBLISHER").length;
    await party.untilAll("a verdict for each, or a count", () => unknown() + leftOutOf(ofStrangers()) === 2_000, 60_000);
    expect(leftOutOf(ofStrangers())).toBeGreaterThan(0);
    expect(ofStrangers().filter(({ code }) => code === CODE).length * 10).toBeLessThan(leftOutOf(ofStrangers()));
  }, 90_000);

  test("a device that comes back with more than its quota, and goes by its cursor, loses nothing", async () => {
    const KEPT = 700;
    const cursors = (): Seen[] => party.seen.filter(({ topic }) => topic === `${DEVICE.slice(1)}/cursor`);
    const through = (): number => Number(cursors().at(-1)?.body.data.through ?? 0);
    await all(DEVICE, 2, KEPT);
    await party.untilAll("a verdict for each, or a count", () => toldOf(DEVICE) >= KEPT);
    expect(leftOutOf(verdictsOf(DEVICE))).toBeGreaterThan(0);
    // nothing came behind it, and yet the cursor asks for it
    await party.untilAll("the cursor to ask for what was left out", () =>
      cursors().some(({ body }) => body.data.missing.length > 0 && body.data.highest === `${KEPT}`),
    );
    while (through() < KEPT) {
      const [from, told] = [through() + 1, toldOf(DEVICE)];
      await all(DEVICE, from, Math.min(KEPT, from + 99));
      await party.untilAll("what became of it", () => toldOf(DEVICE) > told || through() >= from);
    }
    await party.untilAll("all of it accepted", () => acceptedOf(DEVICE).length === KEPT);
    expect(acceptedOf(DEVICE)).toEqual(idsOf(DEVICE, KEPT));
    const [row] = await plant.database.query(
      `select count(*)::int as n, count(distinct event_id)::int as ids from verdicts where source = '${DEVICE}' and facts > 0`,
    );
    expect(row).toEqual({ n: KEPT, ids: KEPT });
    expect((await plant.ask("GET", `/v1/sources/${SITE}/1/device-1`)).body).toMatchObject({ through: `${KEPT}`, missing: [], parked: null });
  }, 90_000);

  test("what is left out is acknowledged only when that is committed: whoever follows gets all of it from the broker again", async () => {
    refusing = true;
    let sent = 1;
    for (; refused === 0; sent += 100) await all(CRASHING, sent + 1, sent + 100);
    expect(leftOutOf(verdictsOf(CRASHING))).toBe(0);
    await plant.restart({});
    // nobody sends anything again; what the broker redelivers may be judged now, or be left out and counted, once
    const judged = (): number => new Set(verdictsOf(CRASHING).flatMap(({ code, event }) => (code === CODE ? [] : [event.id]))).size;
    await party.untilAll("a verdict for each that was sent, or a count", () => judged() + leftOutOf(verdictsOf(CRASHING)) >= sent);
    expect(judged() + leftOutOf(verdictsOf(CRASHING))).toBe(sent);
  }, 90_000);

  test("it is decided again as it was", async () => {
    expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
    const [row] = await plant.database.query(
      `select count(*)::int as n from audit_entries e join signals g using (site, position) join verdicts v using (site, position)
       where v.code = '${CODE}' and g.body -> 'leftOut' = v.explanation -> 'leftOut' and position(convert_to('"leftOut":{"count":', 'UTF8') in e.entry) > 0`,
    );
    const [counted] = await plant.database.query(`select count(*)::int as n from verdicts where code = '${CODE}'`);
    expect(row).toEqual(counted);
  });
});
