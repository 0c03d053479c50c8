import { describe, expect, test } from "vitest";
import type { DeviceEvent } from "../../../src/decode/event.ts";
import { olderThanLast, withLast } from "../../../src/sequence/monotonic.ts";
import type { SourceState } from "../../../src/sequence/source-state.ts";
import { given, scale } from "../../support/given.ts";
import { event, structured, weight } from "../decode/deliveries.ts";

const { epoch: _, sequence: __, batchid: ___, stepid: ____, ...unnumbered } = weight;
const tells = (type: string, numbers: { readonly epoch?: string; readonly sequence?: string }, data: object): DeviceEvent =>
  event(structured({ ...unnumbered, type: `signalbox.${type}.v1`, data, ...numbers }));
const state = (epoch?: string, sequence?: string): DeviceEvent =>
  tells("equipment.state", epoch === undefined || sequence === undefined ? {} : { epoch, sequence }, { state: "Idle" });
const last = (monotonic: SourceState["monotonic"]): SourceState => ({ ...given().source(scale), monotonic });
const at = last({ "equipment.state": ["7", "9"], "call.raised": ["7", "9"] });

describe("an event whose type is monotonic", () => {
  test("is older than the last of its type in an older epoch, or below it in the same", () => {
    const older = (epoch: string, sequence: string) => olderThanLast(at, state(epoch, sequence));
    expect([older("6", "99"), older("7", "8"), older("7", "9"), older("7", "10"), older("8", "1")]).toEqual([true, true, false, false, false]);
  });
  test("is told by numbers, not by texts", () => {
    expect(olderThanLast(last({ "equipment.state": ["10", "1"] }), state("9", "2"))).toBe(true);
  });
  test("is not older where nothing of its type came before", () => {
    expect(olderThanLast(last({}), state("1", "1"))).toBe(false);
  });
  test("becomes the last of its type and of no other", () => {
    expect(withLast(at, state("7", "12"))?.monotonic).toEqual({ "equipment.state": ["7", "12"], "call.raised": ["7", "9"] });
  });
  test("has no order without numbers", () => {
    expect(olderThanLast(at, state())).toBe(false);
    expect(withLast(at, state())).toBe(null);
    for (const numbers of [
      { epoch: null, sequence: 1n },
      { epoch: 1n, sequence: null },
    ]) {
      expect(olderThanLast(at, { ...state("1", "1"), ...numbers })).toBe(false);
      expect(withLast(at, { ...state("1", "1"), ...numbers })).toBe(null);
    }
  });
});

test("an event of any other type is never older than the last, even if one is remembered", () => {
  const call = tells("call.raised", { epoch: "7", sequence: "1" }, { call: "c" });
  expect(olderThanLast(at, call)).toBe(false);
  expect(withLast(at, call)).toBe(null);
});
