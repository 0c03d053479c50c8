import type { TrailItem } from "../audit/entry.ts";
import { shown } from "./shown.ts";

// The record as a table (RFC 4180), one line an entry. A spreadsheet takes text that begins like a formula for one, also behind what is not seen, so such text begins with an apostrophe (OWASP, "CSV
// injection"); a number stays as it is, also a negative one.

const COLUMNS = ["position", "number", "time", "who", "kind", "what", "object", "result", "code", "why", "from", "changes"] as const;

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const FORMULA = /^[\s\u00AD\u200C\u200D]*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/;

/** One cell: nothing for null, a number as it is written, text safe for spreadsheets. */
export function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = shown(value);
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",\r\n\t]|^ | $/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const CSV_HEAD = `${COLUMNS.join(",")}\r\n`;

/** `batch`: whose numbers are told. */
export function csvRow(item: TrailItem, batch: string | null): string {
  const { position, time, who, what, object, result, code, why, from, changes } = item;
  const number = batch === null ? null : (item.batches[batch] ?? null);
  const cells = [
    position,
    number,
    time,
    who.name,
    who.kind,
    what,
    object,
    result,
    code,
    why,
    from,
    changes.length === 0 ? null : changes.map(changeInWords).join("; "),
  ];
  return `${cells.map(cell).join(",")}\r\n`;
}

/** What was changed, from what to what. */
export const changeInWords = ({ what, old, new: made }: TrailItem["changes"][number]): string =>
  `${what}: ${old === null || old === undefined ? "" : `${valueInWords(old)} → `}${valueInWords(made)}`;

const valueInWords = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
