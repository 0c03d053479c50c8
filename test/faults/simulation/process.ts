import type { Time } from "../../../src/ops/time.ts";

/**
 * A process as the operating system may treat it: killed, it does nothing more, whatever its code believes; stopped, everything that comes to it waits until it goes on. All that
 * reaches it (timers, answers, packets) comes through `enter`; all that it sends asks `alive` first. Its clock may step.
 */
export class SimProcess implements Time {
  readonly #time: Time;
  readonly name: string;
  #dead = false;
  #stopped = false;
  #held: (() => void)[] = [];
  #step = 0;
  readonly #onDeath: (() => void)[] = [];

  constructor(time: Time, name: string) {
    this.#time = time;
    this.name = name;
  }

  get alive(): boolean {
    return !this.#dead;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  enter(run: () => void): void {
    if (this.#dead) return;
    if (this.#stopped) this.#held.push(run);
    else run();
  }

  /** `kill -9`: the system closes its sockets. */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#held = [];
    for (const run of this.#onDeath) run();
  }

  whenDead(run: () => void): void {
    this.#onDeath.push(run);
  }

  stop(): void {
    this.#stopped = true;
  }

  goOn(): void {
    this.#stopped = false;
    for (const run of this.#held.splice(0)) this.enter(run);
  }

  /** Harsher than a real process, whose `Time` does not follow a step of the system's clock. */
  stepClock(ms: number): void {
    this.#step += ms;
  }

  now(): number {
    return this.#time.now() + this.#step;
  }

  chance(): number {
    return this.#time.chance();
  }

  after(ms: number, run: () => void): () => void {
    let off = false;
    const callOff = this.#time.after(ms, () =>
      this.enter(() => {
        if (!off) run();
      }),
    );
    return () => {
      off = true;
      callOff();
    };
  }

  soon(run: () => void): void {
    this.#time.soon(() => this.enter(run));
  }

  every(ms: number, run: () => void): () => void {
    let held = false;
    let off = false;
    const callOff = this.#time.every(ms, () => {
      // a stopped process finds one tick when it wakes, not all that it missed
      if (held) return;
      held = true;
      this.enter(() => {
        held = false;
        if (!off) run();
      });
    });
    return () => {
      off = true;
      callOff();
    };
  }
}
