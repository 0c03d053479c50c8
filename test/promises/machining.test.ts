// Promise: a real controller's log, played as device reports, gives exactly what happened, however it arrives: 60 starts, 60 completions, 28 pauses, 28 resumes, and 6
// reports of unplanned work quarantined for a person.
// Attack: every event three times, in any order of arrival, through a real broker.
// Data: NIST Smart Manufacturing Systems Test Bed (test/data/machining-covers/NOTICE.md).
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { measured, SEED, seeded, shuffled } from "../support/measure.ts";
import { envelope, eventTopic, join, type Party, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";

const SOURCE = sourceOf("nist", "covers", "Hurco04");
let plant: Plant;
let party: Party;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  party = await join(plant.mqttUrl, { protocol: 4 });
});
afterAll(async () => {
  await party?.end();
  await plant?.stop();
});

const RECIPE = {
  recipe: "cover",
  revision: 1,
  product: "Cover",
  quantity: { value: "1", unit: "{piece}" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  steps: ["op1", "op2", "op3"].map((step, i) => ({
    step,
    ...(i === 0 ? {} : { after: [`op${i}`] }),
    equipment: [{ role: "machine", class: "mill", locked: "step" }],
  })),
};

interface Row {
  readonly ts: string;
  readonly op: number;
  readonly unit: number;
  readonly item: string;
  readonly value: string;
}

/** The controller's words as reports: what a gateway that knows only its own log would send. */
function reports(): Record<string, unknown>[] {
  const rows: Row[] = readFileSync(new URL("../data/machining-covers/status-events.jsonl", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  const running = new Map<string, "paused" | "active" | "done">();
  return rows
    .filter((row) => row.item === "Program_Status")
    .map((row, i) => {
      const run = `${row.unit} ${row.op}`;
      const before = running.get(run);
      const type =
        row.value === "ACTIVE" ? (before === "paused" ? "step.resume" : "step.start") : row.value === "PROGRAM_COMPLETED" ? "step.complete" : "step.pause";
      running.set(
        run,
        type === "step.start" || type === "step.resume"
          ? before === "done"
            ? "done"
            : "active"
          : type === "step.complete"
            ? "done"
            : before === "done"
              ? "done"
              : "paused",
      );
      const reported = type === "step.start" || type === "step.complete" ? { occurred: true } : {};
      return envelope(
        SOURCE,
        1,
        i + 1,
        type,
        {},
        { time: row.ts.replace(/(\.\d{6})\d*Z$/, "$1Z"), batchid: `cover-${row.unit}`, stepid: `op${row.op}`, ...reported },
      );
    });
}

test("the machining log gives its 60 starts, 60 completions, 28 pauses, 28 resumes and 6 quarantined reports", async () => {
  await plant.ask("PUT", "/v1/registry/recipes/cover/revisions/1", RECIPE);
  await plant.equipment("nist", "Hurco04", "covers", "mill");
  for (let unit = 1; unit <= 20; unit += 1) {
    const batch = `cover-${unit}`;
    const order = {
      batch,
      jobOrder: `order-${unit}`,
      line: "covers",
      recipe: "cover",
      revision: 1,
      quantity: { value: "1", unit: "{piece}" },
      equipment: { machine: "Hurco04" },
    };
    expect((await plant.ask("POST", "/v1/sites/nist/batches", order)).status).toBe(201);
    for (const command of ["release-to-floor", "start"]) await plant.ask("POST", `/v1/sites/nist/batches/${batch}/commands`, { command });
  }
  await party.subscribe(verdictTopicOf(SOURCE), "site/nist/line/covers/batch/+/outcome");
  const log = reports();
  expect(log.length).toBe(182);
  const arrivals = shuffled([...log, ...log, ...log], seeded(SEED));
  await Promise.all(arrivals.map((event) => party.publish(eventTopic(SOURCE), event)));
  const last = `Hurco04-1-182`;
  await party.untilAll(
    `a final or quarantined verdict of each of 182 events (seed ${SEED})`,
    (seen) =>
      new Set(
        seen
          .filter((s) => s.topic.endsWith("/verdict") && s.body.data.status !== "duplicate" && s.body.data.status !== "deferred")
          .map((s) => s.body.data.event.id),
      ).size === 182,
    60_000,
  );
  await party.untilAll(
    "three verdicts of each event",
    (seen) => seen.filter((s) => s.topic.endsWith("/verdict") && s.body.data.round === 1).length >= 546,
    60_000,
  );
  await party.until("the outcome of the last event", (s) => s.topic.endsWith("/outcome") && s.body.causationid === last);

  const outcomes = party.seen.filter((s) => s.topic.endsWith("/outcome")).map((s) => s.body);
  const count = (type: string): number => outcomes.filter((o) => o.type === `signalbox.${type}.v1`).length;
  const settled = party.seen.filter((s) => s.topic.endsWith("/verdict")).map((s) => s.body.data);
  const final = settled.filter((v) => v.status !== "duplicate" && v.status !== "deferred");
  const counts = {
    starts: count("step.started"),
    completions: count("step.completed"),
    pauses: count("step.paused"),
    resumes: count("step.resumed"),
    quarantined: final.filter((v) => v.status === "quarantined").length,
    other: final.filter((v) => v.status !== "quarantined" && v.status !== "accepted").length,
    duplicates: settled.filter((v) => v.status === "duplicate").length,
    batchesComplete: count("batch.completed"),
  };
  measured("machining", JSON.stringify(counts));
  expect(counts, `seed ${SEED}`).toEqual({
    starts: 60,
    completions: 60,
    pauses: 28,
    resumes: 28,
    quarantined: 6,
    other: 0,
    duplicates: 364,
    batchesComplete: 20,
  });

  const { body } = await plant.ask("GET", "/v1/quarantine?site=nist");
  expect(body.items.length).toBe(6);
});
