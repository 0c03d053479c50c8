// Promise: one bad message cannot stop or reorder a source. What yields an agreeing source, epoch and sequence takes its number however bad the rest is; everything else is
// refused by name and claims nothing. What claims an approval is refused and alarmed.
// Attack: more than 500 hostile payloads, on the topic of a source that goes on and on another; after each, a good event of that source and of a neighbour is decided.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOSTILE } from "../support/hostile.ts";
import { measured } from "../support/measure.ts";
import { envelope, eventTopic, join as joinBroker, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { repository } from "../support/repository.ts";

const TARGET = sourceOf("hostile", "1", "target");
const VICTIM = sourceOf("hostile", "1", "victim");
const NEIGHBOUR = sourceOf("hostile", "1", "neighbour");
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await joinBroker(plant.mqttUrl, { protocol: 4 });
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

test("whatever claims an approval, verification, signature or release by its type or a top-level field is refused, and counted where the alert looks", async () => {
  const counted = async (): Promise<number> => {
    const text = await (await fetch(`${plant.url}/metrics`)).text();
    const [line = ""] = text.split("\n").filter((one) => one.startsWith("signalbox_verdicts_total{") && one.includes('code="APR_OVER_MQTT"'));
    expect(line === "" || line.includes('status="rejected"'), line).toBe(true);
    return Number(line.split(" ").at(-1) ?? 0);
  };
  const alerts = readFileSync(join(repository(), "docs/alerts.yml"), "utf8");
  expect(alerts).toMatch(/alert: SignalboxApprovalClaimed[\s\S]{0,200}signalbox_verdicts_total\{code="APR_OVER_MQTT"\}/);
  const before = await counted();
  const gate = sourceOf("hostile", "1", "gate");
  await plant.equipment("hostile", "gate", "1", "unit");
  const claims = [
    envelope(gate, 1, 1, "batch.approved", {}),
    envelope(gate, 1, 2, "step.verified", {}),
    envelope(gate, 1, 3, "batch.release", {}),
    envelope(gate, 1, 4, "call.raised", { call: "help" }, { signature: "QA" }),
    envelope(gate, 1, 5, "call.raised", { call: "help" }, { approvedby: "QA" }),
    envelope(gate, 1, 6, "call.raised", { call: "help", approved: true }),
  ];
  for (const claim of claims) {
    await party.publish(eventTopic(gate), claim);
    const verdict = await party.until("its refusal", ({ topic, body }) => topic === verdictTopicOf(gate) && body.causationid === claim["id"]);
    expect(verdict.body.data).toMatchObject({ status: "rejected", final: true, code: "APR_OVER_MQTT" });
  }
  expect((await counted()) - before).toBe(claims.length);
  // what an inspection found stays evidence: it approves nothing
  const inspected = envelope(gate, 1, 7, "check.performed", { check: "seal", result: "pass", text: "approved by vision" });
  await party.publish(eventTopic(gate), inspected);
  const verdict = await party.until("its verdict", ({ topic, body }) => topic === verdictTopicOf(gate) && body.causationid === inspected["id"]);
  expect(verdict.body.data.code ?? null).not.toBe("APR_OVER_MQTT");
});
