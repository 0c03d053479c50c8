import type { z } from "zod";
import type { Disk } from "./disk.file.ts";

/** What a signer was told, by a file in its folder; nothing where there is none. Throws when it is there and is not what it must be. */
export async function readTold<T>(disk: Disk, path: string, shape: z.ZodType<readonly T[]>): Promise<readonly T[]> {
  const size = await disk.size(path);
  if (size === null) return [];
  try {
    return shape.parse(JSON.parse((await disk.read(path, 0, size)).toString()));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

export const writeTold = (disk: Disk, path: string, told: readonly unknown[]): Promise<void> =>
  disk.replace(path, Buffer.from(`${JSON.stringify(told, null, 2)}\n`));
