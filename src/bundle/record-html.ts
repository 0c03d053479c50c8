import { createHash } from "node:crypto";
import { type TrailItem, whoInWords } from "../audit/entry.ts";
import { type Manifest, nameOf } from "./manifest.ts";
import { changeInWords } from "./record-csv.ts";
import { shown } from "./shown.ts";

// The record as a page to be read and printed: no scripts, nothing from elsewhere. All text of devices and people is escaped.

export const PAGE_STYLE = `body { font: 11px/1.4 sans-serif; margin: 2em } h1 { font-size: 18px } table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #999; padding: 2px 5px; text-align: left; vertical-align: top; overflow-wrap: anywhere } thead { display: table-header-group }
tr { break-inside: avoid } .rejected td, .refused td { background: #fdd } .quarantined td, .accepted_with_exception td { background: #ffd }
@page { size: A4 landscape; margin: 12mm; @bottom-right { content: counter(page) " / " counter(pages); font: 9px sans-serif } }`;

/** What a browser may do with a page that it is sent: show it in its own style, and nothing else. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(PAGE_STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox`;

const HEADS = ["Position", "Number", "Time (UTC)", "Who", "What", "Object", "Result", "Why", "From", "Changes: old → new"];

/** Printable ASCII without what has a meaning in a page. */
const PLAIN = /^[ !#-%(-;=?-~]*$/;

/** Text that is nothing but text in a page, and reads as what it is. */
export const escaped = (text: string): string => (PLAIN.test(text) ? text : shown(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`));

/** A page up to its first heading. Everything is on the page itself: nothing is fetched, nothing runs. */
export const pageHead = (title: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
`;

/** What a page is about: a name and a value a line. */
export const factTable = (facts: readonly (readonly [name: string, value: string])[]): string => `<table>
${facts.map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`).join("\n")}
</table>
`;

/** The table of entries, up to its first line. */
export const ENTRIES_HEAD = `<table>
<thead><tr>${HEADS.map((head) => `<th>${escaped(head)}</th>`).join("")}</tr></thead>
<tbody>
`;
export const ENTRIES_END = `</tbody>
</table>
`;
export const PAGE_END = `</body>
</html>
`;

export function htmlHead({ site, of, export: made, logs, definitions }: Manifest): string {
  return `${pageHead(`${nameOf(of)}, site ${site}`)}<h1>Record of ${escaped(nameOf(of))}</h1>
${factTable([
  ["Site", site],
  ["Exported", nameOf(of)],
  ["Entries", `${made.entries}; the export itself is the entry at position ${made.position}`],
  ...logs.map(({ origin, size }) => ["Signed", `${origin}, checkpoint of size ${size}`] as const),
  ...definitions.map(({ kind, name, sha256 }) => [kind, `${name}, SHA-256 ${sha256}`] as const),
])}<p>Every line is an entry of the audit log, in order, none left out. This page is for reading; what is proven are the entries.</p>
${ENTRIES_HEAD}`;
}

/** `batch`: whose numbers are told. */
export function htmlRow(item: TrailItem, batch: string | null): string {
  const { position, time, who, what, object, result, code, why, from, signed, changes } = item;
  const number = batch === null ? "" : String(item.batches[batch] ?? "");
  const cells = [
    String(position),
    number,
    time,
    whoInWords(item, ` (${who.role ?? who.kind})`),
    what,
    object ?? "",
    code === null ? result : `${result}: ${code}`,
    [...(why === null ? [] : [why]), ...(signed === null ? [] : [`Signed: ${signed}`])].join("\n"),
    from ?? "",
    changes.map(changeInWords).join("\n"),
  ];
  const kind = /^[a-z_]+$/.test(result) ? result : "other";
  return `<tr class="${kind}">${cells.map((text) => `<td>${escaped(text).replaceAll("\n", "<br>")}</td>`).join("")}</tr>\n`;
}

export const HTML_END = `${ENTRIES_END}${PAGE_END}`;
