import type { Connection, Submittable } from "pg";

/** The columns of a row, as Postgres sends them in binary: an int8 is eight bytes, a bytea itself. */
export type Copied = readonly (Buffer | null)[];

/** How a statement begins whose rows come so. The driver reads every other answer as text, bytes as their hexadecimal digits, which costs both sides more than twice as much. It takes no parameters (`sql.lit`). */
const COPY = "copy (";

export const isCopy = (statement: string): boolean => statement.startsWith(COPY);

/** `copy (…) to stdout (format binary)`: all rows, once the last has come. `submit` is the query of a connection. */
export function copyOut(
  statement: string,
  submit: (copy: Submittable) => unknown,
): Promise<{ readonly command: "COPY"; readonly rowCount: number; readonly rows: Copied[] }> {
  const copied = new Promise<Buffer>((resolve, reject) => {
    submit(new CopyOut(statement, (error, all) => (error === null ? resolve(all) : reject(error))));
  });
  return copied.then(rowsIn).then((rows) => ({ command: "COPY", rowCount: rows.length, rows }));
}

/** A statement as the driver asks for it: it calls these, and puts a `callback` of its own before ours that calls off its time-out. */
class CopyOut implements Submittable {
  readonly #statement: string;
  readonly #chunks: Buffer[] = [];
  callback: (error: Error | null, copied: Buffer) => void;

  constructor(statement: string, done: (error: Error | null, copied: Buffer) => void) {
    this.#statement = statement;
    this.callback = done;
  }

  submit(connection: Connection): void {
    connection.query(this.#statement);
  }

  /** What comes stands in a buffer that the driver uses again. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.#chunks.push(Buffer.from(chunk));
  }

  handleError(error: Error): void {
    this.callback(error, Buffer.alloc(0));
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.callback(null, Buffer.concat(this.#chunks));
  }
}

/** The signature, four bytes of flags, and the length of what else stands before the first row. */
const BEFORE = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");

/** Throws a RangeError where the bytes end before the rows do. */
export function rowsIn(copied: Buffer): Copied[] {
  if (!copied.subarray(0, BEFORE.length).equals(BEFORE)) throw new RangeError("this is no binary copy");
  let at = BEFORE.length + 4;
  const integer = (): number => {
    at += 4;
    return copied.readInt32BE(at - 4);
  };
  const more = integer();
  at += more;
  const rows: Copied[] = [];
  for (let columns = copied.readInt16BE(at); columns !== -1; columns = copied.readInt16BE(at)) {
    at += 2;
    rows.push(
      Array.from({ length: columns }, () => {
        const length = integer();
        if (length === -1) return null;
        at += length;
        if (at > copied.length) throw new RangeError("the copy ends within a row");
        return copied.subarray(at - length, at);
      }),
    );
  }
  return rows;
}
