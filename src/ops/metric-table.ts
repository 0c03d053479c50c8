// Every metric of the service: name, unit, meaning, and the closed set of values of each label. Batches, devices and events are never labels: their number has no
// bound, and what is to be known of one of them is asked over REST.

/** A closed set of label values: written here, or fixed when the service starts (its codes, its version) or by the registry (its sites). */
export type LabelValues = readonly string[] | "code" | "site" | "version";

export interface MetricRow {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Base unit, in Prometheus' words; null: a plain number. */
  readonly unit: "seconds" | null;
  readonly meaning: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram's buckets, in the unit. */
  readonly buckets?: readonly number[];
}

export const METRICS = {
  signalbox_verdicts_total: {
    kind: "counter",
    unit: null,
    meaning: "Verdicts committed: every round of every event. `code` is `none` where a verdict has no code.",
    labels: { status: ["accepted", "accepted_with_exception", "duplicate", "rejected", "observed", "deferred", "quarantined"], code: "code" },
  },
  signalbox_events_received_total: {
    kind: "counter",
    unit: null,
    meaning: "Deliveries received, by topic branch and QoS.",
    labels: { branch: ["event", "diag", "telemetry", "other"], qos: ["0", "1", "2"] },
  },
  signalbox_left_out_total: {
    kind: "counter",
    unit: null,
    meaning: "Deliveries beyond the quota of their branch: none of them was judged, and each may come again. Counted when what tells of them is committed.",
    labels: { branch: ["event", "diag"] },
  },
  signalbox_ignored_total: {
    kind: "counter",
    unit: null,
    meaning:
      "Deliveries that get no verdict: not on an event topic, or a diag message that cannot be read. `quota`: diag messages beyond their quota, counted once together. `unsigned`: diag messages where everything must be signed, which change nothing.",
    labels: { why: ["topic", "unreadable", "quota", "unsigned", "other"] },
  },
  signalbox_commit_duration_seconds: {
    kind: "histogram",
    unit: "seconds",
    meaning: "From taking a group to its commit: reading the world, judging, committing.",
    labels: {},
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  signalbox_group_size: { kind: "histogram", unit: null, meaning: "Signals settled in one commit.", labels: {}, buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500] },
  signalbox_decided_signals_total: { kind: "counter", unit: null, meaning: "Signals settled: events, commands and ticks.", labels: {} },
  signalbox_queue_length: { kind: "gauge", unit: null, meaning: "Signals received and not yet settled.", labels: { site: "site" } },
  signalbox_oldest_undecided_age_seconds: {
    kind: "gauge",
    unit: "seconds",
    meaning: "How long the oldest signal that is received and not settled has been waiting; 0 with an empty queue.",
    labels: { site: "site" },
  },
  signalbox_waiting_events: {
    kind: "gauge",
    unit: null,
    meaning: "Early events, durably kept until the numbers before them arrive.",
    labels: { site: "site" },
  },
  signalbox_deferred_events: { kind: "gauge", unit: null, meaning: "Events that are not yet permitted and within their patience.", labels: { site: "site" } },
  signalbox_gaps_open: { kind: "gauge", unit: null, meaning: "Sources with missing numbers.", labels: { site: "site" } },
  signalbox_sources_parked: {
    kind: "gauge",
    unit: null,
    meaning: "Sources that go on only when what they lack arrives or a person says how.",
    labels: { site: "site" },
  },
  signalbox_quarantined_open: { kind: "gauge", unit: null, meaning: "Quarantined events about which nobody has decided.", labels: { site: "site" } },
  signalbox_outcomes_published_total: {
    kind: "counter",
    unit: null,
    meaning: "Outcomes that the broker acknowledged; a repeat after a crash counts again.",
    labels: {},
  },
  signalbox_relay_lag_positions: {
    kind: "gauge",
    unit: null,
    meaning: "Committed positions whose messages the broker has not yet acknowledged.",
    labels: { site: "site" },
  },
  signalbox_broker_connected: {
    kind: "gauge",
    unit: null,
    meaning: "1 while a connection to the broker stands, otherwise 0.",
    labels: { site: "site", role: ["subscriber", "publisher"] },
  },
  signalbox_broker_session_lost_total: {
    kind: "counter",
    unit: null,
    meaning: "Connections on which the broker had no session of ours: what it held for us is gone. The first connection ever counts too.",
    labels: {},
  },
  signalbox_broker_dropped_messages: {
    kind: "gauge",
    unit: null,
    meaning: "Messages that the broker says it dropped since its start, for all its clients ($SYS).",
    labels: {},
  },
  signalbox_broker_queued_messages: { kind: "gauge", unit: null, meaning: "Messages that the broker says it holds for all its clients ($SYS).", labels: {} },
  signalbox_sources_silent: {
    kind: "gauge",
    unit: null,
    meaning: "Sources that are connected by their own word and have said nothing for longer than they should.",
    labels: { site: "site" },
  },
  signalbox_sources_flapping: {
    kind: "gauge",
    unit: null,
    meaning: "Sources whose connection came and went repeatedly in the last minutes.",
    labels: { site: "site" },
  },
  signalbox_sources_skewed: {
    kind: "gauge",
    unit: null,
    meaning: "Sources whose last event bears a time well ahead of the database's clock.",
    labels: { site: "site" },
  },
  signalbox_acl_drift_lines: {
    kind: "gauge",
    unit: null,
    meaning: "Statements by which the broker's ACL file (MQTT_ACL_FILE) is more or less than the registry of parties; -1 while it cannot be read.",
    labels: {},
  },
  signalbox_unpermitted_events_total: {
    kind: "counter",
    unit: null,
    meaning: "Events on a branch, or of a type, that no party in force may publish: the broker let through what the registry does not permit.",
    labels: { site: "site", why: ["branch", "type"] },
  },
  signalbox_database_outage: { kind: "gauge", unit: null, meaning: "Shards that wait for the database and acknowledge nothing meanwhile.", labels: {} },
  signalbox_ticks_total: {
    kind: "counter",
    unit: null,
    meaning: "Ticks put on the route: time that passed, or work left over from a commit.",
    labels: { tick: ["patience", "gap", "expiry", "drain", "again", "interruption"] },
  },
  signalbox_certificate_expires_timestamp_seconds: {
    kind: "gauge",
    unit: "seconds",
    meaning: "When a certificate that the service shows ends, in seconds since 1970: that of its HTTPS, and that by which it tells the broker who it is.",
    labels: { certificate: ["http", "broker"] },
  },
  signalbox_build_info: { kind: "gauge", unit: null, meaning: "Always 1; the label says which version runs.", labels: { version: "version" } },
  signalbox_shard_owned: {
    kind: "gauge",
    unit: null,
    meaning: "1 where this process owns the site's shard and decides, 0 where it stands by or has stopped.",
    labels: { site: "site" },
  },
  signalbox_shard_term: {
    kind: "gauge",
    unit: null,
    meaning: "The term under which the site's shard is owned, by this process or by the one that it knows of; it rises with each change of owner.",
    labels: { site: "site" },
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof METRICS;

/** The table for readers who take every row alike. */
export const METRIC_ROWS: ReadonlyMap<string, MetricRow> = new Map<string, MetricRow>(Object.entries(METRICS));
