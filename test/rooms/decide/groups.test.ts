import { describe, expect, test } from "vitest";
import { settle } from "../../../src/decide/settle.ts";
import { emptyRequest, NotRead } from "../../../src/decide/world-request.ts";
import { WAITING } from "../../../src/sequence/source-state.ts";
import {
  type Act,
  commands,
  creates,
  failing,
  given,
  type Line,
  mixer,
  on,
  orders,
  PLANT,
  running,
  type Said,
  scale,
  speaker,
  weighed,
  weighing,
} from "../../support/given.ts";
import type { ModelOptions } from "../../support/model.ts";

// Promise: how signals are grouped, and how much was read of the world before they are judged, changes nothing of what goes on record.
// Attack: the same signals one by one, in one group, and in one group of which nothing at all was read beforehand.

const call = (sequence?: number, more: Said = {}) =>
  scale.says("call.raised", { ...(sequence === undefined ? {} : { sequence }), data: { call: "c" }, ...more });
const other = (sequence: number, more: Said = {}) => call(sequence, { data: { call: "other" }, ...more });
const button = speaker("panel-1", { device: "button", numbers: false });
const probe = speaker("mixer-1", { device: "probe" });
const presses = (id: string, reason = "c") => button.says("call.raised", { id, data: { call: reason } });
const replaced = orders({ kind: "source.succession", source: scale.name, reason: "replaced" });
const resolves =
  (action: "wait" | "skip" | "rebase", epoch: bigint | null = null, sequence: bigint | null = null): Act =>
  (line) => {
    const { gap, parked } = line.source(scale);
    const position = gap?.position ?? parked?.position ?? 0;
    return orders({ kind: "gap.resolve", source: scale.name, gap: position, action, epoch, sequence, reason: "seen" })(line);
  };
const decides =
  (event: string, action: "reprocess" | "reject"): Act =>
  (line) =>
    orders({ kind: "quarantine.resolve", event: line.rounds(event)[0]?.event ?? 0, action, reason: "seen" })(line);
const ticks =
  (tick: Parameters<Line["model"]["tick"]>[0]): Act =>
  (line) =>
    line.model.tick(tick);
const fragile = failing(({ event }) => event === "step.pause");
const weight: Said = { data: { evidence: "net-weight", value: "12.500", unit: "kg" } };

interface Script {
  readonly plant?: ModelOptions;
  /** What has happened before, each act committed by itself. */
  readonly before?: readonly Act[];
  /** Milliseconds that pass then, though what falls due is not settled yet. */
  readonly later?: number;
  readonly acts: readonly Act[];
}

const SCRIPTS: Readonly<Record<string, Script>> = {
  "numbers in and out of order, and twice": { acts: [call(1), call(3), call(3), call(5), call(2), call(2), call(1), call(4), call(6)] },
  "a number that waits, taken by another id": { acts: [call(3), other(3, { id: "x" }), other(3, { id: "y" }), call(1), call(2), call(2, { id: "z" })] },
  "an id with other contents, early, late and again": {
    acts: [
      call(1, { id: "a" }),
      other(2, { id: "a" }),
      other(2, { id: "a" }),
      other(5, { id: "a" }),
      call(3, { id: "b" }),
      call(4, { id: "a" }),
      other(4, { id: "b" }),
    ],
  },
  "a counter that goes back, until a newer epoch": {
    acts: [call(1), call(2), call(1, { id: "x" }), call(2, { id: "y" }), call(3), call(4), call(1, { epoch: 8 }), call(2, { epoch: 8 }), call(3, { epoch: 7 })],
  },
  "a newer epoch, of which a copy is judged in the stead of what waited": {
    before: [call(1), call(3), call(5)],
    acts: [
      call(1, { epoch: 8, id: "scale-1-7-3" }),
      call(3, { epoch: 7 }),
      call(2, { epoch: 8, id: "scale-1-7-3" }),
      call(4, { epoch: 8 }),
      call(3, { epoch: 8 }),
    ],
  },
  "a copy that is judged in the group in which the other began to wait": {
    before: [call(1)],
    acts: [call(3), call(1, { epoch: 8, id: "scale-1-7-3" }), call(3, { epoch: 7 })],
  },
  "a copy that is judged in a newer epoch, deferred, and comes free": {
    before: [running(), call(1), scale.weighs("12.500", { sequence: 3, id: "w" })],
    acts: [
      scale.weighs("12.500", { epoch: 8, sequence: 1, id: "w" }),
      scale.weighs("12.500", { epoch: 8, id: "w" }),
      scale.starts("weigh"),
      scale.weighs("12.500", { id: "w" }),
    ],
  },
  "a newer epoch that begins in the group that waits for the old one": {
    acts: [
      call(1),
      call(4),
      call(3, { epoch: 8 }),
      call(1, { epoch: 8 }),
      call(4, { epoch: 7 }),
      call(2, { epoch: 8 }),
      call(5, { epoch: 7 }),
      call(1, { epoch: 9 }),
    ],
  },
  "births, of the first epoch and of newer ones": {
    acts: [
      call(40),
      scale.birth(40, { sequence: 39 }),
      call(41),
      scale.birth(43, { sequence: 42 }),
      scale.birth(6, { epoch: 8, sequence: 5 }),
      call(6, { epoch: 8 }),
      call(3, { epoch: 8 }),
    ],
  },
  "a birth in front of what waited in its epoch": {
    before: [call(1), call(3, { epoch: 8 }), call(6, { epoch: 8 })],
    acts: [scale.birth(6, { epoch: 8, sequence: 5 }), call(3, { epoch: 8 }), call(7, { epoch: 8 })],
  },
  "losses that are declared": { acts: [call(1), call(4), scale.lost(2, 3, { sequence: 5 }), call(2), call(8), scale.lost(6, 9, { sequence: 10 }), call(9)] },
  "a device that is replaced, and its successor": {
    before: [call(1), call(2), call(5)],
    acts: [
      replaced,
      call(1, { epoch: 1, id: "n1" }),
      call(3, { epoch: 1, id: "n3" }),
      call(4, { epoch: 1, id: "n4" }),
      other(1, { epoch: 1, id: "n1x" }),
      call(2, { epoch: 1, id: "n2" }),
      call(5, { epoch: 7 }),
    ],
  },
  "a device that is replaced before it says anything, twice": {
    acts: [replaced, call(2, { epoch: 3 }), replaced, call(2, { epoch: 3, id: "z" }), call(1, { epoch: 3 })],
  },
  "a gap that a person skips": { before: [call(1), call(3), call(6)], acts: [resolves("skip"), call(7), call(2), call(4)] },
  "a gap that a person skips in part": { before: [call(1), call(3), call(6)], acts: [resolves("skip", null, 4n), call(5), call(8), call(4)] },
  "a source that a person sets elsewhere, in its epoch and in a newer one": {
    before: [call(1), call(4), call(6)],
    acts: [
      resolves("rebase", null, 4n),
      resolves("rebase", 8n, 5n),
      call(5, { epoch: 8 }),
      call(2, { epoch: 8 }),
      call(7, { epoch: 8 }),
      call(6, { epoch: 7 }),
    ],
  },
  "an early event that acts ahead, and what it overtakes": {
    before: [weighing()],
    acts: [
      scale.pauses("weigh", { sequence: 6 }),
      scale.resumes("weigh", { sequence: 4 }),
      scale.pauses("weigh", { sequence: 3 }),
      call(2),
      call(5),
      scale.resumes("weigh", { sequence: 7 }),
    ],
  },
  "what acted ahead and its epoch ended": {
    before: [weighing()],
    acts: [scale.pauses("weigh", { sequence: 4 }), call(1, { epoch: 8 }), scale.pauses("weigh", { epoch: 7, sequence: 4 })],
  },
  "states, of which the newest counts": {
    acts: [
      scale.states("Idle"),
      scale.states("Execute", { sequence: 5 }),
      scale.states("Held", { sequence: 3 }),
      scale.states("Idle", { sequence: 2 }),
      call(4),
      scale.states("Aborted", { sequence: 6 }),
    ],
  },
  "heartbeats between events": {
    acts: [call(1), scale.beats({ state: "online", epoch: 7, sequence: 4 }), call(2), call(4), scale.beats({ state: "offline" }), call(3)],
  },
  "a batch from its order to its end": {
    acts: [
      creates(),
      creates(),
      creates("B-2", { jobOrder: "PO-B-1" }),
      commands("start"),
      commands("release-to-floor"),
      scale.starts("weigh"),
      commands("start"),
      mixer.starts("blend"),
      scale.completes("weigh"),
      scale.weighs("19.000"),
      scale.weighs("12.500", { data: { ...weight.data, value: "12.501" } }),
      mixer.gives("blend", "end-temperature", "24.5", "Cel"),
      mixer.completes("blend"),
    ],
  },
  "events about a batch that comes later": {
    acts: [
      scale.starts("weigh"),
      scale.weighs("12.500"),
      call(3),
      creates(),
      commands("release-to-floor"),
      commands("start"),
      scale.completes("weigh"),
      mixer.starts("blend"),
    ],
  },
  "events that claim nothing, before and after their equipment is engaged": {
    before: [running()],
    acts: [
      scale.says("step.complete"),
      scale.says("step.evidence", weight),
      scale.starts("weigh"),
      scale.says("step.evidence", weight),
      scale.says("step.complete"),
    ],
  },
  "what waits behind what moves the same step": {
    before: [running()],
    acts: [
      mixer.starts("blend"),
      mixer.completes("blend"),
      mixer.pauses("blend"),
      mixer.resumes("blend"),
      scale.starts("weigh"),
      scale.weighs("12.500"),
      scale.completes("weigh"),
    ],
  },
  "a gap of another source that a completion waits for": {
    before: [weighed(), mixer.starts("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel")],
    later: 3_000,
    acts: [probe.states("Execute", { sequence: 3 }), mixer.completes("blend"), probe.states("Idle", { sequence: 1 }), probe.alarms({ sequence: 2 })],
  },
  "two batches on one scale": {
    before: [running(), creates("B-2", { equipment: { scale: "scale-1", mixer: "mixer-2" } }), commands("release-to-floor", "B-2")],
    acts: [
      commands("start", "B-2"),
      scale.starts("weigh"),
      scale.starts("weigh", { batch: "B-2" }),
      scale.weighs("12.500"),
      scale.weighs("12.500", { batch: "B-2" }),
      scale.completes("weigh"),
      scale.starts("weigh", { batch: "B-2" }),
      scale.weighs("12.500", { batch: "B-2" }),
      commands("abort", "B-2"),
      scale.completes("weigh", { batch: "B-2" }),
    ],
  },
  "a batch that ends with events open": {
    before: [weighing(), scale.completes("weigh"), mixer.starts("blend")],
    acts: [mixer.completes("blend"), commands("stop"), scale.weighs("12.500")],
  },
  "patience that ends beside what it waited for": {
    before: [weighing(), scale.completes("weigh"), mixer.starts("blend")],
    later: 30_000,
    acts: [
      ticks({ tick: "patience", event: 5 }),
      scale.weighs("12.500"),
      scale.completes("weigh"),
      ticks({ tick: "patience", event: 6 }),
      ticks({ tick: "patience", event: 5 }),
    ],
  },
  "a copy in a newer epoch beside the end of the old one's time": {
    before: [call(1), call(3), call(5), call(1, { epoch: 8 })],
    later: WAITING.gapLimitMs,
    acts: [
      call(2, { epoch: 8, id: "scale-1-7-3" }),
      ticks({ tick: "expiry", source: scale.name, incarnation: 1, epoch: "7", sequence: "3" }),
      ticks({ tick: "expiry", source: scale.name, incarnation: 1, epoch: "7", sequence: "5" }),
      ticks({ tick: "expiry", source: scale.name, incarnation: 1, epoch: "7", sequence: "5" }),
      call(5, { epoch: 7 }),
    ],
  },
  "quarantined events that people decide about, twice": {
    before: [weighing(), scale.weighs("12.500"), scale.weighs("12.500"), call(1, { id: "x" })],
    acts: [
      decides("scale-1-7-3", "reprocess"),
      decides("scale-1-7-3", "reject"),
      decides("scale-1-7-3", "reject"),
      decides("x", "reprocess"),
      decides("x", "reject"),
      call(4),
    ],
  },
  "a quarantined weight that is judged again when it has its place": {
    before: [weighing(), scale.starts("weigh", { more: { occurred: true } }), scale.weighs("12.500", { step: "blend" })],
    acts: [
      decides("scale-1-7-2", "reject"),
      scale.weighs("12.500"),
      scale.completes("weigh"),
      decides("scale-1-7-3", "reprocess"),
      decides("scale-1-7-3", "reject"),
      commands("abort"),
    ],
  },
  "a source without numbers": { acts: [presses("a"), presses("a", "d"), presses("a", "d"), presses("b"), presses("a"), presses("a", "e")] },
  "a judge that throws, at what comes, what waits and what is early": {
    plant: fragile,
    before: [weighing()],
    acts: [
      scale.pauses("weigh", { sequence: 3 }),
      call(2),
      call(4),
      mixer.states("Idle"),
      call(1, { epoch: 8 }),
      scale.pauses("weigh", { sequence: 3 }),
      scale.pauses("weigh", { epoch: 7, sequence: 4, id: "late" }),
    ],
  },
  "a judge that throws at what a person has judged again": {
    plant: fragile,
    before: [weighing(), scale.pauses("weigh")],
    acts: [resolves("wait"), decides("scale-1-7-2", "reprocess"), call(3), decides("scale-1-7-2", "reject"), scale.weighs("12.500")],
  },
  "time in which nothing was received": {
    before: [weighing(), scale.completes("weigh"), call(5), call(1, { epoch: 8 }), call(3, { epoch: 8 })],
    acts: [ticks({ tick: "interruption", ms: 60_000 }), scale.weighs("12.500", { epoch: 8, sequence: 2 })],
  },
};

/** The record and everything that stands, without the versions of rows, which count commits. */
const record = ({ model }: Line) => ({
  verdicts: model.verdicts,
  facts: model.facts,
  outcomes: model.outcomes,
  exceptions: model.exceptions,
  skipped: model.skipped,
  ids: [...model.ids],
  numbers: [...model.numbers].sort(),
  conflicts: [...model.conflicts],
  waiting: [...model.waiting].sort(),
  deferrals: [...model.deferrals.values()].map(({ version: _, ...rest }) => ({ ...rest, waits: [...rest.waits].sort() })),
  quarantine: [...model.quarantine.values()].map(({ version: _, ...rest }) => rest),
  locks: model.locks,
  evidence: model.evidence,
  sources: [...model.sources.values()].map(({ version: _, ...rest }) => rest),
  equipment: [...model.equipment.values()].map(({ version: _, ...rest }) => rest),
  batches: [...model.batches.keys()].map((name) => ({ ...model.batch(name), version: 0 })),
});

/** Judges without having read anything: whatever it needs it asks for by name. */
function readingNothing(line: Line): Line {
  line.model.judge = (signals) => {
    const request = emptyRequest();
    for (let wishes = 0; ; wishes += 1) {
      try {
        return settle(line.model.read(request), line.model.machines, signals);
      } catch (error) {
        if (!(error instanceof NotRead) || wishes > 300) throw error;
        error.add(request);
      }
    }
  };
  return line;
}

describe("what goes on record of", () => {
  test.each(Object.entries(SCRIPTS))("%s does not hang on the group", (_, { plant = PLANT, before = [], later = 0, acts }) => {
    const begun = () => {
      const line = on(plant, ...before);
      line.model.now += later;
      return line;
    };
    const alone = begun();
    const signals = alone.signals(acts);
    alone.model.run(signals);
    const together = begun();
    together.model.run(together.signals(acts), [acts.length]);
    expect(record(together)).toEqual(record(alone));
    const unread = readingNothing(begun());
    unread.model.run(unread.signals(acts), [acts.length]);
    expect(record(unread)).toEqual(record(alone));
  });
});

// Found by comparing groups with the same signals one by one: what was judged in a newer epoch, in the stead of a copy that had waited, was known at its own position within
// its group, and afterwards at that of the copy. So a duplicate was told of another first verdict when its record was judged again; and one that came in the very group in
// which the judged one came free of its deferral was told that it was still deferred.
test("a duplicate of what was judged in the stead of a copy is told of that one, and what has become of it", () => {
  const line = given(running(), call(1), scale.weighs("12.500", { sequence: 3, id: "w" }), scale.weighs("12.500", { epoch: 8, sequence: 1, id: "w" }));
  const judged = line.model.verdicts.find(({ eventId, epoch }) => eventId === "w" && epoch === "8");
  expect(judged).toMatchObject({ status: "deferred", code: "STA_INVALID_TRANSITION" });
  const said = line.together(scale.starts("weigh", { epoch: 8 }), scale.weighs("12.500", { epoch: 8, id: "w" }));
  expect(said.map(({ eventId, status }) => `${eventId} ${status}`)).toEqual(["scale-1-8-2 accepted", "w accepted", "w duplicate"]);
  expect(said[2]).toMatchObject({ first: judged?.position, explanation: { today: { status: "accepted", code: null } } });
});

test("a wish to read names what it is for", () => {
  const line = given();
  const wishes: string[] = [];
  readingNothing(line);
  const signals = line.signals([scale.starts("weigh")]);
  const request = emptyRequest();
  for (let n = 0; n < 20; n += 1) {
    try {
      settle(line.model.read(request), line.model.machines, signals);
      break;
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      wishes.push(error.message);
      error.add(request);
    }
  }
  expect(wishes.at(0)).toBe(`source ${scale.name} has not been read`);
});
