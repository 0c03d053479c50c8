import type { Folder } from "./write-bundle.ts";

/** Bytes of a file that are held until they are written together: a line at a time costs more than all else. */
const TOGETHER = 64 * 1024;

/** Appends to files by few long writes instead of many short ones. */
export function together(write: (name: string, bytes: Buffer) => Promise<void>): Pick<Folder, "append" | "end"> {
  const held = new Map<string, { readonly pieces: Buffer[]; readonly size: number }>();
  return {
    async append(name, bytes) {
      const piece = Buffer.from(bytes);
      const { pieces, size } = held.get(name) ?? { pieces: [], size: 0 };
      pieces.push(piece);
      const full = size + piece.length >= TOGETHER;
      held.set(name, full ? { pieces: [], size: 0 } : { pieces, size: size + piece.length });
      if (full) await write(name, Buffer.concat(pieces));
    },
    async end() {
      for (const [name, { pieces }] of held) await write(name, Buffer.concat(pieces));
      held.clear();
    },
  };
}
