import { join } from "node:path";
import { z } from "zod";
import type { Disk } from "./disk.file.ts";
import { readTold, writeTold } from "./told.file.ts";

/** A restore, as somebody told a signer of it: the log that begins with it, what was signed of the one that it breaks off, and who answers for it. */
export interface ToldBreak {
  readonly log: number;
  /** Position of its first entry. */
  readonly first: number;
  readonly generation: number;
  /** Null: nothing was signed before. */
  readonly broken: { readonly log: number; readonly size: number; readonly root: string } | null;
  readonly by: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly at: string;
}

const shape = z.array(
  z.strictObject({
    log: z.int().min(1),
    first: z.int().min(1),
    generation: z.int().min(1),
    broken: z.strictObject({ log: z.int().min(1), size: z.int().min(0), root: z.string() }).nullable(),
    by: z.string(),
    reason: z.string(),
    at: z.iso.datetime({ offset: true }),
  }),
);

/** `breaks.json` in a signer's folder. Whoever can write there answers for the signer; the database's administrator must not be able to. */
export const breaksPath = (state: string): string => join(state, "breaks.json");

/** Throws when the file is there and is not what `tellBreak` writes. */
export const readBreaks = (disk: Disk, state: string): Promise<readonly ToldBreak[]> => readTold(disk, breaksPath(state), shape);

export async function tellBreak(disk: Disk, state: string, told: ToldBreak): Promise<void> {
  const all = [...(await readBreaks(disk, state)), told];
  await writeTold(disk, breaksPath(state), all);
}
