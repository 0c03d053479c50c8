import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../../src/registry/canonical.ts";
import { compareApprovals, compareDefinitions, hashesOf } from "../../../src/verify/definitions.ts";
import type { DefinitionApprovalRow, DefinitionRow } from "../../../src/verify/record.ts";

const BLEND = { recipe: "blend", revision: 3, steps: [] };
const MACHINE = { name: "batch/own", revision: 1, states: {} };
const hashOf = (content: unknown): string => hash("sha256", canonicalJson(content), "hex");
const EARLY = "2026-11-01T00:00:00.000000Z";
const BEGAN = "2026-11-02T00:00:00.000000Z";
const LATE = "2026-11-03T00:00:00.000000Z";

const recipe = (more: Partial<DefinitionRow> = {}): DefinitionRow => ({
  table: "recipes",
  name: "blend",
  revision: 3,
  hash: hashOf(BLEND),
  content: BLEND,
  registered: LATE,
  proposedBy: null,
  ...more,
});
const machine = (more: Partial<DefinitionRow> = {}): DefinitionRow => ({
  table: "state_machines",
  name: "batch/own",
  revision: 1,
  hash: hashOf(MACHINE),
  content: MACHINE,
  registered: EARLY,
  proposedBy: null,
  ...more,
});
const published = new Map<string, { hash: string; position: number; proposedBy: unknown }>([
  ["recipe blend@3", { hash: hashOf(BLEND), position: 7, proposedBy: null }],
]);
const compare = (...rows: readonly DefinitionRow[]) => compareDefinitions("rtm1", rows, { published, began: BEGAN }, hashesOf([MACHINE]));

describe("published revisions", () => {
  test("are those that were registered, or shipped", () => {
    expect(compare(recipe(), machine())).toEqual({ findings: [], untold: [] });
  });
  test("have the content of their hash", () => {
    expect(compare(recipe({ content: { ...BLEND, steps: [1] } })).findings).toMatchObject([
      { severity: "altered", position: 7, table: "recipes", column: "content" },
    ]);
    expect(compare(recipe(), machine({ content: { ...MACHINE, states: { a: {} } } })).findings).toMatchObject([{ table: "state_machines", column: "content" }]);
  });
  test("have the hash under which they were published, also where content and hash were changed together", () => {
    const other = { ...BLEND, steps: [1] };
    expect(compare(recipe({ content: other, hash: hashOf(other) })).findings).toMatchObject([
      { column: "hash", stored: hashOf(other), expected: hashOf(BLEND) },
    ]);
  });
  test("stand under the name that their content has", () => {
    expect(compare(recipe(), recipe({ revision: 4 })).findings).toMatchObject([{ table: "recipes", column: "revision", key: { revision: 4 } }]);
  });
  test("are not gone", () => {
    expect(compare(machine()).findings).toMatchObject([{ severity: "incomplete", table: "recipes", expected: "a row" }]);
  });
  test("are on record when they came after the log began; earlier ones are taken as they stand, and said", () => {
    const own = { recipe: "own", revision: 1 };
    const row = (registered: string): DefinitionRow => recipe({ name: "own", revision: 1, content: own, hash: hashOf(own), registered });
    expect(compare(recipe(), row(LATE)).findings).toMatchObject([{ severity: "altered", table: "recipes", column: null, stored: "a row" }]);
    expect(compare(recipe(), row(EARLY))).toEqual({ findings: [], untold: ["recipe own@1"] });
  });
});

describe("approvals of published revisions", () => {
  const signature = { signature: "abc", meaning: "configuration approved" };
  const approval = (more: Partial<DefinitionApprovalRow> = {}): DefinitionApprovalRow => ({
    ...{ table: "recipe_approvals", name: "blend", revision: 3, proposedBy: "person:ann", approvedBy: "person:bob", signature, approved: LATE },
    ...more,
  });
  const approved = new Map([["recipe blend@3", { by: "person:bob", proposedBy: "person:ann", signature, position: 9 }]]);
  const compareGiven = (rows: readonly DefinitionApprovalRow[], acts = approved) => compareApprovals("rtm1", rows, { approved: acts, began: BEGAN });

  test("are those that were given", () => {
    expect(compareGiven([approval()])).toEqual({ findings: [], untold: [] });
    expect(compareGiven([])).toMatchObject({ findings: [{ severity: "incomplete", position: 9, table: "recipe_approvals" }] });
  });
  test.each([
    ["proposed_by", { proposedBy: "person:eve" }],
    ["approved_by", { approvedBy: "person:eve" }],
    ["signature", { signature: { ...signature, meaning: "seen" } }],
  ] as const)("with another %s are altered", (column, more) => {
    expect(compareGiven([approval(more)]).findings).toMatchObject([{ severity: "altered", position: 9, table: "recipe_approvals", column }]);
  });
  test("of which no entry tells are altered, unless they are from before the log began", () => {
    expect(compareGiven([approval()], new Map()).findings).toMatchObject([{ severity: "altered", table: "recipe_approvals", column: null }]);
    expect(compareGiven([approval({ approved: EARLY })], new Map())).toEqual({ findings: [], untold: ["the approval of recipe blend@3"] });
  });
  test("are needed where a person registered the revision, whatever its row says of who did", () => {
    const acts = new Map([["recipe blend@3", { hash: hashOf(BLEND), position: 7, proposedBy: "person:ann" }]]);
    const { findings } = compareDefinitions("rtm1", [recipe({ proposedBy: null })], { published: acts, began: BEGAN }, new Map());
    expect(findings).toMatchObject([{ severity: "altered", position: 7, table: "recipes", column: "proposed_by", expected: "person:ann" }]);
  });
});
