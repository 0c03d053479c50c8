import { join } from "node:path";
import { z } from "zod";
import type { Disk } from "./disk.file.ts";
import { readTold, writeTold } from "./told.file.ts";

/** A disposal, as somebody told a signer of it: the entries up to a position are gone, and this entry of the log says so. */
export interface ToldDisposal {
  readonly through: number;
  /** The position of the act. */
  readonly disposal: number;
  readonly by: string;
  readonly reason: string;
}

const shape = z.array(z.strictObject({ through: z.int().min(1), disposal: z.int().min(1), by: z.string(), reason: z.string() }));

/** `disposals.json` in a signer's folder. Whoever can write there answers for the signer; the database's administrator must not be able to. */
export const disposalsPath = (state: string): string => join(state, "disposals.json");

/** Throws when the file is there and is not what `tellDisposal` writes. */
const readDisposals = (disk: Disk, state: string): Promise<readonly ToldDisposal[]> => readTold(disk, disposalsPath(state), shape);

/** Up to which position a signer was told that entries are gone; 0: of none. */
export const disposedThrough = async (disk: Disk, state: string): Promise<number> =>
  Math.max(0, ...(await readDisposals(disk, state)).map(({ through }) => through));

export async function tellDisposal(disk: Disk, state: string, told: ToldDisposal): Promise<void> {
  const before = (await readDisposals(disk, state)).filter(({ through }) => through !== told.through);
  await writeTold(disk, disposalsPath(state), [...before, told]);
}
