/** What a running server says of itself in `postmaster.pid`; the lines are those of Postgres' `pidfile.h`. */
export interface PostmasterPid {
  readonly pid: number;
  readonly port: number | null;
  readonly status: "starting" | "stopping" | "ready" | "standby" | null;
}

const STATES = ["starting", "stopping", "ready", "standby"] as const;

/** Null for a file that holds no process id: it is being written, or was cut off by a crash. */
export function readPostmasterPid(text: string): PostmasterPid | null {
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  const port = Number(lines[3] === "" ? Number.NaN : lines[3]);
  return { pid, port: Number.isInteger(port) ? port : null, status: STATES.find((state) => state === lines[7]) ?? null };
}
