import { describe, expect, test } from "vitest";
import { type Act, commands, disposes, given, type Line, mixer, orders, running, scale, signedBy, stepCommand } from "../../support/given.ts";

// Promise: what is to be signed is not done without a signature, whatever the state: it is refused with one code and one sentence, before anything else is said of it, and leaves no fact behind.
// What lets product go is refused, signed or not, while anything of the batch is open.

const NEEDED = { kind: "refused", code: "SIG_MISSING", reason: "This act needs an electronic signature.", explanation: null };
const person = { actor: "person:olga", role: "operator" } as const;
const answered = (line: Line, act: Act): string => {
  const answer = line.answer(act);
  return answer.kind === "refused" ? answer.code : answer.kind;
};
const gap = (line: Line): number => line.source(scale).gap?.position ?? 0;

describe("what a person signs, and a machine does without", () => {
  const behindGap = () =>
    given(scale.says("call.raised", { sequence: 1, data: { call: "c" } }), scale.says("call.raised", { sequence: 4, data: { call: "c" } }));
  const quarantined = () => given(running(), scale.weighs("12.500"), commands("stop"));
  const acts: Readonly<Record<string, readonly [() => Line, (line: Line, how: object) => Act]>> = {
    stop: [() => given(running()), (_, how) => commands("stop", "B-1", "seen", how)],
    abort: [() => given(running()), (_, how) => commands("abort", "B-1", "seen", how)],
    "gap.resolve": [
      behindGap,
      (line, how) => orders({ kind: "gap.resolve", source: scale.name, gap: gap(line), action: "skip", epoch: null, sequence: null, reason: "seen" }, how),
    ],
    "source.succession": [behindGap, (_, how) => orders({ kind: "source.succession", source: scale.name, reason: "new" }, how)],
    "quarantine.resolve": [
      quarantined,
      (line, how) => orders({ kind: "quarantine.resolve", event: [...line.model.quarantine.keys()][0] ?? 0, action: "reject", reason: "seen" }, how),
    ],
  };
  for (const [name, [make, act]] of Object.entries(acts))
    test(name, () => {
      const line = make();
      const facts = line.model.facts.length;
      expect(line.answer(act(line, person))).toEqual(NEEDED);
      expect(line.model.facts).toHaveLength(facts);
      expect(answered(line, act(line, { ...person, ...signedBy("olga", "operator") }))).toBe("done");
      const other = make();
      expect(answered(other, act(other, { actor: "machine:mes-1", role: "mes" }))).toBe("done");
    });
  test("a person starts and pauses a batch without", () => {
    const line = given(running());
    expect([commands("pause", "B-1", null, person), commands("resume", "B-1", null, person)].map((act) => answered(line, act))).toEqual(["done", "done"]);
  });
});

describe("what nobody does without a signature", () => {
  const how = [{}, person, { actor: "machine:mes-1", role: "mes" }];
  for (const command of ["recommend", "release", "conditional", "reject"] as const)
    test(command, () => {
      const line = given(running(), commands("stop"));
      for (const one of how) expect(line.answer(orders({ kind: "batch.command", batch: "B-1", command, reason: "r", binding: true }, one))).toEqual(NEEDED);
    });
  for (const command of ["skip", "verify", "rework"] as const)
    test(`${command} of a step`, () => {
      const line = given(running());
      for (const one of how) expect(line.answer(stepCommand(command, "weigh", { linked: "DEV-1" }, one))).toEqual(NEEDED);
    });
});

describe("a release, also under a condition,", () => {
  for (const command of ["release", "conditional"] as const) {
    test(`${command}: is refused while an exception is open`, () => {
      const line = given(running(), scale.starts("weigh"), scale.weighs("19.000"), commands("stop"), disposes("recommend"));
      expect(line.answer(disposes(command))).toEqual({
        kind: "refused",
        code: "QLT_EXCEPTION_OPEN",
        reason: "Batch B-1 has 1 open exceptions.",
        explanation: null,
      });
    });
    test(`${command}: is refused while an event of the batch is deferred, whatever else would refuse it`, () => {
      const line = given(running(), mixer.starts("blend"));
      expect(line.answer(disposes(command))).toEqual({
        kind: "refused",
        code: "SYS_OPEN_QUEUE",
        reason: "Events of batch B-1 are not decided: 0 quarantined, 1 deferred.",
        explanation: null,
      });
    });
  }
  test("and no rejection: what is open stands in the way of nothing that lets nothing go", () => {
    const line = given(running(), scale.starts("weigh"), scale.weighs("19.000"), commands("stop"), disposes("recommend"));
    expect(answered(line, disposes("reject"))).toBe("done");
  });
});
