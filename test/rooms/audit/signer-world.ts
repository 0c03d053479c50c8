import { dirname } from "node:path";
import type { Disk } from "../../../src/audit/disk.file.ts";
import { readMirror } from "../../../src/audit/mirror.ts";
import type { SigningKey } from "../../../src/audit/note-key.ts";
import type { Log } from "../../../src/audit/signer.ts";
import type { SignerOptions, Step } from "../../../src/audit/signer-options.ts";
import { signerFiles } from "../../../src/audit/signer-state.file.ts";
import { createSigner } from "../../../src/audit/signing.ts";
import type { Tile } from "../../../src/audit/tiles.ts";
import { testKey } from "./keys.ts";

// A signer with a database and a disk that are tables in memory, and a power supply that can fail in the middle of anything that is written.

export class PowerCut extends Error {}

/** How much of the write in which the power fails is there afterwards: nothing, its first half, all of it, or as many zeros. */
export type Left = "nothing" | "half" | "all" | "zeros";

export class Power {
  /** Writes until the power fails. */
  private writes: number;
  private readonly left: Left;
  /** Writes that were begun. */
  begun = 0;
  private out = false;

  constructor(writes = Number.POSITIVE_INFINITY, left: Left = "nothing") {
    this.writes = writes;
    this.left = left;
  }

  /** `write` is told how much to write. */
  async during(write: (left: Left) => Promise<void>): Promise<void> {
    if (this.out) throw new PowerCut("there is no power");
    this.begun += 1;
    this.writes -= 1;
    if (this.writes >= 0) return write("all");
    this.out = true;
    if (this.left !== "nothing") await write(this.left);
    throw new PowerCut("the power failed");
  }
}

export function memoryDisk(files = new Map<string, Buffer>()): Disk & { readonly files: Map<string, Buffer> } {
  const held = (path: string): Buffer => files.get(path) ?? Buffer.alloc(0);
  return {
    files,
    size: async (path) => files.get(path)?.length ?? null,
    read: async (path, from, length) => Buffer.from(held(path).subarray(from, from + length)),
    async write(path, from, bytes) {
      const after = Buffer.alloc(Math.max(held(path).length, from + bytes.length));
      held(path).copy(after);
      after.set(bytes, from);
      files.set(path, after);
    },
    append: async (path, bytes) => void files.set(path, Buffer.concat([held(path), bytes])),
    cut: async (path, size) => void (files.has(path) && files.set(path, held(path).subarray(0, size))),
    replace: async (path, bytes) => void files.set(path, Buffer.from(bytes)),
    names: async (path) => [
      ...new Set([...files.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1).split("/")[0] ?? "")),
    ],
  };
}

/** The same disk on a power supply. */
export function powered(disk: Disk, power: Power): Disk {
  const part = (bytes: Uint8Array, left: Left): Uint8Array =>
    left === "zeros" ? Buffer.alloc(bytes.length) : left === "half" ? bytes.subarray(0, bytes.length >> 1) : bytes;
  return {
    ...disk,
    write: (path, from, bytes) => power.during((left) => disk.write(path, from, part(bytes, left))),
    append: (path, bytes) => power.during((left) => disk.append(path, part(bytes, left))),
    cut: (path, size) => power.during((left) => (left === "all" ? disk.cut(path, size) : Promise.resolve())),
    replace: (path, bytes, mode) =>
      power.during((left) => (left === "all" ? disk.replace(path, bytes, mode) : disk.replace(`${dirname(path)}/.torn.new`, bytes, mode))),
  };
}

export interface Database {
  logs: Log[];
  /** By position. */
  readonly entries: Map<number, Buffer>;
  readonly checkpoints: { readonly log: number; readonly size: number; readonly note: string }[];
  readonly tiles: Map<string, Tile>;
  /** Commits so many entries. */
  commit(count: number): void;
}

export const SITE = "signalbox/rtm1";

export function database(first = 1): Database {
  const entries = new Map<number, Buffer>();
  return {
    logs: [{ log: 1, origin: `${SITE}/1`, first }],
    entries,
    checkpoints: [],
    tiles: new Map(),
    commit(count) {
      const from = Math.max(first - 1, ...entries.keys()) + 1;
      for (let position = from; position < from + count; position += 1) entries.set(position, Buffer.from(`{"position":${position}}\n{}`));
    },
  };
}

export interface World {
  readonly db: Database;
  readonly disk: Disk;
  power: Power;
  /** Entries that a step sees at most. */
  readonly batch: number;
}

export const world = (change: Partial<World> = {}): World => ({ db: database(), disk: memoryDisk(), power: new Power(), batch: 1_000, ...change });

export const KEY: SigningKey = testKey(SITE);

export function signer(at: World, change: Partial<SignerOptions> = {}): { step(): Promise<Step> } {
  const { db } = at;
  return createSigner({
    files: signerFiles({ disk: powered(at.disk, at.power), state: "/state", mirror: "/mirror" }),
    keys: [KEY],
    adopt: false,
    async look({ log, after, again }) {
      const positions = [...db.entries.keys()].sort((one, other) => one - other);
      const entriesAt = (wanted: (position: number) => boolean): { position: number; bytes: Buffer }[] =>
        positions.filter(wanted).map((position) => ({ position, bytes: db.entries.get(position) ?? Buffer.alloc(0) }));
      return {
        logs: db.logs,
        last: positions.at(-1) ?? 0,
        again: entriesAt((position) => again.some(([from, to]) => position >= from && position <= to)),
        next: after === null ? [] : entriesAt((position) => position > after).slice(0, at.batch),
        handed: Math.max(0, ...db.checkpoints.filter((checkpoint) => checkpoint.log === log).map(({ size }) => size)),
      };
    },
    hand: ({ log, size, note }, tiles) =>
      at.power.during(async (left) => {
        if (left !== "all") return;
        db.checkpoints.push({ log, size, note });
        for (const tile of tiles) db.tiles.set(`${log}:${tile.level}:${tile.n}`, tile);
      }),
    ...change,
  });
}

/** Steps until there is nothing more to do. */
export async function run({ step }: { step(): Promise<Step> }): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (;;) {
    const taken = await step();
    steps.push(taken);
    if (taken.kind === "idle" || taken.kind === "refused") return steps;
  }
}

/** The last thing that a fresh signer comes to. */
export const outcome = async (at: World, change: Partial<SignerOptions> = {}): Promise<Step | undefined> => (await run(signer(at, change))).at(-1);

export async function mirrorOf(at: World, log = 1): Promise<ReturnType<typeof readMirror>> {
  return readMirror((await at.disk.read(`/mirror/log-${log}.notes`, 0, 1_000_000)).toString());
}
