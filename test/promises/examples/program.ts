import { type ChildProcess, spawn } from "node:child_process";

/** An example as its user runs it: a process with input and output, and nothing else to hold it by. */
export interface Program {
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  write(line: unknown): void;
  endInput(): void;
  /** Resolves when the condition over its output holds; throws with the output when it does not in time, or the program ends before. */
  until(what: string, holds: (lines: readonly string[]) => boolean, timeoutMs?: number): Promise<void>;
  /** Resolves with its exit code. */
  ended(timeoutMs?: number): Promise<number | null>;
  signal(name: NodeJS.Signals): void;
}

export function run(command: string, args: readonly string[], settings: Readonly<Record<string, string>> = {}): Program {
  const child: ChildProcess = spawn(command, [...args], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...settings } });
  const lines: string[] = [];
  const errors: string[] = [];
  const looks = new Set<() => void>();
  let over = false;
  let code: number | null = null;
  const collect = (stream: NodeJS.ReadableStream | null, into: string[]): void => {
    let rest = "";
    stream?.on("data", (chunk: Buffer) => {
      const parts = (rest + chunk.toString("utf8")).split("\n");
      rest = parts.pop() ?? "";
      into.push(...parts);
      for (const look of looks) look();
    });
  };
  collect(child.stdout, lines);
  collect(child.stderr, errors);
  // a program that was killed takes no more input
  child.stdin?.on("error", () => {});
  child.once("close", (ended) => {
    over = true;
    code = ended;
    for (const look of looks) look();
  });
  const wait = (what: string, holds: () => boolean, timeoutMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        looks.delete(look);
        settle();
      };
      const look = (): void => {
        if (holds()) done(resolve);
        else if (over) done(() => reject(new Error(`it ended with ${code} before ${what}\n${lines.join("\n")}\n${errors.join("\n")}`)));
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`not within ${timeoutMs} ms: ${what}\n${lines.join("\n")}\n${errors.join("\n")}`))),
        timeoutMs,
      );
      looks.add(look);
      look();
    });
  return {
    lines,
    errors,
    write: (line) => child.stdin?.write(`${typeof line === "string" ? line : JSON.stringify(line)}\n`),
    endInput: () => child.stdin?.end(),
    until: (what, holds, timeoutMs = 30_000) => wait(what, () => holds(lines), timeoutMs),
    async ended(timeoutMs = 60_000) {
      await wait("its end", () => over, timeoutMs);
      return code;
    },
    signal: (name) => child.kill(name),
  };
}
