// The publisher: a connection of its own (on the subscriber's a parked read loop would hold up our PUBACKs), where every publish is either acknowledged by the broker or rejected.
// Our own records are the store: nothing is kept for, or sent again on, a later connection.
import type { IClientPublishOptions, IPublishPacket } from "mqtt";
import { type BrokerOptions, type Connection, superviseConnection } from "../receive/connection.mqtt.ts";
import { type Ending, type Protocol, reasonName } from "../receive/connection.ts";

export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly retain: boolean;
  readonly qos: 1;
  /** Left out on MQTT 3.1.1, which has none. */
  readonly properties?:
    | {
        readonly contentType?: string | undefined;
        readonly correlationData?: Uint8Array | undefined;
        readonly messageExpirySeconds?: number | undefined;
        readonly userProperties?: readonly (readonly [name: string, value: string])[] | undefined;
      }
    | undefined;
}

/**
 * Why a publish was not acknowledged. `not_connected`: nothing was sent. `disconnected`, `timed_out`: the broker may or may not have it. `packet_too_large`,
 * `retain_not_supported`: the broker said on connecting that it would not take it, so it was not sent (it would end the connection). Otherwise the name of the broker's reason
 * code, such as `quota_exceeded` or `not_authorized`.
 */
export class PublishError extends Error {
  readonly code: string;
  constructor(code: string, topic: string) {
    super(`publish to ${topic}: ${code}`);
    this.name = "PublishError";
    this.code = code;
  }
}

export interface PublisherOptions extends BrokerOptions {
  /** Publishes on the wire without a PUBACK, at most; also never more than the broker's Receive Maximum. Default 64. */
  readonly window?: number | undefined;
  /** From `publish` to PUBACK, in milliseconds. Default 10 000. */
  readonly timeoutMs?: number | undefined;
  /** Each time the connection stands: the moment to publish again what was not acknowledged. */
  onConnected(connected: { readonly protocol: Protocol }): void;
  onDisconnected?(ending: Ending): void;
}

export interface Publisher {
  start(): void;
  stop(): Promise<void>;
  /** Resolves on the broker's PUBACK. Rejects with a PublishError; whoever publishes again must expect that the broker has it twice. Publishes go out in the order of the calls. */
  publish(publication: Publication): Promise<void>;
  readonly connected: boolean;
  /** Publishes not yet answered, waiting ones included. */
  readonly pending: number;
}

interface Pending {
  readonly publication: Publication;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

// Fixed header, topic length, packet id, property lengths and identifiers: what a PUBLISH weighs beyond its texts, rounded up.
const packetOverheadBytes = 64;
const mostPacketIds = 65_535;

/** Needs a client id of its own (the shard's, with `-pub` after it): under the subscriber's, the two would take each other over. Fixed, so that a new owner ends the old one's connection. */
export function createPublisher(options: PublisherOptions): Publisher {
  const timeoutMs = options.timeoutMs ?? 10_000;
  let on: { readonly connection: Connection; readonly window: number; readonly largest: number; readonly retains: boolean } | null = null;
  let limits = { window: 1, largest: Number.POSITIVE_INFINITY, retains: true };
  const waiting: Pending[] = [];
  const inFlight = new Set<Pending>();

  function reject(pending: Pending, code: string): void {
    clearTimeout(pending.timer);
    pending.reject(new PublishError(code, pending.publication.topic));
  }

  function rejectAll(code: string): void {
    const all = [...inFlight, ...waiting];
    inFlight.clear();
    waiting.length = 0;
    for (const pending of all) reject(pending, code);
  }

  /** What is published in one turn of the loop goes out in one write: PUBACKs that came together make room for as many. */
  function together({ client: { stream } }: Connection): void {
    if (stream.writableCorked > 0) return;
    stream.cork();
    setImmediate(() => stream.uncork());
  }

  function send(): void {
    if (on !== null && waiting.length > 0 && inFlight.size < on.window) together(on.connection);
    while (on !== null && inFlight.size < on.window) {
      const pending = waiting.shift();
      if (pending === undefined) return;
      inFlight.add(pending);
      const { topic, payload, retain } = pending.publication;
      const bytes = typeof payload === "string" ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
      on.connection.client.publish(topic, bytes, { qos: 1, retain, ...propertiesOf(pending.publication, on.connection.protocol) }, (error) => {
        if (!inFlight.delete(pending)) return;
        if (error) reject(pending, "code" in error && typeof error.code === "number" ? reasonName(error.code) : "disconnected");
        else {
          clearTimeout(pending.timer);
          pending.resolve();
        }
        send();
      });
    }
  }

  function timedOut(pending: Pending): void {
    const place = waiting.indexOf(pending);
    if (place >= 0) {
      waiting.splice(place, 1);
      reject(pending, "timed_out");
      return;
    }
    if (!inFlight.delete(pending)) return;
    reject(pending, "timed_out");
    // A late PUBACK must not be taken for that of a later publish with the same packet id, and what follows must not pass what may be published again: a new connection settles both.
    on?.connection.drop("silent", "a publish was not acknowledged in time");
  }

  const supervisor = superviseConnection(options, {
    session: { clean: true, expirySeconds: 0, receiveMaximum: null },
    prepare: () => undefined,
    accepted(_connection, { properties }) {
      // mqtt.js does not keep to the broker's Receive Maximum for QoS 1; a broker may end the connection of who exceeds it (reason 0x93).
      limits = {
        window: Math.min(options.window ?? 64, properties?.receiveMaximum ?? mostPacketIds),
        largest: properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY,
        retains: properties?.retainAvailable ?? true,
      };
    },
    ready(connection) {
      on = { connection, ...limits };
      options.onConnected({ protocol: connection.protocol });
    },
    parked: () => false,
    established: () => on !== null,
    ended(_connection, ending) {
      on = null;
      rejectAll("disconnected");
      options.onDisconnected?.(ending);
    },
  });

  return {
    start: () => supervisor.start(),
    stop: () => supervisor.stop(),
    publish(publication) {
      const { topic } = publication;
      if (on === null || !on.connection.open) return Promise.reject(new PublishError("not_connected", topic));
      if (publication.retain && !on.retains) return Promise.reject(new PublishError("retain_not_supported", topic));
      if (weight(publication) > on.largest) return Promise.reject(new PublishError("packet_too_large", topic));
      return new Promise((resolve, rejected) => {
        const pending: Pending = { publication, resolve, reject: rejected, timer: setTimeout(() => timedOut(pending), timeoutMs) };
        waiting.push(pending);
        send();
      });
    },
    get connected() {
      return on !== null;
    },
    get pending() {
      return inFlight.size + waiting.length;
    },
  };
}

/** An upper bound of the packet's size in bytes. */
function weight({ topic, payload, properties }: Publication): number {
  const texts = [topic, properties?.contentType ?? "", ...(properties?.userProperties ?? []).flat()];
  const named = (properties?.userProperties ?? []).length * 5;
  return texts.reduce(
    (sum, text) => sum + Buffer.byteLength(text),
    packetOverheadBytes + named + Buffer.byteLength(payload) + (properties?.correlationData?.byteLength ?? 0),
  );
}

function propertiesOf({ properties }: Publication, protocol: Protocol): Pick<IClientPublishOptions, "properties"> {
  if (protocol !== "5" || properties === undefined) return {};
  const given: NonNullable<IPublishPacket["properties"]> = {};
  if (properties.contentType !== undefined) given.contentType = properties.contentType;
  if (properties.correlationData !== undefined) given.correlationData = Buffer.from(properties.correlationData);
  if (properties.messageExpirySeconds !== undefined) given.messageExpiryInterval = properties.messageExpirySeconds;
  if (properties.userProperties !== undefined) given.userProperties = byName(properties.userProperties);
  return { properties: given };
}

/** The shape of the codec: one entry per name, repeats as a list. Without a prototype, since a name is anybody's text. */
function byName(pairs: readonly (readonly [name: string, value: string])[]): Record<string, string | string[]> {
  const named: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of pairs) {
    const before = named[name];
    named[name] = before === undefined ? value : [...(typeof before === "string" ? [before] : before), value];
  }
  return named;
}
