// Promise: a bundle is decided again commit by commit, from its first position to the last whose commit is whole, whatever parts its files are read in.
// Attack: commits of one entry and of more than are decided at once, ranges that end within one, holes, half an entry at the end, entries longer than a piece of a file and on its border.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { bundleIn } from "../../../src/bundle/folder.file.ts";
import { FORMAT, type Manifest } from "../../../src/bundle/manifest.ts";
import type { LoggedPosition } from "../../../src/replay/recorded.ts";
import { recordedBundle } from "../../../src/replay/recorded-bundle.ts";

const home = mkdtempSync(join(tmpdir(), "signalbox-recorded-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Entries of commits that have so many, each as long as is said. */
function entriesOf(commits: readonly number[], long = 40): { readonly position: number; readonly text: string }[] {
  let position = 0;
  return commits.flatMap((entries) => {
    const base = position;
    return Array.from({ length: entries }, () => {
      position += 1;
      return { position, text: `${JSON.stringify({ site: "s", position, base })}\n{"filler":"${"x".repeat(long)}"}` };
    });
  });
}

const manifestTo = (to: number): Manifest => ({
  format: FORMAT,
  site: "s",
  of: { from: 1, to },
  export: { position: to + 1, entries: to },
  logs: [{ log: 1, origin: "signalbox/s/1", first: 1, size: to + 1 }],
  definitions: [],
  sources: {},
});

async function readAgain(text: string, to: number): Promise<{ readonly parts: (readonly LoggedPosition[])[]; readonly position: number | undefined }> {
  mkdirSync(join(home, "log-1"), { recursive: true });
  writeFileSync(join(home, "log-1/entries.txt"), text);
  const recorded = recordedBundle(bundleIn(home), manifestTo(to));
  const parts: (readonly LoggedPosition[])[] = [];
  for await (const part of recorded?.read() ?? []) parts.push(part);
  return { parts, position: recorded?.position };
}
const written = (entries: readonly { readonly text: string }[]): string => entries.map(({ text }) => `${text}\n`).join("");
const said = (parts: readonly (readonly LoggedPosition[])[]) =>
  parts.flat().map(({ position, entry }) => ({ position, text: Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength).toString() }));

describe("a bundle", () => {
  test("gives every entry as it stands, and never half a commit", async () => {
    const commits = [3, 499, 1, 700, 2, 500, 1];
    const entries = entriesOf(commits);
    const { parts, position } = await readAgain(written(entries), 1_705);
    expect(position).toBe(1_705);
    expect(said(parts)).toEqual(entries.slice(0, 1_705));
    // 502 after two commits, and where the fourth ends
    expect(parts.map(({ length }) => length)).toEqual([502, 701, 502, 0]);
  });
  test.each([
    ["one entry before the end of a commit", 9, 4],
    ["one entry behind the beginning of a commit", 5, 4],
    ["at the end of a commit", 4, 4],
    ["in the first commit", 2, 0],
  ])("of a range that ends %s is read up to the last whole one", async (_, to, through) => {
    const entries = entriesOf([4, 6, 1]);
    // the export is on record somewhere behind
    const { position, parts } = await readAgain(written([...entries.slice(0, to), ...(to === through ? entries.slice(to, to + 1) : [])]), to);
    expect([position, said(parts)]).toEqual([through, entries.slice(0, through)]);
  });
  test("with a hole is read up to the last whole commit before it", async () => {
    const entries = entriesOf([4, 6, 1, 1]);
    const { position, parts } = await readAgain(written(entries.filter((one) => one.position !== 7)), 11);
    expect([position, said(parts)]).toEqual([4, entries.slice(0, 4)]);
  });
  test("that breaks off within an entry is read up to the last whole commit before it", async () => {
    const entries = entriesOf([4, 6, 1]);
    const { position } = await readAgain(`${written(entries.slice(0, 10))}${entries[10]?.text.split("\n")[0]}\n`, 10);
    expect(position).toBe(4);
  });
  test.each([0, 1, 2, 40, 60_000, 65_536, 200_000])("whose entries are %i bytes longer than others is read as it stands", async (long) => {
    const entries = entriesOf([1, 2, 3, 1], long);
    const { parts } = await readAgain(written(entries), 6);
    expect(said(parts)).toEqual(entries.slice(0, 6));
  });
});

test("a file is read in lines and in pairs of lines, wherever its pieces end", () => {
  const folder = bundleIn(home);
  const line = fc.integer({ min: 0, max: 50_000 }).map((length) => "y".repeat(length));
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 12 }), (lines) => {
      writeFileSync(join(home, "text"), lines.map((one) => `${one}\n`).join(""));
      expect([...folder.lines("text")].map(String)).toEqual(lines);
      const pairs = lines.flatMap((_, i) => (i % 2 === 1 ? [] : [lines.slice(i, i + 2).join("\n")]));
      expect([...folder.pairs("text")].map(String)).toEqual(pairs);
    }),
    { numRuns: 40 },
  );
});
