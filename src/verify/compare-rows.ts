import type { Entry } from "../audit/entry.ts";
import type { Finding } from "./finding.ts";
import { type Columns, shown, type Told } from "./told-rows.ts";

/**
 * The rows of one table at one position against what the entry there tells of them. `entry` null: there is none, so there may be no row. `gone`: a row of which it is known that it was disposed
 * of.
 */
export function compareRows(
  site: string,
  position: number,
  told: Told,
  stored: readonly Columns[],
  entry: Entry | null,
  gone: (row: Columns) => boolean = () => false,
): readonly Finding[] {
  const expected = new Map((entry === null ? [] : told.rows(entry)).map((row) => [identity(told, row), row]));
  const found: Finding[] = [];
  const at = (row: Columns): Omit<Finding, "column" | "stored" | "expected" | "severity" | "detail"> => ({
    position,
    table: told.table,
    key: keyOf(site, position, told, row),
  });
  for (const row of stored) {
    const wanted = expected.get(identity(told, row));
    if (wanted === undefined) {
      const detail =
        entry === null ? `There is a row of ${told.table} where there is no entry.` : `There is a row of ${told.table} of which the entry says nothing.`;
      found.push({ ...at(row), severity: "altered", column: null, stored: "a row", expected: null, detail });
      continue;
    }
    expected.delete(identity(told, row));
    const column = told.columns.find((name) => shown(name, row[name]) !== shown(name, wanted[name]));
    if (column === undefined) continue;
    const detail = `${told.table}.${column} is not what the entry says.`;
    found.push({ ...at(row), severity: "altered", column, stored: shown(column, row[column]), expected: shown(column, wanted[column]), detail });
  }
  if (told.mayLack !== true)
    for (const row of [...expected.values()].filter((one) => !gone(one)))
      found.push({
        ...at(row),
        severity: "incomplete",
        column: null,
        stored: null,
        expected: "a row",
        detail: `A row of ${told.table} of which the entry tells is gone.`,
      });
  return found;
}

const identity = (told: Told, row: Columns): string => told.key.map((name) => shown(name, row[name])).join(" ");

function keyOf(site: string, position: number, told: Told, row: Columns): Finding["key"] {
  return { site, position, ...Object.fromEntries(told.key.map((name) => [name, shown(name, row[name]) ?? ""])) };
}
