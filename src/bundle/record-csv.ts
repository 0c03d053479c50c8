import { type TrailItem, whoInWords } from "../audit/entry.ts";
import { shown } from "./shown.ts";

// The record as a table (RFC 4180), one line an entry. A spreadsheet takes text that begins like a formula for one, also behind what is not seen; and one that separates by something else than
// commas, or knows no quotes where it stands, begins cells within a text. So what would begin like a formula in any of them begins with an apostrophe (OWASP, "CSV injection"); a number stays as
// it is, also a negative one.

const COLUMNS = ["position", "number", "time", "who", "kind", "what", "object", "result", "code", "why", "from", "changes", "role", "signed"] as const;

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Behind what is not seen, and behind quotes: whoever cuts a line otherwise reads those as the beginning of a cell. */
const FORMULA = /^[\s"\u00AD\u200C\u200D]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/;
/** What most cells are: words that begin with a letter, and hold nothing that any of these rules is about. */
const PLAIN = /^[A-Za-z][A-Za-z0-9 _.:/@-]*(?<! )$/;
/** Behind what may end a cell where commas do not. */
const CELL_ENDS = /(?<=[;|\t\r\n])/;

/** One cell: nothing for null, a number as it is written, text safe for spreadsheets. */
export function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  if (PLAIN.test(value)) return value;
  const text = shown(value);
  if (NUMBER.test(text)) return text;
  const [first = "", ...parts] = text.split(CELL_ENDS);
  const front = FORMULA.test(text) || /^[\t\r\n]/.test(text) ? "'" : "";
  const within = parts.map((part) => (FORMULA.test(part) && !NUMBER.test(part.replace(/[;|]$/, "").trim()) ? `'${part}` : part));
  const safe = `${front}${first}${within.join("")}`;
  return /[",;|\r\n\t]|^ | $/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** By its first character Excel sees that the file is UTF-8; without it, every letter beyond ASCII is read as another. */
const BYTE_ORDER_MARK = "\uFEFF";

export const CSV_HEAD = `${BYTE_ORDER_MARK}${COLUMNS.join(",")}\r\n`;

/** `batch`: whose numbers are told. */
export function csvRow(item: TrailItem, batch: string | null): string {
  const { position, time, who, what, object, result, code, why, from, signed, changes } = item;
  const number = batch === null ? null : (item.batches[batch] ?? null);
  const cells = [
    position,
    number,
    time,
    whoInWords(item),
    who.kind,
    what,
    object,
    result,
    code,
    why,
    from,
    changes.length === 0 ? null : changes.map(changeInWords).join("; "),
    who.role,
    signed,
  ];
  return `${cells.map(cell).join(",")}\r\n`;
}

/** What was changed, from what to what. */
export const changeInWords = ({ what, old, new: made }: TrailItem["changes"][number]): string =>
  `${what}: ${old === null || old === undefined ? "" : `${valueInWords(old)} → `}${valueInWords(made)}`;

const valueInWords = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
