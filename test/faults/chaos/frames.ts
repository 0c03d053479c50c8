// MQTT packets in a stream of bytes, by their fixed header alone, and the little of them that a proxy wants to know. Reads a copy; what it cannot read is left as it is.

export const CONNECT = 1;
export const PUBLISH = 3;
export const PUBACK = 4;

export interface Frame {
  readonly bytes: Buffer;
  /** The packet type of the fixed header; null for bytes that begin no packet. */
  readonly type: number | null;
}

/** Cuts a stream into packets, wherever its chunks begin and end. Bytes that can be no packet end the cutting: from there on chunks pass as they come. */
export class Framer {
  #rest: Buffer = Buffer.alloc(0);
  #lost = false;

  push(chunk: Uint8Array): Frame[] {
    let rest: Buffer = Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (!this.#lost && rest.length > 0) {
      const length = lengthOf(rest);
      if (length === "never") this.#lost = true;
      else if (length === "not yet" || rest.length < length) break;
      else {
        frames.push({ bytes: rest.subarray(0, length), type: (rest[0] ?? 0) >> 4 });
        rest = rest.subarray(length);
      }
    }
    if (this.#lost && rest.length > 0) {
      frames.push({ bytes: rest, type: null });
      rest = Buffer.alloc(0);
    }
    this.#rest = rest;
    return frames;
  }

  /** What was begun and not finished when the stream ended. */
  rest(): Buffer {
    return this.#rest;
  }
}

function lengthOf(bytes: Buffer): number | "not yet" | "never" {
  const remaining = varint(bytes, 1);
  return typeof remaining === "string" ? remaining : remaining.next + remaining.value;
}

function varint(bytes: Buffer, from: number): { readonly value: number; readonly next: number } | "not yet" | "never" {
  let value = 0;
  for (let n = 0; n < 4; n += 1) {
    const byte = bytes[from + n];
    if (byte === undefined) return "not yet";
    value += (byte & 127) * 128 ** n;
    if (byte < 128) return { value, next: from + n + 1 };
  }
  return "never";
}

export interface Connect {
  readonly clientId: string;
  readonly version: number;
}

/** Who connects and which version they speak; null where it cannot be read. */
export function connectOf(packet: Buffer): Connect | null {
  const body = bodyOf(packet);
  if (body === null || body.length < 10) return null;
  const name = body.readUInt16BE(0);
  const version = body[2 + name];
  if (version === undefined) return null;
  let at = 2 + name + 4;
  if (version === 5) {
    const properties = varint(body, at);
    if (typeof properties === "string") return null;
    at = properties.next + properties.value;
  }
  if (body.length < at + 2) return null;
  const length = body.readUInt16BE(at);
  return { clientId: body.toString("utf8", at + 2, at + 2 + length), version };
}

export interface Publish {
  readonly topic: string;
  /** null for QoS 0. */
  readonly packetId: number | null;
  readonly payload: Buffer;
}

export function publishOf(packet: Buffer, version: number): Publish | null {
  const body = bodyOf(packet);
  if (body === null || body.length < 2) return null;
  const length = body.readUInt16BE(0);
  const topic = body.toString("utf8", 2, 2 + length);
  let at = 2 + length;
  let packetId: number | null = null;
  if (((packet[0] ?? 0) & 6) !== 0) {
    if (body.length < at + 2) return null;
    packetId = body.readUInt16BE(at);
    at += 2;
  }
  if (version === 5) {
    const properties = varint(body, at);
    if (typeof properties === "string") return null;
    at = properties.next + properties.value;
  }
  return { topic, packetId, payload: body.subarray(at) };
}

/** The packet id of a PUBACK. */
export function pubackOf(packet: Buffer): number | null {
  const body = bodyOf(packet);
  return body === null || body.length < 2 ? null : body.readUInt16BE(0);
}

function bodyOf(packet: Buffer): Buffer | null {
  const remaining = varint(packet, 1);
  return typeof remaining === "string" ? null : packet.subarray(remaining.next);
}
