/**
 * What a verification may find, worst first. `altered`: something is not what was signed, or not what the entry says. `incomplete`: something that was there is gone.
 * `unclear`: something cannot be judged with what the verifier was given.
 */
export type Severity = "altered" | "incomplete" | "unclear";

export const SEVERITIES: readonly Severity[] = ["altered", "incomplete", "unclear"];

/** One row that is wrong, by table and key, or a file of a bundle; and which column holds what instead of what. */
export interface Finding {
  readonly severity: Severity;
  /** Where in the site's order; null: at no position. */
  readonly position: number | null;
  readonly table: string;
  readonly key: Readonly<Record<string, string | number>>;
  readonly column: string | null;
  readonly stored: string | null;
  readonly expected: string | null;
  /** One sentence. */
  readonly detail: string;
}

/** Of each severity so many are named, the first by position; beyond that they are counted. */
const NAMED = 50;

export class Findings {
  private readonly named = new Map<Severity, Finding[]>();
  private readonly counts = new Map<Severity, number>();
  private readonly tables = new Set<string>();

  add(finding: Finding): void {
    const { severity, table } = finding;
    this.tables.add(table);
    this.counts.set(severity, this.count(severity) + 1);
    const named = this.named.get(severity) ?? [];
    this.named.set(severity, named);
    named.push(finding);
    // the order of positions is nearly the order in which they come
    if (named.length > 2 * NAMED) named.sort(byPosition).splice(NAMED);
  }

  /** Whether anything was found in a table. */
  names(table: string): boolean {
    return this.tables.has(table);
  }

  count(severity: Severity): number {
    return this.counts.get(severity) ?? 0;
  }

  /** The worst first, among them by position. */
  list(): readonly Finding[] {
    return SEVERITIES.flatMap((severity) => [...(this.named.get(severity) ?? [])].sort(byPosition).slice(0, NAMED));
  }

  /** As a command ends: 0 sound, 1 altered, 3 incomplete, 4 cannot tell. */
  exit(): 0 | 1 | 3 | 4 {
    return this.count("altered") > 0 ? 1 : this.count("incomplete") > 0 ? 3 : this.count("unclear") > 0 ? 4 : 0;
  }
}

const byPosition = (one: Finding, other: Finding): number => (one.position ?? Number.POSITIVE_INFINITY) - (other.position ?? Number.POSITIVE_INFINITY) || 0;
