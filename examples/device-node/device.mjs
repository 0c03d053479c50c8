// A device that loses no event: numbered, on disk before it is sent, and kept there until the service's cursor has passed it.
//
// Reads one event per line from standard input, such as
//   {"type":"step.evidence","batchid":"B-1","stepid":"weigh","data":{"evidence":"net-weight","value":"12.503","unit":"kg"}}
// and ends when the input has ended and everything is decided.

import { createPrivateKey, sign } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import mqtt from "mqtt";

const { values: given } = parseArgs({
  options: {
    url: { type: "string", default: "mqtt://127.0.0.1:1883" },
    /** /site/{s}/line/{l}/eq/{e}[/device/{d}] */
    source: { type: "string" },
    /** Where the boot counter and the spool are kept. */
    dir: { type: "string", default: "." },
    "resend-after": { type: "string", default: "5" },
    /** An Ed25519 key in PEM, and how the registry of parties calls it: events are sent signed. */
    key: { type: "string" },
    kid: { type: "string" },
  },
});
if (given.source === undefined) {
  console.error("--source is missing");
  process.exit(2);
}
if ((given.key === undefined) !== (given.kid === undefined)) {
  console.error("--key FILE and --kid ID go together");
  process.exit(2);
}
const key = given.key === undefined ? null : createPrivateKey(readFileSync(given.key));
const source = given.source;
const branch = source.slice(1).split("/device/")[0];
const topic = `${branch}/event`;
const bootFile = join(given.dir, "boot");
const spoolFile = join(given.dir, "spool.jsonl");

function write(path, flags, text) {
  const file = openSync(path, flags);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
}

/** All or nothing, also when the power fails. */
function replaceFile(path, text) {
  write(`${path}.new`, "w", text);
  renameSync(`${path}.new`, path);
}

function readOr(path, otherwise) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return otherwise;
    throw error;
  }
}

// The epoch: a counter that rises with every start and is on disk before it is used.
const epoch = String(Number(readOr(bootFile, "0")) + 1);
replaceFile(bootFile, epoch);

// Events that are not yet decided, in the order of their numbers. A last line without its end was never sent: the power failed while it was written.
// What an earlier boot left goes on in this epoch under its old ids: what was decided already comes back as a duplicate, the rest is decided now.
let spool = readOr(spoolFile, "")
  .split("\n")
  .slice(0, -1)
  .map((line, index) => ({ ...JSON.parse(line), epoch, sequence: String(index + 1) }));
let sequence = spool.length;
keep(spool);

function keep(events) {
  spool = events;
  replaceFile(spoolFile, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
}

const client = mqtt.connect(given.url, {
  clientId: `device-${source.slice(1).replaceAll("/", "-")}`,
  protocolVersion: 4,
  clean: true,
  reconnectPeriod: 1000,
  // the spool is the queue
  queueQoSZero: false,
});
client.on("error", (error) => console.error(error.message));
client.on("connect", () => {
  // retained: it comes at once, and with every change
  client.subscribe(`${source.slice(1)}/cursor`, { qos: 1 });
  publish(spool);
});

function publish(events) {
  if (!client.connected) return;
  for (const event of events) client.publish(topic, signed(JSON.stringify(event)), { qos: 1 });
}

/** A compact JWS around the event, which is inside exactly as it is without: signed for this topic alone. */
function signed(event) {
  if (key === null) return event;
  const header = JSON.stringify({ alg: "EdDSA", kid: given.kid, typ: "signalbox-event+jws", topic });
  const input = `${Buffer.from(header).toString("base64url")}.${Buffer.from(event).toString("base64url")}`;
  return `${input}.${sign(null, Buffer.from(input), key).toString("base64url")}`;
}

let inputEnded = false;
client.on("message", (_topic, payload) => {
  const cursor = JSON.parse(payload.toString()).data;
  if (cursor.epoch !== epoch) return; // of an earlier boot
  const kept = spool.filter((event) => BigInt(event.sequence) > BigInt(cursor.through));
  if (kept.length < spool.length) keep(kept);
  const lacks = (n) => cursor.missing.some((gap) => gap.epoch === epoch && BigInt(gap.from) <= n && n <= BigInt(gap.to));
  publish(kept.filter((event) => lacks(BigInt(event.sequence))));
  endWhenDecided();
});

// What the cursor does not pass in a while is sent again: harmless, the service knows it.
let oldest;
const resend = setInterval(() => {
  if (spool.length > 0 && spool[0].sequence === oldest) publish(spool);
  oldest = spool[0]?.sequence;
}, Number(given["resend-after"]) * 1000);

function record(said) {
  sequence += 1;
  const event = {
    specversion: "1.0",
    id: `${source.split("/").at(-1)}-${epoch}-${sequence}`,
    source,
    time: new Date().toISOString(),
    timesource: "ntp",
    epoch,
    sequence: String(sequence),
    ...said,
    type: `signalbox.${said.type}.v1`,
  };
  write(spoolFile, "a", `${JSON.stringify(event)}\n`);
  spool.push(event);
  publish([event]);
  console.log(`recorded ${sequence}`);
}

function endWhenDecided() {
  if (!inputEnded || spool.length > 0) return;
  clearInterval(resend);
  client.end(false, () => console.log("all decided"));
}

for await (const line of createInterface({ input: process.stdin })) record(JSON.parse(line));
inputEnded = true;
endWhenDecided();
