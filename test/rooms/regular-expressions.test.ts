// Promise: no text that anybody sends makes a regular expression of the service take exponentially long (ASVS 1.3.12), and nobody sends a regular expression.
// Attack: every literal in src, judged by its automaton; and known bad ones, to see that the judge sees them.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { isExplosive } from "../support/ambiguity.ts";

const root = path.resolve(import.meta.dirname, "../../src");

interface Found {
  readonly where: string;
  readonly text: string;
}

function expressions(): { readonly literals: readonly Found[]; readonly made: readonly Found[] } {
  const literals: Found[] = [];
  const made: Found[] = [];
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))) {
    const file = ts.createSourceFile(name, readFileSync(path.join(root, name), "utf8"), ts.ScriptTarget.Latest, true);
    const visit = (node: ts.Node): void => {
      const where = `${name}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
      if (ts.isRegularExpressionLiteral(node)) literals.push({ where, text: node.text });
      if ((ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === "RegExp") made.push({ where, text: node.getText() });
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return { literals, made };
}

test.each([
  "^(a+)+$",
  "(a*)*",
  "(a|a)*",
  "(a|ab|b)*c",
  "^(\\w+\\s?)*$",
  "([a-z]+)*@",
  "(?:a{1,9}){1,9}",
  "(x+x+)+y",
  "^([a-zA-Z0-9]+[._-]?)*@",
  "(?=(a+)+$)x",
  "(.*)*",
  "(?:\\d|[0-9a-f])+z",
])("the judge sees that %s takes exponentially long", (source) => {
  expect(isExplosive(source)).toBe(true);
});

test.each([
  "^a+$",
  "^(?:a|b)*$",
  "^[a-z]+(?:-[a-z]+)*$",
  "^(\\/[a-z][a-z0-9-]*)+@[1-9]\\d{0,8}$",
  "a*b*c*",
  "^\\d{4}-\\d{2}$",
  "(?:\\r\\n|\\n)*",
  '"(?:[^"\\\\]|\\\\.)*"',
])("and that %s does not", (source) => {
  expect(isExplosive(source)).toBe(false);
});

test("no regular expression of the service takes exponentially long on any text", () => {
  const { literals } = expressions();
  expect(literals.length).toBeGreaterThan(100);
  const bad = literals.filter(({ text }) => isExplosive(text.slice(1, text.lastIndexOf("/")), text.slice(text.lastIndexOf("/") + 1)));
  expect(bad).toEqual([]);
});

test("none is made of what somebody sends: all are written out", () => {
  expect(expressions().made).toEqual([]);
});
