import type { MqttClient } from "mqtt";
import { type BrokerAccess, connectBroker } from "./broker.mqtt.ts";
import type { BrokerFacts } from "./findings.ts";

const NAME = "$SYS/broker/version";
const DROPPED = "$SYS/broker/publish/messages/dropped";
const STORED = "$SYS/broker/store/messages/count";

/** Asks the broker what it says of itself. Its $SYS topics are retained: what has not come `patienceMs` after the subscription is not said here. Throws Said when it does not answer. */
export async function examineBroker(access: BrokerAccess, patienceMs = 1_000): Promise<BrokerFacts> {
  const { client, protocol } = await connectNewest(access);
  try {
    const said = new Map<string, string>();
    client.on("message", (topic, payload) => said.set(topic, payload.toString("utf8")));
    await new Promise<void>((resolve) => {
      const all = (): void => {
        if (said.size === 3) resolve();
      };
      client.on("message", all);
      client.subscribe([NAME, DROPPED, STORED], { qos: 0 }, () => setTimeout(resolve, patienceMs));
    });
    const number = (topic: string): number | null => (/^\d+$/.test(said.get(topic) ?? "") ? Number(said.get(topic)) : null);
    const limits = client.serverProperties;
    return {
      protocol,
      name: said.get(NAME) ?? null,
      maximumPacketSize: limits?.maximumPacketSize ?? null,
      maximumQoS: limits?.maximumQoS ?? null,
      retainAvailable: limits?.retainAvailable ?? null,
      receiveMaximum: limits?.receiveMaximum ?? null,
      dropped: number(DROPPED),
      queued: number(STORED),
    };
  } finally {
    await client.endAsync(true);
  }
}

async function connectNewest(access: BrokerAccess): Promise<{ client: MqttClient; protocol: "5" | "3.1.1" }> {
  try {
    return { client: await connectBroker(access, { protocol: 5 }), protocol: "5" };
  } catch {
    return { client: await connectBroker(access, { protocol: 4 }), protocol: "3.1.1" };
  }
}
