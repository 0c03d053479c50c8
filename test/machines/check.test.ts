import { describe, expect, test } from "vitest";
import { checkStateMachine } from "../../src/decide/state-machine-check.ts";

// Promise: a state machine that could move by itself, run code, get stuck or surprise is not published, and its author learns where and why.

const GUARDS = new Set(["door.shut@1", "key.turned@1"]);

/** A small machine that passes, with one thing changed. */
function changed(
  change: (machine: { states: Record<string, Record<string, unknown>>; [key: string]: unknown }, whole: Record<string, unknown>) => void,
): unknown {
  const machine = {
    id: "door",
    initial: "open",
    states: {
      open: { on: { "door.shut": { target: "shut", guard: "door.shut@1" }, "door.removed": { target: "removed" } } },
      shut: {
        on: {
          "door.opened": { target: "open" },
          "door.locked": { target: "locked", guard: { type: "all@1", params: { guards: ["door.shut@1", "key.turned@1"] } } },
        },
      },
      locked: { on: { "door.opened": { target: "open" } } },
      removed: { type: "final" },
    },
  };
  const whole = { name: "equipment/door", revision: 1, description: "A door.", terminal: ["removed"], machine, isa88: {}, isa95: {} };
  const copy = structuredClone(whole);
  change(copy.machine, copy);
  return copy;
}
const put = (into: Record<string, unknown>, name: string, value: unknown): void => void Object.assign(into, { [name]: value });
const problems = (content: unknown) => checkStateMachine(content, GUARDS);

test("a sound machine passes", () => {
  expect(problems(changed(() => {}))).toEqual([]);
});

const REFUSED: readonly [sentence: string, change: Parameters<typeof changed>[0], pointer: string, problem: RegExp][] = [
  [
    "an unknown guard",
    ({ states }) => put(states, "open", { on: { "door.shut": { target: "shut", guard: "no.such@1" }, "door.removed": { target: "removed" } } }),
    "/machine/states/open/on/door.shut",
    /no\.such@1 is not registered/,
  ],
  [
    "an unknown guard inside all@1",
    ({ states }) =>
      put(states, "locked", { on: { "door.opened": { target: "open", guard: { type: "all@1", params: { guards: ["door.shut@1", "no.such@1"] } } } } }),
    "/machine/states/locked/on/door.opened",
    /no\.such@1 is not registered/,
  ],
  [
    "an all@1 that lists nothing to ask",
    ({ states }) => put(states, "locked", { on: { "door.opened": { target: "open", guard: { type: "all@1", params: {} } } } }),
    "/machine/states/locked/on/door.opened",
    /all@1 lists/,
  ],
  ["an unreachable state", ({ states }) => put(states, "attic", { on: { "door.opened": { target: "open" } } }), "/machine/states/attic", /No way leads/],
  ["a dead end that is not final", ({ states }) => put(states, "locked", {}), "/machine/states/locked", /Nothing leaves/],
  [
    "a state that only leads to itself",
    ({ states }) => put(states, "locked", { on: { "door.opened": { target: "locked" } } }),
    "/machine/states/locked",
    /Nothing leaves/,
  ],
  [
    "a final state with a way out",
    ({ states }) => put(states, "removed", { type: "final", on: { "door.opened": { target: "open" } } }),
    "/machine/states/removed",
    /no way out/,
  ],
  [
    "two unguarded ways for one event",
    ({ states }) => put(states, "locked", { on: { "door.opened": [{ target: "open" }, { target: "shut" }] } }),
    "/machine/states/locked/on/door.opened",
    /second can never be taken/,
  ],
  [
    "a guarded way behind an unguarded one",
    ({ states }) => put(states, "locked", { on: { "door.opened": [{ target: "open" }, { target: "shut", guard: "key.turned@1" }] } }),
    "/machine/states/locked/on/door.opened",
    /second can never be taken/,
  ],
  [
    "a way to a state that is not there",
    ({ states }) => put(states, "locked", { on: { "door.opened": { target: "open" }, "door.lost": { target: "nowhere" } } }),
    "/machine/states/locked/on/door.lost",
    /no state nowhere/,
  ],
  [
    "a way by id past its region",
    ({ states }) => put(states, "locked", { on: { "door.opened": { target: "#door.open" } } }),
    "/machine/states/locked/on/door.opened",
    /no state #door\.open/,
  ],
  ["an initial state that is not there", (machine) => put(machine, "initial", "ajar"), "/machine/states", /no initial state/],
  [
    "invoke",
    ({ states }) => put(states, "locked", { invoke: { src: "locksmith" }, on: { "door.opened": { target: "open" } } }),
    "/machine/states/locked/invoke",
    /invokes/,
  ],
  ["spawn", ({ states }) => put(states, "locked", { spawn: "locksmith", on: { "door.opened": { target: "open" } } }), "/machine/states/locked/spawn", /spawns/],
  [
    "a spawning action",
    ({ states }) => put(states, "locked", { entry: [{ type: "xstate.spawnChild" }], on: { "door.opened": { target: "open" } } }),
    "/machine/states/locked/entry",
    /action/,
  ],
  ["a delay", ({ states }) => put(states, "locked", { after: { 1000: { target: "open" } } }), "/machine/states/locked/after", /delay/],
  [
    "a delayed transition",
    ({ states }) => put(states, "locked", { on: { "door.opened": { target: "open", delay: 5 } } }),
    "/machine/states/locked/on/door.opened/delay",
    /delay/,
  ],
  [
    "always",
    ({ states }) => put(states, "locked", { always: { target: "locked" }, on: { "door.opened": { target: "open" } } }),
    "/machine/states/locked/always",
    /without an event/,
  ],
  [
    "an action on a transition",
    ({ states }) => put(states, "locked", { on: { "door.opened": { target: "open", actions: "ring" } } }),
    "/machine/states/locked/on/door.opened/actions",
    /actions/,
  ],
  ["the wildcard event", ({ states }) => put(states, "locked", { on: { "*": { target: "open" } } }), "/machine/states/locked/on/*", /wildcard/],
  ["a partial wildcard", ({ states }) => put(states, "locked", { on: { "door.*": { target: "open" } } }), "/machine/states/locked/on/door.*", /wildcard/],
  [
    "states within states",
    ({ states }) => put(states, "locked", { initial: "once", states: { once: {} }, on: { "door.opened": { target: "open" } } }),
    "/machine/states/locked/states",
    /within states/,
  ],
  ["a terminal state that is not there", (_, whole) => put(whole, "terminal", ["removed", "burnt"]), "/terminal/1", /no state burnt/],
  ["an ISA-88 name of a state that is not there", (_, whole) => put(whole, "isa88", { ajar: "Idle" }), "/isa88/ajar", /no state ajar/],
  ["an unknown field", ({ states }) => put(states, "locked", { tags: ["x"], on: { "door.opened": { target: "open" } } }), "/machine/states/locked", /tags/],
];

describe("the checker refuses", () => {
  test.each(REFUSED)("%s", (_, change, pointer, problem) => {
    expect(problems(changed(change))).toContainEqual({ pointer, problem: expect.stringMatching(problem) });
  });

  test("an inline function", () => {
    const content = changed(() => {});
    Object.assign(Reflect.get(Reflect.get(Reflect.get(Reflect.get(Object(content), "machine"), "states"), "open"), "on"), {
      "door.shut": { target: "shut", guard: () => true },
    });
    expect(problems(content)).toContainEqual({ pointer: "/machine/states/open/on/door.shut/guard", problem: expect.stringMatching(/function/) });
  });

  test("events on a region, which XState would take and no table would show", () => {
    const region = (on: unknown) => ({
      name: "equipment/two",
      revision: 1,
      description: "Two regions.",
      terminal: ["off", "out"],
      machine: {
        id: "two",
        type: "parallel",
        states: {
          light: { ...(on === undefined ? {} : { on }), initial: "on", states: { on: { on: { switch: { target: "off" } } }, off: { type: "final" } } },
          fire: { initial: "lit", states: { lit: { on: { water: { target: "out" } } }, out: { type: "final" } } },
        },
      },
      isa88: {},
      isa95: {},
    });
    expect(problems(region(undefined))).toEqual([]);
    expect(problems(region({ switch: { target: ".off" } }))).toContainEqual({ pointer: "/machine/states/light/on", problem: expect.stringMatching(/region/) });
  });
});

test("names that only look forbidden are taken: a state called after, an event called always", () => {
  const content = changed(({ states }) => {
    states["after"] = { on: { always: { target: "open" } } };
    states["locked"] = { on: { "door.opened": { target: "open" }, delay: { target: "after" } } };
  });
  expect(problems(content)).toEqual([]);
});

test("all problems are told at once", () => {
  const content = changed(({ states }) => {
    states["locked"] = {};
    states["attic"] = { on: { "door.opened": { target: "open" } } };
  });
  expect(problems(content)).toHaveLength(2);
});
