// What world.store.ts reads of a site, row by row, out of the record in memory.
import type { BatchState, ContextLock, EquipmentState, EvidenceItem } from "../authorise/execution-context.ts";
import type { PerformedBy, StationAt, StationState } from "../authorise/performer.ts";
import type { ExceptionState } from "../decide/exception.ts";
import { keptOf } from "../decide/in-hand.ts";
import type { EventInHand } from "../decide/signal.ts";
import { type Deferral, numberKey, type QuarantineEntry, type WaitingWindow } from "../decide/world-data.ts";
import type { WorldRequest } from "../decide/world-request.ts";
import { decode } from "../decode/decode.ts";
import { type KnownId, type SourceState, WAITING, type WaitingEvent } from "../sequence/source-state.ts";
import { instant } from "./instant.ts";
import { refuse } from "./refuse.ts";
import type { EvidenceRow, LockRow, SkippedRow, SourceRow, StepRow, WaitingRow } from "./rows.ts";
import { type SiteRecord, stepKey } from "./site-record.ts";

export function sourceIn(record: SiteRecord, row: SourceRow): SourceState {
  const { key, source, line, equipment, device, numbering, revoked, version, incarnation, epoch, through, highest, reused } = row;
  const { gapPosition, gapDueAt, parked, parkedPosition, waitingCount, waitingBytes, connection, monotonic } = row;
  const deferred = record.deferredOf.get(row.key);
  const skipped = record.skippedOfSource.get(row.key);
  const signing = record.signing.get(`${line}/${equipment}`);
  return {
    key,
    source,
    site: record.site,
    line,
    equipment,
    device,
    numbering,
    revoked,
    version,
    incarnation,
    epoch,
    through,
    highest,
    gap: gapPosition === null ? null : { position: gapPosition, timer: gapDueAt === null ? "halted" : "kept" },
    gapDueAt: gapDueAt === null ? null : instant(gapDueAt),
    skippedAhead:
      skipped === undefined
        ? NONE
        : skipped
            .filter((s) => isAhead(row, s))
            .sort(byFirst)
            .map(({ first, last }) => ({ first, last })),
    parked: parked === null ? null : { why: parked, position: parkedPosition ?? 0 },
    reused,
    waitingCount,
    waitingBytes,
    deferredCount: deferred?.count ?? 0,
    deferredBytes: deferred?.bytes ?? 0,
    connection,
    monotonic,
    ...(signing === undefined ? {} : { signing }),
  };
}

const NONE: readonly never[] = [];
const byFirst = (a: SkippedRow, b: SkippedRow): number => (a.first < b.first ? -1 : 1);
const isAhead = (row: SourceRow, s: SkippedRow): boolean => s.incarnation === row.incarnation && s.epoch === row.epoch && s.last > row.through;

/** What is known of an id, as the row of what came first tells it, or of what was judged in its stead. */
export function idIn(record: SiteRecord, source: SourceRow, hash: string): KnownId | null {
  const row = record.ids.get(source.key, hash);
  if (row === undefined) return null;
  const own = record.lastRounds.get(row.position);
  const elsewhere = own !== undefined && own.round > 1 && own.status === "duplicate" ? own.first : null;
  const latest = elsewhere === null ? own : record.lastRounds.get(elsewhere);
  const waits = waitingUnder(record, source, hash);
  return {
    position: elsewhere ?? row.position,
    digest: row.digest,
    digestVersion: 1,
    latest:
      latest === undefined
        ? { position: row.position, round: 1, status: "deferred", code: null }
        : { position: latest.position, round: latest.round, status: latest.status, code: latest.code },
    waitsAt: waits === null ? null : { epoch: waits.epoch, sequence: waits.sequence },
  };
}

/** The event that has an id and only waits. */
export function waitingUnder(record: SiteRecord, source: SourceRow, hash: string): WaitingRow | null {
  const position = record.ids.get(source.key, hash)?.position;
  const waits = position === undefined ? undefined : record.waitingAt.get(position);
  if (waits === undefined || waits.ahead || waits.idHash !== hash || waits.sourceKey !== source.key || waits.incarnation !== source.incarnation) return null;
  return waits;
}

export const waitingOf = ({ expiresAt: _, ...waiting }: WaitingRow): WaitingEvent => waiting;

/** The waiting events of a source behind a number, as many as one slice holds. */
export function windowIn(record: SiteRecord, { source: name, incarnation, epoch, after }: Wanted): WaitingWindow | null {
  const source = record.sources.get(name);
  if (source === undefined) return null;
  const rows = [...(record.waitingOfSource.get(source.key) ?? [])]
    .filter((w) => w.incarnation === incarnation && w.epoch === epoch && w.sequence > after)
    .sort(byNumber)
    .slice(0, WAITING.slice);
  return {
    after,
    reaches: rows.length === WAITING.slice ? (rows.at(-1)?.sequence ?? null) : null,
    events: rows.map((w) => ({ ...waitingOf(w), event: eventAt(record, w.position) })),
  };
}

type Wanted = WorldRequest["waitingNext"] extends Map<string, infer W> ? W : never;

/** All that waits of a source as it counts now. */
export function allWaitingIn(record: SiteRecord, source: SourceRow): readonly WaitingEvent[] {
  const rows = [...(record.waitingOfSource.get(source.key) ?? [])].filter((w) => w.incarnation === source.incarnation && w.expiresAt === null);
  return rows.sort(byNumber).map(waitingOf);
}

const byNumber = (a: WaitingRow, b: WaitingRow): number => (a.epoch === b.epoch ? (a.sequence < b.sequence ? -1 : 1) : a.epoch < b.epoch ? -1 : 1);

/** A stored delivery is decoded again, by the same code that decoded it first. */
export function eventAt(record: SiteRecord, position: number): EventInHand {
  const open = record.deliveries.get(position) ?? refuse(`no delivery at ${position}`);
  const { delivery, receivedAt, performedBy } = open;
  open.inHand ??= keptOf(delivery, decode(delivery, record.reading), receivedAt, record.reading.prefix, performedBy);
  return open.inHand;
}

/** Who performed what an open event tells of. */
export const performanceIn = (record: SiteRecord, position: number): PerformedBy | null => record.deliveries.get(position)?.performedBy ?? null;

export function stationAtIn(record: SiteRecord, source: string, at: string): StationAt | null {
  const station = record.bindingsOf.get(source)?.find(({ boundAt, unbound }) => boundAt <= at && (unbound === null || at < unbound.at))?.station;
  if (station === undefined) return null;
  const session = record.sessionsAt.get(station)?.find(({ openedAt, ended }) => openedAt <= at && ended !== null && at < ended.at);
  return { station, ended: session === undefined ? null : { session: session.session, person: session.person } };
}

export function stationIn(record: SiteRecord, name: string): StationState | null {
  const row = record.stations.get(name);
  if (row === undefined) return null;
  const last = record.sessionsAt.get(name)?.at(-1);
  if (last === undefined || last.ended !== null) return { station: name, version: row.version, open: null };
  const { session, person, openedAt, seenAt, idleSeconds } = last;
  return { station: name, version: row.version, open: { session, person, openedAt, seenAt, idleSeconds } };
}

/** A batch with the latest attempt of its steps and what is open about it. */
export function batchIn(record: SiteRecord, name: string): BatchState | null {
  const row = record.batches.get(name);
  if (row === undefined) return null;
  const { recipeName, ...rest } = row;
  const definition = record.definitions.recipe(recipeName) ?? refuse(`recipe ${recipeName} is not there`);
  const latest = new Map<string, StepRow>();
  for (const step of record.stepsOfBatch.get(name) ?? []) {
    const known = latest.get(step.step);
    if (known === undefined || known.attempt < step.attempt) latest.set(step.step, step);
  }
  const open = record.openOfBatch.get(name);
  return {
    ...rest,
    recipe: definition.recipe,
    openDeferrals: open?.deferrals ?? 0,
    openQuarantine: open?.quarantine ?? 0,
    openExceptions: open?.exceptions ?? 0,
    superseded: [],
    steps: [...latest.values()]
      .sort((a, b) => a.ordinal - b.ordinal)
      .map(({ step, attempt, ordinal, state, startedAt, startClock, endedAt }) => {
        const evidence = inForce(record.evidenceOfStep.get(stepKey(name, step, attempt)) ?? NONE).map((row) => itemIn(record, row));
        return { step, attempt, ordinal, state, startedAt, startClock, endedAt, evidence };
      }),
  };
}

/** What no correction superseded. */
function inForce(all: readonly EvidenceRow[]): readonly EvidenceRow[] {
  const corrections = all.filter(({ item }) => item.supersedes !== null);
  if (corrections.length === 0) return all;
  return all.filter(({ item }) => !corrections.some((other) => other.item.evidence === item.evidence && other.item.supersedes === item.position));
}

const itemIn = (record: SiteRecord, row: EvidenceRow): EvidenceItem => (isAccepted(record, row) ? { ...row.item, accepted: true } : row.item);

export function equipmentIn(record: SiteRecord, name: string): EquipmentState | null {
  const row = record.equipment.get(name);
  if (row === undefined) return null;
  const { title: _, ...rest } = row;
  return { ...rest, locks: openLocksIn(record, name) };
}

/** The open locks of an equipment, in the order of their tokens. */
export const openLocksIn = (record: SiteRecord, equipment: string): ContextLock[] => (record.openLocksOf.get(equipment) ?? []).map(lockOf);

const lockOf = ({ takenTime: _, freed: __, freedTime: ___, ...lock }: LockRow): ContextLock => lock;

export function deferralIn(record: SiteRecord, position: number): Deferral | null {
  const row = record.deferrals.get(position);
  if (row === undefined) return null;
  const { dueAt: _, bytes: __, waits, ...rest } = row;
  return { ...rest, waits: [...waits], event: eventAt(record, position) };
}

export function quarantineIn(record: SiteRecord, position: number): QuarantineEntry | null {
  const row = record.quarantine.get(position);
  if (row === undefined || row.resolution !== null) return null;
  const { version, round, code, batch, judgedIn } = row;
  return { position, version, round, code, batch, judgedIn, event: eventAt(record, position) };
}

/** The exceptions that were opened at a position. */
export const exceptionsIn = (record: SiteRecord, at: number): readonly ExceptionState[] =>
  (record.exceptionsAt.get(at) ?? []).map(({ position, ordinal, code, batch, step, attempt, resolved, disposition, event }) => ({
    position,
    ordinal,
    code,
    batch,
    step,
    attempt,
    resolved,
    disposition,
    quarantined: event !== null && record.quarantine.get(event)?.resolution === null,
  }));

/** Whether quality has let evidence that lies outside go on: by a disposition of each exception that it opened. */
function isAccepted(record: SiteRecord, { item, batch, step }: EvidenceRow): boolean {
  if (item.within !== false) return false;
  const opened = (record.exceptionsAt.get(item.position) ?? []).filter((one) => one.batch === batch && one.step === step);
  return opened.length > 0 && opened.every(({ disposition }) => disposition === "continue");
}

/** Where a number was taken, and what waits under it. */
export function numberIn(record: SiteRecord, source: SourceRow, epoch: bigint, sequence: bigint) {
  const key = numberKey(source.key, source.incarnation, epoch, sequence);
  const row = record.waiting.get(key);
  return { key, taken: record.numbers.get(key) ?? null, waiting: row === undefined ? null : waitingOf(row) };
}
