import type { Time } from "../../../src/ops/time.ts";
import { Link } from "./link.ts";
import type { SimProcess } from "./process.ts";

// An MQTT broker as mosquitto behaves, held against the real one by test/faults/chaos. QoS 1 only: nothing else is subscribed to or published by the service.

export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly retain: boolean;
}

export type ToBroker =
  | { readonly kind: "connect"; readonly clientId: string; readonly clean: boolean; readonly receiveMaximum: number; readonly will?: Publication }
  | { readonly kind: "subscribe"; readonly topics: readonly string[] }
  | { readonly kind: "publish"; readonly id: number; readonly publication: Publication }
  | { readonly kind: "puback"; readonly ids: readonly number[] }
  | { readonly kind: "ping" }
  | { readonly kind: "disconnect" };

export type ToClient =
  | { readonly kind: "connack"; readonly sessionPresent: boolean }
  | { readonly kind: "suback" }
  | { readonly kind: "publish"; readonly id: number; readonly dup: boolean; readonly publication: Publication }
  | { readonly kind: "puback"; readonly id: number }
  | { readonly kind: "pong" }
  | { readonly kind: "disconnect"; readonly reason: "taken_over" };

export type BrokerLink = Link<ToBroker, ToClient>;
/** A link as its client has it. */
export type ClientEnd = Pick<BrokerLink, "toServer" | "end" | "open">;

interface InFlight {
  readonly publication: Publication;
  /** What went out before is a duplicate the next time. */
  sent: boolean;
}

interface Session {
  readonly clientId: string;
  clean: boolean;
  topics: readonly string[];
  window: number;
  /** Not acknowledged, in the order of sending. */
  readonly inFlight: Map<number, InFlight>;
  readonly queue: Publication[];
  link: BrokerLink | null;
  /** What is published when its connection ends without a word. */
  will: Publication | null;
  nextId: number;
  /** How many more may be sent before one is acknowledged, as an old mosquitto counts it. */
  quota: number;
}

export interface BrokerOptions {
  /** As mosquitto before 2.0.13: each acknowledgement lets as many follow as the client's Receive Maximum, not one. */
  readonly overDelivers: boolean;
  /** Messages that a session may queue; what comes beyond is dropped without a word to anyone. */
  readonly queueLimit: number;
  readonly latency: () => number;
  /** Every message that is routed, at the moment it is. */
  onRouted(publication: Publication): void;
  onDropped(publication: Publication): void;
  /** A session subscribes for the first time: what was published before, it does not get. */
  onFirstSubscribed(clientId: string): void;
  /** Every PUBACK of a subscriber, at the moment it arrives. */
  onAcknowledged(clientId: string, publication: Publication): void;
}

export class SimBroker {
  readonly #time: Time;
  readonly #options: BrokerOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #links = new Set<BrokerLink>();
  readonly retained = new Map<string, Publication>();
  #up = true;

  constructor(time: Time, options: BrokerOptions) {
    this.#time = time;
    this.#options = options;
  }

  /** Links that stand, by the client id that connected on them. */
  linkOf(clientId: string): BrokerLink | null {
    return this.#sessions.get(clientId)?.link ?? null;
  }

  waitingFor(clientId: string): number {
    const session = this.#sessions.get(clientId);
    return session === undefined ? 0 : session.inFlight.size + session.queue.length;
  }

  /** A TCP connection from a process, or null when nobody listens. Packets of the same process wait while it is stopped. */
  connect(process: SimProcess, handlers: { packet(packet: ToClient): void; ended(): void }): ClientEnd | null {
    if (!this.#up) return null;
    let session: Session | null = null;
    const link: BrokerLink = new Link<ToBroker, ToClient>(
      this.#time,
      this.#options.latency,
      {
        packet: (packet) => {
          if (!this.#links.has(link)) return;
          if (packet.kind === "connect") session = this.#accept(packet, link);
          else if (session !== null && session.link === link) this.#take(session, packet);
        },
        ended: () => {
          this.#links.delete(link);
          if (session !== null && session.link === link) this.#leave(session);
        },
      },
      { packet: (packet) => process.enter(() => handlers.packet(packet)), ended: () => process.enter(() => handlers.ended()) },
    );
    this.#links.add(link);
    process.whenDead(() => link.end());
    return {
      get open() {
        return link.open;
      },
      toServer: (packet) => process.enter(() => link.toServer(packet)),
      end: (how) => process.enter(() => link.end(how)),
    };
  }

  #accept(packet: Extract<ToBroker, { kind: "connect" }>, link: BrokerLink): Session {
    const known = this.#sessions.get(packet.clientId);
    if (known?.link != null) {
      // [MQTT-3.1.4-3]: the older connection of this client id is told and ended
      const older = known.link;
      known.link = null;
      older.toClient({ kind: "disconnect", reason: "taken_over" });
      older.end();
      this.#links.delete(older);
      // mosquitto keeps the will back where the session goes on
      if (known.clean || packet.clean) this.#publishWill(known);
    }
    const present = known !== undefined && !packet.clean && !known.clean;
    const session: Session = present
      ? known
      : { clientId: packet.clientId, clean: packet.clean, topics: [], window: 0, inFlight: new Map(), queue: [], link: null, will: null, nextId: 0, quota: 0 };
    this.#sessions.set(packet.clientId, session);
    session.link = link;
    session.clean = packet.clean;
    session.window = packet.receiveMaximum;
    session.will = packet.will ?? null;
    link.toClient({ kind: "connack", sessionPresent: present });
    // [MQTT-4.4.0-1]: what was sent and not acknowledged is sent again, with its id, in its order
    for (const [id, held] of session.inFlight) send(link, id, held);
    session.quota = Math.max(0, session.window - session.inFlight.size);
    this.#pump(session, session.quota);
    return session;
  }

  #take(session: Session, packet: ToBroker): void {
    const { link } = session;
    if (link === null) return;
    switch (packet.kind) {
      case "subscribe":
        if (session.topics.length === 0) this.#options.onFirstSubscribed(session.clientId);
        session.topics = packet.topics;
        link.toClient({ kind: "suback" });
        return;
      case "publish":
        this.publish(packet.publication);
        link.toClient({ kind: "puback", id: packet.id });
        return;
      case "puback":
        for (const id of packet.ids) {
          const held = session.inFlight.get(id);
          if (held === undefined) continue;
          session.inFlight.delete(id);
          this.#options.onAcknowledged(session.clientId, held.publication);
          session.quota = Math.min(session.window, session.quota + 1);
          this.#pump(session, this.#options.overDelivers ? session.window : session.quota);
        }
        return;
      case "ping":
        link.toClient({ kind: "pong" });
        return;
      case "disconnect":
        session.will = null;
        link.end();
        return;
      case "connect":
        // a second CONNECT is a protocol error [MQTT-3.1.0-2]
        link.end("reset");
    }
  }

  #leave(session: Session): void {
    session.link = null;
    if (session.clean) this.#sessions.delete(session.clientId);
    this.#publishWill(session);
  }

  /** [MQTT-3.1.2-8]: unless the client took its leave. */
  #publishWill(session: Session): void {
    const { will } = session;
    session.will = null;
    if (will !== null) this.#route(will, session);
  }

  publish(publication: Publication): void {
    this.#route(publication, null);
  }

  /**
   * @param leaving the session whose will this is: mosquitto takes its connection for lost and its state for active, so the will counts against the quota while it waits, and goes into
   * flight without going out where one is left.
   */
  #route(publication: Publication, leaving: Session | null): void {
    if (publication.retain) {
      if (publication.payload.length === 0) this.retained.delete(publication.topic);
      else this.retained.set(publication.topic, publication);
    }
    this.#options.onRouted(publication);
    for (const session of this.#sessions.values()) {
      if (!session.topics.some((filter) => matches(filter, publication.topic))) continue;
      const sendsNow = session.link !== null && session.quota > 0;
      // what is in flight counts as queued while the client is away; while it is there, only what is more than its Receive Maximum does
      const held = session.inFlight.size + session.queue.length - (session.link === null ? 0 : session.window);
      if (!sendsNow && held >= this.#options.queueLimit) this.#options.onDropped(publication);
      else {
        session.queue.push(publication);
        if (session === leaving) session.quota = Math.max(0, session.quota - 1);
        if (session.link !== null || session === leaving) this.#pump(session, session.quota);
      }
    }
  }

  /** Puts so many of what is queued into flight. */
  #pump(session: Session, most: number): void {
    for (let n = 0; n < most; n += 1) {
      const publication = session.queue.shift();
      if (publication === undefined) return;
      session.quota = Math.max(0, session.quota - 1);
      do session.nextId = (session.nextId % 65_535) + 1;
      while (session.inFlight.has(session.nextId));
      const held: InFlight = { publication, sent: false };
      session.inFlight.set(session.nextId, held);
      if (session.link !== null) send(session.link, session.nextId, held);
    }
  }

  /** Goes down at once. What it keeps, when it persists nothing: nothing. */
  crash(persistent: boolean): void {
    this.#up = false;
    for (const link of [...this.#links]) link.end("reset");
    this.#links.clear();
    for (const session of this.#sessions.values()) session.link = null;
    for (const [id, session] of this.#sessions) if (session.clean || !persistent) this.#sessions.delete(id);
    if (!persistent) this.retained.clear();
  }

  start(): void {
    this.#up = true;
  }

  get up(): boolean {
    return this.#up;
  }
}

function send(link: BrokerLink, id: number, held: InFlight): void {
  link.toClient({ kind: "publish", id, dup: held.sent, publication: held.publication });
  held.sent = true;
}

/** MQTT 5, 4.7: `+` stands for one level. */
function matches(filter: string, topic: string): boolean {
  const [wanted, found] = [filter.split("/"), topic.split("/")];
  return wanted.length === found.length && wanted.every((level, n) => level === "+" || level === found[n]);
}
