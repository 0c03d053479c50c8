import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { DECODE_CODES } from "../../../src/decode/codes.ts";
import { dataSchema, EVENT_TYPES, type EventTypeName, isEventTypeName } from "../../../src/decode/event-types.ts";
import { decoded, structured, weight } from "./deliveries.ts";

/** Section 4 of the contract. */
const CONTRACT =
  "source.birth|lost, batch.start|pause|resume|stop|abort, step.start|evidence|complete|pause|resume|abort, material.check|consumed|produced|returned|scrapped|transferred, count.reported, label.check|printed|applied|verified|voided, check.performed, sample.taken, equipment.state|changed, downtime.reported, alarm.raised|cleared, call.raised|closed, quality.signal";
const names = CONTRACT.split(", ").flatMap((group) => {
  const [object = "", verbs = ""] = group.split(".");
  return verbs.split("|").map((verb) => `${object}.${verb}`);
});
const typesWhere = (holds: (type: (typeof EVENT_TYPES)[EventTypeName]) => boolean): string[] =>
  names.filter((name) => isEventTypeName(name) && holds(EVENT_TYPES[name]));

const quantity = { value: "12.50", unit: "kg" };
const label = { label: "L-1", revision: "3" };
const moved = { material: "salt", lot: "L7", quantity };
const EXAMPLES: Readonly<Record<EventTypeName, readonly Readonly<Record<string, unknown>>[]>> = {
  "source.birth": [{ next: "40" }, { next: 40, firmware: "2.1", reason: "power" }],
  "source.lost": [
    { from: "4", to: "4" },
    { from: 4, to: 5, reason: "flash worn" },
  ],
  "batch.start": [{}, { reason: "shift plan" }],
  "batch.pause": [{}],
  "batch.resume": [{}],
  "batch.stop": [{}],
  "batch.abort": [{ reason: "leak" }],
  "step.start": [{}],
  "step.evidence": [
    weight.data,
    { evidence: "net-weight", value: 12.503, unit: "kg", quality: "good", device: "d1" },
    { evidence: "clean", value: true },
    { evidence: "lot", value: "0108712345" },
    { evidence: "certificate" },
    { evidence: "end-temperature", value: "-24.5", unit: "Cel" },
    { evidence: "flow", value: "1", unit: "m3/h" },
  ],
  "step.complete": [{}],
  "step.pause": [{ reason: "jam" }],
  "step.resume": [{}],
  "step.abort": [{}],
  "material.check": [
    { material: "salt", lot: "L7" },
    { material: "salt", lot: "L7", container: "C1", quantity },
  ],
  "material.consumed": [moved],
  "material.produced": [moved],
  "material.returned": [{ ...moved, reason: "too much" }],
  "material.scrapped": [moved],
  "material.transferred": [{ ...moved, to: "C2" }],
  "count.reported": [
    { counter: "good", value: "107" },
    { counter: "good", value: 107, unit: "1" },
  ],
  "label.check": [label],
  "label.printed": [{ ...label, serial: "S1", count: 2 }],
  "label.applied": [label],
  "label.verified": [{ ...label, read: "S1" }],
  "label.voided": [{ ...label, reason: "smeared" }],
  "check.performed": [
    { check: "torque", result: "pass", value: "5.1", unit: "N.m" },
    { check: "seal", result: "fail", text: "torn" },
  ],
  "sample.taken": [{ sample: "S-1" }, { sample: "S-1", lot: "L7", quantity }],
  "equipment.state": [{ state: "Execute", mode: "Production" }],
  "equipment.changed": [{ what: "blade", part: "P1", from: "S1", to: "S2" }],
  "downtime.reported": [{ reason: "jam", from: "2026-11-22T08:00:00Z", to: "2026-11-22T08:01:00+01:00" }],
  "alarm.raised": [{ alarm: "door", severity: "high", text: "open" }],
  "alarm.cleared": [{ alarm: "door" }],
  "call.raised": [{ call: "help" }],
  "call.closed": [{ call: "help", text: "done" }],
  "quality.signal": [{ signal: "trend", value: "1.2", unit: "kg", limit: "1.0 kg", text: "rising" }],
};

test("the types are those of the contract", () => {
  expect(Object.keys(EVENT_TYPES).sort()).toEqual([...names].sort());
});

test("requests are those that are asked before the act", () => {
  expect(typesWhere(({ mood }) => mood === "request")).toEqual([
    "batch.start",
    "batch.pause",
    "batch.resume",
    "batch.stop",
    "batch.abort",
    "step.start",
    "step.complete",
    "material.check",
    "label.check",
  ]);
});

test("what restricts, what tells of the source itself and what is monotonic does not wait behind a gap", () => {
  expect(typesWhere(({ waits, ordering }) => !waits || ordering === "monotonic")).toEqual([
    "source.birth",
    "source.lost",
    "batch.pause",
    "batch.stop",
    "batch.abort",
    "step.pause",
    "step.abort",
    "count.reported",
    "equipment.state",
    "alarm.raised",
    "quality.signal",
  ]);
});

test("batches and the start of a step must be claimed; what is about the source, the equipment or nobody needs no context", () => {
  expect(typesWhere(({ context }) => context === "claim")).toEqual(["batch.start", "batch.pause", "batch.resume", "batch.stop", "batch.abort", "step.start"]);
  expect(typesWhere(({ context }) => context === "optional")).toEqual([
    "source.birth",
    "source.lost",
    "count.reported",
    "equipment.state",
    "equipment.changed",
    "downtime.reported",
    "alarm.raised",
    "alarm.cleared",
    "call.raised",
    "call.closed",
    "quality.signal",
  ]);
});

test("a check has no patience", () => {
  expect(typesWhere(({ patience }) => patience === "none")).toEqual(["material.check", "label.check"]);
});

test.each(["constructor", "__proto__", "toString", "hasOwnProperty", "step", "", "signalbox.step.start.v1"])("%j is no type", (name) => {
  expect(isEventTypeName(name)).toBe(false);
});

describe.each(names.filter(isEventTypeName))("the published schema of %s", (name) => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  const schema = dataSchema(name);
  const fits = ajv.compile(schema);

  test("is JSON Schema, closed, and describes each field", () => {
    expect(schema).toMatchObject({ type: "object", additionalProperties: false, title: EVENT_TYPES[name].title });
    const properties: Readonly<Record<string, { readonly description?: string }>> = Object(schema["properties"]);
    for (const [field, { description }] of Object.entries(properties)) expect(description, field).toMatch(/\S.*\.$/u);
  });

  test.each(EXAMPLES[name].map((data) => [JSON.stringify(data), data] as const))("takes %s, and so does the service", (_, data) => {
    expect(fits(data), JSON.stringify(fits.errors)).toBe(true);
    expect(decoded(structured({ ...weight, type: `signalbox.${name}.v1`, data })).kind).toBe("event");
  });

  test("refuses an unknown field, and so does the service", () => {
    const data = { ...EXAMPLES[name][0], surprise: 1 };
    expect(fits(data)).toBe(false);
    expect(decoded(structured({ ...weight, type: `signalbox.${name}.v1`, data }))).toMatchObject({
      refusal: { code: "SCH_INVALID", errors: [{ pointer: "/data/surprise" }] },
    });
  });
});

test.each(Object.entries(DECODE_CODES))("%s says what it means, whose it is and what to do", (_, { meaning, remedy }) => {
  expect(meaning).toMatch(/^[A-Z].{10,}\.$/u);
  expect(remedy).toMatch(/^\S.*\.$/u);
});
