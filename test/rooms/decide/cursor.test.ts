import { describe, expect, test } from "vitest";
import { inWords } from "../../../src/decide/poison.ts";
import { type Act, given, type Line, orders, type Said, scale, told } from "../../support/given.ts";

// What goes on record when a cursor moves otherwise than number by number: which numbers were given up, why, and in which words a person is told.

const call = (sequence: number, more: Said = {}) => scale.says("call.raised", { sequence, data: { call: "c" }, ...more });
const givenUp = ({ model }: Line) => model.skipped.map(({ epoch, first, last, reason }) => `${epoch}: ${first} to ${last} ${reason}`);
const exceptions = ({ model }: Line) => model.exceptions.map(({ code, reason }) => `${code}: ${reason}`);
const expires = (line: Line, act: Act) => line.settlements(act).flatMap(({ rows }) => rows.waitingExpires);
const rebases =
  (epoch: bigint | null, sequence: bigint): Act =>
  (line) =>
    orders({ kind: "gap.resolve", source: scale.name, gap: line.source(scale).gap?.position ?? 0, action: "rebase", epoch, sequence, reason: "seen" })(line);
const replaced = orders({ kind: "source.succession", source: scale.name, reason: "replaced" });

describe("an epoch that ends", () => {
  test("tells which of its numbers are missing, each run by itself", () => {
    const line = given(call(1), call(3), call(6), call(1, { epoch: 8 }));
    expect(givenUp(line)).toEqual(["7: 2 to 2 epoch_ended", "7: 4 to 5 epoch_ended"]);
    expect(exceptions(line)).toEqual([`SEQ_SKIPPED: Epoch 7 of ${scale.name} ended with 2, 4 to 5 missing.`]);
  });
  test("is none where the first begins, be it epoch 0 or with a birth at 1", () => {
    for (const first of [call(1, { epoch: 0 }), scale.birth(2, { epoch: 7, sequence: 1 })]) {
      const line = given();
      expect(told(line.when(first))).toEqual(["accepted"]);
      expect([givenUp(line), exceptions(line)]).toEqual([[], []]);
    }
    const [settled] = given().settlements(call(1, { epoch: 0 }));
    expect([settled?.rows.skipped, settled?.rows.waitingExpires]).toEqual([[], []]);
  });
  test("may be 0, begun with a birth wherever the source stands", () => {
    const line = given(scale.birth(6, { epoch: 0, sequence: 5 }));
    expect([line.source(scale), givenUp(line)]).toMatchObject([{ epoch: 0n, through: 5n, gap: null }, ["0: 1 to 4 baseline"]]);
  });
  test("lets what waits expire, and nothing where nothing waits", () => {
    expect(expires(given(call(1), call(3)), call(1, { epoch: 8 }))).toEqual([{ sourceKey: "1", incarnation: 1, epoch: 8n, through: 1n }]);
    expect(expires(given(call(1)), call(1, { epoch: 8 }))).toEqual([]);
  });
});

describe("numbers that are given up", () => {
  test("are told of in words, and nothing is told where nothing was missing", () => {
    expect(exceptions(given(call(1), call(4), scale.lost(2, 3, { sequence: 6 })))).toEqual([
      `SEQ_SKIPPED: Numbers 2 to 3 of epoch 7 of ${scale.name} were given up.`,
    ]);
    expect(exceptions(given(call(1), call(2), call(3), scale.lost(1, 3, { sequence: 6 })))).toEqual([]);
  });
});

describe("a source that a person sets elsewhere", () => {
  test("gives up what it skips by that, in its epoch or of the one that ends", () => {
    expect(givenUp(given(call(1), call(4), rebases(null, 3n)))).toEqual(["7: 2 to 2 resolved"]);
    const elsewhere = given(call(1), call(4), rebases(8n, 5n));
    expect(givenUp(elsewhere)).toEqual(["7: 2 to 3 epoch_ended", "8: 1 to 4 baseline"]);
    expect(elsewhere.source(scale)).toMatchObject({ epoch: 8n, through: 4n, highest: 4n });
    expect(givenUp(given(call(1), call(4), rebases(8n, 1n)))).toEqual(["7: 2 to 3 epoch_ended"]);
  });
  test("keeps what waits behind the place where it goes on", () => {
    const line = given(call(1), call(4), call(9, { epoch: 8 }), rebases(8n, 5n));
    expect(line.source(scale)).toMatchObject({ epoch: 8n, through: 4n, highest: 9n, waitingCount: 1 });
  });
});

describe("a device that is replaced", () => {
  test("leaves what its predecessor lacked given up, and what waits to expire", () => {
    const line = given(call(1), call(4));
    expect(expires(line, replaced)).toEqual([{ sourceKey: "1", incarnation: 2, epoch: 0n, through: 0n }]);
    expect(givenUp(line)).toEqual(["7: 2 to 3 succession"]);
  });
  test("leaves nothing where there was nothing", () => {
    for (const line of [given(), given(call(1))]) {
      expect(line.answer(replaced)).toMatchObject({ kind: "done" });
      expect([givenUp(line), line.source(scale)]).toMatchObject([[], { incarnation: 2, epoch: null, through: 0n, highest: 0n, skippedAhead: [] }]);
    }
    expect(expires(given(call(1)), replaced)).toEqual([]);
  });
});

test("what was thrown is told short, without its last full stop", () => {
  expect([inWords(new Error("a.b fell. Over.")), inWords("text."), inWords(undefined), inWords(new Error("x".repeat(300)))]).toEqual([
    "a.b fell. Over",
    "text",
    "undefined",
    "x".repeat(200),
  ]);
});
