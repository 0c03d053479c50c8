// Time as what waits for it sees it: replaced whole by a virtual clock where a test plays faults by seed.

export interface Time {
  /** Milliseconds since 1970, as the process knew them when it started, carried on by its monotonic clock: a step of the system's clock changes nothing. Nothing durable rests on it. */
  now(): number;
  /** Runs something once, after so many milliseconds; returns what calls it off. */
  after(ms: number, run: () => void): () => void;
  /** Runs something once all that is ready to go on has done so. */
  soon(run: () => void): void;
  /** Runs something again and again, every so many milliseconds; returns what ends it. */
  every(ms: number, run: () => void): () => void;
  /** A number from 0 up to 1, by chance: what keeps several processes from trying again in step. */
  chance(): number;
}

export const ownTime: Time = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  soon(run) {
    setImmediate(run);
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
  chance: () => Math.random(),
};

export const sleep = (time: Time, ms: number): Promise<void> =>
  new Promise((resolve) => {
    time.after(ms, resolve);
  });
