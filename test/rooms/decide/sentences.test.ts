// Promise: of every code that can occur, the record's sentence says what the guard that failed had expected and found, the limit where there is one, and what to do next.
// Attack: each code is brought about on a line, and its sentence is held against the explanation that is stored. A code that nobody brings about here must say why it cannot occur.
import { describe, expect, test } from "vitest";
import { saidIn, sentenceOf, type Told } from "../../../src/decide/sentence.ts";
import { CODES } from "../../../src/decide/verdict.ts";
import { provenanceOf } from "../../../src/decode/provenance.ts";
import type { Signing } from "../../../src/parties/signing.ts";
import { WAITING } from "../../../src/sequence/source-state.ts";
import { BLEND } from "../../support/blend.ts";
import {
  type Act,
  again,
  amends,
  commands,
  creates,
  disposes,
  failing,
  given,
  type Line,
  mixer,
  on,
  orders,
  PLANT,
  running,
  type Said,
  scale,
  signedBy,
  speaker,
  stepCommand,
  weighed,
  weighing,
} from "../../support/given.ts";
import { HOSTILE } from "../../support/hostile.ts";
import { measured } from "../../support/measure.ts";
import { deviceKey, signs } from "../../support/signs.ts";

const [WEIGH, STIR] = BLEND.steps;
const plant = (...steps: readonly object[]) => ({ ...PLANT, recipes: [{ ...BLEND, ...{ steps } }] });
const call = (sequence?: number, more: Said = {}) =>
  scale.says("call.raised", { ...(sequence === undefined ? {} : { sequence }), data: { call: "c" }, ...more });
const old = speaker("panel-1", { device: "old" });
const nobody = speaker("nobody-1");

/** What is stored of the last round with this code: a verdict, one of its exceptions, or what a command was answered. */
function said(line: Line, code: string, ...acts: readonly Act[]): readonly Told[] {
  const told = line.when(...acts).filter((round) => round.code === code);
  return told.map(({ reason, explanation }) => ({ code, reason, remedy: null, explanation: explanation as Told["explanation"] }));
}
const later = (line: Line, code: string, ms: number): readonly Told[] =>
  line
    .after(ms)
    .flatMap((round) => (round.code === code ? [{ code, reason: round.reason, remedy: null, explanation: round.explanation as Told["explanation"] }] : []));
const excepted = (line: Line, code: string): readonly Told[] =>
  line.model.exceptions.filter((row) => row.code === code).map(({ reason }) => ({ code, reason, remedy: null, explanation: null }));
function answered(line: Line, act: Act): readonly Told[] {
  const answer = line.answer(act);
  return answer.kind === "refused" ? [{ code: answer.code, reason: answer.reason, remedy: null, explanation: answer.explanation }] : [];
}

const weighsIn = (unit: string): Act => scale.weighs("12.500", { data: { evidence: "net-weight", value: "12.500", unit } });
/** An event of the branch of party scales, as it comes from a broker that stamps who sent it: these stamps. */
const stamped =
  (...stamps: readonly string[]): Act =>
  (line) => {
    const signal = call(1, { delivery: { userProperties: stamps.map((by) => ["from", by] as const) } })(line);
    if (!("kind" in signal) || signal.kind !== "event") throw new Error("a call is an event");
    const { delivery, provenance } = provenanceOf(signal.delivery, { property: "from", required: true }, "scales");
    return { ...signal, delivery, ...(provenance === null ? {} : { provenance }) };
  };
const signing = (more: Readonly<Record<string, unknown>> = {}, branch: Partial<Signing> = {}): Line => {
  const line = given();
  const key = { kid: "k1", publicKey: deviceKey("k1").publicKey, validFrom: null, validUntil: null, ...more };
  line.model.signing.set("4/scale-1", { party: "scales", must: "all", keys: [key], ...branch });
  return line;
};
const wrapped =
  (header: Readonly<Record<string, unknown>> = {}): Act =>
  (line) => {
    const signal = call(1)(line);
    if (!("kind" in signal) || signal.kind !== "event") throw new Error("a call is an event");
    const { topic, payload } = signal.delivery;
    return line.model.signal(line.model.delivery(topic, signs(deviceKey("k1"), topic, new TextDecoder().decode(payload), header)));
  };
const settles = (line: Line): Act =>
  orders(
    { kind: "exception.resolve", position: line.model.exceptions[0]?.position ?? 0, ordinal: 1, disposition: "continue", linked: "DEV-7", reason: "seen" },
    signedBy("quinn", "qa_approver"),
  );
const rework = stepCommand("rework", "weigh", { linked: "DEV-7" }, signedBy());
const full = () => {
  const line = given(call(1));
  line.together(...Array.from({ length: WAITING.perSource }, (_, n) => call(n + 3)));
  return line;
};
const closed = () => {
  const line = given(weighed(), mixer.starts("blend"));
  line.after(2_000);
  line.when(mixer.gives("blend", "end-temperature", "24.5", "Cel"), mixer.completes("blend"), commands("close"));
  return line;
};
const mixes = (step: string) => ({ step, equipment: [{ role: "mixer", class: "mixer", locked: "batch" }] });
const twoSteps = () =>
  on(plant(mixes("one"), mixes("two")), creates("B-1", { equipment: { mixer: "mixer-1" } }), commands("release-to-floor"), commands("start"));

/** How each code is brought about, the limit that its sentence names, and in how many ways. */
const CASES: Readonly<Record<string, readonly (() => readonly Told[])[]>> = {
  PROVENANCE_STAMP_DUPLICATE: [() => said(given(), "PROVENANCE_STAMP_DUPLICATE", stamped("scales", "scales"))],
  PROVENANCE_STAMP_MISSING: [() => said(given(), "PROVENANCE_STAMP_MISSING", stamped())],
  PROVENANCE_MISMATCH: [() => said(given(), "PROVENANCE_MISMATCH", stamped("panels"))],
  PROVENANCE_SIGNATURE_MISSING: [() => said(signing(), "PROVENANCE_SIGNATURE_MISSING", call(1))],
  PROVENANCE_SIGNATURE_INVALID: [
    () => said(signing(), "PROVENANCE_SIGNATURE_INVALID", wrapped({ crit: [] })),
    () => said(signing(), "PROVENANCE_SIGNATURE_INVALID", wrapped({ kid: "k9" })),
    () => said(signing({ revoked: true }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
    () => said(signing({ validFrom: "2030-01-01T00:00:00.000Z" }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
    () => said(signing({ validUntil: "2020-01-01T00:00:00.000Z" }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
    () => said(signing({}, { period: { validFrom: "2030-01-01T00:00:00.000Z", validUntil: null } }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
    () => said(signing({}, { period: { validFrom: null, validUntil: "2020-01-01T00:00:00.000Z" } }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
    () => said(signing({}, { left: true, keys: [] }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
    () => said(signing(), "PROVENANCE_SIGNATURE_INVALID", wrapped({ topic: "elsewhere" })),
    () => said(signing({ publicKey: deviceKey("k1", 2).publicKey }), "PROVENANCE_SIGNATURE_INVALID", wrapped()),
  ],
  ENV_RETAINED: [() => said(given(), "ENV_RETAINED", call(1, { delivery: { retained: true } }))],
  TOP_WRONG_DOMAIN: [() => said(given(), "TOP_WRONG_DOMAIN", (line) => line.model.signal(line.model.delivery("site/rtm1/line/4/eq/scale-1/telemetry", "{}")))],
  DUP_EXACT: [() => said(given(call(1)), "DUP_EXACT", again("scale-1-7-1"))],
  DUP_ID_REUSED: [() => said(given(call(1)), "DUP_ID_REUSED", call(2, { id: "scale-1-7-1", data: { call: "other" } }))],
  SEQ_GAP: [() => said(given(call(1)), "SEQ_GAP", call(3))],
  SEQ_GAP_TIMEOUT: [
    () => {
      const line = given(call(1), call(3));
      line.after(WAITING.gapLimitMs);
      return excepted(line, "SEQ_GAP_TIMEOUT");
    },
  ],
  SEQ_REUSED: [() => said(given(call(1)), "SEQ_REUSED", call(1, { id: "again" }))],
  SEQ_SKIPPED: [() => said(given(call(1), scale.lost(2, 2, { sequence: 3 })), "SEQ_SKIPPED", call(2))],
  SEQ_EPOCH_OLD: [() => said(given(call(1), call(1, { epoch: 8 })), "SEQ_EPOCH_OLD", call(2, { epoch: 7 }))],
  SEQ_WAITING_FULL: [() => said(full(), "SEQ_WAITING_FULL", call(9_000))],
  IDN_UNKNOWN_PUBLISHER: [() => said(given(), "IDN_UNKNOWN_PUBLISHER", nobody.says("call.raised", { data: { call: "c" } }))],
  IDN_REVOKED: [() => said(given(), "IDN_REVOKED", old.says("call.raised", { data: { call: "c" } }))],
  CTX_MISSING: [
    () => said(given(running()), "CTX_MISSING", scale.says("step.complete")),
    () => said(given(running()), "CTX_MISSING", scale.says("step.start")),
  ],
  CTX_AMBIGUOUS: [
    () => {
      const line = twoSteps();
      return said(line, "CTX_AMBIGUOUS", mixer.starts("one"), mixer.starts("two"), mixer.says("step.complete"));
    },
  ],
  CTX_UNKNOWN_BATCH: [() => said(given(), "CTX_UNKNOWN_BATCH", scale.weighs("12.500"))],
  CTX_UNKNOWN_STEP: [
    () => said(given(running()), "CTX_UNKNOWN_STEP", scale.starts("mill")),
    () => said(given(running()), "CTX_UNKNOWN_STEP", scale.starts("weigh", { attempt: 2 })),
  ],
  CTX_UNKNOWN_EQUIPMENT: [() => answered(given(), creates("B-1", { equipment: { scale: "nobody-1" } }))],
  CTX_UNKNOWN_ORDER: [() => answered(given(creates()), creates("B-1", { asked: "b2" }))],
  CTX_WRONG_BATCH: [
    () =>
      said(
        given(weighing(), creates("B-2", { jobOrder: "PO-2", equipment: { scale: "scale-2", mixer: "mixer-2" } })),
        "CTX_WRONG_BATCH",
        scale.weighs("12.500", { batch: "B-2" }),
      ),
  ],
  CTX_WRONG_STEP: [
    () => {
      const line = twoSteps();
      return said(line, "CTX_WRONG_STEP", mixer.starts("one"), mixer.completes("two"));
    },
  ],
  CTX_WRONG_LINE: [() => said(given(running()), "CTX_WRONG_LINE", speaker("press-9", { line: "9" }).says("batch.abort", { batch: "B-1" }))],
  CTX_BATCH_NOT_RUNNING: [() => said(given(creates()), "CTX_BATCH_NOT_RUNNING", scale.starts("weigh"))],
  LCK_CONFLICT: [
    () =>
      answered(
        given(running(), creates("B-2", { jobOrder: "PO-2", equipment: { scale: "scale-2", mixer: "mixer-1" } }), commands("release-to-floor", "B-2")),
        commands("start", "B-2"),
      ),
  ],
  LCK_NOT_HELD: [() => said(given(weighing()), "LCK_NOT_HELD", speaker("scale-2").pauses("weigh"))],
  EQP_NOT_ASSIGNED: [
    () => said(given(running()), "EQP_NOT_ASSIGNED", speaker("scale-2").starts("weigh")),
    () => answered(given(), creates("B-1", { equipment: { oven: "mixer-1" } })),
    () => answered(given(creates("B-1", { equipment: { scale: "scale-1" } }), commands("release-to-floor")), commands("start")),
  ],
  EQP_CONFIG_MISMATCH: [() => answered(given(), creates("B-1", { equipment: { scale: "mixer-1" } }))],
  STA_INVALID_TRANSITION: [
    () => said(given(weighing()), "STA_INVALID_TRANSITION", scale.starts("weigh")),
    () => said(given(running()), "STA_INVALID_TRANSITION", scale.weighs("12.500")),
    () => answered(given(creates()), commands("start")),
  ],
  STA_TERMINAL: [() => said(given(weighed()), "STA_TERMINAL", scale.completes("weigh"))],
  STP_OUT_OF_ORDER: [() => said(given(running()), "STP_OUT_OF_ORDER", mixer.starts("blend"))],
  EVD_MISSING: [
    () => said(given(weighing()), "EVD_MISSING", scale.completes("weigh")),
    () => later(given(weighing(), scale.completes("weigh")), "EVD_MISSING", 5_000),
  ],
  EVD_UNEXPECTED: [() => said(given(weighing()), "EVD_UNEXPECTED", scale.gives("weigh", "colour", "red"))],
  EVD_ALREADY_SATISFIED: [() => said(given(weighing(), scale.weighs("12.500")), "EVD_ALREADY_SATISFIED", scale.weighs("12.510"))],
  EVD_WRONG_SOURCE: [
    () => {
      const slots = [{ ...WEIGH.evidence[0], equipment: "scale" }];
      const shared = { ...WEIGH, equipment: [...WEIGH.equipment, { role: "mixer", class: "mixer", locked: "step" }], evidence: slots };
      return said(on(plant(shared, STIR), weighing()), "EVD_WRONG_SOURCE", mixer.gives("weigh", "net-weight", "12.500", "kg"));
    },
  ],
  EVD_BAD_QUALITY: [
    () => {
      const line = given(weighing(), scale.weighs("12.500", { data: { evidence: "net-weight", value: "12.500", unit: "kg", quality: "bad" } }));
      return excepted(line, "EVD_BAD_QUALITY");
    },
  ],
  LCK_TAKEN_OVER: [
    () => excepted(given(weighing(), orders({ kind: "lock.takeover", equipment: "scale-1", token: 1, reason: "seen" }, signedBy())), "LCK_TAKEN_OVER"),
    () => excepted(given(running(), orders({ kind: "lock.takeover", equipment: "mixer-1", token: 1, reason: "seen" }, signedBy())), "LCK_TAKEN_OVER"),
  ],
  PAR_OOS: [
    () => said(given(weighing()), "PAR_OOS", scale.weighs("19.000")),
    () => excepted(given(weighing(), scale.weighs("19.000")), "PAR_OOS"),
    () => answered(given(), creates("B-1", { quantity: { value: "60.000", unit: "kg" } })),
    () => answered(given(), creates("B-1", { quantity: { value: "0", unit: "kg" } })),
  ],
  REV_MISMATCH: [() => said(given(running()), "REV_MISMATCH", scale.starts("weigh", { more: { reciperevision: "blend@4" } }))],
  REV_NOT_APPROVED: [() => answered(on({ ...PLANT, awaiting: ["blend@3"] }), creates("B-1"))],
  REV_NOT_EFFECTIVE: [() => answered(given(), creates("B-1", { revision: 4 }))],
  TIM_TOO_SHORT: [
    () => said(given(weighed(), mixer.starts("blend"), mixer.gives("blend", "end-temperature", "24.5", "Cel")), "TIM_TOO_SHORT", mixer.completes("blend")),
  ],
  TIM_TOO_LONG: [
    () => {
      const line = on(plant({ ...WEIGH, duration: { max: "PT10S" } }, STIR), weighing());
      line.after(11_000);
      line.when(scale.weighs("12.500"), scale.completes("weigh"));
      return excepted(line, "TIM_TOO_LONG");
    },
  ],
  TIM_LATE_CLOSED: [() => said(closed(), "TIM_LATE_CLOSED", scale.alarms({ batch: "B-1" }))],
  TIM_STALE: [
    () => {
      const line = given(call(1), scale.lost(2, 2, { sequence: 3 }), scale.states("Execute", { sequence: 4 }), scale.states("Idle", { sequence: 2 }));
      const event = line.rounds("scale-1-7-2")[0]?.event ?? 0;
      return said(line, "TIM_STALE", orders({ kind: "quarantine.resolve", event, action: "reprocess", reason: "seen" }));
    },
  ],
  SCH_UNIT_MISMATCH: [
    () => said(given(weighing()), "SCH_UNIT_MISMATCH", weighsIn("g")),
    () => answered(given(), creates("B-1", { quantity: { value: "25.000", unit: "g" } })),
  ],
  QLT_EXCEPTION_OPEN: [
    () => said(given(weighing(), scale.weighs("19.000")), "QLT_EXCEPTION_OPEN", scale.completes("weigh")),
    () => answered(given(weighing(), scale.weighs("19.000"), commands("stop")), commands("close")),
  ],
  LCK_STALE_TOKEN: [() => said(given(weighed(), rework, scale.starts("weigh")), "LCK_STALE_TOKEN", scale.weighs("12.500", { attempt: 1 }))],
  STP_OPEN: [() => answered(given(weighed(), mixer.starts("blend")), rework)],
  STP_REWORK_NOT_AUTHORISED: [() => answered(given(weighed()), stepCommand("rework", "weigh", {}, signedBy()))],
  REV_NOT_AMENDABLE: [() => answered(given(running()), amends(3))],
  QLT_EXCEPTION_CLOSED: [
    () => {
      const line = given(weighing(), scale.weighs("19.000"));
      line.when(settles(line));
      return answered(line, settles(line));
    },
  ],
  QLT_NOT_RECOMMENDED: [() => answered(given(running(), commands("stop")), disposes("release"))],
  SIG_MISSING: [() => answered(given(running()), commands("amend")), () => answered(given(running()), stepCommand("verify", "weigh"))],
  SIG_REASON_MISSING: [() => answered(given(running()), commands("stop", "B-1", null))],
  SYS_OPEN_QUEUE: [() => answered(given(running(), scale.weighs("12.500"), commands("stop")), commands("close"))],
  SYS_POISON: [
    () =>
      said(
        on(
          failing(({ event }) => event === "step.evidence"),
          weighing(),
        ),
        "SYS_POISON",
        scale.weighs("12.500"),
      ),
  ],
  SYS_RATE_LIMITED: [
    () =>
      said(given(), "SYS_RATE_LIMITED", (line) => {
        const [signal] = line.signals([call(1)]);
        if (signal?.kind !== "event") throw new Error("that was no event");
        return { ...signal, leftOut: { count: 12, bytes: 3_600, from: line.model.clock, to: line.model.clock } };
      }),
  ],
  ...Object.fromEntries(
    [...new Set(HOSTILE.map(({ code }) => code))].map((code) => [
      code,
      HOSTILE.filter((hostile) => hostile.code === code).map(
        (hostile) => () =>
          said(given(), code, (line) =>
            line.model.signal(
              line.model.delivery("site/rtm1/line/4/eq/scale-1/event", hostile.payload({ source: scale.name, epoch: 7, sequence: 1, id: "h-1" })),
            ),
          ),
      ),
    ]),
  ),
};

/** What the sentence of a limit names, beside what every sentence does. */
const LIMITS: Readonly<Record<string, readonly string[]>> = {
  PAR_OOS: ["19.000 kg", "12.438 to 12.563"],
  TIM_TOO_SHORT: ["PT2S", "0.000 s"],
  TIM_TOO_LONG: ["PT10S", "11.000 s"],
  QLT_EXCEPTION_OPEN: ["12.438 to 12.563", "19.000"],
};

/** Codes that no verdict, exception or answer bears. */
const NEVER: Readonly<Record<string, string>> = {
  TIM_FUTURE: "It is a flag on what is decided all the same.",
};

describe("the record's sentence", () => {
  let sentences = 0;
  test.each(Object.keys(CODES))("of %s", (code) => {
    if (NEVER[code] !== undefined) return expect(CASES[code]).toBeUndefined();
    const cases = CASES[code] ?? [];
    expect(cases.length, `nobody brings ${code} about`).toBeGreaterThan(0);
    for (const [n, bring] of cases.entries()) {
      const told = bring();
      expect(told.length, `${code}, case ${n}, did not occur`).toBeGreaterThan(0);
      for (const one of told) {
        expect(one.code).toBe(code);
        const sentence = sentenceOf(one);
        const failed = one.explanation !== null && "guards" in one.explanation ? one.explanation.guards.find(({ ok }) => !ok) : undefined;
        if (failed !== undefined) {
          expect(sentence).toContain(failed.expected);
          expect(sentence).toContain(failed.actual);
        }
        expect(sentence).toContain(CODES[code]?.remedy);
        expect(sentence).toMatch(/\.$/);
        if (n === 0) for (const limit of LIMITS[code] ?? []) expect(sentence).toContain(limit);
        sentences += 1;
      }
    }
  });
  test("says nothing twice, and nothing where no guard failed", () => {
    const guards = [{ guard: "g@1", ok: false, expected: "blend@3", actual: "blend@4" }];
    const explanation = { state: null, permitted: [], stateMachine: null, guards };
    const told = { code: "REV_MISMATCH", remedy: "Load it.", explanation };
    expect(sentenceOf({ ...told, reason: "Bound to blend@3, made for blend@4." })).toBe("Bound to blend@3, made for blend@4. Load it.");
    expect(sentenceOf({ ...told, reason: "Not this one." })).toBe("Not this one. Expected blend@3; found blend@4. Load it.");
    expect(sentenceOf({ ...told, reason: "So.", explanation: { today: { status: "deferred", code: null } } })).toBe("So. Load it.");
    expect(sentenceOf({ ...told, code: "XYZ_NEW", reason: "So.", remedy: null, explanation: null })).toBe("So.");
    const silent = { ...explanation, guards: [{ guard: "g@1", ok: false }] };
    expect(sentenceOf({ ...told, reason: "So.", explanation: silent })).toBe("So. Expected otherwise; found nothing. Load it.");
    expect(sentenceOf({ ...told, reason: "So.", remedy: null, explanation: null })).toBe(`So. ${CODES["REV_MISMATCH"]?.remedy}`);
  });
  test("shows what was refused, as it was written, unless the reason has all of it", () => {
    const told = { code: "EVD_ALREADY_SATISFIED", remedy: "Correct it.", explanation: null };
    const said = saidIn(Buffer.from('{"specversion":"1.0","id":"h-1","data":{"value":"12.510","unit":"kg"}}'));
    expect(said).toEqual([
      { name: "value", value: '"12.510"' },
      { name: "unit", value: '"kg"' },
    ]);
    expect(sentenceOf({ ...told, reason: "It is full.", said })).toBe('It is full. The event said value "12.510", unit "kg". Correct it.');
    expect(sentenceOf({ ...told, reason: "12.510 kg is too much.", said })).toBe("12.510 kg is too much. Correct it.");
    // in binary mode the payload is all data; a number keeps its places
    expect(saidIn(Buffer.from('{"value":12.500,"more":[1,{"a":null}]}'))).toEqual([
      { name: "value", value: "12.500" },
      { name: "more", value: '[1,{"a":null}]' },
    ]);
    for (const nothing of ["", "no JSON", "[1]", '"text"', '{"specversion":"1.0"}', '{"specversion":"1.0","data":5}', "{}"])
      expect(saidIn(Buffer.from(nothing)), nothing).toEqual([]);
    expect(saidIn(Buffer.from(signs(deviceKey("k1"), "t", '{"specversion":"1.0","data":{"value":"1.0"}}')))).toEqual([{ name: "value", value: '"1.0"' }]);
    const [full, over] = saidIn(Buffer.from(JSON.stringify({ full: "x".repeat(118), over: "x".repeat(119) })));
    expect([full?.value, over?.value]).toEqual([`"${"x".repeat(118)}"`, `"${"x".repeat(119)} …`]);
    const long = saidIn(Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`n${n}`, "x".repeat(10_000)])))));
    expect(sentenceOf({ ...told, reason: "So.", said: long }).length).toBeLessThan(2_000);
  });
  test("of who sent an event says what was wrong with the broker's stamp", () => {
    for (const [code, stamps, reason] of [
      ["PROVENANCE_STAMP_MISSING", [], "The broker's stamp of who sent it is missing."],
      ["PROVENANCE_STAMP_DUPLICATE", ["scales", "scales"], "The broker's stamp of who sent it came more than once."],
      ["PROVENANCE_MISMATCH", ["panels"], "The broker says that panels sent it; the branch is scales's."],
    ] as const)
      expect(given().when(stamped(...stamps))).toMatchObject([{ status: "rejected", code, reason, refusedBy: "speaker" }]);
    const [settlement] = given().settlements(stamped("panels"));
    expect(settlement?.rows.signals[0]?.body).toStrictEqual({ provenance: { party: "scales", stamp: "panels", refused: "PROVENANCE_MISMATCH" } });
    expect(signing().when(call(1))).toMatchObject([{ status: "rejected", code: "PROVENANCE_SIGNATURE_MISSING", refusedBy: "speaker" }]);
  });
  test("was read of every code", () => {
    expect(sentences).toBeGreaterThan(Object.keys(CODES).length);
    measured("sentences", `${sentences} sentences of ${Object.keys(CODES).length - Object.keys(NEVER).length} codes; ${Object.keys(NEVER).length} have none`);
  });
});
