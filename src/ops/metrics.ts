import type { Attributes, Counter, Gauge, Histogram } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AggregationType, MeterProvider } from "@opentelemetry/sdk-metrics";
import { type LabelValues, METRIC_ROWS, METRICS, type MetricName } from "./metric-table.ts";
import { startTelemetry, type WithSpan } from "./telemetry.ts";

export interface MetricsOptions {
  readonly version: string;
  /** The closed set of refusal codes. */
  readonly codes: Iterable<string>;
  /** Whether spans go to the collector named by OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly exportSpans: boolean;
}

export interface Backlog {
  readonly deferred: number;
  readonly waiting: number;
  readonly gaps: number;
  readonly parked: number;
  readonly quarantined: number;
  readonly relayLag: number;
}

/** What the service counts and shows. The first seven are what drive.ts asks for; the rest are set by whoever reads the facts. */
export interface Metrics {
  received(branch: string, qos: number): void;
  ignored(why: string): void;
  leftOut(branch: string, count: number): void;
  verdict(verdict: { readonly status: string; readonly code: string | null }): void;
  committed(signals: number, seconds: number): void;
  outage(open: boolean): void;
  tick(kind: string): void;

  queue(site: string, length: number, oldestSeconds: number): void;
  backlog(site: string, backlog: Backlog): void;
  published(outcomes: number): void;
  brokerConnected(site: string, role: "subscriber" | "publisher", connected: boolean): void;
  sessionLost(): void;
  /** From the broker's $SYS topics; null: it does not say. */
  broker(says: { readonly dropped: number | null; readonly queued: number | null }): void;
  sources(site: string, count: { readonly silent: number; readonly flapping: number; readonly skewed: number }): void;
  ownership(site: string, owned: boolean, term: number): void;
  /** null: the broker's ACL file cannot be read. */
  aclDrift(lines: number | null): void;
  unpermitted(site: string, why: "branch" | "type"): void;

  certificate(certificate: "http" | "broker", endsAt: number): void;

  readonly withSpan: WithSpan;
  /** The Prometheus text of everything above. */
  render(): Promise<string>;
  stop(): Promise<void>;
}

/** Sites are registered by people, so their number is bounded; beyond this they share one label. */
const MOST_SITES = 200;

/** Opens metrics and traces of one service. Nothing listens: the text is served by the REST interface. */
export async function createMetrics(options: MetricsOptions): Promise<Metrics> {
  const codes = new Set([...options.codes, "none"]);
  const sites = new Set<string>();
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer("", false, undefined, true, true);
  const provider = new MeterProvider({
    readers: [exporter],
    resource: resourceFromAttributes({ "service.name": "signalbox", "service.version": options.version }),
    views: [...METRIC_ROWS].flatMap(([name, { buckets }]) =>
      buckets === undefined
        ? []
        : [{ instrumentName: name, aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM as const, options: { boundaries: [...buckets] } } }],
    ),
  });
  const meter = provider.getMeter("signalbox", options.version);
  const counters = new Map<MetricName, Counter>();
  const gauges = new Map<MetricName, Gauge>();
  const histograms = new Map<MetricName, Histogram>();
  for (const name of names()) {
    const { kind, meaning, unit } = METRICS[name];
    const about = unit === null ? { description: meaning } : { description: meaning, unit };
    if (kind === "counter") counters.set(name, meter.createCounter(name, about));
    else if (kind === "gauge") gauges.set(name, meter.createGauge(name, about));
    else histograms.set(name, meter.createHistogram(name, about));
  }

  /** A value outside its closed set is counted as `other`, never as a new label. */
  function closed(name: MetricName, labels: Readonly<Record<string, string>>): Attributes {
    const sets = METRIC_ROWS.get(name)?.labels ?? {};
    return Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, within(sets[label], value) ? value : "other"]));
  }

  function within(set: LabelValues | undefined, value: string): boolean {
    if (set === undefined) return false;
    if (set === "code") return codes.has(value);
    if (set === "version") return value === options.version;
    if (set === "site") {
      if (sites.size < MOST_SITES) sites.add(value);
      return sites.has(value);
    }
    return set.includes(value);
  }

  const add = (name: MetricName, n = 1, labels: Readonly<Record<string, string>> = {}): void => counters.get(name)?.add(n, closed(name, labels));
  const set = (name: MetricName, value: number, labels: Readonly<Record<string, string>> = {}): void => gauges.get(name)?.record(value, closed(name, labels));
  const observe = (name: MetricName, value: number): void => histograms.get(name)?.record(value);

  // what has no label is there from the first moment: an alert on "no data" would otherwise fire on a service to which nothing has happened
  for (const [name] of counters) if (Object.keys(METRICS[name].labels).length === 0) add(name, 0);
  set("signalbox_database_outage", 0);
  set("signalbox_build_info", 1, { version: options.version });

  const telemetry = await startTelemetry(options);
  let outages = 0;
  let stopping: Promise<void> | null = null;
  return {
    received: (branch, qos) => add("signalbox_events_received_total", 1, { branch, qos: String(qos) }),
    ignored: (why) => add("signalbox_ignored_total", 1, { why }),
    leftOut: (branch, count) => add("signalbox_left_out_total", count, { branch }),
    verdict: ({ status, code }) => add("signalbox_verdicts_total", 1, { status, code: code ?? "none" }),
    committed(signals, seconds) {
      add("signalbox_decided_signals_total", signals);
      observe("signalbox_group_size", signals);
      observe("signalbox_commit_duration_seconds", seconds);
    },
    outage(open) {
      outages = Math.max(0, outages + (open ? 1 : -1));
      set("signalbox_database_outage", outages);
    },
    tick: (kind) => add("signalbox_ticks_total", 1, { tick: kind }),

    queue(site, length, oldestSeconds) {
      set("signalbox_queue_length", length, { site });
      set("signalbox_oldest_undecided_age_seconds", oldestSeconds, { site });
    },
    backlog(site, backlog) {
      set("signalbox_deferred_events", backlog.deferred, { site });
      set("signalbox_waiting_events", backlog.waiting, { site });
      set("signalbox_gaps_open", backlog.gaps, { site });
      set("signalbox_sources_parked", backlog.parked, { site });
      set("signalbox_quarantined_open", backlog.quarantined, { site });
      set("signalbox_relay_lag_positions", backlog.relayLag, { site });
    },
    published: (outcomes) => add("signalbox_outcomes_published_total", outcomes),
    brokerConnected: (site, role, connected) => set("signalbox_broker_connected", connected ? 1 : 0, { site, role }),
    sessionLost: () => add("signalbox_broker_session_lost_total"),
    broker({ dropped, queued }) {
      if (dropped !== null) set("signalbox_broker_dropped_messages", dropped);
      if (queued !== null) set("signalbox_broker_queued_messages", queued);
    },
    sources(site, { silent, flapping, skewed }) {
      set("signalbox_sources_silent", silent, { site });
      set("signalbox_sources_flapping", flapping, { site });
      set("signalbox_sources_skewed", skewed, { site });
    },
    ownership(site, owned, term) {
      set("signalbox_shard_owned", owned ? 1 : 0, { site });
      set("signalbox_shard_term", term, { site });
    },
    aclDrift: (lines) => set("signalbox_acl_drift_lines", lines ?? -1),
    unpermitted: (site, why) => add("signalbox_unpermitted_events_total", 1, { site, why }),

    certificate: (certificate, endsAt) => set("signalbox_certificate_expires_timestamp_seconds", endsAt, { certificate }),

    withSpan: telemetry.withSpan,
    async render() {
      const { resourceMetrics } = await exporter.collect();
      return serializer.serialize(resourceMetrics);
    },
    stop() {
      stopping ??= Promise.all([telemetry.stop(), provider.shutdown().catch(() => {})]).then(() => undefined);
      return stopping;
    },
  };
}

function names(): readonly MetricName[] {
  const known = (name: string): name is MetricName => METRIC_ROWS.has(name);
  return Object.keys(METRICS).filter(known);
}
