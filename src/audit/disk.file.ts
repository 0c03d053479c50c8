import { chown, type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Files that must outlast a loss of power. When a call comes back, what it did is on the disk; when it is broken off, any part of it may be, but of `replace` all or nothing. */
export interface Disk {
  /** Bytes of a file; null when there is none. */
  size(path: string): Promise<number | null>;
  /** Up to `length` bytes from `from` on; fewer where the file ends, none where there is none. */
  read(path: string, from: number, length: number): Promise<Buffer>;
  /** Writes at a place. Makes the file, and the folders above it. */
  write(path: string, from: number, bytes: Uint8Array): Promise<void>;
  /** Writes at the end, opened so that nothing before it can be touched. Makes the file, and the folders above it. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Cuts a file to a size. */
  cut(path: string, size: number): Promise<void>;
  /** Puts a file in the place of another, or of none; it belongs to whom its folder belongs to, where that may be given away. `mode` as of chmod. */
  replace(path: string, bytes: Uint8Array, mode?: number): Promise<void>;
  /** Names in a folder; none where there is no folder. */
  names(path: string): Promise<readonly string[]>;
}

export const disk: Disk = {
  async size(path) {
    return (await there(stat(path)))?.size ?? null;
  },

  async read(path, from, length) {
    const file = await there(open(path, "r"));
    if (file === null) return Buffer.alloc(0);
    try {
      const bytes = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(bytes, filled, length - filled, from + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await file.close();
    }
  },

  async write(path, from, bytes) {
    const isNew = await made(path);
    // "r+" wants a file that is there, "w" would empty it
    const file = await open(path, isNew ? "wx+" : "r+");
    await written(file, bytes, from);
    if (isNew) await syncFolder(dirname(path));
  },

  async append(path, bytes) {
    const isNew = await made(path);
    await written(await open(path, "a"), bytes, null);
    if (isNew) await syncFolder(dirname(path));
  },

  async cut(path, size) {
    const file = await there(open(path, "r+"));
    if (file === null) return;
    try {
      await file.truncate(size);
      await file.sync();
    } finally {
      await file.close();
    }
  },

  async replace(path, bytes, mode = 0o644) {
    await made(path);
    const next = join(dirname(path), `.${basename(path)}.new`);
    await rm(next, { force: true });
    await written(await open(next, "wx", mode), bytes, 0);
    await giveToOwnerOf(dirname(path), next);
    await rename(next, path);
    await syncFolder(dirname(path));
  },

  async names(path) {
    return (await there(readdir(path))) ?? [];
  },
};

/** Makes the folders above a file; tells whether the file itself is still to be made. */
async function made(path: string): Promise<boolean> {
  const first = await mkdir(dirname(path), { recursive: true });
  if (first !== undefined) await syncFolder(dirname(first));
  return (await disk.size(path)) === null;
}

async function written(file: FileHandle, bytes: Uint8Array, from: number | null): Promise<void> {
  try {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, from === null ? null : from + done);
      done += bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Whoever makes a file, also an administrator: what is in a folder is its owner's to read. Nobody else may give a file away. */
async function giveToOwnerOf(folder: string, file: string): Promise<void> {
  const [of, now] = await Promise.all([stat(folder), stat(file)]);
  if (process.getuid?.() === 0 && (of.uid !== now.uid || of.gid !== now.gid)) await chown(file, of.uid, of.gid);
}

/** A file's name is on the disk only when its folder is. Windows has no such thing to ask for. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** What is asked of a file, or null when there is none. */
async function there<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}
