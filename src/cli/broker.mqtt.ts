import mqtt, { type MqttClient } from "mqtt";
import type { Config } from "../ops/config.file.ts";
import { Said } from "./said.ts";

/** How to reach the broker, and as whom. */
export interface BrokerAccess {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** The broker of the settings, unless a command names another; without either the embedded one. */
export function accessFrom(config: Config, url: string | undefined): BrokerAccess {
  return {
    url: url ?? config.mqttUrl ?? `mqtt://127.0.0.1:${config.mqttPort}`,
    username: config.mqttUsername ?? undefined,
    password: config.mqttPassword ?? undefined,
    ca: config.mqttCa ?? undefined,
    cert: config.mqttCert ?? undefined,
    key: config.mqttKey ?? undefined,
  };
}

/** Connects once, or throws Said; afterwards it connects again by itself. 3.1.1 by default: every broker speaks it, and reading needs no more. */
export async function connectBroker(access: BrokerAccess, options: { readonly protocol?: 4 | 5; readonly clientId?: string } = {}): Promise<MqttClient> {
  const { url, ...identity } = access;
  const given = Object.fromEntries(Object.entries(identity).filter(([, value]) => value !== undefined));
  const client = mqtt.connect(url, {
    ...given,
    ...(options.clientId === undefined ? {} : { clientId: options.clientId }),
    protocolVersion: options.protocol ?? 4,
    clean: true,
    reconnectPeriod: 500,
    connectTimeout: 5_000,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.once("error", reject);
      client.once("close", () => reject(new Error("the connection was closed")));
    });
  } catch (error) {
    await client.endAsync(true).catch(() => undefined);
    const { message, code } = Object(error);
    throw new Said(
      `The broker does not answer at ${new URL(url).host} (${message === "" || message === undefined ? code : message}). --mqtt-url names another address.`,
    );
  }
  // after the first connection an error is followed by another attempt; without a listener it would end the process
  client.on("error", () => {});
  return client;
}

export interface Watching {
  stop(): Promise<void>;
}

/** Hands over each message of the filters as text, in the order of arrival. */
export async function watch(
  access: BrokerAccess,
  filters: readonly string[],
  onMessage: (topic: string, text: string, retained: boolean) => void,
  onConnection: (connected: boolean) => void = () => {},
): Promise<Watching> {
  const client = await connectBroker(access);
  client.on("message", (topic, payload, packet) => onMessage(topic, payload.toString("utf8"), packet.retain));
  let ending = false;
  client.on("close", () => {
    if (!ending) onConnection(false);
  });
  client.on("connect", () => onConnection(true));
  await client.subscribeAsync([...filters], { qos: 1 });
  return {
    stop: async () => {
      ending = true;
      await client.endAsync(true);
    },
  };
}
