import { parseEntry, type TrailItem, trailItem } from "../audit/entry.ts";
import { nameOf, type Selection } from "./manifest.ts";
import { CSV_HEAD, csvRow } from "./record-csv.ts";
import { ENTRIES_END, ENTRIES_HEAD, escaped, factTable, htmlRow, PAGE_END, pageHead } from "./record-html.ts";

/** An entry that is not made of two lines cannot be exported; verification says more about it. */
export class NotAnEntry extends Error {}

export function itemAt(position: number, bytes: Uint8Array): TrailItem {
  try {
    return trailItem(parseEntry(bytes));
  } catch {
    throw new NotAnEntry(`The entry at position ${position} is none. Verify the record.`);
  }
}

/** A copy of entries that is read by people and proves nothing, piece by piece. The same entries give the same bytes, so its digest can be on record before it is handed out. */
export interface ReadingCopy {
  readonly head: string;
  row(item: TrailItem): string;
  foot(of: { readonly entries: number; readonly digest: string }): string;
}

export const csvCopy = (of: Selection): ReadingCopy => ({ head: CSV_HEAD, row: (item) => csvRow(item, batchOf(of)), foot: () => "" });

export interface About {
  readonly site: string;
  readonly of: Selection;
  /** UTC. */
  readonly at: string;
  readonly by: string;
  readonly reason: string;
  /** How far the log was signed then: the latest checkpoint. */
  readonly signed: { readonly origin: string; readonly size: number; readonly root: string } | null;
}

export function htmlCopy({ site, of, at, by, reason, signed }: About): ReadingCopy {
  const title = `Audit trail of site ${site}: ${nameOf(of)}`;
  return {
    head: `${pageHead(title)}<h1>${escaped(title)}</h1>
${factTable([
  ["Site", site],
  ["Exported", nameOf(of)],
  ["By", by],
  ["At (UTC)", at],
  ["Why", reason],
  ["Signed then", signed === null ? "nothing" : `${signed.origin}, checkpoint of size ${signed.size}, root ${signed.root}`],
])}<p>Every line is an entry of the audit log, in order. Times are UTC. This page is for reading; what is proven are the entries.</p>
${ENTRIES_HEAD}`,
    row: (item) => htmlRow(item, batchOf(of)),
    foot: ({ entries, digest }) =>
      `${ENTRIES_END}${factTable([
        ["Entries", String(entries)],
        ["Digest of the entries", `${digest} (SHA-256 over their leaf hashes, in order; a review of the same entries has the same)`],
      ])}${PAGE_END}`,
  };
}

const batchOf = (of: Selection): string | null => ("batch" in of ? of.batch : null);
