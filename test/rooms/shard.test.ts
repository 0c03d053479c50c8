// Promise: a shard is owned by one process at a time, and whoever's term is over says nothing more, to the database, the broker or a caller. Attack: hold the lease, take it away,
// leave its owner without an answer, and break the deployment, over ports that do nothing by themselves.
import { describe, expect, test } from "vitest";
import type { Taken } from "../../src/commit/lease.store.ts";
import { createMachines } from "../../src/decide/machines.ts";
import { type DriveStages, Unavailable } from "../../src/drive.ts";
import type { Time } from "../../src/ops/time.ts";
import type { CursorRow } from "../../src/publish/messages.ts";
import { type PublisherWishes, type SessionStages, Shard, type ShardPorts, StandingBy, type SubscriberWishes } from "../../src/shard.ts";
import { SILENT } from "../support/silent.ts";

const nothing = (): void => {};

/** Time that passes when it is told to. */
function handTime(): Time & { pass(ms: number): Promise<void> } {
  let now = 0;
  const due = new Set<{ at: number; every: number | null; run: () => void }>();
  const set = (ms: number, every: number | null, run: () => void): (() => void) => {
    const timer = { at: now + ms, every, run };
    due.add(timer);
    return () => due.delete(timer);
  };
  return {
    now: () => now,
    after: (ms, run) => set(ms, null, run),
    soon: (run) => void set(0, null, run),
    every: (ms, run) => set(ms, ms, run),
    chance: () => 0,
    async pass(ms) {
      const until = now + ms;
      for (;;) {
        const [next] = [...due].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        now = next.at;
        if (next.every === null) due.delete(next);
        else next.at += next.every;
        next.run();
        await new Promise(setImmediate);
      }
      now = until;
      await new Promise(setImmediate);
    },
  };
}

const HELD: Taken = { kind: "held", by: { owner: "other.1.a", term: 3 }, leftMs: 2_000 };
const taken = (term: number): Taken => ({ kind: "taken", term });
const COMMAND = {
  command: { kind: "batch.command" as const, batch: "B-1", command: "start" as const, reason: null },
  actor: "a",
  role: null,
  signature: null,
  from: null,
  ifVersion: null,
  key: null,
};

const CURSOR: CursorRow = {
  site: "rtm1",
  line: "4",
  equipment: "scale-1",
  device: null,
  source: "/site/rtm1/line/4/eq/scale-1",
  generation: 1,
  version: 1,
  epoch: "7",
  through: "1",
  highest: "1",
  missing: [],
  parked: false,
  changedAt: "2026-01-01T00:00:00.000000Z",
};

function staged(takes: readonly Taken[]) {
  const did: string[] = [];
  const time = handTime();
  const answers = [...takes];
  const lends: SessionStages[] = [];
  let renew: () => Promise<boolean> = async () => true;
  let read: () => Promise<never> = () => new Promise(nothing);
  let readCursors: () => Promise<readonly CursorRow[]> = async () => [];
  let subscriber: SubscriberWishes | null = null;
  let publisher: PublisherWishes | null = null;
  const session = (role: string) => ({
    start: async () => void did.push(`${role} starts`),
    stop: async () => void did.push(`${role} stops`),
    connected: true,
  });
  const ports: ShardPorts = {
    site: "rtm1",
    shard: "rtm1",
    prefix: "",
    verdicts: "all",
    quota: null,
    time,
    ...SILENT,
    meter: { ...SILENT.meter, ownership: (_site, owned, term) => did.push(`${owned ? "owned" : "not owned"} under ${term}`) },
    lease: {
      owner: "me.1.b",
      take: async () => answers.shift() ?? HELD,
      renew: () => renew(),
      release: async (term) => void did.push(`released ${term}`),
    },
    stages(_term, lent): DriveStages {
      lends.push(lent);
      return {
        ...lent,
        machines: createMachines(() => undefined),
        maxBytes: 1_000,
        decode: () => ({ kind: "ignored", why: "topic" }),
        read: () => read(),
        commit: () => new Promise(nothing),
        find: async () => null,
        failure: (error) => ({ kind: error === "schema" ? "deployment" : "fenced", ambiguous: false, code: null, known: true }),
        now: () => "2026-01-01T00:00:00.000000Z",
        silentFor: async () => null,
        beat: async () => {},
        due: async () => [],
      };
    },
    relayStore: () => ({
      readPublishable: async (after) => ({ verdicts: [], outcomes: [], through: after, committed: after, shown: after, atOnce: true }),
      readVerdicts: async () => [],
      readCursor: async () => 0,
      moveCursor: async () => {},
      readCursors: () => readCursors(),
      readBatchMirrors: async () => [],
      readExpiredMirrors: async () => [],
      readCheckpoint: async () => null,
    }),
    createSubscriber(wishes) {
      subscriber = wishes;
      return { ...session("subscriber"), pause: nothing, acknowledge: (slots) => did.push(`acknowledged ${slots.length}`), unacknowledged: 0, parked: false };
    },
    createPublisher(wishes) {
      publisher = wishes;
      return { ...session("publisher"), publish: async ({ topic }) => void did.push(`published on ${topic}`), pending: 0 };
    },
    onCommitted: nothing,
    onHalted: () => did.push("halted"),
  };
  return {
    shard: new Shard(ports),
    did,
    time,
    lends,
    wishes: () => ({ subscriber, publisher }),
    renewing: (as: () => Promise<boolean>) => {
      renew = as;
    },
    reading: (as: () => Promise<never>) => {
      read = as;
    },
    readingCursors: (as: () => Promise<readonly CursorRow[]>) => {
      readCursors = as;
    },
  };
}

describe("a shard that another owns", () => {
  test("is stood by for: no session is begun, and callers hear whom to ask", async () => {
    const { shard, did } = staged([HELD]);
    await shard.start();
    expect(shard.condition).toMatchObject({ state: "standing by", holder: { owner: "other.1.a", term: 3 }, drive: null });
    await expect(shard.command(COMMAND)).rejects.toMatchObject({ owner: "other.1.a" });
    await expect(shard.command(COMMAND)).rejects.toBeInstanceOf(StandingBy);
    expect(did).toEqual(["not owned under 3"]);
    await shard.stop();
  });

  test("is taken when its lease is free, lease first and sessions second", async () => {
    const { shard, did, time } = staged([HELD, HELD, taken(4)]);
    await shard.start();
    await time.pass(500);
    expect(shard.condition.state).toBe("standing by");
    await time.pass(500);
    expect(shard.condition).toMatchObject({ state: "owner", holder: { owner: "me.1.b", term: 4 } });
    expect(did.slice(-3)).toEqual(["owned under 4", "publisher starts", "subscriber starts"]);
    await shard.stop();
    expect(did.slice(-3)).toEqual(["subscriber stops", "publisher stops", "released 4"]);
  });
});

describe("an owner", () => {
  test("asks the lease anew before each connection, on both sessions", async () => {
    const { shard, wishes, renewing } = staged([taken(4)]);
    await shard.start();
    const { subscriber, publisher } = wishes();
    expect([await subscriber?.mayConnect(), await publisher?.mayConnect()]).toEqual([true, true]);
    renewing(() => Promise.reject(new Error("the database is away")));
    await expect(publisher?.mayConnect()).rejects.toThrow("away");
    expect(shard.condition.state).toBe("owner");
    renewing(async () => false);
    expect(await subscriber?.mayConnect()).toBe(false);
    expect(shard.condition.state).toBe("standing by");
    expect(await publisher?.mayConnect()).toBe(false);
    await shard.stop();
  });

  test("whose renewals fail goes on, however long, until it is told that its term is over", async () => {
    const { shard, time, renewing } = staged([taken(4)]);
    await shard.start();
    renewing(() => Promise.reject(new Error("the database is away")));
    await time.pass(60_000);
    expect(shard.condition.state).toBe("owner");
    renewing(async () => false);
    await time.pass(500);
    expect(shard.condition.state).toBe("standing by");
    await shard.stop();
  });

  test("that is told so closes its sessions, acknowledges nothing more, refuses what is in hand and what waits, releases nothing, and may own again", async () => {
    const { shard, did, time, lends, renewing, reading } = staged([taken(4), HELD, taken(6)]);
    await shard.start();
    let fail: (error: unknown) => void = nothing;
    reading(() => new Promise((_, reject) => (fail = reject)));
    const inHand = shard.command(COMMAND);
    await new Promise(setImmediate);
    const refused = [inHand, shard.command(COMMAND)].map((asked) => expect(asked).rejects.toBeInstanceOf(Unavailable));
    renewing(async () => false);
    await time.pass(500);
    lends[0]?.acknowledge([]);
    fail("its commit was refused");
    await Promise.all(refused);
    await time.pass(100);
    expect(did).toEqual([
      "owned under 4",
      "publisher starts",
      "subscriber starts",
      "subscriber stops",
      "publisher stops",
      "not owned under 4",
      "not owned under 3",
    ]);

    renewing(async () => true);
    await time.pass(500);
    expect(shard.condition).toMatchObject({ state: "owner", holder: { term: 6 } });
    await shard.stop();
  });

  test("that is told so while it reads what to publish does not publish it, though its connection still stands", async () => {
    for (const fenced of [false, true]) {
      const { shard, did, time, renewing, readingCursors } = staged([taken(4)]);
      let found: (rows: readonly CursorRow[]) => void = nothing;
      readingCursors(() => new Promise((resolve) => (found = resolve)));
      await shard.start();
      await time.pass(0);
      if (fenced) renewing(async () => false);
      await time.pass(500);
      found([CURSOR]);
      await time.pass(0);
      expect(did.filter((what) => what.startsWith("published"))).toEqual(fenced ? [] : ["published on site/rtm1/line/4/eq/scale-1/cursor"]);
      await shard.stop();
    }
  });

  test("whose deployment is at fault halts for good, and gives the shard up", async () => {
    const { shard, did, time, reading } = staged([taken(4), taken(5)]);
    await shard.start();
    reading(() => Promise.reject("schema"));
    await expect(shard.command(COMMAND)).rejects.toBeInstanceOf(Unavailable);
    await time.pass(60_000);
    expect(shard.condition).toMatchObject({ state: "halted", holder: null });
    expect(did.slice(-5)).toEqual(expect.arrayContaining(["halted", "subscriber stops", "publisher stops", "released 4"]));
    expect(did).not.toContain("owned under 5");
    await shard.stop();
  });
});
