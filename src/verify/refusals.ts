import type { Entry } from "../audit/entry.ts";
import type { ToldDisposed } from "./by-acts.ts";
import type { Finding } from "./finding.ts";
import type { LogRow, SiteRecord } from "./record.ts";

/** The logs of a site follow one another: in the order of their numbers, each named after itself, each beginning behind the one before. Only a restore leaves numbers out. */
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
  return logs.flatMap(({ log, origin, first, why }, i) => {
    const before = logs[i - 1];
    const expected = (before?.log ?? 0) + 1;
    if (log !== expected && !(why === "restore" && log > expected)) return [wrong(log, "log", log, String(expected))];
    if (origin !== `signalbox/${site}/${log}`) return [wrong(log, "origin", origin, `signalbox/${site}/${log}`)];
    return before !== undefined && first <= before.first ? [wrong(log, "first_position", first, `more than ${before.first}`)] : [];
  });
}

/** An entry stands where it says that it stands, and of the generation that a restore has begun; `before`: that of the entry before it, null where there is none. */
export function refusePlace(site: string, position: number, before: number | null, entry: Entry): readonly Finding[] {
  const { head: said } = entry;
  const restored = restoreIn(entry);
  const generation = restored.type === RESTORED ? restored.generation : (before ?? said.generation);
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

/** A log that begins with a restore begins with the entry that says so. */
export function refuseRestore(site: string, { log, first, why }: LogRow, entry: Entry): readonly Finding[] {
  const { type, log: said } = restoreIn(entry);
  if (first !== entry.head.position || why !== "restore" || (type === RESTORED && said === log)) return [];
  const detail = `Log ${log} is said to begin with a restore, and its first entry does not say so.`;
  return [{ severity: "altered", position: first, table: "audit_logs", key: { site, log }, column: "why", stored: why, expected: null, detail }];
}

const RESTORED = "record.restored";

/** What the first entry of a log says of the restore with which it begins: the log, and what was signed of the one that it breaks off. */
export function restoreIn({ body }: Entry): {
  readonly type: unknown;
  readonly log: unknown;
  readonly generation: unknown;
  readonly signed: { readonly log: unknown; readonly size: unknown };
} {
  const signal = body["signals"]?.[0];
  const asked = Object(signal?.["body"]);
  const { log, generation } = Object(asked.new);
  return { type: signal?.["type"], log, generation, signed: { log: undefined, size: undefined, ...Object(Object(asked.old).signed) } };
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
export const stray = (site: string, log: LogRow, first: number, entries: number): Finding => ({
  severity: "altered",
  position: first,
  table: "audit_logs",
  key: { site, log: log.log },
  column: "first_position",
  stored: String(log.first),
  expected: String(first),
  detail: entries === 1 ? "There is an entry from before the log began." : `There are ${entries} entries from before the log began.`,
});

/**
 * What the database says was disposed of must be told by an entry, and of positions by a checkpoint too: the signer was told, and whoever can write only to the database cannot tell it. `signed`: up
 * to where it says so; null: nobody who is believed says anything.
 */
export function refuseDisposal(
  { site, logs, disposed }: Pick<SiteRecord, "site" | "logs" | "disposed">,
  told: ToldDisposed | null,
  signed: number | null,
): readonly Finding[] {
  const first = logs[0]?.first ?? 1;
  const found: Finding[] = disposed.returned.map(({ table, position }) => ({
    severity: "altered",
    position,
    table,
    key: { site, position },
    column: null,
    stored: "a row",
    expected: null,
    detail: `There is a row of ${table} at a position that is said to be disposed of.`,
  }));
  const gone = (detail: string): void => {
    found.push(missingEntries(site, first, disposed.positions, detail));
  };
  if (disposed.positions > (told?.positions ?? 0)) gone(`Positions up to ${disposed.positions} are said to be disposed of, and no entry tells of that.`);
  else if (signed !== null && disposed.positions > signed)
    gone(`Positions up to ${disposed.positions} are said to be disposed of, and no checkpoint tells of that: nobody has told the signer.`);
  for (const part of disposed.batches.filter((one) => told?.batches.includes(one) !== true))
    found.push({
      severity: "incomplete",
      position: null,
      table: "disposals",
      key: { site, part },
      column: null,
      stored: "a row",
      expected: null,
      detail: `Facts and outcomes of batches opened in ${part} are said to be disposed of, and no entry tells of that.`,
    });
  return found;
}
