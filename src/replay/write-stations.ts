// How long sessions at stations were seen, and who performed what, as migration 0020 writes them.
import { isOpenAt, type PerformedBy } from "../authorise/performer.ts";
import { refuse } from "./refuse.ts";
import type { SiteRecord } from "./site-record.ts";
import type { Written } from "./written.ts";

export function writeStations(record: SiteRecord, p: Written): void {
  for (const { station, changed, session, seen_at: seenAt } of p.stations ?? []) {
    if (!changed) continue;
    const row = record.stations.get(station) ?? refuse(`station ${station} is not there`);
    const open = record.sessionsAt.get(station)?.at(-1);
    if (open === undefined || open.session !== session || open.ended !== null) throw refuse(`session ${session} at station ${station} is not open`);
    if (seenAt === null || seenAt < open.seenAt || !isOpenAt(open, seenAt)) throw refuse(`session ${session} at station ${station} goes on from ${seenAt}`);
    row.version += 1;
    open.seenAt = seenAt;
  }
}

/** Who performed what came in this commit, by the event's first round. */
export function performersIn(p: Written): ReadonlyMap<number, PerformedBy> {
  const first = (p.performances ?? []).filter(({ ref, event_ref: event }) => ref === event);
  return new Map(first.map(({ ref, person, station, session, performed_at: at, clock }) => [ref, { person, station, session, at, clock }]));
}
