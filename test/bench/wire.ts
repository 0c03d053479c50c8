import { connect, type Socket } from "node:net";
import { generate, type IConnackPacket, type ISubscribePacket, parser } from "mqtt-packet";

// MQTT 5 over a bare socket: what the generator and the subscriber need of it and no more, so that what is measured is not they.

export interface Wire {
  readonly socket: Socket;
  /** How many QoS 1 messages may be on their way to the broker. */
  readonly receiveMaximum: number;
}

/** Connects with a session of its own that ends with the connection, and subscribes. Afterwards the socket's bytes are the caller's. */
export async function join(port: number, clientId: string, filters: readonly string[] = [], receiveMaximum = 65_535): Promise<Wire> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  const said = parser({ protocolVersion: 5 });
  socket.on("data", (chunk) => said.parse(chunk));
  const answer = <Answer>(wanted: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      socket.once("error", reject);
      said.on("packet", (packet) => {
        if (packet.cmd === wanted) resolve(Object(packet));
      });
    });
  const greeted = answer<IConnackPacket>("connack");
  socket.write(
    generate(
      { cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: true, clientId, keepalive: 0, properties: { receiveMaximum } },
      { protocolVersion: 5 },
    ),
  );
  const { properties } = await greeted;
  if (filters.length > 0) {
    const subscribed = answer("suback");
    const packet: ISubscribePacket = { cmd: "subscribe", messageId: 1, subscriptions: filters.map((topic) => ({ topic, qos: 1 })) };
    socket.write(generate(packet, { protocolVersion: 5 }));
    await subscribed;
  }
  socket.removeAllListeners("data");
  return { socket, receiveMaximum: properties?.receiveMaximum ?? 65_535 };
}

/** Gives each whole packet of a stream of bytes: its type, and where what follows its length begins and ends. */
export function eachPacket(take: (type: number, bytes: Buffer, from: number, to: number) => void): (chunk: Buffer) => void {
  let rest: Buffer | null = null;
  return (chunk) => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const body = bodyOf(bytes, at);
      if (body === null || body.to > bytes.length) break;
      take((bytes[at] ?? 0) >> 4, bytes, body.from, body.to);
      at = body.to;
    }
    rest = at === bytes.length ? null : bytes.subarray(at);
  };
}

function bodyOf(bytes: Buffer, at: number): { readonly from: number; readonly to: number } | null {
  let length = 0;
  for (let digit = 0; digit < 4; digit += 1) {
    const byte = bytes[at + 1 + digit];
    if (byte === undefined) return null;
    length += (byte & 127) * 128 ** digit;
    if (byte < 128) return { from: at + 2 + digit, to: at + 2 + digit + length };
  }
  throw new Error("a packet's length has more than four digits");
}

export const PUBLISH = 3;
export const PUBACK = 4;

/** Milliseconds on the clock that all processes of the machine share. */
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();
export const now = (): number => performance.now() + offset;
