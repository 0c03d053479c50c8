// Keeps as many processes of the service running as are wanted, and finds one that answers.
import { shuffled } from "../../support/measure.ts";
import type { Replica } from "./replica.ts";

export interface Fleet {
  readonly wanted: number;
  readonly running: readonly Replica[];
  /** Those that serve now. */
  serving(): readonly Replica[];
  /** Starts one more where there is room; null: there is none. */
  startAnother(): Replica | null;
  /** Asks any that serves; null: nobody answered. A 5xx is no answer either: what was asked may have been done. */
  ask(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer | null>;
  /** The same, until somebody answers; null once the rig closes. */
  insist(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer | null>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const SLOTS = 2;
const ANSWER_MS = 8_000;

export function createFleet(options: { readonly wanted: number; readonly random: () => number; start(slot: number): Replica; born(): void }): Fleet {
  const running: Replica[] = [];
  let closing = false;

  function startIn(slot: number): Replica {
    const replica = options.start(slot);
    running.push(replica);
    options.born();
    void replica.dead.then(async () => {
      running.splice(running.indexOf(replica), 1);
      // one that cannot start, since a server is away, is tried again as a supervisor would
      await new Promise((resolve) => setTimeout(resolve, 200));
      fill();
    });
    return replica;
  }

  function fill(): void {
    while (!closing && running.filter((replica) => !replica.paused).length < options.wanted) if (startAnother() === null) return;
  }

  function startAnother(): Replica | null {
    const free = Array.from({ length: SLOTS }, (_, slot) => slot).find((slot) => !running.some((replica) => replica.slot === slot));
    return free === undefined || closing ? null : startIn(free);
  }

  const serving = (): readonly Replica[] => running.filter((replica) => replica.url !== null && !replica.paused && !replica.ended);

  const ask: Fleet["ask"] = async (method, path, body, headers) => {
    for (const { url } of shuffled(serving(), options.random)) {
      try {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(ANSWER_MS),
        });
        const text = await response.text();
        // one that stands by has done nothing: the next is asked. Of any other failure nobody knows what was done.
        if (response.status === 503 && text.includes('"SYS_STANDING_BY"')) continue;
        return response.status >= 500 ? null : { status: response.status, body: text === "" ? null : JSON.parse(text) };
      } catch {
        return null;
      }
    }
    return null;
  };

  fill();
  return {
    wanted: options.wanted,
    running,
    serving,
    startAnother,
    ask,
    async insist(...asked) {
      for (;;) {
        const answer = await ask(...asked);
        if (answer !== null || closing) return answer;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    async close() {
      closing = true;
      const those = [...running];
      for (const replica of those) {
        if (replica.paused) replica.resume();
        replica.stop();
      }
      const impatient = setTimeout(() => {
        for (const replica of those) replica.kill();
      }, 10_000);
      await Promise.all(those.map((replica) => replica.dead));
      clearTimeout(impatient);
    },
  };
}
