// Stands for MES, integrators and devices: one persistent session directly at the broker, past all proxies, that writes down what it hears.
import mqtt, { type IConnackPacket, type MqttClient } from "mqtt";
import type { Heard } from "../history/history.ts";

export interface MesObserver {
  readonly heard: readonly Heard[];
  onHeard(listener: (heard: Heard) => void): void;
  end(): Promise<void>;
}

const RETRY_MS = 200;
const CONNECT_MS = 3_000;

export async function startObserver(url: string, site: string): Promise<MesObserver> {
  const heard: Heard[] = [];
  const listeners: ((heard: Heard) => void)[] = [];
  const branch = `site/${site}/line/+`;
  const topics = [
    ...["verdict", "outcome", "cursor"].map((kind) => `${branch}/eq/+/${kind}`),
    ...["outcome", "state"].map((kind) => `${branch}/batch/+/${kind}`),
  ];
  let client: MqttClient | null = null;
  let ended = false;

  // A client object for each connection: one that the broker refused once, as it ends or begins, must not give up for good.
  async function connect(): Promise<void> {
    while (!ended) {
      const attempt = mqtt.connect(url, {
        protocolVersion: 5,
        clientId: "mes-observer",
        clean: false,
        reconnectPeriod: 0,
        connectTimeout: CONNECT_MS,
        keepalive: 5,
        properties: { sessionExpiryInterval: 86_400 },
      });
      client = attempt;
      attempt.on("error", () => {});
      attempt.on("message", (topic, payload, packet) => {
        const text = payload.toString("utf8");
        const one: Heard = { at: performance.now(), topic, retained: packet.retain, body: text === "" ? null : JSON.parse(text) };
        heard.push(one);
        for (const listener of listeners) listener(one);
      });
      const connack = await new Promise<IConnackPacket | null>((resolve) => {
        attempt.once("connect", resolve);
        attempt.once("close", () => resolve(null));
      });
      if (connack !== null) {
        attempt.once("close", () => void connect());
        // a session that is there is subscribed already, and would only hear every retained message again
        if (!connack.sessionPresent) await attempt.subscribeAsync([...topics, `site/${site}/outcome`], { qos: 1 }).catch(() => attempt.end(true));
        return;
      }
      attempt.end(true);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  await connect();
  return {
    heard,
    onHeard: (listener) => void listeners.push(listener),
    end: async () => {
      ended = true;
      await client?.endAsync(true);
    },
  };
}
