// What a settlement writes of the sources: identities, numbers, what waits, and where each stands.
import { later } from "./instant.ts";
import { asJsonb } from "./jsonb.ts";
import { numberOf } from "./prove.ts";
import { Moved, refuse } from "./refuse.ts";
import type { SkippedRow, SourceRow, WaitingRow } from "./rows.ts";
import { type Commit, listAt, once, type SiteRecord } from "./site-record.ts";
import type { Written } from "./written.ts";

export function writeIdentities(record: SiteRecord, p: Written, { place }: Commit): void {
  for (const r of p.ids ?? []) record.ids.add(r.source_key, r.id_hash, place(r.ref), r.digest);
  for (const r of p.numbers ?? []) once(record.numbers, numberOf(r), place(r.ref), "number");
  for (const r of p.conflicts ?? []) {
    once(record.conflicts, `${r.source_key} ${r.id_hash} ${r.digest}`, place(r.ref), "conflict");
    listAt(record.conflictsOfId, `${r.source_key} ${r.id_hash}`).push(r.digest);
  }
}

export function writeSkipped(record: SiteRecord, p: Written, { place }: Commit): void {
  for (const r of p.skipped ?? []) {
    const row: SkippedRow = {
      sourceKey: r.source_key,
      incarnation: r.incarnation,
      epoch: BigInt(r.epoch),
      first: BigInt(r.first),
      last: BigInt(r.last),
      reason: r.reason,
      position: place(r.ref),
    };
    if (row.first > row.last) refuse("a range that ends before it begins");
    const known = listAt(record.skippedOfSource, r.source_key);
    if (known.some((s) => s.incarnation === row.incarnation && s.epoch === row.epoch && s.first <= row.last && row.first <= s.last))
      refuse(`numbers ${row.epoch}.${row.first} given up twice`);
    known.push(row);
  }
}

export function writeWaiting(record: SiteRecord, p: Written, { place }: Commit): void {
  for (const r of p.waiting_gone ?? []) {
    const row = record.waiting.get(numberOf(r));
    if (row === undefined) throw new Moved("a waiting event is no longer there");
    record.waiting.delete(numberOf(r));
    record.waitingOfSource.get(row.sourceKey)?.delete(row);
    if (record.waitingAt.get(row.position) === row) record.waitingAt.delete(row.position);
  }
  for (const r of p.waiting ?? []) {
    const row: WaitingRow = {
      sourceKey: r.source_key,
      incarnation: r.incarnation,
      epoch: BigInt(r.epoch),
      sequence: BigInt(r.sequence),
      position: place(r.ref),
      idHash: r.id_hash,
      digest: r.digest,
      bytes: r.bytes,
      ahead: r.ahead,
      expiresAt: null,
    };
    once(record.waiting, numberOf(r), row, "a waiting event at");
    const ofSource = record.waitingOfSource.get(row.sourceKey) ?? new Set();
    record.waitingOfSource.set(row.sourceKey, ofSource.add(row));
    record.waitingAt.set(row.position, row);
  }
  for (const r of p.waiting_expires ?? []) {
    const epoch = BigInt(r.epoch);
    for (const w of record.waitingOfSource.get(r.source_key) ?? []) {
      if (w.expiresAt !== null) continue;
      if (w.incarnation < r.incarnation || (w.incarnation === r.incarnation && (w.epoch < epoch || (w.epoch === epoch && w.sequence <= BigInt(r.through)))))
        w.expiresAt = later(record.now, r.ms);
    }
  }
}

export function writeSources(record: SiteRecord, p: Written, commit: Commit): void {
  for (const r of p.sources ?? []) if (r.changed) writeSource(record, record.sourcesByKey.get(r.key) ?? refuse(`source ${r.key} is not there`), r, commit);
}

function writeSource(record: SiteRecord, row: SourceRow, r: NonNullable<Written["sources"]>[number], { place, at }: Commit): void {
  record.waitingBytes += r.waiting_bytes - row.waitingBytes;
  row.version += 1;
  row.incarnation = r.incarnation;
  row.epoch = r.epoch === null ? null : BigInt(r.epoch);
  row.through = BigInt(r.through);
  row.highest = BigInt(r.highest);
  if (r.gap === "none" || r.gap === "open") {
    row.gapPosition = r.gap === "none" ? null : place(r.gap_ref ?? 0);
    row.gapSince = r.gap === "none" ? null : at;
  }
  if (r.gap !== "keep") row.gapDueAt = r.gap === "none" || r.gap === "halted" ? null : later(record.now, r.gap_ms);
  if (r.parked === null) {
    row.parkedPosition = null;
    row.parkedAt = null;
  } else if (r.parked_ref !== null && r.parked_ref < 0) {
    row.parkedPosition = place(r.parked_ref);
    row.parkedAt = at;
  }
  row.parked = r.parked;
  row.reused = r.reused;
  row.waitingCount = r.waiting_count;
  row.waitingBytes = r.waiting_bytes;
  row.connection = r.connection;
  row.monotonic = asJsonb(r.monotonic);
  if (row.through < 0n || row.highest < row.through) refuse(`${row.source} is through ${row.through} and its highest is ${row.highest}`);
  if (row.waitingCount < 0 || row.waitingBytes < 0) refuse(`${row.source} has ${row.waitingCount} waiting`);
  if ((row.parked === null) !== (row.parkedPosition === null)) refuse(`${row.source} is parked nowhere`);
}
