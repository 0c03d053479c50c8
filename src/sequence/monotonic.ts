// Types whose order is monotonic: only what is newer than the last of its type counts.
import type { DeviceEvent } from "../decode/event.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import type { SourceState } from "./source-state.ts";

export function olderThanLast(source: SourceState, event: DeviceEvent): boolean {
  const last = source.monotonic[event.type];
  if (EVENT_TYPES[event.type].ordering !== "monotonic" || last === undefined || event.epoch === null || event.sequence === null) return false;
  const [epoch, sequence] = last;
  return event.epoch < BigInt(epoch) || (event.epoch === BigInt(epoch) && event.sequence < BigInt(sequence));
}

/** The source that has this event as the last of its type; null where the order of the type is not monotonic. */
export function withLast(source: SourceState, event: DeviceEvent): SourceState | null {
  if (EVENT_TYPES[event.type].ordering !== "monotonic" || event.epoch === null || event.sequence === null) return null;
  return { ...source, monotonic: { ...source.monotonic, [event.type]: [event.epoch.toString(), event.sequence.toString()] } };
}
