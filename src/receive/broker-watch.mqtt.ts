import mqtt from "mqtt";

export interface BrokerSays {
  readonly dropped: number | null;
  readonly queued: number | null;
}

/** Listens to what the broker says of itself, on a connection of its own: an overflow there is silent otherwise. A broker that says nothing is no fault. */
export function watchBroker(options: {
  readonly url: string;
  readonly clientId: string;
  readonly username: string | null;
  readonly password: string | null;
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  onSays(says: BrokerSays): void;
}): { stop(): Promise<void> } {
  let says: BrokerSays = { dropped: null, queued: null };
  const client = mqtt.connect(options.url, {
    clientId: options.clientId,
    clean: true,
    protocolVersion: 4,
    reconnectPeriod: 10_000,
    ...(options.username === null ? {} : { username: options.username }),
    ...(options.password === null ? {} : { password: options.password }),
    ...(options.ca === null ? {} : { ca: options.ca }),
    ...(options.cert === null ? {} : { cert: options.cert }),
    ...(options.key === null ? {} : { key: options.key }),
  });
  client.on("error", () => {});
  client.on("connect", () => client.subscribe([DROPPED, QUEUED], { qos: 0 }, () => {}));
  client.on("message", (topic, payload) => {
    const n = Number(payload.toString("utf8"));
    if (!Number.isFinite(n)) return;
    says = topic === DROPPED ? { ...says, dropped: n } : { ...says, queued: n };
    options.onSays(says);
  });
  return {
    stop: async () => {
      await client.endAsync(true).catch(() => undefined);
    },
  };
}

const DROPPED = "$SYS/broker/publish/messages/dropped";
const QUEUED = "$SYS/broker/store/messages/count";
