import { createHash } from "node:crypto";
import { type Entry, parseEntry, type TrailItem, trailItem } from "../audit/entry.ts";
import { type Hash, leafHash } from "../audit/hash.ts";
import { CATALOGUE_VERSION, EXCEPTION_RULES, type Severity } from "./exception-rules.ts";

/** Something in a trail that a rule found. */
export interface TrailException {
  readonly rule: string;
  readonly severity: Severity;
  /** What was found, with what was expected and what it was, where the entry says so. */
  readonly sentence: string;
  readonly item: TrailItem;
}

export interface BatchTrail {
  /** How many entries change the batch's record; their numbers are 1 to `entries`. */
  readonly entries: number;
  /** Numbers that no entry bears; none in a sound record. */
  readonly missing: readonly number[];
  /** SHA-256 over the leaf hash of each of these entries, in order: what a reviewer has seen, in 32 bytes. */
  readonly digest: Hash;
  readonly catalogue: { readonly version: number; readonly rules: readonly RuleCount[] };
  /** The gravest first, then in the order of the record. */
  readonly exceptions: readonly TrailException[];
}

export interface RuleCount {
  readonly rule: string;
  readonly severity: Severity;
  readonly finds: string;
  readonly found: number;
}

const GRAVITY: Readonly<Record<Severity, number>> = { critical: 0, major: 1, minor: 2 };

/**
 * A batch's audit trail, exceptions first. `entries`: the bytes of those that change its record, in order. `meanwhile`: acts that do not belong to it (what was
 * registered, set or restored), from its first entry on until it was closed.
 */
export function batchTrail(batch: string, entries: readonly Uint8Array[], meanwhile: readonly Uint8Array[]): BatchTrail {
  const own = entries.map(parseEntry);
  const hash = createHash("sha256");
  for (const bytes of entries) hash.update(leafHash(bytes));
  const numbers = new Set(own.map(({ head }) => head.batches[batch] ?? 0));
  const last = Math.max(0, ...numbers);
  const exceptions = [...own, ...meanwhile.map(parseEntry)]
    .sort((one, other) => one.head.position - other.head.position)
    .flatMap(exceptionsIn)
    .sort((one, other) => GRAVITY[one.severity] - GRAVITY[other.severity]);
  return {
    entries: own.length,
    missing: Array.from({ length: last }, (_, n) => n + 1).filter((number) => !numbers.has(number)),
    digest: hash.digest(),
    catalogue: {
      version: CATALOGUE_VERSION,
      rules: EXCEPTION_RULES.map(({ rule, severity, finds }) => ({ rule, severity, finds, found: exceptions.filter((one) => one.rule === rule).length })),
    },
    exceptions,
  };
}

const exceptionsIn = (entry: Entry): readonly TrailException[] =>
  EXCEPTION_RULES.flatMap(({ rule, severity, in: found }) => found(entry).map((sentence) => ({ rule, severity, sentence, item: trailItem(entry) })));
