import type { Time } from "../../../src/ops/time.ts";
import type { Publisher } from "../../../src/publish/publisher.mqtt.ts";
import { PublishError } from "../../../src/publish/publisher.mqtt.ts";
import { askAgainMs, backOffMs, type Ending, failuresAfter, type Protocol } from "../../../src/receive/connection.ts";
import type { Delivery } from "../../../src/receive/delivery.ts";
import type { Subscriber } from "../../../src/receive/session.mqtt.ts";
import { type AcknowledgementWindow, acknowledgementWindow, type Slot } from "../../../src/receive/window.ts";
import type { ClientEnd, Publication, SimBroker, ToClient } from "./broker.ts";
import type { SimProcess } from "./process.ts";

// What receive/ and publish/ do on a real connection, on a simulated one: the same window, the same back-off, the same rules; only the library between is not there.

const KEEPALIVE_MS = 10_000;
const PUBLISH_TIMEOUT_MS = 10_000;

interface Role {
  /** The broker has accepted; what it holds for us follows at once. */
  accepted(link: ClientEnd, sessionPresent: boolean): void;
  /** The session is ours by the lease as well: now something may be said. */
  ready(link: ClientEnd): void;
  packet(packet: ToClient): void;
  ended(ending: Ending): void;
  parked(): boolean;
}

interface SupervisedOptions {
  readonly process: SimProcess;
  readonly broker: SimBroker;
  readonly clientId: string;
  readonly clean: boolean;
  readonly receiveMaximum: number;
  mayConnect(): Promise<boolean>;
}

/** One supervised connection: connects again after its back-off, and gives up a link on which nothing is heard. */
function supervise(options: SupervisedOptions, role: Role): { start(): void; stop(): Promise<void>; drop(reason: Ending["reason"]): void } {
  const { process, broker } = options;
  const time: Time = process;
  let running = false;
  let failures = 0;
  let link: ClientEnd | null = null;
  let accepted: number | null = null;
  let endWatch: () => void = () => {};
  let heard = true;
  let silent = 0;
  let cause: Ending | null = null;
  let callOff: () => void = () => {};
  let asked = 0;

  const again = (ms: number): void => {
    if (!running) return;
    callOff = time.after(ms, () => void attempt());
  };

  function over(): void {
    if (link === null) return;
    link = null;
    endWatch();
    const ending: Ending = running ? (cause ?? { reason: "closed", detail: null }) : { reason: "stopped", detail: null };
    cause = null;
    if (accepted === null) {
      failures += 1;
      again(backOffMs(failures - 1, time.chance()));
      return;
    }
    failures = failuresAfter(failures, time.now() - accepted);
    accepted = null;
    again(backOffMs(Math.max(0, failures - 1), time.chance()));
    role.ended(ending);
  }

  function drop(reason: Ending["reason"]): void {
    const dropped = link;
    if (dropped === null) return;
    cause ??= { reason, detail: null };
    dropped.end("reset");
    over();
  }

  async function attempt(): Promise<void> {
    asked += 1;
    const asking = asked;
    const may = await options.mayConnect().catch(() => false);
    if (!running || asking !== asked) return;
    if (!may) {
      again(askAgainMs);
      return;
    }
    const own = broker.connect(process, {
      packet: (packet) => {
        if (own === null || link !== own) return;
        heard = true;
        if (packet.kind === "connack") {
          accepted = time.now();
          role.accepted(own, packet.sessionPresent);
          void options
            .mayConnect()
            .catch(() => false)
            .then((stillOurs) => {
              if (link !== own || !running) return;
              if (stillOurs) role.ready(own);
              else drop("not_ours");
            });
          return;
        }
        if (packet.kind === "disconnect") {
          cause ??= { reason: "taken_over", detail: null };
          drop("taken_over");
          return;
        }
        role.packet(packet);
      },
      ended: () => {
        if (link === own) over();
      },
    });
    if (own === null) {
      failures += 1;
      again(backOffMs(failures - 1, time.chance()));
      return;
    }
    link = own;
    accepted = null;
    silent = 0;
    own.toServer({ kind: "connect", clientId: options.clientId, clean: options.clean, receiveMaximum: options.receiveMaximum });
    endWatch();
    endWatch = time.every(KEEPALIVE_MS / 2, () => {
      if (role.parked()) silent = 0;
      else {
        silent = heard ? 0 : silent + 1;
        heard = false;
        if (silent >= 3) return drop("silent");
      }
      own.toServer({ kind: "ping" });
    });
  }

  return {
    start() {
      if (running) return;
      running = true;
      failures = 0;
      void attempt();
    },
    async stop() {
      running = false;
      callOff();
      const own = link;
      if (own === null) return;
      own.toServer({ kind: "disconnect" });
      over();
    },
    drop,
  };
}

export interface SimSubscriberOptions {
  readonly clientId: string;
  readonly topics: readonly string[];
  mayConnect(): Promise<boolean>;
  readonly receiveMaximum: number;
  onDelivery(delivery: Delivery, slot: Slot): void;
  onConnected(connected: { readonly sessionPresent: boolean; readonly protocol: Protocol }): void;
  onDisconnected(ending: Ending): void;
}

export function simSubscriber(process: SimProcess, broker: SimBroker, options: SimSubscriberOptions): Subscriber {
  const cap = { deliveries: 4 * options.receiveMaximum, bytes: 16 * 1_024 * 1_024 };
  let on: { readonly link: ClientEnd; readonly window: AcknowledgementWindow } | null = null;
  let serial = 0;
  let subscribed = false;
  let pausing = false;
  /** What was read from the socket and not yet handed on: TCP holds the rest. */
  let unread: Extract<ToClient, { kind: "publish" }>[] = [];
  let started: (() => void)[] = [];

  const handOn = (): void => {
    while (on !== null && !pausing && !on.window.full) {
      const packet = unread.shift();
      if (packet === undefined) return;
      const { topic, payload, retain } = packet.publication;
      const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
      const slot = on.window.take(packet.id, bytes.length);
      options.onDelivery(
        {
          topic,
          payload: bytes,
          qos: 1,
          retained: retain,
          dup: packet.dup,
          protocol: "5",
          contentType: null,
          responseTopic: null,
          correlationData: null,
          userProperties: [],
        },
        slot,
      );
    }
  };
  const begun = (): void => {
    for (const resolve of started) resolve();
    started = [];
  };

  const supervised = supervise(
    { process, broker, clientId: options.clientId, clean: false, receiveMaximum: options.receiveMaximum, mayConnect: () => options.mayConnect() },
    {
      accepted(link, sessionPresent) {
        serial += 1;
        on = { link, window: acknowledgementWindow(serial, cap) };
        unread = [];
        pausing = false;
        options.onConnected({ sessionPresent, protocol: "5" });
      },
      ready: (link) => link.toServer({ kind: "subscribe", topics: options.topics }),
      packet(packet) {
        if (packet.kind === "suback") {
          subscribed = true;
          begun();
        }
        if (packet.kind === "publish") {
          unread.push(packet);
          handOn();
        }
      },
      ended(ending) {
        on = null;
        unread = [];
        subscribed = false;
        options.onDisconnected(ending);
        begun();
      },
      parked: () => unread.length > 0,
    },
  );

  return {
    start() {
      supervised.start();
      return subscribed ? Promise.resolve() : new Promise((resolve) => started.push(resolve));
    },
    pause() {
      pausing = true;
    },
    async stop() {
      await supervised.stop();
      on = null;
      begun();
    },
    acknowledge(slots) {
      if (on === null) return;
      const { link, window } = on;
      const free = window.settle(slots);
      if (free.length > 0) link.toServer({ kind: "puback", ids: free });
      if (window.drained) handOn();
    },
    get connected() {
      return subscribed;
    },
    get unacknowledged() {
      return on?.window.count ?? 0;
    },
    get parked() {
      return unread.length > 0;
    },
  };
}

export interface SimPublisherOptions {
  readonly clientId: string;
  mayConnect(): Promise<boolean>;
  onConnected(connected: { readonly protocol: Protocol }): void;
  onDisconnected?(ending: Ending): void;
}

interface Pending {
  readonly publication: Publication;
  resolve(): void;
  reject(error: Error): void;
  readonly callOff: () => void;
}

export function simPublisher(process: SimProcess, broker: SimBroker, options: SimPublisherOptions): Publisher {
  const WINDOW = 20;
  let link: ClientEnd | null = null;
  let nextId = 0;
  const waiting: Pending[] = [];
  const inFlight = new Map<number, Pending>();

  const rejectAll = (code: string): void => {
    const all = [...inFlight.values(), ...waiting];
    inFlight.clear();
    waiting.length = 0;
    for (const pending of all) {
      pending.callOff();
      pending.reject(new PublishError(code, pending.publication.topic));
    }
  };

  const send = (): void => {
    while (link !== null && inFlight.size < WINDOW) {
      const pending = waiting.shift();
      if (pending === undefined) return;
      do nextId = (nextId % 65_535) + 1;
      while (inFlight.has(nextId));
      inFlight.set(nextId, pending);
      link.toServer({ kind: "publish", id: nextId, publication: pending.publication });
    }
  };

  const supervised = supervise(
    { process, broker, clientId: options.clientId, clean: true, receiveMaximum: WINDOW, mayConnect: () => options.mayConnect() },
    {
      accepted: () => {},
      ready(own) {
        link = own;
        options.onConnected({ protocol: "5" });
      },
      packet(packet) {
        if (packet.kind !== "puback") return;
        const pending = inFlight.get(packet.id);
        if (pending === undefined) return;
        inFlight.delete(packet.id);
        pending.callOff();
        pending.resolve();
        send();
      },
      ended(ending) {
        link = null;
        rejectAll("disconnected");
        options.onDisconnected?.(ending);
      },
      parked: () => false,
    },
  );

  return {
    start: () => supervised.start(),
    async stop() {
      await supervised.stop();
      link = null;
      rejectAll("disconnected");
    },
    publish({ topic, payload, retain }) {
      if (link === null) return Promise.reject(new PublishError("not_connected", topic));
      return new Promise((resolve, reject) => {
        const callOff = process.after(PUBLISH_TIMEOUT_MS, () => {
          reject(new PublishError("timed_out", topic));
          supervised.drop("silent");
        });
        waiting.push({ publication: { topic, payload, retain }, resolve, reject, callOff });
        send();
      });
    },
    get connected() {
      return link !== null;
    },
    get pending() {
      return inFlight.size + waiting.length;
    },
  };
}
