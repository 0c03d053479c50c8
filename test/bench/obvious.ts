// The obvious consumer, a process of its own: one transaction for each message, then the acknowledgement and the message about it. Without a port it is the same transactions in a loop,
// without a broker.
import mqtt from "mqtt";
import pg from "pg";
import { answering } from "./answering.ts";
import { outcomeTopic } from "./outcome-topic.ts";
import { CELLS, payloadOf, plan, SITE } from "./plan.ts";
import { createWriter, type Told, told } from "./rows.ts";

const [database = "", port = ""] = process.argv.slice(2);
const client = new pg.Client({ connectionString: database });
await client.connect();
const writer = await createWriter(client);
let done = 0;

async function store(event: Told): Promise<void> {
  await client.query("begin");
  await writer.write([event]);
  await client.query("commit");
  done += 1;
}

if (port !== "") {
  const broker = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, clientId: "bench-obvious", properties: { receiveMaximum: 1_024 } });
  broker.handleMessage = (packet, acknowledge) => {
    const event = told(Buffer.from(packet.payload), done + 1);
    store(event).then(
      () => {
        acknowledge();
        broker.publish(outcomeTopic(event), writer.outcome(event), { qos: 1, properties: { contentType: "application/cloudevents+json; charset=utf-8" } });
      },
      (error: unknown) => acknowledge(error instanceof Error ? error : new Error(String(error))),
    );
  };
  await broker.subscribeAsync(`site/${SITE}/line/+/eq/+/event`, { qos: 1 });
} else void loop();

async function loop(): Promise<void> {
  for (const delivery of plan({ seed: 1, cells: CELLS, sites: 1 })) await store(told(Buffer.from(payloadOf(delivery)), done + 1));
}

answering({ done: () => ({ done }) });
