// What is remembered for good of every event, in few bytes and beside the heap: as objects it is most of a long record, and the garbage collector goes over it again and again.
import { refuse } from "./refuse.ts";
import type { LastRound } from "./rows.ts";

/** An id hash (sequence/identity.ts) and a digest, in words of four bytes. */
const HASH = 5;
const DIGEST = 8;
/** Number of the source, hash, digest. */
const ROW = 1 + HASH + DIGEST;

/** Which ids were seen, of which content, and where: a table of rows, and beside it the slots in which a row's number is looked for. */
export class Ids {
  #size = 0;
  /** A row's number plus one; 0: free. At most half of them are taken. */
  #slots = new Uint32Array(2_048);
  #rows = new Uint32Array(1_024 * ROW);
  #bytes = Buffer.from(this.#rows.buffer);
  #positions = new Float64Array(1_024);
  readonly #sources: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** By row: a digest that is none of the usual length. */
  readonly #unusual = new Map<number, string>();
  readonly #sought = new Uint32Array(HASH);
  readonly #soughtBytes = Buffer.from(this.#sought.buffer);

  get size(): number {
    return this.#size;
  }

  has(source: string, hash: string): boolean {
    return this.#rowOf(source, hash) >= 0;
  }

  get(source: string, hash: string): { readonly position: number; readonly digest: string } | undefined {
    const row = this.#rowOf(source, hash);
    return row < 0 ? undefined : { position: this.#positions[row] ?? 0, digest: this.#digestOf(row) };
  }

  add(source: string, hash: string, position: number, digest: string): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    if (!this.#seek(hash)) throw new Error(`${hash} is no hash of an id`);
    const number = this.#numberOf(source);
    const slot = this.#slotOf(number);
    if (this.#rowAt(slot) >= 0) refuse(`id ${source} ${hash} twice`);
    const row = this.#size;
    this.#rows[row * ROW] = number;
    this.#rows.set(this.#sought, row * ROW + 1);
    this.#positions[row] = position;
    const usual = digest.length === DIGEST * 8 && this.#bytes.write(digest, digestAt(row), "hex") === DIGEST * 4;
    if (!usual) this.#unusual.set(row, digest);
    this.#slots[slot] = row + 1;
    this.#size += 1;
  }

  *[Symbol.iterator](): Generator<{ readonly source: string; readonly hash: string; readonly position: number; readonly digest: string }> {
    for (let row = 0; row < this.#size; row += 1)
      yield {
        source: this.#sources[this.#rows[row * ROW] ?? 0] ?? "",
        hash: this.#bytes.toString("hex", digestAt(row) - HASH * 4, digestAt(row)),
        position: this.#positions[row] ?? 0,
        digest: this.#digestOf(row),
      };
  }

  #digestOf(row: number): string {
    return this.#unusual.get(row) ?? this.#bytes.toString("hex", digestAt(row), digestAt(row) + DIGEST * 4);
  }

  #numberOf(source: string): number {
    const known = this.#numbers.get(source);
    if (known !== undefined) return known;
    const number = this.#sources.push(source) - 1;
    this.#numbers.set(source, number);
    return number;
  }

  /** Below 0: none. */
  #rowOf(source: string, hash: string): number {
    const number = this.#numbers.get(source);
    return number === undefined || !this.#seek(hash) ? -1 : this.#rowAt(this.#slotOf(number));
  }

  /** Whether it is a hash at all. */
  #seek(hash: string): boolean {
    return hash.length === HASH * 8 && this.#soughtBytes.write(hash, "hex") === HASH * 4;
  }

  #rowAt(slot: number): number {
    return (this.#slots[slot] ?? 0) - 1;
  }

  /** Where the row of what is sought stands, or would. A hash is chance enough by its first word. */
  #slotOf(source: number): number {
    let slot = firstSlot(this.#slots, this.#sought[0] ?? 0, source);
    for (let row = this.#rowAt(slot); row >= 0 && !this.#isSought(row, source); row = this.#rowAt(slot)) slot = (slot + 1) & (this.#slots.length - 1);
    return slot;
  }

  #isSought(row: number, source: number): boolean {
    const at = row * ROW;
    if (this.#rows[at] !== source) return false;
    for (let word = 0; word < HASH; word += 1) if (this.#rows[at + 1 + word] !== this.#sought[word]) return false;
    return true;
  }

  #grow(): void {
    const [rows, positions] = [this.#rows, this.#positions];
    this.#rows = new Uint32Array(rows.length * 2);
    this.#rows.set(rows);
    this.#bytes = Buffer.from(this.#rows.buffer);
    this.#positions = new Float64Array(positions.length * 2);
    this.#positions.set(positions);
    const slots = new Uint32Array(this.#slots.length * 2);
    for (let row = 0; row < this.#size; row += 1) {
      let slot = firstSlot(slots, rows[row * ROW + 1] ?? 0, rows[row * ROW] ?? 0);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = row + 1;
    }
    this.#slots = slots;
  }
}

const firstSlot = (slots: Uint32Array, word: number, source: number): number => (word ^ Math.imul(source, 0x9e37_79b1)) & (slots.length - 1);

/** Where a row's digest begins among the bytes. */
const digestAt = (row: number): number => (row * ROW + 1 + HASH) * 4;

/** A text that holds nothing but itself: one that was cut out of a longer one holds all of that, as what an event says holds its whole payload. */
export const ownText = <T extends string | null>(text: T): T | string => (text === null ? text : Buffer.from(text).toString());

/** Which numbers were taken, and where, by the key of a number (decide/world-data.ts): within a source's incarnation and epoch they are small integers in a map, of which none is an object. */
export class Numbers {
  readonly #ofEpoch = new Map<string, Map<number | string, number>>();

  get size(): number {
    let size = 0;
    for (const { size: ofEpoch } of this.#ofEpoch.values()) size += ofEpoch;
    return size;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  get(key: string): number | undefined {
    const at = key.lastIndexOf(".");
    return this.#ofEpoch.get(key.slice(0, at))?.get(small(key.slice(at + 1)));
  }

  set(key: string, position: number): void {
    const at = key.lastIndexOf(".");
    const epoch = key.slice(0, at);
    const known = this.#ofEpoch.get(epoch);
    if (known === undefined) this.#ofEpoch.set(epoch, new Map([[small(key.slice(at + 1)), position]]));
    else known.set(small(key.slice(at + 1)), position);
  }

  *[Symbol.iterator](): Generator<readonly [key: string, position: number]> {
    for (const [epoch, numbers] of this.#ofEpoch) for (const [number, position] of numbers) yield [`${epoch}.${number}`, position];
  }
}

/** A number as a number where none is lost by it. */
const small = (digits: string): number | string => (digits.length < 16 ? Number(digits) : digits);

/** A position that is no longer one of a long record is a wrong one, and is not made room for. */
const FAR = 1_000_000_000;

/** The last round of each event, by its first position. Nearly all have one only, at that position: of those it is held which of the few that there can be it is. */
export class LastRounds {
  #kinds = new Uint16Array(1_024);
  readonly #rounds: LastRound[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #others = new Map<number, LastRound>();

  get(event: number): LastRound | undefined {
    const kind = this.#rounds[(this.#kinds[event] ?? 0) - 1];
    if (kind === undefined) return this.#others.get(event);
    const { round, status, code, final, first } = kind;
    return { position: event, round, status, code, final, first };
  }

  set(event: number, round: LastRound): void {
    if (round.position !== event || round.first !== null || event > FAR) {
      this.#kinds[event] = 0;
      this.#others.set(event, round);
      return;
    }
    if (event >= this.#kinds.length) {
      const kinds = new Uint16Array(event * 2);
      kinds.set(this.#kinds);
      this.#kinds = kinds;
    }
    this.#kinds[event] = this.#numberOf(round);
  }

  #numberOf(round: LastRound): number {
    const { round: number, status, code, final } = round;
    const name = `${number} ${status} ${code} ${final}`;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const fresh = this.#rounds.push(round);
    this.#numbers.set(name, fresh);
    return fresh;
  }
}
