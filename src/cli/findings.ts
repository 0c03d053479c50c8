import type { Sample } from "./prometheus.ts";

/** One thing that the doctor looked at. What is not well says what to do. */
export type Finding =
  | { readonly area: Area; readonly ok: true; readonly what: string }
  | { readonly area: Area; readonly ok: false; readonly what: string; readonly todo: string };
export type Area = "service" | "database" | "broker";

const well = (area: Area, what: string): Finding => ({ area, ok: true, what });
const ill = (area: Area, what: string, todo: string): Finding => ({ area, ok: false, what, todo });

export interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

const TODO_OF_CHECK: readonly (readonly [RegExp, string])[] = [
  [/^database/, "Bring the database back; the service goes on by itself."],
  [/^broker/, "See whether the broker runs and lets the service in; it connects again by itself."],
  [/^shard/, "Read the log: another process owns the shard, or the deployment is at fault. Then start this one again."],
  [/^settling/, "See whether the database answers, and how long its commits take."],
  [/^publishing/, "Start the site's signer, or see why it signs nothing; what is decided meanwhile is kept."],
  [/^audit/, "Read the log, and in docs/operations.md what to do where the record is not signed."],
];

export const ofReadiness = (checks: readonly Check[]): Finding[] =>
  checks.map(({ check, ok, detail }) =>
    ok
      ? well("service", `${check}: ${detail}`)
      : ill("service", `${check}: ${detail}`, TODO_OF_CHECK.find(([name]) => name.test(check))?.[1] ?? "Read the service's log."),
  );

// Of a metric: from which value on it is a finding, what it says then, and what to do.
const LIMITS: readonly { readonly name: string; readonly above: number; says(value: number): string; readonly todo: string }[] = [
  {
    name: "signalbox_sources_parked",
    above: 0,
    says: (n) => `${n} parked source${s(n)}: they go on only when what they lack arrives or a person says how`,
    todo: "Look at GET /v1/gaps?open=true; send the missing numbers, or resolve each gap with a reason.",
  },
  {
    name: "signalbox_gaps_open",
    above: 0,
    says: (n) => `${n} source${s(n)} with missing numbers`,
    todo: "Let the device send what its retained cursor calls missing; GET /v1/gaps?open=true lists them.",
  },
  {
    name: "signalbox_quarantined_open",
    above: 0,
    says: (n) => `${n} quarantined event${s(n)} that nobody has decided`,
    todo: "Decide each at GET /v1/quarantine: reprocess or reject, with a reason.",
  },
  {
    name: "signalbox_oldest_undecided_age_seconds",
    above: 5,
    says: (n) => `the oldest event waits ${n.toFixed(0)} s to be settled`,
    todo: "See whether the database answers and how long commits take (signalbox_commit_duration_seconds).",
  },
  {
    name: "signalbox_relay_lag_positions",
    above: 1000,
    says: (n) => `${n} positions are committed and not yet published`,
    todo: "See whether the broker takes messages; the relay goes on by itself.",
  },
  {
    name: "signalbox_database_outage",
    above: 0,
    says: (n) => `${n} shard${s(n)} wait${n === 1 ? "s" : ""} for the database`,
    todo: "Bring the database back; nothing is lost meanwhile, and nothing acknowledged.",
  },
  {
    name: "signalbox_broker_dropped_messages",
    above: 0,
    says: (n) => `the broker told the service of ${n} dropped message${s(n)}, over all clients`,
    todo: "Raise the broker's queue (mosquitto: max_queued_messages, max_queued_bytes), and see who does not read.",
  },
  {
    name: "signalbox_sources_silent",
    above: 0,
    says: (n) => `${n} source${s(n)} silent although connected`,
    todo: "Look at the device: it is online and says nothing.",
  },
  {
    name: "signalbox_sources_flapping",
    above: 0,
    says: (n) => `${n} source${s(n)} whose connection comes and goes`,
    todo: "Check network and power, and that no two devices share a client id.",
  },
  {
    name: "signalbox_sources_skewed",
    above: 0,
    says: (n) => `${n} source${s(n)} whose clock is ahead`,
    todo: "Set the clock of the device; meanwhile nothing rests on its times.",
  },
];

const s = (n: number): string => (n === 1 ? "" : "s");

/** What the service's own numbers say; each that is in its limits is left to the one line that says so. */
export function ofMetrics(samples: readonly Sample[]): Finding[] {
  const ills = LIMITS.flatMap(({ name, above, says, todo }) =>
    samples
      .filter((sample) => sample.name === name && sample.value > above)
      .map(({ labels, value }) => ill("service", `${labels["site"] === undefined ? "" : `site ${labels["site"]}: `}${says(value)}`, todo)),
  );
  return ills.length === 0 ? [well("service", "no gaps, no parked sources, no backlog, nothing quarantined")] : ills;
}

export interface DatabaseFacts {
  readonly version: string;
  /** What a promise could not rest on, each with what to do. */
  readonly unfit: readonly string[];
  /** The database's clock less ours, allowing for the way there. */
  readonly clockMs: number;
  readonly heads: readonly { readonly site: string; readonly position: number; readonly generation: number }[];
  /** Upper bound of the last partition by position; null where there is none. */
  readonly partitionsTo: number | null;
  readonly leases: readonly Lease[];
}

export interface Lease {
  readonly shard: string;
  /** null: nobody has it. */
  readonly owner: string | null;
  readonly term: number;
  /** How long ago the owner renewed it; null where there is none. */
  readonly ageSeconds: number | null;
  readonly lapsed: boolean;
}

const CLOCK_MS = 2_000;
const AHEAD = 100_000;

export function ofDatabase(facts: DatabaseFacts): Finding[] {
  const head = Math.max(0, ...facts.heads.map(({ position }) => position));
  const left = facts.partitionsTo === null ? 0 : facts.partitionsTo - head;
  return [
    well("database", `Postgres ${facts.version}`),
    ...facts.unfit.map((problem) => {
      const [what = problem, ...todo] = problem.split(/(?<=\.) /);
      return ill("database", what, todo.join(" ") || "See docs/operations.md.");
    }),
    ...(facts.unfit.length === 0 ? [well("database", "fsync, full_page_writes and synchronous_commit are on; the runtime role owns nothing")] : []),
    Math.abs(facts.clockMs) > CLOCK_MS
      ? ill(
          "database",
          `its clock is ${(facts.clockMs / 1000).toFixed(1)} s ${facts.clockMs > 0 ? "ahead of" : "behind"} this machine's`,
          "Set both clocks by NTP; the database's is the one that counts.",
        )
      : well("database", "its clock agrees with this machine's"),
    left < AHEAD
      ? ill(
          "database",
          `partitions are made for ${left} more positions only`,
          "Start the service again: it makes them at its start. If it does not, read its log.",
        )
      : well("database", `partitions are made ${left} positions ahead`),
    ...facts.heads.map(({ site, position, generation }) => well("database", `site ${site} stands at position ${position}, generation ${generation}`)),
    ...facts.leases.map(({ shard, owner, term, ageSeconds, lapsed }) =>
      owner === null || lapsed
        ? ill(
            "database",
            owner === null
              ? `nobody owns site ${shard}; its last term was ${term}`
              : `${owner} owned site ${shard} under term ${term} and has not been heard of for ${ageSeconds?.toFixed(0)} s`,
            "Start a service, or read the log of the one that should own it.",
          )
        : well("database", `site ${shard} is owned by ${owner} under term ${term}, renewed ${ageSeconds?.toFixed(1)} s ago`),
    ),
  ];
}

export interface BrokerFacts {
  readonly protocol: "5" | "3.1.1";
  readonly name: string | null;
  readonly maximumPacketSize: number | null;
  readonly maximumQoS: number | null;
  readonly retainAvailable: boolean | null;
  readonly receiveMaximum: number | null;
  readonly dropped: number | null;
  readonly queued: number | null;
}

const EVENT_BYTES = 256 * 1024;
const QUEUED = 10_000;

export function ofBroker(facts: BrokerFacts): Finding[] {
  const { protocol, name, maximumPacketSize, maximumQoS, retainAvailable, receiveMaximum, dropped, queued } = facts;
  const limits = [
    ...(receiveMaximum === null ? [] : [`receive maximum ${receiveMaximum}`]),
    ...(maximumPacketSize === null ? [] : [`maximum packet size ${maximumPacketSize}`]),
    ...(maximumQoS === null ? [] : [`maximum QoS ${maximumQoS}`]),
  ];
  return [
    protocol === "5"
      ? well("broker", `${name ?? "it"} speaks MQTT 5${limits.length === 0 ? "" : ` (${limits.join(", ")})`}`)
      : ill(
          "broker",
          `${name ?? "it"} speaks MQTT 3.1.1 only: a retained copy cannot be told from a live message, and there is no flow control`,
          "For a plant use a broker that speaks MQTT 5 and keeps its queue on disk.",
        ),
    ...(maximumPacketSize !== null && maximumPacketSize < EVENT_BYTES
      ? [
          ill(
            "broker",
            `packets above ${maximumPacketSize} bytes are refused by it; events may have ${EVENT_BYTES}`,
            "Raise the broker's packet size (mosquitto: max_packet_size).",
          ),
        ]
      : []),
    ...(maximumQoS !== null && maximumQoS < 1 ? [ill("broker", "it delivers with QoS 0 only: messages may be lost without a word", "Allow QoS 1.")] : []),
    ...(retainAvailable === false ? [ill("broker", "it keeps no retained messages: devices cannot read their cursor", "Allow retained messages.")] : []),
    ...(dropped === null
      ? [well("broker", "it does not say now how much it has dropped ($SYS is closed to this client, or unchanged for a while)")]
      : dropped > 0
        ? [
            ill(
              "broker",
              `${dropped} messages dropped since its start, over all clients`,
              "Raise the broker's queue (mosquitto: max_queued_messages, max_queued_bytes), and see who does not read.",
            ),
          ]
        : [well("broker", "nothing dropped since its start")]),
    ...(queued !== null && queued > QUEUED
      ? [
          ill(
            "broker",
            `${queued} messages are stored for clients`,
            "See which client does not read: the service, when its queue age rises; otherwise a consumer that is gone.",
          ),
        ]
      : []),
  ];
}
