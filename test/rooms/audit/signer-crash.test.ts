import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { type Disk, disk } from "../../../src/audit/disk.file.ts";
import { testKey } from "../../support/keys.ts";
import { type Left, memoryDisk, Power, PowerCut } from "../../support/power.ts";
import { recursiveTree } from "./recursive-tree.ts";
import { database, KEY, mirrorOf, run, SITE, signer, type World, world } from "./signer-world.ts";

// Promise: wherever the power fails, the signer goes on afterwards, and no size is ever signed with two roots.
// Attack: the power fails in each single write of a life with batches, a new key and a second log, with nothing, half, all or zeros of that write left; and once more while it goes on. Then the same
// with a database that lost its last entries meanwhile and got others.

const SECOND = testKey(SITE, 2);
const KEYS = [KEY.verifier, SECOND.verifier];

/** The life that is broken off: each line may be where the power fails. */
async function live(at: World): Promise<void> {
  await run(signer(at));
  commitUpTo(at, 5);
  await run(signer(at));
  commitUpTo(at, 9);
  await run(signer(at, { keys: [KEY, SECOND] }));
  commitUpTo(at, 16);
  if (at.db.logs.length === 1) at.db.logs.push({ log: 2, origin: `${SITE}/2`, first: 12 });
  await run(signer(at, { keys: [KEY, SECOND] }));
}

const commitUpTo = (at: World, last: number): void => at.db.commit(Math.max(0, last - Math.max(0, ...at.db.entries.keys())));

/** Every whole note that is in a mirror, by log and size; two roots for one size are a breach. */
async function signedRoots(at: World): Promise<ReadonlyMap<string, string>> {
  const roots = new Map<string, string>();
  for (const log of [1, 2]) {
    for (const note of (await mirrorOf(at, log)).notes) {
      const opened = openCheckpoint(Buffer.from(note), KEYS);
      if (opened.kind === "refused") throw new Error(`the mirror holds a note that is refused: ${opened.because}`);
      const place = `${log}:${opened.checkpoint.size}`;
      const root = opened.checkpoint.root.toString("hex");
      expect(roots.get(place) ?? root, `two roots at ${place}`).toBe(root);
      roots.set(place, root);
    }
  }
  return roots;
}

async function breakOff(at: World, writes: number, left: Left): Promise<void> {
  at.power = new Power(writes, left);
  await expect(live(at)).rejects.toThrow(PowerCut);
  at.power = new Power();
}

async function expectWhole(at: World): Promise<void> {
  const bytes = Array.from({ length: 16 }, (_, i) => at.db.entries.get(i + 1) ?? Buffer.alloc(0));
  const roots = await signedRoots(at);
  expect(roots.get("1:11")).toBe(recursiveTree(bytes.slice(0, 11)).root(0, 11).toString("hex"));
  expect(roots.get("2:5")).toBe(recursiveTree(bytes.slice(11)).root(0, 5).toString("hex"));
  expect(at.db.checkpoints.filter(({ size }) => size === 11 || size === 5).length).toBeGreaterThanOrEqual(2);
  // and everything that the database was given stands in the mirror
  for (const { log, size, note } of at.db.checkpoints) {
    const opened = openCheckpoint(Buffer.from(note), KEYS);
    expect(opened.kind === "opened" && opened.checkpoint.root.toString("hex")).toBe(roots.get(`${log}:${size}`));
  }
}

const lived = world({ batch: 3 });
await live(lived);
const WRITES = lived.power.begun;

test("the life that is broken off has writes of every kind", async () => {
  expect(WRITES).toBeGreaterThan(30);
  await expectWhole(lived);
});

describe.each(["nothing", "half", "all", "zeros"] as const)("the power fails, and %s of the write is left", (left) => {
  test("in each write once: the signer goes on", async () => {
    for (let writes = 0; writes < WRITES; writes += 1) {
      const at = world({ batch: 3 });
      await breakOff(at, writes, left);
      await live(at);
      await expectWhole(at);
    }
  });

  test("in each write, and again while it goes on: the signer goes on", async () => {
    for (let writes = 0; writes < WRITES; writes += 1) {
      for (const more of [0, 2, 5]) {
        const at = world({ batch: 3 });
        await breakOff(at, writes, left);
        at.power = new Power(more, left);
        await live(at).catch((error: unknown) => expect(error).toBeInstanceOf(PowerCut));
        at.power = new Power();
        await live(at);
        await expectWhole(at);
      }
    }
  });
});

test("the power fails, and meanwhile the database has lost its last entries and got others: no size gets a second root", async () => {
  const lefts = fc.constantFrom<Left>("nothing", "half", "all", "zeros");
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: WRITES - 1 }), lefts, fc.integer({ min: 1, max: 16 }), async (writes, left, from) => {
      const at = world({ batch: 3 });
      await breakOff(at, writes, left);
      const before = await signedRoots(at);
      for (const position of [...at.db.entries.keys()]) if (position >= from) at.db.entries.set(position, Buffer.from(`another ${position}`));
      const steps = await run(signer(at, { keys: [KEY, SECOND] }));
      if (steps.at(-1)?.kind === "refused") refused += 1;
      const after = await signedRoots(at);
      for (const [place, root] of before) expect(after.get(place)).toBe(root);
      // what was signed of the log that is signed now, and is other now, must have been noticed; an ended log is not looked at any more
      const signedUpTo = Math.max(0, ...[...before.keys()].map((place) => Number(place.slice(2)) + (place.startsWith("2:") ? 11 : 0)));
      const ended = (await at.disk.read("/state/log-1/state.json", 0, 10_000)).includes('"ended": "complete"');
      if (signedUpTo >= Math.max(from, ended ? 12 : 1)) expect(steps.at(-1)).toMatchObject({ kind: "refused" });
    }),
    { numRuns: 250 },
  );
  expect(refused).toBeGreaterThan(0);
});

describe("on a real disk", () => {
  const home = mkdtempSync(join(tmpdir(), "signalbox-signer-"));
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** The disk of this machine, below a folder. */
  function below(folder: string): Disk {
    const to = (path: string): string => join(home, folder, path);
    return {
      size: (path) => disk.size(to(path)),
      read: (path, from, length) => disk.read(to(path), from, length),
      write: (path, from, bytes) => disk.write(to(path), from, bytes),
      append: (path, bytes) => disk.append(to(path), bytes),
      cut: (path, size) => disk.cut(to(path), size),
      replace: (path, bytes, mode) => disk.replace(to(path), bytes, mode),
      names: (path) => disk.names(to(path)),
    };
  }

  test("the files of a life are the same, byte for byte", async () => {
    const at = world({ batch: 3, disk: below("whole") });
    await live(at);
    await expectWhole(at);
    for (const path of [
      "/state/log-1/leaves",
      "/state/log-1/state.json",
      "/state/log-2/leaves",
      "/state/log-2/state.json",
      "/mirror/log-1.notes",
      "/mirror/log-2.notes",
    ])
      expect((await at.disk.read(path, 0, 100_000)).toString("latin1"), path).toBe((await lived.disk.read(path, 0, 100_000)).toString("latin1"));
  });

  test("the power fails in each fifth write, and half of it is left: the signer goes on", async () => {
    for (let writes = 0; writes < WRITES; writes += 5) {
      const at: World = { db: database(), disk: below(`cut-${writes}`), power: new Power(), batch: 3 };
      await breakOff(at, writes, "half");
      await live(at);
      await expectWhole(at);
    }
  });
});

test("a table of files in memory does what a disk does", async () => {
  const home = mkdtempSync(join(tmpdir(), "signalbox-disk-"));
  const path = (name: string): string => join(home, name);
  try {
    for (const each of [disk, memoryDisk()]) {
      const file = path(`${each === disk ? "real" : "memory"}/deep/file`);
      expect(await each.size(file)).toBe(null);
      expect(await each.read(file, 0, 5)).toHaveLength(0);
      await each.cut(file, 0);
      await each.write(file, 2, Buffer.from("abc"));
      await each.write(file, 1, Buffer.from("z"));
      await each.append(file, Buffer.from("!"));
      expect((await each.read(file, 0, 100)).toString("latin1")).toBe("\0zabc!");
      expect((await each.read(file, 3, 2)).toString()).toBe("bc");
      expect(await each.read(file, 100, 2)).toHaveLength(0);
      await each.cut(file, 3);
      expect(await each.size(file)).toBe(3);
      await each.replace(file, Buffer.from("other"));
      expect((await each.read(file, 0, 100)).toString()).toBe("other");
      expect(await each.names(join(file, ".."))).toEqual(["file"]);
      expect(await each.names(path("nowhere"))).toEqual([]);
    }
    await disk.write(path("r"), 0, Buffer.from("x"));
    await expect(disk.read(path("r/below"), 0, 1)).rejects.toThrow("ENOTDIR");
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
