// DBOS: a durable workflow for each message, which is acknowledged once the workflow is on record: its first step stores the rows, its second publishes.
import { DBOS } from "@dbos-inc/dbos-sdk";
import mqtt from "mqtt";
import pg from "pg";

const [database, port, topics, bench] = process.argv.slice(2);
const { answering } = await import(new URL("answering.js", bench));
const { createWriter, told } = await import(new URL("rows.js", bench));
const { outcomeTopic } = await import(new URL("outcome-topic.js", bench));
const CONNECTIONS = 10;

const pool = new pg.Pool({ connectionString: database, max: CONNECTIONS });
const writers = new WeakMap();
async function writerOf(client) {
  const writer = writers.get(client) ?? (await createWriter(client));
  writers.set(client, writer);
  return writer;
}

async function store(payload, position) {
  const client = await pool.connect();
  try {
    const event = told(Buffer.from(payload), position);
    const writer = await writerOf(client);
    await client.query("begin");
    await writer.write([event]);
    await client.query("commit");
    return { topic: outcomeTopic(event), payload: writer.outcome(event) };
  } finally {
    client.release();
  }
}

const settle = DBOS.registerWorkflow(
  async (payload, position) => {
    const outcome = await DBOS.runStep(() => store(payload, position), { name: "store" });
    await DBOS.runStep(() => broker.publishAsync(outcome.topic, outcome.payload, { qos: 1 }).then(() => null), { name: "publish" });
  },
  { name: "settle" },
);

DBOS.setConfig({ name: "bench", systemDatabaseUrl: database, systemDatabasePoolSize: CONNECTIONS, logLevel: "error" });
await DBOS.launch();
let received = 0;
const broker = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, clientId: "bench-dbos", properties: { receiveMaximum: 1_024 } });
broker.handleMessage = (packet, acknowledge) => {
  received += 1;
  DBOS.startWorkflow(settle)(packet.payload.toString("utf8"), received).then(() => acknowledge(), acknowledge);
};
await broker.subscribeAsync(topics, { qos: 1 });

answering({});
