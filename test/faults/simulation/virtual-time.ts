import type { Time } from "../../../src/ops/time.ts";

interface Due {
  readonly at: number;
  readonly place: number;
  readonly run: () => void;
  off: boolean;
}

/**
 * Everything that JavaScript has queued for after the running callback is done before the next one begins: this makes a run depend on the order of events alone. A tick asked for
 * from within a microtask comes when no microtask is left; a turn of the event loop would say the same, at twice the price.
 */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/**
 * A clock that stands still while code runs and jumps to whatever is due next. Of two things due at the same time the one that was asked for first comes first, so a run depends on
 * nothing but its seed.
 */
export class VirtualTime implements Time {
  readonly #due: Due[] = [];
  readonly #chance: () => number;
  #now: number;
  #places = 0;

  constructor(start: number, chance: () => number) {
    this.#now = start;
    this.#chance = chance;
  }

  now(): number {
    return this.#now;
  }

  chance(): number {
    return this.#chance();
  }

  after(ms: number, run: () => void): () => void {
    this.#places += 1;
    const due: Due = { at: this.#now + Math.max(0, ms), place: this.#places, run, off: false };
    this.#push(due);
    return () => {
      due.off = true;
    };
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  every(ms: number, run: () => void): () => void {
    let callOff: () => void = () => {};
    const again = (): void => {
      callOff = this.after(ms, () => {
        again();
        run();
      });
    };
    again();
    return () => callOff();
  }

  /** Runs what is due, in order, until `done` or so many milliseconds have passed. */
  async run(ms: number, done: () => boolean = () => false): Promise<void> {
    const end = this.#now + ms;
    await settled();
    while (!done()) {
      const next = this.#pop();
      if (next === undefined || next.at > end) {
        if (next !== undefined) this.#push(next);
        this.#now = end;
        return;
      }
      if (next.off) continue;
      this.#now = next.at;
      next.run();
      await settled();
    }
  }

  // a binary heap by time, then by place
  #push(due: Due): void {
    const heap = this.#due;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || before(above, due)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#due;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const [child, place] = other !== undefined && before(other, one) ? [other, left + 1] : [one, left];
      if (before(last, child)) break;
      heap[at] = child;
      at = place;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.place < b.place);
