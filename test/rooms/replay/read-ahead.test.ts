// Promise: what another thread has read ahead of a record is what whoever decides would have read, and what it could not read is left to them.
// Attack: every hostile payload, events of each kind in text of each kind, commands, ticks and diagnoses, deliveries that are gone, longer or another by one bit, entries that are none.
import { describe, expect, test } from "vitest";
import { documentOf } from "../../../src/commit/settlement.ts";
import { readEntry } from "../../../src/replay/groups.ts";
import { handOver, takeOver } from "../../../src/replay/read-ahead.ts";
import type { LoggedPosition } from "../../../src/replay/recorded.ts";
import { signalOf } from "../../../src/replay/signals.ts";
import { type Act, commands, given, type Line, mixer, running, scale, weighing } from "../../support/given.ts";
import { HOSTILE } from "../../support/hostile.ts";
import { MAX_BYTES } from "../../support/model.ts";

const reading = { prefix: "", maxBytes: MAX_BYTES };
const TOPIC = "site/rtm1/line/4/eq/scale-1/event";

/** The record of some acts, each a commit of its own. */
function recordOf(line: Line, acts: readonly Act[]): LoggedPosition[] {
  return acts.flatMap((act) => {
    const base = line.model.position;
    const { entries, raws } = documentOf(line.model.judge(line.signals([act])), MAX_BYTES);
    return entries.map((body, at): LoggedPosition => {
      const head = { site: "rtm1", position: base + at + 1, generation: 1, time: line.model.clock, shard: "rtm1", term: 1, base, batches: {} };
      return { kind: "entry", position: head.position, entry: Buffer.from(`${JSON.stringify(head)}\n${body}`), raw: raws[at] ?? null };
    });
  });
}

const takenOver = (part: readonly LoggedPosition[]): readonly LoggedPosition[] => takeOver(structuredClone(handOver(part, reading)));

/** The signals of an entry as whoever decides has them in hand, or why they have none. */
function signalsOf(item: LoggedPosition): unknown {
  try {
    return readEntry(item).signals.map((recorded) => {
      const signal = signalOf(recorded, reading);
      return "delivery" in signal ? { ...signal, delivery: { ...signal.delivery, payload: Buffer.from(signal.delivery.payload).toString("hex") } } : signal;
    });
  } catch (error) {
    return String(error);
  }
}

const says =
  (payload: string | Uint8Array, how = {}): Act =>
  (line) =>
    line.model.signal(line.model.delivery(TOPIC, payload, how));
const weighs = (data: string): Act =>
  says(
    `{"specversion":"1.0","id":"w-${data.length}","source":"${scale.name}","type":"signalbox.step.evidence.v1","time":"2026-11-22T08:00:00.000Z","epoch":7,"sequence":9223372036854775807,"batchid":"B-1","stepid":"weigh","data":${data}}`,
  );
const ACTS: readonly Act[] = [
  scale.weighs("12.500"),
  weighs('{"evidence":"net-weight","value":12.500,"unit":"kg"}'),
  weighs('{"evidence":"net-weight","value":true}'),
  weighs('{"evidence":"net-weight","value":"caf\\u00e9 漢 😀"}'),
  mixer.says("alarm.raised", { data: { alarm: "overheat", text: "zu heiß" } }),
  mixer.beats({ state: "online" }),
  commands("pause"),
  ...HOSTILE.map(({ payload }, at) => says(payload({ source: scale.name, epoch: 7, sequence: at + 10, id: `h-${at}` }))),
];

describe("what is read ahead", () => {
  const record = recordOf(given(running(), weighing()), ACTS);

  test("is what would have been read", () => {
    const taken = takenOver(record);
    expect(taken.map(signalsOf)).toEqual(record.map(signalsOf));
    expect(taken.map(({ position, entry }) => [position, Buffer.from(entry).toString()])).toEqual(
      record.map(({ position, entry }) => [position, Buffer.from(entry).toString()]),
    );
    // most of what can be read has been
    const events = record.filter((item) => readEntry(item).signals.some((recorded) => Object(signalOf(recorded, reading)).inHand?.said.kind === "event"));
    expect(taken.filter(({ event }) => event !== undefined).map(({ position }) => position)).toEqual(events.map(({ position }) => position));
    expect(events.length).toBeGreaterThan(5);
  });

  test("of bytes that are not those of the entry is nothing", () => {
    const [item] = record;
    if (item?.raw == null) throw new Error("the first act is no event");
    const other = Buffer.from(item.raw);
    other[40] = (other[40] ?? 0) ^ 1;
    for (const raw of [other, Buffer.concat([item.raw, Buffer.from(" ")]), item.raw.subarray(1), Buffer.alloc(0), null]) {
      const altered = { ...item, raw };
      const [taken] = takenOver([altered]);
      expect(taken?.event).toBeUndefined();
      expect(taken === undefined ? null : signalsOf(taken)).toContain("the delivery's bytes are not those whose hash is in the entry");
    }
  });

  test("of an entry that is none is nothing, and those beside it stand as they did", () => {
    const [first, second, third] = record;
    if (first === undefined || second === undefined || third === undefined) throw new Error("there are no three");
    for (const entry of ["", "\n", "{}", "{}\n{", '{}\n{"signals":7}', '{}\n{"signals":[null]}']) {
      const part = [first, { ...second, entry: Buffer.from(entry) }, third];
      const taken = takenOver(part);
      expect(taken.map(({ event }) => event !== undefined)).toEqual([true, false, true]);
      expect(taken.map(signalsOf)).toEqual(part.map(signalsOf));
    }
  });

  test("of an entry that tells of two deliveries is nothing: there are the bytes of one", () => {
    const [item] = record;
    if (item === undefined) throw new Error("there is no record");
    const [head, body] = Buffer.from(item.entry).toString().split("\n");
    const { signals, ...more } = JSON.parse(body ?? "");
    const twice = {
      ...item,
      entry: Buffer.from(`${head}\n${JSON.stringify({ signals: [...signals, { ...signals[0], raw_sha256: "0".repeat(64) }], ...more })}`),
    };
    const taken = takenOver([twice]);
    expect(taken.map(({ event }) => event)).toEqual([undefined]);
    expect(taken.map(signalsOf)).toEqual([signalsOf(twice)]);
  });

  test("of nothing is nothing", () => {
    expect(takenOver([])).toEqual([]);
  });
});
