// Promise: every row of the threat table names a test that is there, or says plainly that it is open. Whether such a test fails when its mitigation is removed is tried by hand, and by
// `npm run mutation` for what it covers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { measured } from "../../support/measure.ts";
import { repository } from "../../support/repository.ts";

interface Row {
  readonly number: string;
  readonly kind: string;
  readonly threat: string;
  readonly boundaries: string;
  readonly mitigation: string;
  readonly tests: string;
  readonly state: string;
}

const page = readFileSync(join(repository(), "docs/threat-model.md"), "utf8");

function rowsOf(text: string): readonly Row[] {
  return text.split("\n").flatMap((line) => {
    if (!/^\| \d+ \|/.test(line)) return [];
    const [, number = "", kind = "", threat = "", boundaries = "", mitigation = "", tests = "", state = ""] = line.split("|").map((cell) => cell.trim());
    return [{ number, kind, threat, boundaries, mitigation, tests, state }];
  });
}

const titles = new Map<string, readonly string[]>();

/** What the tests and groups of a file are called, as it stands in the source. */
function titlesIn(path: string): readonly string[] {
  const known = titles.get(path);
  if (known !== undefined) return known;
  const found: string[] = [];
  const file = ts.createSourceFile(path, readFileSync(join(repository(), path), "utf8"), ts.ScriptTarget.Latest, true);
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^(?:test|describe)/.test(node.expression.getText())) {
      const title = node.arguments.find((argument) => ts.isStringLiteralLike(argument));
      if (title !== undefined) found.push(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  titles.set(path, found);
  return found;
}

/** What is wrong with a row. */
function faults({ kind, threat, boundaries, mitigation, tests, state }: Row): readonly string[] {
  const named = [...tests.matchAll(/`(test\/[^`]+\.test\.ts)` "([^"]+)"/g)];
  const rest = tests.replaceAll(/`test\/[^`]+\.test\.ts` "[^"]+"/g, "").replaceAll(/[; ]/g, "");
  const missing = named.filter(([, path = "", title = ""]) => !titlesIn(path).includes(title)).map(([, path, title]) => `${path} has no test "${title}"`);
  return [
    ...(/^[STRIDE](?: [STRIDE])*$/.test(kind) ? [] : ["its kind is none"]),
    ...(/^B[1-9](?: B[1-9])*$/.test(boundaries) ? [] : ["its boundary is none"]),
    ...(threat === "" || mitigation === "" ? ["it says nothing"] : []),
    ...missing,
    ...(state === "held" && named.length === 0 ? ["it is held by no test"] : []),
    ...(state === "held" && (rest !== "" || mitigation.startsWith("not yet")) ? ["it is held, and something is not yet there"] : []),
    ...(state === "open" && !/not yet: .+/.test(tests) ? ["it is open and does not say what is missing"] : []),
    ...(state === "held" || state === "open" ? [] : [`its state is ${state}`]),
  ];
}

describe("the threat table", () => {
  const rows = rowsOf(page);
  measured("threats", `${rows.filter(({ state }) => state === "held").length} of ${rows.length} held`);
  measured("threats.open", String(rows.filter(({ state }) => state === "open").length));

  test("has every threat once, numbered without holes, and those of the reference are all there", () => {
    expect(rows.length).toBeGreaterThanOrEqual(60);
    expect(rows.map(({ number }) => Number(number))).toEqual(rows.map((_, i) => i + 1));
    for (const letter of "STRIDE") expect(rows.filter(({ kind }) => kind.includes(letter)).length, letter).toBeGreaterThan(2);
    for (const boundary of ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"])
      expect(rows.filter(({ boundaries }) => boundaries.includes(boundary)).length, boundary).toBeGreaterThan(0);
  });

  test.each(rows.map((row) => [row.number, row.threat, row] as const))("row %s (%s) has its test, or is open", (_number, _threat, row) => {
    expect(faults(row)).toEqual([]);
  });
});

test.each([
  ['| 1 | S | x | B1 | y | `test/rooms/docs/threat-model.test.ts` "no such test" | held |', 'test/rooms/docs/threat-model.test.ts has no test "no such test"'],
  ["| 1 | S | x | B1 | y |  | held |", "it is held by no test"],
  ["| 1 | S | x | B1 | y | not yet: z | held |", "it is held, and something is not yet there"],
  ["| 1 | S | x | B1 | y | later | open |", "it is open and does not say what is missing"],
  ["| 1 | S | x | B1 | y | not yet: z | done |", "its state is done"],
  ["| 1 | X | x | B1 | y | not yet: z | open |", "its kind is none"],
  ["| 1 | S | x | B10 | y | not yet: z | open |", "its boundary is none"],
])("this test refuses %s", (line, fault) => {
  expect(rowsOf(line).flatMap(faults)).toContain(fault);
});
