import { describe, expect, test } from "vitest";
import { regionsOf } from "../../src/decide/state-machine.ts";
import { type Answers, allHold, compiledBatch, compiledFlat, definitionOf, expected, failing, guardsIn, type Row, SHIPPED, tableOf } from "./shipped.ts";

// Promise: every pair of state and event does what its table says, and nothing is silently ignored.
// Attack: ask every pair with all guards holding, with each guard failing alone, and with all failing.

const statesIn = (rows: readonly Row[]): string[] => [...new Set(rows.map(({ state }) => state))];
const eventsIn = (rows: readonly Row[]): string[] => [...new Set(rows.map(({ event }) => event))];

function everyAnswer(guards: readonly string[]): readonly Answers[] {
  return [allHold, ...guards.map((guard) => failing(guard)), failing(...guards)];
}

test.each(SHIPPED)("the table of %s has every state, every event of its region, and every pair of them", (name) => {
  const { regions } = tableOf(name);
  const defined = regionsOf(definitionOf(name));
  expect(Object.keys(regions).sort()).toEqual([...defined.keys()].sort());
  for (const [region, states] of defined) {
    const rows = regions[region] ?? [];
    expect(statesIn(rows).sort()).toEqual(Object.keys(states).sort());
    expect(eventsIn(rows).sort()).toEqual([...new Set(Object.values(states).flatMap((state) => Object.keys(state.on ?? {})))].sort());
    for (const state of statesIn(rows))
      for (const event of eventsIn(rows)) expect(rows.filter((row) => row.state === state && row.event === event)).not.toEqual([]);
  }
});

describe.each(["step/governed", "procedure/isa88", "equipment/packml"] as const)("%s", (name) => {
  const machine = compiledFlat(name);
  const rows = tableOf(name).regions[""] ?? [];
  const answers = everyAnswer(guardsIn(definitionOf(name).machine));

  test.each(statesIn(rows))("in %s takes or refuses every event as its table says", (state) => {
    for (const event of eventsIn(rows)) {
      for (const given of answers) {
        const wanted = expected(rows, state, event, given);
        const said = machine.next(state, event, given);
        if ("to" in wanted) expect({ event, ...said }).toMatchObject({ event, kind: "moved", to: wanted.to, self: wanted.to === state });
        else expect({ event, ...said }).toMatchObject({ event, kind: "refused", code: wanted.code, notYet: false });
      }
    }
  });

  test.each(statesIn(rows))("in %s permits exactly what it would take", (state) => {
    for (const given of answers) {
      const wanted = eventsIn(rows).filter((event) => "to" in expected(rows, state, event, given));
      expect([...machine.permitted(state, given)].sort()).toEqual(wanted.sort());
    }
  });
});

describe("batch/governed", () => {
  const machine = compiledBatch();
  const { execution = [], disposition = [] } = tableOf("batch/governed").regions;
  const places = statesIn(execution).flatMap((at) => statesIn(disposition).map((under) => ({ execution: at, disposition: under })));
  const answers = everyAnswer(guardsIn(definitionOf("batch/governed").machine));
  const events = [...new Set([...eventsIn(execution), ...eventsIn(disposition)])];

  /** The execution leads wherever it knows the event: where it refuses, the disposition does not move. */
  function both(place: { execution: string; disposition: string }, event: string, given: Answers): { readonly to: typeof place } | { readonly code: string } {
    const follows = eventsIn(disposition).includes(event) ? expected(disposition, place.disposition, event, given) : { code: "" };
    if (!eventsIn(execution).includes(event)) return "to" in follows ? { to: { ...place, disposition: follows.to } } : follows;
    const leads = expected(execution, place.execution, event, given);
    if (!("to" in leads)) return leads;
    return { to: { execution: leads.to, disposition: "to" in follows ? follows.to : place.disposition } };
  }

  test.each(places)("in $execution and $disposition takes or refuses every event as its tables say together", (place) => {
    for (const event of events) {
      for (const given of answers) {
        const wanted = both(place, event, given);
        const said = machine.next(place, event, given);
        if ("to" in wanted) expect({ event, ...said }).toMatchObject({ event, kind: "moved", to: wanted.to });
        else if (wanted.code.startsWith("STA_"))
          expect({ event, ...said }).toMatchObject({ event, kind: "refused", code: expect.stringMatching(/^STA_/), checks: [] });
        else expect({ event, ...said }).toMatchObject({ event, kind: "refused", code: wanted.code });
      }
    }
  });

  test("a batch that is closed or cancelled says so to whatever asks its execution to move", () => {
    for (const at of ["closed", "cancelled"]) {
      for (const event of eventsIn(execution)) {
        for (const under of statesIn(disposition)) {
          expect({ event, ...machine.next({ execution: at, disposition: under }, event, allHold) }).toMatchObject({
            event,
            kind: "refused",
            code: "STA_TERMINAL",
          });
        }
      }
    }
  });

  test("a batch that has not started cannot be stopped, and its disposition stays as it is", () => {
    for (const at of ["planned", "ready"]) {
      expect(machine.next({ execution: at, disposition: "not_reviewed" }, "batch.stop", allHold)).toMatchObject({
        kind: "refused",
        code: "STA_INVALID_TRANSITION",
      });
      expect(machine.permitted({ execution: at, disposition: "not_reviewed" }, allHold)).not.toContain("batch.stop");
    }
  });
});
