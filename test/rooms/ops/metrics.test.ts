// What operations see: every metric of the table is rendered, under its name, and no label ever takes a value outside its closed set.
import { afterEach, describe, expect, test } from "vitest";
import { CODES } from "../../../src/decide/verdict.ts";
import { METRIC_ROWS } from "../../../src/ops/metric-table.ts";
import { createMetrics, type Metrics } from "../../../src/ops/metrics.ts";

const opened: Metrics[] = [];
const open = async (): Promise<Metrics> => {
  const metrics = await createMetrics({ version: "1.2.3", codes: Object.keys(CODES), exportSpans: false });
  opened.push(metrics);
  return metrics;
};
afterEach(() => Promise.all(opened.splice(0).map((metrics) => metrics.stop())));

function everything(metrics: Metrics): void {
  metrics.received("event", 1);
  metrics.ignored("topic");
  metrics.leftOut("event", 12);
  metrics.verdict({ status: "rejected", code: "EVD_MISSING" });
  metrics.committed(3, 0.004);
  metrics.outage(true);
  metrics.tick("patience");
  metrics.queue("rtm1", 7, 0.25);
  metrics.backlog("rtm1", { deferred: 1, waiting: 2, gaps: 3, parked: 4, quarantined: 5, relayLag: 6 });
  metrics.published(9);
  metrics.brokerConnected("rtm1", "subscriber", true);
  metrics.sessionLost();
  metrics.certificate("http", 1_800_000_000);
  metrics.broker({ dropped: 11, queued: 12 });
  metrics.sources("rtm1", { silent: 1, flapping: 2, skewed: 3 });
  metrics.ownership("rtm1", true, 8);
  metrics.aclDrift(2);
  metrics.unpermitted("rtm1", "branch");
}

/** Samples of the Prometheus text: name, labels, value. */
function samples(text: string): { name: string; labels: Record<string, string>; value: number }[] {
  return text.split("\n").flatMap((line) => {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (found === null) return [];
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)].map((pair) => [pair[1] ?? "", pair[2] ?? ""]));
    return [{ name: found[1] ?? "", labels, value: Number(found[3]) }];
  });
}

describe("the metrics of a service to which everything has happened", () => {
  test("are those of the table, each with its meaning and its type", async () => {
    const metrics = await open();
    everything(metrics);
    const text = await metrics.render();
    for (const [name, { kind, meaning }] of METRIC_ROWS) {
      expect(text, name).toContain(`# TYPE ${name} ${kind}\n`);
      expect(text, name).toContain(`# HELP ${name} ${meaning}\n`);
    }
    const rendered = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((found) => found[1]));
    expect([...rendered].sort()).toEqual([...METRIC_ROWS.keys()].sort());
  });

  test("say the numbers that were given", async () => {
    const metrics = await open();
    everything(metrics);
    const found = samples(await metrics.render());
    expect(found).toContainEqual({ name: "signalbox_verdicts_total", labels: { status: "rejected", code: "EVD_MISSING" }, value: 1 });
    expect(found).toContainEqual({ name: "signalbox_queue_length", labels: { site: "rtm1" }, value: 7 });
    expect(found).toContainEqual({ name: "signalbox_oldest_undecided_age_seconds", labels: { site: "rtm1" }, value: 0.25 });
    expect(found).toContainEqual({ name: "signalbox_relay_lag_positions", labels: { site: "rtm1" }, value: 6 });
    expect(found).toContainEqual({ name: "signalbox_broker_connected", labels: { site: "rtm1", role: "subscriber" }, value: 1 });
    expect(found).toContainEqual({ name: "signalbox_commit_duration_seconds_bucket", labels: { le: "0.005" }, value: 1 });
    expect(found).toContainEqual({ name: "signalbox_commit_duration_seconds_bucket", labels: { le: "0.0025" }, value: 0 });
    expect(found).toContainEqual({ name: "signalbox_group_size_sum", labels: {}, value: 3 });
    expect(found).toContainEqual({ name: "signalbox_build_info", labels: { version: "1.2.3" }, value: 1 });
  });

  test("carry no label that the table does not have", async () => {
    const metrics = await open();
    everything(metrics);
    for (const { name, labels } of samples(await metrics.render())) {
      const row = METRIC_ROWS.get(name.replace(/_(bucket|sum|count)$/, "")) ?? METRIC_ROWS.get(name);
      expect(
        Object.keys(labels)
          .filter((label) => label !== "le")
          .sort(),
        name,
      ).toEqual(Object.keys(row?.labels ?? {}).sort());
    }
  });
});

test("a value outside its closed set is counted as other, and never becomes a label", async () => {
  const metrics = await open();
  metrics.verdict({ status: "B-1042", code: "scale-1" });
  metrics.verdict({ status: "accepted", code: null });
  metrics.received("site/rtm1/line/4/eq/scale-1/event", 7);
  metrics.ignored("anything");
  metrics.tick("a new one");
  for (let n = 0; n < 500; n += 1) metrics.ownership(`site-${n}`, true, 1);
  const found = samples(await metrics.render());
  expect(found).toContainEqual({ name: "signalbox_verdicts_total", labels: { status: "other", code: "other" }, value: 1 });
  expect(found).toContainEqual({ name: "signalbox_verdicts_total", labels: { status: "accepted", code: "none" }, value: 1 });
  expect(found).toContainEqual({ name: "signalbox_events_received_total", labels: { branch: "other", qos: "other" }, value: 1 });
  expect(found).toContainEqual({ name: "signalbox_ignored_total", labels: { why: "other" }, value: 1 });
  expect(found).toContainEqual({ name: "signalbox_ticks_total", labels: { tick: "other" }, value: 1 });
  expect(found.filter(({ name }) => name === "signalbox_shard_term").length).toBeLessThanOrEqual(201);
});

test("a service to which nothing has happened shows its counters at zero and no outage", async () => {
  const found = samples(await (await open()).render());
  for (const name of [
    "signalbox_decided_signals_total",
    "signalbox_outcomes_published_total",
    "signalbox_broker_session_lost_total",
    "signalbox_database_outage",
  ]) {
    expect(found).toContainEqual({ name, labels: {}, value: 0 });
  }
});

test("an outage of two shards ends when both have their database back", async () => {
  const metrics = await open();
  const outage = async (): Promise<number | undefined> => samples(await metrics.render()).find(({ name }) => name === "signalbox_database_outage")?.value;
  metrics.outage(true);
  metrics.outage(true);
  metrics.outage(false);
  expect(await outage()).toBe(1);
  metrics.outage(false);
  expect(await outage()).toBe(0);
});

test("two services in one process count apart, and stopping twice is stopping once", async () => {
  const [one, other] = [await open(), await open()];
  one.published(4);
  expect(samples(await other.render())).toContainEqual({ name: "signalbox_outcomes_published_total", labels: {}, value: 0 });
  await one.stop();
  await one.stop();
  other.published(2);
  expect(samples(await other.render())).toContainEqual({ name: "signalbox_outcomes_published_total", labels: {}, value: 2 });
});
