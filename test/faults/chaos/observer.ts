// Stands for MES, integrators and devices: one persistent session directly at the broker, past all proxies, that writes down what it hears.
import mqtt, { type MqttClient } from "mqtt";
import type { Heard } from "../history/history.ts";

export interface MesObserver {
  readonly heard: readonly Heard[];
  onHeard(listener: (heard: Heard) => void): void;
  end(): Promise<void>;
}

export async function startObserver(url: string, site: string): Promise<MesObserver> {
  const heard: Heard[] = [];
  const listeners: ((heard: Heard) => void)[] = [];
  const client: MqttClient = mqtt.connect(url, {
    protocolVersion: 5,
    clientId: "mes-observer",
    clean: false,
    reconnectPeriod: 200,
    properties: { sessionExpiryInterval: 86_400 },
  });
  client.on("error", () => {});
  client.on("message", (topic, payload, packet) => {
    const text = payload.toString("utf8");
    const one: Heard = { at: performance.now(), topic, retained: packet.retain, body: text === "" ? null : JSON.parse(text) };
    heard.push(one);
    for (const listener of listeners) listener(one);
  });
  await new Promise<void>((resolve) => client.once("connect", () => resolve()));
  const branch = `site/${site}/line/+`;
  await client.subscribeAsync(
    [
      `${branch}/eq/+/verdict`,
      `${branch}/eq/+/outcome`,
      `${branch}/eq/+/cursor`,
      `${branch}/batch/+/outcome`,
      `${branch}/batch/+/state`,
      `site/${site}/outcome`,
    ],
    { qos: 1 },
  );
  return {
    heard,
    onHeard: (listener) => void listeners.push(listener),
    end: async () => {
      await client.endAsync(true);
    },
  };
}
