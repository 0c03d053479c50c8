// Promise: what is read as an audit entry is two lines of JSON, a head and lists of rows; anything else is said to be none, and nothing of it is believed.
import { describe, expect, test } from "vitest";
import { parseEntry } from "../../../src/audit/entry.ts";

const HEAD = { site: "rtm1", position: 7, generation: 1, time: "2026-11-22T08:00:00.000000Z", shard: "rtm1", term: 3, base: 6, batches: { "B-1": 2 } };
const read = (...lines: readonly string[]): unknown => parseEntry(Buffer.from(lines.join("\n")));

describe("an entry", () => {
  test("is read as it was written, whatever its rows say", () => {
    const body = { signals: [{ kind: "event", body: { deep: [1, { er: null }] }, __proto__: null }], verdicts: [] };
    expect(read(JSON.stringify(HEAD), JSON.stringify(body))).toEqual({ head: HEAD, body: JSON.parse(JSON.stringify(body)) });
    expect(read(JSON.stringify(HEAD), "{}")).toEqual({ head: HEAD, body: {} });
  });

  test.each(["null", "[]", "7", '"signals"', '{"signals":null}', '{"signals":{}}', '{"signals":[7]}', '{"signals":[null]}', '{"signals":[[]]}', "{"])(
    "has no second line like %s",
    (second) => {
      expect(() => read(JSON.stringify(HEAD), second)).toThrow();
    },
  );

  test.each([
    ["no head", JSON.stringify({})],
    ["a position that is a text", JSON.stringify({ ...HEAD, position: "7" })],
    ["a base that is no whole number", JSON.stringify({ ...HEAD, base: 6.5 })],
    ["a site that is none", JSON.stringify({ ...HEAD, site: null })],
    ["numbers of batches that are none", JSON.stringify({ ...HEAD, batches: { "B-1": "2" } })],
    ["a list of batches", JSON.stringify({ ...HEAD, batches: [1] })],
    ["no number of a term", JSON.stringify({ ...HEAD, term: undefined })],
  ])("has no first line with %s", (_, first) => {
    expect(() => read(first, "{}")).toThrow();
  });

  test("has two lines, neither fewer nor more", () => {
    expect(() => read(JSON.stringify(HEAD))).toThrow("two lines");
    expect(() => read(JSON.stringify(HEAD), "{}", "")).toThrow("two lines");
  });
});
