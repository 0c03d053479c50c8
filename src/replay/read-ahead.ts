// A part of a record as one thread hands it to another: bytes, and text that says where they belong and what the deliveries say. Objects would cost more to hand over than to read anew.
import type { DeviceEvent } from "../decode/event.ts";
import { readEntry } from "./groups.ts";
import type { Head, LoggedPosition } from "./recorded.ts";
import { plainEventOf } from "./signals.ts";
import type { Reading } from "./site-record.ts";

export interface HandedPart {
  /** One behind the other, as are the deliveries. */
  readonly entries: ArrayBuffer;
  readonly deliveries: ArrayBuffer;
  /** JSON: what there is of each position. */
  readonly told: string;
}

interface Told {
  readonly position: number;
  readonly head: Head | null;
  /** How many bytes they have. */
  readonly entry: number;
  readonly raw: number | null;
  readonly event: EventInText | null;
}

/** JSON has no integers of that size. */
type EventInText = Omit<DeviceEvent, "epoch" | "sequence"> & { readonly epoch: string | null; readonly sequence: string | null };

export function handOver(part: readonly LoggedPosition[], reading: Reading): HandedPart {
  const told = part.map((item): Told => {
    const { position, head = null, entry, raw } = item;
    return { position, head, entry: entry.byteLength, raw: raw?.byteLength ?? null, event: inText(eventIn(item, reading)) };
  });
  return {
    entries: oneBehindTheOther(part.map(({ entry }) => entry)),
    deliveries: oneBehindTheOther(part.flatMap(({ raw }) => (raw === null ? [] : [raw]))),
    told: JSON.stringify(told),
  };
}

export function takeOver({ entries, deliveries, told }: HandedPart): readonly LoggedPosition[] {
  const items: readonly Told[] = JSON.parse(told);
  let [entryAt, rawAt] = [0, 0];
  return items.map(({ position, head, entry, raw, event }): LoggedPosition => {
    const item = {
      kind: "entry" as const,
      position,
      entry: new Uint8Array(entries, entryAt, entry),
      raw: raw === null ? null : new Uint8Array(deliveries, rawAt, raw),
      ...(head === null ? {} : { head }),
      ...(event === null ? {} : { event: outOfText(event) }),
    };
    entryAt += entry;
    rawAt += raw ?? 0;
    return item;
  });
}

/** Null: whoever takes it over reads it, and says what is wrong with it when its turn comes. */
function eventIn(item: LoggedPosition, reading: Reading): DeviceEvent | null {
  if (item.raw === null) return null;
  try {
    const [signal, another] = readEntry(item).signals;
    return signal === undefined || another !== undefined ? null : plainEventOf(signal, reading);
  } catch {
    return null;
  }
}

const inText = (event: DeviceEvent | null): EventInText | null =>
  event === null ? null : { ...event, epoch: event.epoch?.toString() ?? null, sequence: event.sequence?.toString() ?? null };

const outOfText = (event: EventInText): DeviceEvent => ({
  ...event,
  epoch: event.epoch === null ? null : BigInt(event.epoch),
  sequence: event.sequence === null ? null : BigInt(event.sequence),
});

function oneBehindTheOther(pieces: readonly Uint8Array[]): ArrayBuffer {
  const bytes = new Uint8Array(pieces.reduce((length, { byteLength }) => length + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes.buffer;
}
