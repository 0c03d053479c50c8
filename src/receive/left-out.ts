// Deliveries beyond their quota, held together until one signal tells of all of them. None is acknowledged before that is committed.
import type { Delivery } from "./delivery.ts";
import { RECEIVE_MAXIMUM, type Slot } from "./window.ts";

/** What was left out of one branch, as it goes on record. */
export interface LeftOut {
  readonly count: number;
  readonly bytes: number;
  /** When the first and the last came: RFC 3339, the database's clock. */
  readonly from: string;
  readonly to: string;
  /** Who the first claims to be, as far as it could be read; the last is the delivery that stands for all. Absent: there was only one, or nothing could be read. */
  readonly first?: { readonly source?: string; readonly id?: string; readonly epoch?: string; readonly sequence?: string };
}

/** What is held of one branch: the first and the last delivery, and of the others only that they came. */
export interface Held {
  readonly first: Delivery;
  readonly last: Delivery;
  readonly count: number;
  readonly bytes: number;
  readonly from: string;
  readonly to: string;
  readonly slots: readonly Slot[];
}

/**
 * How long it is held: a second, so that a flood is one signal a second and branch. But PUBACKs go out in order of arrival: what is settled behind a held delivery is held back with it, and
 * once the broker has as many open as it may, nobody's deliveries come any more. So it is told of earlier when an eighth of the session's receive maximum, or a quarter
 * of the bytes that a connection holds, is open; or when nothing comes for much longer than the pace at which it came, since a broker of another setting may have reached its own bound.
 */
export const HOLD = { ms: 1_000, unacknowledged: RECEIVE_MAXIMUM / 8, bytes: 4 * 1024 * 1024, quiet: { paces: 8, least: 10, ofOne: 100 } } as const;

type Holding = { -readonly [K in keyof Held]: Held[K] } & { readonly slots: Slot[] };

export class LeftOuts {
  readonly #held = new Map<string, Holding>();
  #count = 0;
  #bytes = 0;
  #since = 0;
  #last = 0;
  #heard = 0;

  /** Something came, of whatever branch: the broker still sends. */
  heard(now: number): void {
    this.#heard = now;
  }

  /** @param name what is held together @param at when it came, as it goes on record */
  add(name: string, delivery: Delivery, slot: Slot | null, at: string, now: number): void {
    const bytes = delivery.payload.byteLength;
    if (this.#count === 0) this.#since = now;
    this.#count += 1;
    this.#bytes += bytes;
    this.#last = now;
    const held = this.#held.get(name);
    if (held === undefined) {
      this.#held.set(name, { first: delivery, last: delivery, count: 1, bytes, from: at, to: at, slots: slot === null ? [] : [slot] });
      return;
    }
    held.last = delivery;
    held.count += 1;
    held.bytes += bytes;
    if (at > held.to) held.to = at;
    if (slot !== null) held.slots.push(slot);
  }

  /** In how many milliseconds what is held must be told of; null: nothing is held. */
  dueIn(now: number, unacknowledged: number): number | null {
    if (this.#count === 0) return null;
    if (Math.max(this.#count, unacknowledged) >= HOLD.unacknowledged || this.#bytes >= HOLD.bytes) return 0;
    const { paces, least, ofOne } = HOLD.quiet;
    const quiet = this.#count === 1 ? ofOne : Math.max(least, (paces * (this.#last - this.#since)) / (this.#count - 1));
    return Math.max(0, Math.min(this.#since + HOLD.ms, Math.max(this.#heard, this.#last) + quiet) - now);
  }

  /** All that is held, which is held here no more. */
  take(): readonly Held[] {
    const all = [...this.#held.values()];
    this.#held.clear();
    this.#count = 0;
    this.#bytes = 0;
    return all;
  }
}
