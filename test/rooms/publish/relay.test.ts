// A commit whose reply was lost, and that the database made only after the service had asked for it and found nothing, was announced to nobody: its verdicts and outcomes lay until the
// next commit, and the mirrors of what it changed were old until their next change. Found by the simulation (seed 16).
// And: cursors were published only when nothing more was to be published, so never under a load without a pause; devices whose cursor stood still sent everything again, and that was
// the load. Found by the restore drill.
import { expect, test } from "vitest";
import type { Handed } from "../../../src/publish/handed.ts";
import type { OutcomeRow } from "../../../src/publish/messages.ts";
import type { Publishable, RelayStore } from "../../../src/publish/relay.store.ts";
import { createRelay } from "../../../src/publish/relay.ts";
import { VirtualTime } from "../../faults/simulation/virtual-time.ts";
import { seeded } from "../../support/measure.ts";

const SOURCE = {
  site: "s",
  line: "1",
  equipment: "e",
  device: null,
  source: "/site/s/line/1/eq/e",
  generation: 1,
  epoch: "1",
  parked: false,
  missing: [],
  changedAt: "2026-11-22T08:00:00Z",
};

const outcomesOf = (first: number, last: number): OutcomeRow[] =>
  Array.from({ length: last - first + 1 }, (_, n) => ({
    site: "s",
    stream: "equipment/e",
    line: "1",
    sequence: first + n,
    generation: 1,
    position: first + n,
    ordinal: 1,
    type: "equipment.stated",
    eventTime: null,
    causation: null,
    correlation: null,
    traceparent: null,
    tracestate: null,
    supersedes: null,
    data: {},
    recordedAt: "2026-11-22T08:00:00Z",
  }));

const handing = (first: number, last: number): Handed => ({ first, last, outcomes: outcomesOf(first, last), tellsVerdicts: false });

/** A relay over a store that holds so many positions, each an outcome of its own, and one source whose cursor stands at the last. */
function relayOver(publishMs = 0) {
  const time = new VirtualTime(0, seeded(1));
  const published: { topic: string; through: unknown }[] = [];
  const stored: { positions: number; cursor: number; signed: number | null; note: string | null } = { positions: 0, cursor: 0, signed: null, note: null };
  const shown = (): number => stored.signed ?? stored.positions;
  const reads: number[] = [];
  const broker = { connected: true };
  const clock = { step: 0 };
  const store: RelayStore = {
    readPublishable: async (after): Promise<Publishable> => {
      reads.push(after);
      return {
        verdicts: [],
        outcomes: outcomesOf(after + 1, shown()),
        through: shown(),
        committed: stored.positions,
        shown: shown(),
        atOnce: stored.signed === null,
      };
    },
    readVerdicts: async () => [],
    readCursor: async () => stored.cursor,
    moveCursor: async (position) => {
      stored.cursor = position;
    },
    readCursors: async (names) =>
      names === null || names.includes(SOURCE.source)
        ? [{ ...SOURCE, version: stored.positions, through: String(stored.positions), highest: String(stored.positions) }]
        : [],
    readBatchMirrors: async () => [],
    readExpiredMirrors: async () => [],
    readCheckpoint: async () => stored.note,
  };
  const relay = createRelay({
    store,
    time: {
      now: () => time.now() + clock.step,
      after: (ms, run) => time.after(ms, run),
      soon: (run) => time.soon(run),
      every: (ms, run) => time.every(ms, run),
      chance: () => time.chance(),
    },
    publisher: {
      get connected() {
        return broker.connected;
      },
      publish: async ({ topic, payload }) => {
        if (publishMs > 0) await new Promise<void>((resolve) => time.after(publishMs, resolve));
        if (topic.endsWith("/checkpoint")) {
          published.push({ topic, through: payload });
          return;
        }
        const { data, sequence } = JSON.parse(String(payload));
        published.push({ topic, through: topic.endsWith("/cursor") ? data.through : sequence });
      },
    },
    site: "s",
    prefix: "",
    verdicts: "all",
    withSpan: (_name, _attributes, _from, work) => work({ traceparent: null, note: () => {} }),
    onPublished: () => {},
    onTrouble: (error) => {
      throw error;
    },
  });
  const outcomes = () => published.filter(({ topic }) => topic.endsWith("/outcome")).map(({ through }) => through);
  const cursors = () => published.filter(({ topic }) => topic.endsWith("/cursor")).map(({ through }) => through);
  const notes = () => published.filter(({ topic }) => topic.endsWith("/checkpoint")).map(({ through }) => through);
  return { time, clock, relay, stored, broker, reads, outcomes, cursors, notes };
}

test("what was committed and announced is published at once, and only the mirrors that it names", async () => {
  const { time, relay, stored, outcomes, cursors } = relayOver();
  await relay.start();
  await time.run(10);
  stored.positions = 2;
  relay.announce([], [], 1, 2, null);
  await time.run(10);
  expect(outcomes()).toEqual(["1", "2"]);
  expect(cursors()).toEqual(["0"]);
});

test("what was committed and announced by nobody is found by looking, and all mirrors are published anew", async () => {
  const { time, relay, stored, outcomes, cursors } = relayOver();
  await relay.start();
  await time.run(10);
  stored.positions = 1;
  await time.run(60_000);
  expect(outcomes()).toEqual(["1"]);
  expect(cursors()).toEqual(["0", "1"]);
});

// Found by the simulation (seed 15392), whose clocks step: mirrors waited for as long as the clock had gone back, and nothing was looked for meanwhile.
test("a clock that goes back holds up neither the mirrors that wait nor what nobody announced", async () => {
  const { time, clock, relay, stored, outcomes, cursors } = relayOver();
  await relay.start();
  await time.run(10);
  clock.step = -3_600_000;
  stored.positions = 1;
  relay.announce([SOURCE.source], [], 1, 1, null);
  await time.run(300);
  expect(cursors()).toEqual(["0", "1"]);
  stored.positions = 2;
  await time.run(6_000);
  expect(outcomes()).toEqual(["1", "2"]);
});

test("a hole between two announcements is a commit of which nobody told", async () => {
  const { time, relay, stored, outcomes, cursors } = relayOver();
  await relay.start();
  stored.positions = 3;
  relay.announce([], [], 1, 3, null);
  await time.run(10);
  stored.positions = 5;
  relay.announce([], [], 5, 5, null);
  await time.run(10);
  expect(outcomes()).toEqual(["1", "2", "3", "4", "5"]);
  expect(cursors().at(-1)).toBe("5");
});

test("cursors are published within a second or two, though the outcomes never end", async () => {
  const { time, relay, stored, cursors } = relayOver(60);
  await relay.start();
  await time.run(500);
  const before = cursors().length;
  // while one is published the next is committed already
  const stopLoad = time.every(50, () => {
    stored.positions += 1;
    relay.announce([SOURCE.source], [], stored.positions, stored.positions, null);
  });
  await time.run(10_000);
  expect(stored.positions).toBeGreaterThan(190);
  expect(cursors().length - before).toBeGreaterThan(5);
  expect(Number(cursors().at(-1))).toBeGreaterThan(150);
  stopLoad();
});

test("where commit follows commit, outcomes come at once, and cursors a few times a second, the last of them too", async () => {
  const { time, relay, stored, outcomes, cursors } = relayOver();
  await relay.start();
  await time.run(1_000);
  const commit = (): void => {
    stored.positions += 1;
    relay.announce([SOURCE.source], [], stored.positions, stored.positions, null);
  };
  commit();
  await time.run(1);
  expect(cursors()).toEqual(["0", "1"]);
  const stopLoad = time.every(20, commit);
  await time.run(2_000);
  stopLoad();
  await time.run(1);
  expect(outcomes()).toHaveLength(stored.positions);
  expect(cursors().length).toBeLessThan(12);
  await time.run(250);
  expect(cursors().at(-1)).toBe(String(stored.positions));
  commit();
  await time.run(1);
  const stopped = relay.stop();
  await time.run(1);
  await stopped;
  expect(cursors().at(-1)).toBe(String(stored.positions));
});

test("where only what is signed may be shown, outcomes and mirrors stop there, and go on by themselves", async () => {
  const { time, relay, stored, outcomes, cursors } = relayOver();
  stored.signed = 0;
  await relay.start();
  await time.run(10);
  stored.positions = 3;
  relay.announce([SOURCE.source], [], 1, 3, null);
  await time.run(60_000);
  expect(outcomes()).toEqual([]);
  expect(cursors()).toEqual(["0"]);
  stored.signed = 2;
  await time.run(300);
  expect(outcomes()).toEqual(["1", "2"]);
  // the cursor that was read tells of the third
  expect(cursors()).toEqual(["0"]);
  stored.signed = 3;
  await time.run(300);
  expect(outcomes()).toEqual(["1", "2", "3"]);
  expect(cursors().at(-1)).toBe("3");
  await relay.stop();
});

test("a relay that stops while the signer is away does not wait for it", async () => {
  const { time, relay, stored, outcomes } = relayOver();
  stored.signed = 0;
  await relay.start();
  stored.positions = 1;
  relay.announce([], [], 1, 1, null);
  await time.run(1_000);
  let stopped = false;
  void relay.stop().then(() => {
    stopped = true;
  });
  await time.run(1_000);
  expect(stopped).toBe(true);
  expect(outcomes()).toEqual([]);
});

test("the latest checkpoint is published when it was signed, and again after the broker may have lost it", async () => {
  const { time, relay, stored, notes } = relayOver();
  await relay.start();
  await time.run(10);
  expect(notes()).toEqual([]);
  stored.note = "first";
  relay.signed();
  await time.run(10);
  relay.signed();
  await time.run(10);
  expect(notes()).toEqual(["first"]);
  relay.reconnected();
  await time.run(10);
  expect(notes()).toEqual(["first", "first"]);
});

// Found by restoring a backup on which nothing was signed any more: while mirrors were held back, the same checkpoint went out four times a second.
test("the latest checkpoint is published once, also while everything waits for the next", async () => {
  const { time, relay, stored, notes } = relayOver();
  stored.note = "last";
  stored.signed = 0;
  await relay.start();
  await time.run(10);
  relay.reconnected();
  stored.positions = 3;
  relay.announce([SOURCE.source], [], 2, 3, null);
  await time.run(60_000);
  expect(notes().length).toBeLessThanOrEqual(2);
});

test("what a commit hands over is published without being read, and its cursor moves", async () => {
  const { time, relay, stored, reads, outcomes } = relayOver();
  await relay.start();
  await time.run(10);
  const before = reads.length;
  stored.positions = 2;
  relay.announce([], [], 1, 2, handing(1, 2));
  await time.run(1);
  stored.positions = 3;
  relay.announce([], [], 3, 3, handing(3, 3));
  await time.run(1);
  expect(outcomes()).toEqual(["1", "2", "3"]);
  expect(reads.length).toBe(before);
  expect(stored.cursor).toBe(3);
});

test("what is handed over behind a hole comes after what is read of it", async () => {
  const { time, relay, stored, outcomes } = relayOver();
  await relay.start();
  await time.run(10);
  stored.positions = 4;
  relay.announce([], [], 4, 4, handing(4, 4));
  await time.run(10);
  stored.positions = 6;
  relay.announce([], [], 5, 5, null);
  relay.announce([], [], 6, 6, handing(6, 6));
  await time.run(10);
  expect(outcomes()).toEqual(["1", "2", "3", "4", "5", "6"]);
});

test("once a site is set to show only what is signed, nothing is published because it was handed over", async () => {
  const { time, relay, stored, outcomes } = relayOver();
  await relay.start();
  await time.run(10);
  stored.positions = 1;
  relay.announce([], [], 1, 1, handing(1, 1));
  await time.run(10);
  // the setting has taken the second position
  stored.signed = 1;
  stored.positions = 4;
  relay.announce([], [], 3, 3, handing(3, 3));
  relay.announce([], [], 4, 4, handing(4, 4));
  await time.run(10_000);
  expect(outcomes()).toEqual(["1"]);
  stored.signed = 4;
  await time.run(300);
  expect(outcomes()).toEqual(["1", "2", "3", "4"]);
});

test("what was handed over while the broker was away is asked for anew, whatever was set meanwhile", async () => {
  const { time, relay, stored, broker, outcomes } = relayOver();
  await relay.start();
  await time.run(10);
  broker.connected = false;
  stored.positions = 1;
  relay.announce([], [], 1, 1, handing(1, 1));
  await time.run(1_000);
  stored.signed = 0;
  broker.connected = true;
  relay.reconnected();
  await time.run(1_000);
  expect(outcomes()).toEqual([]);
});

test("more than is kept of what is handed over is read, each once and in order", async () => {
  const { time, relay, stored, broker, reads, outcomes } = relayOver();
  await relay.start();
  await time.run(10);
  broker.connected = false;
  for (let first = 1; first <= 5_000; first += 250) {
    stored.positions = first + 249;
    relay.announce([], [], first, first + 249, handing(first, first + 249));
  }
  const before = reads.length;
  broker.connected = true;
  relay.reconnected();
  await time.run(1_000);
  expect(outcomes()).toEqual(Array.from({ length: 5_000 }, (_, n) => String(n + 1)));
  expect(reads.length).toBeGreaterThan(before);
});
