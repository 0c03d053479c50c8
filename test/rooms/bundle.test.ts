// Promise: what is exported to be read says what the entries say, and nothing in it is taken for more than text: no formula in the table, no markup in the page; numbers stay numbers.
// Attack: text that begins as formulas begin, in every spelling that spreadsheets take; numbers with signs and exponents; markup; trees covered from any subtrees.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cover } from "../../src/audit/cover.ts";
import { Frontier } from "../../src/audit/frontier.ts";
import { leafHash } from "../../src/audit/hash.ts";
import { rootOf } from "../../src/audit/tree.ts";
import { cell } from "../../src/bundle/record-csv.ts";
import { escaped } from "../../src/bundle/record-html.ts";
import { between, readTreeLine, writeTreeLine } from "../../src/bundle/tree-line.ts";

describe("a cell of the table", () => {
  test.each(["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1a", "－1a", "＠a", "-1+1", "=-12.5"])("is no formula: %j", (text) => {
    expect(cell(text).replace(/^"/, "")).toMatch(/^'/);
  });
  test.each(["-12.5", "12.500", "+3", "1e-7", "-.5", "0", "007"])("leaves a number as it is: %s", (text) => {
    expect(cell(text)).toBe(text);
  });
  test("is read back as it was by whoever reads RFC 4180", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const written = cell(text);
        const read = written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;
        expect([text, `'${text}`]).toContain(read);
        expect(/[",\r\n]/.test(written.startsWith('"') ? "" : written)).toBe(false);
      }),
    );
  });
});

test("no text becomes markup in the page", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("<", ">", "&", '"', "'", "a") }), (text) => {
      expect(escaped(text)).not.toMatch(/[<>"']|&(?!#\d+;)/);
    }),
  );
});

describe("a tree that is covered by any chosen leaves and what lies between them", () => {
  test("has the root that its leaves give, and its lines are read as they were written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.array(fc.nat(599), { maxLength: 12 }), (size, wanted) => {
        const leaves = Array.from({ length: size }, (_, i) => leafHash(Buffer.from(String(i))));
        const tree = new Frontier();
        const roots = new Map<string, Buffer>();
        for (const leaf of leaves) tree.append(leaf, ({ level, index }, root) => roots.set(`${level}:${index}`, root));
        const cover = new Cover();
        const put = (begin: number, end: number): void => {
          for (const subtree of between(begin, end)) {
            const hash = roots.get(`${subtree.level}:${subtree.index}`) ?? Buffer.alloc(0);
            const line = { subtree, hash, position: null };
            expect(readTreeLine(writeTreeLine(line).trimEnd())).toEqual(line);
            cover.put(subtree, hash);
            expect(cover.root()).toEqual(rootOf({ begin: 0, end: cover.size }, ({ level, index }) => roots.get(`${level}:${index}`) ?? Buffer.alloc(0)));
          }
        };
        const chosen = [...new Set(wanted.filter((index) => index < size))].sort((one, other) => one - other);
        let at = 0;
        for (const index of chosen) {
          put(at, index);
          put(index, index + 1);
          at = index + 1;
        }
        put(at, size);
        expect([cover.size, cover.root()]).toEqual([size, tree.root()]);
      }),
    );
  });
  test("takes no subtree that does not follow on what is there", () => {
    const cover = new Cover();
    expect(cover.fits({ level: 0, index: 1 })).toBe(false);
    expect(() => cover.put({ level: 1, index: 1 }, leafHash(Buffer.alloc(1)))).toThrow(RangeError);
    cover.put({ level: 0, index: 0 }, leafHash(Buffer.alloc(1)));
    expect([cover.fits({ level: 1, index: 0 }), cover.fits({ level: 0, index: 1 })]).toEqual([false, true]);
  });
});
