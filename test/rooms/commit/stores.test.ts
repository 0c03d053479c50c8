import { describe, expect, test } from "vitest";
import { commitGroup, findGroup, safePosition } from "../../../src/commit/commit.store.ts";
import { databaseNow, ensurePartitions, listShards, readBacklog, readDue, readHead, silentFor, takeShard } from "../../../src/commit/shard.store.ts";
import { answering } from "../../support/answering-database.ts";

// What the stores make of the rows that come back, and of rows that do not. What their SQL does is held against a real Postgres in test/promises.

const giving = (...rows: readonly unknown[]) => answering(() => rows).db;
const owner = { site: "rtm1", shard: "s1", term: 4 };
const at = { site: "rtm1", shard: "s1" };

describe("a position", () => {
  test("is an exact integer, or nothing at all", () => {
    expect([safePosition("41"), safePosition(7n), safePosition("9007199254740991")]).toEqual([41, 7, 2 ** 53 - 1]);
    expect(() => safePosition("9007199254740992")).toThrow("position 9007199254740992 is beyond 2^53");
    expect(() => safePosition("four")).toThrow("position four");
  });
});

describe("a commit", () => {
  const settlement = { positions: 2, document: "{}", raws: [null], correlations: [null] };
  test("tells where its group came to stand, and under which owner it was asked for", async () => {
    const { db, asked } = answering(() => [{ base: "40", generation: 3, recorded_at: "2026-11-22T08:00:00.000000Z" }]);
    expect(await commitGroup(db, owner, "g-1", settlement)).toEqual({ base: 40, generation: 3, recordedAt: "2026-11-22T08:00:00.000000Z" });
    expect(asked[0]?.parameters).toEqual(["rtm1", "s1", 4, "g-1", 2, "{}", [null], [null]]);
  });
  test("that gives no position back is none", async () => {
    await expect(commitGroup(giving(), owner, "g-1", settlement)).rejects.toThrow("without its position");
  });
  test("whose reply was lost is found by its group, or is not there", async () => {
    expect(await findGroup(giving({ base: "40", generation: 3, recorded_at: "t" }), "g-1")).toEqual({ base: 40, generation: 3, recordedAt: "t" });
    expect(await findGroup(giving(), "g-1")).toBe(null);
  });
});

describe("a shard", () => {
  test("is taken under the term that it then has, and only if it is registered", async () => {
    expect(await takeShard(giving({ term: "5" }), "s1", "node-1")).toBe(5);
    await expect(takeShard(giving(), "s9", "node-1")).rejects.toThrow("shard s9 is not registered");
  });
  test("is listed with its site", async () => {
    expect(await listShards(giving({ shard: "s1", site: "rtm1" }))).toEqual([{ shard: "s1", site: "rtm1" }]);
  });
  test("that never received has not been silent for any time", async () => {
    expect([await silentFor(giving({ ms: 250 }), "s1"), await silentFor(giving({ ms: null }), "s1"), await silentFor(giving(), "s1")]).toEqual([
      250,
      null,
      null,
    ]);
  });
  test("has due what the database says, in its order", async () => {
    const ticks = [
      { tick: "patience", event: 4 },
      { tick: "gap", source: "s" },
    ];
    expect(await readDue(giving(...ticks.map((tick) => ({ tick }))), at, 10)).toEqual(ticks);
  });
  test("of which nothing is known has no backlog", async () => {
    const counts = { deferred: 1, waiting: 2, gaps: 3, parked: 4, quarantined: 5 };
    expect(await readBacklog(giving({ ...counts, lag: "6" }), at)).toEqual({ ...counts, relayLag: 6 });
    expect(await readBacklog(giving(), at)).toEqual({ deferred: 0, waiting: 0, gaps: 0, parked: 0, quarantined: 0, relayLag: 0 });
  });
});

describe("a site", () => {
  test("begins at position 0 of generation 1", async () => {
    expect(await readHead(giving({ position: "77", generation: 2 }), "rtm1")).toEqual({ position: 77, generation: 2 });
    expect(await readHead(giving(), "rtm1")).toEqual({ position: 0, generation: 1 });
  });
  test("has as many partitions made as were", async () => {
    expect([await ensurePartitions(giving({ made: 2 }), 9), await ensurePartitions(giving(), 9)]).toEqual([2, 0]);
  });
  test("whose database does not tell its time has none", async () => {
    expect(await databaseNow(giving({ now: "2026-11-22T08:00:00.000000Z" }))).toBe("2026-11-22T08:00:00.000000Z");
    await expect(databaseNow(giving())).rejects.toThrow("did not tell its time");
  });
});
