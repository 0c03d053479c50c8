// The subscriber, a process of its own: acknowledges every message, and notes when it came of the event that it names.
import { answering } from "./answering.ts";
import { eventOf } from "./plan.ts";
import { eachPacket, join, now, PUBLISH } from "./wire.ts";

const [port = "", mode = ""] = process.argv.slice(2);
/** `answers`: outcomes and verdicts, which name the event that caused them. `events`: the events themselves, or their copies. */
const FILTERS: Readonly<Record<string, readonly string[]>> = {
  answers: ["site/+/line/+/batch/+/outcome", "site/+/line/+/eq/+/outcome", "site/+/line/+/eq/+/verdict"],
  events: ["site/+/line/+/eq/+/event"],
};
const named = Buffer.from(mode === "answers" ? '"causationid":"' : '"id":"');
const verdict = Buffer.from("/verdict");
/** An id's last twelve digits stand this far behind its beginning. */
const DIGITS = 24;

/** When the first outcome of an event came, and when a verdict that refuses it; 0: not yet. */
let outcomes = new Float64Array(1 << 20);
let refusals = new Float64Array(1 << 20);
const messages = { outcomes: 0, verdicts: 0 };
let highest = -1;
let acks: number[] = [];

function grown(array: Float64Array<ArrayBuffer>, event: number): Float64Array<ArrayBuffer> {
  if (event < array.length) return array;
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}

const { socket } = await join(Number(port), "bench-subscriber", FILTERS[mode] ?? []);
const take = eachPacket((type, bytes, from, to) => {
  if (type !== PUBLISH) return;
  const length = bytes.readUInt16BE(from);
  const topic = from + 2;
  const id = topic + length;
  acks.push(bytes[id] ?? 0, bytes[id + 1] ?? 0);
  const isVerdict = bytes.subarray(id - verdict.length, id).equals(verdict);
  if (isVerdict) messages.verdicts += 1;
  else messages.outcomes += 1;
  const at = bytes.indexOf(named, id);
  if (at === -1 || at >= to) return;
  const event = eventOf(bytes.toString("latin1", at + named.length + DIGITS, at + named.length + DIGITS + 12));
  // something else caused it
  if (!Number.isSafeInteger(event)) return;
  outcomes = grown(outcomes, event);
  refusals = grown(refusals, event);
  if (event > highest) highest = event;
  if (!isVerdict) outcomes[event] ||= now();
  else if (refuses(bytes, at, to)) refusals[event] ||= now();
});

function refuses(bytes: Buffer, from: number, to: number): boolean {
  const text = bytes.toString("latin1", from, to);
  return text.includes('"status":"rejected"') || text.includes('"status":"quarantined"');
}

socket.on("data", (chunk) => {
  take(chunk);
  if (acks.length === 0) return;
  const answer = Buffer.alloc(acks.length * 2);
  for (let i = 0; i < acks.length; i += 2) {
    answer[i * 2] = 0x40;
    answer[i * 2 + 1] = 2;
    answer[i * 2 + 2] = acks[i] ?? 0;
    answer[i * 2 + 3] = acks[i + 1] ?? 0;
  }
  acks = [];
  socket.write(answer);
});

answering({
  /** How far it has come. */
  progress: () => ({ highest, ...messages }),
  /** What came of the events from one to another. */
  arrivals: ({ from = 0, to = 0 }) => ({ outcomes: outcomes.slice(from, to), refusals: refusals.slice(from, to) }),
});
