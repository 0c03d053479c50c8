import { describe, expect, test } from "vitest";
import { rowsIn } from "../../../src/db/copy-out.ts";

/** As Postgres writes it: the signature, flags, what else stands there, and for each column its length before it. */
function copyOf(rows: readonly (readonly (string | null)[])[], more = ""): Buffer {
  const integer = (value: number): Buffer => Buffer.from([value >> 24, value >> 16, value >> 8, value]);
  const small = (value: number): Buffer => Buffer.from([value >> 8, value]);
  const columns = (row: readonly (string | null)[]): Buffer[] =>
    row.map((hex) => (hex === null ? integer(-1) : Buffer.concat([integer(hex.length / 2), Buffer.from(hex, "hex")])));
  return Buffer.concat([
    Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"),
    integer(0),
    integer(more.length / 2),
    Buffer.from(more, "hex"),
    ...rows.flatMap((row) => [small(row.length), ...columns(row)]),
    small(-1),
  ]);
}

describe("a copy in binary", () => {
  test("gives the bytes of each column, none of none, and null where there is no value", () => {
    const rows = [
      ["0000000000000001", "00ff80"],
      ["0000000000000002", ""],
      [null, "ff"],
    ];
    const read = rowsIn(copyOf(rows, "abcdef")).map((row) => row.map((column) => column?.toString("hex") ?? null));
    expect(read).toEqual(rows);
    expect(rowsIn(copyOf([]))).toEqual([]);
  });
  test("that ends too soon is refused, wherever it ends", () => {
    const whole = copyOf([
      ["0000000000000001", "00ff80"],
      ["0000000000000002", null],
    ]);
    for (let end = 0; end < whole.length; end += 1) expect(() => rowsIn(whole.subarray(0, end)), `cut to ${end} bytes`).toThrow(RangeError);
  });
});
