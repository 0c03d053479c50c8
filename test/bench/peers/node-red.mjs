// Node-RED as it is set up today: an MQTT input, a function that hands what came to Postgres, an MQTT output. The function has its pool of connections from the settings.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import RED from "node-red";
import pg from "pg";

const [database, port, topics, bench] = process.argv.slice(2);
const { answering } = await import(new URL("answering.js", bench));
const { createWriter, told } = await import(new URL("rows.js", bench));
const { outcomeTopic } = await import(new URL("outcome-topic.js", bench));
const CONNECTIONS = 10;

/** Connections that each write one event at a time, and who waits for one. */
const free = [];
const waiting = [];
for (let n = 0; n < CONNECTIONS; n += 1) {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  free.push({ client, writer: await createWriter(client) });
}
let stored = 0;

async function store(payload) {
  stored += 1;
  const event = told(payload, stored);
  const one = free.pop() ?? (await new Promise((resolve) => waiting.push(resolve)));
  try {
    await one.client.query("begin");
    await one.writer.write([event]);
    await one.client.query("commit");
    return { topic: outcomeTopic(event), payload: one.writer.outcome(event) };
  } finally {
    const next = waiting.shift();
    if (next === undefined) free.push(one);
    else next(one);
  }
}

const broker = {
  id: "broker",
  type: "mqtt-broker",
  broker: "127.0.0.1",
  port,
  clientid: "bench-node-red",
  protocolVersion: "5",
  cleansession: true,
  autoConnect: true,
};
const flow = [
  { id: "tab", type: "tab", label: "events" },
  broker,
  { id: "in", type: "mqtt in", z: "tab", broker: "broker", topic: topics, qos: "1", datatype: "buffer", inputs: 0, wires: [["store"]] },
  { id: "store", type: "function", z: "tab", func: 'return global.get("store")(msg.payload);', outputs: 1, libs: [], wires: [["out"]] },
  { id: "out", type: "mqtt out", z: "tab", broker: "broker", topic: "", qos: "1", retain: "false", wires: [] },
];
const home = mkdtempSync(join(tmpdir(), "signalbox-bench-red-"));
process.once("exit", () => rmSync(home, { recursive: true, force: true }));
writeFileSync(join(home, "flows.json"), JSON.stringify(flow));
RED.init(createServer(), {
  httpAdminRoot: false,
  httpNodeRoot: false,
  userDir: home,
  flowFile: "flows.json",
  logging: { console: { level: "error", metrics: false, audit: false } },
  functionGlobalContext: { store },
});
const connected = new Promise((resolve) => {
  RED.events.on("node-status", ({ id, status }) => {
    if (id === "in" && status.fill === "green") resolve();
  });
});
await RED.start();
await connected;

answering({});
