/** The database's clock as far as this process knows it: its last answer, carried on by the monotonic clock, so that a step of the system clock changes nothing. */
export interface DatabaseClock {
  /** RFC 3339, UTC, microseconds. */
  now(): string;
  set(answer: string): void;
}

export async function databaseClock(ask: () => Promise<string>): Promise<DatabaseClock> {
  const asked = performance.now();
  const first = await ask();
  let known = { at: (asked + performance.now()) / 2, ms: Date.parse(first) };
  return {
    now: () => instantOf(known.ms + (performance.now() - known.at)),
    set: (answer) => {
      known = { at: performance.now(), ms: Date.parse(answer) };
    },
  };
}

const instantOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}000Z`;
