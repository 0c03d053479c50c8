// Promise: events of a source are judged in its order, each at most once, however often and in whatever order they arrive; what restricts acts at once behind a gap, and
// nothing is permitted against it; what is only not yet permitted waits.
// Attack: twenty sources, a thousand events, three times each, shuffled within the waiting bound; every type that does not wait behind a gap; four dependent sources in any
// interleaving.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { measured, SEED, seeded, shuffled } from "../support/measure.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import type { Said } from "../support/shapes.ts";

let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await party.subscribe("site/+/line/+/eq/+/verdict", "site/+/line/+/eq/+/cursor", "site/+/line/+/batch/+/outcome", "site/+/line/+/eq/+/outcome");
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

const verdictsOf = (source: string): Said[] =>
  party.seen.filter((s) => s.topic === verdictTopicOf(source) && s.body.data.event.source === source).map((s) => s.body.data);

test("20 sources, 1,000 events three times, shuffled: the same facts as once in order, the rest duplicates, numbers contiguous", async () => {
  const sources = Array.from({ length: 20 }, (_, i) => sourceOf("order", "1", `counter-${i + 1}`));
  for (const source of sources) await plant.equipment("order", source.split("/").pop() ?? "", "1", "counter");
  const random = seeded(SEED);
  const perSource = 50;
  const TYPES = [
    ["call.raised", { call: "material" }],
    ["call.closed", { call: "material" }],
    ["alarm.cleared", { alarm: "jam" }],
    ["downtime.reported", { reason: "lunch" }],
    ["equipment.changed", { what: "tool", from: "a", to: "b" }],
  ] as const;
  const events = sources.flatMap((source) =>
    Array.from({ length: perSource }, (_, n) => {
      const [type, data] = TYPES[n % TYPES.length] ?? TYPES[0];
      return { source, event: envelope(source, 3, n + 1, type, data) };
    }),
  );
  const arrivals = shuffled([...events, ...events, ...events], random);
  await Promise.all(arrivals.map(({ source, event }) => party.publish(eventTopic(source), event)));
  await party.untilAll(
    `1,000 accepted and 2,000 duplicates (seed ${SEED})`,
    () =>
      sources.every(
        (source) =>
          verdictsOf(source).filter((v) => v.status === "accepted").length === perSource &&
          verdictsOf(source).filter((v) => v.status === "duplicate").length === 2 * perSource,
      ),
    60_000,
  );
  for (const source of sources) {
    const verdicts = verdictsOf(source);
    const accepted = verdicts.filter((v) => v.status === "accepted").sort((a, b) => a.position - b.position);
    expect(
      accepted.map((v) => Number(v.event.sequence)),
      `order of ${source}, seed ${SEED}`,
    ).toEqual(Array.from({ length: perSource }, (_, n) => n + 1));
    expect(verdicts.filter((v) => !["accepted", "duplicate", "deferred"].includes(v.status))).toEqual([]);
    const outcomes = party.seen.filter((s) => s.topic === `${source.slice(1)}/outcome`).map((s) => s.body);
    expect(
      outcomes.map((o) => Number(o.sequence)),
      `outcomes of ${source}, seed ${SEED}`,
    ).toEqual(Array.from({ length: perSource }, (_, n) => n + 1));
    expect(outcomes.map((o) => o.causationid)).toEqual(accepted.map((v) => v.event.id));
  }
  measured("order.shuffled", `seed ${SEED}: 3000 deliveries, 1000 accepted in order, 2000 duplicates`);
});

const RECIPE = {
  recipe: "assemble",
  revision: 1,
  product: "thing",
  quantity: { value: "1", unit: "{piece}" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  steps: [
    {
      step: "first",
      patience: "PT20S",
      equipment: [{ role: "one", class: "station", locked: "step" }],
      evidence: [{ evidence: "weight", kind: "measurement", unit: "kg" }],
    },
    {
      step: "second",
      after: ["first"],
      patience: "PT20S",
      equipment: [{ role: "two", class: "station", locked: "step" }],
      evidence: [{ evidence: "weight", kind: "measurement", unit: "kg" }],
    },
  ],
};

async function startBatch(site: string, batch: string, equipment: Record<string, string>): Promise<void> {
  await plant.ask("PUT", "/v1/registry/recipes/assemble/revisions/1", RECIPE);
  for (const name of Object.values(equipment)) await plant.equipment(site, name, "1", "station");
  const order = { batch, jobOrder: `order-${batch}`, line: "1", recipe: "assemble", revision: 1, quantity: { value: "1", unit: "{piece}" }, equipment };
  expect((await plant.ask("POST", `/v1/sites/${site}/batches`, order)).status).toBe(201);
  for (const command of ["release-to-floor", "start"]) await plant.ask("POST", `/v1/sites/${site}/batches/${batch}/commands`, { command });
}

describe("what does not wait, behind a gap", () => {
  const acted: string[] = [];
  const context = (batch: string) => ({ batchid: batch, stepid: "first" });
  test.each([
    ["batch.pause", {}, true],
    ["batch.stop", { reason: "spill" }, true],
    ["batch.abort", { reason: "spill" }, true],
    ["step.pause", {}, true],
    ["step.abort", { reason: "spill" }, true],
    ["alarm.raised", { alarm: "jam" }, false],
    ["quality.signal", { signal: "odour" }, false],
  ] as const)("%s acts at once, once, and nothing is permitted against it", async (type, data, stops) => {
    const name = `ahead-${type.replace(".", "-")}`;
    const station = `${name}-1`;
    await startBatch("ahead", name, { one: station, two: `${name}-2` });
    const source = sourceOf("ahead", "1", station);
    const send = (n: number, t: string, d: object, more: object = {}): Promise<void> =>
      party.publish(eventTopic(source), envelope(source, 1, n, t, { ...d }, { ...more }));
    await send(1, "step.start", {}, context(name));
    const claim = type.startsWith("step.") ? context(name) : type.startsWith("batch.") ? { batchid: name } : {};
    const first = envelope(source, 1, 4, type, { ...data }, { ...claim });
    await party.publish(eventTopic(source), first);
    const ahead = await party.until(
      `${type} acts ahead`,
      (s) => s.topic === verdictTopicOf(source) && s.body.data.event.sequence === "4" && s.body.data.round === 1,
    );
    expect(ahead.body.data).toMatchObject({ status: "accepted", final: true, ahead: true });
    // the numbers before it arrive late: they ask for what it forbids
    await send(2, "step.evidence", { evidence: "weight", value: "1.0", unit: "kg" }, context(name));
    await send(3, "step.complete", {}, context(name));
    await party.publish(eventTopic(source), first);
    await party.until(
      "the number behind is taken",
      (s) => s.topic === `${source.slice(1)}/cursor` && s.body.data.through === "4" && s.body.data.missing.length === 0,
    );
    const settled = (n: number) => verdictsOf(source).filter((v) => v.event.sequence === String(n));
    await party.untilAll("a verdict on each number before it", () => settled(2).length > 0 && settled(3).length > 0);
    await party.untilAll("the repeat to be told so", () => settled(4).some((v) => v.status === "duplicate"));
    expect(settled(4).filter((v) => v.status === "accepted").length).toBe(1);
    if (stops) expect(settled(3).map((v) => v.status)).not.toContain("accepted");
    else expect(settled(3).at(-1)?.status).toBe("accepted");
    acted.push(type);
    measured("order.ahead", `${acted.length} of 7 types acted at once, once: ${acted.join(", ")}`);
  });
});

test("four dependent sources in any interleaving: the same facts, none illegal, no verdict left open", async () => {
  const rounds = 6;
  const random = seeded(SEED + 1);
  for (let round = 0; round < rounds; round += 1) {
    const batch = `dep-${round}`;
    const names = { one: `dep-${round}-a`, two: `dep-${round}-b` };
    await startBatch("dependent", batch, names);
    for (const scale of [`dep-${round}-c`, `dep-${round}-d`]) await plant.equipment("dependent", scale, "1", "station");
    const [a, b] = [sourceOf("dependent", "1", names.one), sourceOf("dependent", "1", names.two)];
    const first = { batchid: batch, stepid: "first" };
    const second = { batchid: batch, stepid: "second" };
    const weight = { evidence: "weight", value: "1.0", unit: "kg" };
    // two stations and a device on each, all numbering by themselves
    const deviceA = `${a}/device/scale`;
    const deviceB = `${b}/device/scale`;
    for (const [equipment, device] of [
      [names.one, deviceA],
      [names.two, deviceB],
    ] as const) {
      await plant.ask("PUT", `/v1/sites/dependent/registry/sources/${equipment}-scale`, { source: device });
    }
    const streams = [
      [envelope(a, 1, 1, "step.start", {}, first), envelope(a, 1, 2, "step.complete", {}, first)],
      [envelope(deviceA, 1, 1, "step.evidence", weight, first)],
      // the weight after the completion, from the same source
      [envelope(b, 1, 1, "step.start", {}, second), envelope(b, 1, 2, "step.complete", {}, second), envelope(b, 1, 3, "step.evidence", weight, second)],
      [envelope(deviceB, 1, 1, "call.raised", { call: "help" }, second)],
    ];
    const order = shuffled(
      streams.flatMap((stream, i) => stream.map(() => i)),
      random,
    );
    const next = streams.map((stream) => [...stream]);
    for (const i of order) {
      const event = next[i]?.shift();
      if (event !== undefined) await party.publish(eventTopic(String(event["source"])), event);
    }
    const topic = `site/dependent/line/1/batch/${batch}/outcome`;
    await party.until(`batch ${batch} completes (seed ${SEED})`, (s) => s.topic === topic && s.body.type === "signalbox.batch.completed.v1", 30_000);
    const outcomes = party.seen.filter((s) => s.topic === topic).map((s) => s.body);
    const steps = outcomes
      .filter((o) => o.data.step !== undefined && o.type !== "signalbox.call.raised.v1")
      .map((o) => `${o.data.step} ${o.type.split(".").slice(1, 3).join(".")}`);
    expect(steps, `seed ${SEED}`).toEqual([
      "first step.started",
      "first evidence.recorded",
      "first step.completed",
      "second step.started",
      "second evidence.recorded",
      "second step.completed",
    ]);
    const ids = streams.flat().map((event) => [String(event["source"]), String(event["id"])] as const);
    const lastOf = (source: string, id: string) =>
      verdictsOf(source)
        .filter((v) => v.event.id === id)
        .sort((x, y) => x.round - y.round)
        .at(-1);
    // what was sent after the batch's last event may be decided after it
    await party.untilAll(`a final verdict on each event (seed ${SEED})`, () => ids.every(([source, id]) => lastOf(source, id)?.final === true));
    for (const [source, id] of ids) expect(lastOf(source, id), `${id}, seed ${SEED}`).toMatchObject({ status: "accepted" });
  }
  measured("order.dependent", `seed ${SEED}: ${rounds} interleavings, six facts each, none illegal, none open`);
});

test("numbers up to the very last one: a gap without end is told, a declared loss of all of them is stepped over at once, and nobody else waits", async () => {
  const [source, other] = [sourceOf("order", "1", "odometer"), sourceOf("order", "1", "neighbour")];
  for (const name of ["odometer", "neighbour"]) await plant.equipment("order", name, "1", "counter");
  const last = 2n ** 63n - 1n;
  const call = { call: "help" };
  const cursor = (fits: (data: Said) => boolean) =>
    party.until("the cursor", ({ topic, body }) => topic === `${source.slice(1)}/cursor` && body.data.source === source && fits(body.data));
  await party.publish(eventTopic(source), envelope(source, 1, 1, "call.raised", call));
  await party.publish(eventTopic(source), envelope(source, 1, String(last), "call.raised", call));
  expect((await cursor(({ highest }) => highest === String(last))).body.data.missing).toEqual([{ epoch: "1", from: "2", to: String(last - 1n) }]);
  const lost = { from: "2", to: String(last - 2n) };
  await party.publish(eventTopic(source), envelope(source, 1, String(last - 1n), "source.lost", lost));
  expect((await cursor(({ through }) => through === String(last))).body.data).toMatchObject({ missing: [], parked: false });
  await party.publish(eventTopic(other), envelope(other, 1, 1, "call.raised", call));
  await party.until("the neighbour", ({ topic, body }) => topic === verdictTopicOf(other) && body.data.status === "accepted");
  expect(verdictsOf(source).map(({ event, status }) => [event.sequence, status])).toEqual([
    ["1", "accepted"],
    [String(last), "deferred"],
    [String(last - 1n), "accepted"],
    [String(last), "accepted"],
  ]);
  // the source goes on in a newer epoch
  await party.publish(eventTopic(source), envelope(source, 2, 1, "call.raised", call));
  await cursor(({ through }) => through === "1");
});
