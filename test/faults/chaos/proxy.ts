// A TCP proxy between two that talk, with everything that can be wrong between them: slow, narrow, deaf in one direction or both, cut, reset. In its MQTT mode it knows packets
// as well, labels each connection by who connects, and can drop, repeat, delay or cut one packet. Without a fault it passes every byte as it came.
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Acknowledging, type ArmedFault, type MqttSieve, mqttSieve } from "./mqtt-sieve.ts";
import { type Pipe, pipe } from "./pipe.ts";
import { type Direction, effectOf, type PacketFault, type Toxic } from "./toxics.ts";

export interface ProxyOptions {
  readonly targetPort: number;
  readonly random: () => number;
  /** Not MQTT: the label of every connection. MQTT: how a connection is labelled once its client id is known. */
  readonly label: string | ((clientId: string) => string);
  readonly acknowledging?: Acknowledging;
}

export interface FaultProxy {
  readonly port: number;
  /** Poisons the connections of a label, now and to come, until what it returns is called. */
  add(toxic: Toxic): () => void;
  /** Arms a fault of one packet; it hits once. */
  arm(fault: PacketFault): { readonly hit: () => boolean; disarm(): void };
  /** Ends connections with a RST to both sides; how many there were. */
  reset(label: string): number;
  /** Has open connections pass so many more bytes in a direction, then resets them. */
  cut(label: string, direction: Direction, after: number): number;
  connections(label: string): number;
  close(): Promise<void>;
}

interface Link {
  label: string;
  readonly reset: () => void;
  readonly pipes: Map<Direction, Pipe>;
  readonly lost: Set<Direction>;
  /** A side is gone, and the other is not to hear of it yet. */
  broken: boolean;
}

/** A RST and nothing before it: `resetAndDestroy` would send the end of the stream first, and that is a goodbye. */
function abort(socket: Socket): void {
  if (!socket.connecting) Reflect.set(socket, "resetAndClosing", true);
  socket.destroy();
}

export async function startProxy(options: ProxyOptions): Promise<FaultProxy> {
  const links = new Set<Link>();
  const toxics = new Set<Toxic>();
  const armed = new Set<ArmedFault>();
  const labelled = (label: string): Link[] => [...links].filter((link) => label === "*" || link.label === label);
  const changed = (): void => {
    for (const link of links) {
      if (link.broken && !silenced(link)) link.reset();
      for (const each of link.pipes.values()) each.changed();
    }
  };
  const silenced = (link: Link): boolean =>
    (["up", "down"] as const).some((direction) => {
      const { lose, hold } = effectOf(toxics, link.label, direction);
      return lose || hold;
    });

  function accept(client: Socket): void {
    const server = connect({ port: options.targetPort, host: "127.0.0.1", allowHalfOpen: true });
    const reset = (): void => {
      if (!links.delete(link)) return;
      for (const each of link.pipes.values()) each.stop();
      for (const socket of [client, server]) abort(socket);
    };
    const link: Link = { label: typeof options.label === "string" ? options.label : "", reset, pipes: new Map(), lost: new Set(), broken: false };
    links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // the one side's end without a goodbye is the other's, unless nothing passes between them
      socket.on("error", () => {
        link.broken = true;
        if (!silenced(link)) reset();
      });
    }
    let ends = 0;
    for (const socket of [client, server]) {
      socket.on("close", () => {
        ends += 1;
        if (ends === 2) reset();
      });
    }
    const sieve = typeof options.label === "string" ? null : mqtt(link, options.label);
    for (const [direction, from, to] of [
      ["up", client, server],
      ["down", server, client],
    ] as const) {
      link.pipes.set(
        direction,
        pipe({
          from,
          to,
          random: options.random,
          effect: () => effectOf(toxics, link.label, direction),
          ...(sieve === null ? {} : { sieve: (chunk) => sieve.sieve(direction, chunk), rest: () => sieve.rest(direction) }),
          lost: () => link.lost.add(direction),
          reset,
        }),
      );
    }
  }

  function mqtt(link: Link, labelOf: (clientId: string) => string): MqttSieve {
    return mqttSieve({
      faults: (direction) => [...armed].filter(({ fault }) => fault.direction === direction && (fault.label === "*" || fault.label === link.label)),
      connected: (clientId) => {
        link.label = labelOf(clientId);
      },
      acknowledging: options.acknowledging,
    });
  }

  const server: Server = createServer({ allowHalfOpen: true }, accept);
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address !== null && typeof address === "object") resolve(address.port);
      else reject(new Error("no port"));
    });
  });

  return {
    port,
    add(toxic) {
      toxics.add(toxic);
      changed();
      return () => {
        if (!toxics.delete(toxic)) return;
        if (toxic.lose === true) for (const link of labelled(toxic.label)) if (link.lost.size > 0) link.reset();
        changed();
      };
    },
    arm(fault) {
      let hit = false;
      const entry: ArmedFault = {
        fault,
        seen: 0,
        hit: () => {
          hit = true;
          armed.delete(entry);
        },
      };
      armed.add(entry);
      return { hit: () => hit, disarm: () => armed.delete(entry) };
    },
    reset(label) {
      const these = labelled(label);
      for (const link of these) link.reset();
      return these.length;
    },
    cut(label, direction, after) {
      const these = labelled(label);
      for (const link of these) link.pipes.get(direction)?.cutAfter(after);
      return these.length;
    },
    connections: (label) => labelled(label).length,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const link of [...links]) link.reset();
      await closed;
    },
  };
}
