// Decides a site's record again, group by group, in the order and at the times of its commits, and compares what comes out with what is recorded, byte for byte.
import { documentOf } from "../commit/settlement.ts";
import { createMachines, type Machines } from "../decide/machines.ts";
import type { Settlement } from "../decide/settle.ts";
import type { Signal } from "../decide/signal.ts";
import type { WorldData } from "../decide/world-data.ts";
import type { WorldRequest } from "../decide/world-request.ts";
import type { Standing } from "../verify/standing.ts";
import { applyAct, DefinitionsByPosition, nameSource, registerAtStart } from "./acts.ts";
import { Beside, type Candidates, type Changed } from "./candidate.ts";
import { Differences, differencesInText } from "./difference.ts";
import { type Entry, type GroupSignal, Groups, type RecordedGroup, Unreadable } from "./groups.ts";
import { msOf } from "./instant.ts";
import { judgeIn, judging } from "./judge.ts";
import { lookInto } from "./look.ts";
import type { CommitBeforeLog, LoggedPosition, RecordedSite } from "./recorded.ts";
import type { SourceRow } from "./rows.ts";
import { signalOf } from "./signals.ts";
import { type Commit, type Reading, SiteRecord } from "./site-record.ts";
import { standingOf } from "./standing.ts";
import { write } from "./write.ts";
import type { Written } from "./written.ts";

export interface Counted {
  /** Positions from before the log began, and since. */
  beforeLog: number;
  entries: number;
  commits: number;
  signals: number;
  acts: number;
  verdicts: number;
  facts: number;
  outcomes: number;
}

/** What came of one group: where it stands, and what it wrote. */
export interface Decided {
  readonly group: RecordedGroup;
  readonly signals: readonly Signal[];
  readonly settlement: Settlement;
  readonly written: Written;
  readonly commit: Commit;
}

/** What an entry says so wrongly that nothing can be made of it is that entry's fault, not its group's. */
function blaming<T>({ position }: GroupSignal, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw unreadable(position, error);
  }
}

const unreadable = (position: number, error: unknown): Unreadable =>
  error instanceof Unreadable ? error : new Unreadable(position, error instanceof Error ? error.message : String(error));

export class Replay {
  readonly record: SiteRecord;
  readonly machines: Machines;
  readonly differences: Differences;
  readonly counted: Counted = { beforeLog: 0, entries: 0, commits: 0, signals: 0, acts: 0, verdicts: 0, facts: 0, outcomes: 0 };
  /** Whether what is decided now has entries. */
  #logged = false;
  /** Why it cannot go on: what follows rests on what could not be done again. */
  stopped: string | null = null;
  readonly #site: RecordedSite;
  readonly #definitions: DefinitionsByPosition;
  readonly #groups: Groups;
  /** By batch: the number of its last entry. */
  readonly #numbers = new Map<string, number>();
  /** Sources whose keys an entry names, and at which position the first did. */
  readonly #named = new Map<string, number>();
  /** Of those, whose keys another entry names otherwise. */
  readonly #contested = new Set<string>();
  /** Sources that were not known from the beginning. */
  readonly #later: { readonly since: number; readonly row: SourceRow; readonly appear: () => void }[] = [];

  /** What would be decided otherwise under the candidates. */
  readonly changed: Changed[] = [];
  readonly #beside: Beside | null;

  constructor(site: RecordedSite, reading: Reading, candidates: Candidates | null = null, most = 50) {
    this.#site = site;
    this.#definitions = new DefinitionsByPosition(site.definitions);
    this.#groups = new Groups(site.site);
    this.record = new SiteRecord(site.site, this.#definitions, reading, 0);
    this.machines = createMachines((name) => this.#definitions.machine(name) ?? undefined);
    this.#beside = candidates === null ? null : new Beside(candidates, this.machines);
    this.differences = new Differences(most);
    registerAtStart(this.record, site);
    this.#hideLater();
  }

  /** Decides what has become whole by a part of what is recorded. */
  *add(part: readonly (LoggedPosition | CommitBeforeLog)[]): Generator<Decided> {
    for (const item of part) {
      if (this.stopped !== null) return;
      yield* this.#group(() => this.#groups.add(item));
    }
  }

  /** Decides what is left. */
  *end(): Generator<Decided> {
    if (this.stopped === null) yield* this.#group(() => this.#groups.end());
    if (!this.#logged) this.#beginLog();
    const { position } = this.record;
    if (this.stopped === null && position !== this.#site.position)
      this.differences.add({ position: null, what: "the site's head", stored: this.#site.position, again: position });
  }

  *#group(next: () => RecordedGroup | null): Generator<Decided> {
    try {
      const group = next();
      const decided = group === null ? null : this.#decide(group);
      if (decided !== null) yield decided;
    } catch (error) {
      this.#stop(error instanceof Unreadable ? error.position : this.record.position + 1, error instanceof Error ? error.message : String(error));
    }
  }

  #stop(position: number, why: string): void {
    this.stopped = `at position ${position}: ${why}`;
    this.differences.add({ position, what: `cannot be decided again: ${why}`, stored: null, again: null });
  }

  #decide(group: RecordedGroup): Decided | null {
    const { record } = this;
    if (group.base !== record.position) throw new Unreadable(group.base + 1, `position ${record.position + 1} is missing`);
    record.now = msOf(group.time);
    this.#definitions.position = group.base;
    this.counted.commits += 1;
    if (group.entries === null) this.counted.beforeLog += group.positions;
    else {
      this.counted.entries += group.entries.length;
      if (!this.#logged) this.#beginLog();
    }
    const [first] = group.signals;
    if (first?.fields.kind === "act") return this.#act(group, first);
    this.counted.signals += group.signals.length;
    const signals = group.signals.map((recorded) => blaming(recorded, () => this.#signal(recorded)));
    const settlement = this.#settle(signals, group);
    const document = documentOf(settlement, record.reading.maxBytes);
    const { entries } = document;
    // what is shown as the replacement character in an entry is so in every row
    const written: Written = entries.some((entry) => entry.includes("\uFFFD")) ? JSON.parse(document.document) : Object(document.written);
    const commit = this.#write(group, entries, () => write(record, written, settlement.positions, document.raws));
    this.#count(written);
    if (group.entries !== null) this.#compare(group.entries, entries, written);
    if (settlement.positions !== group.positions) {
      this.#stop(group.base + 1, `the commit had ${group.positions} positions and has ${settlement.positions} again`);
      return null;
    }
    return { group, signals, settlement, written, commit };
  }

  #settle(signals: readonly Signal[], group: RecordedGroup): Settlement {
    try {
      return this.#judge(signals, group.base);
    } catch (error) {
      // whose fault it is shows by how many of them, from the first, it takes
      for (const [at, recorded] of group.signals.entries())
        blaming(recorded, () => judgeIn((request) => lookInto(this.record, request), this.machines, signals.slice(0, at + 1)));
      throw error;
    }
  }

  #judge(signals: readonly Signal[], base: number): Settlement {
    const look = (request: WorldRequest): WorldData => lookInto(this.record, request);
    const beside = this.#beside;
    if (beside === null) return judgeIn(look, this.machines, signals);
    return judging(look, signals, (world) => {
      const changed: Changed[] = [];
      const settlement = beside.settle(world, this.machines, signals, ({ ref, ...one }) => changed.push({ position: base - ref, ...one }));
      this.changed.push(...changed);
      return settlement;
    });
  }

  #signal(recorded: GroupSignal): Signal {
    const { position, known } = recorded;
    if (known !== null) this.#asKnown(position, known);
    this.#asNamed(recorded);
    return signalOf(recorded, this.record.reading);
  }

  /** How the rows stand that all this has brought about. */
  standing(): Iterable<Standing> {
    return standingOf(this.record, this.#site, this.#named);
  }

  /** An entry names its source by the key that the source has for good, whatever stands beside it now. Where a later one names another key, either of the two is wrong. */
  #asNamed({ position, fields: { source, source_key: key } }: GroupSignal): void {
    const row = source == null || key == null ? undefined : this.record.sources.get(source);
    if (row === undefined || key == null) return;
    const first = this.#named.get(row.source);
    if (first === undefined) {
      nameSource(this.record, row, key);
      this.#named.set(row.source, position);
    } else if (key !== row.key && !this.#contested.has(row.source)) {
      this.#contested.add(row.source);
      this.differences.add({ position: first, what: `the key of ${row.source}, which position ${position} names otherwise`, stored: row.key, again: key });
    }
  }

  /** What the database would refuse came of the first entry that is another than is stored. */
  #write(group: RecordedGroup, again: readonly string[], write: () => Commit): Commit {
    try {
      return write();
    } catch (error) {
      const altered = group.entries?.find(({ body }, at) => body !== again[at]);
      throw altered === undefined ? error : unreadable(altered.head.position, error);
    }
  }

  #act(group: RecordedGroup, act: GroupSignal): null {
    const { type, body, actor } = act.fields;
    this.counted.acts += 1;
    this.record.position += group.positions;
    const wrong = blaming(act, () => applyAct(this.record, this.#site, type, body, actor));
    if (wrong !== null) this.differences.add({ position: act.position, what: wrong, stored: body, again: null });
    for (const entry of group.entries ?? []) this.#number(entry, Object.keys(entry.head.batches));
    return null;
  }

  #count({ verdicts, facts, outcomes }: Written): void {
    this.counted.verdicts += verdicts?.length ?? 0;
    this.counted.facts += facts?.length ?? 0;
    this.counted.outcomes += outcomes?.length ?? 0;
  }

  #compare(stored: readonly Entry[], again: readonly string[], written: Written): void {
    const batches = new Map<number, string[]>();
    for (const { ref, batch } of written.entry_batches ?? []) if (this.record.batches.has(batch)) batches.set(-ref, [...(batches.get(-ref) ?? []), batch]);
    for (const [at, entry] of stored.entries()) {
      const body = again[at];
      const { position } = entry.head;
      if (body === undefined) this.differences.add({ position, what: "entry", stored: entry.body, again: null });
      else if (body !== entry.body)
        for (const { path, ...two } of differencesInText(entry.body, body)) this.differences.add({ position, what: "entry", path, ...two });
      this.#number(entry, batches.get(at + 1) ?? []);
    }
  }

  /** Each batch numbers the entries that change its record, without holes. */
  #number({ head }: Entry, batches: readonly string[]): void {
    const said = Object.keys(head.batches);
    if (said.length !== batches.length || batches.some((batch) => !Object.hasOwn(head.batches, batch)))
      this.differences.add({ position: head.position, what: "entry", path: "/batches", stored: head.batches, again: batches });
    for (const batch of batches) {
      const number = (this.#numbers.get(batch) ?? 0) + 1;
      if (head.batches[batch] !== number)
        this.differences.add({ position: head.position, what: "entry", path: `/batches/${batch}`, stored: head.batches[batch], again: number });
      this.#numbers.set(batch, number);
    }
  }

  /** Before the log began registering was not on record, but it shows: a delivery of a source that nobody knew, or that was revoked, says so in its own verdict. */
  #asKnown(position: number, known: NonNullable<GroupSignal["known"]>): void {
    for (const one of this.#later.filter(({ since }) => since < position)) {
      one.appear();
      this.#later.splice(this.#later.indexOf(one), 1);
    }
    const row = this.record.sources.get(known.source);
    if (row !== undefined) row.revoked = known.revoked;
  }

  /** From here on registering is on record; what was registered stands as it did then. */
  #beginLog(): void {
    this.#logged = true;
    for (const { appear } of this.#later.splice(0)) appear();
    for (const { source, revoked } of this.#site.registered.sources) Object.assign(this.record.sources.get(source) ?? {}, { revoked });
  }

  #hideLater(): void {
    const { record } = this;
    for (const { source: name, since } of this.#site.registered.sources) {
      const row = record.sources.get(name);
      if (since === 0 || row === undefined) continue;
      const equipment = row.device === null ? record.equipment.get(row.equipment) : undefined;
      record.sources.delete(name);
      if (equipment !== undefined) record.equipment.delete(row.equipment);
      this.#later.push({
        since,
        row,
        appear: () => {
          record.sources.set(name, row);
          if (equipment !== undefined) record.equipment.set(row.equipment, equipment);
        },
      });
    }
  }
}
