import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The key under which API keys and sessions are hashed: what was given, or one of our own, made once and kept beside the embedded servers' data. */
export function accessSecret(given: string | null, dataDir: string): Buffer {
  if (given !== null) return Buffer.from(given, "utf8");
  const file = join(dataDir, "access.secret");
  try {
    writeFileSync(file, randomBytes(32).toString("hex"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT") {
      mkdirSync(dataDir, { recursive: true, mode: 0o711 });
      return accessSecret(given, dataDir);
    }
    if (code !== "EEXIST") throw error;
  }
  return Buffer.from(readFileSync(file, "utf8").trim(), "utf8");
}
