// One supervised connection to the broker: a fresh client object for every attempt, so that nothing of a former connection (queued packets, stored publishes, packet ids) can
// come out on a later one; our own back-off; and our own watch over silence.
import { Socket } from "node:net";
import mqtt, { type IConnackPacket, type MqttClient } from "mqtt";
import { writeToStream } from "mqtt-packet";
import {
  askAgainMs,
  backOffAfterTakeOver,
  backOffMs,
  type DisconnectReason,
  type Ending,
  failuresAfter,
  type Protocol,
  type ProtocolChoice,
  protocolAfterRefusal,
  reasonName,
  sessionTakenOver,
} from "./connection.ts";

export interface BrokerOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`. */
  readonly url: string;
  readonly clientId: string;
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
  /** PEM text. With `cert` and `key` the client authenticates itself by certificate. */
  readonly ca?: string | null | undefined;
  readonly cert?: string | null | undefined;
  readonly key?: string | null | undefined;
  readonly protocol: ProtocolChoice;
  /** Default 30. */
  readonly keepaliveSeconds?: number | undefined;
  /**
   * Asked before every attempt, and once more when the broker has accepted, before the connection is used; where it says no, or fails, there is no connection until it says
   * yes. The second time counts: whoever was delayed between asking and connecting has taken the session from its owner, and must not say a word on it.
   */
  mayConnect?(): Promise<boolean>;
}

/** One network connection. An acknowledgement belongs to the connection on which its message came, and to no other. */
export interface Connection {
  readonly serial: number;
  readonly client: MqttClient;
  readonly protocol: Protocol;
  readonly open: boolean;
  /** Ends this connection; the next attempt follows after the back-off. */
  drop(reason: DisconnectReason, detail: string | null): void;
}

export interface Role {
  readonly session: { readonly clean: boolean; readonly expirySeconds: number; readonly receiveMaximum: number | null };
  /** Before anything is sent: the place to install overrides on the client. */
  prepare(connection: Connection): void;
  /** The broker accepted; nothing that follows its CONNACK has been handled yet. */
  accepted(connection: Connection, connack: IConnackPacket): void;
  /** Packets may be sent. */
  ready(connection: Connection): void;
  /** While true nothing is read, so the broker's silence means nothing. */
  parked(): boolean;
  /** True once the connection does what it is for; a connection that never gets there is given up. */
  established(): boolean;
  /** Called for every end of an accepted connection, and for a failed attempt when its reason or detail differs from the end before it: one call when an outage begins or changes. */
  ended(connection: Connection | null, ending: Ending): void;
}

export interface Supervisor {
  start(): void;
  /** Says goodbye to the broker and resolves when the connection is closed. */
  stop(): Promise<void>;
}

// With its first packet the codec would make a buffer for each of the 65,536 packet ids, and keep them: a sixth of all that the idle service holds, to save making two bytes.
writeToStream.cacheNumbers = false;

const connackTimeoutMs = 10_000;
// Three half intervals without a packet, the 1.5 times keepalive that a broker allows us as well [MQTT-3.1.2-22].
const silentTicks = 3;
const establishTicks = 6;
const goodbyeTimeoutMs = 1_000;
const goodbye = Uint8Array.of(0xe0, 0x00);

// mqtt.js counts its keepalive on packets that went through its read loop and kills the connection while the loop is parked. The interval itself is wanted, since by it the
// broker notices that we are gone. So it is announced, mqtt.js gets a timer that never fires (`timerVariant`), and the watch below takes its place: it pings every half interval,
// counts ticks without a packet rather than time (a process that was stopped for a minute has not heard a silent broker), and does not count while the loop is parked.
const timerThatNeverFires = { set: () => 0, clear: () => undefined };

export function superviseConnection(options: BrokerOptions, role: Role): Supervisor {
  let running = false;
  let serial = 0;
  let failures = 0;
  let protocol: Protocol = options.protocol === "3.1.1" ? "3.1.1" : "5";
  let lastFailure: string | null = null;
  let retry: NodeJS.Timeout | undefined;
  let asked = 0;
  let current: { readonly connection: Connection; say(bytes: Uint8Array): void; destroy(): void } | null = null;
  const closed: (() => void)[] = [];

  const again = (afterMs: number): void => {
    if (running) retry = setTimeout(attempt, afterMs);
  };

  const clientFor = (spoken: Protocol): MqttClient =>
    mqtt.connect(options.url, {
      clientId: options.clientId,
      protocolVersion: spoken === "5" ? 5 : 4,
      clean: role.session.clean,
      keepalive: options.keepaliveSeconds ?? 30,
      timerVariant: timerThatNeverFires,
      manualConnect: true,
      reconnectPeriod: 0,
      resubscribe: false,
      connectTimeout: connackTimeoutMs,
      ...(options.username == null ? {} : { username: options.username }),
      ...(options.password == null ? {} : { password: options.password }),
      ...(options.ca == null ? {} : { ca: options.ca }),
      ...(options.cert == null ? {} : { cert: options.cert }),
      ...(options.key == null ? {} : { key: options.key }),
      // No Maximum Packet Size: a broker drops what exceeds it without a word to anyone, and an event would be lost in silence. No Topic Alias Maximum: `packet.topic` would be empty.
      ...(spoken === "5"
        ? {
            properties: {
              sessionExpiryInterval: role.session.expirySeconds,
              ...(role.session.receiveMaximum === null ? {} : { receiveMaximum: role.session.receiveMaximum }),
            },
          }
        : {}),
    });

  const allowed = async (): Promise<boolean> => {
    try {
      return (await options.mayConnect?.()) ?? true;
    } catch {
      return false;
    }
  };

  function attempt(): void {
    if (options.mayConnect === undefined) {
      connect();
      return;
    }
    asked += 1;
    const asking = asked;
    void allowed().then((may) => {
      if (!running || asking !== asked) return;
      if (may) connect();
      else notOurs();
    });
  }

  function notOurs(): void {
    again(askAgainMs);
    tell({ reason: "not_ours", detail: null });
  }

  function connect(): void {
    const spoken = protocol;
    let client: MqttClient;
    try {
      client = clientFor(spoken);
    } catch (error) {
      failed({ reason: "unreachable", detail: error instanceof Error ? error.message : String(error) });
      return;
    }

    let open = true;
    let acceptedAt: number | null = null;
    let refusal: number | null = null;
    let cause: Ending | null = null;
    let watch: NodeJS.Timeout | undefined;
    let heard = true;

    serial += 1;
    const connection: Connection = {
      serial,
      client,
      protocol: spoken,
      get open() {
        return open;
      },
      drop(reason, detail) {
        cause ??= { reason, detail };
        client.stream?.destroy();
      },
    };

    const over = (): void => {
      if (!open) return;
      open = false;
      clearInterval(watch);
      current = null;
      const wasParked = role.parked();
      for (const resolve of closed.splice(0)) resolve();

      if (acceptedAt === null) {
        if (!running) return;
        if (refusal !== null) {
          protocol = protocolAfterRefusal(options.protocol, spoken, refusal);
          if (protocol !== spoken) {
            again(0);
            return;
          }
        }
        failed(refusal === null ? { reason: "unreachable", detail: cause?.detail ?? null } : { reason: "refused", detail: reasonName(refusal) });
        return;
      }

      const ending: Ending = running ? (cause ?? { reason: "closed", detail: null }) : { reason: "stopped", detail: null };
      failures = failuresAfter(failures, performance.now() - acceptedAt);
      lastFailure = `${ending.reason} ${ending.detail}`;
      // A parked loop cannot read the DISCONNECT that would have said so: what closed on it may have been a take-over.
      const perhapsTakenOver = options.mayConnect === undefined && (ending.reason === "taken_over" || (ending.reason === "closed" && wasParked));
      again(perhapsTakenOver ? backOffAfterTakeOver(failures, Math.random()) : backOffMs(Math.max(0, failures - 1), Math.random()));
      role.ended(connection, ending);
    };

    client.on("packetreceive", (packet) => {
      heard = true;
      if (packet.cmd !== "connack") return;
      const code = packet.reasonCode ?? packet.returnCode ?? 0;
      if (code !== 0) {
        refusal = code;
        return;
      }
      acceptedAt = performance.now();
      role.accepted(connection, packet);
      watch = watchOver(connection, packet.properties?.serverKeepAlive ?? options.keepaliveSeconds ?? 30);
    });
    client.on("connect", () => {
      if (options.mayConnect === undefined) {
        if (open) role.ready(connection);
        return;
      }
      void allowed().then((may) => {
        if (!open || !running) return;
        if (may) role.ready(connection);
        else connection.drop("not_ours", null);
      });
    });
    client.on("disconnect", (packet) => {
      const code = packet.reasonCode ?? 0;
      connection.drop(code === sessionTakenOver ? "taken_over" : "closed", reasonName(code));
    });
    // After an error nothing that follows can be trusted (a parser that lost its place goes on with garbage): always end the connection.
    client.on("error", (error) => connection.drop("closed", error.message));
    client.on("close", over);

    function watchOver(watched: Connection, keepaliveSeconds: number): NodeJS.Timeout {
      let silent = 0;
      let waited = 0;
      return setInterval(() => {
        if (!role.parked()) {
          silent = heard ? 0 : silent + 1;
          waited = role.established() ? 0 : waited + 1;
          heard = false;
          if (silent >= silentTicks) return watched.drop("silent", null);
          if (waited >= establishTicks) return watched.drop("silent", "connected, but what was asked for next was never answered");
        } else {
          silent = 0;
        }
        if (client.connected) client.sendPing();
      }, keepaliveSeconds * 500);
    }

    current = {
      connection,
      // Half-closed: the broker reads our last PUBACKs to the end and closes its side. If we closed at once, whoever connects next under this id would make it throw them away.
      say: (bytes) => {
        client.stream.end(bytes);
      },
      destroy: () => client.stream?.destroy(),
    };
    role.prepare(connection);
    try {
      client.connect();
      // Node's defaults wait for more data before sending, and find a dead peer after two hours.
      if (client.stream instanceof Socket) client.stream.setNoDelay(true).setKeepAlive(true, 10_000);
    } catch (error) {
      cause = { reason: "unreachable", detail: error instanceof Error ? error.message : String(error) };
      over();
    }
  }

  function failed(ending: Ending): void {
    failures += 1;
    again(backOffMs(failures - 1, Math.random()));
    tell(ending);
  }

  /** Once where failed attempts begin, or change their reason. */
  function tell(ending: Ending): void {
    const told = `${ending.reason} ${ending.detail}`;
    if (told !== lastFailure) {
      lastFailure = told;
      role.ended(null, ending);
    }
  }

  return {
    start() {
      if (running) return;
      running = true;
      failures = 0;
      lastFailure = null;
      // After a stop that is still closing: the old connection must be gone first, or its end would be taken for the new one's.
      if (current === null) attempt();
      else closed.push(() => queueMicrotask(() => running && current === null && attempt()));
    },
    stop() {
      running = false;
      asked += 1;
      clearTimeout(retry);
      const ending = current;
      if (ending === null) return Promise.resolve();
      return new Promise((resolve) => {
        const impatient = setTimeout(ending.destroy, goodbyeTimeoutMs);
        closed.push(() => {
          clearTimeout(impatient);
          resolve();
        });
        if (ending.connection.client.connected) ending.say(goodbye);
        else ending.destroy();
      });
    },
  };
}
