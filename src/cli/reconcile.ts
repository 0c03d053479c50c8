import type { OutcomeEvent, VerdictData } from "./verdict-data.ts";
import { shortType } from "./verdict-line.ts";

// What happened, counted three times apart: by the senders out of their own logs and answers, by a subscriber out of what was published, over REST out of the record.

/** A delivery as its sender knows it: what was sent, and what may become of it in the end. */
export interface Delivered {
  /** The branch on which it was sent: `scale-1`. */
  readonly equipment: string;
  readonly source: string;
  readonly id: string | null;
  readonly type: string | null;
  readonly fault: string | null;
  readonly allowed: readonly string[];
}

/** A verdict with the branch on which it came. */
export interface Given {
  readonly equipment: string;
  readonly verdict: VerdictData;
}

export interface Column {
  readonly verdicts: readonly Given[];
  readonly outcomes: readonly OutcomeEvent[];
}

export interface Row {
  readonly what: string;
  readonly senders: number;
  readonly subscriber: number;
  readonly rest: number;
}

export interface Reconciled {
  readonly rows: readonly Row[];
  /** Each in one sentence; empty: everything is explained. */
  readonly unexplained: readonly string[];
  readonly agree: boolean;
}

const COUNTED: readonly (readonly [what: string, request: string, outcome: string])[] = [
  ["steps started", "step.start", "step.started"],
  ["evidence recorded", "step.evidence", "evidence.recorded"],
  ["steps completed", "step.complete", "step.completed"],
];

/** `batches`: how many batches the senders saw through to their last step. Outcomes and verdicts are those of these senders and batches only. */
export function reconcile(delivered: readonly Delivered[], heard: readonly Given[], batches: number, subscriber: Column, rest: Column): Reconciled {
  const rows: Row[] = [
    {
      what: "deliveries, each with its verdict",
      senders: delivered.length,
      subscriber: events(subscriber.verdicts).length,
      rest: events(rest.verdicts).length,
    },
    ...(["accepted", "accepted_with_exception", "duplicate", "observed", "rejected", "quarantined"] as const).map((status) => ({
      what: `… ${status.replaceAll("_", " ")} in the end`,
      senders: ended(heard, status),
      subscriber: ended(subscriber.verdicts, status),
      rest: ended(rest.verdicts, status),
    })),
    ...COUNTED.map(([what, request, outcome]) => ({
      what,
      senders: events(heard).filter(({ last }) => shortType(last.event.type) === request && accepted(last)).length,
      subscriber: unique(subscriber.outcomes).filter(({ type }) => shortType(type) === outcome).length,
      rest: unique(rest.outcomes).filter(({ type }) => shortType(type) === outcome).length,
    })),
    {
      what: "batches completed",
      senders: batches,
      subscriber: unique(subscriber.outcomes).filter(({ type }) => shortType(type) === "batch.completed").length,
      rest: unique(rest.outcomes).filter(({ type }) => shortType(type) === "batch.completed").length,
    },
  ];
  const unexplained = [
    ...explain(delivered, heard, "senders"),
    ...explain(delivered, subscriber.verdicts, "subscriber"),
    ...explain(delivered, rest.verdicts, "REST"),
    ...holes(subscriber.outcomes, "subscriber"),
    ...holes(rest.outcomes, "REST"),
  ];
  return { rows, unexplained, agree: unexplained.length === 0 && rows.every(({ senders, subscriber: s, rest: r }) => senders === s && s === r) };
}

const accepted = (verdict: VerdictData): boolean => verdict.status === "accepted" || verdict.status === "accepted_with_exception";

interface Event {
  readonly equipment: string;
  readonly first: VerdictData;
  readonly last: VerdictData;
}

/** The rounds of verdicts, put together by event, in position order of their first rounds. */
export function events(verdicts: readonly Given[]): Event[] {
  const found = new Map<string, { equipment: string; first: VerdictData; last: VerdictData }>();
  for (const { equipment, verdict } of verdicts) {
    const key = verdict.firstRound ?? verdict.verdict;
    const event = found.get(key);
    if (event === undefined) found.set(key, { equipment, first: verdict, last: verdict });
    else {
      if (verdict.round > event.last.round) event.last = verdict;
      if (verdict.round < event.first.round) event.first = verdict;
    }
  }
  return [...found.values()].sort((a, b) => a.first.position - b.first.position);
}

const ended = (verdicts: readonly Given[], status: string): number => events(verdicts).filter(({ last }) => last.status === status).length;

// Published at least once, with ids that never differ.
const unique = (outcomes: readonly OutcomeEvent[]): OutcomeEvent[] => [
  ...new Map(outcomes.map((outcome) => [`${outcome.source} ${outcome.id}`, outcome])).values(),
];

/** Every delivery has a verdict that its sender could expect, and every verdict a delivery. The nth delivery of an event belongs to its nth verdict. */
function explain(delivered: readonly Delivered[], verdicts: readonly Given[], column: string): string[] {
  const sent = grouped(delivered, ({ equipment, id }) => `${equipment} ${id ?? "-"}`);
  const got = grouped(events(verdicts), ({ equipment, first }) => `${equipment} ${first.event.id ?? "-"}`);
  const found: string[] = [];
  for (const key of new Set([...sent.keys(), ...got.keys()])) {
    const deliveries = sent.get(key) ?? [];
    const answers = got.get(key) ?? [];
    if (answers.length > deliveries.length) found.push(`${column}: ${key} has ${answers.length} verdicts and was sent ${deliveries.length} times`);
    deliveries.forEach((delivery, index) => {
      const last = answers[index]?.last;
      const what = `${key} (${delivery.type ?? "no event"}${delivery.fault === null ? "" : `, ${delivery.fault}`})`;
      if (last === undefined) found.push(`${column}: ${what} has no verdict`);
      else if (!delivery.allowed.includes(last.status)) found.push(`${column}: ${what} ended ${last.status} ${last.code ?? ""}`.trim());
    });
  }
  return found;
}

/** Each stream is numbered 1, 2, 3 … without holes. */
function holes(outcomes: readonly OutcomeEvent[], column: string): string[] {
  return [...grouped(unique(outcomes), ({ source }) => source)].flatMap(([source, stream]) => {
    const numbers = stream.map(({ sequence }) => Number(sequence)).sort((a, b) => a - b);
    const at = numbers.findIndex((number, index) => number !== index + 1);
    return at < 0 ? [] : [`${column}: outcome ${at + 1} of ${source} is missing`];
  });
}

function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** The three columns as a table; a row that does not agree is marked. */
export function table({ rows }: Reconciled): string[] {
  const width = Math.max(...rows.map(({ what }) => what.length));
  const cell = (value: number | string): string => String(value).padStart(11);
  return [
    `${"".padEnd(width)}${cell("senders")}${cell("subscriber")}${cell("REST")}`,
    ...rows.map(
      ({ what, senders, subscriber, rest }) =>
        `${what.padEnd(width)}${cell(senders)}${cell(subscriber)}${cell(rest)}${senders === subscriber && subscriber === rest ? "" : "   ← do not agree"}`,
    ),
  ];
}
