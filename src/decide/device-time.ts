// What the device's own clock is good for, against the database's clock at its arrival.
import { type ActTime, utc } from "../authorise/performer.ts";
import type { DeviceEvent } from "../decode/event.ts";
import type { SourceState } from "../sequence/source-state.ts";
import type { GuardSignal } from "./guards.ts";

/** Device clocks further ahead than this are marked, and lose what rests on device time. */
const FUTURE_TOLERANCE_MS = 30_000;

/** Events older than this are history being read in; they restrict nothing now. */
const HISTORY_MS = 30 * 86_400_000;

/** The answer to what was asked last is kept: the two times of an event are asked for several times in a row. */
function keepingLast(read: (text: string) => number): (text: string) => number {
  let text: string | null = null;
  let ms = Number.NaN;
  return (asked) => {
    if (asked !== text) [text, ms] = [asked, read(asked)];
    return ms;
  };
}

/** Milliseconds since 1970. */
const toldMs = keepingLast(Date.parse);
const arrivalMs = keepingLast(Date.parse);

/** Whether an event's time lies further in the future than clocks may differ. */
export function isAhead(event: DeviceEvent, receivedAt: string): boolean {
  return event.time !== null && toldMs(event.time) - arrivalMs(receivedAt) > FUTURE_TOLERANCE_MS;
}

export function isHistory(event: DeviceEvent, receivedAt: string): boolean {
  return event.time !== null && arrivalMs(receivedAt) - toldMs(event.time) > HISTORY_MS;
}

/** The device's clock, unless it is ahead, unnamed or none at all: then nothing rests on it. */
export function fitClock(event: DeviceEvent, source: SourceState, receivedAt: string): GuardSignal["clock"] {
  if (event.time === null || event.epoch === null || event.timesource === "none" || isAhead(event, receivedAt)) return null;
  return { sourceKey: source.key, epoch: event.epoch.toString(), time: event.time };
}

/** Clocks that are set by another, so that what they say can be held against times that are not their own. */
const SYNCHRONISED: ReadonlySet<unknown> = new Set(["ntp", "ptp", "gps"]);

/**
 * When what an event tells of was done: by the device's clock where that is set by another, and otherwise when the event came; never later than it came. Null: so long ago that neither tells.
 */
export function actTime(event: DeviceEvent, receivedAt: string): ActTime | null {
  if (event.time === null || !SYNCHRONISED.has(event.timesource) || isAhead(event, receivedAt)) return { at: receivedAt, clock: "arrival" };
  if (isHistory(event, receivedAt)) return null;
  const time = utc(event.time);
  return { at: time < receivedAt ? time : receivedAt, clock: "device" };
}
