import { describe, expect, test } from "vitest";
import { createMachines } from "../../../src/decide/machines.ts";
import { compile, type Guard, type GuardOutcome } from "../../../src/decide/state-machine.ts";
import { checkStateMachine } from "../../../src/decide/state-machine-check.ts";
import { emptyRequest } from "../../../src/decide/world-request.ts";
import { given, running } from "../../support/given.ts";

// State machines that a plant might register: written shorter than the shipped ones, with several ways for one event, and with regions that end.

const HERE = {};
const failing = (code: string, more: object = {}): GuardOutcome => ({ ok: false, code, notYet: false, ...more });
/** Guards `yes@1` and `no-A@1`, `no-B@1` … that fail with codes A, B … */
const GUARDS: ReadonlyMap<string, Guard<object>> = new Map<string, Guard<object>>([
  ["yes@1", () => ({ ok: true })],
  ...["A", "B", "C"].map((code): [string, Guard<object>] => [`no-${code}@1`, () => failing(code)]),
]);
const all = (...guards: readonly string[]) => ({ type: "all@1", params: { guards } });
const definition = (machine: object, terminal: readonly string[] = []) => ({
  name: "equipment/door",
  revision: 1,
  description: "A door.",
  terminal,
  machine: { id: "door", ...machine },
  isa88: {},
  isa95: {},
});

describe("a machine", () => {
  test("may name the state that follows, and nothing else", () => {
    const door = compile<string, object>(
      definition({ initial: "open", states: { open: { on: { shut: "closed" } }, closed: { on: { open: "open" } } } }),
      GUARDS,
    );
    expect(door.next("open", "shut", HERE)).toEqual({ kind: "moved", to: "closed", self: false, checks: [] });
    expect(door.permitted("closed", HERE)).toEqual(["open"]);
  });
  test("calls its states as ISA-88 and ISA-95 do, and those that it maps to nothing by their own name", () => {
    const names = {
      ...definition({ initial: "open", states: { open: { on: { shut: "closed" } }, closed: { on: { open: "open" } } } }),
      isa88: { open: "Idle" },
      isa95: { open: "Ready" },
    };
    const door = compile<string, object>(names, GUARDS);
    expect([door.isa88("open"), door.isa88("closed"), door.isa95("open"), door.isa95("closed")]).toEqual(["Idle", "closed", "Ready", "closed"]);
  });
  test("may name a guard alone, and says of one that fails what it said, and no more", () => {
    const states = {
      open: { on: { shut: { target: "closed", guard: "no-A@1" }, lock: { target: "closed", guard: "yes@1" } } },
      closed: { on: { open: "open" } },
    };
    const door = compile<string, object>(definition({ initial: "open", states }), GUARDS);
    expect(door.next("open", "shut", HERE).checks).toStrictEqual([{ guard: "no-A@1", ok: false, code: "A", notYet: false }]);
    expect(door.next("open", "lock", HERE).checks).toStrictEqual([{ guard: "yes@1", ok: true }]);
  });
  test("that offers several ways is refused by the one that is nearest to being taken, the first of those that are equally near", () => {
    const refused = (...ways: readonly (readonly string[])[]) => {
      const on = { shut: ways.map((guards) => ({ target: "closed", guard: all(...guards) })) };
      const door = compile<string, object>(definition({ initial: "open", states: { open: { on }, closed: { on: { open: "open" } } } }), GUARDS);
      const next = door.next("open", "shut", HERE);
      return next.kind === "refused" ? next.code : next.kind;
    };
    expect(refused(["no-A@1", "no-B@1"], ["yes@1", "yes@1", "no-C@1"])).toBe("C");
    expect(refused(["yes@1", "yes@1", "no-C@1"], ["no-A@1", "no-B@1"])).toBe("C");
    expect(refused(["no-A@1"], ["no-B@1"])).toBe("A");
    expect(refused(["no-A@1"], ["yes@1"])).toBe("moved");
  });
  test("goes the first of several ways of which all guards hold, and none of which only some do", () => {
    const on = {
      shut: [
        { target: "jammed", guard: all("yes@1", "no-A@1") },
        { target: "closed", guard: all("yes@1", "yes@1") },
      ],
    };
    const door = compile<string, object>(definition({ initial: "open", states: { open: { on }, jammed: {}, closed: { on: { open: "open" } } } }), GUARDS);
    expect(door.next("open", "shut", HERE)).toMatchObject({ kind: "moved", to: "closed", self: false });
  });
  test("has ended when its first region has, whatever the others have come to", () => {
    const region = (name: string) => ({
      initial: `${name}-on`,
      states: { [`${name}-on`]: { on: { [name]: `${name}-off` } }, [`${name}-off`]: { type: "final" } },
    });
    const both = compile<Record<string, string>, object>(
      definition({ type: "parallel", states: { a: region("a"), b: region("b") } }, ["a-off", "b-off"]),
      GUARDS,
    );
    const code = (a: string, b: string, event: string) => {
      const next = both.next({ a, b }, event, HERE);
      return next.kind === "refused" ? next.code : "moved";
    };
    expect([code("a-on", "b-off", "b"), code("a-off", "b-on", "a"), code("a-on", "b-off", "a")]).toEqual(["STA_INVALID_TRANSITION", "STA_TERMINAL", "moved"]);
  });
});

describe("the machines of batches", () => {
  const batch = given(running()).batch();
  const line = given();
  const find = (name: string) => line.model.read({ ...emptyRequest(), machines: new Set([name]) }).machines.get(name) ?? undefined;
  test("are compiled once each", () => {
    const asked: string[] = [];
    const machines = createMachines((name) => {
      asked.push(name);
      return find(name);
    });
    expect(machines.batch(batch)).toBe(machines.batch(batch));
    expect(machines.step(batch)).toBe(machines.step(batch));
    expect(asked).toEqual(["batch/governed@1", "step/governed@1"]);
    const recipe = { hash: "h", content: line.model.options.recipes[0] };
    expect(machines.recipe(recipe)).toBe(machines.recipe({ ...recipe }));
    expect(machines.recipe(recipe).recipe).toBe("blend");
  });
  test("are those that the batch is bound to, or none", () => {
    expect(() => createMachines(() => undefined).batch(batch)).toThrow("state machine batch/governed@1 is not registered");
    expect(() => createMachines(find).step({ ...batch, stepMachineHash: "other" })).toThrow(
      "state machine step/governed@1 is not the one that the batch is bound to",
    );
  });
});

describe("the checker", () => {
  const problems = (machine: object, terminal: readonly string[] = []) => checkStateMachine(definition(machine, terminal), new Set(["yes@1"]));
  const lit = { initial: "lit", states: { lit: { on: { water: "out" } }, out: { type: "final" } } };
  test("names what is wrong inside a region by its place there", () => {
    const region = (light: object) => problems({ type: "parallel", states: { light, fire: lit } });
    expect(region({ states: { on: { on: { go: "off" } }, off: { type: "final" } } })).toEqual([
      { pointer: "/machine/states/light/states", problem: "It has no initial state among its states." },
    ]);
    expect(region({ initial: "on", states: { on: { on: { go: "off" } }, off: {} } })).toEqual([
      { pointer: "/machine/states/light/states/off", problem: "Nothing leaves this state, and it is not final." },
    ]);
    expect(problems({ type: "parallel", states: { light: {}, fire: lit } })).toHaveLength(1);
  });
  test("looks into lists, and names the place in them", () => {
    const states = { on: { on: { go: [{ target: "off", guard: "yes@1", actions: "ring" }, "off"] } }, off: { type: "final" } };
    expect(problems({ initial: "on", states })).toEqual([{ pointer: "/machine/states/on/on/go/0/actions", problem: expect.stringContaining("actions") }]);
  });
  test("refuses what has no shape at all", () => {
    for (const content of [null, 7, { machine: null }, []]) expect(checkStateMachine(content, new Set()).length).toBeGreaterThan(0);
  });
  test("lets words be that are no machine's: what describes it, and what ISA calls its states", () => {
    const words = {
      ...definition({ initial: "after", states: { after: { on: { invoke: "entry" } }, entry: { type: "final" } } }),
      isa88: { after: "Idle", entry: "Complete" },
    };
    expect(checkStateMachine(words, new Set())).toEqual([]);
  });
});
