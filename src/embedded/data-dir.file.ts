import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";

/** Another living process owns the data directory. */
export class DataDirTaken extends Error {
  readonly pid: number;
  readonly since: string;
  constructor(dataDir: string, pid: number, since: string) {
    super(`${resolve(dataDir)} is in use by process ${pid} since ${since}. Stop that one, or give this one another DATA_DIR.`);
    this.pid = pid;
    this.since = since;
  }
}

interface Owner {
  readonly pid: number;
  readonly since: string;
  /** When the process began, in the kernel's own ticks: another process may have its number by now. */
  readonly began: string | null;
}

/** Claims a data directory for this process. What a killed process left behind is taken over; a living one's is not. Throws DataDirTaken. */
export function claimDataDir(dataDir: string): { release(): void } {
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const file = join(dataDir, "owner.json");
  for (let tries = 0; ; tries += 1) {
    try {
      const handle = openSync(file, "wx", 0o644);
      writeSync(handle, JSON.stringify({ pid: process.pid, since: new Date().toISOString(), began: beganAt(process.pid) } satisfies Owner));
      closeSync(handle);
      return { release: () => rmSync(file, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST") || tries > 5) throw error;
      const owner = readOwner(file);
      if (owner !== null && isAlive(owner)) throw new DataDirTaken(dataDir, owner.pid, owner.since);
      rmSync(file, { force: true });
    }
  }
}

function readOwner(file: string): Owner | null {
  try {
    const owner: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (
      typeof owner !== "object" ||
      owner === null ||
      !("pid" in owner) ||
      typeof owner.pid !== "number" ||
      !("since" in owner) ||
      typeof owner.since !== "string"
    )
      return null;
    return { pid: owner.pid, since: owner.since, began: "began" in owner && typeof owner.began === "string" ? owner.began : null };
  } catch {
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.pid === process.pid) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  return owner.began === null || beganAt(owner.pid) === owner.began;
}

/** Field 22 of /proc/PID/stat; null where there is no such file. */
function beganAt(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "gone" : (fields[19] ?? null);
  } catch {
    return null;
  }
}
