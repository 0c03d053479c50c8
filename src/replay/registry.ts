// What is registered at a site: equipment, and the sources that speak for it.
import type { SourceRow } from "./rows.ts";
import { listAt, type SiteRecord } from "./site-record.ts";

export interface RegisteredEquipment {
  readonly equipment: string;
  readonly line: string;
  readonly class: string;
  readonly title?: string | null;
}

export interface RegisteredSource {
  readonly equipment: string;
  readonly device: string | null;
  readonly numbering: boolean;
  readonly revoked: boolean;
}

/** By the name of a source, the key under which a record knows it: the database numbers the sources of all its sites in one row. */
export type SourceKeys = ReadonlyMap<string, string>;

/** Registers equipment, and the numbering source of its own. `keys`: of a record that gives its own; left out, sources are counted. */
export function registerEquipment(record: SiteRecord, { equipment, line, class: className, title }: RegisteredEquipment, keys?: SourceKeys): void {
  const nothingSaid = { version: 1, token: 0, state: null, stateEpoch: null, stateSequence: null };
  record.equipment.set(equipment, { equipment, line, class: className, title: title ?? null, ...nothingSaid });
  registerSource(record, { equipment, device: null, numbering: true, revoked: false }, keys);
}

export function registerSource(record: SiteRecord, { equipment, device, numbering, revoked }: RegisteredSource, keys?: SourceKeys): void {
  const line = record.equipment.get(equipment)?.line;
  if (line === undefined) throw new Error(`no equipment ${equipment} is registered at site ${record.site}`);
  const source = `/site/${record.site}/line/${line}/eq/${equipment}${device === null ? "" : `/device/${device}`}`;
  const count = record.sources.size + 1;
  const row: SourceRow = {
    // until the record says it, one that no source has
    key: keys === undefined ? String(count) : (keys.get(source) ?? String(-count)),
    source,
    line,
    equipment,
    device,
    numbering,
    revoked,
    version: 1,
    incarnation: 1,
    epoch: null,
    through: 0n,
    highest: 0n,
    gapPosition: null,
    gapSince: null,
    gapDueAt: null,
    parked: null,
    parkedPosition: null,
    parkedAt: null,
    reused: 0,
    waitingCount: 0,
    waitingBytes: 0,
    connection: null,
    monotonic: {},
  };
  record.sources.set(row.source, row);
  record.sourcesByKey.set(row.key, row);
  listAt(record.sourcesOfEquipment, equipment).push(row);
}
