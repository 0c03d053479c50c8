// A consumer that misses no outcome and takes none twice: it follows them over MQTT, sees a hole by the numbers of each stream, and fills it over REST.
//
// Prints one JSON line per outcome. Where it stands is kept in a file; a real MES keeps it in the same transaction as what it does with the outcome.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import mqtt from "mqtt";

const { values: given } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8080" },
    "mqtt-url": { type: "string", default: "mqtt://127.0.0.1:1883" },
    site: { type: "string", default: "rtm1" },
    state: { type: "string", default: "consumer-state.json" },
    /** Seconds between two looks at the feed, for a last message that got lost: behind it comes no number that would show the hole. */
    every: { type: "string", default: "30" },
  },
});
const { site } = given;

/**
 * Everything up to `position` of this generation is taken, whatever its stream; `streams`: the last outcome taken of each, also beyond that; `passed`: where we stood when the
 * record was restored, and up to where that still stands.
 */
let at = { generation: 1, position: 0, streams: {}, passed: { generation: 0, position: 0, stands: 0 } };
try {
  at = JSON.parse(readFileSync(given.state, "utf8"));
} catch (error) {
  if (error.code !== "ENOENT") throw error;
}

function save() {
  writeFileSync(`${given.state}.new`, JSON.stringify(at));
  renameSync(`${given.state}.new`, given.state);
}

/** Published at least once, under ids that never differ: what was taken is recognised. */
function isTaken({ source, sequence, data }) {
  const { generation, position } = data;
  // of what the restore has cut off a message may still be on its way
  if (generation === at.passed.generation && position > at.passed.stands) return true;
  const last = at.streams[source];
  if (last !== undefined) return generation < last.generation || (generation === last.generation && Number(sequence) <= last.sequence);
  const upTo = generation === at.generation ? at : at.passed;
  return generation <= upTo.generation && position <= upTo.position;
}

function take(outcome) {
  if (isTaken(outcome)) return;
  const { source, sequence, type, data } = outcome;
  const { generation, position, batch, step } = data;
  console.log(JSON.stringify({ outcome: type, source, sequence, batch, step, generation, position }));
  at.streams[source] = { generation, position, sequence: Number(sequence), closed: type === "signalbox.batch.closed.v1" };
}

/** Reads the feed, which misses nothing, from where it was read last. */
async function catchUp() {
  for (;;) {
    const query = `site=${site}&after=${at.position}&generation=${at.generation}&limit=500`;
    const response = await fetch(`${given.url}/v1/outcomes?${query}`, { signal: AbortSignal.timeout(10_000) });
    const page = await response.json();
    if (response.status === 410) {
      noticeRestore(page.generation, page.after);
      continue;
    }
    if (!response.ok) throw new Error(`GET /v1/outcomes answered ${response.status}: ${page.detail}`);
    if (page.generation > at.generation) noticeRestore(page.generation, at.position);
    if (page.items.length === 0) break;
    for (const outcome of page.items) take(outcome);
    at.position = page.after;
    save();
  }
  // a closed batch says no more, and what it said is passed
  for (const [source, { closed, position }] of Object.entries(at.streams)) if (closed && position <= at.position) delete at.streams[source];
}

/**
 * A higher generation says that the service's record was restored from a backup. Up to `stands` it is as it was; what we took behind it may be on record no more, and its numbers
 * are given again: a person compares. The feed is read on from there.
 */
function noticeRestore(generation, stands) {
  console.log(JSON.stringify({ restored: { from: at.generation, to: generation }, position: at.position, stands, streams: at.streams }));
  at.passed = { generation: at.generation, position: at.position, stands };
  Object.assign(at, { generation, position: stands });
  save();
}

async function live(outcome) {
  if (outcome.data.generation > at.generation) return catchUp();
  if (isTaken(outcome)) return;
  const last = at.streams[outcome.source];
  if (last?.generation !== outcome.data.generation ? outcome.sequence !== "1" : Number(outcome.sequence) !== last.sequence + 1) {
    console.error(`${outcome.source} goes on with ${outcome.sequence} after ${last?.sequence ?? 0}: reading what is between`);
    return catchUp();
  }
  take(outcome);
  save();
}

// One thing after the other: a message that comes while the feed is read waits for it. What could not be read is read with the next look.
let before = Promise.resolve();
const then = (work) => {
  before = before.then(work).catch((error) => console.error(error.message));
  return before;
};

const client = mqtt.connect(given["mqtt-url"], { clientId: `mes-consumer-${site}`, protocolVersion: 4, clean: false, reconnectPeriod: 1000 });
client.on("error", (error) => console.error(error.message));
client.on("message", (_topic, payload) => then(() => live(JSON.parse(payload.toString()))));
client.on("connect", () => {
  // `clean: false` lets the broker keep what is published while we are away; whether it did or not, the feed has it
  client.subscribe([`site/${site}/line/+/batch/+/outcome`, `site/${site}/line/+/eq/+/outcome`, `site/${site}/outcome`], { qos: 1 }, (error) => {
    if (error) return console.error(error.message);
    then(async () => {
      await catchUp();
      console.error(`following ${site}: the feed is read up to position ${at.position}`);
    });
  });
});
const look = setInterval(() => then(catchUp), Number(given.every) * 1000);

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    clearInterval(look);
    then(save).then(() => client.end(false));
  });
}
