// What a commit hands to the relay, so that it need not read again what this process has just written (docs/decisions/0020-published-as-written.md).
import { wellFormed } from "../commit/settlement.ts";
import type { Settlement } from "../decide/settle.ts";
import type { OutcomeRow } from "./messages.ts";
import type { ToldVerdicts } from "./relay.store.ts";

/** A group that is committed: its positions, all of them ours and without holes. */
export interface Handed {
  readonly first: number;
  readonly last: number;
  /** To the byte as they would be read. */
  readonly outcomes: readonly OutcomeRow[];
  /** Verdicts are to be told too. They are read: what they refer to is known to the database alone. */
  readonly tellsVerdicts: boolean;
}

export interface CommittedAt {
  readonly site: string;
  /** Its last position. */
  readonly position: number;
  readonly generation: number;
  readonly recordedAt: string;
}

/** Whether a round is told of. The relay's statement says the same. */
export const isTold = (told: ToldVerdicts, { round, status }: { readonly round: number; readonly status: string }): boolean =>
  told === "all" || round > 1 || (status !== "accepted" && status !== "duplicate");

/** Null: the database knows more of it than the settlement does, and it is to be read. */
export function handedBy({ world, rows, positions }: Settlement, { site, position, generation, recordedAt }: CommittedAt, told: ToldVerdicts): Handed | null {
  // which outcome a correction supersedes is looked up
  if (rows.outcomes.some(({ type }) => type === "evidence.corrected")) return null;
  const base = position - positions;
  const outcomes = rows.outcomes.map((outcome): OutcomeRow => {
    const [traceparent = "", tracestate = ""] = (outcome.traceparent ?? "").split("\n");
    return {
      site,
      stream: outcome.stream,
      line: world.assumed.streams.get(outcome.stream)?.line ?? null,
      sequence: outcome.sequence,
      generation,
      position: base - outcome.ref,
      ordinal: outcome.ordinal,
      type: outcome.type,
      eventTime: outcome.eventTime,
      causation: asStored(outcome.causation),
      correlation: asStored(outcome.correlation),
      traceparent: traceparent || null,
      tracestate: tracestate || null,
      supersedes: null,
      data: fieldsAsStored(outcome.data),
      recordedAt,
    };
  });
  return {
    first: base + 1,
    last: position,
    outcomes: outcomes.sort((a, b) => a.position - b.position || a.ordinal - b.ordinal),
    tellsVerdicts: rows.verdicts.some((verdict) => isTold(told, verdict)),
  };
}

/** A value as `jsonb` gives it back: names in its order, nothing that JSON leaves out, and text as it is stored. */
export function asStored<T>(value: T): T;
export function asStored(value: unknown): unknown {
  if (typeof value === "string") return wellFormed(value);
  if (Array.isArray(value)) return value.map((one: unknown) => (one === undefined ? null : asStored(one)));
  return typeof value === "object" && value !== null ? fieldsAsStored(value) : value;
}

function fieldsAsStored(fields: object): Record<string, unknown> {
  const named = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, asStored(value)] as const]));
  return Object.fromEntries(named.sort(([a], [b]) => order(a, b)));
}

/** The shorter first, in bytes; of one length, by their bytes. */
function order(a: string, b: string): number {
  if (a === b) return 0;
  const [inA, inB] = [Buffer.byteLength(a), Buffer.byteLength(b)];
  if (inA !== inB) return inA - inB;
  return inA === a.length && inB === b.length ? (a < b ? -1 : 1) : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
