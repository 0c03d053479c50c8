import type { PerformedBy } from "../authorise/performer.ts";
import { batchOutcomeTopic, batchStateTopic, checkpointTopic, cursorTopic, equipmentOutcomeTopic, siteOutcomeTopic, verdictTopic } from "../decode/topic.ts";

/** A message as it goes to the broker. `data` of each CloudEvent is the same object that REST shows. */
export interface Message {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  readonly correlationData: Uint8Array | null;
  /** Default: a CloudEvent in JSON. */
  readonly contentType?: string;
}

/** One round of an event, as it is stored and joined with the first of a duplicate. */
export interface VerdictRow {
  readonly site: string;
  readonly generation: number;
  readonly position: number;
  readonly eventPosition: number;
  readonly eventGeneration: number;
  readonly round: number;
  readonly status: string;
  readonly final: boolean;
  readonly code: string | null;
  readonly reason: string;
  readonly next: string;
  readonly remedy: string | null;
  readonly topicLine: string | null;
  readonly topicEquipment: string | null;
  readonly source: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly epoch: string | null;
  readonly sequence: string | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly contextFrom: string;
  readonly correlation: string | null;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly first: { readonly position: number; readonly generation: number; readonly status: string; readonly code: string | null } | null;
  readonly cause: number | null;
  readonly ahead: boolean;
  readonly flags: readonly string[];
  readonly explanation: Readonly<Record<string, unknown>> | null;
  readonly recordedAt: string;
  readonly performedBy: PerformedBy | null;
}

export interface OutcomeRow {
  readonly site: string;
  readonly stream: string;
  readonly line: string | null;
  readonly sequence: number;
  readonly generation: number;
  readonly position: number;
  readonly ordinal: number;
  readonly type: string;
  readonly eventTime: string | null;
  readonly causation: string | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly supersedes: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  readonly recordedAt: string;
}

export interface CursorRow {
  readonly site: string;
  readonly line: string;
  readonly equipment: string;
  readonly device: string | null;
  readonly source: string;
  readonly generation: number;
  readonly version: number;
  readonly epoch: string | null;
  readonly through: string;
  readonly highest: string;
  readonly missing: readonly { readonly epoch: string; readonly from: string; readonly to: string }[];
  readonly parked: boolean;
  readonly changedAt: string;
}

export const verdictId = (site: string, generation: number, position: number): string => `${site}.${generation}.${position}`;

/** The parts of a verdict id, or null when it is none. */
export function parseVerdictId(id: string): { readonly site: string; readonly generation: number; readonly position: number } | null {
  const match = /^(.{1,64})\.(\d{1,9})\.(\d{1,16})$/.exec(id);
  if (match === null) return null;
  const [, site = "", generation = "", position = ""] = match;
  return { site, generation: Number(generation), position: Number(position) };
}

/** What a verdict says; published as `data` and shown over REST. */
export function verdictData(row: VerdictRow): Record<string, unknown> {
  const { today, ...explanation } = row.explanation ?? {};
  return {
    verdict: verdictId(row.site, row.generation, row.position),
    round: row.round,
    event: given({ source: row.source, id: row.eventId, type: row.type, epoch: row.epoch, sequence: row.sequence }),
    status: row.status,
    final: row.final,
    ...given({ code: row.code }),
    reason: row.reason,
    next: row.next,
    ...given({ remedy: row.remedy }),
    context: { batch: row.batch, step: row.step, attempt: row.attempt, from: row.contextFrom },
    ...given({ performedBy: row.performedBy }),
    position: row.position,
    ...(row.round === 1 ? {} : { firstRound: verdictId(row.site, row.eventGeneration, row.eventPosition) }),
    ...(row.cause === null ? {} : { cause: row.cause }),
    ...(row.ahead ? { ahead: true } : {}),
    ...(row.flags.length === 0 ? {} : { flags: row.flags }),
    ...(row.first === null
      ? {}
      : {
          first: { verdict: verdictId(row.site, row.first.generation, row.first.position), status: row.first.status, code: row.first.code },
          ...(today === undefined ? {} : { today }),
        }),
    ...(Object.keys(explanation).length === 0 ? {} : { explanation }),
  };
}

export function verdictMessage(row: VerdictRow, prefix: string): Message | null {
  if (row.topicLine === null || row.topicEquipment === null) return null;
  const event = {
    specversion: "1.0",
    id: verdictId(row.site, row.generation, row.position),
    source: `/site/${row.site}/signalbox`,
    type: "signalbox.event.decided.v1",
    time: row.recordedAt,
    datacontenttype: "application/json",
    ...given({ causationid: row.eventId, correlationid: row.correlation, traceparent: row.traceparent, tracestate: row.tracestate }),
    data: verdictData(row),
  };
  return {
    topic: verdictTopic(prefix, { site: row.site, line: row.topicLine, equipment: row.topicEquipment }),
    payload: JSON.stringify(event),
    retain: false,
    correlationData: null,
  };
}

/** An outcome as a CloudEvent; the same over MQTT, in the feed and in the stream of server-sent events. */
export function outcomeEvent(row: OutcomeRow): Record<string, unknown> {
  return {
    specversion: "1.0",
    id: `${row.generation}.${row.sequence}`,
    source: outcomeSource(row),
    type: `signalbox.${row.type}.v1`,
    time: row.eventTime ?? row.recordedAt,
    recordedtime: row.recordedAt,
    datacontenttype: "application/json",
    sequence: String(row.sequence),
    ...given({
      causationid: row.causation,
      correlationid: row.correlation,
      traceparent: row.traceparent,
      tracestate: row.tracestate,
      supersedes: row.supersedes,
    }),
    data: { ...row.data, position: row.position, generation: row.generation },
  };
}

function outcomeSource(row: OutcomeRow): string {
  return row.stream === "site" ? `/site/${row.site}` : `/site/${row.site}/${row.stream}`;
}

export function outcomeMessage(row: OutcomeRow, prefix: string): Message {
  const [kind, name = ""] = row.stream.split("/");
  const { site } = row;
  const topic =
    row.line === null || kind === "site"
      ? siteOutcomeTopic(prefix, { site })
      : kind === "batch"
        ? batchOutcomeTopic(prefix, { site, line: row.line, batch: name })
        : equipmentOutcomeTopic(prefix, { site, line: row.line, equipment: name });
  return { topic, payload: JSON.stringify(outcomeEvent(row)), retain: false, correlationData: null };
}

/** The retained cursor of a source: devices keep what it has not passed, and resend what it says is missing. */
export function cursorMessage(row: CursorRow, prefix: string): Message {
  const event = {
    specversion: "1.0",
    id: `${row.source}.${row.generation}.${row.version}`.slice(0, 256),
    source: `/site/${row.site}/signalbox`,
    type: "signalbox.source.cursor.v1",
    time: row.changedAt,
    datacontenttype: "application/json",
    data: {
      source: row.source,
      epoch: row.epoch,
      through: row.through,
      highest: row.highest,
      missing: row.missing,
      parked: row.parked,
      generation: row.generation,
      version: row.version,
    },
  };
  return { topic: cursorTopic(prefix, row), payload: JSON.stringify(event), retain: true, correlationData: null };
}

/** The retained mirror of a batch: for screens, never authoritative. */
export function batchStateMessage(
  row: {
    readonly site: string;
    readonly line: string;
    readonly batch: string;
    readonly state: Readonly<Record<string, unknown>>;
    readonly time: string;
    readonly version: number;
    readonly generation: number;
  },
  prefix: string,
): Message {
  const event = {
    specversion: "1.0",
    id: `${row.batch}.${row.generation}.${row.version}`,
    source: `/site/${row.site}/batch/${row.batch}`,
    type: "signalbox.batch.state.v1",
    time: row.time,
    datacontenttype: "application/json",
    data: { authoritative: false, ...row.state, version: row.version, generation: row.generation },
  };
  return { topic: batchStateTopic(prefix, row), payload: JSON.stringify(event), retain: true, correlationData: null };
}

/** A cleared mirror: an empty retained message takes it from the broker. */
export function clearedBatchState(row: { readonly site: string; readonly line: string; readonly batch: string }, prefix: string): Message {
  return { topic: batchStateTopic(prefix, row), payload: "", retain: true, correlationData: null };
}

/** The signed note over the audit log's latest checkpoint, as text: whoever keeps it can tell later whether the log was cut or rewritten. */
export function checkpointMessage(site: string, note: string, prefix: string): Message {
  return { topic: checkpointTopic(prefix, { site }), payload: note, retain: true, correlationData: null, contentType: "text/plain; charset=utf-8" };
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
}
