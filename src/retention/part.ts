// What is kept and disposed of: partitions, by class. `positions`: what was received and decided, with its entries. `batches`: facts and outcomes of batches, by the month in which they were opened.

export const RETENTION_CLASSES = ["positions", "batches"] as const;
export type RetentionClass = (typeof RETENTION_CLASSES)[number];

export interface PartName {
  readonly class: RetentionClass;
  /** As the tables are called: `p0`, `2026_01`. */
  readonly part: string;
}

/** Days for which a class is kept where nobody has set another number (migration 0014): ten years. */
export const KEPT_DAYS = 3_653;

export interface Obstacle {
  readonly obstacle: string;
  readonly detail: string;
  /** The legal hold that stands in the way. */
  readonly hold: number | null;
}

/** What a site has in a partition. */
export interface SitePart {
  readonly site: string;
  readonly from: number;
  readonly to: number;
  /** When it was last added to, or the last of its batches was closed; and from when on it may be disposed of. */
  readonly newest: string;
  readonly due: string;
  readonly obstacles: readonly Obstacle[];
}

export interface Part extends PartName {
  readonly low: string;
  readonly high: string;
  readonly sites: readonly SitePart[];
}

/** `positions/p0`, as people name a partition. */
export const partText = ({ class: name, part }: PartName): string => `${name}/${part}`;

/** Null: it is none. */
export function partOf(text: string): PartName | null {
  const [, name, part] = /^([a-z]+)\/([A-Za-z0-9_]+)$/.exec(text) ?? [];
  const known = RETENTION_CLASSES.find((one) => one === name);
  return known === undefined || part === undefined ? null : { class: known, part };
}

/** The types of acts by which all this is on record. */
export const ACTS = {
  kept: "retention.rule.changed",
  held: "legal-hold.placed",
  released: "legal-hold.released",
  archived: "record.archived",
  disposed: "record.disposed",
} as const;
