import { COMMIT_COLUMNS } from "./commit-rows.ts";
import { STANDING } from "./standing.ts";
import { KEPT_VERDICTS, TOLD } from "./told-rows.ts";

// Every column that the database has is either compared or named here with the reason why it is not; a test holds this against the database's own catalogue.

/** Compared by what is signed: entries are hashed as they stand, and whoever signed a checkpoint signed what stands in it. */
const SIGNED: Readonly<Record<string, readonly string[]>> = {
  audit_entries: ["site", "position", "entry"],
  audit_checkpoints: ["size", "root", "note"],
  audit_tiles: ["site", "log", "level", "n", "hashes"],
  // the last leaves of an ended log, by the roots that were signed over them, or by the archived entries
  disposed_leaves: ["site", "log", "first_index", "hashes"],
  disposed_verdicts: ["site", "position", ...KEPT_VERDICTS.columns],
  commits: COMMIT_COLUMNS,
  // published revisions: by the acts that published them, and by what is shipped
  recipes: ["recipe", "revision", "hash", "content", "proposed_by"],
  state_machines: ["name", "revision", "hash", "content", "proposed_by"],
  recipe_approvals: ["recipe", "revision", "proposed_by", "approved_by", "signature"],
  state_machine_approvals: ["name", "revision", "proposed_by", "approved_by", "signature"],
};

const OWNING = "who owns the shard now, and since when; it changes without a position. Under which term something was committed is in its entry";
const REGISTERED = "by the clock, and decided with only where no act tells when: that is said, and taken as it stands";
const ACT_TIME = "a moment before the act, whose entry has its own time";
const SERVICE = "the service's own note of how far it has come; nothing is decided on it";
const CHECKPOINT =
  "which log a checkpoint is of stands in its note; one that is taken away is made up for by the next, by anchors, or by what is said of the unsigned end";

/** Who may ask, of all sites at once. What somebody did is on record with who they were and by which role, in the entry itself. */
const who = (table: string, columns: readonly string[]): Readonly<Record<string, Readonly<Record<string, string>>>> => ({
  [table]: Object.fromEntries(
    columns.map((column) => [column, "who may ask now; nothing that was decided rests on it. Each change is an act in the log of every site that it concerns"]),
  ),
});

/** Columns that are not compared, each with the reason. */
export const EXEMPT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  sites: { created_at: "from before the first position" },
  shards: { term: OWNING, owner: OWNING, taken_at: OWNING },
  shard_leases: { shard: OWNING, owner: OWNING, term: OWNING, lease_until: OWNING },
  shard_beats: { shard: SERVICE, received_until: `${SERVICE}: an interruption that is noticed is on record` },
  outcome_confirmations: Object.fromEntries(
    ["site", "machine", "generation", "position", "confirmed_at"].map((column) => [column, "how far an MES says that it has come; nothing is decided on it"]),
  ),
  relay_cursors: { shard: SERVICE, position: `${SERVICE}: what is published twice has the same number` },
  migrations: {
    number: "the schema's, not the record's: held against the shipped files at every start",
    name: "likewise",
    sha256: "likewise",
    applied_at: "likewise",
  },
  recipes: { registered_at: REGISTERED },
  state_machines: { registered_at: REGISTERED },
  recipe_approvals: { approved_at: REGISTERED },
  state_machine_approvals: { approved_at: REGISTERED },
  context_locks: { lock: "a number of the database's own, which a refused commit uses up too; a lock is known by its equipment and token" },
  commits: { group_id: "made up by the process that committed, and asked for only while the reply is awaited" },
  idempotency_keys: {
    site: "a row of another site is one that is missing here",
    key: "the caller's own, in no entry: what was answered is compared, not under which key",
    request: "likewise; what was asked is in the entry",
    body_digest: "likewise",
  },
  restores: { recorded_at: ACT_TIME },
  audit_logs: { opened_at: ACT_TIME },
  audit_reviews: { opened_at: ACT_TIME },
  audit_review_conclusions: { concluded_at: ACT_TIME },
  legal_holds: { placed_at: ACT_TIME },
  legal_hold_releases: { released_at: ACT_TIME },
  record_archives: { archived_at: ACT_TIME },
  disposals: { disposed_at: ACT_TIME },
  party_revisions: { proposed_at: ACT_TIME },
  party_approvals: { approved_at: ACT_TIME },
  party_activations: { activated_at: ACT_TIME },
  party_revocations: { revoked_at: ACT_TIME },
  party_key_revocations: { revoked_at: ACT_TIME },
  party_credentials: { issued_at: ACT_TIME },
  party_reviews: { reviewed_at: ACT_TIME },
  ...who("people", ["person", "issuer", "subject", "name", "created_by", "created_at"]),
  ...who("person_standings", ["person", "active", "password", "temporary", "failed", "locked_until"]),
  ...who("person_grants", ["person", "role", "site", "granted_by", "granted_at"]),
  ...who("machines", ["machine", "owner", "purpose", "active", "created_by", "created_at"]),
  ...who("machine_grants", ["machine", "role", "site", "granted_by", "granted_at", "kind"]),
  ...who("api_keys", ["api_key", "machine", "hash", "created_by", "created_at", "expires_at", "revoked_at", "revoked_by"]),
  ...who("signature_challenges", [
    ...["challenge", "person", "site", "path", "body", "role", "meaning", "reason", "shown", "record", "record_digest", "record_tag", "digest"],
    ...["created_at", "expires_at", "used_at", "id_token", "id_token_key"],
  ]),
  ...who("sign_ins", ["hash", "person", "method", "since", "seen_at", "expires_at", "ended_at"]),
  audit_checkpoints: { site: CHECKPOINT, log: CHECKPOINT, signed_at: "when it came into the database; nothing rests on it" },
};

/** The columns of a table that are compared. */
export function comparedOf(table: string): ReadonlySet<string> {
  const told = TOLD.filter((one) => one.table === table).flatMap(({ columns, bySite, mayLack }) => [
    ...(bySite && mayLack !== true ? ["site"] : []),
    "position",
    ...columns,
  ]);
  const stands = Object.entries(STANDING).flatMap(([name, { columns }]) => (name === table ? columns : []));
  return new Set([...told, ...stands, ...(SIGNED[table] ?? [])]);
}

/** The columns by which a row is known: one that has others is another row. */
export function keyOf(table: string): ReadonlySet<string> {
  const told = TOLD.filter((one) => one.table === table).flatMap(({ key }) => ["position", ...key]);
  const stands = Object.entries(STANDING).flatMap(([name, { key }]) => (name === table ? key : []));
  return new Set(["site", ...told, ...stands, ...(table === "commits" ? ["first_position"] : [])]);
}

/** Tables of which a missing row is no finding, with the reason. */
export const MAY_LACK_ROWS: Readonly<Record<string, string>> = {
  idempotency_keys: "whether a command was asked under a key is in no entry; without the row the same command is asked anew",
  audit_checkpoints: CHECKPOINT,
  state_machines:
    "one that is shipped, and by which nothing was decided, is published again at the next start; without one that is needed nothing can be decided again",
};
