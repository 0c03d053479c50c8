// A folder as one file: tar as POSIX 1003.1-1988 has it (ustar), which everything reads that reads tar. Only what a bundle needs: files with short names.

const BLOCK = 512;

/** The header of a file. Throws a RangeError when its name is too long to be put into one. */
export function tarHeader(folder: string, name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  for (const [text, at, width] of [
    [name, 0, 100],
    ["0000644", 100, 8],
    ["0000000", 108, 8],
    ["0000000", 116, 8],
    [size.toString(8).padStart(11, "0"), 124, 12],
    ["0".padStart(11, "0"), 136, 12],
    // spaces stand for the checksum while it is made
    [" ".repeat(8), 148, 8],
    ["0", 156, 1],
    ["ustar\u000000", 257, 8],
    [folder, 345, 155],
  ] as const) {
    if (Buffer.byteLength(text) > width) throw new RangeError(`"${text}" does not fit into a tar header`);
    header.write(text, at);
  }
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\u0000 `, 148);
  return header;
}

/** What fills a file's last block. */
export const tarPadding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

/** Two empty blocks. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);
