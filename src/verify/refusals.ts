import type { Entry } from "../audit/entry.ts";
import type { Finding } from "./finding.ts";
import type { SiteRecord } from "./record.ts";

/** The logs of a site follow one another: numbered from 1, each named after itself, each beginning behind the one before. */
export function refuseLogs({ site, logs }: Pick<SiteRecord, "site" | "logs">): readonly Finding[] {
  const wrong = (log: number, column: string, stored: unknown, expected: string): Finding => ({
    severity: "altered",
    position: null,
    table: "audit_logs",
    key: { site, log },
    column,
    stored: String(stored),
    expected,
    detail: "The logs of a site do not follow one another.",
  });
  if (logs.length === 0)
    return [
      {
        severity: "incomplete",
        position: null,
        table: "audit_logs",
        key: { site, log: 1 },
        column: null,
        stored: null,
        expected: "a row",
        detail: "The site has no log.",
      },
    ];
  return logs.flatMap(({ log, origin, first }, i) => {
    const before = logs[i - 1];
    if (log !== i + 1) return [wrong(log, "log", log, String(i + 1))];
    if (origin !== `signalbox/${site}/${log}`) return [wrong(log, "origin", origin, `signalbox/${site}/${log}`)];
    return before !== undefined && first <= before.first ? [wrong(log, "first_position", first, `more than ${before.first}`)] : [];
  });
}

/** An entry stands where it says that it stands. */
export function refusePlace(
  { site, restores, head }: Pick<SiteRecord, "site" | "restores" | "head">,
  position: number,
  { head: said }: Entry,
): readonly Finding[] {
  const generation = restores.filter((restore) => restore.position < position).at(-1)?.generation ?? restores[0]?.previous ?? head.generation;
  const wrong = (what: string, is: unknown, expected: unknown): Finding => ({
    severity: "altered",
    position,
    table: "audit_entries",
    key: { site, position },
    column: "entry",
    stored: `${what} ${is}`,
    expected: `${what} ${expected}`,
    detail: `The entry at position ${position} is of another place: it says ${what} ${is}.`,
  });
  if (said.site !== site) return [wrong("site", said.site, site)];
  if (said.position !== position) return [wrong("position", said.position, position)];
  if (said.base >= position) return [wrong("base", said.base, `below ${position}`)];
  return said.generation === generation ? [] : [wrong("generation", said.generation, generation)];
}

export const unreadable = (site: string, position: number): Finding => ({
  severity: "altered",
  position,
  table: "audit_entries",
  key: { site, position },
  column: "entry",
  stored: "something else",
  expected: "two lines of JSON",
  detail: `The entry at position ${position} is none.`,
});

/** Entries that are not there; `to` and `from` with. */
export const missingEntries = (site: string, from: number, to: number, detail: string): Finding => ({
  severity: "incomplete",
  position: from,
  table: "audit_entries",
  key: from === to ? { site, position: from } : { site, from, to },
  column: null,
  stored: null,
  expected: from === to ? "an entry" : "entries",
  detail,
});

/** The head of the site is its last entry's position. */
export function refuseHead({ site, head }: Pick<SiteRecord, "site" | "head">, last: number): readonly Finding[] {
  if (last < head.position)
    return [missingEntries(site, last + 1, head.position, `The site stands at position ${head.position}, and its last entry at ${last}.`)];
  const at = { position: null, table: "sites", key: { site }, column: "position", stored: String(head.position), expected: String(last) };
  return last > head.position ? [{ severity: "altered", ...at, detail: "There are entries behind the position at which the site says it stands." }] : [];
}

/** Entries from before the site's first log. */
export const stray = (site: string, position: number): Finding => ({
  severity: "altered",
  position,
  table: "audit_entries",
  key: { site, position },
  column: null,
  stored: "an entry",
  expected: null,
  detail: "There is an entry from before the log began.",
});
