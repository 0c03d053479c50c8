// What a commit proves before it writes: every version that the judge saw, and the unique keys on which "at most once" rests.
import { numberKey } from "../decide/world-data.ts";
import { Moved } from "./refuse.ts";
import type { SiteRecord } from "./site-record.ts";
import type { Written } from "./written.ts";

export function prove(record: SiteRecord, p: Written): void {
  for (const r of p.stations ?? []) if (record.stations.get(r.station)?.version !== r.version) throw new Moved(`station ${r.station} has moved on`);
  for (const r of p.sources ?? []) if (record.sourcesByKey.get(r.key)?.version !== r.version) throw new Moved(`source ${r.key} has moved on`);
  for (const r of p.batches ?? []) if ((record.batches.get(r.batch)?.version ?? 0) !== r.version) throw new Moved(`batch ${r.batch} has moved on`);
  for (const r of p.equipment ?? []) if (record.equipment.get(r.equipment)?.version !== r.version) throw new Moved(`equipment ${r.equipment} has moved on`);
  for (const r of p.awaited ?? []) {
    if ((record.awaited.get(r.awaited) ?? 0) !== r.version) throw new Moved(`${r.awaited} has come`);
    record.awaited.set(r.awaited, r.version + 1);
  }
  for (const r of p.judged_deferrals ?? [])
    if (record.deferrals.get(r.position)?.version !== r.version) throw new Moved("a deferred event has been settled elsewhere");
  for (const r of p.judged_quarantine ?? []) {
    const row = record.quarantine.get(r.position);
    if (row?.version !== r.version || row.resolution !== null) throw new Moved("a quarantined event has been resolved elsewhere");
  }
  for (const r of p.streams ?? []) if ((record.streams.get(r.stream)?.sequence ?? 0) !== r.expected) throw new Moved(`outcome stream ${r.stream} has moved on`);
}

export function proveUnique(record: SiteRecord, p: Written): void {
  for (const r of p.ids ?? []) if (record.ids.has(r.source_key, r.id_hash)) throw new Moved(`id ${r.id_hash} is taken`);
  for (const r of p.numbers ?? []) if (record.numbers.has(numberOf(r))) throw new Moved(`number ${r.epoch}.${r.sequence} is taken`);
}

/** The key of a number as a document tells it. */
export const numberOf = (r: { readonly source_key: string; readonly incarnation: number; readonly epoch: string; readonly sequence: string }): string =>
  numberKey(r.source_key, r.incarnation, r.epoch, r.sequence);
