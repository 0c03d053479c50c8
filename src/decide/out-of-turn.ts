// What acts before its turn, and what is overtaken by it.
import type { DeviceEvent } from "../decode/event.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import type { SourceState } from "../sequence/source-state.ts";
import { isHistory } from "./device-time.ts";
import type { EventInHand } from "./signal.ts";
import type { World } from "./world.ts";

/** What restricts acts at once behind a gap, since it concerns the present; a record of what was restricted long ago restricts nothing now, and waits its turn. */
export function waitsItsTurn(source: SourceState, inHand: EventInHand, epoch: bigint): boolean {
  if (inHand.said.kind === "refused") return true;
  const { event } = inHand.said;
  if (event.type === "source.birth") return (source.epoch !== null && epoch <= source.epoch) || source.parked?.why === "poison";
  // a loss in an epoch that has not begun gives nothing up yet
  if (event.type === "source.lost") return epoch !== source.epoch;
  const type = EVENT_TYPES[event.type];
  return (type.waits && type.ordering !== "monotonic") || isHistory(event, inHand.receivedAt);
}

const STEP_STOPS: ReadonlySet<string> = new Set(["step.pause", "step.abort", "batch.pause", "batch.stop", "batch.abort"]);
const BATCH_STOPS: ReadonlySet<string> = new Set(["batch.pause", "batch.stop", "batch.abort"]);

/** What overtakes an event of a type, when it acted ahead. */
const OVERTAKES: Readonly<Partial<Record<string, ReadonlySet<string>>>> = {
  "step.pause": STEP_STOPS,
  "step.resume": STEP_STOPS,
  "batch.pause": BATCH_STOPS,
  "batch.resume": BATCH_STOPS,
};

/** Whether a pause or stop of the same source, numbered later, has acted already: what was numbered before it is overtaken and lifts nothing. */
export function overtaken(world: World, source: SourceState, event: DeviceEvent): boolean {
  const overtakes = OVERTAKES[event.type];
  if (overtakes === undefined || source.waitingCount === 0 || event.epoch === null || event.sequence === null) return false;
  return world.numbers.waitingAfter(source, event.epoch, event.sequence).some(({ ahead, event: later }) => {
    if (!ahead || later?.said.kind !== "event") return false;
    const acted = later.said.event;
    return overtakes.has(acted.type) && mayBeOne(acted.batch, event.batch) && mayBeOne(acted.step, event.step);
  });
}

/** What claims nothing is about whatever its equipment is engaged in. */
const mayBeOne = (one: string | null, other: string | null): boolean => one === null || other === null || one === other;
