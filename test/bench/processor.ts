import { readdirSync, readFileSync } from "node:fs";

// Processor time and memory as Linux counts them.

/** Ticks of /proc a second: 100 on every platform that Node runs on. */
const TICKS = 100;

interface Stat {
  readonly parent: number;
  readonly seconds: number;
  /** With that of its children which have ended. */
  readonly withEnded: number;
}

function statOf(pid: number | string): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // the name in parentheses may hold anything
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [, parent = 0] = fields;
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
    return { parent, seconds: (user + system) / TICKS, withEnded: (user + system + endedUser + endedSystem) / TICKS };
  } catch {
    // it ended meanwhile
    return null;
  }
}

/** Seconds of processor that a process has used, with all its children, ended or not. */
export function processorSeconds(pid: number): number {
  const children = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (statOf(name) ?? []) : []));
  const own = statOf(pid)?.withEnded ?? 0;
  return children.filter(({ parent }) => parent === pid).reduce((sum, { seconds }) => sum + seconds, own);
}

/** The most memory that a process has held, in MiB. */
export function mostMemory(pid: number): number {
  const [, kib = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}
