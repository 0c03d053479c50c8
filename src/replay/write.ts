// What a settlement writes, as migration 0004 does it: it proves what the judge assumed, then writes, or refuses. A refusal may leave a part of it behind; who meets one ends.
import type { Delivery } from "../receive/delivery.ts";
import { numberOf, prove, proveUnique } from "./prove.ts";
import type { Commit, SiteRecord } from "./site-record.ts";
import { writeBatches, writeEquipment, writeEvidence, writeLocks, writeSteps } from "./write-batches.ts";
import { writeAnswers, writeFacts, writeOutcomes, writeStreams, writeVerdicts } from "./write-decided.ts";
import { moveDueTimes, writeDeferrals, writeExceptions, writeQuarantine } from "./write-open.ts";
import { writeIdentities, writeSkipped, writeSources, writeWaiting } from "./write-sources.ts";
import { performersIn, writeStations } from "./write-stations.ts";
import type { Written } from "./written.ts";

/** Writes a settlement; returns where it stands. `raws`: the bytes of its deliveries. */
export function write(record: SiteRecord, p: Written, positions: number, raws: readonly (Buffer | null)[]): Commit {
  prove(record, p);
  proveUnique(record, p);
  const base = record.position;
  const place = (ref: number): number => (ref < 0 ? base - ref : ref);
  const commit: Commit = { base, at: record.clock, place, maybe: (ref) => (ref == null ? null : place(ref)) };
  record.position += positions;
  writeStreams(record, p);
  writeStations(record, p);
  const performers = performersIn(p);
  for (const r of p.signals ?? []) {
    if (r.topic === null) continue;
    const delivery = storedDelivery(r, raws[r.n - 1] ?? null);
    record.deliveries.set(place(r.ref), { delivery, receivedAt: r.received_at, inHand: null, performedBy: performers.get(r.ref) ?? null });
  }
  const closed = openBefore(p, record);
  writeIdentities(record, p, commit);
  writeSkipped(record, p, commit);
  writeWaiting(record, p, commit);
  writeSources(record, p, commit);
  writeBatches(record, p);
  writeSteps(record, p);
  writeEquipment(record, p);
  writeLocks(record, p, commit);
  writeEvidence(record, p, commit);
  writeDeferrals(record, p, commit);
  writeQuarantine(record, p, commit);
  writeExceptions(record, p, commit);
  writeFacts(record, p, commit);
  writeVerdicts(record, p, commit);
  writeOutcomes(record, p);
  writeAnswers(record, p, commit);
  if (p.interruption_ms !== undefined) moveDueTimes(record, p.interruption_ms, base);
  for (const position of [...closed, ...(p.signals ?? []).map((r) => place(r.ref))]) if (!isOpen(record, position)) record.deliveries.delete(position);
  return commit;
}

/** The deliveries that this commit may close. */
function openBefore(p: Written, record: SiteRecord): readonly number[] {
  const closed = [...(p.deferrals_gone ?? []), ...(p.quarantine_resolved ?? [])].map(({ position }) => position);
  for (const r of p.waiting_gone ?? []) {
    const row = record.waiting.get(numberOf(r));
    if (row !== undefined) closed.push(row.position);
  }
  return closed;
}

const isOpen = (record: SiteRecord, position: number): boolean =>
  record.deferrals.has(position) || record.waitingAt.has(position) || record.quarantine.get(position)?.resolution === null;

/** A delivery as it is read back. */
function storedDelivery(row: NonNullable<Written["signals"]>[number], raw: Buffer | null): Delivery {
  return {
    topic: row.topic ?? "",
    payload: raw ?? new Uint8Array(),
    fullLength: row.raw_length,
    qos: row.qos,
    retained: row.retained,
    dup: false,
    protocol: row.protocol,
    contentType: row.content_type,
    responseTopic: row.response_topic,
    correlationData: null,
    userProperties: row.user_properties ?? [],
  };
}
