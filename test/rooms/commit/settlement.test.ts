import { describe, expect, test } from "vitest";
import { documentOf, HEAD_BYTES } from "../../../src/commit/settlement.ts";
import { applyStationAct } from "../../../src/replay/station-acts.ts";
import { type Act, commands, disposes, given, type Line, mixer, on, PLANT, running, scale, speaker, stepCommand, told, weighing } from "../../support/given.ts";

// One settlement is one document: what it assumed, what it writes, and the bytes of its deliveries beside it.

const written = (line: Line, acts: readonly Act[], maxBytes = 262_144) => {
  const signals = line.signals(acts);
  const document = documentOf(line.model.judge(signals), maxBytes);
  const content: Record<string, readonly Record<string, unknown>[]> = JSON.parse(document.document);
  return { ...document, content };
};

describe("a settlement's document", () => {
  test("proves the version of every row that the judge looked at, and raises those it changes", () => {
    const { content } = written(given(weighing()), [scale.weighs("12.500")]);
    const proved = (list: string, name: string) => (content[list] ?? []).map((row) => `${row[name]} ${row["changed"] ? "changed" : "as it was"}`);
    expect(proved("batches", "batch")).toEqual(["B-1 changed"]);
    expect(proved("sources", "through")).toEqual(["2 changed"]);
    expect(proved("equipment", "equipment")).toEqual(["scale-1 as it was"]);
  });
  test("raises the rows that a deferred event waits for, though nothing of them changes", () => {
    const { content } = written(given(running()), [mixer.starts("blend")]);
    expect((content["equipment"] ?? []).map((row) => `${row["equipment"]} ${row["changed"]}`)).toContain("mixer-1 true");
    expect(content["deferrals"]).toMatchObject([{ ref: -1, code: "STP_OUT_OF_ORDER", ms: 30_000, moves: true, waits: ["batch:B-1", "equipment:mixer-1"] }]);
  });
  test("meets who creates an unknown batch at the row of its name", () => {
    expect(written(given(), [scale.weighs("12.500")]).content["awaited"]).toEqual([{ awaited: "batch:B-1", version: 0 }]);
  });
  test("says numbers beyond 2^53 as texts, exactly", () => {
    const { content } = written(given(), [scale.birth(2, { epoch: "9223372036854775807", sequence: "9223372036854775806" })]);
    expect(content["numbers"]).toMatchObject([{ epoch: "9223372036854775807", sequence: "9223372036854775806" }]);
    const line = given(scale.birth(2, { epoch: "9223372036854775807", sequence: "9223372036854775806" }));
    expect(line.source(scale)).toMatchObject({ epoch: 2n ** 63n - 1n, through: 2n ** 63n - 2n });
    expect(told(line.when(scale.says("call.raised", { sequence: "9223372036854775807", data: { call: "c" } })))).toEqual(["accepted"]);
  });
  test("keeps the bytes as they came, and of what was refused for its size only the head", () => {
    const line = given();
    const { raws } = written(line, [scale.says("call.raised", { data: { call: "c" } })]);
    const [signal] = line.sent;
    expect(signal?.kind === "event" && raws[0]?.equals(Buffer.from(signal.delivery.payload))).toBe(true);
    const large = written(given(), [(at) => at.model.signal(at.model.delivery("site/rtm1/line/4/eq/scale-1/event", "x".repeat(5_000)))], 4_000);
    expect(large.raws[0]?.byteLength).toBe(HEAD_BYTES);
    expect(large.content["signals"]).toMatchObject([{ raw_length: 5_000 }]);
  });
  test("keeps whole what is just not too large", () => {
    const size = 4_000;
    const { raws } = written(given(), [(at) => at.model.signal(at.model.delivery("site/rtm1/line/4/eq/scale-1/event", "x".repeat(size)))], size);
    expect(raws[0]?.byteLength).toBe(size);
  });
  test("writes nothing of an event that waited and came free in one group", () => {
    const line = given(weighing());
    const { content } = written(line, [scale.completes("weigh"), scale.weighs("12.500")]);
    expect((content["verdicts"] ?? []).map((v) => `${v["event_id"]} ${v["status"]}`)).toEqual([
      "scale-1-7-2 deferred",
      "scale-1-7-3 accepted",
      "scale-1-7-2 accepted",
    ]);
    expect([content["deferrals"], content["deferrals_gone"], content["judged_deferrals"]]).toEqual([undefined, undefined, undefined]);
    const later = written(given(weighing(), scale.completes("weigh")), [scale.weighs("12.500")]);
    expect(later.content).toMatchObject({ deferrals_gone: [{ position: 5 }], judged_deferrals: [{ position: 5, version: 1 }] });
  });
  test("raises the source whose gap a deferred event waits for, though nothing of it changes", () => {
    const probe = speaker("mixer-1", { device: "probe" });
    const blending = [running(), scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh"), mixer.starts("blend")];
    const line = given(...blending, probe.gives("blend", "end-temperature", "24.5", "Cel"), probe.alarms({ sequence: 4 }));
    line.after(2_000);
    const { content } = written(line, [mixer.completes("blend")]);
    expect(content["deferrals"]).toMatchObject([{ code: "SEQ_GAP" }]);
    const raised = (content["sources"] ?? []).filter((row) => row["key"] === line.source(probe).key);
    expect(raised).toMatchObject([{ changed: true, through: "1", gap: "keep" }]);
  });
  test("shows what the database cannot hold in a text as the replacement character", () => {
    const { document, content } = written(given(), [
      scale.says("call.raised", { data: { call: "c" }, delivery: { contentType: "application/json", userProperties: [["x", "a\u0000b\ud800c"]] } }),
    ]);
    expect(document).not.toContain("\\u0000");
    expect(content["signals"]?.[0]?.["user_properties"]).toEqual([["x", "a\ufffdb\ufffdc"]]);
  });
  test("writes a lock taken and freed in one group as history", () => {
    const line = on(PLANT, running());
    const { content } = written(line, [scale.starts("weigh"), scale.weighs("12.500"), scale.completes("weigh")]);
    expect(content["locks"]).toMatchObject([{ equipment: "scale-1", token: 1, ref: -1, freed_ref: -3 }]);
    expect(content["locks_freed"]).toBe(undefined);
  });
  test("keeps a deferred event that comes to wait for more", () => {
    const line = given(running(), scale.says("step.complete"));
    const { content } = written(line, [scale.starts("weigh")]);
    expect(content["deferrals_kept"]).toEqual([{ position: 4, batch: "B-1", step: "weigh", waits: ["equipment:scale-1", "batch:B-1"] }]);
    expect(content["deferrals"]).toBe(undefined);
  });
  test("leaves out what is empty, and takes no position for what changes nothing", () => {
    const line = given();
    expect(Object.keys(written(line, [speaker("nobody-1").says("call.raised", { data: { call: "c" } })]).content).sort()).toEqual(["signals", "verdicts"]);
    const nothing = line.model.judge([line.model.tick({ tick: "drain", source: scale.name })]);
    expect(nothing.positions).toBe(0);
  });
  test("proves the stations of its devices in one order, whoever spoke first, so that no two commits wait for each other", () => {
    const line = given();
    const act = (type: Parameters<typeof applyStationAct>[1], station: string, said: object) =>
      expect(applyStationAct(line.model, type, { station, at: line.model.clock, ...said }, "person:it")).toBe(null);
    for (const [station, { name }] of [
      ["a", scale],
      ["b", mixer],
    ] as const) {
      act("station.registered", station, { line: "4", title: null, idleSeconds: 600 });
      act("station.device.bound", station, { source: name });
    }
    const { content } = written(line, [mixer.says("call.raised", { data: { call: "c" } }), scale.says("call.raised", { data: { call: "c" } })]);
    expect((content["stations"] ?? []).map(({ station }) => station)).toEqual(["a", "b"]);
  });
  test("writes the signature about a disposition anew where only what it goes back to is another", () => {
    const line = given(running(), scale.starts("weigh"), commands("stop"), disposes("recommend"));
    const acts = [stepCommand("comment", "weigh", { comment: "late" }), disposes("conditional", "B-1", false), disposes("recommend")];
    expect(written(line, acts).content["signed"]).toEqual([{ batch: "B-1", stage: "recommended", before: "conditional" }]);
    line.together(...acts);
    expect(line.batch().signed).toEqual({ stage: "recommended", before: "conditional" });
  });
});
