import type { Db } from "./db/database.ts";
import type { Log } from "./ops/log.ts";
import type { Time } from "./ops/time.ts";
import { endOverdue } from "./stations/stations.store.ts";

export interface StationWatchOptions {
  readonly db: Db;
  readonly time: Time;
  readonly log: Log;
  /** The sites that this process serves; null: all. */
  readonly sites: readonly string[] | null;
}

const LOOK_MS = 1_000;

/** Puts on record which sessions at stations are over: they are over without it, at the very instant of their limit, whenever it is looked. Any replica may do it. */
export function watchStations({ db, time, log, sites }: StationWatchOptions): { stop(): Promise<void> } {
  let looking: Promise<void> | null = null;
  let trouble = false;
  /** Each is told once, until its session has ended. */
  let stuck = new Set<string>();

  async function look(): Promise<void> {
    try {
      const { ended, failed } = await endOverdue(db, sites);
      if (ended > 0) log.info({ sessions: ended }, "sessions at stations ended");
      for (const { site, station, error } of failed)
        if (!stuck.has(`${site} ${station}`)) log.error({ err: error, site, station }, "the session at a station is over and could not be ended");
      stuck = new Set(failed.map(({ site, station }) => `${site} ${station}`));
      trouble = false;
    } catch (error) {
      // the database is away, which others say more of; once is enough
      if (!trouble) log.warn({ err: error }, "sessions at stations could not be looked at");
      trouble = true;
    }
  }

  const stopLooking = time.every(LOOK_MS, () => {
    looking ??= look().finally(() => {
      looking = null;
    });
  });
  return {
    async stop() {
      stopLooking();
      await looking;
    },
  };
}
