// A device that numbers its events. One that sends once never repeats: what the broker did not acknowledge it gives up, and begins a new epoch as after a boot. One that
// resends keeps every event until the retained cursor has passed it.
import mqtt, { type MqttClient } from "mqtt";
import { envelope, eventTopic } from "../../support/mqtt.ts";
import type { Sent } from "../history/history.ts";

export interface SenderOptions {
  readonly brokerUrl: () => string;
  readonly source: string;
  readonly resends: boolean;
  /** Every publish, in the order of all devices. */
  readonly sent: Mutable<Sent>[];
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface Sender {
  readonly source: string;
  /** Sends one event when those before it are through; its id, whatever became of it. */
  send(type: string, data: Readonly<Record<string, unknown>>, attributes?: Readonly<Record<string, unknown>>): Promise<string>;
  /** The same two events with their numbers in the wrong order. */
  sendSwapped(type: string, data: Readonly<Record<string, unknown>>): Promise<void>;
  /** Resends what the cursor has not passed; whether there was anything. */
  catchUp(): Promise<boolean>;
  close(): void;
}

const PUBACK_MS = 4_000;
const CONNECT_MS = 4_000;

interface Kept {
  readonly epoch: number;
  readonly sequence: number;
  readonly type: string;
  readonly id: string;
  readonly payload: string;
}

export function createSender({ brokerUrl, source, resends, sent }: SenderOptions): Sender {
  let client: MqttClient | null = null;
  let epoch = 1;
  let next = 1;
  let closed = false;
  let turn: Promise<unknown> = Promise.resolve();
  /** In the order of their numbers. */
  let kept: Kept[] = [];
  const clientId = source.split("/").pop() ?? "";

  async function connection(): Promise<MqttClient | null> {
    while (!closed) {
      if (client?.connected === true) return client;
      client?.end(true);
      client = null;
      try {
        // a client object for each connection: what one could not send is never sent by the next
        client = await mqtt.connectAsync(
          brokerUrl(),
          { clientId, clean: true, protocolVersion: 4, reconnectPeriod: 0, connectTimeout: CONNECT_MS, keepalive: 10 },
          false,
        );
        client.on("error", () => {});
        client.on("message", (_topic, payload) => passed(payload.toString("utf8")));
        if (resends) await client.subscribeAsync(`${source.slice(1)}/cursor`, { qos: 1 });
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    }
    return null;
  }

  function passed(text: string): void {
    if (text === "") return;
    const { data } = JSON.parse(text) as { data: { epoch: string | null; through: string } };
    kept = kept.filter((one) => one.epoch > Number(data.epoch ?? 0) || (one.epoch === Number(data.epoch ?? 0) && one.sequence > Number(data.through)));
  }

  const take = (type: string, data: Readonly<Record<string, unknown>>, attributes: Readonly<Record<string, unknown>> = {}): Kept => {
    const body = envelope(source, epoch, next, type, data, attributes);
    const one: Kept = { epoch, sequence: next, type: String(body["type"]), id: String(body["id"]), payload: JSON.stringify(body) };
    next += 1;
    if (resends) kept.push(one);
    return one;
  };

  /** Publishes once; whether the broker acknowledged it. */
  async function publish(one: Kept): Promise<boolean> {
    const on = await connection();
    if (on === null) return false;
    const entry: Mutable<Sent> = {
      at: performance.now(),
      source,
      id: one.id,
      epoch: String(one.epoch),
      sequence: String(one.sequence),
      type: one.type,
      content: one.payload,
      acknowledgedAt: null,
    };
    sent.push(entry);
    const acknowledged = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), PUBACK_MS);
      const over = (ok: boolean): void => {
        clearTimeout(timer);
        on.off("close", broke);
        resolve(ok);
      };
      const broke = (): void => over(false);
      on.once("close", broke);
      on.publish(eventTopic(source), one.payload, { qos: 1 }, (error) => over(error == null));
    });
    if (acknowledged) entry.acknowledgedAt = performance.now();
    else {
      on.end(true);
      client = null;
    }
    return acknowledged;
  }

  async function through(one: Kept): Promise<void> {
    if (resends) {
      while (!closed && !(await publish(one))) {}
    } else if (!(await publish(one)) && one.epoch === epoch) {
      epoch += 1;
      next = 1;
    }
  }

  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const mine = turn.then(run);
    turn = mine.catch(() => {});
    return mine;
  };

  return {
    source,
    send: (type, data, attributes) =>
      inTurn(async () => {
        const one = take(type, data, attributes);
        await through(one);
        return one.id;
      }),
    sendSwapped: (type, data) =>
      inTurn(async () => {
        const [first, second] = [take(type, data), take(type, data)];
        await through(second);
        // what was given up is not followed by what stood before it in the epoch that is over
        if (second.epoch === epoch) await through(first);
      }),
    catchUp: () =>
      inTurn(async () => {
        const these = [...kept];
        for (const one of these) await through(one);
        return these.length > 0;
      }),
    close() {
      closed = true;
      client?.end(true);
    },
  };
}
