// Finds who performed what an event tells of, once, when the event first comes; what has no performer then has none for good.
import { heard, performerAt } from "../authorise/performer.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { actTime } from "./device-time.ts";
import { digestOf } from "./event-identity.ts";
import type { Group } from "./group.ts";
import type { EventInHand } from "./signal.ts";

/** The event that has come, with who performed it. A copy of what only waits was performed by whoever performed that; any other copy tells of nothing new. */
export function withPerformer({ world }: Group, source: SourceState, inHand: EventInHand, ref: Ref): EventInHand {
  const { said, claimed, receivedAt } = inHand;
  if (said.kind !== "event") return inHand;
  const known = claimed.hash === null ? undefined : world.id(source, claimed.hash);
  if (known?.digest === digestOf(inHand)) return known.waitsAt === null ? inHand : { ...inHand, performedBy: world.performanceAt(known.position) };

  const time = actTime(said.event, receivedAt);
  const then = time === null ? null : world.stationAt(source.source, time.at);
  const performedBy = time === null || then === null ? null : performerAt(world.station(then.station), then, time);
  world.putPerformance(ref, performedBy);

  const now = world.stationAt(source.source, receivedAt);
  if (now !== null) world.hearStation(heard(world.station(now.station), receivedAt));
  return performedBy === null ? inHand : { ...inHand, performedBy };
}
