import { describe, expect, test } from "vitest";
import { Group } from "../../../src/decide/group.ts";
import { poisonArrival, unstorable } from "../../../src/decide/poison.ts";
import { requestFor } from "../../../src/decide/request.ts";
import { World } from "../../../src/decide/world.ts";
import { NotRead } from "../../../src/decide/world-request.ts";
import { type Act, again, given, type Line, type Said, scale, speaker } from "../../support/given.ts";
import { deviceKey, signs } from "../../support/signs.ts";

// Promise: whatever makes the service fail on one event, that event alone is quarantined, once, and its source stands still; nothing that was settled before is settled again.
// Attack: let it fail where it never fails by a guard: on what is known, on a number that is passed or has somebody waiting, and on what has no source or no identity.

const call = (sequence: number, more: Said = {}) => scale.says("call.raised", { sequence, data: { call: "c" }, ...more });

/** What it comes to that the service fails on an event. */
function failsOn(line: Line, act: Act) {
  const [signal] = line.signals([act]);
  if (signal?.kind !== "event") throw new Error("that was no event");
  const request = requestFor([signal]);
  for (;;) {
    const group = new Group(new World(line.model.read(request)), line.model.machines);
    try {
      poisonArrival(group, signal, new Error("it fell over."));
      const { verdicts, ids, numbers, quarantined } = group.rows;
      const { through, waitingCount, parked } = group.world.source(scale.name) ?? {};
      return {
        told: verdicts.map(({ status, code, reason }) => `${status} ${code}: ${reason}`),
        ids: ids.length,
        numbers: numbers.map(({ sequence }) => sequence),
        quarantined: quarantined.length,
        source: `${through}, ${waitingCount} waiting, ${parked?.why ?? "goes on"}`,
      };
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      error.add(request);
    }
  }
}
const POISONED = { told: ["quarantined SYS_POISON: The service failed on this event alone: it fell over."], ids: 1, quarantined: 1 };

describe("an event on which the service fails", () => {
  test("takes its id, its number if it is next, and a place to wait for it if it is early", () => {
    expect(failsOn(given(call(1)), call(2))).toEqual({ ...POISONED, numbers: [2n], source: "2, 0 waiting, poison" });
    expect(failsOn(given(call(1)), call(4))).toEqual({ ...POISONED, numbers: [], source: "1, 1 waiting, poison" });
  });
  test("takes no number that is passed, or at which another waits", () => {
    expect(failsOn(given(call(1), call(2)), call(1, { id: "x" }))).toEqual({ ...POISONED, numbers: [], source: "2, 0 waiting, poison" });
    expect(failsOn(given(call(1), call(4)), call(4, { id: "x" }))).toEqual({ ...POISONED, numbers: [], source: "1, 1 waiting, poison" });
  });
  test("is a duplicate where it is known, and nothing else", () => {
    expect(failsOn(given(call(1), call(2)), again("scale-1-7-1"))).toEqual({
      told: ["duplicate DUP_EXACT: The same event had arrived before and is accepted; nothing was done again."],
      ids: 0,
      numbers: [],
      quarantined: 0,
      source: "2, 0 waiting, goes on",
    });
  });
  test("lets the failure go on where there is nobody whose event it could be", () => {
    const line = given(call(1));
    expect(() => failsOn(line, speaker("nobody-1").says("call.raised", { data: { call: "c" } }))).toThrow("it fell over.");
    expect(() => failsOn(line, call(2, { more: { id: null, epoch: null, sequence: null } }))).toThrow("it fell over.");
    expect(() => failsOn(line, (at) => at.model.signal(at.model.delivery("site/rtm1/line/4/eq/scale-1/event", "{")))).toThrow("it fell over.");
  });
});

describe("an event that the database cannot hold", () => {
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const signalOf = (act: Act) => {
    const [signal] = given().signals([act]);
    if (signal?.kind !== "event") throw new Error("that was no event");
    return signal;
  };
  const refusal = { code: "SYS_POISON", reason: "The event cannot be stored as it is.", errors: [] };
  test("is unreadable, and known by who said it and under which number, without what may have been the reason", () => {
    const delivery = { contentType: "application/json", userProperties: [["a", "b"]] as const, responseTopic: "r", correlationData: new Uint8Array([1]) };
    const signal = signalOf(scale.starts("weigh", { more: { correlationid: "c-1", traceparent: parent }, delivery }));
    if (signal.inHand.said.kind !== "event") throw new Error("that could not be read");
    const { address, digest } = signal.inHand.said.event;
    expect(unstorable(signal)).toEqual({
      ...signal,
      delivery: { ...signal.delivery, contentType: null, userProperties: [], responseTopic: null, correlationData: null },
      inHand: {
        ...signal.inHand,
        claimed: { ...signal.inHand.claimed, traceparent: null },
        said: {
          kind: "refused",
          refusal,
          partial: {
            source: scale.name,
            address,
            id: "scale-1-7-1",
            type: "signalbox.step.start.v1",
            time: "2026-11-22T08:00:00.000000Z",
            epoch: 7n,
            sequence: 1n,
            batch: "B-1",
            step: "weigh",
            correlationId: "c-1",
            traceparent: null,
            digest,
          },
        },
      },
    });
  });
  test("is unreadable inside of its signature too, and still signed", () => {
    const { model } = given();
    const { topic, payload } = signalOf(call(1)).delivery;
    const signal = model.signal(model.delivery(topic, signs(deviceKey("k1"), topic, new TextDecoder().decode(payload))));
    if (signal.kind !== "event" || signal.wrapped === undefined) throw new Error("that was not signed");
    const { jws, inHand } = signal.wrapped;
    expect(inHand.said.kind).toBe("event");
    expect(unstorable(signal).wrapped).toMatchObject({ jws, inHand: { claimed: { id: "scale-1-7-1" }, said: { kind: "refused", refusal } } });
  });
  test("that could not be read either is known by what could be read of it", () => {
    const signal = signalOf(call(1, { data: { call: 7 } }));
    if (signal.inHand.said.kind !== "refused") throw new Error("that could be read");
    expect(unstorable(signal).inHand.said).toEqual({ kind: "refused", refusal, partial: signal.inHand.said.partial });
  });
});
