import type { Finding } from "../verify/finding.ts";
import type { Tail, Verified } from "../verify/verify-site.ts";
import type { Paint } from "./terminal.ts";

const RESULTS = { 0: "sound", 1: "altered", 3: "incomplete", 4: "cannot tell" } as const;

export interface Report {
  readonly site: string;
  readonly of: string | null;
  readonly result: (typeof RESULTS)[keyof typeof RESULTS];
  readonly exit: keyof typeof RESULTS;
  readonly at: string;
  readonly positions: { readonly from: number; readonly to: number };
  readonly entries: number;
  readonly checkpoints: number;
  readonly anchors: number;
  /** What was not signed, or not anchored, since when, and for how many seconds. */
  readonly unsigned: (Tail & { readonly seconds: number }) | null;
  readonly unanchored: (Tail & { readonly seconds: number }) | null;
  readonly notCovered: readonly string[];
  readonly counts: { readonly altered: number; readonly incomplete: number; readonly unclear: number };
  readonly first: Finding | null;
  readonly findings: readonly Finding[];
}

/** What a verification came to, for programs. */
export function reportOf({ site, of, from, to, entries, checkpoints, anchors, unsigned, unanchored, at, notCovered, findings }: Verified): Report {
  const exit = findings.exit();
  const aged = (tail: Tail | null): Report["unsigned"] =>
    tail === null ? null : { ...tail, seconds: Math.max(0, Math.round((Date.parse(at) - Date.parse(tail.since)) / 1000)) };
  const [first = null] = findings.list();
  return {
    site,
    of,
    result: RESULTS[exit],
    exit,
    at,
    positions: { from, to },
    entries,
    checkpoints,
    anchors,
    unsigned: aged(unsigned),
    unanchored: aged(unanchored),
    notCovered,
    counts: { altered: findings.count("altered"), incomplete: findings.count("incomplete"), unclear: findings.count("unclear") },
    first,
    findings: findings.list(),
  };
}

/** The same, for people. */
export function tellReport(report: Report, paint: Paint): readonly string[] {
  const { site, of, result, exit, positions, entries, checkpoints, anchors, unsigned, unanchored, notCovered, counts, findings } = report;
  const shown = findings.slice(0, 10);
  const all = counts.altered + counts.incomplete + counts.unclear;
  return [
    `${of === null ? "Site" : `${of.slice(0, 1).toUpperCase()}${of.slice(1)} of site`} ${site}, positions ${positions.from} to ${positions.to}: ${entries} entries, ${checkpoints} checkpoints and ${anchors} anchors compared.`,
    unsigned === null
      ? "All of it is signed."
      : `Positions ${unsigned.from} to ${unsigned.to} are not signed, since ${unsigned.since} (${unsigned.seconds} s): whoever cuts them off leaves no trace.`,
    ...(unanchored === null || unanchored.from === unsigned?.from
      ? []
      : [
          `Positions ${unanchored.from} to ${unanchored.to} are behind the last anchor, since ${unanchored.since} (${unanchored.seconds} s): who has the signer's key can cut them off.`,
        ]),
    ...notCovered.map((what) => `Not covered: ${what}.`),
    ...shown.flatMap(tellFinding),
    ...(all > shown.length ? [`… and ${all - shown.length} more.`] : []),
    paint(exit === 0 ? "green" : exit === 4 ? "yellow" : "red", `${result.slice(0, 1).toUpperCase()}${result.slice(1)}.`),
  ];
}

function tellFinding({ severity, table, key, column, stored, expected, detail }: Finding): readonly string[] {
  const row = Object.entries(key).map(([name, value]) => `${name} ${value}`);
  return [
    `${severity}: ${table} (${row.join(", ")})${column === null ? "" : `, ${column}`}`,
    `  ${detail}`,
    ...(stored === null && expected === null ? [] : [`  stored: ${cut(stored)}`, `  expected: ${cut(expected)}`]),
  ];
}

const cut = (value: string | null): string => (value === null ? "nothing" : value.length > 300 ? `${value.slice(0, 300)} …` : value);
