import type { CursorRow, OutcomeRow, VerdictRow } from "../../../src/publish/messages.ts";
import type { BatchMirror, Publishable, RelayStore, ToldVerdicts } from "../../../src/publish/relay.store.ts";
import type { Model } from "../../support/model.ts";

// What relay.store.ts reads, out of the model's rows.

export const GENERATION = 1;

export function storedVerdict(model: Model, row: Model["verdicts"][number]): VerdictRow {
  const first = row.first === null ? null : (model.rounds(row.first)[0] ?? null);
  return {
    site: model.options.site,
    generation: GENERATION,
    position: row.position,
    eventPosition: row.event,
    eventGeneration: GENERATION,
    round: row.round,
    status: row.status,
    final: row.final,
    code: row.code,
    reason: row.reason,
    next: row.next,
    remedy: null,
    topicLine: row.branch.line,
    topicEquipment: row.branch.equipment,
    source: row.source,
    eventId: row.eventId,
    type: row.type,
    epoch: row.epoch,
    sequence: row.sequence,
    batch: row.batch,
    step: row.step,
    attempt: row.attempt,
    contextFrom: row.contextFrom,
    correlation: null,
    traceparent: null,
    tracestate: null,
    first: row.first === null ? null : { position: row.first, generation: GENERATION, status: first?.status ?? "", code: first?.code ?? null },
    cause: row.cause,
    ahead: row.ahead,
    flags: row.flags,
    explanation: row.explanation === null ? null : { ...row.explanation },
    recordedAt: row.recordedAt,
    performedBy: row.performedBy,
  };
}

export function storedOutcome(model: Model, row: Model["outcomes"][number]): OutcomeRow {
  return {
    site: model.options.site,
    stream: row.stream,
    line: model.streams.get(row.stream)?.line ?? null,
    sequence: row.sequence,
    generation: GENERATION,
    position: row.position,
    ordinal: row.ordinal,
    type: row.type,
    eventTime: row.eventTime,
    causation: row.causation,
    correlation: row.correlation,
    traceparent: row.traceparent,
    tracestate: null,
    supersedes: null,
    data: row.data,
    recordedAt: row.recordedAt,
  };
}

function cursorRow(model: Model, name: string): CursorRow {
  const source = model.source(name);
  return {
    site: model.options.site,
    line: source.line,
    equipment: source.equipment,
    device: source.device,
    source: name,
    generation: GENERATION,
    version: source.version,
    epoch: source.epoch?.toString() ?? null,
    through: source.through.toString(),
    highest: source.highest.toString(),
    missing: missing(model, name),
    parked: source.parked !== null,
    changedAt: model.clock,
  };
}

/** The ranges that a source lacks, as `missing_numbers` finds them for the epoch of its cursor. */
function missing(model: Model, name: string): CursorRow["missing"] {
  const { key, incarnation, epoch, through, highest } = model.source(name);
  if (epoch === null) return [];
  const there = [
    ...[...model.waiting.values()]
      .filter((w) => w.sourceKey === key && w.incarnation === incarnation && w.epoch === epoch)
      .map((w) => ({ first: w.sequence, last: w.sequence })),
    ...model.skipped.filter((s) => s.sourceKey === key && s.incarnation === incarnation && s.epoch === epoch),
    { first: highest + 1n, last: highest + 1n },
  ].sort((a, b) => (a.first < b.first ? -1 : 1));
  const found: { epoch: string; from: string; to: string }[] = [];
  let reached = through;
  for (const { first, last } of there) {
    if (first > reached + 1n) found.push({ epoch: epoch.toString(), from: (reached + 1n).toString(), to: (first - 1n).toString() });
    if (last > reached) reached = last;
  }
  return found.slice(0, 16);
}

function mirror(model: Model, name: string): BatchMirror | null {
  const batch = model.batch(name);
  if (batch === null) return null;
  return {
    site: model.options.site,
    line: batch.line,
    batch: name,
    version: batch.version,
    generation: GENERATION,
    time: model.clock,
    state: {
      batch: name,
      jobOrder: batch.jobOrder,
      execution: batch.execution,
      disposition: batch.disposition,
      steps: batch.steps.map(({ step, attempt, state }) => ({ step, attempt, state })),
    },
  };
}

/** The relay's reads, each as one moment of the database; `relay` holds the cursor, `log` says up to where may be shown and what was signed last. */
export function storedForRelay(
  model: Model,
  relay: { position: number },
  log: { shown(): number; atOnce(): boolean; checkpoint(): string | null },
): { readonly [K in keyof RelayStore]: (...asked: Parameters<RelayStore[K]>) => Awaited<ReturnType<RelayStore[K]>> } {
  return {
    readPublishable(after, limit, told, known): Publishable {
      if (known > model.position) throw new Error(`position ${known} is said to be committed where ${model.position} is the last`);
      const [shown, atOnce] = [log.shown(), log.atOnce()];
      const through = Math.min(shown, after + limit);
      if (through <= after) return { verdicts: [], outcomes: [], through: after, committed: model.position, shown, atOnce };
      return {
        verdicts: toldBetween(model, after, through, told),
        outcomes: from(model.outcomes, after)
          .filter(({ position }) => position <= through)
          .map((row) => storedOutcome(model, row)),
        through,
        committed: model.position,
        shown,
        atOnce,
      };
    },
    readVerdicts(after, through, told) {
      if (through > log.shown()) throw new Error(`position ${through} is said to be shown where ${log.shown()} is the last that may be`);
      return toldBetween(model, after, through, told);
    },
    readCursor: () => relay.position,
    moveCursor(position) {
      relay.position = Math.max(relay.position, position);
    },
    readCursors: (sources) =>
      [...(sources ?? model.sources.keys())].filter((name) => model.sources.get(name)?.numbering === true).map((name) => cursorRow(model, name)),
    readBatchMirrors: (batches) => [...(batches ?? model.batches.keys())].flatMap((name) => mirror(model, name) ?? []),
    readExpiredMirrors: () => [],
    readCheckpoint: () => log.checkpoint(),
  };
}

const toldBetween = (model: Model, after: number, through: number, told: ToldVerdicts): Publishable["verdicts"] =>
  from(model.verdicts, after)
    .filter((row) => row.position <= through && (told === "all" || row.round > 1 || !["accepted", "duplicate"].includes(row.status)))
    .map((row) => ({ ...storedVerdict(model, row), responseTopic: null, correlationData: null }));

/** Rows are in the order of positions: what follows a position is a tail. */
function from<T extends { readonly position: number }>(rows: readonly T[], after: number): readonly T[] {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.position ?? 0) > after) high = middle;
    else low = middle + 1;
  }
  return rows.slice(low);
}
