import { Socket } from "node:net";
import mqtt, { type IClientPublishOptions, type MqttClient } from "mqtt";
import type { Said } from "./shapes.ts";

/** A message as a test saw it. */
export interface Seen {
  readonly topic: string;
  readonly body: Said;
  readonly retain: boolean;
  readonly at: number;
}

/** A plain MQTT client that publishes and collects; what it collects can be waited for, never slept for. */
export interface Party {
  readonly client: MqttClient;
  readonly seen: Seen[];
  publish(topic: string, body: unknown, options?: IClientPublishOptions): Promise<void>;
  subscribe(...filters: string[]): Promise<void>;
  /** Resolves with the first message, seen or to come, that fits. */
  until(what: string, fits: (seen: Seen) => boolean, timeoutMs?: number): Promise<Seen>;
  /** Resolves when a condition over all that was seen holds. */
  untilAll(what: string, holds: (seen: readonly Seen[]) => boolean, timeoutMs?: number): Promise<void>;
  /** Resolves when the connection stands (again). */
  connected(): Promise<void>;
  end(): Promise<void>;
}

export async function join(
  url: string,
  options: { readonly protocol?: 4 | 5; readonly clientId?: string; readonly clean?: boolean; readonly reconnect?: boolean } = {},
): Promise<Party> {
  const client = await mqtt.connectAsync(url, {
    protocolVersion: options.protocol ?? 5,
    clean: options.clean ?? true,
    reconnectPeriod: options.reconnect === true ? 200 : 0,
    ...(options.clientId === undefined ? {} : { clientId: options.clientId }),
    ...(options.protocol !== 4 && options.clean === false ? { properties: { sessionExpiryInterval: 3600 } } : {}),
  });
  // an acknowledgement followed by a publish must not wait for the other side's delayed one
  const undelayed = (): void => {
    if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  };
  undelayed();
  client.on("connect", undelayed);
  const seen: Seen[] = [];
  const waiting = new Set<() => void>();
  let scheduled = false;
  // a condition over all that was seen costs as much as was seen: many messages are looked at together
  const lookSoon = (): void => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(
      () => {
        scheduled = false;
        for (const look of waiting) look();
      },
      seen.length > 2_000 ? 100 : 1,
    );
  };
  client.on("message", (topic, payload, packet) => {
    const text = payload.toString("utf8");
    seen.push({ topic, body: text === "" ? null : text.startsWith("{") ? JSON.parse(text) : text, retain: packet.retain, at: performance.now() });
    lookSoon();
  });
  client.on("error", () => {});

  function wait(what: string, done: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(
          new Error(
            `not seen within ${timeoutMs} ms: ${what}; last of ${seen.length}: ${JSON.stringify(seen.slice(-3).map((s) => [s.topic, s.body?.data ?? s.body])).slice(0, 1500)}`,
          ),
        );
      }, timeoutMs);
      const look = (): void => {
        if (!done()) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  }

  return {
    client,
    seen,
    async publish(topic, body, publishOptions = {}) {
      const payload = typeof body === "string" || body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body);
      await client.publishAsync(topic, payload, { qos: 1, ...publishOptions });
    },
    async subscribe(...filters) {
      await client.subscribeAsync(filters, { qos: 1 });
    },
    async until(what, fits, timeoutMs = 15_000) {
      await wait(what, () => seen.some(fits), timeoutMs);
      const found = seen.find(fits);
      if (found === undefined) throw new Error(`${what} was seen and is gone`);
      return found;
    },
    untilAll(what, holds, timeoutMs = 30_000) {
      return wait(what, () => holds(seen), timeoutMs);
    },
    connected: () => (client.connected ? Promise.resolve() : new Promise((resolve) => client.once("connect", () => resolve()))),
    async end() {
      await client.endAsync(true);
    },
  };
}

/** A CloudEvent of a numbering source, as the contract's section 4 has it. */
export function envelope(
  source: string,
  epoch: number | string,
  sequence: number | string,
  type: string,
  data: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    specversion: "1.0",
    id: `${source.split("/").pop()}-${epoch}-${sequence}`,
    source,
    type: `signalbox.${type}.v1`,
    time: new Date().toISOString(),
    timesource: "ntp",
    epoch: String(epoch),
    sequence: String(sequence),
    ...more,
    data,
  };
}

export const sourceOf = (site: string, line: string, equipment: string): string => `/site/${site}/line/${line}/eq/${equipment}`;
export const eventTopic = (source: string): string => `${source.slice(1).replace(/\/device\/.*$/, "")}/event`;
export const verdictTopicOf = (source: string): string => `${source.slice(1).replace(/\/device\/.*$/, "")}/verdict`;
