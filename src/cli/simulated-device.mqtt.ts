import type { MqttClient } from "mqtt";
import { type BrokerAccess, connectBroker } from "./broker.mqtt.ts";
import { type CursorData, cursorEventSchema, read, type VerdictData, verdictEventSchema } from "./verdict-data.ts";

export interface DeviceOptions {
  readonly url: string;
  readonly access?: Omit<BrokerAccess, "url">;
  /** 4: MQTT 3.1.1. Default. */
  readonly protocol?: 4 | 5;
  /** `/site/{s}/line/{l}/eq/{e}[/device/{d}]` */
  readonly source: string;
  /** Boot counter or boot time in ms. */
  readonly epoch: bigint | number | string;
  /** The first number. Default 1. */
  readonly start?: bigint | number;
  readonly prefix?: string;
  readonly clientId?: string;
  readonly now?: () => Date;
}

/** An event as it goes out: the same bytes each time it is sent. `id` is null for bytes that are no event. */
export interface Sent {
  readonly id: string | null;
  readonly type: string | null;
  readonly epoch: string | null;
  readonly sequence: string | null;
  readonly payload: string;
}

export interface SeenVerdict {
  readonly verdict: VerdictData;
  readonly time: string;
}

/** A device that numbers its events, publishes with QoS 1 and waits for the PUBACK, and hears what becomes of them. */
export interface SimulatedDevice {
  readonly source: string;
  readonly topic: string;
  /** The number of the next event. */
  readonly next: bigint;
  /** Every delivery that the broker acknowledged, in order, repeats included. */
  readonly log: readonly Sent[];
  /** All verdicts on its branch, in the order of their arrival. */
  readonly heard: readonly SeenVerdict[];
  readonly cursor: CursorData | null;
  /** The attributes and data of an event with the next number, which is not taken. */
  envelope(type: string, attributes?: Readonly<Record<string, unknown>>, data?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** An event that takes the next number and is not sent yet. */
  prepare(type: string, attributes?: Readonly<Record<string, unknown>>, data?: Readonly<Record<string, unknown>>): Sent;
  send(type: string, attributes?: Readonly<Record<string, unknown>>, data?: Readonly<Record<string, unknown>>): Promise<Sent>;
  /** Says where the source stands: it takes its own number, `next` is the one after it. */
  birth(attributes?: Readonly<Record<string, unknown>>): Promise<Sent>;
  /** Sends these bytes, once more if they were sent before. */
  resend(sent: Sent, options?: { readonly retain?: boolean }): Promise<void>;
  /** Sends any bytes to the event topic, or to another one. */
  raw(payload: string | Uint8Array, options?: { readonly retain?: boolean; readonly qos?: 0 | 1 | 2; readonly topic?: string }): Promise<void>;
  /** The latest round of an event, once there is one that fits; by default the first to come. Throws with what was heard when none comes in time. */
  verdictOn(id: string, fits?: (verdict: VerdictData) => boolean, timeoutMs?: number): Promise<VerdictData>;
  /** The round in which an event is no longer deferred. */
  settled(id: string, timeoutMs?: number): Promise<VerdictData>;
  /** Resolves when the condition holds; it is looked at with every message. */
  until(what: string, holds: () => boolean, timeoutMs?: number): Promise<void>;
  /** Ends the connection; `abruptly` without a DISCONNECT, so that a will is sent. */
  close(abruptly?: boolean): Promise<void>;
}

export async function createDevice(options: DeviceOptions): Promise<SimulatedDevice> {
  const { source, prefix = "" } = options;
  const now = options.now ?? (() => new Date());
  const epoch = String(options.epoch);
  const branch = `${prefix}${source.slice(1).replace(/\/device\/[^/]+$/, "")}`;
  const topic = `${branch}/event`;
  const client: MqttClient = await connectBroker(
    { ...options.access, url: options.url },
    { protocol: options.protocol ?? 4, ...(options.clientId === undefined ? {} : { clientId: options.clientId }) },
  );
  let next = BigInt(options.start ?? 1);
  let cursor: CursorData | null = null;
  const log: Sent[] = [];
  const heard: SeenVerdict[] = [];
  const watching = new Set<() => void>();
  const cursorTopic = `${prefix}${source.slice(1)}/cursor`;
  client.on("message", (from, bytes) => {
    const text = bytes.toString("utf8");
    if (from === cursorTopic) cursor = read(cursorEventSchema, text)?.data ?? cursor;
    else {
      const event = read(verdictEventSchema, text);
      if (event !== null) heard.push({ verdict: event.data, time: event.time });
    }
    for (const look of [...watching]) look();
  });
  await client.subscribeAsync([`${branch}/verdict`, cursorTopic], { qos: 1 });

  const device: SimulatedDevice = {
    source,
    topic,
    log,
    heard,
    get next() {
      return next;
    },
    get cursor() {
      return cursor;
    },
    envelope: (type, attributes = {}, data = {}) => ({
      specversion: "1.0",
      id: `${source.split("/").at(-1)}-${epoch}-${next}`,
      source,
      type: /^signalbox\..*\.v\d+$/.test(type) ? type : `signalbox.${type}.v1`,
      time: now().toISOString(),
      timesource: "ntp",
      epoch,
      sequence: String(next),
      ...attributes,
      data,
    }),
    prepare(type, attributes, data) {
      const event = device.envelope(type, attributes, data);
      next += 1n;
      return { id: String(event["id"]), type, epoch: String(event["epoch"]), sequence: String(event["sequence"]), payload: JSON.stringify(event) };
    },
    async send(type, attributes, data) {
      const sent = device.prepare(type, attributes, data);
      await device.resend(sent);
      return sent;
    },
    birth: (attributes) => device.send("source.birth", attributes, { next: String(next + 1n) }),
    async resend(sent, { retain = false } = {}) {
      await client.publishAsync(topic, sent.payload, { qos: 1, retain });
      log.push(sent);
    },
    async raw(payload, { retain = false, qos = 1, topic: other = topic } = {}) {
      await client.publishAsync(other, Buffer.from(payload), { qos, retain });
      if (other === topic && qos > 0) log.push({ id: null, type: null, epoch: null, sequence: null, payload: payload.toString() });
    },
    async verdictOn(id, fits = () => true, timeoutMs = 15_000) {
      const found = (): VerdictData | undefined =>
        heard.findLast(({ verdict }) => verdict.event.source === source && verdict.event.id === id && fits(verdict))?.verdict;
      await device.until(`a verdict on ${id}`, () => found() !== undefined, timeoutMs);
      const verdict = found();
      if (verdict === undefined) throw new Error(`the verdict on ${id} is gone`);
      return verdict;
    },
    settled: (id, timeoutMs = 45_000) => device.verdictOn(id, ({ status }) => status !== "deferred" && status !== "duplicate", timeoutMs),
    until: (what, holds, timeoutMs = 15_000) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (!holds()) return;
          clearTimeout(timer);
          watching.delete(look);
          resolve();
        };
        const timer = setTimeout(() => {
          watching.delete(look);
          const last = heard.slice(-3).map(({ verdict }) => [verdict.event.id, verdict.round, verdict.status, verdict.code]);
          reject(new Error(`${source} did not hear ${what} within ${timeoutMs} ms; last verdicts: ${JSON.stringify(last)}; cursor: ${JSON.stringify(cursor)}`));
        }, timeoutMs);
        watching.add(look);
        look();
      }),
    async close(abruptly = false) {
      await (abruptly ? client.endAsync(true) : client.endAsync());
    },
  };
  return device;
}
