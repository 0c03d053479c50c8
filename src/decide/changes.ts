// What a group has changed in its world, kept so that a signal whose judgement throws leaves no trace.
import { NotRead } from "./world-request.ts";

export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

export class Changes {
  readonly #undo: (() => void)[] = [];
  /** How many attempts are under way, one within another. */
  #attempts = 0;

  /** Runs `judge`; if it throws anything but a wish to read more, every change it made is taken back and the error is returned. */
  attempt<T>(judge: () => T): Attempt<T> {
    // what came before cannot be taken back any more, and is not held for it
    if (this.#attempts === 0) this.#undo.length = 0;
    const mark = this.#undo.length;
    this.#attempts += 1;
    try {
      return { ok: true, value: judge() };
    } catch (error) {
      if (error instanceof NotRead) throw error;
      while (this.#undo.length > mark) this.#undo.pop()?.();
      return { ok: false, error };
    } finally {
      this.#attempts -= 1;
    }
  }

  set<K, V>(map: Map<K, V>, key: K, value: V): void {
    const before = map.get(key);
    map.set(key, value);
    this.#undo.push(() => {
      if (before !== undefined) map.set(key, before);
      else map.delete(key);
    });
  }

  delete<K, V>(map: Map<K, V>, key: K): void {
    const before = map.get(key);
    map.delete(key);
    this.#undo.push(() => before !== undefined && map.set(key, before));
  }

  add<T>(set: Set<T>, value: T): void {
    if (set.has(value)) return;
    set.add(value);
    this.#undo.push(() => set.delete(value));
  }
}
