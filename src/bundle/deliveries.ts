import { type DeliveryLine, readDeliveryLine } from "./delivery-line.ts";
import type { BundleFolder } from "./folder.file.ts";
import { type BundledLog, FILES, type Manifest } from "./manifest.ts";

/** The deliveries of a log, asked for in the order of their positions. */
export interface Deliveries {
  /** The bytes that are there for a position, whose entry names their hash; null: there are none. */
  at(position: number, sha256: string): Buffer | null;
  /** The file in which they stand. */
  fileOf(sha256: string): string;
  /** What is there and belongs to no position that was asked for; null: nothing. */
  rest(): string | null;
}

export const deliveriesOf = (folder: BundleFolder, { format }: Manifest, { log }: Pick<BundledLog, "log">): Deliveries =>
  format === "signalbox-bundle/1" ? byHash(folder) : new InOrder(folder, log);

/** Until format 1 each had a file of its own, so that equal ones shared theirs. */
const byHash = (folder: BundleFolder): Deliveries => ({
  at: (_, sha256) => (/^[0-9a-f]{64}$/.test(sha256) ? folder.bytes(FILES.delivery(sha256)) : null),
  fileOf: FILES.delivery,
  rest: () => null,
});

class InOrder implements Deliveries {
  readonly #log: number;
  readonly #lines: Iterator<Buffer>;
  readonly #pieces: Iterator<Buffer>;
  #line: DeliveryLine | null;
  /** What was read and not yet given. */
  #piece: Buffer = Buffer.alloc(0);
  #offset = 0;
  #rest: string | null = null;
  /** A file is gone, or broken off: what else does not fit together comes of that. */
  #gone: boolean;

  constructor(folder: BundleFolder, log: number) {
    const [lines, bytes] = [FILES.deliveryLines(log), FILES.deliveries(log)];
    this.#log = log;
    this.#lines = (folder.has(lines) ? folder.lines(lines) : [])[Symbol.iterator]();
    this.#pieces = (folder.has(bytes) ? folder.pieces(bytes) : [])[Symbol.iterator]();
    this.#gone = !folder.has(lines);
    this.#line = this.#next(0);
  }

  at(position: number): Buffer | null {
    while (this.#line !== null && this.#line.position < position) {
      this.#rest ??= `one for position ${this.#line.position}`;
      this.#taken(this.#line);
    }
    return this.#line?.position === position ? this.#taken(this.#line) : null;
  }

  fileOf(): string {
    return FILES.deliveries(this.#log);
  }

  rest(): string | null {
    if (this.#gone) return null;
    if (this.#line !== null) this.#rest ??= `one for position ${this.#line.position}`;
    if (this.#rest === null && this.#take(1).length > 0) this.#rest = `bytes from ${this.#offset - 1} on`;
    return this.#rest;
  }

  /** Null where they break off; then nothing that follows is there either. */
  #taken({ position, length }: DeliveryLine): Buffer | null {
    const bytes = this.#take(length);
    this.#gone ||= bytes.length < length;
    this.#line = this.#gone ? null : this.#next(position);
    return this.#gone ? null : bytes;
  }

  /** The next line; behind one that does not follow on those before it nothing is read. */
  #next(after: number): DeliveryLine | null {
    const next = this.#lines.next();
    if (next.done === true) return null;
    const text = next.value.toString("latin1");
    const line = readDeliveryLine(text);
    if (line !== null && line.position > after && line.offset === this.#offset) return line;
    this.#rest ??= `the line "${text.slice(0, 60)}", which does not follow on those before it`;
    return null;
  }

  /** So many of the bytes that follow, as far as there are any. What lies within one piece is not copied. */
  #take(length: number): Buffer {
    const taken: Buffer[] = [];
    let missing = length;
    for (;;) {
      const part = this.#piece.subarray(0, missing);
      this.#piece = this.#piece.subarray(part.length);
      taken.push(part);
      missing -= part.length;
      if (missing === 0) break;
      const next = this.#pieces.next();
      if (next.done === true) break;
      this.#piece = next.value;
    }
    this.#offset += length - missing;
    const [only, another] = taken;
    return only !== undefined && another === undefined ? only : Buffer.concat(taken);
  }
}
