import { describe, expect, test } from "vitest";
import { commitGroup, findGroup } from "../../../src/commit/commit.store.ts";
import { applicationName, LEASE_MS, readLeases, releaseLease, renewLease, takeShard } from "../../../src/commit/lease.store.ts";
import { beat, databaseNow, ensurePartitions, listBranches, listShards, readBacklog, readDue, readHead, silentFor } from "../../../src/commit/shard.store.ts";
import { safePosition } from "../../../src/db/position.ts";
import { answering } from "../../support/answering-database.ts";

// What the stores make of the rows that come back, and of rows that do not. What their SQL does is held against a real Postgres in test/promises.

const giving = (...rows: readonly unknown[]) => answering(() => rows).db;
/** A value as the driver writes it: what makes itself late is asked for then. */
const written = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "toPostgres" in value && typeof value.toPostgres === "function" ? value.toPostgres() : value;
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
  const raws = [Buffer.from("one"), null, Buffer.from("three")];
  const settlement = { positions: 3, document: "{}", raws, correlations: [null], entries: ['{"a":1}', "{}", "{}"] };
  test("tells where its group came to stand, and under which owner it was asked for", async () => {
    const { db, asked } = answering(() => [{ base: "40", generation: 3, recorded_at: "2026-11-22T08:00:00.000000Z" }]);
    expect(await commitGroup(db, owner, "g-1", settlement)).toEqual({ base: 40, generation: 3, recordedAt: "2026-11-22T08:00:00.000000Z" });
    expect(asked[0]?.parameters.map(written)).toEqual([
      ...["rtm1", "s1", 4, "g-1", 3, "{}"],
      ...[Buffer.from("onethree"), [1, 4, 4], [3, null, 5]],
      ...[Buffer.alloc(0), [1], [null]],
      '{"a":1}\n{}\n{}',
    ]);
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
  test("is taken under the term that it then has, or held by somebody for so long yet", async () => {
    const { db, asked } = answering(() => [{ taken: true, holder: "node-1", term: "5", left_ms: 3_000 }]);
    expect(await takeShard(db, "s1", "node-1")).toEqual({ kind: "taken", term: 5 });
    expect(asked[0]?.parameters).toEqual(["s1", "node-1", LEASE_MS]);
    const held = giving({ taken: false, holder: "node-2", term: "6", left_ms: 1_200 });
    expect(await takeShard(held, "s1", "node-1")).toEqual({ kind: "held", by: { owner: "node-2", term: 6 }, leftMs: 1_200 });
    // Found under load: the answer to a take came too late, and the process waited for a lease that it held itself.
    const before = giving({ taken: false, holder: "node-1", term: "6", left_ms: 1_200 });
    expect(await takeShard(before, "s1", "node-1"), "the answer to an earlier take was lost").toEqual({ kind: "taken", term: 6 });
    await expect(takeShard(giving(), "s9", "node-1")).rejects.toThrow("nobody could say who holds shard s9");
  });
  test("is kept only by whoever changed its one lease", async () => {
    const renewed = async (affected: bigint) => {
      const { db, asked } = answering(() => [], affected);
      return [await renewLease(db, "s1", "node-1", 5), asked[0]?.parameters];
    };
    expect(await renewed(1n)).toEqual([true, [LEASE_MS / 1_000, "s1", "node-1", 5, "s1", 5]]);
    expect(LEASE_MS / 1_000).toBe(2.5);
    expect((await renewed(0n))[0]).toBe(false);
  });
  test("is given up, and its heart beats, under its own term alone", async () => {
    const { db, asked } = answering(() => []);
    await releaseLease(db, "s1", "node-1", 5);
    await beat(db, "s1", 5);
    expect(asked.map(({ parameters }) => parameters)).toEqual([
      ["s1", "node-1", 5],
      ["s1", 5],
    ]);
    expect(applicationName("node-1")).toBe("signalbox node-1");
  });
  test("tells people who owns it, once the database has leases at all", async () => {
    const row = { shard: "s1", owner: "node-1", term: "5", age: 0.5, lapsed: false };
    const { db, asked } = answering(({ sql }) => (sql.includes("to_regclass") ? [{ there: true }] : [row]));
    expect(await readLeases(db)).toEqual([{ shard: "s1", owner: "node-1", term: 5, ageSeconds: 0.5, lapsed: false }]);
    expect(asked[1]?.parameters).toEqual([LEASE_MS / 1_000]);
    expect(await readLeases(answering(({ sql }) => (sql.includes("to_regclass") ? [{ there: false }] : [row])).db)).toEqual([]);
    expect(await readLeases(answering(({ sql }) => (sql.includes("to_regclass") ? [] : [row])).db)).toEqual([]);
  });
  test("is listed with its site", async () => {
    expect(await listShards(giving({ shard: "s1", site: "rtm1" }))).toEqual([{ shard: "s1", site: "rtm1" }]);
  });
  test("has the branches of its site", async () => {
    const branch = { site: "rtm1", line: "4", equipment: "scale-1" };
    const { db, asked } = answering(() => [branch]);
    expect(await listBranches(db, "rtm1")).toEqual([branch]);
    expect(asked[0]?.parameters).toEqual(["rtm1"]);
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
