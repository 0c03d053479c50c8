// Promise: one bad message cannot stop or reorder a source. What yields an agreeing source, epoch and sequence takes its number however bad the rest is; everything else is
// refused by name and claims nothing.
// Attack: more than 500 hostile payloads, on the topic of a source that goes on and on another; after each, a good event of that source and of a neighbour is decided.
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOSTILE } from "../support/hostile.ts";
import { measured } from "../support/measure.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const TARGET = sourceOf("hostile", "1", "target");
const VICTIM = sourceOf("hostile", "1", "victim");
const NEIGHBOUR = sourceOf("hostile", "1", "neighbour");
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  for (const name of ["target", "victim", "neighbour"]) await plant.equipment("hostile", name, "1", "unit");
  await party.subscribe("site/hostile/line/1/eq/+/verdict");
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

test("each hostile payload gets its code, and after each both the attacked source and its neighbour go on", async () => {
  const next = new Map([TARGET, VICTIM, NEIGHBOUR].map((source) => [source, 1]));
  const take = (source: string): number => {
    const n = next.get(source) ?? 1;
    next.set(source, n + 1);
    return n;
  };
  const codes = new Set<string>();
  const wrong: string[] = [];
  let sent = 0;
  const good = async (source: string): Promise<void> => {
    const n = take(source);
    await party.publish(eventTopic(source), envelope(source, 1, n, "call.closed", { call: "help" }));
    await party.until(
      `${source} goes on at ${n}`,
      (s) =>
        s.topic === verdictTopicOf(source) &&
        s.body.data.event.sequence === String(n) &&
        s.body.data.status === "accepted" &&
        s.body.data.event.source === source,
    );
  };
  for (const [i, hostile] of HOSTILE.entries()) {
    for (const source of [TARGET, VICTIM]) {
      const sequence = next.get(source) ?? 1;
      const seenBefore = party.seen.length;
      await party.publish(eventTopic(source), hostile.payload({ source, epoch: 1, sequence, id: `bad-${i}-${source.slice(-6)}` }));
      sent += 1;
      if (hostile.numbered) take(source);
      const verdict = await party.until(
        `a verdict on ${hostile.name}`,
        (s) => s.topic === verdictTopicOf(source) && s.body.data.status !== "accepted" && party.seen.includes(s, seenBefore),
      );
      codes.add(verdict.body.data.code);
      if (verdict.body.data.code !== hostile.code || !verdict.body.data.final)
        wrong.push(`${hostile.name}: expected ${hostile.code}, got ${verdict.body.data.code} (${verdict.body.data.status}: ${verdict.body.data.reason})`);
      if (hostile.numbered && verdict.body.data.event.sequence !== String(sequence)) wrong.push(`${hostile.name}: its number ${sequence} was not read`);
    }
    await Promise.all([good(TARGET), good(VICTIM), good(NEIGHBOUR)]);
  }
  // a level of the topic that no plant id can be is answered on its own branch
  for (const level of ["-bad id", "x".repeat(65)]) {
    await party.publish(`site/hostile/line/1/eq/${level}/event`, "{}");
    const verdict = await party.until(`a verdict beside ${level}`, ({ topic }) => topic === `site/hostile/line/1/eq/${level}/verdict`);
    expect(verdict.body.data).toMatchObject({ status: "rejected", code: "TOP_WRONG_DOMAIN", event: {} });
  }
  measured("hostile.payloads", String(sent));
  measured("hostile.codes", String(codes.size));
  expect(wrong).toEqual([]);
  expect(sent).toBeGreaterThanOrEqual(500);
  expect(codes.size).toBeGreaterThanOrEqual(15);
});
