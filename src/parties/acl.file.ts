import { readFile } from "node:fs/promises";

/** A broker's ACL file as it is now; a file that is not there says nothing. Throws when it cannot be read. */
export async function readAcl(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
