import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { appendFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { together } from "./together.ts";
import type { Folder } from "./write-bundle.ts";

/** A new folder for a bundle. Throws when there is something there already: what is in a bundle was exported at once. */
export async function newFolder(path: string): Promise<Folder> {
  if (existsSync(path) && (await readdir(path)).length > 0) throw new FolderTaken(`${path} is there already, and not empty.`);
  const made = new Set<string>();
  const placeOf = async (name: string): Promise<string> => {
    const file = join(path, name);
    const folder = dirname(file);
    if (!made.has(folder)) await mkdir(folder, { recursive: true });
    made.add(folder);
    return file;
  };
  return {
    ...together(async (name, bytes) => appendFile(await placeOf(name), bytes)),
    put: async (name, bytes) => writeFile(await placeOf(name), bytes),
  };
}

export class FolderTaken extends Error {}

/** A bundle as it lies in a folder. It has a file for each delivery, and one is read at once sooner than it is waited for. */
export interface BundleFolder {
  has(name: string): boolean;
  /** All of a file at once: of one that is short. Throws where there is none. */
  text(name: string): string;
  /** Null: there is none. */
  bytes(name: string): Buffer | null;
  /** Piece by piece: of one that may be long. */
  pieces(name: string): Iterable<Buffer>;
  /** Without their line breaks; what follows the last one too, unless it is empty. */
  lines(name: string): Iterable<Buffer>;
  /** Two lines at a time, with the break between them, as entries stand in their file; a last line without another comes alone. */
  pairs(name: string): Iterable<Buffer>;
}

export function bundleIn(path: string): BundleFolder {
  const pieces = (name: string): Iterable<Buffer> => piecesOf(join(path, name));
  return {
    has: (name) => existsSync(join(path, name)),
    text: (name) => readFileSync(join(path, name), "utf8"),
    bytes: (name) => bytesOf(join(path, name)),
    pieces,
    lines: (name) => linesOf(pieces(name), 1),
    pairs: (name) => linesOf(pieces(name), 2),
  };
}

function bytesOf(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** A longer one is no longer in the processor's cache when its lines are read: a megabyte at a time, verifying takes an eighth more. */
const PIECE_BYTES = 1 << 16;

function* piecesOf(file: string): Generator<Buffer> {
  const open = openSync(file, "r");
  try {
    for (;;) {
      const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      const read = readSync(open, piece);
      if (read === 0) return;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(open);
  }
}

/** So many lines at a time. What lies within one piece is not copied. */
function* linesOf(pieces: Iterable<Buffer>, together: number): Generator<Buffer> {
  let begun: Buffer[] = [];
  let breaks = 0;
  for (const piece of pieces) {
    let from = 0;
    for (let end = piece.indexOf(0x0a); end !== -1; end = piece.indexOf(0x0a, end + 1)) {
      breaks += 1;
      if (breaks < together) continue;
      const lines = piece.subarray(from, end);
      yield begun.length === 0 ? lines : Buffer.concat([...begun, lines]);
      begun = [];
      breaks = 0;
      from = end + 1;
    }
    if (from < piece.length) begun.push(piece.subarray(from));
  }
  if (begun.length === 0) return;
  const rest = Buffer.concat(begun);
  // the break behind a line that comes alone is between it and nothing
  yield rest.at(-1) === 0x0a ? rest.subarray(0, -1) : rest;
}
