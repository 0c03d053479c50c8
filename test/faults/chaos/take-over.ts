// How long nobody decided after the owner was killed or stopped under load: from that moment to the first verdict on an event that is committed under a newer term.
import { sleep } from "./fault.ts";
import type { Rig } from "./rig.ts";

export interface TakeOvers {
  readonly seconds: readonly number[];
  /** The process that owns the shard; null while that cannot be known. */
  owner(): Promise<number | null>;
  /** Called when the owner is struck; resolves when another has decided, or too long has passed: then it counts as so long. */
  measure(struckAtMs: number, termBefore: string): Promise<void>;
  term(): Promise<string | null>;
}

const LONGEST_MS = 60_000;

export function watchTakeOvers(rig: Rig): TakeOvers {
  const seconds: number[] = [];
  const one = async (text: string): Promise<Record<string, unknown> | null> => {
    try {
      return (await rig.database.query(text))[0] ?? null;
    } catch {
      return null;
    }
  };
  return {
    seconds,
    async owner() {
      // its name has the process's id in it
      const name = String((await one(`select owner from shards where shard = '${rig.site}'`))?.["owner"] ?? "").split(/[^0-9A-Za-z]/);
      return rig.fleet.running.find(({ pid }) => name.includes(String(pid)))?.pid ?? null;
    },
    term: async () => {
      const row = await one(`select term::text from shards where shard = '${rig.site}'`);
      return row === null ? null : String(row["term"]);
    },
    async measure(struckAtMs, termBefore) {
      const until = performance.now() + LONGEST_MS;
      while (performance.now() < until) {
        const row = await one(`select (extract(epoch from min(c.committed_at)) * 1000)::double precision as ms from commits c
          where c.site = '${rig.site}' and c.term > ${termBefore} and exists (
            select from verdicts v where v.site = c.site and v.position between c.first_position and c.last_position and v.round = 1 and v.source is not null)`);
        const at = row?.["ms"];
        if (typeof at === "number") {
          seconds.push(Math.max(0, at - struckAtMs) / 1000);
          return;
        }
        await sleep(100);
      }
      seconds.push(LONGEST_MS / 1000);
    },
  };
}
