// Promise: the deliveries of a bundle come out as they went in, each for its own position, whatever pieces their file is read in; what does not fit together is told and read as nothing.
// Attack: deliveries of any length and without any byte, positions that nobody asks for and positions without one, files that break off, that are gone, that have more than they should, lines
// that do not follow on one another.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type Deliveries, deliveriesOf } from "../../../src/bundle/deliveries.ts";
import { writeDeliveryLine } from "../../../src/bundle/delivery-line.ts";
import { bundleIn } from "../../../src/bundle/folder.file.ts";
import { FORMAT, type Manifest } from "../../../src/bundle/manifest.ts";
import { SEED } from "../../support/measure.ts";

const home = mkdtempSync(join(tmpdir(), "signalbox-deliveries-"));
mkdirSync(join(home, "log-1"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const [LINES, BYTES] = [join(home, "log-1/deliveries.txt"), join(home, "log-1/deliveries.bin")];
const manifest: Manifest = {
  format: FORMAT,
  site: "s",
  of: { from: 1, to: 9 },
  export: { position: 10, entries: 9 },
  logs: [{ log: 1, origin: "signalbox/s/1", first: 1, size: 10 }],
  definitions: [],
};
const read = (): Deliveries => deliveriesOf(bundleIn(home), manifest, { log: 1 });

interface Delivered {
  readonly position: number;
  readonly bytes: Buffer;
}

function write(delivered: readonly Delivered[]): { readonly lines: string[]; readonly bytes: Buffer } {
  let offset = 0;
  const lines = delivered.map(({ position, bytes: { length } }) => {
    const line = writeDeliveryLine({ position, offset, length });
    offset += length;
    return line;
  });
  const bytes = Buffer.concat(delivered.map((one) => one.bytes));
  writeFileSync(LINES, lines.join(""));
  writeFileSync(BYTES, bytes);
  return { lines, bytes };
}

const FOUR = ["one", "", "three", "4"].map((text, n): Delivered => ({ position: 2 * n + 1, bytes: Buffer.from(text) }));
const all = (deliveries: Deliveries): readonly (string | null)[] => FOUR.map(({ position }) => deliveries.at(position, "")?.toString() ?? null);

describe("deliveries", () => {
  test("come out as they went in, for the positions that have one", () => {
    const length = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 60_000, max: 140_000 }));
    fc.assert(
      fc.property(fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), length }), { maxLength: 12 }), (given) => {
        let position = 0;
        const delivered = given.map(({ gap, length: bytes }, n): Delivered => {
          position += gap;
          return { position, bytes: Buffer.alloc(bytes, n + 1) };
        });
        write(delivered);
        const deliveries = read();
        for (let at = 1; at <= position + 1; at += 1) {
          const wanted = delivered.find((one) => one.position === at)?.bytes ?? null;
          const found = deliveries.at(at, "");
          expect(found === null ? null : wanted?.equals(found)).toBe(wanted === null ? null : true);
        }
        expect(deliveries.rest()).toBeNull();
      }),
      { numRuns: 60, seed: SEED },
    );
  });

  test("that nobody asks for are passed over, and told", () => {
    write(FOUR);
    const deliveries = read();
    expect([deliveries.at(1, "")?.toString(), deliveries.at(5, "")?.toString()]).toEqual(["one", "three"]);
    expect(deliveries.rest()).toBe("one for position 3");
    const early = read();
    expect(early.at(1, "")?.toString()).toBe("one");
    expect(early.rest()).toBe("one for position 3");
  });

  test("of which there are more bytes than lines are told", () => {
    const { bytes } = write(FOUR);
    writeFileSync(BYTES, `${bytes}x`);
    const deliveries = read();
    expect(all(deliveries)).toEqual(["one", "", "three", "4"]);
    expect(deliveries.rest()).toBe("bytes from 9 on");
  });

  test.each([
    ["no line", "one 3 0\n"],
    ["of a position that was before", "1 3 0\n"],
    ["of another byte", "3 2 0\n"],
    ["of a length that is none", "3 3 -1\n"],
  ])("behind a line that is %s are not read, and the line is told", (_, wrong) => {
    const { lines } = write(FOUR);
    writeFileSync(LINES, [lines[0], wrong, ...lines.slice(2)].join(""));
    const deliveries = read();
    expect(all(deliveries)).toEqual(["one", null, null, null]);
    expect(deliveries.rest()).toBe(`the line "${wrong.trim()}", which does not follow on those before it`);
  });

  test("are gone from where their bytes break off, and from the beginning where a file is gone", () => {
    const { bytes } = write(FOUR);
    writeFileSync(BYTES, bytes.subarray(0, 6));
    const broken = read();
    expect(all(broken)).toEqual(["one", "", null, null]);
    expect(broken.rest()).toBeNull();
    for (const file of [BYTES, LINES]) {
      write(FOUR);
      rmSync(file);
      const deliveries = read();
      expect(all(deliveries)).toEqual([null, null, null, null]);
      expect(deliveries.rest()).toBeNull();
    }
  });
});
