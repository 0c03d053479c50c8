// What a proxy does to single MQTT packets of one connection, and what it tells of them.
import { CONNECT, connectOf, Framer, PUBACK, PUBLISH, type Publish, pubackOf, publishOf } from "./frames.ts";
import type { Piece } from "./pipe.ts";
import type { Direction, PacketFault } from "./toxics.ts";

/** Told which deliveries a client acknowledges, before its acknowledgements are passed on. */
export type Acknowledging = (clientId: string, deliveries: readonly Publish[]) => Promise<void>;

export interface SieveOptions {
  /** The faults that may hit this connection, with the packets each has counted. Looked at anew for each packet. */
  faults(direction: Direction): readonly ArmedFault[];
  connected(clientId: string): void;
  readonly acknowledging?: Acknowledging | undefined;
}

export interface ArmedFault {
  readonly fault: PacketFault;
  seen: number;
  hit(): void;
}

export interface MqttSieve {
  sieve(direction: Direction, chunk: Buffer): readonly Piece[];
  rest(direction: Direction): Buffer;
}

export function mqttSieve(options: SieveOptions): MqttSieve {
  const framers = { up: new Framer(), down: new Framer() };
  /** Deliveries that went to the client, by packet id. */
  const open = new Map<number, Publish>();
  let version = 4;
  let clientId = "";

  function fate(direction: Direction, type: number): PacketFault["does"] | null {
    const name = type === PUBLISH ? "PUBLISH" : type === PUBACK ? "PUBACK" : null;
    for (const armed of options.faults(direction)) {
      if (armed.fault.packet !== name) continue;
      armed.seen += 1;
      if (armed.seen < armed.fault.nth) continue;
      armed.hit();
      return armed.fault.does;
    }
    return null;
  }

  function note(direction: Direction, type: number, bytes: Buffer, acknowledged: Publish[]): void {
    if (type === CONNECT && direction === "up") {
      const connect = connectOf(bytes);
      if (connect === null) return;
      version = connect.version;
      clientId = connect.clientId;
      options.connected(clientId);
    } else if (options.acknowledging !== undefined && type === PUBLISH && direction === "down") {
      const publish = publishOf(bytes, version);
      if (publish !== null && publish.packetId !== null) open.set(publish.packetId, { ...publish, payload: Buffer.from(publish.payload) });
    } else if (options.acknowledging !== undefined && type === PUBACK && direction === "up") {
      const id = pubackOf(bytes);
      const publish = id === null ? undefined : open.get(id);
      if (publish !== undefined) acknowledged.push(publish);
    }
  }

  return {
    sieve(direction, chunk) {
      const pieces: Piece[] = [];
      let together: Buffer[] = [];
      let acknowledged: Publish[] = [];
      const flush = (more: Omit<Piece, "bytes"> = {}): void => {
        if (together.length === 0) return;
        const deliveries = acknowledged;
        const before = deliveries.length === 0 ? {} : { before: async () => options.acknowledging?.(clientId, deliveries) };
        pieces.push({ bytes: Buffer.concat(together), ...before, ...more });
        together = [];
        acknowledged = [];
      };
      for (const { bytes, type } of framers[direction].push(chunk)) {
        const does = type === null ? null : fate(direction, type);
        if (does?.kind === "drop") continue;
        if (does !== null) flush();
        if (type !== null) note(direction, type, bytes, acknowledged);
        together.push(bytes);
        if (does?.kind === "duplicate") together.push(bytes);
        else if (does?.kind === "delay") flush({ lateMs: does.ms });
        else if (does?.kind === "cut") flush({ cutAfter: Math.min(does.after, bytes.length - 1) });
      }
      flush();
      return pieces;
    },
    rest: (direction) => framers[direction].rest(),
  };
}
