// Promise: section 6 of the contract happens as it is written, message by message, over MQTT 5 and 3.1.1; and every verdict published equals the one that REST shows.
// Attack: run it as written, then hold every message against the served documents and against each other.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BLEND } from "../support/blend.ts";
import { measured } from "../support/measure.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";
import { join, type Party, type Seen } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import type { Said } from "../support/shapes.ts";

const SCALE = "/site/rtm1/line/4/eq/scale-1";
const MIXER = "/site/rtm1/line/4/eq/mixer-1";

describe("section 6 of the contract over MQTT 3.1.1, the embedded broker", () => section6("embedded", 4));
describeWithMosquitto("section 6 of the contract over MQTT 5, mosquitto", () => section6("mosquitto", 5));

function section6(broker: "embedded" | "mosquitto", protocol: 4 | 5): void {
  let plant: Plant;
  let party: Party;

  beforeAll(async () => {
    plant = await startPlant({ broker });
    party = await join(plant.mqttUrl, { protocol });
  });
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
  });

  test("a batch runs to completion as written", async () => {
    expect((await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND)).status).toBeLessThan(300);
    await plant.equipment("rtm1", "scale-1", "4", "scale");
    await plant.equipment("rtm1", "mixer-1", "4", "mixer");
    await party.subscribe("site/rtm1/#");

    const order = {
      batch: "B-1042",
      jobOrder: "PO-77",
      line: "4",
      recipe: "blend",
      revision: 3,
      quantity: { value: "25.000", unit: "kg" },
      equipment: { scale: "scale-1", mixer: "mixer-1" },
    };
    expect((await plant.ask("POST", "/v1/sites/rtm1/batches", order, { "idempotency-key": "k-1" })).status).toBe(201);
    expect((await plant.ask("POST", "/v1/sites/rtm1/batches", order)).status).toBe(200);
    expect((await plant.ask("POST", "/v1/sites/rtm1/batches", { ...order, line: "5" })).status).toBe(409);
    for (const command of ["release-to-floor", "start"]) {
      expect((await plant.ask("POST", "/v1/sites/rtm1/batches/B-1042/commands", { command, reason: "shift plan" })).status).toBe(200);
    }

    const scale = (id: string, sequence: string, type: string, time: string, more: object): Promise<void> =>
      party.publish(`${SCALE.slice(1)}/event`, {
        specversion: "1.0",
        id,
        source: SCALE,
        type: `signalbox.${type}.v1`,
        time,
        timesource: "ntp",
        epoch: "7",
        sequence,
        ...more,
      });
    const context = { batchid: "B-1042", stepid: "weigh" };
    await scale("s1-7-39", "39", "source.birth", "2026-11-22T07:59:59.500Z", { data: { next: "40" } });
    await scale("s1-7-40", "40", "step.start", "2026-11-22T08:00:01.400Z", { ...context, data: {} });
    await scale("s1-7-41", "41", "step.complete", "2026-11-22T08:00:03.120Z", { ...context, data: {} });

    const round1 = await verdict(party, SCALE, "s1-7-41", 1);
    expect(round1.data).toMatchObject({ status: "deferred", final: false, code: "EVD_MISSING", next: "wait" });
    const cursorAt41 = await party.until("the cursor at 41", (s) => s.topic === `${SCALE.slice(1)}/cursor` && s.body?.data.through === "41");
    expect(cursorAt41.body.data).toMatchObject({ epoch: "7", highest: "41", missing: [], parked: false, generation: 1 });

    const round2 = await verdict(party, SCALE, "s1-7-41", 2);
    expect(round2).toMatchObject({ specversion: "1.0", source: "/site/rtm1/signalbox", type: "signalbox.event.decided.v1", causationid: "s1-7-41" });
    expect(round2.data).toMatchObject({
      round: 2,
      event: { source: SCALE, id: "s1-7-41", type: "signalbox.step.complete.v1", epoch: "7", sequence: "41" },
      status: "rejected",
      final: true,
      code: "EVD_MISSING",
      reason: "Step weigh needs one net-weight and has none.",
      next: "correct",
      context: { batch: "B-1042", step: "weigh", attempt: 1, from: "claim" },
      explanation: { state: "in_progress", stateMachine: "step/governed@1" },
    });
    expect(round2.data.remedy).toEqual(expect.any(String));
    expect(round2.data.explanation.permitted).toEqual(
      expect.arrayContaining(["signalbox.step.evidence.v1", "signalbox.step.pause.v1", "signalbox.step.abort.v1"]),
    );
    expect(round2.data.explanation.guards).toContainEqual(
      expect.objectContaining({ guard: "evidence.complete@1", ok: false, code: "EVD_MISSING", expected: "net-weight: 1", actual: "0" }),
    );

    await scale("s1-7-42", "42", "step.evidence", "2026-11-22T08:00:08.700Z", { ...context, data: { evidence: "net-weight", value: "12.503", unit: "kg" } });
    await scale("s1-7-43", "43", "step.complete", "2026-11-22T08:00:09.004Z", { ...context, data: {} });
    expect((await verdict(party, SCALE, "s1-7-43", 1)).data.status).toBe("accepted");

    const mixer = (sequence: string, type: string, time: string, data: object): Promise<void> =>
      party.publish(`${MIXER.slice(1)}/event`, {
        specversion: "1.0",
        id: `m1-1-${sequence}`,
        source: MIXER,
        type: `signalbox.${type}.v1`,
        time,
        timesource: "ntp",
        epoch: "1",
        sequence,
        batchid: "B-1042",
        stepid: "blend",
        data,
      });
    await mixer("1", "step.start", "2026-11-22T08:01:00.000Z", {});
    await mixer("2", "step.evidence", "2026-11-22T08:01:01.500Z", { evidence: "end-temperature", value: "24.5", unit: "Cel" });
    await mixer("3", "step.complete", "2026-11-22T08:01:02.000Z", {});
    await party.untilAll("ten outcomes", (seen) => outcomes(seen).length >= 10);

    const all = outcomes(party.seen);
    expect(all.map((o) => [o.sequence, o.type])).toEqual([
      ["1", "signalbox.batch.created.v1"],
      ["2", "signalbox.batch.ready.v1"],
      ["3", "signalbox.batch.started.v1"],
      ["4", "signalbox.step.started.v1"],
      ["5", "signalbox.evidence.recorded.v1"],
      ["6", "signalbox.step.completed.v1"],
      ["7", "signalbox.step.started.v1"],
      ["8", "signalbox.evidence.recorded.v1"],
      ["9", "signalbox.step.completed.v1"],
      ["10", "signalbox.batch.completed.v1"],
    ]);
    expect(all[5]).toMatchObject({
      source: "/site/rtm1/batch/B-1042",
      time: "2026-11-22T08:00:09.004Z",
      causationid: "s1-7-43",
      data: {
        batch: "B-1042",
        jobOrder: "PO-77",
        step: "weigh",
        attempt: 1,
        equipment: ["scale-1"],
        from: { isa88: "Running", step: "in_progress" },
        to: { isa88: "Complete", step: "complete" },
        isa95: "Running",
        recipe: "blend@3",
        evidence: [{ evidence: "net-weight", value: "12.503", unit: "kg", by: "s1-7-42" }],
        flags: [],
        generation: 1,
      },
    });
    const positions = all.map((o) => o.data.position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  test("every verdict equals the one over REST", async () => {
    const verdicts = party.seen.filter((s) => s.topic.endsWith("/verdict")).map((s) => s.body.data);
    expect(verdicts.length).toBeGreaterThanOrEqual(9);
    for (const said of verdicts) {
      const { status, body } = await plant.ask("GET", `/v1/events/${said.verdict}`);
      expect(status).toBe(200);
      expect(body).toMatchObject(said);
      expect(body.rounds).toContainEqual(said);
    }
    measured(`contract.${broker}`, `MQTT ${protocol === 5 ? "5" : "3.1.1"}: completed, ${verdicts.length} verdicts equal to REST`);
  });
}

const outcomes = (seen: readonly Seen[]): Said[] => seen.filter((s) => s.topic === "site/rtm1/line/4/batch/B-1042/outcome").map((s) => s.body);

async function verdict(party: Party, source: string, id: string, round: number): Promise<Said> {
  const found = await party.until(
    `verdict ${round} of ${id}`,
    (s) => s.topic === `${source.slice(1)}/verdict` && s.body?.data.event.id === id && s.body.data.round === round,
  );
  return found.body;
}
