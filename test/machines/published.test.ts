import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { GUARDS } from "../../src/decide/guards.ts";
import { compile } from "../../src/decide/state-machine.ts";
import { checkStateMachine } from "../../src/decide/state-machine-check.ts";
import { canonicalJson } from "../../src/registry/canonical.ts";
import { shippedStateMachines } from "../../src/registry/state-machines.file.ts";
import { definitionOf, guardsIn, published, SHIPPED, tableOf } from "./shipped.ts";

// Promise: a published state machine never changes, nor does the set of guards it rests on. A changed rule is a new revision beside the old one.
// When this fails: put the published file back and publish NAME.v2.json. Nothing here is to be updated for a revision that has been released.

const sha256 = (content: unknown): string => createHash("sha256").update(canonicalJson(content)).digest("hex");

test("what is shipped is what is pinned: no machine more, none less", async () => {
  const shipped = (await shippedStateMachines()).map(({ name, revision }) => `${name}@${revision}`);
  expect(shipped.sort()).toEqual(Object.keys(published()).sort());
});

describe.each(SHIPPED)("%s", (name) => {
  const definition = definitionOf(name);
  const pin = published()[`${name}@1`];

  test("is, with its table and its guards, what was published", () => {
    const guards = guardsIn(definition.machine);
    expect(pin).toEqual({ file: `${name}.v1.json`, sha256: sha256(definition), tableSha256: sha256(tableOf(name)), guards, guardsSha256: sha256(guards) });
    expect(existsSync(new URL(`../../state-machines/${pin?.file}`, import.meta.url))).toBe(true);
  });

  test("passes the checker and compiles with the guards that exist", () => {
    expect(checkStateMachine(definition, new Set(GUARDS.keys()))).toEqual([]);
    expect(compile(definition, GUARDS).name).toBe(`${name}@1`);
  });
});

test.each(["batch/governed", "step/governed"] as const)("every state of %s has its ISA-88 and its ISA-95 name", (name) => {
  const { isa88, isa95, machine } = definitionOf(name);
  const states = machine.type === "parallel" ? Object.keys(machine.states["execution"]?.states ?? {}) : Object.keys(machine.states);
  expect(Object.keys(isa88).sort()).toEqual(states.sort());
  expect(Object.keys(isa95).sort()).toEqual(states.sort());
});
