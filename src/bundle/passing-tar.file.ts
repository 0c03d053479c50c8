import { randomUUID } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TAR_END, tarHeader, tarPadding } from "./tar.ts";
import { together } from "./together.ts";
import type { Folder } from "./write-bundle.ts";

/** A bundle that is written to be handed on at once, as one tar. */
export interface PassingTar {
  readonly folder: Folder;
  /** How many bytes it has, once everything is written: whoever gets fewer knows that it broke off. */
  size(): Promise<number>;
  /** All of it, piece by piece, once everything is written. */
  pieces(): AsyncGenerator<Buffer>;
  /** Gives back the space that it takes. */
  discard(): Promise<void>;
}

/**
 * A bundle's files are written side by side, and a tar says the size of each before it: so they are on the disk first. Each is open and has no name there, so that nothing of it
 * stays when the process is killed. Files that come whole are written as the tar has them, one behind the other. `name`: of the folder in the tar; `gone`: nobody waits for it any
 * more, so writing ends.
 */
export function passingTar(name: string, gone: AbortSignal): PassingTar {
  const files = new Map<string, Promise<Nameless>>();
  const fileOf = (path: string): Promise<Nameless> => {
    const file = files.get(path) ?? nameless();
    files.set(path, file);
    return file;
  };
  const { append, end } = together(async (path, bytes) => {
    gone.throwIfAborted();
    await (await fileOf(path)).append(bytes);
  });
  return {
    folder: {
      append,
      put: (path, bytes) =>
        append(WHOLE, Buffer.concat([tarHeader(name, path, Buffer.byteLength(bytes)), Buffer.from(bytes), tarPadding(Buffer.byteLength(bytes))])),
      end,
    },
    async size() {
      const sizes = await Promise.all([...files].map(async ([path, file]) => ({ path, size: (await file).size() })));
      return sizes.reduce(
        (sum, { path, size }) => sum + size + (path === WHOLE ? 0 : tarHeader(name, path, size).length + tarPadding(size).length),
        TAR_END.length,
      );
    },
    async *pieces() {
      for (const path of [...files.keys()].sort()) {
        const { size, read } = await fileOf(path);
        if (path !== WHOLE) yield tarHeader(name, path, size());
        yield* read();
        if (path !== WHOLE) yield tarPadding(size());
      }
      yield TAR_END;
    },
    async discard() {
      const open = [...files.values()];
      files.clear();
      for (const file of open) await (await file).close();
    },
  };
}

/** No file of a bundle has this name: those that came whole, as the tar has them. */
const WHOLE = "";

interface Nameless {
  append(bytes: Buffer): Promise<void>;
  size(): number;
  read(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

async function nameless(): Promise<Nameless> {
  const path = join(tmpdir(), `signalbox-export-${randomUUID()}`);
  const file: FileHandle = await open(path, "wx+", 0o600);
  await rm(path);
  let size = 0;
  let written = Promise.resolve();
  return {
    append(bytes) {
      size += bytes.length;
      written = written.then(() => file.appendFile(bytes));
      return written;
    },
    size: () => size,
    read: () => file.createReadStream({ start: 0, autoClose: false }),
    close: () => file.close(),
  };
}
