import { type ChildProcess, fork } from "node:child_process";

// A process that is asked and answers, one question at a time.

type Question = Readonly<Record<string, number>>;
type Answer = Readonly<Record<string, unknown>>;

/** In the process: answers what its parent asks, from now on. */
export function answering(answers: Readonly<Record<string, (question: Question) => Answer>>): void {
  process.on("message", (asked) => {
    const { question, ...values } = Object(asked);
    process.send?.(answers[question]?.(values) ?? {});
  });
  process.on("disconnect", () => process.exit(0));
  process.send?.({ ready: true });
}

export interface Asked {
  readonly pid: number;
  ask<A extends object>(question: string, values?: Question): Promise<A>;
  end(): Promise<void>;
}

/** Starts such a process, and waits until it answers. */
export async function start(file: string, args: readonly string[]): Promise<Asked> {
  const child: ChildProcess = fork(new URL(file, import.meta.url), [...args], { serialization: "advanced", execArgv: [] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const answer = <A extends object>(): Promise<A> =>
    new Promise((resolve, reject) => {
      const gone = (code: number | null): void => reject(new Error(`${file} ended with ${code}`));
      child.once("exit", gone);
      child.once("message", (said) => {
        child.off("exit", gone);
        resolve(Object(said));
      });
    });
  await answer();
  let before: Promise<unknown> = Promise.resolve();
  return {
    pid: child.pid ?? 0,
    ask<A extends object>(question: string, values: Question = {}) {
      const answered = before.then(() => {
        child.send({ question, ...values });
        return answer<A>();
      });
      before = answered.catch(() => {});
      return answered;
    },
    async end() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
