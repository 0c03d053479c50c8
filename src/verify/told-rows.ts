import { hash } from "node:crypto";
import type { Entry } from "../audit/entry.ts";
import { canonicalJson } from "../registry/canonical.ts";

// The rows in which the record is searched, as an entry tells of them. Columns are those of the tables (migrations 0001, 0004 and 0010), and each is told by the entry or by its
// first line; the database's rows are held against them.

export type Columns = Readonly<Record<string, unknown>>;

export interface Told {
  readonly table: string;
  /** What tells the rows of one position apart, beside site and position. */
  readonly key: readonly string[];
  /** The columns that are read and compared; the key's among them. */
  readonly columns: readonly string[];
  /** Whether the table has a column `site`: those of a source belong to the site by their position alone. */
  readonly bySite: boolean;
  /** Whether a row may be missing: the entry tells what would stand in it, and not whether there is one. */
  readonly mayLack?: boolean;
  /** The rows that an entry tells of. */
  rows(entry: Entry): readonly Columns[];
}

/** A reference of an entry: below zero it counts from the base of its group. */
const place = ({ head }: Entry, ref: unknown): unknown => (typeof ref === "number" && ref < 0 ? head.base - ref : ref);

const list = (entry: Entry, name: string): readonly Columns[] => entry.body[name] ?? [];

const picked = (row: Columns, names: readonly string[]): Record<string, unknown> => Object.fromEntries(names.map((name) => [name, row[name]]));

const SIGNAL = ["kind", "source_key", "source", "event_id", "type", "epoch", "sequence", "digest", "topic", "qos", "retained", "protocol", "content_type"];
const DELIVERED = ["response_topic", "user_properties", "raw_length", "actor", "body"];
const VERDICT = [
  "round",
  "status",
  "final",
  "code",
  "refused_by",
  "reason",
  "next",
  "remedy",
  "line",
  "equipment",
  "source",
  "event_id",
  "type",
  "epoch",
  "sequence",
];
const DECIDED = ["batch", "step", "attempt", "context_from", "correlation", "traceparent", "ahead", "flags", "facts", "explanation", "event_time"];
const FACT = ["opened_on", "ordinal", "kind", "batch", "number", "step", "attempt", "equipment", "from_state", "to_state", "state_machine", "data"];
const OUTCOME = ["opened_on", "stream", "sequence", "ordinal", "type", "event_time", "causation", "correlation", "traceparent", "supersedes", "data"];
const EVIDENCE = ["batch", "step", "attempt", "evidence", "event_id", "source", "value", "unit", "data", "within", "low", "high"];
const EXCEPTION = ["ordinal", "code", "reason", "source", "batch", "step", "attempt"];
const CONFLICT = ["source_key", "id_hash", "digest"];
const PERFORMANCE = ["person", "station", "session", "performed_at", "clock"];
const STATUS = ["kind", "id", "version", "status", "reference"];
const SKIPPED = ["source_key", "incarnation", "epoch", "first", "last", "reason"];

export const TOLD: readonly Told[] = [
  {
    table: "signals",
    key: [],
    bySite: true,
    columns: ["generation", "shard", ...SIGNAL, ...DELIVERED, "correlation_data", "raw", "received_at", "recorded_at"],
    rows: (entry) =>
      list(entry, "signals").map((row) => ({
        ...picked(row, [...SIGNAL, ...DELIVERED]),
        generation: entry.head.generation,
        shard: entry.head.shard,
        correlation_data: typeof row["correlation_data"] === "string" ? Buffer.from(row["correlation_data"], "base64") : null,
        raw: row["raw_sha256"],
        // an act arrives when it is recorded
        received_at: row["received_at"] ?? entry.head.time,
        recorded_at: entry.head.time,
      })),
  },
  {
    table: "verdicts",
    key: [],
    bySite: true,
    columns: [
      "generation",
      "shard",
      "event_position",
      ...VERDICT,
      "verdict_topic_line",
      "verdict_topic_equipment",
      ...DECIDED,
      "first_position",
      "cause_position",
      "recorded_at",
    ],
    rows: (entry) =>
      list(entry, "verdicts").map((row) => ({
        ...picked(row, [...VERDICT, ...DECIDED]),
        generation: entry.head.generation,
        shard: entry.head.shard,
        event_position: place(entry, row["event_ref"]),
        first_position: place(entry, row["first_ref"]),
        cause_position: place(entry, row["cause_ref"]),
        verdict_topic_line: row["topic_line"],
        verdict_topic_equipment: row["topic_equipment"],
        recorded_at: entry.head.time,
      })),
  },
  {
    table: "facts",
    key: ["ordinal"],
    bySite: true,
    columns: [...FACT, "recorded_at"],
    rows: (entry) => list(entry, "facts").map((row) => ({ ...picked(row, FACT), recorded_at: entry.head.time })),
  },
  {
    table: "outcomes",
    key: ["ordinal"],
    bySite: true,
    columns: ["generation", "shard", ...OUTCOME, "recorded_at"],
    rows: (entry) =>
      list(entry, "outcomes").map((row) => ({
        ...picked(row, OUTCOME),
        generation: entry.head.generation,
        shard: entry.head.shard,
        recorded_at: entry.head.time,
      })),
  },
  {
    table: "evidence",
    key: ["batch", "step", "attempt", "evidence"],
    bySite: true,
    columns: [...EVIDENCE, "supersedes", "recorded_at"],
    rows: (entry) =>
      list(entry, "evidence").map((row) => ({ ...picked(row, EVIDENCE), supersedes: place(entry, row["supersedes"]), recorded_at: entry.head.time })),
  },
  {
    table: "exceptions",
    key: ["ordinal"],
    bySite: true,
    columns: [...EXCEPTION, "event_position", "opened_at"],
    rows: (entry) =>
      list(entry, "exceptions").map((row) => ({ ...picked(row, EXCEPTION), event_position: place(entry, row["event_ref"]), opened_at: entry.head.time })),
  },
  {
    table: "event_conflicts",
    key: CONFLICT,
    bySite: false,
    columns: CONFLICT,
    rows: (entry) => list(entry, "conflicts").map((row) => picked(row, CONFLICT)),
  },
  {
    table: "skipped_ranges",
    key: ["source_key", "incarnation", "epoch", "first"],
    bySite: false,
    columns: SKIPPED,
    rows: (entry) => list(entry, "skipped").map((row) => picked(row, SKIPPED)),
  },
  {
    table: "performances",
    key: [],
    bySite: true,
    columns: ["event_position", ...PERFORMANCE],
    rows: (entry) => list(entry, "performances").map((row) => ({ ...picked(row, PERFORMANCE), event_position: place(entry, row["event_ref"]) })),
  },
  {
    table: "statuses",
    key: [],
    bySite: true,
    columns: [...STATUS, "valid_until", "reason", "brought_by", "brought_at"],
    rows: (entry) =>
      list(entry, "signals").flatMap(({ kind, type, actor, body }) => {
        if (kind !== "act" || type !== "status.brought") return [];
        const { new: made, reason } = Object(body);
        return [{ ...picked(Object(made), STATUS), valid_until: Object(made).validUntil, reason, brought_by: actor, brought_at: entry.head.time }];
      }),
  },
  {
    table: "audit_numbers",
    key: ["batch"],
    bySite: true,
    columns: ["batch", "number"],
    rows: ({ head }) => Object.entries(head.batches).map(([batch, number]) => ({ batch, number })),
  },
  {
    table: "idempotency_keys",
    key: [],
    bySite: true,
    // under which key something was asked is the caller's own matter, and in no entry; what was answered is
    mayLack: true,
    columns: ["answer", "recorded_at"],
    rows: (entry) => list(entry, "answers").map((row) => ({ answer: row["answer"], recorded_at: entry.head.time })),
  },
];

/** Of these there are no rows any more at positions that were disposed of. */
const DROPPED: ReadonlySet<string> = new Set(["signals", "verdicts"]);
export const isDropped = (table: string): boolean => DROPPED.has(table);

/** What is kept of verdicts that were disposed of: at those positions alone. */
export const KEPT_VERDICTS: Told = {
  table: "disposed_verdicts",
  key: [],
  bySite: true,
  columns: ["event_position", "generation", "round", "status", "code", "first_position"],
  rows: (entry) =>
    list(entry, "verdicts").map((row) => ({
      ...picked(row, ["round", "status", "code"]),
      generation: entry.head.generation,
      event_position: place(entry, row["event_ref"]),
      first_position: place(entry, row["first_ref"]),
    })),
};

/** Rows of batches by the month in which the batch was opened: `2026_01`. */
export const monthOf = (row: Columns): string =>
  String(row["opened_on"] ?? "")
    .slice(0, 7)
    .replace("-", "_");

const INSTANT = /^\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

/**
 * A value as it is compared and shown: numbers by their digits, bytes in hexadecimal, times with six decimals, everything else as JSON with its keys in order. Bytes of a delivery,
 * and what a password is held against, are shown as their SHA-256, which is what an entry holds of them.
 */
export function shown(column: string, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  if (Buffer.isBuffer(value)) return column === "raw" || column === "verifier" ? hash("sha256", value, "hex") : value.toString("hex");
  if (typeof value === "string") return INSTANT.test(value) && column.endsWith("_at") ? microseconds(value) : value;
  return canonicalJson(value);
}

function microseconds(time: string): string {
  const [whole = "", fraction = ""] = time.slice(0, -1).split(".");
  return `${whole}.${fraction.padEnd(6, "0")}Z`;
}
