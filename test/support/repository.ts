import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the repository, wherever below it this file was built to. */
export function repository(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) if (existsSync(join(at, "package.json"))) return at;
  throw new Error("this file lies in no repository");
}
