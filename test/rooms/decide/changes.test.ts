import { describe, expect, test } from "vitest";
import { Changes } from "../../../src/decide/changes.ts";
import { NotRead } from "../../../src/decide/world-request.ts";

// Promise: a signal whose judgement throws leaves no trace in the world.
// Attack: change, add and delete what was there and what was not, then throw.

const state = () => ({ changes: new Changes(), map: new Map([["there", 1]]), set: new Set(["there"]) });
const thrown = (what: unknown) => (): never => {
  throw what;
};

describe("what a judgement changed", () => {
  test("stays when it comes to its end", () => {
    const { changes, map, set } = state();
    const result = changes.attempt(() => {
      changes.set(map, "there", 2);
      changes.set(map, "new", 3);
      changes.add(set, "new");
      return "done";
    });
    expect([result, [...map], [...set]]).toEqual([
      { ok: true, value: "done" },
      [
        ["there", 2],
        ["new", 3],
      ],
      ["there", "new"],
    ]);
  });
  test("is taken back, the last first, when it throws; what came before it stays", () => {
    const { changes, map, set } = state();
    changes.set(map, "before", 7);
    const error = new Error("fell over");
    const result = changes.attempt(() => {
      changes.set(map, "there", 2);
      changes.set(map, "there", 3);
      changes.set(map, "new", 4);
      changes.delete(map, "before");
      changes.delete(map, "nowhere");
      changes.add(set, "there");
      changes.add(set, "new");
      thrown(error)();
    });
    expect(result).toEqual({ ok: false, error });
    expect([[...map].sort(), [...set]]).toEqual([
      [
        ["before", 7],
        ["there", 1],
      ],
      ["there"],
    ]);
  });
  test("is no failure where it only wishes to read more", () => {
    const { changes } = state();
    const wish = new NotRead("batch B-1", () => {});
    expect(() => changes.attempt(thrown(wish))).toThrow(wish);
  });
  test("is taken back whole with what was tried within it, whether that came to its end or not", () => {
    const { changes, map, set } = state();
    const outer = changes.attempt(() => {
      changes.set(map, "there", 2);
      expect(changes.attempt(() => changes.set(map, "inner", 3)).ok).toBe(true);
      expect(
        changes.attempt(() => {
          changes.add(set, "inner");
          thrown("inner")();
        }),
      ).toEqual({ ok: false, error: "inner" });
      expect([[...map], [...set]]).toEqual([
        [
          ["there", 2],
          ["inner", 3],
        ],
        ["there"],
      ]);
      thrown("outer")();
    });
    expect(outer).toEqual({ ok: false, error: "outer" });
    expect([...map]).toEqual([["there", 1]]);
  });
});
