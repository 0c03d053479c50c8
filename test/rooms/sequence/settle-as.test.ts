import { describe, expect, test } from "vitest";
import { place } from "../../../src/sequence/place.ts";
import { type Circumstances, settleAs } from "../../../src/sequence/settle-as.ts";
import type { KnownId, SourceState, WaitingEvent } from "../../../src/sequence/source-state.ts";

// The table of the design's section 3, row by row.

const source = (more: Partial<SourceState> = {}): SourceState => ({
  key: "1",
  source: "/site/rtm1/line/4/eq/scale-1",
  site: "rtm1",
  line: "4",
  equipment: "scale-1",
  device: null,
  numbering: true,
  revoked: false,
  version: 1,
  incarnation: 1,
  epoch: 7n,
  through: 40n,
  highest: 40n,
  gap: null,
  gapDueAt: null,
  skippedAhead: [],
  parked: null,
  reused: 0,
  waitingCount: 0,
  waitingBytes: 0,
  deferredCount: 0,
  deferredBytes: 0,
  connection: null,
  monotonic: {},
  ...more,
});

const waiting = (epoch: bigint, sequence: bigint, more: Partial<WaitingEvent> = {}): WaitingEvent => ({
  sourceKey: "1",
  incarnation: 1,
  epoch,
  sequence,
  position: 12,
  idHash: "h",
  digest: "d",
  bytes: 10,
  ahead: false,
  ...more,
});

const known = (digest = "d"): KnownId => ({
  position: 9,
  digest,
  digestVersion: 1,
  latest: { position: 9, round: 1, status: "accepted", code: null },
  waitsAt: null,
});

/** An event that says `epoch`.`sequence` to a source decided through 7.40. */
function settled(epoch: bigint, sequence: bigint, more: Partial<Circumstances> = {}) {
  const of = more.source ?? source();
  return settleAs({
    source: of,
    place: place({ epoch: of.epoch, through: of.through }, { epoch, sequence }),
    epoch,
    typeWaits: true,
    digest: "d",
    known: undefined,
    knownConflict: undefined,
    numberTaken: false,
    waitingThere: undefined,
    waitingCopy: undefined,
    ...more,
  });
}

describe("an event whose id is not known", () => {
  test("is judged when it is next", () => {
    expect(settled(7n, 41n)).toEqual({ as: "judged", copy: null });
  });
  test("is judged when it is number 1 of a newer epoch", () => {
    expect(settled(8n, 1n)).toEqual({ as: "judged", copy: null });
  });
  test("waits when it is early", () => {
    expect(settled(7n, 43n)).toEqual({ as: "waiting" });
    expect(settled(8n, 2n)).toEqual({ as: "waiting" });
  });
  test("is judged ahead when it is early and of a type that does not wait", () => {
    expect(settled(7n, 43n, { typeWaits: false })).toEqual({ as: "judged ahead" });
  });
  test("is in conflict when another waits on its number", () => {
    expect(settled(7n, 43n, { waitingThere: waiting(7n, 43n) })).toEqual({ as: "conflict", code: "SEQ_REUSED", takes: "no" });
    expect(settled(7n, 43n, { waitingThere: waiting(7n, 43n), typeWaits: false })).toEqual({ as: "conflict", code: "SEQ_REUSED", takes: "no" });
  });
  test("is in conflict when its number is taken", () => {
    expect(settled(7n, 40n, { numberTaken: true })).toEqual({ as: "conflict", code: "SEQ_REUSED", takes: "no" });
  });
  test("is late when its number was given up or lies below a baseline", () => {
    expect(settled(7n, 12n)).toEqual({ as: "late", code: "SEQ_SKIPPED" });
  });
  test("is late when its epoch is over", () => {
    expect(settled(6n, 99n)).toEqual({ as: "late", code: "SEQ_EPOCH_OLD" });
  });
});

describe("an event whose id is known with the same content", () => {
  test("is a duplicate under its own number, which it has", () => {
    expect(settled(7n, 40n, { known: known() })).toEqual({ as: "duplicate", of: known(), takes: "no" });
    expect(settled(7n, 43n, { known: known(), waitingThere: waiting(7n, 43n), waitingCopy: waiting(7n, 43n) })).toMatchObject({ as: "duplicate", takes: "no" });
  });
  test("is a duplicate under another number, which it takes when that is next, and in its turn when that is early", () => {
    expect(settled(7n, 41n, { known: known() })).toEqual({ as: "duplicate", of: known(), takes: "now" });
    expect(settled(7n, 44n, { known: known() })).toEqual({ as: "duplicate", of: known(), takes: "in turn" });
    expect(settled(7n, 12n, { known: known() })).toEqual({ as: "duplicate", of: known(), takes: "no" });
  });
  test("is judged in a newer epoch in the stead of the one that only waits", () => {
    const copy = waiting(7n, 45n);
    expect(settled(8n, 1n, { known: known(), waitingCopy: copy })).toEqual({ as: "judged", copy });
  });
  test("is a duplicate in a newer epoch when the first has acted ahead already", () => {
    expect(settled(8n, 1n, { known: known(), waitingCopy: waiting(7n, 45n, { ahead: true }) })).toMatchObject({ as: "duplicate", takes: "now" });
  });
});

describe("an event that is known, and waits under a number of its own", () => {
  const copy = (epoch: bigint) => ({ known: known(), waitingCopy: waiting(epoch, 45n) });
  test("is not judged in a newer epoch before its turn", () => {
    expect(settled(8n, 3n, copy(7n))).toEqual({ as: "duplicate", of: known(), takes: "in turn" });
  });
  test("is a duplicate under another number of the same epoch", () => {
    expect(settled(7n, 41n, copy(7n))).toEqual({ as: "duplicate", of: known(), takes: "now" });
  });
  test("leaves a number on which another waits to that one", () => {
    expect(settled(8n, 1n, { ...copy(7n), waitingThere: waiting(8n, 1n) })).toEqual({ as: "duplicate", of: known(), takes: "no" });
  });
});

describe("an event whose id is known with other content", () => {
  test("is in conflict and takes its number if that is next or early", () => {
    expect(settled(7n, 41n, { known: known("x") })).toEqual({ as: "conflict", code: "DUP_ID_REUSED", takes: "now" });
    expect(settled(7n, 44n, { known: known("x") })).toEqual({ as: "conflict", code: "DUP_ID_REUSED", takes: "in turn" });
    expect(settled(7n, 40n, { known: known("x") })).toEqual({ as: "conflict", code: "DUP_ID_REUSED", takes: "no" });
  });
  test("is the same conflict again when it comes again", () => {
    expect(settled(7n, 41n, { known: known("x"), knownConflict: 15 })).toEqual({ as: "conflict again", of: 15, takes: "now" });
  });
});

describe("a source that stands still", () => {
  const parked = (why: "poison" | "counter_back" | "gap" | "waiting_full") => source({ parked: { why, position: 3 } });
  test("lets what is next wait too", () => {
    expect(settled(7n, 41n, { source: parked("poison") })).toEqual({ as: "waiting" });
    expect(settled(7n, 41n, { source: parked("counter_back") })).toEqual({ as: "waiting" });
    expect(settled(7n, 1n, { source: { ...parked("counter_back"), epoch: null, through: 0n } })).toEqual({ as: "waiting" });
    expect(settled(7n, 41n, { source: parked("counter_back"), known: known() })).toMatchObject({ as: "duplicate", takes: "in turn" });
  });
  test("keeps what is next for the one that waits there", () => {
    expect(settled(7n, 41n, { source: parked("poison"), waitingThere: waiting(7n, 41n) })).toEqual({ as: "conflict", code: "SEQ_REUSED", takes: "no" });
  });
  test("goes on with a newer epoch if only its counter went back", () => {
    expect(settled(8n, 1n, { source: parked("counter_back") })).toEqual({ as: "judged", copy: null });
    expect(settled(8n, 1n, { source: parked("poison") })).toEqual({ as: "waiting" });
  });
  test("goes on with what is next when it only waited for that", () => {
    expect(settled(7n, 41n, { source: parked("gap") })).toEqual({ as: "judged", copy: null });
    expect(settled(7n, 41n, { source: parked("waiting_full") })).toEqual({ as: "judged", copy: null });
  });
});
