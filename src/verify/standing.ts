import type { Finding } from "./finding.ts";
import { type Columns, shown } from "./told-rows.ts";

// Rows that change, or that no entry spells out: how they stand in the database, against how they must stand when everything on record has happened.

/** A table of which rows are compared, by key; the key's columns are among the columns. */
export interface Table {
  readonly table: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** By which rows belong to a site: their column `site`, or the source that they are of. */
  readonly of: "site" | "source";
}

export type StandingName = keyof typeof STANDING;

const table = (key: readonly string[], columns: readonly string[], of: Table["of"] = "site"): Pick<Table, "key" | "columns" | "of"> => ({
  key,
  columns: [...new Set([...(of === "site" ? ["site"] : []), ...key, ...columns])],
  of,
});

/** What comes of the acts in the log. */
export const BY_ACTS = {
  sites: table(["site"], ["generation", "position", "publish_after", "unsigned_limit", "rotate_after"]),
  shards: table(["shard"], []),
  restores: table(["generation"], ["previous", "position", "reason", "recorded_by"]),
  audit_logs: table(["log"], ["generation", "first_position", "origin", "why"]),
  audit_reviews: table(["review"], ["batch", "entries", "digest", "catalogue", "found", "opened_by"]),
  audit_review_conclusions: table(["review"], ["position", "conclusion", "finding", "concluded_by"]),
  retention_rules: table(["class"], ["keep_days"]),
  legal_holds: table(["hold"], ["batch", "from_position", "to_position", "reason", "placed_by"]),
  legal_hold_releases: table(["hold"], ["position", "reason", "released_by"]),
  record_archives: table(["archive"], ["class", "part", "from_position", "to_position", "sums_sha256", "archived_by"]),
  disposals: table(["disposal"], ["class", "part", "from_position", "to_position", "reason", "disposed_by"]),
  party_revisions: table(["party", "revision"], ["position", "content", "proposed_by"]),
  party_approvals: table(["party", "revision"], ["position", "proposed_by", "approved_by"]),
  party_activations: table(["party", "revision"], ["position", "activated_by"]),
  party_revocations: table(["party", "position"], ["reason", "revoked_by"]),
  party_key_revocations: table(["party", "kid"], ["position", "reason", "revoked_by"]),
  party_credentials: table(["party", "position"], ["verifier", "issued_by"]),
  party_reviews: table(["review"], ["digest", "parties", "conflicts", "finding", "reviewed_by"]),
} as const;

/** What comes of deciding everything again. */
export const BY_DECISIONS = {
  equipment: table(["equipment"], ["line", "class", "title", "version", "token", "state", "state_epoch", "state_sequence"]),
  sources: table(
    ["source"],
    [
      ...["source_key", "line", "equipment", "device", "shard", "numbering", "revoked", "version", "incarnation", "epoch", "through", "highest"],
      ...["gap_position", "gap_since", "gap_due_at", "parked", "parked_position", "parked_at", "reused", "waiting_count", "waiting_bytes", "connection"],
      "monotonic",
    ],
  ),
  skipped_ranges: table(["source_key", "incarnation", "epoch", "first"], ["last", "reason", "position"], "source"),
  event_ids: table(["source_key", "id_hash"], ["digest", "digest_version", "position"], "source"),
  event_numbers: table(["source_key", "incarnation", "epoch", "sequence"], ["position"], "source"),
  event_conflicts: table(["source_key", "id_hash", "digest"], ["position"], "source"),
  waiting: table(["source_key", "incarnation", "epoch", "sequence"], ["position", "id_hash", "digest", "bytes", "ahead", "expires_at"]),
  batches: table(
    ["batch"],
    [
      ...["shard", "version", "line", "job_order", "recipe", "revision", "recipe_hash", "batch_machine", "batch_machine_hash", "step_machine"],
      ...["step_machine_hash", "quantity", "unit", "parameters", "roles", "execution", "disposition", "opened_on", "facts", "created_at", "started_at"],
      ...["ended_at", "closed_at", "asked", "disposition_stage", "disposition_before"],
    ],
  ),
  steps: table(["batch", "step", "attempt"], ["ordinal", "state", "started_at", "start_source", "start_epoch", "start_time", "ended_at"]),
  evidence: table(
    ["batch", "step", "attempt", "evidence", "position"],
    ["supersedes", "event_id", "source", "value", "unit", "data", "within", "low", "high", "recorded_at"],
  ),
  context_locks: table(
    ["equipment", "token"],
    ["kind", "batch", "step", "attempt", "role", "locked", "taken_at", "taken_position", "freed_at", "freed_position"],
  ),
  awaited: table(["awaited"], ["version"]),
  deferrals: table(["position"], ["shard", "source_key", "version", "round", "code", "batch", "step", "moves", "behind", "bytes", "due_at"]),
  deferral_waits: table(["position", "waits_for"], []),
  quarantine: table(["position"], ["version", "round", "code", "source", "batch", "since", "resolved_at", "resolved_position", "resolution"]),
  exceptions: table(
    ["position", "ordinal"],
    ["event_position", "code", "reason", "source", "batch", "step", "attempt", "opened_at", "resolved_at", "resolved_position", "disposition", "linked"],
  ),
  streams: table(["stream"], ["shard", "line", "opened_on", "sequence"]),
  stations: table(["station"], ["version", "line", "title", "idle_seconds"]),
  station_devices: table(["source", "position"], ["station", "bound_at", "unbound_at", "unbound_position"]),
  station_sessions: table(["session"], ["station", "person", "idle_seconds", "opened_at", "seen_at", "ended_at", "ended_position", "ended_why", "ended_by"]),
  signing_branches: table(["line", "equipment"], ["party", "signing"]),
} as const;

export const STANDING = { ...BY_ACTS, ...BY_DECISIONS } as const;

export const tableOf = (name: StandingName): Table => ({ table: name, ...STANDING[name] });

/** How the rows of a table must stand. A column that is undefined cannot be told. */
export interface Standing {
  readonly table: StandingName;
  readonly size: number;
  /** By the key's columns as they are shown, with blanks between them. */
  at(key: string): Columns | undefined;
  rows(): Iterable<Columns>;
  /** Whether a row is one that could be told at all; all are, unless said. */
  covers?(row: Columns): boolean;
}

/** Rows that are there one by one, by their keys. */
export function standing(name: StandingName, rows: Iterable<Columns>, covers?: Standing["covers"]): Standing {
  const byKey = new Map<string, Columns>();
  for (const row of rows) byKey.set(keyText(name, row), row);
  return { table: name, size: byKey.size, at: (key) => byKey.get(key), rows: () => byKey.values(), ...(covers === undefined ? {} : { covers }) };
}

const keyText = (name: StandingName, row: Columns): string => STANDING[name].key.map((column) => shown(column, row[column])).join(" ");

/** The stored rows of a table against how they must stand. `read` gives the stored ones, and is asked a second time where some are missing. */
export async function compareStanding(site: string, must: Standing, read: () => AsyncIterable<Columns>, found: (finding: Finding) => void): Promise<void> {
  const name = must.table;
  const { columns } = STANDING[name];
  let matched = 0;
  let before: string | null = null;
  for await (const row of read()) {
    if (must.covers?.(row) === false) continue;
    const key = keyText(name, row);
    // they come in the order of their keys: of two with one key, one is too many
    const wanted = key === before ? undefined : must.at(key);
    before = key;
    if (wanted === undefined) {
      found({
        ...at(site, name, row),
        severity: "altered",
        column: null,
        stored: "a row",
        expected: null,
        detail: `There is a row of ${name} that comes of nothing on record.`,
      });
      continue;
    }
    matched += 1;
    const column = columns.find((one) => wanted[one] !== undefined && shown(one, row[one]) !== shown(one, wanted[one]));
    if (column === undefined) continue;
    const [stored, expected] = [shown(column, row[column]), shown(column, wanted[column])];
    found({ ...at(site, name, row), severity: "altered", column, stored, expected, detail: `${name}.${column} is not what comes of what is on record.` });
  }
  if (matched === must.size) return;
  const there = new Set<string>();
  for await (const row of read()) there.add(keyText(name, row));
  for (const row of must.rows())
    if (!there.has(keyText(name, row)))
      found({
        ...at(site, name, row),
        severity: "incomplete",
        column: null,
        stored: null,
        expected: "a row",
        detail: `A row of ${name} that comes of what is on record is gone.`,
      });
}

function at(site: string, name: StandingName, row: Columns): Pick<Finding, "position" | "table" | "key"> {
  const position = row["position"] ?? row["review"] ?? row["first_position"] ?? row["hold"] ?? row["archive"] ?? row["disposal"];
  return {
    position: typeof position === "bigint" || typeof position === "number" ? Number(position) : null,
    table: name,
    key: { site, ...Object.fromEntries(STANDING[name].key.map((column) => [column, shown(column, row[column]) ?? ""])) },
  };
}
