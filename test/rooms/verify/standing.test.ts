import { describe, expect, test } from "vitest";
import type { Finding } from "../../../src/verify/finding.ts";
import { compareStanding, standing } from "../../../src/verify/standing.ts";
import type { Columns } from "../../../src/verify/told-rows.ts";

const locks = (...rows: readonly Columns[]): Columns[] => rows.map((row) => ({ site: "rtm1", kind: "engagement", role: "scale", ...row }));

async function found(must: readonly Columns[], stored: readonly Columns[], covers?: (row: Columns) => boolean): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  async function* read(): AsyncGenerator<Columns> {
    yield* stored;
  }
  await compareStanding("rtm1", standing("context_locks", must, covers), read, (finding) => findings.push(finding));
  return findings;
}

describe("rows as they stand against how they must stand", () => {
  const must = locks({ equipment: "mixer-1", token: 1, batch: "B-1" }, { equipment: "scale-1", token: 2, batch: "B-2", freed_at: "2026-11-22T08:00:00.4Z" });
  const stored = locks(
    { equipment: "mixer-1", token: 1n, batch: "B-1", freed_at: null },
    { equipment: "scale-1", token: 2n, batch: "B-2", freed_at: "2026-11-22T08:00:00.400000Z" },
  );

  test("are the same however numbers and times are written", async () => {
    expect(await found(must, stored)).toEqual([]);
  });
  test("are altered where a column says something else, and the column is named with both values", async () => {
    const changed = stored.map((row) => (row["token"] === 2n ? { ...row, batch: "B-9" } : row));
    expect(await found(must, changed)).toMatchObject([
      { severity: "altered", table: "context_locks", key: { site: "rtm1", equipment: "scale-1", token: "2" }, column: "batch", stored: "B-9", expected: "B-2" },
    ]);
  });
  test("are altered by a row too many, also by a second one with the key of another", async () => {
    const [first, second] = stored;
    expect(await found(must, locks({ equipment: "a", token: 9n, batch: "B-1" }).concat(stored))).toMatchObject([
      { severity: "altered", stored: "a row", expected: null },
    ]);
    expect(await found(must, [first ?? {}, first ?? {}, second ?? {}])).toMatchObject([
      { severity: "altered", key: { equipment: "mixer-1" }, stored: "a row" },
    ]);
  });
  test("are incomplete without one, which is named", async () => {
    expect(await found(must, stored.slice(1))).toMatchObject([{ severity: "incomplete", key: { equipment: "mixer-1", token: "1" }, expected: "a row" }]);
  });
  test("are not compared in what cannot be told: a column, or a row that nothing on record could tell of", async () => {
    expect(await found([{ ...must[0], batch: undefined }, ...must.slice(1)], stored)).toEqual([]);
    expect(await found(must, stored.concat(locks({ equipment: "z", token: 0n })), (row) => row["token"] !== 0n)).toEqual([]);
  });
});
