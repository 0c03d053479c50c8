import { describe, expect, test } from "vitest";
import { allHold, compiledFlat, definitionOf, oracle } from "./shipped.ts";

// Promise: a machine that claims a public model meets it pair by pair. The oracles and their sources: test/data/state-models/NOTICE.md.
// Where the sources of PackML disagree (Hold in Starting, Suspended, Suspending, Unholding, Unsuspending), the row's own word is followed: OPC 30050 of 2020 accepts it.

describe.each([
  { name: "procedure/isa88", file: "isa88-procedural", states: 12, pairs: 96, accepted: 25, completions: 6 },
  { name: "equipment/packml", file: "packml", states: 17, pairs: 170, accepted: 41, completions: 11 },
] as const)("$name", ({ name, file, states, pairs, accepted, completions }) => {
  const machine = compiledFlat(name);
  const { commandTransitions, completionTransitions } = oracle(file);
  const all = Object.keys(definitionOf(name).machine.states);

  test("has the states of its oracle, which is whole", () => {
    expect(all).toHaveLength(states);
    expect(new Set(commandTransitions.map(({ from }) => from))).toEqual(new Set(all));
    expect(commandTransitions).toHaveLength(pairs);
    expect(commandTransitions.filter(({ accept }) => accept)).toHaveLength(accepted);
    expect(completionTransitions).toHaveLength(completions);
  });

  test.each(commandTransitions)("in $from, $command leads to $to or is refused as the oracle says ($accept)", ({ from, command, accept, to }) => {
    const said = machine.next(from, command, allHold);
    if (accept) expect(said).toMatchObject({ kind: "moved", to });
    else expect(said).toMatchObject({ kind: "refused", code: "STA_INVALID_TRANSITION", notYet: false, checks: [] });
  });

  test.each(all)("%s completes as the oracle says, or not at all", (from) => {
    const to = completionTransitions.find((row) => row.from === from)?.to;
    const said = machine.next(from, "StateComplete", allHold);
    if (to === undefined) expect(said).toMatchObject({ kind: "refused", code: "STA_INVALID_TRANSITION" });
    else expect(said).toMatchObject({ kind: "moved", to });
  });
});
