import { dirname } from "node:path";
import type { Disk } from "../../src/audit/disk.file.ts";

// A disk that is a table in memory, and a power supply that can fail in the middle of anything that is written.

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
export function powered(disk: Disk, power: Pick<Power, "during">): Disk {
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
