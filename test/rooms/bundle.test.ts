// Promise: what is exported to be read says what the entries say, and nothing in it is taken for more than text: no formula in the table, no markup in the page; numbers stay numbers.
// Attack: text that begins as formulas begin, in every spelling that spreadsheets take; numbers with signs and exponents; markup; trees covered from any subtrees.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cover } from "../../src/audit/cover.ts";
import { Frontier } from "../../src/audit/frontier.ts";
import { leafHash } from "../../src/audit/hash.ts";
import { rootOf } from "../../src/audit/tree.ts";
import { cell } from "../../src/bundle/record-csv.ts";
import { escaped } from "../../src/bundle/record-html.ts";
import { shown } from "../../src/bundle/shown.ts";
import { TAR_END, tarHeader, tarPadding } from "../../src/bundle/tar.ts";
import { together } from "../../src/bundle/together.ts";
import { between, readTreeLine, writeTreeLine } from "../../src/bundle/tree-line.ts";

/** Printable ASCII, each character in a word. */
const WORDS = Array.from({ length: 95 }, (_, n) => String.fromCharCode(0x20 + n)).flatMap((c) => [`a${c}b`, `a${c}`, `${c}a`]);

test("a word of a page is as it is written, but for what has a meaning there", () => {
  for (const word of WORDS) expect(escaped(word)).toBe([...word].map((c) => (`&<>"'`.includes(c) ? `&#${c.charCodeAt(0)};` : c)).join(""));
});

describe("a cell of the table", () => {
  test("is a word as it is written, but for what may end a cell or begin a formula", () => {
    for (const word of WORDS) {
      const written = cell(word);
      const front = /^[=+@-]/.test(word) ? "'" : "";
      const within = word.replace(/(?<=[;|])(?=[=+@-])/g, "'");
      const safe = `${front}${within}`;
      expect(written, word).toBe(/[",;|]|^ | $/.test(word) ? `"${safe.replaceAll('"', '""')}"` : safe);
    }
  });
  test.each([
    "=1+1",
    "+cmd",
    "-cmd",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1a",
    "－1a",
    "＠a",
    "-1+1",
    "=-12.5",
    " =1+1",
    "\u00a0=1",
    "\u200d=1",
    "\u00ad@a",
  ])("is no formula: %j", (text) => {
    expect(cell(text).replace(/^"/, "")).toMatch(/^'/);
  });
  test.each(["-12.5", "12.500", "+3", "1e-7", "-.5", "0", "007"])("leaves a number as it is: %s", (text) => {
    expect(cell(text)).toBe(text);
  });
  // opened where lists are separated by semicolons, a reason "ok;=HYPERLINK(…)" had become a formula in a cell of its own
  test.each([
    ["ok;=1+1", "ok;'=1+1"],
    ["ok; =1+1", "ok;' =1+1"],
    ['ok;"=1+1"', 'ok;\'"=1+1"'],
    ["ok\t@SUM(A1)", "ok\t'@SUM(A1)"],
    ["ok\r\n+cmd|x", "ok\r\n'+cmd|x"],
    ["ok|-2+3", "ok|'-2+3"],
    ["ok;＝1", "ok;'＝1"],
    ["=a;=b", "'=a;'=b"],
    ["-5;-3.2;=x", "'-5;-3.2;'=x"],
    ["[1,-5]", "[1,-5]"],
    ["from 3 - 4 = -1", "from 3 - 4 = -1"],
    ["a;'=b", "a;'=b"],
  ])("is no formula within, where something else than commas separates: %j", (text, read) => {
    const written = cell(text);
    expect(written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written).toBe(read);
    expect(written.startsWith('"')).toBe(/[;,|\t\r\n]/.test(text));
  });
  test("is read back as it was, but for apostrophes, by whoever reads RFC 4180; and begins no formula however it is cut", () => {
    const hostile = fc.string({ unit: fc.constantFrom("=", "+", "-", "@", "1", ".", "a", ";", ",", "|", "\t", "\r", "\n", '"', "'", " ") });
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), hostile), (text) => {
        const written = cell(text);
        const read = written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;
        expect(read.replaceAll("'", "")).toBe(shown(text).replaceAll("'", ""));
        expect(/[",;|\r\n\t]/.test(written.startsWith('"') ? "" : written)).toBe(false);
        for (const part of [read, ...read.split(/[;|\t\r\n]/), ...written.split(/[;|\t\r\n]/)])
          expect(part.replace(/^[\s"]*/, "")).not.toMatch(/^(?![+-]?[\d.]+(?:e\d+)?[\s"]*$)[=+\-@]/);
      }),
    );
  });
});

describe("text that is not what it seems", () => {
  test.each([
    ["released \u202edetcejer", "released [U+202E]detcejer"],
    ["\u2066a\u2069\u200f", "[U+2066]a[U+2069][U+200F]"],
    ["a\u0000b\u001b[31m\u0085", "a[U+0000]b[U+001B][31m[U+0085]"],
    ["\ufeff\u200bhidden\u{e0041}", "[U+FEFF][U+200B]hidden[U+E0041]"],
  ])("shows what nobody sees: %j", (text, seen) => {
    expect(shown(text)).toBe(seen);
    expect(escaped(text)).toBe(seen);
    expect(cell(text)).toBe(seen);
  });
  // the documentation had promised that no text reads as another one
  test.each([
    ["letters that look alike", "p\u0430id"],
    ["joiners", "a\u200db\u200c"],
    ["soft hyphens", "re\u00adlease"],
    ["variation selectors", "\u2764\ufe0f"],
    ["a letter with a mark of its own", "e\u0301"],
  ])("is left as it is where it is made of %s, as docs/quality.md says", (_, text) => {
    expect(shown(text)).toBe(text);
  });
  test("is told apart in docs/quality.md", () => {
    const told = readFileSync(new URL("../../docs/quality.md", import.meta.url), "utf8").replaceAll("\n", " ");
    for (const words of ["turn the direction", "joiners, soft hyphens and variation selectors", "Letters that look alike look alike here too"])
      expect(told).toContain(words);
  });
  test.each(["עברית", "العربية", "فارسی\u200cها", "👩\u200d🔬", "tab\tand\nline"])("leaves what is written in any language: %j", (text) => {
    expect(shown(text)).toBe(text);
  });
});

describe("a folder that is appended to", () => {
  // a bundle of 1,200 entries took more than four seconds to its first byte: each line of each file was a write of its own
  test("is written by few long writes, everything once and in order", async () => {
    const written = new Map<string, string[]>();
    const folder = together(async (name, bytes) => {
      written.set(name, [...(written.get(name) ?? []), bytes.toString()]);
    });
    const lines = Array.from({ length: 5_000 }, (_, i) => `line ${i} é\n`);
    for (const [i, line] of lines.entries()) await folder.append(i % 2 === 0 ? "even" : "odd", i % 3 === 0 ? line : Buffer.from(line));
    await folder.end();
    await folder.end();
    for (const [name, rest] of [["even", 0] as const, ["odd", 1] as const]) {
      expect(written.get(name)?.join("")).toBe(lines.filter((_, i) => i % 2 === rest).join(""));
      expect(written.get(name)?.length).toBe(1);
    }
    await folder.append("long", "x".repeat(1_000_000));
    expect(written.get("long")?.length).toBe(1);
  });
});

describe("a folder as one file", () => {
  test("has headers as tar reads them, filled up to whole blocks", () => {
    const header = tarHeader("signalbox-rtm1", "log-1/entries.txt", 1_025);
    expect(header.length).toBe(512);
    expect(header.subarray(257, 263).toString()).toBe("ustar\0");
    expect(Number.parseInt(header.subarray(124, 135).toString(), 8)).toBe(1_025);
    const sum = Number.parseInt(header.subarray(148, 154).toString(), 8);
    expect(header.fill(" ", 148, 156).reduce((total, byte) => total + byte, 0)).toBe(sum);
    expect([tarPadding(1_025).length, tarPadding(1_024).length, TAR_END.length]).toEqual([511, 0, 1_024]);
  });
  test("takes no name that would be cut off", () => {
    expect(() => tarHeader("a", "n".repeat(101), 1)).toThrow(RangeError);
    expect(() => tarHeader("a".repeat(156), "n", 1)).toThrow(RangeError);
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
