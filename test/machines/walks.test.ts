import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMachine, transition } from "xstate";
import { z } from "zod";
import { runs } from "../support/runs.ts";
import { type Answers, allHold, codeOf, compiledBatch, compiledFlat, definitionOf, expected, guardsIn, SHIPPED, tableOf } from "./shipped.ts";

// Promise: the fast engine (one inert scope, guards told to explain) moves as XState itself does, along every path.
// Attack: random walks with random guards failing, against XState's exported `transition` on the published JSON with plain booleans; then every short path.

/** The published JSON as XState alone runs it: an event carries which guards fail. */
function plain(name: string) {
  const { machine } = definitionOf(name);
  const fails = (event: Readonly<Record<string, unknown>>, guard: string): boolean => Array.isArray(event["failing"]) && event["failing"].includes(guard);
  const listed = z.object({ guards: z.array(z.string()) });
  const guards = Object.fromEntries(
    guardsIn(machine).map((guard) => [guard, ({ event }: { event: Readonly<Record<string, unknown>> }) => !fails(event, guard)]),
  );
  const all = ({ event }: { event: Readonly<Record<string, unknown>> }, params: unknown): boolean =>
    listed.parse(params).guards.every((guard) => !fails(event, guard));
  return createMachine(JSON.parse(JSON.stringify(machine)), { guards: { ...guards, "all@1": all } });
}

const walk = (events: readonly string[], guards: readonly string[]) =>
  fc.array(fc.record({ event: fc.constantFrom(...events), failing: fc.subarray([...guards], { maxLength: Math.min(3, guards.length) }) }), {
    maxLength: 30,
  });

const answers = (failing: readonly string[]): Answers => ({ failing: new Map(failing.map((guard) => [guard, "never"])) });

describe.each(["step/governed", "procedure/isa88", "equipment/packml"] as const)("%s", (name) => {
  const machine = compiledFlat(name);
  const xstate = plain(name);
  const initial = definitionOf(name).machine.initial ?? "";
  const rows = tableOf(name).regions[""] ?? [];

  test("walks as XState walks", () => {
    fc.assert(
      fc.property(walk(machine.events, guardsIn(definitionOf(name).machine)), (steps) => {
        let at = initial;
        for (const { event, failing } of steps) {
          const [next] = transition(xstate, xstate.resolveState({ value: at, context: {} }), { type: event, failing });
          const said = machine.next(at, event, answers(failing));
          expect({ at, event, failing, to: said.kind === "moved" ? said.to : at }).toEqual({ at, event, failing, to: next.value });
          at = said.kind === "moved" ? said.to : at;
        }
      }),
      { numRuns: runs(60) },
    );
  });

  test("follows its table along every path of four events", () => {
    const seen = new Set<string>();
    let layer = [{ at: initial, path: "" }];
    for (let length = 0; length < 4; length++) {
      const next = new Map<string, { at: string; path: string }>();
      for (const { at, path } of layer) {
        seen.add(at);
        for (const event of machine.events) {
          const said = machine.next(at, event, allHold);
          const wanted = expected(rows, at, event, allHold);
          const to = "to" in wanted ? wanted.to : at;
          expect({ path, event, to: said.kind === "moved" ? said.to : at }).toEqual({ path, event, to });
          // What a path did before does not matter to where it goes: paths that meet in a state go on as one.
          next.set(to, { at: to, path: `${path} ${event}` });
        }
      }
      layer = [...next.values()];
    }
    expect(seen.size).toBeGreaterThan(3);
  });
});

test("batch/governed moves its regions as XState moves them, or moves neither", () => {
  const machine = compiledBatch();
  const xstate = plain("batch/governed");
  fc.assert(
    fc.property(walk(machine.events, guardsIn(definitionOf("batch/governed").machine)), (steps) => {
      let at = { execution: "planned", disposition: "not_reviewed" };
      for (const { event, failing: chosen } of steps) {
        // These two are told by the state itself; to choose them would be to lie about it.
        const untold = chosen.filter((guard) => guard !== "batch.started@1" && guard !== "batch.running@1");
        const failing = [
          ...untold,
          ...(["planned", "ready", "cancelled"].includes(at.execution) ? ["batch.started@1"] : []),
          ...(at.execution === "running" ? [] : ["batch.running@1"]),
        ];
        const [next] = transition(xstate, xstate.resolveState({ value: at, context: {} }), { type: event, failing });
        const said = machine.next(at, event, answers(failing));
        if (said.kind === "moved") {
          expect({ at, event, failing, to: said.to }).toEqual({ at, event, failing, to: next.value });
          at = said.to;
        } else {
          // Refused by the leading region: then XState did not move that one either.
          expect({ at, event, failing, to: next.value }).toMatchObject({ to: { execution: at.execution } });
        }
        expect(at.execution === "planned" || at.execution === "ready" || at.execution === "cancelled" ? at.disposition : "not_reviewed").toBe("not_reviewed");
      }
    }),
    { numRuns: runs(80) },
  );
});

describe("no path", () => {
  const step = compiledFlat("step/governed");
  const guards = guardsIn(definitionOf("step/governed").machine);

  test("reaches complete but through its evidence, its duration and its sources, or a signature after them", () => {
    fc.assert(
      fc.property(walk(step.events, guards), (steps) => {
        let at = "pending";
        for (const { event, failing } of steps) {
          const said = step.next(at, event, answers(failing));
          if (said.kind === "moved" && (said.to === "complete" || said.to === "awaiting_verification") && said.to !== at) {
            const asked = new Map(said.checks.map(({ guard, ok }) => [guard, ok]));
            const proofs =
              at === "awaiting_verification"
                ? ["signature.present@1"]
                : ["evidence.complete@1", "evidence.dispositioned@1", "duration.min@1", "sources.gapless@1"];
            for (const proof of proofs) expect({ from: at, proof, ok: asked.get(proof) }).toEqual({ from: at, proof, ok: true });
          }
          at = said.kind === "moved" ? said.to : at;
        }
      }),
    );
  });

  test("reaches a disposition without a signature", () => {
    const batch = compiledBatch();
    for (const disposition of ["pending_review", "conditional", "rework", "released"]) {
      for (const event of ["batch.release", "batch.reject", "batch.conditional", "batch.rework", "batch.review"]) {
        const said = batch.next({ execution: "complete", disposition }, event, answers(["signature.present@1"]));
        expect(said).toMatchObject({ kind: "refused", code: expect.stringMatching(`^(STA_INVALID_TRANSITION|${codeOf("signature.present@1")})$`) });
      }
    }
  });

  test.each(SHIPPED)("of %s ends anywhere but where it may end", (name) => {
    for (const rows of Object.values(tableOf(name).regions)) {
      for (const state of new Set(rows.map((row) => row.state))) {
        const leaves = rows.some((row) => row.state === state && "to" in row && row.to !== state);
        const ends = ["skipped", "stopped", "aborted", "superseded", "closed", "cancelled", "rejected"].includes(state);
        if (!leaves) expect({ name, state, ends }).toEqual({ name, state, ends: true });
      }
    }
  });
});
