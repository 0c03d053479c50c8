// What the pages say of settings, metrics and codes is what the source says. `npm run docs` writes them anew.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { apartList, codesPage, metricsTable, rightsTable, rolesTable, settingsTable, withTable } from "../../support/generate-docs.ts";

const docs = resolve(import.meta.dirname, "../../../docs");

test("the page of codes is that of the source", async () => {
  await expect(codesPage()).toMatchFileSnapshot(join(docs, "codes.md"));
});

test("the tables of the operations page are those of the source", async () => {
  const page = join(docs, "operations.md");
  const settings = withTable(readFileSync(page, "utf8"), "settings", settingsTable());
  await expect(withTable(settings, "metrics", metricsTable())).toMatchFileSnapshot(page);
});

test("the tables of the page about access are those of the source", async () => {
  const page = join(docs, "access.md");
  const roles = withTable(readFileSync(page, "utf8"), "roles", rolesTable());
  const apart = withTable(roles, "apart", apartList());
  await expect(withTable(apart, "rights", rightsTable())).toMatchFileSnapshot(page);
});

test("a page without a place for a table is refused", () => {
  expect(() => withTable("# Nothing here\n", "metrics", "")).toThrow("no place for the table of metrics");
  expect(withTable("<!-- a: x -->\nold\n<!-- /a -->\n", "a", "| $& |")).toBe("<!-- a: x -->\n| $& |\n<!-- /a -->\n");
});
