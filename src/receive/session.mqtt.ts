// The subscriber: one persistent MQTT session. Hands deliveries on as they come, and acknowledges them when it is told to: in order, on the connection they came on, never before.
import type { IPublishPacket } from "mqtt";
import { type BrokerOptions, type Connection, superviseConnection } from "./connection.mqtt.ts";
import type { Ending, Protocol } from "./connection.ts";
import type { Delivery } from "./delivery.ts";
import { type AcknowledgementWindow, acknowledgementWindow, type HardCap, pubacks, RECEIVE_MAXIMUM, type Slot } from "./window.ts";

export type { Slot } from "./window.ts";

export interface SubscriberOptions extends BrokerOptions {
  readonly topics: readonly string[];
  /** How many deliveries an MQTT 5 broker may have open with us. Default 4096. On 3.1.1 the broker's own setting decides. */
  readonly receiveMaximum?: number | undefined;
  /** What we hold at most, whatever the broker does. Default twice `receiveMaximum`, 16 MiB. One delivery may overshoot the bytes. */
  readonly hardCap?: Partial<HardCap> | undefined;
  /** How long an MQTT 5 broker keeps the session without us. Default 7 days. */
  readonly sessionExpirySeconds?: number | undefined;
  onDelivery(delivery: Delivery, slot: Slot): void;
  /** Before the first delivery of each connection. `sessionPresent` false on a later connection means that the broker forgot what it held for us. */
  onConnected(connected: { readonly sessionPresent: boolean; readonly protocol: Protocol }): void;
  /** Once for every connection that ended, and once whenever failed attempts begin or change their reason. */
  onDisconnected(ending: Ending): void;
}

export interface Subscriber {
  /** Resolves when the topics are subscribed, or when the first attempt has failed (`onDisconnected` says why; further ones follow until `stop`). Never rejects. */
  start(): Promise<void>;
  /** Hands on no further delivery, but stays connected, so that what is being settled can still be acknowledged. Until the next connection. */
  pause(): void;
  /** Disconnects; the session stays with the broker. What is not acknowledged by then comes again. */
  stop(): Promise<void>;
  /** Settles slots. Takes those of QoS 0 deliveries too (they free their room in the hard cap); ignores those of a connection that has ended, and repeats. */
  acknowledge(slots: readonly Slot[]): void;
  /** Connected and subscribed. */
  readonly connected: boolean;
  /** Deliveries of this connection that are handed on and not yet released, held-back ones included. */
  readonly unacknowledged: number;
  /** The hard cap is reached: nothing is read until half of it is free. */
  readonly parked: boolean;
}

// mqtt.js sends its PUBACK when `handleMessage` calls back without an error, and reads on only after that: acknowledging after a commit would mean one message per commit. With an
// error it sends none and reads on all the same. That it reads on is not promised anywhere: the version is pinned, and test/promises/mqtt-library.test.ts guards it.
/** Correlation Data up to this many bytes is kept and given back (contract, section 3). */
const CORRELATION_BYTES = 256;

const deferred = new Error("the acknowledgement follows the commit");

export function createSubscriber(options: SubscriberOptions): Subscriber {
  const receiveMaximum = options.receiveMaximum ?? RECEIVE_MAXIMUM;
  const cap: HardCap = { deliveries: options.hardCap?.deliveries ?? 2 * receiveMaximum, bytes: options.hardCap?.bytes ?? 16 * 1_024 * 1_024 };

  let on: { readonly connection: Connection; readonly window: AcknowledgementWindow } | null = null;
  let readOn: (() => void) | null = null;
  let subscribed = false;
  let pausing = false;
  let leaving = false;
  const started: (() => void)[] = [];

  const settleStarts = (): void => {
    for (const resolve of started.splice(0)) resolve();
  };

  const release = (): void => {
    const go = readOn;
    readOn = null;
    go?.();
  };

  function take(connection: Connection, packet: IPublishPacket, callback: (error?: Error) => void): void {
    // mqtt.js goes on with what it had parsed before the connection closed. Those messages come again; their slots would be dead. What comes while we say goodbye is read, so that the
    // broker's own end is seen, and left to the next connection too.
    if (on === null || on.connection !== connection || !connection.open || leaving) {
      callback(deferred);
      return;
    }
    if (pausing) {
      readOn = () => callback(deferred);
      return;
    }
    const { window } = on;
    const slot = window.take(packet.qos === 1 ? (packet.messageId ?? null) : null, packet.length ?? packet.payload.length);
    options.onDelivery(deliveryOf(packet, connection.protocol), slot);
    // QoS 2 cannot come of a subscription at QoS 1; what an older session of this id still held is settled by mqtt.js in its four steps, which leave no room for a commit.
    if (packet.qos === 2) callback();
    // Parked: TCP pushes back on the broker, and memory is bounded whatever it sends (mosquitto 2.0.11 goes far beyond Receive Maximum once PUBACKs flow).
    else if (window.full) readOn = () => callback(deferred);
    else callback(deferred);
  }

  const supervisor = superviseConnection(options, {
    session: { clean: false, expirySeconds: options.sessionExpirySeconds ?? 7 * 24 * 3_600, receiveMaximum },
    prepare(connection) {
      connection.client.handleMessage = (packet, callback) => take(connection, packet, callback);
    },
    accepted(connection, connack) {
      on = { connection, window: acknowledgementWindow(connection.serial, cap) };
      readOn = null;
      pausing = false;
      leaving = false;
      options.onConnected({ sessionPresent: connack.sessionPresent, protocol: connection.protocol });
    },
    ready(connection) {
      // Also into a session that is still there: the topics may have changed, and with retain handling 2 nothing is repeated by it. No local, so that what we publish is never taken
      // for an event. Retain as published, so that a retained copy is known by its flag; on 3.1.1 the flag marks exactly the copies that are sent because of this subscription.
      const how = connection.protocol === "5" ? ({ qos: 1, nl: true, rap: true, rh: 2 } as const) : ({ qos: 1 } as const);
      connection.client.subscribe([...options.topics], how, (error, grants) => {
        if (!connection.open) return;
        const refused = grants?.find((grant) => grant.qos !== 1);
        if (error !== null || refused !== undefined) {
          connection.drop("subscription_refused", error?.message ?? `${refused?.topic} was granted at QoS ${refused?.qos}`);
          return;
        }
        subscribed = true;
        settleStarts();
      });
    },
    parked: () => (readOn !== null || pausing) && !leaving,
    established: () => subscribed,
    ended(_connection, ending) {
      on = null;
      readOn = null;
      subscribed = false;
      options.onDisconnected(ending);
      settleStarts();
    },
  });

  return {
    start() {
      supervisor.start();
      return subscribed ? Promise.resolve() : new Promise((resolve) => started.push(resolve));
    },
    pause() {
      pausing = true;
    },
    async stop() {
      leaving = true;
      release();
      await supervisor.stop();
      settleStarts();
    },
    acknowledge(slots) {
      if (on === null) return;
      const { connection, window } = on;
      const free = window.settle(slots);
      // Written past the library, whose own sending would keep a PUBACK for the next connection when this one is gone, where its id may stand for another message.
      if (free.length > 0 && connection.open && connection.client.stream.writable) connection.client.stream.write(pubacks(free));
      if (window.drained && !pausing) release();
    },
    get connected() {
      return subscribed;
    },
    get unacknowledged() {
      return on?.window.count ?? 0;
    },
    get parked() {
      return readOn !== null;
    },
  };
}

/**
 * What mqtt.js made of a PUBLISH, as a delivery. Its codec keeps user properties by name: repeats keep their order among themselves, but stand together at the place of the first,
 * and a first value that is empty is lost when the name is repeated.
 */
function deliveryOf(packet: IPublishPacket, protocol: Protocol): Delivery {
  const properties = packet.properties ?? {};
  const correlationData = Buffer.isBuffer(properties.correlationData) ? properties.correlationData : null;
  // more than is kept for an answer: none is given
  const answerable = correlationData === null || correlationData.byteLength <= CORRELATION_BYTES;
  return {
    topic: packet.topic,
    payload: typeof packet.payload === "string" ? Buffer.from(packet.payload) : packet.payload,
    qos: packet.qos,
    retained: packet.retain,
    dup: packet.dup,
    protocol,
    // A property that may stand once and stands twice comes out of the codec as an array.
    contentType: typeof properties.contentType === "string" ? properties.contentType : null,
    responseTopic: answerable && typeof properties.responseTopic === "string" ? properties.responseTopic : null,
    correlationData: answerable ? correlationData : null,
    userProperties: Object.entries(properties.userProperties ?? {}).flatMap(([name, value]) =>
      typeof value === "string" ? [[name, value] as const] : value.map((one) => [name, one] as const),
    ),
  };
}
