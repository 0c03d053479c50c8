// What the doctor makes of what it saw: each thing that is not well is a finding with what to do; what is well is said once.
import { describe, expect, test } from "vitest";
import { type BrokerFacts, type DatabaseFacts, type Finding, ofBroker, ofDatabase, ofMetrics, ofReadiness } from "../../../src/cli/findings.ts";
import { samplesOf } from "../../../src/cli/prometheus.ts";

const ills = (findings: readonly Finding[]): string[] => findings.flatMap((finding) => (finding.ok ? [] : [finding.what]));
const everyIllSaysWhatToDo = (findings: readonly Finding[]): boolean => findings.every((finding) => finding.ok || finding.todo.length > 5);

const DATABASE: DatabaseFacts = {
  version: "18.4",
  unfit: [],
  clockMs: 12,
  heads: [{ site: "rtm1", position: 250_000, generation: 1 }],
  partitionsTo: 2_000_000,
  leases: [{ shard: "rtm1", owner: "edge-1.812.9f3c", term: 4, ageSeconds: 0.4, lapsed: false }],
};
const BROKER: BrokerFacts = {
  protocol: "5",
  name: "mosquitto version 2.0.18",
  maximumPacketSize: null,
  maximumQoS: null,
  retainAvailable: null,
  receiveMaximum: 1024,
  dropped: 0,
  queued: 3,
};

test("a Prometheus text is read with its labels, and what is no sample is left out", () => {
  const text = '# HELP a b\n# TYPE a gauge\na 1\nb{site="rtm1",why="said \\"no\\""} 2.5 1700000000\nc NaN\nnonsense\nd_bucket{le="+Inf"} 7\n';
  expect(samplesOf(text)).toEqual([
    { name: "a", labels: {}, value: 1 },
    { name: "b", labels: { site: "rtm1", why: 'said "no"' }, value: 2.5 },
    { name: "d_bucket", labels: { le: "+Inf" }, value: 7 },
  ]);
});

describe("the service", () => {
  test("is well when no number is out of its limits", () => {
    expect(ofMetrics(samplesOf('signalbox_gaps_open{site="rtm1"} 0\nsignalbox_relay_lag_positions{site="rtm1"} 12'))).toEqual([
      expect.objectContaining({ ok: true }),
    ]);
  });

  test("shows gaps, parked sources, quarantine and backlog by site, with what to do", () => {
    const findings = ofMetrics(
      samplesOf(
        'signalbox_gaps_open{site="rtm1"} 2\nsignalbox_sources_parked{site="rtm1"} 1\nsignalbox_quarantined_open{site="ams2"} 3\nsignalbox_oldest_undecided_age_seconds{site="rtm1"} 9\nsignalbox_relay_lag_positions{site="rtm1"} 5000',
      ),
    );
    expect(ills(findings)).toHaveLength(5);
    expect(ills(findings).join("\n")).toContain("site ams2: 3 quarantined events");
    expect(everyIllSaysWhatToDo(findings)).toBe(true);
  });

  test("passes on what its readiness says", () => {
    const findings = ofReadiness([
      { check: "database", ok: true, detail: "answers" },
      { check: "broker rtm1", ok: false, detail: "not connected" },
    ]);
    expect(ills(findings)).toEqual(["broker rtm1: not connected"]);
    expect(everyIllSaysWhatToDo(findings)).toBe(true);
  });
});

describe("the database", () => {
  test("is well when it is durable, on time, and has partitions ahead", () => {
    expect(ills(ofDatabase(DATABASE))).toEqual([]);
  });

  test.each<[string, Partial<DatabaseFacts>, RegExp]>([
    [
      "durability",
      { unfit: ["fsync is off: an acknowledged event could be lost. Set fsync = on in postgresql.conf and restart the server."] },
      /^fsync is off/,
    ],
    ["its clock", { clockMs: -5_000 }, /5\.0 s behind/],
    ["partitions", { partitionsTo: 260_000 }, /for 10000 more positions/],
    ["a shard without an owner", { leases: [{ shard: "rtm1", owner: null, term: 4, ageSeconds: null, lapsed: true }] }, /nobody owns site rtm1/],
    ["an owner that is gone", { leases: [{ shard: "rtm1", owner: "edge-1.812.9f3c", term: 4, ageSeconds: 61, lapsed: true }] }, /not been heard of for 61 s/],
  ])("shows what is wrong with %s", (_, more, what) => {
    const findings = ofDatabase({ ...DATABASE, ...more });
    expect(ills(findings)).toEqual([expect.stringMatching(what)]);
    expect(everyIllSaysWhatToDo(findings)).toBe(true);
  });
});

describe("the broker", () => {
  test("is well when it speaks MQTT 5 and drops nothing", () => {
    expect(ills(ofBroker(BROKER))).toEqual([]);
  });

  test.each<[string, Partial<BrokerFacts>, RegExp]>([
    ["its protocol", { protocol: "3.1.1" }, /3\.1\.1 only/],
    ["its packet size", { maximumPacketSize: 4096 }, /above 4096 bytes/],
    ["its QoS", { maximumQoS: 0 }, /QoS 0 only/],
    ["retained messages", { retainAvailable: false }, /no retained messages/],
    ["what it dropped", { dropped: 17 }, /17 messages dropped/],
    ["what it stores", { queued: 50_000 }, /50000 messages are stored/],
  ])("shows what is wrong with %s", (_, more, what) => {
    const findings = ofBroker({ ...BROKER, ...more });
    expect(ills(findings)).toEqual([expect.stringMatching(what)]);
    expect(everyIllSaysWhatToDo(findings)).toBe(true);
  });
});
