// What the pages point to is there: files, sections, and the tests that they name.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../../..");
const pages = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map((name) => join(root, name)),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(root, "docs", name)),
];

const anchors = (page: string): string[] =>
  [...readFileSync(page, "utf8").matchAll(/^#{1,4} (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );

function dangling(page: string): string[] {
  const text = readFileSync(page, "utf8");
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target).filter((target) => !target.startsWith("http"));
  const broken = links.filter((target) => {
    const [path = "", section] = target.split("#");
    const file = path === "" ? page : resolve(dirname(page), path);
    return !existsSync(file) || (section !== undefined && !anchors(file).includes(section));
  });
  const named = [...text.matchAll(/`((?:src|test|migrations|examples|deploy|state-machines|docs)\/[\w./-]*)`/g)].map(([, path = ""]) => path);
  return [...broken, ...named.filter((path) => !existsSync(join(root, path)))];
}

describe("every link and every file named", () => {
  test.each(pages.map((page) => [relative(root, page), page]))("in %s is there", (_name, page) => {
    expect(dangling(page)).toEqual([]);
  });
});

test("every decision has its context, its decision and its consequences", () => {
  const decisions = pages.filter((page) => page.includes("/decisions/"));
  expect(decisions.length).toBeGreaterThan(4);
  for (const page of decisions)
    expect(
      [...readFileSync(page, "utf8").matchAll(/^\*\*(Context|Decision|Consequences)\.\*\*/gm)].map((found) => found[1]),
      page,
    ).toEqual(["Context", "Decision", "Consequences"]);
});
