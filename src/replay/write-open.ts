// What a settlement writes of what stays open: deferred and quarantined events, exceptions, and when they fall due.
import { later } from "./instant.ts";
import { Moved, refuse } from "./refuse.ts";
import type { DeferralRow } from "./rows.ts";
import { type Commit, listAt, once, openAt, type SiteRecord } from "./site-record.ts";
import type { Written } from "./written.ts";

export function writeDeferrals(record: SiteRecord, p: Written, { place, maybe }: Commit): void {
  for (const { position } of p.deferrals_gone ?? []) {
    const row = record.deferrals.get(position);
    if (row === undefined) continue;
    record.deferrals.delete(position);
    countDeferral(record, row, -1);
    for (const key of row.waits) waitsNoMore(record, key, position);
  }
  for (const r of p.deferrals ?? []) {
    const row: DeferralRow = {
      position: place(r.ref),
      version: 1,
      round: r.round,
      sourceKey: r.source_key,
      code: r.code,
      batch: r.batch,
      step: r.step,
      moves: r.moves,
      behind: maybe(r.behind),
      bytes: r.bytes,
      dueAt: later(record.now, r.ms),
      waits: new Set(),
    };
    once(record.deferrals, row.position, row, "deferral");
    countDeferral(record, row, 1);
    for (const key of r.waits) waitsFor(record, key, row);
  }
  for (const r of p.deferrals_kept ?? []) {
    const row = record.deferrals.get(r.position) ?? refuse(`no deferral at ${r.position}`);
    countDeferral(record, row, -1);
    row.version += 1;
    row.batch = r.batch;
    row.step = r.step;
    countDeferral(record, row, 1);
    for (const key of r.waits) waitsFor(record, key, row);
  }
}

function countDeferral(record: SiteRecord, { sourceKey, bytes, batch }: DeferralRow, by: 1 | -1): void {
  const known = record.deferredOf.get(sourceKey) ?? { count: 0, bytes: 0 };
  record.deferredOf.set(sourceKey, { count: known.count + by, bytes: known.bytes + by * bytes });
  if (batch !== null) openAt(record, batch).deferrals += by;
}

function waitsFor(record: SiteRecord, key: string, row: DeferralRow): void {
  row.waits.add(key);
  const known = record.waitingFor.get(key) ?? new Set();
  record.waitingFor.set(key, known.add(row.position));
}

function waitsNoMore(record: SiteRecord, key: string, position: number): void {
  const known = record.waitingFor.get(key);
  known?.delete(position);
  if (known?.size === 0) record.waitingFor.delete(key);
}

export function writeQuarantine(record: SiteRecord, p: Written, { place, at }: Commit): void {
  const count = (batch: string | null, by: 1 | -1): void => {
    if (batch !== null) openAt(record, batch).quarantine += by;
  };
  for (const r of p.quarantine_resolved ?? []) {
    const row = record.quarantine.get(r.position) ?? refuse(`no quarantined event at ${r.position}`);
    if (row.resolution === null) count(row.batch, -1);
    row.version += 1;
    row.resolution = r.resolution;
    row.resolvedAt = at;
    row.resolvedPosition = place(r.ref);
  }
  for (const r of p.quarantine ?? []) {
    const position = place(r.ref);
    const row = record.quarantine.get(position);
    if (row === undefined) {
      const nothing = { resolution: null, resolvedAt: null, resolvedPosition: null, judgedIn: { batch: null, step: null, attempt: null } };
      record.quarantine.set(position, { position, version: 1, round: r.round, code: r.code, source: r.source, batch: r.batch, since: at, ...nothing });
      count(r.batch, 1);
    } else {
      if (row.resolution !== null) count(row.batch, 1);
      Object.assign(row, { version: row.version + 1, round: r.round, code: r.code, since: at, resolution: null, resolvedAt: null, resolvedPosition: null });
    }
  }
}

export function writeExceptions(record: SiteRecord, p: Written, { place, maybe, at }: Commit): void {
  const ordinals = new Map<number, number>();
  for (const r of p.exceptions ?? []) {
    const position = place(r.ref);
    const ordinal = (ordinals.get(position) ?? 0) + 1;
    ordinals.set(position, ordinal);
    if (r.ordinal !== ordinal) refuse(`exception ${r.ordinal} at ${position} out of its place`);
    const { code, reason, source, batch, step, attempt } = r;
    const event = maybe(r.event_ref);
    const row = {
      position,
      ordinal,
      event,
      code,
      reason,
      source,
      batch,
      step,
      attempt,
      openedAt: at,
      disposition: null,
      linked: null,
      resolved: false,
      resolvedAt: null,
      resolvedPosition: null,
    };
    record.exceptions.push(row);
    listAt(record.exceptionsAt, position).push(row);
    if (event !== null) listAt(record.exceptionsOfEvent, event).push(row);
    if (batch !== null) openAt(record, batch).exceptions += 1;
  }
  for (const { position, ordinal, ref, disposition, linked } of p.exceptions_disposed ?? []) {
    const row = record.exceptionsAt.get(position)?.find((one) => one.ordinal === ordinal);
    if (row === undefined || row.resolved) throw new Moved("an exception was disposed of elsewhere");
    Object.assign(row, { resolved: true, resolvedAt: at, resolvedPosition: place(ref), disposition, linked });
    if (row.batch !== null) openAt(record, row.batch).exceptions -= 1;
  }
  for (const r of p.exceptions_resolved ?? []) {
    for (const row of record.exceptionsOfEvent.get(place(r.event_position)) ?? []) {
      if (row.resolved || row.position >= place(r.ref)) continue;
      Object.assign(row, { resolved: true, resolvedAt: at, resolvedPosition: place(r.ref) });
      if (row.batch !== null) openAt(record, row.batch).exceptions -= 1;
    }
  }
}

/** No due time passes while a shard does not receive: its first commit afterwards moves them all on. */
export function moveDueTimes(record: SiteRecord, by: number, base: number): void {
  for (const row of record.deferrals.values()) {
    if (row.position > base) continue;
    row.dueAt = later(row.dueAt, by);
    row.version += 1;
  }
  for (const row of record.sources.values()) {
    if (row.gapDueAt === null) continue;
    row.gapDueAt = later(row.gapDueAt, by);
    row.version += 1;
  }
  for (const row of record.waiting.values()) if (row.expiresAt !== null) row.expiresAt = later(row.expiresAt, by);
}
