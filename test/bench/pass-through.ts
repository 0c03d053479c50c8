// The pass-through, a process of its own: does with an event all that must be done with it, but decides nothing. It takes what is waiting, commits the rows of all of it in one statement,
// acknowledges, and publishes one message for each.
import { generate } from "mqtt-packet";
import pg from "pg";
import { answering } from "./answering.ts";
import { outcomeTopic } from "./outcome-topic.ts";
import { SITE } from "./plan.ts";
import { createWriter, type Told, told } from "./rows.ts";
import { eachPacket, join, PUBACK, PUBLISH } from "./wire.ts";

const GROUP = 500;
const [database = "", port = ""] = process.argv.slice(2);
const client = new pg.Client({ connectionString: database });
await client.connect();
const writer = await createWriter(client);
const receiver = await join(Number(port), "bench-pass-through", [`site/${SITE}/line/+/eq/+/event`], 1_024);
const sender = await join(Number(port), "bench-pass-through-sender");

let waiting: { readonly event: Told; readonly messageId: number }[] = [];
let writing = false;
let position = 0;

receiver.socket.on(
  "data",
  eachPacket((type, bytes, from, to) => {
    if (type !== PUBLISH) return;
    const id = from + 2 + bytes.readUInt16BE(from);
    const properties = id + 2;
    // properties of less than 128 bytes: their length is one byte
    const payload = Buffer.from(bytes.subarray(properties + 1 + (bytes[properties] ?? 0), to));
    position += 1;
    waiting.push({ event: told(payload, position), messageId: bytes.readUInt16BE(id) });
    if (!writing) void write();
  }),
);

async function write(): Promise<void> {
  writing = true;
  // what comes with the first is taken with it
  await Promise.resolve();
  while (waiting.length > 0) {
    const group = waiting.slice(0, GROUP);
    waiting = waiting.slice(GROUP);
    await writer.write(group.map(({ event }) => event));
    const acks = Buffer.alloc(group.length * 4);
    for (const [n, { messageId }] of group.entries()) {
      acks.writeUInt16BE(0x4002, n * 4);
      acks.writeUInt16BE(messageId, n * 4 + 2);
    }
    receiver.socket.write(acks);
    for (const { event } of group) outgoing.push(event);
    send();
  }
  writing = false;
}

const outgoing: Told[] = [];
let underWay = 0;
let messageId = 0;
sender.socket.on(
  "data",
  eachPacket((type) => {
    if (type !== PUBACK) return;
    underWay -= 1;
    send();
  }),
);

function send(): void {
  const packets: Buffer[] = [];
  while (underWay < sender.receiveMaximum) {
    const event = outgoing.shift();
    if (event === undefined) break;
    underWay += 1;
    messageId = (messageId % 65_535) + 1;
    const topic = outcomeTopic(event);
    const properties = { contentType: "application/cloudevents+json; charset=utf-8" };
    packets.push(
      generate({ cmd: "publish", topic, payload: writer.outcome(event), qos: 1, dup: false, retain: false, messageId, properties }, { protocolVersion: 5 }),
    );
  }
  if (packets.length > 0) sender.socket.write(Buffer.concat(packets));
}

answering({});
