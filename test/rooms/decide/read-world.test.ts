import { describe, expect, test } from "vitest";
import { assembleWorld } from "../../../src/decide/assemble-world.ts";
import { noDefinitions, readDefinitions } from "../../../src/decide/definitions.store.ts";
import { readWorld } from "../../../src/decide/world.store.ts";
import { numberKey, type WorldData, windowKey } from "../../../src/decide/world-data.ts";
import { askFor, EVERY_STEP, emptyRequest, NotRead, type WorldRequest } from "../../../src/decide/world-request.ts";
import type { StoredSignal, WorldRows } from "../../../src/decide/world-rows.ts";
import { parseRecipe } from "../../../src/registry/recipe.ts";
import { WAITING } from "../../../src/sequence/source-state.ts";
import { answering } from "../../support/answering-database.ts";
import { BLEND } from "../../support/blend.ts";
import { SOURCE, TOPIC, weight } from "../decode/deliveries.ts";

// Promise: the judge sees the world as it is stored: every field, at its key, and null for what was looked for and is not there.
// Attack: one row of everything, each field with a value of its own, and then rows that are missing.

const AT = { site: "rtm1", shard: "s1", prefix: "", maxBytes: 262_144 };

const stored = (more: Partial<StoredSignal> = {}): StoredSignal => {
  const raw = Buffer.from(JSON.stringify(weight));
  return {
    topic: TOPIC,
    raw: raw.toString("base64"),
    raw_length: raw.byteLength,
    qos: 1,
    retained: false,
    protocol: "5",
    content_type: null,
    response_topic: null,
    user_properties: null,
    received_at: "2026-11-22T08:00:09.000000Z",
    performed_by: null,
    ...more,
  };
};

const sourceRow: WorldRows["sources"][number] = {
  key: "1",
  source: SOURCE,
  site: "rtm1",
  line: "4",
  equipment: "scale-1",
  device: null,
  numbering: true,
  revoked: false,
  version: 3,
  incarnation: 2,
  epoch: "7",
  through: "40",
  highest: "44",
  gap_position: 12,
  gap_due_at: "2026-11-22T08:01:00.000000Z",
  parked: "gap",
  parked_position: 13,
  reused: 1,
  waiting_count: 2,
  waiting_bytes: 30,
  connection: "online",
  monotonic: { "equipment.state": ["7", "9"] },
  signing: null,
  skipped: [{ first: "42", last: "43" }],
  deferred: { count: 4, bytes: 50 },
};
const source = {
  key: "1",
  source: SOURCE,
  site: "rtm1",
  line: "4",
  equipment: "scale-1",
  device: null,
  numbering: true,
  revoked: false,
  version: 3,
  incarnation: 2,
  epoch: 7n,
  through: 40n,
  highest: 44n,
  gap: { position: 12, timer: "kept" },
  gapDueAt: "2026-11-22T08:01:00.000000Z",
  skippedAhead: [{ first: 42n, last: 43n }],
  parked: { why: "gap", position: 13 },
  reused: 1,
  waitingCount: 2,
  waitingBytes: 30,
  deferredCount: 4,
  deferredBytes: 50,
  connection: "online",
  monotonic: { "equipment.state": ["7", "9"] },
};

const batchRow: WorldRows["batches"][number] = {
  batch: "B-1",
  version: 5,
  line: "4",
  job_order: "PO-1",
  recipe: "blend",
  revision: 3,
  recipe_hash: "rh",
  batch_machine: "batch/governed@1",
  batch_machine_hash: "bh",
  step_machine: "step/governed@1",
  step_machine_hash: "sh",
  disposition_stage: null,
  disposition_before: null,
  quantity: "25.000",
  unit: "kg",
  parameters: { salt: { value: "12.500", unit: "kg" } },
  roles: { scale: "scale-1" },
  execution: "running",
  disposition: "not_reviewed",
  opened_on: "2026-11-22",
  facts: 6,
  created_at: "2026-11-22T07:00:00+00:00",
  started_at: "2026-11-22T07:30:00.5+00:00",
  ended_at: null,
  closed_at: "2026-11-22T09:00:00.123456Z",
  asked: "a1",
  open_deferrals: 1,
  open_quarantine: 2,
  open_exceptions: 3,
  steps: [
    {
      step: "weigh",
      attempt: 1,
      ordinal: 0,
      state: "in_progress",
      started_at: "2026-11-22T07:31:00-00:00",
      start_source: "1",
      start_epoch: "7",
      start_time: "2026-11-22T07:30:59Z",
      ended_at: "2026-11-22T07:40:00+00:00",
      evidence: [
        {
          evidence: "net-weight",
          position: 20,
          supersedes: 19,
          event_id: "e-1",
          source: SOURCE,
          value: "12.5",
          unit: "kg",
          data: { quality: "good" },
          within: true,
          accepted: false,
          low: "12",
          high: "13",
        },
      ],
    },
  ],
};

const waits = { position: 31, id_hash: "h-43", digest: "d-43", bytes: 10, ahead: true };
const waiting = { sourceKey: "1", incarnation: 2, epoch: 7n, sequence: 43n, position: 31, idHash: "h-43", digest: "d-43", bytes: 10, ahead: true };

const rowsWith = (more: Partial<WorldRows> = {}): WorldRows => ({
  now: "2026-11-22T08:00:10.000000Z",
  waiting_bytes: 30,
  sources: [sourceRow],
  ids: [],
  numbers: [],
  windows: [],
  all_waiting: [],
  batches: [],
  equipment: [],
  awaited: [],
  wanted_batches: [],
  wanted_equipment: [],
  streams: [],
  deferrals: [],
  quarantine: [],
  exceptions: [],
  orders: [],
  keys: [],
  stations_at: [],
  stations: [],
  performances: [],
  ...more,
});
const definitions = () => {
  const known = noDefinitions();
  known.recipes.set("blend@3", { hash: "rh", content: BLEND, recipe: parseRecipe(BLEND) });
  known.machines.set("batch/governed@1", { hash: "bh", content: {} });
  known.machines.set("step/governed@1", { hash: "sh", content: {} });
  return known;
};
const assembled = (rows: Partial<WorldRows>, ask: (request: WorldRequest) => void = () => {}): WorldData => {
  const request = emptyRequest();
  request.sources.add(SOURCE);
  ask(request);
  return assembleWorld(AT, request, rowsWith(rows), definitions());
};
const inHand = { branch: { line: "4", equipment: "scale-1" }, receivedAt: "2026-11-22T08:00:09.000000Z", bytes: stored().raw_length, performedBy: null };

describe("a world as it was read", () => {
  test("is of one site and shard, at the database's time", () => {
    expect(assembled({})).toMatchObject({ site: "rtm1", shard: "s1", now: "2026-11-22T08:00:10.000000Z", waitingBytesOfShard: 30 });
  });
  test("has where a source was at a time, who was there, and who performed what came before", () => {
    const [at, nowhere] = ["2026-11-22T08:00:00.000000Z", "2026-11-22T07:00:00.000000Z"];
    const open = { session: 7, person: "olga", openedAt: nowhere, seenAt: at, idleSeconds: 600 };
    const performed = { person: "omar", station: "s-1", session: 5, at: nowhere, clock: "device" } as const;
    const world = assembled(
      {
        stations_at: [{ source: SOURCE, at, station: "s-1", ended: { session: 5, person: "omar" } }],
        stations: [{ station: "s-1", version: 4, open }],
        performances: [{ position: 12, performed_by: performed }],
      },
      (request) => {
        for (const time of [at, nowhere]) askFor(request.stationsAt, SOURCE, time);
        for (const position of [12, 13]) request.performances.add(position);
      },
    );
    expect(Object.fromEntries(world.stationsAt)).toEqual({
      [`${SOURCE} ${at}`]: { station: "s-1", ended: { session: 5, person: "omar" } },
      [`${SOURCE} ${nowhere}`]: null,
    });
    expect([...world.stations]).toEqual([["s-1", { station: "s-1", version: 4, open }]]);
    expect([...world.performances]).toEqual([
      [12, performed],
      [13, null],
    ]);
  });
  test("has what was looked for and is not there as null, and nothing that was not looked for", () => {
    const nowhere = "/site/rtm1/line/4/eq/nowhere";
    const world = assembled({ wanted_batches: ["B-9"], wanted_equipment: ["mixer-9"] }, (request) => {
      request.equipment.add("mixer-9");
      request.sources.add(nowhere);
      request.jobOrders.add("PO-9");
      request.awaited.add("batch:B-8");
      request.streams.add("site");
      request.deferrals.add(91);
      request.quarantine.add(92);
      request.recipes.add("cake@1");
      request.machines.add("oven@1");
      request.keys.add("k-9");
      request.waitingNumbers.add(SOURCE);
      askFor(request.ids, SOURCE, "h-9");
      askFor(request.ids, nowhere, "h-9");
    });
    expect([...world.sources.keys(), world.sources.get(nowhere)]).toEqual([SOURCE, nowhere, null]);
    expect([...world.batches]).toEqual([["B-9", null]]);
    expect([...world.equipment]).toEqual([["mixer-9", null]]);
    expect([...world.sourcesOfEquipment]).toEqual([["mixer-9", []]]);
    expect([...world.jobOrders]).toEqual([["PO-9", null]]);
    expect([...world.awaited]).toEqual([
      ["batch:B-8", 0],
      ["batch:B-9", 0],
    ]);
    expect([...world.streams]).toEqual([
      ["site", null],
      ["batch/B-9", null],
      ["equipment/mixer-9", null],
    ]);
    expect([...world.deferrals, ...world.quarantine]).toEqual([
      [91, null],
      [92, null],
    ]);
    expect([...world.recipes, ...world.machines, ...world.keys]).toEqual([
      ["cake@1", null],
      ["oven@1", null],
      ["k-9", null],
    ]);
    expect([...world.ids]).toEqual([["1 h-9", null]]);
    expect([...world.waitingNumbers]).toEqual([[SOURCE, []]]);
    expect([world.numbers, world.conflicts, world.waitingAt, world.waitingNext, world.waitingFor].map((map) => map.size)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe("a source", () => {
  test("has every field as it is stored", () => {
    const probe = { ...sourceRow, key: "2", source: `${SOURCE}/device/probe`, device: "probe", numbering: false };
    const world = assembled({ sources: [sourceRow, probe], wanted_equipment: ["scale-1"] }, (request) => request.equipment.add("scale-1"));
    expect(world.sources.get(SOURCE)).toEqual(source);
    expect(world.sources.get(probe.source)).toMatchObject({ device: "probe", numbering: false });
    expect([...world.sourcesOfEquipment]).toEqual([["scale-1", [SOURCE, probe.source]]]);
    const ofBatch = { sources: [sourceRow, probe], batches: [batchRow], wanted_batches: ["B-1"], wanted_equipment: ["scale-1"] };
    expect([...assembled(ofBatch, (request) => request.sourcesOf.add("B-1")).sourcesOfEquipment]).toEqual([["scale-1", [SOURCE, probe.source]]]);
    expect(assembled(ofBatch).sourcesOfEquipment.size).toBe(0);
  });
  test("has by whom its branch is signed, where it is", () => {
    const signing = { party: "scales", must: "all", keys: [] } as const;
    expect(assembled({ sources: [{ ...sourceRow, signing }] }).sources.get(SOURCE)).toStrictEqual({ ...source, signing });
    expect(assembled({ sources: [sourceRow] }).sources.get(SOURCE)).not.toHaveProperty("signing");
  });
  test("of which nothing was heard, or whose gap has no time, says so", () => {
    const told = (more: Partial<typeof sourceRow>) => assembled({ sources: [{ ...sourceRow, ...more }] }).sources.get(SOURCE);
    expect(told({ epoch: null, gap_position: null, gap_due_at: null, parked: null })).toMatchObject({ epoch: null, gap: null, gapDueAt: null, parked: null });
    expect(told({ gap_due_at: null })).toMatchObject({ gap: { position: 12, timer: "halted" } });
    expect(told({ parked_position: null })).toMatchObject({ parked: { why: "gap", position: 0 } });
  });
});

describe("an id", () => {
  const id: WorldRows["ids"][number] = {
    source: SOURCE,
    hash: "h-1",
    position: 21,
    digest: "d-1",
    version: 1,
    latest: { position: 22, round: 2, status: "accepted", code: "PAR_OOS" },
    elsewhere: null,
    waits: null,
    conflicts: [],
  };
  const known = (more: Partial<typeof id>) => assembled({ ids: [{ ...id, ...more }] }, (request) => askFor(request.ids, SOURCE, "h-1"));
  test("is known with what became of it", () => {
    const world = known({ conflicts: [{ digest: "d-2", position: 23 }] });
    expect([...world.ids]).toEqual([
      ["1 h-1", { position: 21, digest: "d-1", digestVersion: 1, latest: { position: 22, round: 2, status: "accepted", code: "PAR_OOS" }, waitsAt: null }],
    ]);
    expect([...world.conflicts]).toEqual([["1 h-1 d-2", 23]]);
    expect(world.waitingAt.size).toBe(0);
  });
  test("of which a copy was judged in its stead has that one's position and end", () => {
    const end = { position: 29, round: 2, status: "rejected", code: "STA_TERMINAL" };
    expect(known({ elsewhere: { event: 28, ...end } }).ids.get("1 h-1")).toMatchObject({ position: 28, latest: end });
  });
  test("of which no round is there yet counts as deferred at its own position", () => {
    expect(known({ latest: { position: null, round: 0, status: "", code: "x" } }).ids.get("1 h-1")?.latest).toEqual({
      position: 21,
      round: 1,
      status: "deferred",
      code: null,
    });
  });
  test("that waits is found at its number", () => {
    const world = known({ waits: { epoch: "7", sequence: "43" } });
    expect(world.ids.get("1 h-1")?.waitsAt).toEqual({ epoch: 7n, sequence: 43n });
    expect([...world.waitingAt]).toEqual([[numberKey("1", 2, 7n, 43n), { ...waiting, position: 21, idHash: "h-1", digest: "d-1", bytes: 0, ahead: false }]]);
  });
  test("of a source that is not there is left out", () => {
    expect(known({ source: "/site/rtm1/line/4/eq/nowhere", conflicts: [{ digest: "d", position: 1 }] }).conflicts.size).toBe(0);
  });
});

describe("numbers", () => {
  const number = { source: SOURCE, epoch: "7", sequence: "43", position: 31, waiting: null };
  const key = numberKey("1", 2, 7n, 43n);
  test("are taken or not, and have what waits on them", () => {
    const taken = assembled({ numbers: [number] });
    expect([[...taken.numbers], [...taken.waitingAt]]).toEqual([[[key, 31]], [[key, null]]]);
    const free = assembled({ numbers: [{ ...number, position: null, waiting: waits }] });
    expect([[...free.numbers], [...free.waitingAt]]).toEqual([[[key, null]], [[key, waiting]]]);
    expect(assembled({ numbers: [{ ...number, source: "/site/rtm1/line/4/eq/nowhere" }] }).numbers.size).toBe(0);
  });
  test("that wait come next in a window, which reaches to its end or as far as it was read", () => {
    const at = windowKey({ source: SOURCE, incarnation: 2 }, 7n);
    const ask = (request: WorldRequest) => {
      request.waitingNext.set(at, { source: SOURCE, incarnation: 2, epoch: 7n, after: 40n });
      request.waitingNext.set("elsewhere", { source: "/site/rtm1/line/4/eq/nowhere", incarnation: 1, epoch: 1n, after: 0n });
    };
    expect([...assembled({}, ask).waitingNext]).toEqual([[at, { after: 40n, reaches: null, events: [] }]]);
    const window = (events: number) => ({
      source: SOURCE,
      incarnation: 2,
      epoch: "7",
      events: Array.from({ length: events }, (_, n) => ({ ...waits, key: "1", sequence: String(43 + n), signal: stored() })),
    });
    const one = assembled({ windows: [window(1)] }, ask).waitingNext.get(at);
    expect(one).toMatchObject({ after: 40n, reaches: null, events: [{ ...waiting, event: inHand }] });
    expect(one?.events[0]?.event?.said).toMatchObject({ kind: "event", event: { id: "s1-7-42", type: "step.evidence" } });
    expect(assembled({ windows: [window(WAITING.slice)] }, ask).waitingNext.get(at)?.reaches).toBe(43n + BigInt(WAITING.slice) - 1n);
    expect(assembled({ windows: [window(1)] }).waitingNext.get(at)?.after).toBe(-1n);
  });
  test("that wait are listed where all of them were asked for", () => {
    const row = { ...waits, source: SOURCE, key: "1", incarnation: 2, epoch: "7", sequence: "43" };
    expect([...assembled({ all_waiting: [row, { ...row, sequence: "44" }] }).waitingNumbers]).toEqual([[SOURCE, [waiting, { ...waiting, sequence: 44n }]]]);
  });
});

describe("exceptions", () => {
  test("are those of a position, in their order; where there are none, none", () => {
    const opened = {
      position: 9,
      ordinal: 1,
      code: "PAR_OOS",
      batch: "B-1",
      step: "weigh",
      attempt: 1,
      resolved: false,
      disposition: null,
      quarantined: false,
    };
    const request = emptyRequest();
    for (const position of [8, 9]) request.exceptions.add(position);
    const world = assembleWorld(AT, request, rowsWith({ exceptions: [opened, { ...opened, ordinal: 2 }] }), noDefinitions());
    expect(world.exceptions.get(9)?.map(({ ordinal }) => ordinal)).toEqual([1, 2]);
    expect(world.exceptions.get(8)).toEqual([]);
  });
});

describe("a batch", () => {
  test("has the signature about its disposition that is in force", () => {
    const world = assembled({ batches: [{ ...batchRow, disposition_stage: "disposed", disposition_before: "pending_review" }], wanted_batches: ["B-1"] });
    expect(world.batches.get("B-1")?.signed).toEqual({ stage: "disposed", before: "pending_review" });
  });
  test("has no evidence that a later one of that name has superseded", () => {
    const [step] = batchRow.steps;
    const [item] = step?.evidence ?? [];
    if (step === undefined || item === undefined) throw new Error("there is no evidence to read");
    const evidence = [{ ...item, position: 19, supersedes: null }, { ...item, evidence: "humidity", position: 19, supersedes: null }, item];
    const world = assembled({ batches: [{ ...batchRow, steps: [{ ...step, evidence }] }], wanted_batches: ["B-1"] });
    expect(world.batches.get("B-1")?.steps[0]?.evidence).toMatchObject([
      { evidence: "humidity", position: 19 },
      { evidence: "net-weight", position: 20 },
    ]);
  });
  test("has evidence that was not read, as long as nobody looks at it; whoever does asks for it", () => {
    const [step] = batchRow.steps;
    if (step === undefined) throw new Error("there is no step to read");
    const read = assembled({ batches: [{ ...batchRow, steps: [{ ...step, evidence: null }] }], wanted_batches: ["B-1"] }).batches.get("B-1")?.steps[0];
    expect(read?.state).toBe(step.state);
    const request = emptyRequest();
    try {
      expect(read?.evidence).toBe("read");
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      error.add(request);
    }
    expect(request.evidence).toEqual(new Map([["B-1", new Set([EVERY_STEP])]]));
  });
  test("has evidence that lies outside and was let go on as such", () => {
    const [step] = batchRow.steps;
    const [item] = step?.evidence ?? [];
    if (step === undefined || item === undefined) throw new Error("there is no evidence to read");
    const world = assembled({
      batches: [{ ...batchRow, steps: [{ ...step, evidence: [{ ...item, within: false, accepted: true }, item] }] }],
      wanted_batches: ["B-1"],
    });
    expect(world.batches.get("B-1")?.steps[0]?.evidence).toMatchObject([{ within: false, accepted: true }, { within: true }]);
    expect(world.batches.get("B-1")?.steps[0]?.evidence[1]).not.toHaveProperty("accepted");
  });
  test("has every field as it is stored, and its times in one form", () => {
    const world = assembled({ batches: [batchRow], wanted_batches: ["B-1"] });
    expect(world.batches.get("B-1")).toEqual({
      batch: "B-1",
      version: 5,
      line: "4",
      jobOrder: "PO-1",
      recipe: parseRecipe(BLEND),
      recipeHash: "rh",
      batchMachine: "batch/governed@1",
      batchMachineHash: "bh",
      stepMachine: "step/governed@1",
      stepMachineHash: "sh",
      quantity: "25.000",
      unit: "kg",
      parameters: { salt: { value: "12.500", unit: "kg" } },
      roles: { scale: "scale-1" },
      execution: "running",
      signed: null,
      superseded: [],
      disposition: "not_reviewed",
      openedOn: "2026-11-22",
      facts: 6,
      createdAt: "2026-11-22T07:00:00.000000Z",
      startedAt: "2026-11-22T07:30:00.500000Z",
      endedAt: null,
      closedAt: "2026-11-22T09:00:00.123456Z",
      asked: "a1",
      openDeferrals: 1,
      openQuarantine: 2,
      openExceptions: 3,
      steps: [
        {
          step: "weigh",
          attempt: 1,
          ordinal: 0,
          state: "in_progress",
          startedAt: "2026-11-22T07:31:00.000000Z",
          startClock: { sourceKey: "1", epoch: "7", time: "2026-11-22T07:30:59Z" },
          endedAt: "2026-11-22T07:40:00.000000Z",
          evidence: [
            {
              evidence: "net-weight",
              position: 20,
              supersedes: 19,
              eventId: "e-1",
              source: SOURCE,
              value: "12.5",
              unit: "kg",
              data: { quality: "good" },
              within: true,
              low: "12",
              high: "13",
            },
          ],
        },
      ],
    });
    expect([...world.machines.keys()]).toEqual(["batch/governed@1", "step/governed@1"]);
    expect(world.machines.get("batch/governed@1")).toEqual({ hash: "bh", content: {} });
  });
  test("has a step's clock only whole", () => {
    const [step] = batchRow.steps;
    for (const missing of ["start_source", "start_epoch", "start_time"] as const) {
      const steps = step === undefined ? [] : [{ ...step, [missing]: null }];
      expect(assembled({ batches: [{ ...batchRow, steps }] }).batches.get("B-1")?.steps[0]?.startClock, missing).toBe(null);
    }
  });
  test("is never read without its recipe, and says when a machine of it is missing", () => {
    expect(() => assembled({ batches: [{ ...batchRow, revision: 4 }] })).toThrow("recipe blend@4 of batch B-1 is not registered");
    expect(assembled({ batches: [{ ...batchRow, step_machine: "oven@1" }] }).machines.get("oven@1")).toBe(null);
  });
});

test("equipment has its locks and its state", () => {
  const row: WorldRows["equipment"][number] = {
    equipment: "scale-1",
    line: "4",
    class: "scale",
    version: 2,
    token: 9,
    state: "Execute",
    state_epoch: "7",
    state_sequence: "41",
    locks: [
      {
        equipment: "scale-1",
        kind: "engagement",
        batch: "B-1",
        step: "weigh",
        attempt: 1,
        role: "scale",
        locked: "step",
        token: 9,
        taken_position: 18,
      },
    ],
  };
  expect(assembled({ equipment: [row] }).equipment.get("scale-1")).toEqual({
    equipment: "scale-1",
    line: "4",
    class: "scale",
    version: 2,
    token: 9,
    state: "Execute",
    stateEpoch: 7n,
    stateSequence: 41n,
    locks: [{ equipment: "scale-1", kind: "engagement", batch: "B-1", step: "weigh", attempt: 1, role: "scale", locked: "step", token: 9, takenAt: 18 }],
  });
  expect(assembled({ equipment: [{ ...row, state_epoch: null, state_sequence: null }] }).equipment.get("scale-1")).toMatchObject({
    stateEpoch: null,
    stateSequence: null,
  });
});

describe("what is open", () => {
  const deferral: WorldRows["deferrals"][number] = {
    position: 31,
    version: 2,
    round: 1,
    source_key: "1",
    code: "STP_OUT_OF_ORDER",
    batch: "B-1",
    step: "weigh",
    moves: true,
    behind: 30,
    signal: stored(),
    waits: ["batch:B-1", "equipment:scale-1"],
  };
  test("is there with the event itself, decoded anew, and is found by what it waits for", () => {
    const world = assembled({ deferrals: [deferral, { ...deferral, position: 33, waits: ["batch:B-1"] }] });
    const { signal: _, source_key, ...same } = deferral;
    expect(world.deferrals.get(31)).toMatchObject({ ...same, sourceKey: source_key, event: inHand });
    expect(world.deferrals.get(31)?.event.said).toMatchObject({ kind: "event", event: { id: "s1-7-42" } });
    expect([...world.waitingFor]).toEqual([
      ["batch:B-1", new Set([31, 33])],
      ["equipment:scale-1", new Set([31])],
    ]);
  });
  test("is quarantined with the context in which it was judged", () => {
    const judgedIn = { batch: "B-1", step: "weigh", attempt: 1 };
    const row = { position: 41, version: 3, round: 2, code: "SEQ_REUSED", batch: "B-1", judged_in: judgedIn, signal: stored() };
    expect(assembled({ quarantine: [row] }).quarantine.get(41)).toMatchObject({
      position: 41,
      version: 3,
      round: 2,
      code: "SEQ_REUSED",
      batch: "B-1",
      judgedIn,
      event: inHand,
    });
  });
  test("is decoded from its delivery as it came", () => {
    const { data, ...attributes } = weight;
    const binary = stored({
      raw: Buffer.from(JSON.stringify(data)).toString("base64"),
      content_type: "application/json",
      user_properties: Object.entries(attributes).map(([name, value]) => [name, value]),
    });
    const said = (signal: StoredSignal) => assembled({ deferrals: [{ ...deferral, signal }] }).deferrals.get(31)?.event.said;
    expect(said(binary)).toMatchObject({ kind: "event", event: { id: "s1-7-42", data } });
    expect(said(stored({ raw: null }))).toMatchObject({ kind: "refused" });
    expect(said(stored({ raw_length: AT.maxBytes + 1 }))).toMatchObject({ kind: "refused", refusal: { code: "ENV_TOO_LARGE" } });
    expect(said(stored({ topic: "site/rtm1/line/4/eq/mixer-1/event" }))).toMatchObject({ kind: "refused" });
  });
});

test("heads, orders and answers stand under their names", () => {
  const world = assembled({
    orders: [{ order: "PO-1", batch: "B-1" }],
    awaited: [{ awaited: "batch:B-9", version: 4 }],
    streams: [{ stream: "batch/B-1", line: "4", sequence: 8, opened_on: "2026-11-22" }],
    keys: [{ key: "k", request: "POST", digest: "d", answer: { ok: true }, position: 6 }],
  });
  expect(world.jobOrders.get("PO-1")).toBe("B-1");
  expect(world.awaited.get("batch:B-9")).toBe(4);
  expect(world.streams.get("batch/B-1")).toEqual({ stream: "batch/B-1", line: "4", sequence: 8, openedOn: "2026-11-22" });
  expect(world.keys.get("k")).toEqual({ request: "POST", bodyDigest: "d", answer: { ok: true }, position: 6 });
});

describe("reading a world", () => {
  test("asks for every name once, and for no position of this group", async () => {
    const { db, asked } = answering(() => [{ world: rowsWith() }]);
    const request = emptyRequest();
    request.sources.add(SOURCE);
    askFor(request.ids, SOURCE, "h-1");
    askFor(request.numbers, SOURCE, "7.43");
    request.waitingNext.set("w", { source: "a", incarnation: 2, epoch: 7n, after: 40n });
    request.waitingNumbers.add("b");
    request.batches.add("B-1");
    askFor(request.evidence, "B-1", "weigh");
    request.jobOrders.add("PO-1");
    request.equipment.add("scale-1");
    request.sourcesOf.add("B-2");
    request.awaited.add("batch:B-1");
    request.streams.add("site");
    askFor(request.stationsAt, SOURCE, "2026-11-22T08:00:00.000000Z");
    for (const ref of [-1, 0, 4]) {
      request.performances.add(ref + 6);
      request.deferrals.add(ref);
      request.quarantine.add(ref + 1);
      request.exceptions.add(ref + 5);
    }
    request.keys.add("k");
    await readWorld(db, AT, request, noDefinitions());
    expect(asked).toHaveLength(1);
    expect(asked[0]?.parameters.slice(0, 1)).toEqual([
      JSON.stringify({
        sources: [SOURCE, "a", "b"],
        ids: { [SOURCE]: ["h-1"] },
        numbers: { [SOURCE]: { "7": ["43"] } },
        windows: [{ source: "a", incarnation: 2, epoch: "7", after: "40" }],
        all_waiting: ["b"],
        batches: ["B-1"],
        evidence: { "B-1": ["weigh"] },
        orders: ["PO-1"],
        equipment: ["scale-1"],
        sources_of: ["B-2"],
        awaited: ["batch:B-1"],
        streams: ["site"],
        deferrals: [4],
        quarantine: [1, 5],
        exceptions: [4, 5, 9],
        keys: ["k"],
        stations_at: { [SOURCE]: ["2026-11-22T08:00:00.000000Z"] },
        performances: [5, 6, 10],
      }),
    ]);
  });
  test("asks for what is rarely wanted only where some of it is", async () => {
    const { db, asked } = answering(() => [{ world: rowsWith(), rarely: { keys: [{ key: "k", request: "r", digest: "d", answer: {}, position: 3 }] } }]);
    const request = emptyRequest();
    request.batches.add("B-1");
    await readWorld(db, AT, request, noDefinitions());
    request.keys.add("k");
    const world = await readWorld(db, AT, request, noDefinitions());
    expect(asked.map(({ sql }) => sql.includes("idempotency_keys"))).toEqual([false, true]);
    expect(world.keys.get("k")).toEqual({ request: "r", bodyDigest: "d", answer: {}, position: 3 });
  });
  test("asks for nothing of this group", async () => {
    const { db, asked } = answering(() => [{ world: rowsWith() }]);
    const request = emptyRequest();
    for (const ref of [-2, -1, 0]) for (const names of [request.deferrals, request.quarantine, request.exceptions, request.performances]) names.add(ref);
    await readWorld(db, AT, request, noDefinitions());
    expect(JSON.parse(String(asked[0]?.parameters[0]))).toMatchObject({ deferrals: [], quarantine: [], exceptions: [], performances: [] });
  });
  test("that comes back empty is an error", async () => {
    await expect(readWorld(answering(() => []).db, AT, emptyRequest(), noDefinitions())).rejects.toThrow("the world came back empty");
  });
  test("reads each definition once, with those of the batches that it found", async () => {
    const known = noDefinitions();
    const { db, asked } = answering(({ sql }) =>
      sql.includes("from recipes")
        ? [{ name: "blend@3", hash: "rh", content: BLEND }]
        : sql.includes("from state_machines")
          ? [
              { name: "batch/governed@1", hash: "bh", content: 1 },
              { name: "step/governed@1", hash: "sh", content: 2 },
            ]
          : [{ world: rowsWith({ batches: [batchRow] }) }],
    );
    const request = emptyRequest();
    request.recipes.add("cake@1");
    request.machines.add("oven@1");
    const world = await readWorld(db, AT, request, known);
    expect(asked.slice(1).map(({ parameters }) => parameters)).toEqual([[["cake@1", "blend@3"]], [["oven@1", "batch/governed@1", "step/governed@1"]]]);
    expect(world.batches.get("B-1")?.recipe.recipe).toBe("blend");
    expect(known.recipes.get("blend@3")).toEqual({ hash: "rh", content: BLEND, recipe: parseRecipe(BLEND) });
    expect([...known.machines]).toEqual([
      ["batch/governed@1", { hash: "bh", content: 1 }],
      ["step/governed@1", { hash: "sh", content: 2 }],
    ]);
    await readDefinitions(db, ["blend@3"], ["step/governed@1"], known);
    expect(asked).toHaveLength(3);
  });
  test("reads again what awaited its approval, until somebody has approved it", async () => {
    const known = noDefinitions();
    let awaits = true;
    const { db, asked } = answering(({ sql }) =>
      sql.includes("from recipes") ? [{ name: "blend@3", hash: "rh", content: BLEND, awaits }] : [{ name: "step/governed@1", hash: "sh", content: 2, awaits }],
    );
    const read = () => readDefinitions(db, ["blend@3"], ["step/governed@1"], known);
    await read();
    expect([known.recipes.get("blend@3"), known.machines.get("step/governed@1")]).toMatchObject([{ awaitsApproval: true }, { awaitsApproval: true }]);
    awaits = false;
    await read();
    expect(asked).toHaveLength(4);
    expect(known.recipes.get("blend@3")).not.toHaveProperty("awaitsApproval");
    expect(known.machines.get("step/governed@1")).toEqual({ hash: "sh", content: 2 });
    await read();
    expect(asked).toHaveLength(4);
  });
});
