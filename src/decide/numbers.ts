// The numbers of the sources, as far as they were read and as the group has changed them: which are taken, and which early events wait under theirs.
import type { Ref, SourceState, WaitingEvent } from "../sequence/source-state.ts";
import type { Changes } from "./changes.ts";
import { numberKey, type WaitingInHand, type WaitingWindow, type WorldData, windowKey } from "./world-data.ts";
import { askFor, NotRead } from "./world-request.ts";

export class Numbers {
  readonly #data: WorldData;
  readonly #changes: Changes;
  readonly #taken = new Map<string, Ref>();
  readonly #waiting = new Map<string, WaitingInHand>();
  readonly #waitingGone = new Set<string>();

  constructor(data: WorldData, changes: Changes) {
    this.#data = data;
    this.#changes = changes;
  }

  /** The early events that began to wait in this group, by the key of their number. */
  get waiting(): ReadonlyMap<string, WaitingEvent> {
    return this.#waiting;
  }

  /** The keys of the numbers at which an event waited before this group, and waits no more. */
  get waitingGone(): ReadonlySet<string> {
    return this.#waitingGone;
  }

  /** Where a number of a source was taken, if it was. */
  taken(source: SourceState, epoch: bigint, sequence: bigint): Ref | undefined {
    const key = numberKey(source.key, source.incarnation, epoch, sequence);
    const fresh = this.#taken.get(key);
    if (fresh !== undefined || this.#countsAnew(source)) return fresh;
    const read = this.#data.numbers.get(key);
    if (read === undefined) throw wantsNumber(source, epoch, sequence);
    return read ?? undefined;
  }

  /** The waiting event at a number, wherever it was read; without what it says. */
  waitingAt(source: SourceState, epoch: bigint, sequence: bigint): WaitingEvent | undefined {
    if (sequence > LAST_NUMBER) return undefined;
    const key = numberKey(source.key, source.incarnation, epoch, sequence);
    if (this.#waitingGone.has(key)) return undefined;
    const fresh = this.#waiting.get(key);
    if (fresh !== undefined || this.#countsAnew(source)) return fresh;
    if (this.#nobodyWaited(source, epoch, sequence)) return undefined;
    const window = this.#data.waitingNext.get(windowKey(source, epoch));
    if (window !== undefined && covers(window, sequence)) return window.events.find((w) => w.sequence === sequence);
    const read = this.#data.waitingAt.get(key);
    if (read === undefined) throw wantsNumber(source, epoch, sequence);
    return read ?? undefined;
  }

  /** The waiting event at a number, with the event itself. `undefined`: nobody waits there, as far as the window reaches. */
  waitingNext(source: SourceState, epoch: bigint, sequence: bigint): WaitingInHand | undefined {
    const key = numberKey(source.key, source.incarnation, epoch, sequence);
    if (this.#waitingGone.has(key)) return undefined;
    const fresh = this.#waiting.get(key);
    if (fresh !== undefined) return fresh;
    if (this.#nobodyWaited(source, epoch, sequence)) return undefined;
    const window = this.#data.waitingNext.get(windowKey(source, epoch));
    if (window === undefined || sequence <= window.after) throw this.#wantsWindow(source, epoch, sequence - 1n);
    return window.events.find((w) => w.sequence === sequence);
  }

  /** Whether a number lies beyond what was read of a source's waiting events: then the next commit goes on there. */
  beyondWindow(source: SourceState, epoch: bigint, sequence: bigint): boolean {
    const window = this.#data.waitingNext.get(windowKey(source, epoch));
    return window !== undefined && window.reaches !== null && sequence > window.reaches;
  }

  /** The waiting events of a source behind a number, nearest first, as far as one window reaches. */
  waitingAfter(source: SourceState, epoch: bigint, sequence: bigint): readonly WaitingInHand[] {
    const window =
      source.waitingCount === 0 || this.#nobodyWaited(source, epoch, sequence + 1n) ? NO_WINDOW : this.#data.waitingNext.get(windowKey(source, epoch));
    if (window === undefined || window.after > sequence) throw this.#wantsWindow(source, epoch, sequence);
    const fresh = [...this.#waiting.values()].filter((w) => w.sourceKey === source.key && w.incarnation === source.incarnation && w.epoch === epoch);
    return [...window.events.filter((w) => !this.#waitingGone.has(keyOf(w))), ...fresh]
      .filter((w) => w.sequence > sequence)
      .sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
  }

  /** All waiting events of a source, without the events themselves. */
  allWaiting(source: SourceState): readonly WaitingEvent[] {
    const fresh = [...this.#waiting.values()].filter((w) => w.sourceKey === source.key && w.incarnation === source.incarnation);
    const before = this.#data.sources.get(source.source);
    if (before == null || before.waitingCount === 0 || this.#countsAnew(source)) return fresh;
    const read = this.#data.waitingNumbers.get(source.source);
    if (read === undefined) throw new NotRead(`what waits at ${source.source}`, (r) => r.waitingNumbers.add(source.source));
    return [...read.filter((w) => !this.#waitingGone.has(keyOf(w))), ...fresh];
  }

  take(source: Pick<SourceState, "key" | "incarnation">, epoch: bigint, sequence: bigint, at: Ref): void {
    this.#changes.set(this.#taken, numberKey(source.key, source.incarnation, epoch, sequence), at);
  }

  putWaiting(waiting: WaitingInHand): void {
    this.#changes.set(this.#waiting, keyOf(waiting), waiting);
  }

  /** A waiting event leaves: it is judged, or its number is taken. */
  endWaiting(waiting: WaitingEvent): void {
    const key = keyOf(waiting);
    if (this.#waiting.has(key)) this.#changes.delete(this.#waiting, key);
    else this.#changes.add(this.#waitingGone, key);
  }

  /** Whether nothing at all waited ahead of a source when the world was read: then what waits there now came with this group. */
  #nobodyWaited(source: SourceState, epoch: bigint, sequence: bigint): boolean {
    const read = this.#data.sources.get(source.source);
    if (read == null || read.waitingCount > 0 || read.incarnation !== source.incarnation) return false;
    return read.epoch === null || epoch > read.epoch || (epoch === read.epoch && sequence > read.through);
  }

  /** Whether the source began to count anew within this group: then none of its numbers was known before. */
  #countsAnew(source: SourceState): boolean {
    const read = this.#data.sources.get(source.source);
    return read != null && source.incarnation > read.incarnation;
  }

  /** A window only ever grows towards lower numbers, so that two wishes never take turns in undoing each other. */
  #wantsWindow(source: SourceState, epoch: bigint, after: bigint): NotRead {
    const { source: name, incarnation } = source;
    return new NotRead(`what waits at ${name}`, (r) => {
      const asked = r.waitingNext.get(windowKey(source, epoch));
      r.waitingNext.set(windowKey(source, epoch), {
        source: name,
        incarnation,
        epoch,
        after: asked === undefined || after < asked.after ? after : asked.after,
      });
    });
  }
}

/** Behind it no number is left; the source goes on in a newer epoch. */
const LAST_NUMBER = 2n ** 63n - 1n;

const NO_WINDOW: WaitingWindow = { after: -1n, reaches: null, events: [] };

const keyOf = (waiting: WaitingEvent): string => numberKey(waiting.sourceKey, waiting.incarnation, waiting.epoch, waiting.sequence);

const covers = (window: WaitingWindow, sequence: bigint): boolean => sequence > window.after && (window.reaches === null || sequence <= window.reaches);

const wantsNumber = (source: SourceState, epoch: bigint, sequence: bigint): NotRead =>
  new NotRead(`number ${epoch}.${sequence} of ${source.source}`, (r) => askFor(r.numbers, source.source, `${epoch}.${sequence}`));
