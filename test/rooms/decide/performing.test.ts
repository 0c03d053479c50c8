import { describe, expect, test } from "vitest";
import { applyStationAct } from "../../../src/replay/station-acts.ts";
import { again, failing, type Line, on, orders, running, scale } from "../../support/given.ts";

// Promise: who performed what an event tells of is found once, when it first comes: by the session that was open at its device's station at the time of the act. What has none then has none for good.
// Attack: events that come late, early, twice, under a new number, with a clock that is wrong or none, after nothing was heard for too long; and each of the ways in which an event is judged later.

const act = (line: Line, type: Parameters<typeof applyStationAct>[1], said: Readonly<Record<string, unknown>>): void => {
  expect(applyStationAct(line.model, type, { station: "dispensing", at: line.model.clock, ...said }, "person:it")).toBe(null);
};
/** A session's name is the position of its act; here no act takes one. */
const opens = (line: Line, person: string, idleSeconds = 600): number => {
  act(line, "session.opened", { person, idleSeconds });
  return line.model.position;
};
const ends = (line: Line, session: number, why = "closed"): void => act(line, "session.ended", { session, why });
const AT_STATION: Parameters<typeof on>[0] = failing(() => false);

/** Scale 1 is at a station where nobody is yet, and batch B-1 runs. */
function station(plant = AT_STATION): Line {
  const line = on(plant, running());
  act(line, "station.registered", { line: "4", title: null, idleSeconds: 600 });
  act(line, "station.device.bound", { source: scale.name });
  return line;
}
const byWhom = (rounds: readonly { readonly performedBy: { readonly person: string } | null }[]): readonly (string | null)[] =>
  rounds.map(({ performedBy }) => performedBy?.person ?? null);
const alarm = (time: string | null = null, timesource = "ntp") =>
  scale.says("alarm.raised", { data: { alarm: "a" }, more: { ...(time === null ? {} : { time }), timesource } });

describe("what a device reports", () => {
  test("is performed by whoever is at its station, and says so with the time and the clock", () => {
    const line = station();
    const session = opens(line, "olga");
    line.after(2_500);
    const [performed] = line.when(alarm("2026-11-22T09:00:01.25+01:00"));
    expect(performed?.performedBy).toEqual({ person: "olga", station: "dispensing", session, at: "2026-11-22T08:00:01.250000Z", clock: "device" });
  });
  test("is performed by nobody where nobody is, where the device is at no station, and once the session has ended", () => {
    const line = station();
    expect(byWhom(line.when(alarm()))).toEqual([null]);
    const session = opens(line, "olga");
    line.after(1_000);
    ends(line, session);
    expect(byWhom(line.when(alarm()))).toEqual([null]);
    opens(line, "olga");
    line.after(1_000);
    act(line, "station.device.unbound", { source: scale.name });
    expect(byWhom(line.when(alarm()))).toEqual([null]);
  });
  test("after a change of person is performed by who was there at the time, however late it comes", () => {
    const line = station();
    const olga = opens(line, "olga");
    line.after(60_000);
    ends(line, olga, "taken over");
    opens(line, "omar");
    line.after(60_000);
    expect(byWhom(line.when(alarm("2026-11-22T08:00:59.999999Z"), alarm("2026-11-22T08:01:00Z"), alarm("2026-11-22T07:59:59.999Z")))).toEqual([
      "olga",
      "omar",
      null,
    ]);
  });
  test("goes by its arrival where the device's clock is its own, none, or ahead; and by neither when it is history", () => {
    const line = station();
    const olga = opens(line, "olga");
    line.after(60_000);
    ends(line, olga);
    opens(line, "omar");
    line.after(60_000);
    const clocks = line.when(
      alarm("2026-11-22T08:00:30Z", "rtc"),
      scale.says("alarm.raised", { data: { alarm: "a" }, more: { time: null, timesource: "none" } }),
      alarm("2026-11-22T08:05:00Z"),
      alarm("2026-10-01T08:00:30Z"),
    );
    expect(clocks.map(({ performedBy }) => [performedBy?.person, performedBy?.at, performedBy?.clock])).toEqual([
      ["omar", line.model.clock, "arrival"],
      ["omar", line.model.clock, "arrival"],
      ["omar", line.model.clock, "arrival"],
      [undefined, undefined, undefined],
    ]);
  });
});

test("what a synchronised clock says a little ahead was done when it came, at the latest", () => {
  const line = station();
  opens(line, "olga");
  line.after(1_000);
  const [ahead] = line.when(alarm("2026-11-22T08:00:20Z"));
  expect(ahead?.performedBy).toMatchObject({ person: "olga", at: line.model.clock, clock: "device" });
});

describe("a session", () => {
  test("goes on by what is heard, within one commit too, and is over at the instant of its limit", () => {
    const line = station();
    opens(line, "olga", 60);
    line.after(50_000);
    expect(byWhom(line.together(alarm(), alarm()))).toEqual(["olga", "olga"]);
    line.after(59_999);
    expect(byWhom(line.when(alarm()))).toEqual(["olga"]);
    line.after(60_000);
    expect(byWhom(line.when(alarm()))).toEqual([null]);
    // nothing brings it back; what was done before it was over is its person's all the same
    expect(byWhom(line.when(alarm("2026-11-22T08:02:49.998Z"), alarm("2026-11-22T08:02:49.999Z"), alarm()))).toEqual(["olga", null, null]);
  });
  test("is not kept open by what a device says again", () => {
    const line = station();
    opens(line, "olga", 60);
    expect(byWhom(line.when(alarm()))).toEqual(["olga"]);
    line.after(50_000);
    const [copy] = line.when(again("scale-1-7-1"));
    expect(copy).toMatchObject({ status: "duplicate", performedBy: null });
    line.after(10_000);
    expect(byWhom(line.when(alarm()))).toEqual([null]);
  });
});

test("a copy in the group of the first tells of nothing that anybody performed", () => {
  const line = station();
  opens(line, "olga");
  const [signal] = line.signals([alarm()]);
  if (signal?.kind !== "event") throw new Error("that was no event");
  line.model.run([signal, line.model.signal({ ...signal.delivery, dup: true })], [2]);
  expect(line.model.verdicts.slice(-2)).toMatchObject([
    { status: "accepted", performedBy: { person: "olga" } },
    { status: "duplicate", performedBy: null },
  ]);
});

describe("what is judged later", () => {
  test("was performed by who was there when it came: one that waits for its number", () => {
    const line = station();
    const olga = opens(line, "olga");
    line.after(1_000);
    line.when(scale.starts("weigh", { sequence: 2, more: { timesource: "rtc" } }));
    line.after(1_000);
    ends(line, olga);
    opens(line, "omar");
    line.when(scale.says("call.raised", { sequence: 1, data: { call: "c" }, more: { timesource: "rtc" } }));
    expect(byWhom(line.rounds("scale-1-7-2"))).toEqual(["olga", "olga"]);
  });
  test("is unattributed for good where nobody was there when it came, whoever comes then", () => {
    const line = station();
    line.when(scale.starts("weigh", { sequence: 2, more: { timesource: "rtc" } }));
    opens(line, "omar");
    line.when(scale.says("call.raised", { sequence: 1, data: { call: "c" }, more: { timesource: "rtc" } }));
    expect(line.rounds("scale-1-7-2")).toMatchObject([
      { status: "deferred", performedBy: null },
      { status: "accepted", performedBy: null },
    ]);
  });
  test("was performed by who was there when it came: one that is deferred, and one that is sent again under a new number while it waits", () => {
    const line = station();
    const olga = opens(line, "olga");
    line.after(1_000);
    line.when(scale.starts("weigh"), scale.completes("weigh", { more: { timesource: "rtc" } }));
    line.when(scale.says("call.raised", { id: "early", sequence: 9, data: { call: "c" }, more: { timesource: "rtc" } }));
    line.after(1_000);
    ends(line, olga);
    opens(line, "omar");
    line.when(scale.weighs("12.500", { sequence: 3, more: { timesource: "rtc" } }));
    expect(line.rounds("scale-1-7-2")).toMatchObject([
      { status: "deferred", performedBy: { person: "olga" } },
      { status: "accepted", performedBy: { person: "olga" } },
    ]);
    const copied = line.when(
      scale.says("call.raised", { id: "early", epoch: 8, sequence: 1, data: { call: "c" }, more: { time: "2026-11-22T08:00:01.000000Z", timesource: "rtc" } }),
    );
    expect(copied.find(({ status }) => status === "accepted")).toMatchObject({ round: 1, performedBy: { person: "olga" } });
  });
  test("was performed by who was there when it came: one at which the judge threw, and that a person had judged again", () => {
    let broken = true;
    const line = station(failing(({ event }) => broken && event === "step.start"));
    const olga = opens(line, "olga");
    line.after(1_000);
    const [poisoned] = line.when(scale.starts("weigh", { more: { timesource: "rtc" } }));
    expect(poisoned).toMatchObject({ status: "quarantined", code: "SYS_POISON", performedBy: { person: "olga" } });
    ends(line, olga);
    opens(line, "omar");
    broken = false;
    line.when(orders({ kind: "quarantine.resolve", event: poisoned?.event ?? 0, action: "reprocess", reason: "mended" }, { signature: null }));
    expect(line.rounds("scale-1-7-1").at(-1)).toMatchObject({ status: "accepted", performedBy: { person: "olga" } });
  });
});
