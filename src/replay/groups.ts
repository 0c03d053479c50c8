// What is recorded, cut into the groups in which it was committed.
import type { DeviceEvent } from "../decode/event.ts";
import type { CommitBeforeLog, Head, LoggedPosition, SignalFields } from "./recorded.ts";

export interface GroupSignal {
  readonly position: number;
  readonly fields: SignalFields;
  readonly raw: Uint8Array | null;
  /** What the record says of it that cannot be found out again: its source was not known then, or revoked; the database could not hold what it said. */
  readonly known: { readonly source: string; readonly revoked: boolean } | null;
  readonly unstorable: boolean;
  /** What its delivery says; null: that is still to be read. */
  readonly event: DeviceEvent | null;
}

export interface Entry {
  readonly head: Head;
  /** The second line, as it stands. */
  readonly body: string;
}

/** One commit: its signals, and since the log began the second lines of its entries. */
export interface RecordedGroup {
  readonly base: number;
  readonly positions: number;
  readonly time: string;
  readonly signals: readonly GroupSignal[];
  readonly entries: readonly Entry[] | null;
}

/** An entry that cannot be read, or stands where it cannot. */
export class Unreadable extends Error {
  readonly position: number;
  constructor(position: number, what: string) {
    super(what);
    this.position = position;
  }
}

/** Collects what belongs to one commit. A group is whole when the next begins; so the last one is asked for by `end`. */
export class Groups {
  readonly #site: string;
  #position = 0;
  #open: (Entry & { readonly signals: readonly GroupSignal[] })[] = [];

  constructor(site: string) {
    this.#site = site;
  }

  /** What has become whole by one more of what is recorded. */
  add(item: LoggedPosition | CommitBeforeLog): RecordedGroup | null {
    if (item.kind === "commit") {
      this.#follows(item.base + 1);
      this.#position = item.base + item.positions;
      return { base: item.base, positions: item.positions, time: item.time, signals: item.signals.map(ofOld), entries: null };
    }
    this.#follows(item.position);
    this.#position = item.position;
    const { head, body, signals } = readEntry(item);
    if (head.site !== this.#site || head.position !== item.position)
      throw new Unreadable(item.position, `the entry says that it stands at ${head.site} ${head.position}`);
    const whole = this.#open[0] !== undefined && this.#open[0].head.base !== head.base ? this.end() : null;
    if (head.base + this.#open.length + 1 !== item.position)
      throw new Unreadable(item.position, `the entry says that its commit begins behind position ${head.base}, and it does not`);
    this.#open.push({ head, body, signals });
    return whole;
  }

  end(): RecordedGroup | null {
    const entries = this.#open;
    const [first] = entries;
    this.#open = [];
    if (first === undefined) return null;
    const { base, time } = first.head;
    return { base, positions: entries.length, time, signals: entries.flatMap(({ signals }) => signals), entries };
  }

  #follows(position: number): void {
    if (position !== this.#position + 1) throw new Unreadable(position, `position ${this.#position + 1} is missing`);
  }
}

/** Throws Unreadable. */
export function readEntry(item: LoggedPosition): Entry & { readonly signals: readonly GroupSignal[] } {
  const { entry, position } = item;
  const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
  const end = bytes.indexOf(0x0a);
  const body = bytes.toString("utf8", end + 1);
  try {
    const head: Head = item.head ?? JSON.parse(bytes.toString("utf8", 0, end));
    return { head, body, signals: signalsIn(body).map((fields) => ofEntry(item, fields, body)) };
  } catch {
    throw new Unreadable(position, "the entry is not two lines of JSON");
  }
}

/** The lists that may follow the signals in an entry (commit/entries.ts). */
const NEXT_LIST = /\],"(?:verdicts|facts|outcomes|evidence|exceptions|exceptions_resolved|quarantine_resolved|conflicts|skipped|performances|answers)":\[/;

/** The signals of an entry. Nothing else of it is needed as long as it comes out again, so nothing else is parsed; where that is not to be had, all is. */
function signalsIn(body: string): readonly SignalFields[] {
  const end = body.startsWith('{"signals":') ? endOfSignals(body) : -1;
  if (end >= 0) {
    try {
      return JSON.parse(`${body.slice(0, end)}]}`).signals;
    } catch {
      // what looks like the end stands within what a signal says
    }
  }
  return JSON.parse(body).signals ?? [];
}

/** Mostly verdicts follow, which are found much faster alone than among all. */
function endOfSignals(body: string): number {
  const verdicts = body.indexOf('],"verdicts":[');
  return verdicts >= 0 ? verdicts : body.search(NEXT_LIST);
}

const ofEntry = ({ position, raw, event }: LoggedPosition, fields: SignalFields, body: string): GroupSignal => ({
  position,
  fields,
  raw,
  event: event ?? null,
  known: null,
  // looked for as text, since it is there once in a blue moon
  unstorable: body.includes('"SYS_POISON"') && saysUnstorable(JSON.parse(body).verdicts),
});

const saysUnstorable = (verdicts: unknown): boolean =>
  Array.isArray(verdicts) && verdicts.some((verdict) => verdict?.code === "SYS_POISON" && verdict?.refused_by === "form");

const ofOld = ({ position, fields, raw, code, refusedBy, source }: CommitBeforeLog["signals"][number]): GroupSignal => ({
  position,
  fields,
  raw,
  event: null,
  known: source === null ? null : { source, revoked: code === "IDN_REVOKED" },
  unstorable: code === "SYS_POISON" && refusedBy === "form",
});
